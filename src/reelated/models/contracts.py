"""The two contracts: a ranker scores items, a rater predicts ratings.

A model computes scores, predicted ratings or both; `numbers` says which. Both contracts take rows of a users × items
matrix: a model stores no users, so the same call serves a new user and a user of the fit.
"""

from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.models.arrays import ArraySpec
from reelated.models.contributions import ItemContributions
from reelated.models.topn import TopN

By = Literal["score", "rating"]
Floats = npt.NDArray[np.float64]


class Scorer(Protocol):
    """Computes scores or predicted ratings for checked rows; it does not check indices."""

    @property
    def matrix(self) -> sp.csr_array:
        """The rows."""

    def top(self, n: int, item_mask: Any = None, *, exclude_seen: bool = True, progress: Any = None) -> TopN:
        """Return the best items of every row, chosen from `item_mask`."""

    def pairs(self, rows: Any, items: Any) -> tuple[Floats, npt.NDArray[np.int32]]:
        """Return the score or unclipped predicted rating of every pair, and the number of neighbours used."""

    def users(self, item: int, by_item: sp.csc_array | None = None) -> tuple[Floats, npt.NDArray[np.int32]]:
        """Return the score or unclipped predicted rating of one item for every row; `by_item` comes from `columns`."""

    def columns(self) -> sp.csc_array:
        """Return the values of the ratings in CSC form."""

    def contributions(self, items: Any, scores: Floats | None = None) -> ItemContributions:
        """Return the contributions to a single row's scores of several items; pass `scores` if they are known."""

    def dense(self) -> Floats:
        """Return the score or unclipped predicted rating of every row and item."""


class Model(Protocol):
    """The methods of every model; `numbers` names what it computes, and `arrays` its arrays in a saved model."""

    numbers: ClassVar[tuple[By, ...]]
    uses_side_info: ClassVar[bool]
    has_posterior: ClassVar[bool]
    arrays: ClassVar[dict[str, ArraySpec]]
    max_memory: int | str | None
    scale_: tuple[float, float]

    def fit(self, X: Any, y: Any = None, *, scale: Any = None, progress: Any = None) -> Any: ...

    def plan(self, X: Any) -> int: ...

    def checked_scorer(self, X: sp.csr_array, by: Any, weights: Any) -> Scorer:
        """Return the scorer for rows that are already checked."""

    def audience(
        self, X: Any, item: int, n: int = 10, *, by: Any = ..., weights: Any = None
    ) -> npt.NDArray[np.int64]: ...

    def covariance(self, items: Any) -> tuple[Floats, float]:
        """Return the covariance of ratings of some items, and the variance of the noise."""

    def learned_numbers(self) -> list[npt.NDArray[Any]]: ...


class Ranker(Model, Protocol):
    """A model that scores items: `EASE`, `ItemKNN`, `Popularity`."""

    item_weights_: sp.csr_array
    n_common_: sp.csr_array

    def rating_weight(self, ratings: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Return the weight of ratings in the score."""


class Rater(Model, Protocol):
    """A model that predicts ratings: `BPMF`, `BiasModel`, `ItemKNN`."""

    def predict_pairs(self, X: Any, rows: Any, items: Any) -> Floats:
        """Return the predicted ratings of pairs, on the scale of the ratings."""
