"""From parameters to fitted models: the default models, the checks of models that a caller chooses, and the fit."""

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from reelated.errors import (
    Advice,
    InputError,
    TooLarge,
    check_choice,
    check_flag,
    check_memory,
    no_rater,
    shorten,
    show_bytes,
)
from reelated.models import BPMF, EASE, MODELS, ItemKNN
from reelated.models.contracts import By
from reelated.models.estimator import clone
from reelated.parallel import Progress, part_of
from reelated.ratings import Dataset, Feedback, FrameLike, Ids, Ratings, Scale
from reelated.ratings.dataset import as_dataset
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.engine import NAMES, Models
from reelated.recommender.state import State
from reelated.recommender.weights import check_recency, fit_values, model_scale

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
NO_TIMES = "Not all ratings have a time: all count alike, however old."


def fit_models(rec: State, data: Dataset, progress: Progress | None) -> tuple[Models, Catalogue, Ratings]:
    """Fit the models of a recommender within its memory limit; return the models, the items and the ratings."""
    models, ratings = unfitted_models(rec, data)
    X, scale = fit_values(ratings), model_scale(ratings.scale, ratings.feedback)
    limit = check_memory("max_memory", rec.max_memory)
    if limit is not None and (needed := models.plan(X)) > limit:
        raise TooLarge(
            f"the fit may need {show_bytes(needed)}.",
            parameter="max_memory",
            value=rec.max_memory,
            remedy=Advice.LESS_MEMORY,
        )
    catalogue = Catalogue(data.items, ratings.item_ids, np.bincount(X.indices, minlength=X.shape[1]))
    for place, model in enumerate(models.present):
        fit_model(model, X, scale, catalogue, part_of(progress, place, len(models.present)))
    return models, catalogue, ratings


def set_fitted(rec: Any, models: Models, catalogue: Catalogue, scale: Scale, ratings: Ratings | None) -> Any:
    """Give a recommender its fitted models, from a fit, a saved model or a cluster; return it."""
    rec.models_, rec.catalogue_, rec.scale_, rec.ratings_ = models, catalogue, scale, ratings
    rec.__dict__.pop("engine", None)
    return rec


def unfitted_models(rec: State, data: Dataset) -> tuple[Models, Ratings]:
    """Return the unfitted models for a data set, and the ratings with the columns of these models."""
    ratings, wide, room = data.ratings, with_unrated(data), check_memory("max_memory", rec.max_memory)
    ranker: Any = default_ranker(wide, room) if is_default(rec.ranker) else rec.ranker
    rater: Any = default_rater(wide.matrix, room, ranker) if is_default(rec.rater) else rec.rater
    if ranker is not None and ratings.has_no_scale:
        rater = None
    if ranker is None and ratings.feedback == "implicit" and not ratings.is_one_valued:
        message = "events have no ratings to predict: expected a ranker, such as EASE()."
        raise InputError(message, parameter="ranker", value=None)
    models = check_models(rec, ranker, rater)
    return models, wide if any(model.uses_side_info for model in models.present) else ratings


def check_models(rec: State, ranker: Any, rater: Any) -> Models:
    """Check the parameters of a recommender; return clones of the models, which are no longer "default"."""
    check_choice("by", rec.by, NAMES)
    check_flag("fill_with_popular", rec.fill_with_popular)
    check_recency(rec.recency_half_life, rec.recency_floor)
    models = Models(check_role("ranker", ranker, "score"), check_role("rater", rater, "rating"))
    if not models.present:
        raise InputError("expected a model for at least one of ranker and rater.", parameter="ranker", value=None)
    if rater is None and rec.by == "rating":
        raise no_rater()
    return Models(clone(models.ranker), clone(models.rater))


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


def is_default(model: Any) -> bool:
    """Return whether the choice of the model is left to the recommender."""
    return isinstance(model, str) and model == "default"


def with_unrated(data: Dataset) -> Ratings:
    """Return the ratings with a column for each unrated item that has genres or a year, unless most are unrated."""
    has_attributes = pl.col("year").is_not_null() | (pl.col("genres").list.len() > 0)
    rated = data.ratings.item_ids
    item_ids = pl.concat([rated.values, data.items.filter(has_attributes)["item_id"]]).unique().sort()
    # otherwise the fit would spend most of its time on unrated items
    mostly_rated = len(rated) < len(item_ids) <= 2 * len(rated)
    return data.ratings.onto(Ids(item_ids, "item")) if mostly_rated else data.ratings


def fit_model(
    model: Any, X: sp.csr_array, scale: tuple[float, float], catalogue: Catalogue, progress: Progress | None = None
) -> None:
    """Fit a model to ratings, and to the attributes of items if it uses these."""
    side_info = {"items": catalogue.attributes()} if model.uses_side_info else {}
    model.fit(X, scale=scale, progress=progress, **side_info)


def fit_notes(rec: State, models: Models, *, has_times: bool) -> Iterator[str]:
    """Yield notes on what a fit could not use: times that are missing, and a rater if all ratings are equal."""
    if rec.recency_half_life is not None and rec.ranker is not None and not has_times:
        yield NO_TIMES
    if models.rater is None and rec.rater is not None and not is_default(rec.rater):
        yield f"Events and equal ratings are not predicted: rater={shorten(rec.rater)} is not fitted."


def without_data_notes(rec: State) -> Any:
    """Return a copy without the notes on the data, which quote rows with their user ids."""
    bare, kept = copy(rec), set(fit_notes(rec, rec.models_, has_times=False))
    bare.notes_ = tuple(note for note in rec.notes_ if note in kept)
    return bare


def ratings_onto(data: Dataset | Ratings | FrameLike, item_ids: Ids, scale: Scale, feedback: Feedback) -> Ratings:
    """Return ratings with the columns and the scale of a fit, without unknown items."""
    ratings = data if isinstance(data, Ratings) else as_dataset(data).ratings
    if ratings.item_ids.type_name != item_ids.type_name:
        raise InputError(
            f"item_id is of type {ratings.item_ids.type_name}: expected {item_ids.type_name}, as in the fit."
        )
    ratings = ratings.onto(item_ids)
    values = ratings.matrix.data
    if feedback == "implicit":
        ratings = replace(ratings, declared="implicit")
    elif len(values) and not scale.low <= values.min() <= values.max() <= scale.high:
        raise InputError(f"ratings from {values.min():g} to {values.max():g}: expected {scale}, as in the fit.")
    return replace(ratings, scale=scale)


# --------------------------------------------------------------------------------------------------- default models
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
