"""`ItemContributions`: the contributions to one row's scores or predicted ratings of several items."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated import _kernels as kernels
from reelated.ratings.matrix import as_decimals


@dataclass(frozen=True, eq=False)
class PairContributions:
    """The contributions to one user's score of an item; `base + Σ contributions + clip` is the score.

    Attributes
    ----------
    score : float
        The score or the predicted rating; NaN if it is undefined.
    base : float
        The number without the neighbours: 0 for a score, the offset for a rating.
    items : ndarray of int32
        The rated neighbours of the item, ascending.
    ratings, similarities, contributions : ndarray of float64
        For each neighbour the user's rating, the similarity, and the contribution.
    common : ndarray of int32
        For each neighbour the number of users who rated both items; -1 if the model does not count them.
    clip : float
        The change that clipping to the scale and rounding to six decimals make.
    """

    score: float
    base: float
    items: npt.NDArray[np.int32]
    ratings: npt.NDArray[np.float64]
    similarities: npt.NDArray[np.float64]
    contributions: npt.NDArray[np.float64]
    common: npt.NDArray[np.int32]
    clip: float


class Strongest(NamedTuple):
    """The largest contributions to several scores; those of score `k` lie from `ends[k]` to `ends[k + 1]`."""

    ends: list[int]
    items: list[int]
    ratings: list[float]
    similarities: list[float]
    common: list[int]
    contributions: list[float]


class ItemContributions(NamedTuple):
    """The contributions to one user's scores of several items.

    Attributes
    ----------
    scores, bases : ndarray of float64, shape (n,)
        As in `PairContributions`.
    parts : Contributions
        The contribution of each rated item to each score.
    rated : ndarray of int32
        The items that the user has rated, ascending.
    ratings : ndarray
        The user's ratings of them.
    """

    scores: npt.NDArray[np.float64]
    bases: npt.NDArray[np.float64]
    parts: kernels.Contributions
    rated: npt.NDArray[np.int32]
    ratings: npt.NDArray[Any]

    @property
    def n_neighbors_used(self) -> npt.NDArray[np.int32]:
        """The number of rated items that each score is computed from."""
        return (self.parts.ends[1:] - self.parts.ends[:-1]).astype(np.int32)

    @property
    def clips(self) -> npt.NDArray[np.float64]:
        """The change that clipping to the scale and rounding make to each score; 0 for an undefined score."""
        sums = np.concatenate([[0.0], np.cumsum(self.parts.adds)])[self.parts.ends]
        return np.where(np.isfinite(self.scores), self.scores - self.bases - (sums[1:] - sums[:-1]), 0.0)

    def one(self, at: int) -> PairContributions:
        """Return the contributions to the score of one item.

        Parameters
        ----------
        at : int
            The item's position in the list.
        """
        part = slice(self.parts.ends[at], self.parts.ends[at + 1])
        places = self.parts.places[part]
        return PairContributions(
            score=float(self.scores[at]),
            base=float(self.bases[at]),
            items=self.rated[places],
            ratings=self.ratings[places].astype(np.float64),
            similarities=self.parts.similarity[part],
            contributions=self.parts.adds[part],
            common=self.parts.common[part],
            clip=float(self.clips[at]),
        )

    def strongest(self, n: int) -> Strongest:
        """Return the `n` largest contributions to each score in descending order, ties in ascending item index.

        Parameters
        ----------
        n : int
            Maximum number of contributions.
        """
        ends, chosen = kernels.top_n_per_segment(self.parts.ends, self.parts.adds, n)
        places, parts = self.parts.places[chosen], self.parts
        rated = self.rated[places], as_decimals(self.ratings[places])
        columns = ends, *rated, parts.similarity[chosen], parts.common[chosen], parts.adds[chosen]
        return Strongest(*(column.tolist() for column in columns))
