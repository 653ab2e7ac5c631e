"""Degree normalisation: powers of the number of ratings of a user or an item, relative to the mean."""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp


def degree_factors(
    degrees: npt.NDArray[np.integer[Any]], exponent: float, mean: float | None = None
) -> npt.NDArray[np.float64]:
    """Return ``(n / n̄) ** −exponent``: relative degrees, so that the same `l2` fits; a degree of 0 counts as 1.

    `n̄` is the mean of the degrees above 0, or `mean` where only some of the users are here.
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
