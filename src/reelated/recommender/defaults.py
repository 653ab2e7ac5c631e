"""The models of a `Recommender`: the defaults, validation, the items of the matrix, and the fit."""

from typing import Any

import polars as pl
import scipy.sparse as sp

from reelated.errors import InputError
from reelated.models import BPMF, EASE, MODELS, ItemKNN
from reelated.models.contracts import By
from reelated.parallel import Progress
from reelated.ratings import Dataset, Ids, Ratings
from reelated.recommender.catalogue import Catalogue

DEFAULT_MEMORY = 5_000_000_000
"""Memory limit of a default model in bytes, if no `max_memory` is given."""
MAX_BPMF_RATINGS = 3_000_000
"""With more ratings the fit of a `BPMF` takes minutes, so that `ItemKNN` is the default."""

NORMALIZATION: dict[str, Any] = {"user_normalization": 0.25, "item_normalization": 0.1}
"""Degree normalisation of the default ranker for implicit feedback, chosen on parts of the training data of four sets
(benchmarks/tried.md). Ratings on a scale are not normalised."""


def default_ranker(ratings: Ratings, max_memory: int | None) -> EASE | ItemKNN:
    """Return the default ranker: `EASE`, or `ItemKNN` if `EASE` needs too much memory."""
    X, normalization = ratings.matrix, NORMALIZATION if ratings.feedback == "implicit" else {}
    ranker = EASE(**normalization)
    if ranker.plan(X) <= (max_memory or DEFAULT_MEMORY):
        return ranker
    lowest = 0.0 if ratings.feedback == "implicit" else float(X.data.min(initial=0))
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


def with_unrated(data: Dataset) -> Ratings:
    """Return the ratings with columns for unrated items with genres or a year, so that these can be recommended.

    If more than half of the items have no ratings, these get no columns.
    """
    has_attributes = pl.col("year").is_not_null() | (pl.col("genres").list.len() > 0)
    rated = data.ratings.item_ids
    item_ids = pl.concat([rated.values, data.items.filter(has_attributes)["item_id"]]).unique().sort()
    # otherwise the fit would spend most of its time on unrated items
    mostly_rated = len(rated) < len(item_ids) <= 2 * len(rated)
    return data.ratings.onto(Ids(item_ids, "item")) if mostly_rated else data.ratings


def fit_model(
    model: Any, X: sp.csr_array, scale: tuple[float, float], catalogue: Catalogue, progress: Progress | None = None
) -> Any:
    """Fit a model to ratings, and to the attributes of items if it uses these; return it."""
    side_info = {"items": catalogue.attributes()} if model.uses_side_info else {}
    return model.fit(X, scale=scale, progress=progress, **side_info)


def no_rater() -> InputError:
    """Return the error for a predicted rating from a recommender without a rater."""
    message = "this model predicts no ratings: its data are events or equal ratings, or it was fitted without a rater."
    return InputError(message, parameter="by", value="rating", remedy="List by score.")


def check_role(name: str, model: Any, number: By) -> Any:
    """Return a model that computes `number`, or None, unchanged; raise `InputError` for anything else."""
    numbers = () if isinstance(model, type) else getattr(model, "numbers", ())
    if model is None or number in numbers:
        return model
    if not numbers:
        raise InputError("expected a model such as EASE() or ItemKNN(), or 'default'.", parameter=name, value=model)
    classes: Any = MODELS.values()
    able = ", ".join(f"{cls.__name__}()" for cls in classes if number in cls.numbers)
    lacks = "scores no items" if number == "score" else "predicts no ratings"
    raise InputError(f"{type(model).__name__} {lacks}.", parameter=name, value=model, remedy=f"Expected one of {able}.")
