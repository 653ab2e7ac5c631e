"""The values that models take, and the weights of ratings in the score: age, and confidence in events."""

from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import InputError, check_number
from reelated.ratings import Feedback, Ratings, Scale
from reelated.ratings.events import confidence
from reelated.ratings.matrix import canonical_csr, filtered_csr

Floats = npt.NDArray[np.float32]


def check_recency(recency_half_life: Any, recency_floor: Any) -> None:
    """Raise `InputError` for an invalid parameter of ageing."""
    if recency_half_life is not None and check_number("recency_half_life", recency_half_life, 0) == 0:
        raise InputError("expected a number of ratings above 0, or None.", parameter="recency_half_life", value=0)
    check_number("recency_floor", recency_floor, 0, 1)


def recency_weights(ages: npt.NDArray[np.int64], recency_half_life: float, recency_floor: float) -> Floats:
    """Return the weights of ratings by age: ``floor + (1 - floor) * 2 ** (-age / half_life)``."""
    return (recency_floor + (1 - recency_floor) * np.exp2(-ages / recency_half_life)).astype(np.float32)


def ages_of(times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the age of each of a user's ratings: the number of newer ones. Equal times have equal ages."""
    return len(times) - np.sort(times).searchsorted(times, side="right")


def weights_of(recommender: Any, ratings: Ratings) -> Floats | None:
    """Return the weights of all ratings; None if ratings do not age, or neither times nor an order are known."""
    ages = None if recommender.recency_half_life is None else ratings.ages()
    return None if ages is None else recency_weights(ages, recommender.recency_half_life, recommender.recency_floor)


def model_scale(scale: Scale, feedback: Feedback) -> tuple[float, float]:
    """Return the scale of the models' input values; for events, it ends at the typical weight."""
    if feedback == "explicit" or scale.high <= 0:
        return scale[:2]
    return (0.0, 1.0) if scale.low < scale.high else (1.0, 1.0)


def model_values(
    values: Floats, scale: Scale, feedback: Feedback, weights: Floats | None = None
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
    return matrix if data is matrix.data else canonical_csr(data, matrix.indices, matrix.indptr, matrix.shape)


def fit_values(ratings: Ratings) -> sp.csr_array:
    """Return the matrix that models are fitted to, without the items in which users are not interested."""
    values, wanted = model_values(ratings.matrix.data, ratings.scale, ratings.feedback)
    X = with_data(ratings.matrix, values)
    return X if wanted is None else filtered_csr(X, wanted > 0)
