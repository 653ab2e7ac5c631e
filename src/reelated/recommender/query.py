"""`Query`: the user of a request, as one row of ratings."""

import warnings
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import Advice, DataWarning, InputError, UnknownId, check_number, shorten, unknown_user
from reelated.ratings import Ids
from reelated.ratings.matrix import as_decimals
from reelated.recommender.catalogue import check_list
from reelated.recommender.engine import WeightedRows
from reelated.recommender.state import State
from reelated.recommender.weights import ages_of, model_values, recency_weights


class Query(NamedTuple):
    """The user of a request: `unknown` items are not in the model; a new user was not in the data of the fit."""

    row: sp.csr_array
    user_id: Any = None
    weights: npt.NDArray[np.float32] | None = None
    unknown: tuple[Any, ...] = ()
    is_new: bool = False

    @property
    def rows(self) -> WeightedRows:
        return WeightedRows(self.row, self.weights, self.is_new)

    @property
    def mean(self) -> float:
        ratings = self.row.data
        return float(ratings.sum(dtype=np.float64) / len(ratings)) if len(ratings) else 0.0

    def rating_of(self, item: int) -> float | None:
        at = np.searchsorted(self.row.indices, item)
        return float(as_decimals(self.row.data[at])) if at < self.row.nnz and self.row.indices[at] == item else None

    def without(self, item: int) -> "Query":
        """Return a copy without the rating of an item."""
        keep = self.row.indices != item
        row = one_row(self.row.indices[keep], self.row.data[keep], self.row.shape[1])
        return self._replace(row=row, weights=None if self.weights is None else self.weights[keep])


def one_row(items: Any, ratings: Any, n_items: int) -> sp.csr_array:
    """Return a users × items matrix of one user; `items` ascend."""
    row = sp.csr_array.__new__(sp.csr_array)  # the constructor takes as long as computing a list
    own = {"indptr": np.array([0, len(items)], np.int32), "indices": np.asarray(items, np.int32), "data": ratings}
    row.__dict__ = _no_row(n_items).__dict__ | own
    return row


@cache
def _no_row(n_items: int) -> sp.csr_array:
    row = sp.csr_array((1, n_items), dtype=np.float32)
    row.has_canonical_format = True
    return row


def query_of(rec: State, user_id: Any, ratings: Any, items: Any = None) -> Query:
    """Return the user of a request: a user of the data, or a new one with ratings or items."""
    if isinstance(ratings, Query):
        return ratings
    if [user_id, ratings, items].count(None) != 2:
        raise InputError(
            "Pass one of user_id=… (a user of the data), and ratings={item_id: rating} or items=[…] (a new user)."
        )
    if user_id is not None:
        return query_of_user(rec.kept_ratings().user_ids, user_id, rec.engine.all_users)
    if items is not None:
        ratings = dict.fromkeys(check_list("items", items), rec.scale_.high)
    return query_of_ratings(ratings, rec)


def warned_query(rec: State, user_id: Any, ratings: Any, items: Any = None) -> Query:
    """Return the query of a prediction or an explanation; a warning names the unknown items."""
    query = query_of(rec, user_id, ratings, items)
    if query.unknown:
        listed = ", ".join(map(shorten, query.unknown[:10]))
        warnings.warn(f"ratings: left out items not in the model: {listed}.", DataWarning, stacklevel=3)
    return query


def query_of_user(user_ids: Ids, user_id: Any, everyone: WeightedRows) -> Query:
    """Return a user of the data; `everyone` are the rows of all users."""
    try:
        index = user_ids.index_of(user_id)
    except UnknownId:
        raise unknown_user(user_id, Advice.NEW_USER) from None
    matrix = everyone.matrix
    part = slice(*matrix.indptr[index : index + 2])
    own = None if everyone.weights is None else everyone.weights[part]
    return Query(one_row(matrix.indices[part], matrix.data[part], matrix.shape[1]), user_ids[index], own)


def query_of_profile(
    items: npt.NDArray[Any],
    ratings: npt.NDArray[np.float32],
    times: npt.NDArray[np.int64] | None,
    user_id: Any,
    rec: State,
    *,
    is_new: bool,
) -> Query:
    """Return a user from ratings that are stored elsewhere: ascending item indices, ratings and times."""
    half_life, weights = rec.recency_half_life, None
    if half_life is not None and times is not None:
        weights = recency_weights(ages_of(times), half_life, rec.recency_floor)
    values, weights = model_values(ratings, rec.scale_, rec.feedback_, weights)
    query = Query(one_row(items, values, len(rec.fitted.item_ids)), user_id, weights, is_new=is_new)
    return query._replace(row=rec.engine.checked(query.rows).matrix)


def query_of_ratings(ratings: Any, rec: State) -> Query:
    """Return a new user with these ratings or weights; items that the model does not know are left out."""
    if not isinstance(ratings, Mapping):
        raise InputError("expected a mapping such as {50: 5, 172: 4}.", parameter="ratings", value=ratings)
    catalogue, scale, feedback = rec.fitted, rec.scale_, rec.feedback_
    row, unknown = {}, []
    ends = (scale.low, scale.high) if feedback == "explicit" else ()
    for item_id, rating in ratings.items():
        value = check_number("ratings", rating, *ends, key=item_id)
        column = catalogue.column_of(item_id, "ratings")
        if column is None:
            unknown.append(item_id)
        elif feedback == "explicit" or value != 0:
            row[column] = value
    items = np.array(sorted(row), np.int32)
    values, weights = model_values(np.array([row[i] for i in sorted(row)], np.float32), scale, feedback)
    return Query(one_row(items, values, len(catalogue.item_ids)), weights=weights, unknown=tuple(unknown), is_new=True)
