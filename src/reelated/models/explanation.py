"""`Explanation`: the parts that a score is the sum of; `Explanations`: those of several items of one person."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reelated import _kernels as kernels


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


class Explanations(NamedTuple):
    """Why one person's scores for several items are what they are: item `k`'s parts stand from `ends[k]` on.

    Attributes
    ----------
    ends : ndarray of int64, shape (n_items + 1,)
        Where the parts of each item end, and the next one's begin.
    scores, bases, clips : ndarray of float64, shape (n_items,)
        As in `Explanation`.
    items, ratings, similarities, contributions, common : ndarray, shape (ends[-1],)
        As in `Explanation`, of one item after the other.
    """

    ends: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float64]
    bases: npt.NDArray[np.float64]
    clips: npt.NDArray[np.float64]
    items: npt.NDArray[np.int32]
    ratings: npt.NDArray[np.float64]
    similarities: npt.NDArray[np.float64]
    contributions: npt.NDArray[np.float64]
    common: npt.NDArray[np.int32]

    def one(self, at: int) -> Explanation:
        """Return the explanation of the item at a place of the list."""
        part = slice(self.ends[at], self.ends[at + 1])
        return Explanation(
            score=float(self.scores[at]),
            base=float(self.bases[at]),
            items=self.items[part],
            ratings=self.ratings[part],
            similarities=self.similarities[part],
            contributions=self.contributions[part],
            common=self.common[part],
            clip=float(self.clips[at]),
        )

    def strongest(self, n: int) -> Iterator[list[tuple[int, float, float, float, int]]]:
        """Yield for each item its `n` largest contributions, falling, ties in ascending item.

        Parameters
        ----------
        n : int
            How many at the most.

        Yields
        ------
        list of (item, rating, similarity, contribution, common)
        """
        ends, places = kernels.largest_of_each(self.ends, self.contributions, n)
        columns = (self.items, self.ratings, self.similarities, self.contributions, self.common)
        rows = list(zip(*(column[places].tolist() for column in columns), strict=True))
        yield from (rows[start:stop] for start, stop in pairwise(ends.tolist()))
