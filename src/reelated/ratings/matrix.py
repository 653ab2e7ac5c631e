"""`Ratings`: a sparse users × items matrix of ratings with timestamps and external ids."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from reelated.errors import InputError, plural
from reelated.ratings.ids import Ids

Feedback = Literal["explicit", "implicit"]
"""Explicit feedback is ratings; implicit feedback is events such as purchases, likes or visits."""
NO_TIME = np.iinfo(np.int64).min
"""The value of an unknown time in `Ratings.timestamps`."""


class Scale(NamedTuple):
    """The rating scale: `Scale(1, 5, 1)` for whole stars from 1 to 5."""

    low: float
    high: float
    step: float

    def feedback(self, is_one_valued: bool) -> Feedback:
        """Return the kind of feedback for ratings on this scale; see `Ratings.feedback`.

        Parameters
        ----------
        is_one_valued : bool
            Whether all ratings are equal.
        """
        has_other_values = self.low != self.high and not (self.low == 0 and self.step >= self.high)
        return "explicit" if has_other_values or not is_one_valued else "implicit"

    def covers(self, rating: pl.Expr) -> pl.Expr:
        """Return whether ratings are on the scale; they are compared in float32, the type in which they are stored.

        Parameters
        ----------
        rating : polars.Expr
            The ratings.
        """
        low, high = (pl.lit(bound, pl.Float32) for bound in (self.low, self.high))
        return rating.cast(pl.Float32).is_between(low, high)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g} in steps of {self.step:g}"


def as_decimals(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Convert float32 ratings to the float64 of their shortest decimal form: 4.3, not 4.300000190734863."""
    exact = values.astype(np.float64)
    doubled = 2 * exact
    is_half = (np.rint(doubled) == doubled) & (np.abs(exact) < 2**20)
    return exact if is_half.all() else values.astype(str).astype(np.float64)  # fast path: halves are exact


def canonical_csr(data: Any, indices: Any, indptr: Any, shape: tuple[int, int]) -> sp.csr_array:
    """Return a matrix whose columns ascend in each row without duplicates, which SciPy then does not check."""
    matrix = sp.csr_array((data, indices, indptr), shape=shape)
    matrix.has_canonical_format = True
    return matrix


def filtered_csr(matrix: sp.csr_array, kept: npt.NDArray[np.bool_]) -> sp.csr_array:
    """Return a canonical matrix with only the entries that a mask of its data keeps."""
    indptr = np.concatenate([[0], np.cumsum(kept)])[matrix.indptr].astype(matrix.indptr.dtype)
    return canonical_csr(matrix.data[kept], matrix.indices[kept], indptr, matrix.shape)


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings as a sparse matrix, with the external ids of its rows and columns.

    Attributes
    ----------
    user_ids, item_ids : Ids
        External ids in ascending order; row `u` of `matrix` is `user_ids[u]`, column `i` is `item_ids[i]`.
    matrix : scipy.sparse.csr_array of float32, shape (n_users, n_items)
        Ratings; columns ascend within a row, no duplicates. A stored zero is a rating.
    scale : Scale
        Lowest and highest possible rating and the step between.
    timestamps : ndarray of int64, shape (n_ratings,), optional
        Seconds since 1970, parallel to `matrix.data`; `NO_TIME` where unknown.
    order : ndarray of int64, shape (n_ratings,), optional
        The position of each rating in its user's history, the oldest first; used instead of timestamps.
    scale_observed : bool
        Whether the scale is only the observed range, so that later ratings may lie outside it.
    declared : {"explicit", "implicit"}, optional
        The kind of feedback; by default from the values. With implicit feedback `matrix` holds the weights of events,
        such as numbers of plays. A weight below 0 means "not interested"; the scale ends at the median weight.
    """

    user_ids: Ids
    item_ids: Ids
    matrix: sp.csr_array
    scale: Scale
    timestamps: npt.NDArray[np.int64] | None = None
    order: npt.NDArray[np.int64] | None = None
    scale_observed: bool = False
    declared: Feedback | None = None

    def __post_init__(self) -> None:
        if self.matrix.shape != (len(self.user_ids), len(self.item_ids)):
            raise InputError(
                f"matrix of shape {self.matrix.shape}: expected {len(self.user_ids)} users × {len(self.item_ids)} "
                "items, as many as there are ids."
            )

    def __len__(self) -> int:
        return int(self.matrix.nnz)

    def __repr__(self) -> str:
        size = f"{plural(len(self.user_ids), 'user')} of {plural(len(self.item_ids), 'item')}"
        scale = "" if self.declared == "implicit" else f", {self.scale}"
        return f"Ratings: {plural(len(self), self.word)} by {size}{scale}"

    @property
    def word(self) -> str:
        """The word for a stored value: "rating", or "interaction" for events."""
        return "interaction" if self.declared == "implicit" else "rating"

    @property
    def density(self) -> float:
        """The share of all user–item pairs that have a rating."""
        return len(self) / (self.matrix.shape[0] * self.matrix.shape[1])

    @property
    def is_one_valued(self) -> bool:
        """Whether all ratings are equal, so that a predicted rating would carry no information."""
        values = self.matrix.data
        return len(values) > 0 and bool(values.min() == values.max())

    @property
    def has_no_scale(self) -> bool:
        """Whether no rating can be predicted or liked: the data are events, or all ratings are equal."""
        return self.is_one_valued or self.feedback == "implicit"

    @property
    def feedback(self) -> Feedback:
        """As declared; otherwise implicit if all ratings are equal and the scale has no other value except 0."""
        return self.declared or self.scale.feedback(self.is_one_valued)

    def row(self, user_index: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return the item numbers and ratings of one user.

        Parameters
        ----------
        user_index : int
            The row of `matrix`.

        Returns
        -------
        indices : ndarray of int32
            Item numbers, ascending.
        ratings : ndarray of float32
        """
        start, stop = self.matrix.indptr[user_index : user_index + 2]
        return self.matrix.indices[start:stop], self.matrix.data[start:stop]

    @property
    def times(self) -> npt.NDArray[np.int64] | None:
        """The array that orders a user's ratings by age: `order` or `timestamps`, if complete; otherwise None."""
        if self.order is not None and (self.order >= 0).all():
            return self.order
        if self.timestamps is not None and (self.timestamps != NO_TIME).all():
            return self.timestamps
        return None

    def ages(self) -> npt.NDArray[np.int64] | None:
        """Return for each rating how many later ratings the same user has, parallel to `matrix.data`.

        Returns
        -------
        ndarray of int64, shape (n_ratings,), or None if neither times nor an order are known
        """
        times = self.times
        if times is None:
            return None
        users = self.user_indices()
        by_time = np.lexsort((times, users))
        users, times = users[by_time], times[by_time]
        last = np.flatnonzero(np.append((np.diff(users) != 0) | (np.diff(times) != 0), True)[: len(users)])
        last_at_time = last[np.searchsorted(last, np.arange(len(users)))]  # ratings of the same time have equal ages
        ages = np.empty(len(users), np.int64)
        ages[by_time] = self.matrix.indptr[users + 1] - 1 - last_at_time
        return ages

    def onto(self, item_ids: Ids) -> "Ratings":
        """Return the same users' ratings with the columns of another list of items; other items are left out.

        Parameters
        ----------
        item_ids : Ids
            The items of the columns.
        """
        if item_ids is self.item_ids:
            return self
        columns = item_ids.indices_of(self.item_ids.values)[self.matrix.indices]
        known = np.flatnonzero(columns >= 0)  # ids ascend in both lists, and so do the columns of a row
        n_users = self.matrix.shape[0]
        indptr = np.concatenate([[0], np.cumsum(np.bincount(self.user_indices()[known], minlength=n_users))])
        matrix = canonical_csr(self.matrix.data[known], columns[known], indptr, (n_users, len(item_ids)))
        timestamps, order = (None if values is None else values[known] for values in (self.timestamps, self.order))
        return Ratings(self.user_ids, item_ids, matrix, self.scale, timestamps, order, declared=self.declared)

    def user_indices(self) -> npt.NDArray[np.int64]:
        """Return the user number of each rating, parallel to `matrix.data`.

        Returns
        -------
        ndarray of int64, shape (n_ratings,)
        """
        return np.repeat(np.arange(self.matrix.shape[0]), np.diff(self.matrix.indptr))

    def to_polars(self) -> pl.DataFrame:
        """Return the ratings as a table `user_id item_id rating [timestamp] [order]`, by user and item."""
        table: dict[str, Any] = {
            "user_id": self.user_ids.take(self.user_indices()),
            "item_id": self.item_ids.take(self.matrix.indices),
            "rating": self.matrix.data,
        }
        if self.timestamps is not None:
            table["timestamp"] = pl.Series(self.timestamps).replace(NO_TIME, None)
        if self.order is not None:
            table["order"] = self.order
        return pl.DataFrame(table)
