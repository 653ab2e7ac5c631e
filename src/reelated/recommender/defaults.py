"""Which models a `Recommender` takes by itself: the most exact ones that fit the data's size and the memory."""

import scipy.sparse as sp

from reelated.models import EASE, Gaussian, ItemItemModel, ItemKNN
from reelated.models.drawn import DrawnModel

ROOM = 5_000_000_000
"""The most bytes that a default model may take where no `max_memory` is given."""
MANY = 3_000_000
"""More ratings than this, and drawing a Gaussian takes minutes."""


def default_ranker(X: sp.csr_array, room: int | None) -> ItemItemModel:
    """Return the model that ranks: `EASE`, or neighbours where its square of all movies does not fit."""
    ranker = EASE()
    if ranker.plan(X) <= (room or ROOM):
        return ranker
    weighting = None if X.nnz and X.data.min() < 0 else "tf-idf"
    return ItemKNN(weighting=weighting, n_neighbors=200, shrinkage=10)  # type: ignore[arg-type]


def default_rater(X: sp.csr_array, room: int | None, ranker: ItemItemModel | None) -> ItemItemModel | DrawnModel:
    """Return the model that predicts ratings: `Gaussian`, or neighbours where it would take long or nothing ranks."""
    rater = Gaussian()
    if ranker is not None and X.nnz <= MANY and rater.plan(X) <= (room or ROOM):
        return rater
    return ItemKNN("residual-cosine", n_neighbors=200, max_used=30, shrinkage=100, baseline_weight=0.05)
