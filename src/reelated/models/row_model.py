"""`RowModel`: the methods of all models that take rows of ratings."""

from abc import abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.errors import InputError, check_choice, check_fits, check_integer
from reelated.models.arrays import ArraySpec
from reelated.models.biases import check_bounds, clipped
from reelated.models.contracts import By, Scorer
from reelated.models.contributions import ItemContributions, PairContributions
from reelated.models.estimator import Estimator
from reelated.models.topn import TopN
from reelated.models.validation import (
    check_item,
    check_item_mask,
    check_pairs,
    check_rows,
    check_weights,
)
from reelated.parallel import Progress


class RowModel(Estimator):
    """A model that computes scores, predicted ratings or both for rows of ratings, by a `Scorer`."""

    n_features_in_: int
    scale_: tuple[float, float]
    max_memory: int | str | None = None
    numbers: ClassVar[tuple[By, ...]]
    arrays: ClassVar[dict[str, ArraySpec]] = {}
    uses_side_info: ClassVar[bool] = False
    has_posterior: ClassVar[bool] = False

    @abstractmethod
    def fit(
        self, X: Any, y: Any = None, *, scale: tuple[float, float] | None = None, progress: Progress | None = None
    ) -> Self:
        """Fit the model to ratings.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_users, n_items)
            Ratings. A stored zero of a sparse matrix is a rating; a zero of a dense array is a missing rating.
        y : ignored
            Present for API consistency with scikit-learn.
        scale : (low, high), optional
            Lowest and highest possible rating; by default the observed ones.
        progress : callable, optional
            Called with the completed fraction, from 0 to 1.

        Raises
        ------
        InputError
            The ratings or a parameter are invalid, or two parameters cannot be combined.
        TooLarge
            The fit may need more than `max_memory`.
        """

    @abstractmethod
    def plan(self, X: Any) -> int:
        """Return the maximum memory of a fit to `X` in bytes, without `X` itself and without side information."""

    @abstractmethod
    def prepare(self) -> None:
        """Convert the learned arrays for the kernels; called after a fit or a load."""

    def learned_numbers(self) -> list[npt.NDArray[Any]]:
        """Return the learned arrays, so that a caller can check whether they are finite."""
        return [getattr(self, name) for name in self.arrays]

    @abstractmethod
    def covariance(self, items: Any) -> tuple[npt.NDArray[np.float64], float]:
        """Return the covariance of a new user's ratings of some items, and the variance of the noise of a rating.

        Parameters
        ----------
        items : array of int, shape (n,)
            Item indices.

        Returns
        -------
        covariance : ndarray of float64, shape (n, n)
            On an arbitrary scale; a model without a posterior returns the cosine between rows of its matrix instead.
        noise : float
            On the same scale.
        """

    def _start_fit(self, X: Any, scale: tuple[float, float] | None) -> sp.csr_array:
        """Check the ratings and set the scale, by default the observed one; return the checked ratings."""
        X = check_rows(self, X, fitting=True)
        observed = (float(X.data.min()), float(X.data.max())) if X.nnz else (0.0, 0.0)
        self.scale_ = observed if scale is None else check_bounds(scale)
        return X

    @abstractmethod
    def checked_scorer(self, X: sp.csr_array, by: By, weights: npt.NDArray[np.float32] | None) -> Scorer:
        """Return the scorer for rows that are already checked."""

    def scorer(self, X: Any, *, by: By | None = None, weights: Any = None) -> Scorer:
        """Return the scorer of some rows; the rows are checked here, once, and it does not check indices."""
        X, by = check_rows(self, X), self.numbers[0] if by is None else check_choice("by", by, self.numbers)
        if by == "rating" and weights is not None:
            raise InputError("weights are for the score: leave them out for a predicted rating.")
        return self.checked_scorer(X, by, None if weights is None else check_weights(weights, X))

    def recommend(
        self,
        X: Any,
        n: int = 10,
        *,
        by: By | None = None,
        item_mask: npt.NDArray[np.bool_] | None = None,
        exclude_seen: bool = True,
        weights: Any = None,
        progress: Progress | None = None,
    ) -> TopN:
        """Return the best items of every row.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings; the rows need not have been in the fit.
        n : int, default 10
            Maximum number of items of a row; fewer if fewer have a score.
        by : {"score", "rating"}, optional
            The number that rows are sorted by, a predicted rating before it is clipped to the scale; by default the
            first of the model's `numbers`.
        item_mask : ndarray of bool, shape (n_items,), optional
            The items to choose from; by default all.
        exclude_seen : bool, default True
            Whether items that the row has rated are left out.
        weights : array, shape (X.nnz,), optional
            Factor of each rating in the score, by default 1; `X` must then be a canonical CSR matrix. Not for
            `by="rating"`.
        progress : callable, optional
            Called with the completed fraction, from 0 to 1.
        """
        scorer, n = self.scorer(X, by=by, weights=weights), check_integer("n", n, 0)
        mask = None if item_mask is None else check_item_mask(self, item_mask)
        return scorer.top(n, mask, exclude_seen=exclude_seen, progress=progress)

    def score_pairs(
        self, X: Any, rows: Any, items: Any, *, by: By | None = None, weights: Any = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return the score, or the unclipped predicted rating, of pairs, and the number of neighbours used.

        Parameters
        ----------
        rows, items : array of int, shape (n_pairs,)
            Row indices of `X` and item indices.

        Returns
        -------
        scores : ndarray of float64, shape (n_pairs,)
        n_neighbors_used : ndarray of int32, shape (n_pairs,)
        """
        scorer = self.scorer(X, by=by, weights=weights)
        return scorer.pairs(*check_pairs(scorer.matrix, rows, items))

    def audience(
        self, X: Any, item: int, n: int = 10, *, by: By | None = None, weights: Any = None
    ) -> npt.NDArray[np.int64]:
        """Return the rows with the highest score or predicted rating of an item that they have not rated.

        Parameters
        ----------
        item : int
            Item index.
        n : int, default 10
            Maximum number of rows.

        Returns
        -------
        ndarray of int64
            Row indices, best first; ties in ascending order.
        """
        scorer, item, n = self.scorer(X, by=by, weights=weights), check_item(self, item), check_integer("n", n, 0)
        columns = scorer.columns()
        scores, _ = scorer.users(item, columns)
        scores[columns.indices[columns.indptr[item] : columns.indptr[item + 1]]] = np.nan
        return kernels.top_n(scores, min(n, len(scores)))

    def score_users(
        self, X: Any, item: int, *, by: By | None = None, weights: Any = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int32]]:
        """Return the score, or the unclipped predicted rating, of one item for every row.

        Returns
        -------
        scores : ndarray of float64, shape (n_rows,)
            NaN if there is no score.
        n_neighbors_used : ndarray of int32, shape (n_rows,)
        """
        return self.scorer(X, by=by, weights=weights).users(check_item(self, item))

    def explain_pair(self, X: Any, item: int, *, by: By | None = None, weights: Any = None) -> PairContributions:
        """Return the contributions to the score or predicted rating of an item for the single row of `X`."""
        return self.explain_items(X, [check_item(self, item)], by=by, weights=weights).one(0)

    def explain_items(self, X: Any, items: Any, *, by: By | None = None, weights: Any = None) -> ItemContributions:
        """Return the contributions to the scores or predicted ratings of several items for the single row of `X`."""
        scorer = self.scorer(X, by=by, weights=weights)
        if (n_rows := scorer.matrix.shape[0]) != 1:
            raise InputError(f"X of {n_rows} rows: expected a single row.")
        _, items = check_pairs(scorer.matrix, np.zeros(len(items), np.int32), items)
        return scorer.contributions(items)

    def score_items(self, X: Any, *, by: By | None = None, weights: Any = None) -> npt.NDArray[np.float64]:
        """Return the score, or the unclipped predicted rating, of every row and item; NaN if there is none.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_items)

        Raises
        ------
        TooLarge
            The dense result would exceed `max_memory`.
        """
        scorer = self.scorer(X, by=by, weights=weights)
        n_rows, n_items = scorer.matrix.shape
        remedy = "Ask for fewer rows, or for pairs with predict_pairs."
        check_fits(f"{n_rows:,} rows × {n_items:,} items need", n_rows * n_items * 8, self.max_memory, remedy)
        return scorer.dense()


class RowRater(RowModel):
    """A model that predicts ratings."""

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """Return the predicted rating of every row and item; `predict_pairs` takes pairs.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_items)
            On the scale of the ratings; NaN if there is no prediction.

        Raises
        ------
        TooLarge
            The dense result would exceed `max_memory`.
        """
        return clipped(self.score_items(X, by="rating"), self.scale_)

    def predict_pairs(self, X: Any, rows: Any, items: Any) -> npt.NDArray[np.float64]:
        """Return the predicted ratings of pairs of a row and an item; a rating of the pair in `X` is not used.

        Returns
        -------
        ndarray of float64, shape (n_pairs,)
            On the scale of the ratings; NaN if there is no prediction.
        """
        return clipped(self.score_pairs(X, rows, items, by="rating")[0], self.scale_)
