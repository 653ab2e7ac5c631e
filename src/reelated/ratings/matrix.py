"""`Ratings`: who rated what, and when, as one sparse users × movies matrix with its outside ids."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from reelated.errors import InputError
from reelated.ratings.ids import Ids

NO_TIME = np.iinfo(np.int64).min
"""Stands for an unknown time in `Ratings.timestamps`."""


class Scale(NamedTuple):
    """The scale on which people rate: `Scale(1, 5, 1)` for whole stars from 1 to 5."""

    low: float
    high: float
    step: float

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g} in steps of {self.step:g}"


@dataclass(frozen=True, eq=False)
class Ratings:
    """Ratings as numbers, with the ids that the numbers stand for.

    Attributes
    ----------
    user_ids, movie_ids : Ids
        Outside ids in ascending order; row `u` of `matrix` is `user_ids[u]`, column `i` is `movie_ids[i]`.
    matrix : scipy.sparse.csr_array of float32, shape (n_users, n_movies)
        Ratings; columns ascend within a row, no duplicates. A stored zero is a rating.
    scale : Scale
        Lowest and highest possible rating and the step between.
    timestamps : ndarray of int64, shape (n_ratings,), optional
        Seconds since 1970 beside `matrix.data`; `NO_TIME` where unknown.
    order : ndarray of int64, shape (n_ratings,), optional
        Where times are missing: the place of a rating in its user's history, the oldest lowest.
    """

    user_ids: Ids
    movie_ids: Ids
    matrix: sp.csr_array
    scale: Scale
    timestamps: npt.NDArray[np.int64] | None = None
    order: npt.NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        if self.matrix.shape != (len(self.user_ids), len(self.movie_ids)):
            raise InputError(
                f"matrix of shape {self.matrix.shape}: expected {len(self.user_ids)} users × {len(self.movie_ids)} "
                "movies, as many as there are ids."
            )

    def __len__(self) -> int:
        return int(self.matrix.nnz)

    def __repr__(self) -> str:
        return (
            f"Ratings: {len(self):,} ratings by {len(self.user_ids):,} users of {len(self.movie_ids):,} movies, "
            f"{self.scale}"
        )

    @property
    def density(self) -> float:
        """The share of all user–movie pairs that are rated."""
        return len(self) / (self.matrix.shape[0] * self.matrix.shape[1])

    def row(self, user_index: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Return one user's movie numbers and ratings.

        Parameters
        ----------
        user_index : int
            The row of `matrix`.

        Returns
        -------
        indices : ndarray of int32
            Movie numbers, ascending.
        ratings : ndarray of float32
        """
        start, stop = self.matrix.indptr[user_index : user_index + 2]
        return self.matrix.indices[start:stop], self.matrix.data[start:stop]

    def to_polars(self) -> pl.DataFrame:
        """Return the ratings as a table `user_id movie_id rating [timestamp] [order]`, by user and movie."""
        users = np.repeat(np.arange(self.matrix.shape[0]), np.diff(self.matrix.indptr))
        table: dict[str, Any] = {
            "user_id": self.user_ids.take(users),
            "movie_id": self.movie_ids.take(self.matrix.indices),
            "rating": self.matrix.data,
        }
        if self.timestamps is not None:
            table["timestamp"] = pl.Series(self.timestamps).replace(NO_TIME, None)
        if self.order is not None:
            table["order"] = self.order
        return pl.DataFrame(table)
