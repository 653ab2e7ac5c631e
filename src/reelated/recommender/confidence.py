"""The input values of models: ratings unchanged, and the confidences of the weights of events."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.ratings import Ratings, Scale
from reelated.ratings.events import confidence

Floats = npt.NDArray[np.float32]


def model_scale(scale: Scale, feedback: Literal["explicit", "implicit"]) -> tuple[float, float]:
    """Return the scale of the input values of models; the typical weight of an event is the maximum."""
    if feedback == "explicit" or scale.high <= 0:
        return scale[:2]
    return (0.0, 1.0) if scale.low < scale.high else (1.0, 1.0)


def model_values(
    values: Floats, scale: Scale, feedback: Literal["explicit", "implicit"], weights: Floats | None = None
) -> tuple[Floats, Floats | None]:
    """Return the input values of models, and the factor of each in the score, 0 for weights below 0."""
    if feedback == "explicit" or scale.high <= 0:
        return values, weights
    chosen = confidence(values, scale.high)
    if len(values) and values.min() < 0:
        wanted = (values > 0).astype(np.float32)
        weights = wanted if weights is None else wanted * weights
    return chosen, weights


def with_data(matrix: sp.csr_array, data: Any) -> sp.csr_array:
    """Return a matrix with the same sparsity and other values."""
    if data is matrix.data:
        return matrix
    values = sp.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
    values.has_canonical_format = True
    return values


def fit_values(ratings: Ratings) -> sp.csr_array:
    """Return the matrix that models are fitted to, without the items in which users are not interested."""
    values, wanted = model_values(ratings.matrix.data, ratings.scale, ratings.feedback)
    if wanted is None:
        return with_data(ratings.matrix, values)
    kept = np.flatnonzero(wanted)
    indptr = np.concatenate([[0], np.cumsum(wanted > 0)])[ratings.matrix.indptr].astype(ratings.matrix.indptr.dtype)
    X = sp.csr_array((values[kept], ratings.matrix.indices[kept], indptr), shape=ratings.matrix.shape)
    X.has_canonical_format = True
    return X
