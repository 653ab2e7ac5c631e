"""The default models of a `Recommender`."""

from typing import Any

import scipy.sparse as sp

from reelated.models import BPMF, EASE, ItemKNN
from reelated.ratings import Ratings

DEFAULT_MEMORY = 5_000_000_000
"""Memory limit of a default model in bytes, if no `max_memory` is given."""
MAX_BPMF_RATINGS = 3_000_000
"""With more ratings the fit of a `BPMF` takes minutes, so that `ItemKNN` is the default."""

NORMALIZATION: dict[str, Any] = {"user_normalization": 0.25, "item_normalization": 0.1}
"""Degree normalisation of the default ranker for implicit feedback, chosen on parts of the training data of four sets
(benchmarks/tried.md). Ratings on a scale are not normalised."""

EVENT_DROPOUT = 0.7
"""`dropout` of the default ranker for implicit feedback, chosen on the same parts."""

EVENT_MIN_WEIGHT = 0.75
"""`min_weight` of the default ranker for events whose weights differ: the weights count little, because likes ranked
better than logarithms of counts on two sets (docs/not-movies.md)."""


def default_ranker(ratings: Ratings, max_memory: int | None) -> EASE | ItemKNN:
    """Return the default ranker: `EASE`, or `ItemKNN` if `EASE` needs too much memory."""
    X, implicit = ratings.matrix, ratings.feedback == "implicit"
    normalization = NORMALIZATION if implicit else {}
    ranker = EASE(**normalization)
    if implicit:
        ranker.set_params(dropout=EVENT_DROPOUT)
        if not ratings.is_one_valued:
            ranker.set_params(min_weight=EVENT_MIN_WEIGHT)
    if ranker.plan(X) <= (max_memory or DEFAULT_MEMORY):
        return ranker
    lowest = 0.0 if implicit else float(X.data.min(initial=0))
    return neighbor_ranker(lowest).set_params(**normalization)


def default_rater(X: sp.csr_array, max_memory: int | None, ranker: Any) -> BPMF | ItemKNN:
    """Return the default rater: `BPMF`, or `ItemKNN` for large data and without a ranker."""
    rater = BPMF()
    if ranker is not None and X.nnz <= MAX_BPMF_RATINGS and rater.plan(X) <= (max_memory or DEFAULT_MEMORY):
        return rater
    return neighbor_rater()


def neighbor_ranker(lowest: float) -> ItemKNN:
    """Return the default ranker for large data; `lowest` is the lowest rating."""
    return ItemKNN(weighting="tf-idf" if lowest >= 0 else None, n_neighbors=200, shrinkage=10)


def neighbor_rater() -> ItemKNN:
    """Return the default rater for large data."""
    return ItemKNN("residual-cosine", n_neighbors=200, max_neighbors_used=30, shrinkage=100, prior_weight=0.05)
