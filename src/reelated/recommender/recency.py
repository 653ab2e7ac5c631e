"""Weights of ratings by age: recent ratings count more in the score."""

from typing import Any

import numpy as np
import numpy.typing as npt

from reelated.errors import InputError, check_number
from reelated.ratings import Ratings


def check_recency(recency_half_life: Any, recency_floor: Any) -> tuple[float | None, float]:
    """Return the checked parameters of ageing, or raise `InputError`."""
    if recency_half_life is not None and check_number("recency_half_life", recency_half_life, 0) == 0:
        raise InputError("expected a number of ratings above 0, or None.", parameter="recency_half_life", value=0)
    return recency_half_life, check_number("recency_floor", recency_floor, 0, 1)


def recency_weights(
    ages: npt.NDArray[np.int64], recency_half_life: float, recency_floor: float
) -> npt.NDArray[np.float32]:
    """Return the weights of ratings by age: ``floor + (1 - floor) * 2 ** (-age / half_life)``."""
    return (recency_floor + (1 - recency_floor) * np.exp2(-ages / recency_half_life)).astype(np.float32)


def ages_of(times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the age of each of a user's ratings: the number of newer ones. Equal times have equal ages."""
    return len(times) - np.searchsorted(np.sort(times), times, side="right")


def weights_of(recommender: Any, ratings: Ratings) -> npt.NDArray[np.float32] | None:
    """Return the weights of all ratings; None where ratings do not age, or neither times nor an order are known."""
    ages = None if recommender.recency_half_life is None else ratings.ages()
    return None if ages is None else recency_weights(ages, recommender.recency_half_life, recommender.recency_floor)
