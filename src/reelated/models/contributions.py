"""`ItemContributions`: the contributions to the numbers of several items of one row."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.ratings.matrix import as_decimals


@dataclass(frozen=True, eq=False)
class PairContributions:
    """Why one person's score for one item is what it is; `base + Σ contributions + clip` is the score.

    Attributes
    ----------
    score : float
        The score or the predicted rating; NaN where the model has nothing to go by.
    base : float
        What would be said without the neighbours: 0 for score, the person's own level for a rating.
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


class ItemContributions(NamedTuple):
    """Why one person's scores for several items are what they are.

    Attributes
    ----------
    scores, bases, clips : ndarray of float64, shape (n,)
        As in `PairContributions`.
    parts : Parts
        What each rated item adds to each score.
    rated : ndarray of int32
        The items that the person has rated, ascending.
    ratings : ndarray
        Beside them.
    """

    scores: npt.NDArray[np.float64]
    bases: npt.NDArray[np.float64]
    clips: npt.NDArray[np.float64]
    parts: kernels.Contributions
    rated: npt.NDArray[np.int32]
    ratings: npt.NDArray[Any]

    @classmethod
    def of(cls, scores: Any, bases: Any, parts: kernels.Contributions, X: sp.csr_array) -> "ItemContributions":
        """Put them together; the clip is what else the scores hold.

        Parameters
        ----------
        scores, bases : ndarray of float64, shape (n,)
            As in `PairContributions`.
        parts : Parts
            What each rated item adds.
        X : csr_array, shape (1, n_items)
            The person's row.

        Returns
        -------
        ItemContributions
        """
        told = np.diff(np.concatenate([[0.0], np.cumsum(parts.adds)])[parts.ends])
        clips = np.where(np.isfinite(scores), scores - bases - told, 0.0)
        return cls(scores, bases, clips, parts, X.indices, X.data)

    @property
    def n_neighbors_used(self) -> npt.NDArray[np.int64]:
        """How many rated items stand behind each of the scores."""
        return np.diff(self.parts.ends)

    def one(self, at: int) -> PairContributions:
        """Return one of them.

        Parameters
        ----------
        at : int
            The item's place in the list.

        Returns
        -------
        PairContributions
        """
        here = slice(self.parts.ends[at], self.parts.ends[at + 1])
        places = self.parts.places[here]
        return PairContributions(
            score=float(self.scores[at]),
            base=float(self.bases[at]),
            items=self.rated[places],
            ratings=self.ratings[places].astype(np.float64),
            similarities=self.parts.similarity[here],
            contributions=self.parts.adds[here],
            common=self.parts.common[here],
            clip=float(self.clips[at]),
        )

    def strongest(self, n: int) -> Iterator[list[tuple[int, float, float, int, float]]]:
        """Yield for each item its `n` largest contributions, falling, ties in ascending item.

        Parameters
        ----------
        n : int
            How many at the most.

        Yields
        ------
        list of (item, rating, similarity, common, contribution)
        """
        ends, chosen = kernels.top_n_per_segment(self.parts.ends, self.parts.adds, n)
        places, parts = self.parts.places[chosen], self.parts
        columns = self.rated[places], as_decimals(self.ratings[places]), parts.similarity[chosen], parts.common[chosen]
        rows = list(zip(*(column.tolist() for column in (*columns, parts.adds[chosen])), strict=True))
        yield from (rows[start:stop] for start, stop in pairwise(ends.tolist()))
