"""The models of a `Recommender`: the default ones, the check of given ones, the items they know, and their fit."""

from typing import Any

import polars as pl
import scipy.sparse as sp

from reelated.errors import InputError
from reelated.models import BPMF, EASE, MODELS, ItemKNN
from reelated.models.contracts import By
from reelated.parallel import Progress
from reelated.ratings import Dataset, Ids, Ratings
from reelated.recommender.catalogue import Catalogue

ROOM = 5_000_000_000
"""The most bytes that a default model may take where no `max_memory` is given."""
MANY = 3_000_000
"""More ratings than this, and drawing a BPMF takes minutes."""


def default_ranker(X: sp.csr_array, room: int | None) -> EASE | ItemKNN:
    """Return the model that ranks: `EASE`, or neighbours where its square of all items does not fit."""
    ranker = EASE()
    if ranker.plan(X) <= (room or ROOM):
        return ranker
    return neighbor_ranker(float(X.data.min(initial=0)))


def default_rater(X: sp.csr_array, room: int | None, ranker: Any) -> BPMF | ItemKNN:
    """Return the model that predicts ratings: `BPMF`, or neighbours where it would take long or nothing ranks."""
    rater = BPMF()
    if ranker is not None and X.nnz <= MANY and rater.plan(X) <= (room or ROOM):
        return rater
    return neighbor_rater()


def neighbor_ranker(lowest: float) -> ItemKNN:
    """Return the neighbours that rank large data whose lowest rating is this."""
    return ItemKNN(weighting="tf-idf" if lowest >= 0 else None, n_neighbors=200, shrinkage=10)


def neighbor_rater() -> ItemKNN:
    """Return the neighbours that predict the ratings of large data."""
    return ItemKNN("residual-cosine", n_neighbors=200, max_neighbors_used=30, shrinkage=100, prior_weight=0.05)


def with_unrated(data: Dataset) -> Ratings:
    """Return the ratings with a column for every item of which genres or a year are known, rated or not.

    Where most items of the catalogue have no ratings, these are left out: the work would be for them.
    """
    told = data.items.filter(pl.col("year").is_not_null() | (pl.col("genres").list.len() > 0))["item_id"]
    rated = data.ratings.item_ids
    item_ids = pl.concat([rated.values, told]).unique().sort()
    few = len(rated) < len(item_ids) <= 2 * len(rated)
    return data.ratings.onto(Ids(item_ids, "item")) if few else data.ratings


def fit_model(
    model: Any, X: sp.csr_array, scale: tuple[float, float], catalogue: Catalogue, progress: Progress | None = None
) -> Any:
    """Fit a model to ratings, and to what is known of the items where it can borrow from that; return it."""
    known = {"items": catalogue.attributes()} if model.uses_side_info else {}
    return model.fit(X, scale=scale, progress=progress, **known)


def no_rater() -> InputError:
    """Return the error for a predicted rating from a recommender without a rater."""
    expected = "this model predicts no ratings: those of its data are all equal, or it was fitted without a rater."
    return InputError(expected, parameter="by", value="rating", remedy="List by score.")


def check_role(name: str, model: Any, number: By) -> Any:
    """Return a model that computes a number, or raise `InputError`; None is returned unchanged."""
    numbers = () if isinstance(model, type) else getattr(model, "numbers", ())
    if model is None or number in numbers:
        return model
    if not numbers:
        raise InputError("expected a model such as EASE() or ItemKNN(), or 'default'.", parameter=name, value=model)
    classes: Any = MODELS.values()
    able = ", ".join(f"{cls.__name__}()" for cls in classes if number in cls.numbers)
    lacks = "scores no items" if number == "score" else "predicts no ratings"
    raise InputError(f"{type(model).__name__} {lacks}.", parameter=name, value=model, remedy=f"Expected one of {able}.")
