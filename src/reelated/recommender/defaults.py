"""The default models of a `Recommender`."""

from typing import Any

import scipy.sparse as sp

from reelated.models import BPMF, EASE, ItemKNN
from reelated.ratings import Feedback, Ratings

DEFAULT_MEMORY = 5_000_000_000
"""Memory limit of a default model in bytes, if no `max_memory` is given."""
MAX_BPMF_RATINGS = 3_000_000
"""With more ratings the fit of a `BPMF` takes minutes, so that `ItemKNN` is the default."""

EVENT_DROPOUT = 0.7
"""`dropout` of the default ranker for implicit feedback, chosen on parts of the training data of four sets
(benchmarks/tried.md)."""

EVENT_MIN_WEIGHT = 0.75
"""`min_weight` of the default ranker for events whose weights differ: the weights count little, because likes ranked
better than logarithms of counts on two sets (docs/not-movies.md)."""


def default_ranker(ratings: Ratings, max_memory: int | None) -> EASE | ItemKNN:
    """Return the default ranker: `EASE`, or `ItemKNN` if `EASE` needs too much memory."""
    X, ranker = ratings.matrix, default_ease(ratings.feedback, one_valued=ratings.is_one_valued)
    if ranker.plan(X) <= (max_memory or DEFAULT_MEMORY):
        return ranker
    return neighbor_ranker(0.0 if ratings.feedback == "implicit" else float(X.data.min(initial=0)))


def default_ease(feedback: Feedback, *, one_valued: bool) -> EASE:
    """Return the default `EASE`; `one_valued`: all ratings are equal."""
    if feedback == "explicit":
        return EASE()
    return EASE(dropout=EVENT_DROPOUT) if one_valued else EASE(dropout=EVENT_DROPOUT, min_weight=EVENT_MIN_WEIGHT)


def default_rater(X: sp.csr_array, max_memory: int | None, ranker: Any) -> BPMF | ItemKNN:
    """Return the default rater: `BPMF`, or `ItemKNN` for large data and without a ranker."""
    rater = BPMF()
    if ranker is not None and X.nnz <= MAX_BPMF_RATINGS and rater.plan(X) <= (max_memory or DEFAULT_MEMORY):
        return rater
    return neighbor_rater()


def neighbor_ranker(lowest: float) -> ItemKNN:
    """Return the default ranker for large data; `lowest` is the lowest rating."""
    weighting: Any = "tf-idf" if lowest >= 0 else None
    return ItemKNN(weighting=weighting, user_normalization=0.25, item_normalization=0.1, n_neighbors=200, shrinkage=10)


def neighbor_rater() -> ItemKNN:
    """Return the default rater for large data."""
    return ItemKNN("residual-cosine", n_neighbors=200, max_neighbors_used=30, shrinkage=100, prior_weight=0.05)
