"""What a rating is measured against: the biases of items and users, and the scale."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import InputError, check_number

Numbers = npt.NDArray[np.float64]


class Biases(NamedTuple):
    """What is expected of a rating before any neighbour is looked at: `items[i]` plus the person's own offset.

    Attributes
    ----------
    items : ndarray of float64, shape (n_items,)
        The part that belongs to the item.
    reg_user : float or None
        A person's part is the sum of what they gave beyond `items`, over `reg_user` + their number of ratings;
        None: people have no part.
    empty : float
        The part of a person without ratings; NaN where nothing can be said of them.
    """

    items: Numbers
    reg_user: float | None
    empty: float = 0.0

    def of_users(self, X: sp.csr_array) -> Numbers:
        """Return the part that belongs to each person, from their row alone."""
        if self.reg_user is None:
            return np.zeros(X.shape[0])
        means = row_means(X, X.data - self.items[X.indices], self.reg_user)
        means[np.diff(X.indptr) == 0] = self.empty
        return means

    def residuals(self, X: sp.csr_array, dtype: Any) -> sp.csr_array:
        """Return the ratings less both parts, in the same places."""
        users = np.repeat(self.of_users(X), np.diff(X.indptr))
        data = (X.data - (self.items[X.indices] + users)).astype(dtype)
        return sp.csr_array((data, X.indices, X.indptr), shape=X.shape)


def row_means(X: sp.csr_array, values: npt.NDArray[Any], reg: float) -> Numbers:
    """Return Σ values / (reg + count) for each row; 0 for an empty one. Sums run in order, alone or in a batch."""
    counts = np.diff(X.indptr)
    rows = np.repeat(np.arange(X.shape[0]), counts)
    return _mean(np.bincount(rows, weights=values, minlength=X.shape[0]), counts, reg)


def column_means(X: sp.csr_array, values: npt.NDArray[Any], reg: float) -> Numbers:
    """Return Σ values / (reg + count) for each column; 0 for an empty one."""
    counts = np.bincount(X.indices, minlength=X.shape[1])
    return _mean(np.bincount(X.indices, weights=values, minlength=X.shape[1]), counts, reg)


def _mean(sums: npt.NDArray[Any], counts: npt.NDArray[Any], reg: float) -> Numbers:
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
    """Return predicted ratings as they are shown: clipped to the scale, with six decimals."""
    shown = np.clip(ratings, *scale)
    return np.round(shown, 6, out=shown)


def observed(X: sp.csr_array) -> tuple[float, float]:
    """Return the lowest and highest rating of a matrix."""
    return (float(X.data.min()), float(X.data.max())) if X.nnz else (0.0, 0.0)
