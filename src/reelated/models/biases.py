"""Item and user biases, residuals, and the rating scale."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import InputError, check_number

Numbers = npt.NDArray[np.float64]


class Biases(NamedTuple):
    """The offset that ratings are compared with: `items[i]` plus the user's bias."""

    items: Numbers
    reg_user: float | None  # a user's bias is Σ(r − items) / (reg_user + number of ratings); None: no user biases
    empty: float = 0.0  # the bias of a user without ratings; NaN if it is undefined

    def of_users(self, X: sp.csr_array) -> Numbers:
        """Return the bias of each user, computed from the user's row alone."""
        if self.reg_user is None:
            return np.zeros(X.shape[0])
        means = row_means(X, X.data - self.items[X.indices], self.reg_user)
        means[np.diff(X.indptr) == 0] = self.empty
        return means

    def residuals(self, X: sp.csr_array, dtype: Any) -> sp.csr_array:
        """Return the ratings minus both biases, with the same sparsity."""
        users = np.repeat(self.of_users(X), np.diff(X.indptr))
        data = (X.data - (self.items[X.indices] + users)).astype(dtype)
        return sp.csr_array((data, X.indices, X.indptr), shape=X.shape)


def row_means(X: sp.csr_array, values: npt.NDArray[Any], reg: float) -> Numbers:
    """Return Σ values / (reg + count) for each row; 0 for an empty one."""
    # bincount adds in order, so a row gives the same bits alone and in a batch
    counts = np.diff(X.indptr)
    rows = np.repeat(np.arange(X.shape[0]), counts)
    return regularized_means(np.bincount(rows, weights=values, minlength=X.shape[0]), counts, reg)


def column_means(X: sp.csr_array, values: npt.NDArray[Any], reg: float) -> Numbers:
    """Return Σ values / (reg + count) for each column; 0 for an empty one."""
    counts = np.bincount(X.indices, minlength=X.shape[1])
    return regularized_means(np.bincount(X.indices, weights=values, minlength=X.shape[1]), counts, reg)


def regularized_means(sums: npt.NDArray[Any], counts: npt.NDArray[Any], reg: float) -> Numbers:
    """Return ``sums / (reg + counts)``; 0 where a count is 0."""
    return np.divide(sums, reg + counts, out=np.zeros(len(sums)), where=counts > 0)


def check_bounds(scale: Any) -> tuple[float, float]:
    """Return the lowest and highest possible rating of a caller's `scale`, or raise `InputError`."""
    try:
        low, high = scale
    except (TypeError, ValueError):
        raise InputError("expected (low, high), such as (1, 5).", parameter="scale", value=scale) from None
    low = check_number("scale low", low)
    return low, check_number("scale high", high, low)


def clipped(ratings: npt.NDArray[Any], scale: tuple[float, float]) -> Numbers:
    """Clip predicted ratings to the scale and round them to six decimals."""
    values: Numbers = ratings.clip(*scale)
    return values.round(6, out=values)
