"""`Explanation`: the parts that a score is the sum of."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why one person's score for one item is what it is; `base + Σ contributions + clip` is the score.

    Attributes
    ----------
    score : float
        The relevance or the predicted rating; NaN where the model has nothing to go by.
    base : float
        What would be said without the neighbours: 0 for relevance, the person's own level for a rating.
    items : ndarray of int32
        The rated neighbours of the item, ascending.
    ratings, similarities, contributions : ndarray of float64
        Beside `items`: what the person gave, how alike, and what it adds to the score.
    common : ndarray of int32
        Beside `items`: how many people rated both; -1 where the model does not count them.
    clip : float
        What cutting to the scale and rounding to six decimals changed.
    """

    score: float
    base: float
    items: npt.NDArray[np.int32]
    ratings: npt.NDArray[np.float64]
    similarities: npt.NDArray[np.float64]
    contributions: npt.NDArray[np.float64]
    common: npt.NDArray[np.int32]
    clip: float
