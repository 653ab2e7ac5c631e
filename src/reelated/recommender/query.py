"""`Query`: the user of a request, as one row of ratings."""

from collections.abc import Mapping
from copy import copy
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import Advice, InputError, UnknownId, check_number, unknown_user
from reelated.ratings import Ratings, Scale
from reelated.ratings.matrix import as_decimals
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.engine import WeightedRows
from reelated.recommender.recency import ages_of, recency_weights


class Query(NamedTuple):
    """The user of a request.

    Attributes
    ----------
    row : csr_array, shape (1, n_items)
        Their ratings.
    user_id : int, str or None
        Their id, if known.
    weights : ndarray of float32 or None
        The factor of each rating in the score; None: all 1.
    unknown : tuple
        Ids of rated items that the model does not know.
    """

    row: sp.csr_array
    user_id: Any = None
    weights: npt.NDArray[np.float32] | None = None
    unknown: tuple[Any, ...] = ()

    @property
    def rows(self) -> WeightedRows:
        """The row and its weights; a user without an id is new."""
        return WeightedRows(self.row, self.weights, are_new=self.user_id is None)

    @property
    def mean(self) -> float:
        """The mean rating."""
        return float(self.row.data.mean(dtype=np.float64)) if self.row.nnz else 0.0

    def rating_of(self, item: int) -> float | None:
        """Return the rating of an item, or None."""
        at = np.searchsorted(self.row.indices, item)
        return float(as_decimals(self.row.data[at])) if at < self.row.nnz and self.row.indices[at] == item else None

    def without(self, item: int) -> "Query":
        """Return a copy without the rating of an item."""
        keep = self.row.indices != item
        row = one_row(self.row.indices[keep], self.row.data[keep], self.row.shape[1])
        return self._replace(row=row, weights=None if self.weights is None else self.weights[keep])


def one_row(items: Any, ratings: Any, n_items: int) -> sp.csr_array:
    """Return a users × items matrix of one user; `items` ascend."""
    row = copy(_no_row(n_items))  # SciPy looks at a new one longer than an answer can spare
    row.indptr, row.indices, row.data = np.array([0, len(items)], np.int32), np.asarray(items, np.int32), ratings
    return row


@cache
def _no_row(n_items: int) -> sp.csr_array:
    row = sp.csr_array((1, n_items), dtype=np.float32)
    row.has_canonical_format = True
    return row


def query_of_user(kept: Ratings, user_id: Any, weights: npt.NDArray[np.float32] | None) -> Query:
    """Return a user of the data; `weights` are those of all ratings."""
    try:
        index = kept.user_ids.index_of(user_id)
    except UnknownId:
        raise unknown_user(user_id, Advice.NEW_USER) from None
    own = None if weights is None else weights[slice(*kept.matrix.indptr[index : index + 2])]
    return Query(one_row(*kept.row(index), len(kept.item_ids)), kept.user_ids[index], own)


def query_of_profile(
    items: npt.NDArray[Any],
    ratings: npt.NDArray[np.float32],
    times: npt.NDArray[np.int64] | None,
    user_id: Any,
    recommender: Any,
) -> Query:
    """Return a user whose ratings are kept elsewhere, as ascending indices of items, ratings and times."""
    half_life, weights = recommender.recency_half_life, None
    if half_life is not None and times is not None:
        weights = recency_weights(ages_of(times), half_life, recommender.recency_floor)
    return Query(one_row(items, ratings, len(recommender.item_ids)), user_id, weights)


def query_of_ratings(ratings: Any, catalogue: Catalogue, scale: Scale) -> Query:
    """Return a new user with these ratings; items that the model does not know are left out."""
    if not isinstance(ratings, Mapping):
        raise InputError("expected a mapping such as {50: 5, 172: 4}.", parameter="ratings", value=ratings)
    row, unknown = {}, []
    for item_id, rating in ratings.items():
        value = check_number("ratings", rating, scale.low, scale.high, key=item_id)
        column = catalogue.column_of(item_id, "ratings")
        if column is None:
            unknown.append(item_id)
        else:
            row[column] = value
    items = np.array(sorted(row), np.int32)
    values = np.array([row[i] for i in sorted(row)], np.float32)
    return Query(one_row(items, values, len(catalogue.item_ids)), unknown=tuple(unknown))
