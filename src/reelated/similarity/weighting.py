"""Weightings of ratings before a fit, and degree normalisation of rows; sparse in, sparse out."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import InputError

Weighting = Literal["tf-idf", "bm25"]


def weighted(
    values: sp.csr_array, weighting: Weighting | None, lengths: npt.NDArray[np.float64] | None = None
) -> sp.csr_array:
    """Weight ratings, with items as documents and users as terms; None returns them unchanged.

    "tf-idf": ``r · (ln((1 + N) / (1 + n_u)) + 1)``, `N` items, `n_u` ratings of the user (the smooth form of
    scikit-learn). "bm25": ``r (k + 1) / (r + k (1 − b + b · l_i / l̄)) · ln(1 + (N − n_u + ½) / (n_u + ½))`` with `k` =
    1.2, `b` = 0.75 and `l_i` the sum of the item's ratings (Robertson & Zaragoza 2009, §3.1 and §3.4). If `values`
    holds only some of the users, pass `lengths`, the `l_i` over all users.
    """
    if weighting is None:
        return values
    if values.nnz and values.data.min() < 0:
        raise InputError(
            f"expected no rating below 0, got {values.data.min():g}.", parameter="weighting", value=weighting
        )
    n_items, seen = values.shape[1], np.diff(values.indptr)
    if weighting == "tf-idf":
        idf = np.log((1 + n_items) / (1 + seen)) + 1
        data = values.data
    else:
        idf = np.log1p((n_items - seen + 0.5) / (seen + 0.5))
        length = np.bincount(values.indices, values.data, n_items) if lengths is None else lengths
        norm = 1.2 * (0.25 + 0.75 * length / max(length.mean(), 1e-300))
        data = values.data * 2.2 / (values.data + norm[values.indices])
    data = (data * np.repeat(idf, seen)).astype(values.dtype)
    return sp.csr_array((data, values.indices, values.indptr), shape=values.shape)


def degree_factors(
    degrees: npt.NDArray[np.integer[Any]], exponent: float, mean: float | None = None
) -> npt.NDArray[np.float64]:
    """Return ``(n / n̄) ** −exponent``; a degree of 0 counts as 1.

    `n̄` is the mean of the degrees above 0, or `mean` if `degrees` covers only some of the users. Degrees are relative
    to their mean, so that the same `l2` fits.
    """
    if mean is None:
        rated = degrees[degrees > 0]
        mean = rated.mean() if len(rated) else 1.0
    relative = np.maximum(degrees, 1) / mean
    factors: npt.NDArray[np.float64] = relative**-exponent
    return factors


def normalize_users(values: sp.csr_array, exponent: float, mean: float | None = None) -> sp.csr_array:
    """Multiply each row by its degree factor; 0 returns the matrix unchanged."""
    if exponent == 0:
        return values
    lengths = np.diff(values.indptr)
    data = (values.data * np.repeat(degree_factors(lengths, exponent, mean), lengths)).astype(values.dtype)
    return sp.csr_array((data, values.indices, values.indptr), shape=values.shape)


def normalize_items(weights: sp.csr_array, degrees: npt.NDArray[np.integer[Any]], exponent: float) -> sp.csr_array:
    """Multiply each row of item weights by the degree factor of its item; 0 returns the matrix unchanged."""
    if exponent == 0:
        return weights
    factors = degree_factors(degrees, exponent).astype(weights.dtype)
    data = weights.data * np.repeat(factors, np.diff(weights.indptr))
    return sp.csr_array((data, weights.indices, weights.indptr), shape=weights.shape)
