"""`Baseline`: what a rating would be from the generosity of the person and the standing of the item alone."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from sklearn.base import BaseEstimator

from reelated.errors import InputError, check_integer, check_number, shorten
from reelated.models.rows import check_pairs, check_rows

Numbers = npt.NDArray[np.float64]


class Offsets(NamedTuple):
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


class Baseline(BaseEstimator):
    """Predict a rating as `μ + b_i + b_u`: the mean, the item's bias and the person's.

    The biases are regularised means, alternated: ``b_i = Σ(r − μ − b_u) / (reg_item + n_i)``, then
    ``b_u = Σ(r − μ − b_i) / (reg_user + n_u)`` (Koren 2010, "Factor in the Neighbors", §2.1). A person's bias is
    made from the row at hand, so that newcomers need no refit.

    Parameters
    ----------
    reg_user, reg_item : float, default 12.0 and 1.0
        How many ratings at the average each person and item is taken to have beside their own.
    n_iterations : int, default 10
        Rounds of alternation.

    Attributes
    ----------
    mean_ : float
        μ, the mean rating.
    item_bias_ : ndarray of float64, shape (n_items,)
        b_i.
    scale_ : tuple of float
        The lowest and the highest rating; predictions are cut to them.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.array([[5, 3, 0], [4, 0, 1]])
    >>> Baseline(reg_user=0, reg_item=0).fit(X).predict_pairs(X, [0, 1], [2, 1])
    array([1.99..., 2.00...])
    """

    def __init__(self, *, reg_user: float = 12.0, reg_item: float = 1.0, n_iterations: int = 10) -> None:
        self.reg_user = reg_user
        self.reg_item = reg_item
        self.n_iterations = n_iterations

    def fit(self, X: Any, y: Any = None, *, scale: tuple[float, float] | None = None) -> "Baseline":
        """Learn the mean and the biases of the items.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_users, n_items)
            Ratings.
        y : ignored
            For scikit-learn's sake.
        scale : (low, high), optional
            Lowest and highest possible rating; by default those seen.

        Returns
        -------
        Baseline
            This estimator.
        """
        reg_user = check_number("reg_user", self.reg_user, 0)
        reg_item = check_number("reg_item", self.reg_item, 0)
        rounds = check_integer("n_iterations", self.n_iterations, 1)
        X = check_rows(self, X, fitting=True)
        self.scale_ = observed(X) if scale is None else check_bounds(scale)
        self.mean_ = float(X.data.mean(dtype=np.float64)) if X.nnz else 0.0
        beyond, users = X.data.astype(np.float64) - self.mean_, np.zeros(X.nnz)
        for _ in range(rounds):
            self.item_bias_ = column_means(X, beyond - users, reg_item)
            users = np.repeat(row_means(X, beyond - self.item_bias_[X.indices], reg_user), np.diff(X.indptr))
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    @property
    def offsets(self) -> Offsets:
        """The learned parts, as the other models use them."""
        return Offsets(self.mean_ + self.item_bias_, float(self.reg_user))

    def predict_pairs(self, X: Any, rows: Any, items: Any) -> Numbers:
        """Return the predicted ratings of pairs.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_users, n_items)
            Ratings of the people asked about.
        rows, items : array of int, shape (n_pairs,)
            Numbers of rows of `X` and of items.

        Returns
        -------
        ndarray of float64, shape (n_pairs,)
        """
        X = check_rows(self, X)
        rows, items = check_pairs(X, rows, items)
        return np.clip(self.offsets.items[items] + self.offsets.of_users(X)[rows], *self.scale_).round(6)


def check_bounds(scale: Any) -> tuple[float, float]:
    """Return the lowest and highest possible rating of a caller's `scale`, or raise `InputError`."""
    try:
        low, high = scale
    except (TypeError, ValueError):
        raise InputError(f"scale={shorten(scale)}: expected (low, high), such as (1, 5).") from None
    low = check_number("scale low", low)
    return low, check_number("scale high", high, low)


def observed(X: sp.csr_array) -> tuple[float, float]:
    """Return the lowest and highest rating of a matrix."""
    return (float(X.data.min()), float(X.data.max())) if X.nnz else (0.0, 0.0)
