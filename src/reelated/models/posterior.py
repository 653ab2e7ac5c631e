"""What a model that keeps draws of a BPMF can do: predict, say how surely, recommend, find an audience, explain."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from scipy.special import ndtri
from sklearn.base import BaseEstimator

from reelated import _kernels as kernels
from reelated.errors import check_choice, check_integer, check_number
from reelated.models.arrays import ArraySpec
from reelated.models.biases import clipped
from reelated.models.contracts import By
from reelated.models.contributions import Explanation, Explanations
from reelated.models.topn import TopN
from reelated.models.validation import (
    check_dense,
    check_item,
    check_item_mask,
    check_one_row,
    check_pairs,
    check_rows,
    holds,
)
from reelated.parallel import Progress, ordered_parallel_map, split_by_cost
from reelated.similarity import as_kernel_csr

Numbers = npt.NDArray[np.float64]
Rating = Literal["rating"]
SLICE = 1e8
"""Multiplications of one slice of work: about a tenth of a second."""
UNKNOWN = -1
"""The number of people who rated both of two items: this model does not count them."""


class DrawnModel(BaseEstimator):
    """Fitted draws at work; every answer is the mean over them.

    Attributes
    ----------
    units_ : ndarray of float64, shape (2,)
        The mean and standard deviation of the ratings, in which all that follows is measured.
    item_factors_ : ndarray of float32, shape (n_items, n_factors + 1, n_samples)
        For every item and draw its offset `a_i` and factors `v_i`.
    user_mean_ : ndarray of float64, shape (n_factors + 1, n_samples)
        The mean of `(b, z)`.
    activity_slope_ : ndarray of float64, shape (n_factors + 1, n_samples)
        What it gains with the logarithm of the number of ratings.
    implicit_slope_ : ndarray of float64, shape (n_tastes, n_factors + 1, n_samples)
        What it gains with a person's tastes, `Σ taste_j / √(number of ratings)`.
    implicit_factors_ : ndarray of float64, shape (n_items, n_tastes)
        What rating an item at all tells.
    precision_ : ndarray of float64, shape (n_factors + 1, n_factors + 1, n_samples)
        Λ, the precision of people.
    alpha_ : ndarray of float64, shape (n_samples,)
        α, the precision of the noise.
    counts_ : ndarray of float64, shape (2,)
        The least and the largest number of ratings of a person in the fit.
    scale_ : tuple of float
        The lowest and the highest rating; predictions are cut to them.
    """

    units_: Numbers
    item_factors_: npt.NDArray[np.float32]
    user_mean_: Numbers
    activity_slope_: Numbers
    implicit_slope_: Numbers
    implicit_factors_: Numbers
    precision_: Numbers
    alpha_: Numbers
    counts_: Numbers
    n_features_in_: int
    scale_: tuple[float, float]
    max_memory: int | str | None
    arrays: ClassVar[dict[str, ArraySpec]] = {
        "units_": ArraySpec("float64", (2,), "a mean and a positive deviation"),
        "item_factors_": ArraySpec("float32", ("n_items", "D", "n_samples")),
        "user_mean_": ArraySpec("float64", ("D", "n_samples")),
        "activity_slope_": ArraySpec("float64", ("D", "n_samples")),
        "implicit_slope_": ArraySpec("float64", ("n_tastes", "D", "n_samples"), optional="n_tastes"),
        "implicit_factors_": ArraySpec("float64", ("n_items", "n_tastes"), optional="n_tastes"),
        "precision_": ArraySpec("float64", ("D", "D", "n_samples"), "positive definite"),
        "alpha_": ArraySpec("float64", ("n_samples",), "positive"),
        "counts_": ArraySpec("float64", (2,), "positive and ascending"),
    }
    """What a fit learns, but for the scale."""
    numbers: ClassVar[tuple[By, ...]] = ("rating",)
    uses_side_info: ClassVar[bool] = True
    has_posterior: ClassVar[bool] = True

    @property
    def rating_mean_(self) -> float:
        """Mean of the ratings of the fit."""
        return float(self.units_[0])

    @property
    def rating_std_(self) -> float:
        """Standard deviation of the ratings of the fit."""
        return float(self.units_[1])

    def learned_numbers(self) -> list[npt.NDArray[Any]]:
        """Return the learned arrays, so that a caller can check that they are finite."""
        return [getattr(self, name) for name in self.arrays]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def prepare(self) -> None:
        """Lay out what was learned for the kernels; called after a fit or a load."""
        self._draws = kernels.PosteriorSamples(
            item_factors=_pad_to_simd(self.item_factors_),
            user_mean=_pad_to_simd(self.user_mean_),
            activity_slope=_pad_to_simd(self.activity_slope_),
            implicit_slope=_pad_to_simd(np.swapaxes(self.implicit_slope_, 0, 1)),
            implicit_factors=self.implicit_factors_,
            precision=_pad_to_simd(self.precision_),
            alpha=_pad_to_simd(self.alpha_),
            n_samples=len(self.alpha_),
            min_ratings=float(self.counts_[0]),
            max_ratings=float(self.counts_[1]),
        )

    # --------------------------------------------------------------------------------------------- pairs
    def predict_pairs(self, X: Any, rows: Any, items: Any) -> Numbers:
        """Return the predicted ratings of pairs of a row and an item.

        A rating that `X` itself holds for the pair is not used.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings of the people asked about; they need not have been in the fit.
        rows, items : array of int, shape (n_pairs,)
            Numbers of rows of `X` and of items.

        Returns
        -------
        ndarray of float64, shape (n_pairs,)
            On the scale of the ratings.
        """
        return clipped(self.score_pairs(X, rows, items)[0], self.scale_)

    def predict_intervals(self, X: Any, rows: Any, items: Any, *, level: float = 0.8) -> tuple[Numbers, Numbers]:
        """Return between which ratings each pair's own will lie.

        Parameters
        ----------
        X, rows, items
            As for `predict_pairs`.
        level : float, default 0.8
            In which share of cases.

        Returns
        -------
        low, high : ndarray of float64, shape (n_pairs,)
            Cut to the scale of the ratings.
        """
        wide = float(ndtri(0.5 + check_number("level", level, 0, 1) / 2))
        X = check_rows(self, X)
        middle, deviation = self._moments(X, *check_pairs(X, rows, items), with_deviation=True)
        reach = np.multiply(wide, deviation, out=np.zeros(len(middle)), where=deviation > 0)
        return clipped(middle - reach, self.scale_), clipped(middle + reach, self.scale_)

    def covariance(self, items: Any) -> tuple[Numbers, float]:
        """Return how the ratings of some items go together over people of whom nothing is known, and their noise.

        Parameters
        ----------
        items : array of int, shape (n,)
            Numbers of items.

        Returns
        -------
        covariance : ndarray of float64, shape (n, n)
            The mean of ``q_iᵀ Λ⁻¹ q_j`` over the draws, in units of `units_`.
        noise : float
            The variance that each rating has beside.
        """
        factors = np.moveaxis(self.item_factors_[np.asarray(items)], 2, 0).astype(np.float64)
        factors[:, :, 0] = 1.0
        precision = np.moveaxis(self.precision_, 2, 0)
        solved = np.linalg.solve(precision, factors.transpose(0, 2, 1))  # draws × D × items
        flat = factors.transpose(1, 0, 2).reshape(factors.shape[1], -1)
        return flat @ solved.reshape(flat.shape[1], -1) / len(factors), float(np.mean(1 / self.alpha_))

    def score_pairs(
        self, X: Any, rows: Any, items: Any, *, by: Rating = "rating", weights: Any = None
    ) -> tuple[Numbers, npt.NDArray[np.int32]]:
        """Return the predicted ratings of pairs, not clipped to the scale, and how many ratings stand behind each.

        Parameters
        ----------
        X, rows, items
            As for `predict_pairs`.
        by : {"rating"}, default "rating"
            The one number that this model has.
        weights : ignored
            As other models take them for the score.

        Returns
        -------
        scores : ndarray of float64, shape (n_pairs,)
        n_neighbors_used : ndarray of int32, shape (n_pairs,)
        """
        check_choice("by", by, ("rating",))
        X = check_rows(self, X)
        rows, items = check_pairs(X, rows, items)
        ratings, _ = self._moments(X, rows, items, with_deviation=False)
        n_neighbors_used = np.diff(X.indptr)[rows] - holds(X, rows, items)
        return ratings.round(6), n_neighbors_used.astype(np.int32)

    def _moments(self, X: sp.csr_array, rows: Any, items: Any, *, with_deviation: bool) -> tuple[Numbers, Numbers]:
        """Return means and standard deviations of pairs as they are, not cut to the scale."""
        table = self._table(X)

        def pairs(start: int, stop: int) -> tuple[Any, Any]:
            return kernels.bpmf_pairs(start, stop, table, rows, items, self._draws, with_deviation)

        if X.shape[0] == 1:
            means, variances = pairs(0, len(rows))
        else:
            by_row = np.argsort(rows, kind="stable")
            rows, items = rows[by_row], items[by_row]
            cost = np.where(np.diff(rows, prepend=-1) > 0, np.diff(X.indptr)[rows] + 10.0, 1.0) * self._per_rating
            parts = list(ordered_parallel_map(pairs, split_by_cost(cost, SLICE) or [(0, 0)]))
            means, variances = np.empty(len(rows)), np.empty(len(rows))
            means[by_row], variances[by_row] = (np.concatenate(part) for part in zip(*parts, strict=True))
        return self.rating_mean_ + self.rating_std_ * means, self.rating_std_ * np.sqrt(variances)

    def _table(self, X: sp.csr_array) -> kernels.CSR:
        """Return rows with their ratings as the draws measure them."""
        return as_kernel_csr(X)._replace(data=(X.data.astype(np.float64) - self.rating_mean_) / self.rating_std_)

    @property
    def _per_rating(self) -> int:
        """Multiplications for one rating of a person."""
        return self.user_mean_.size * self.user_mean_.shape[0]

    # ---------------------------------------------------------------------------------------------- rows
    def predict(self, X: Any) -> Numbers:
        """Return the predicted rating of every row and item; `predict_pairs` is the way to ask for some.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_items)
            More than `max_memory` is refused.
        """
        X = check_rows(self, X)
        check_dense(self, X)
        parts = (clipped(part, self.scale_) for part in self._unseen(X))
        dense = np.concatenate([np.empty((0, X.shape[1])), *parts])
        seen = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.indices
        dense[seen] = self.predict_pairs(X, *seen)
        return dense

    def _unseen(self, X: sp.csr_array, progress: Progress | None = None) -> Iterator[Numbers]:
        """Yield ratings of all items for slices of rows, not clipped to the scale; NaN for what they rated."""
        table, cost = self._table(X), np.diff(X.indptr) * self._per_rating + self.item_factors_.size

        def part(start: int, stop: int) -> Numbers:
            dense = kernels.bpmf_rows(start, stop, table, self._draws)
            return (self.rating_mean_ + self.rating_std_ * dense).round(6)

        return ordered_parallel_map(part, split_by_cost(cost, SLICE), progress)

    def recommend(
        self,
        X: Any,
        n: int = 10,
        *,
        by: Rating = "rating",
        item_mask: npt.NDArray[np.bool_] | None = None,
        exclude_seen: bool = True,
        weights: Any = None,
        progress: Progress | None = None,
    ) -> TopN:
        """Return the items of every row that are predicted the highest rating, before it is clipped to the scale.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings of the people asked about.
        n : int, default 10
            Most items of a row; fewer come only where there are fewer.
        by : {"rating"}, default "rating"
            The one number that this model has.
        item_mask : ndarray of bool, shape (n_items,), optional
            The items to choose from; by default all.
        exclude_seen : bool, default True
            Whether items that the row has rated are left out.
        weights : ignored
            As other models take them for the score.
        progress : callable, optional
            Called with the share that is done.

        Returns
        -------
        TopN
        """
        check_choice("by", by, ("rating",))
        X, n = check_rows(self, X), check_integer("n", n, 0)
        absent = None if item_mask is None else ~check_item_mask(self, item_mask)
        items, scores = [np.empty(0, np.int32)], [np.empty(0)]
        rows = (row for part in self._unseen(X, progress) for row in part)
        for u, row in enumerate(rows):
            if not exclude_seen:
                seen = X.indices[X.indptr[u] : X.indptr[u + 1]]
                row[seen] = self.score_pairs(X[[u]], np.zeros(len(seen), np.int32), seen)[0]
            if absent is not None:
                row[absent] = np.nan
            items.append(kernels.top_n(row, min(n, len(row))).astype(np.int32))
            scores.append(row[items[-1]])
        lengths = [len(part) for part in items]
        return TopN(np.cumsum(lengths), np.concatenate(items), np.concatenate(scores))

    def columns(self, X: Any, *, by: Rating = "rating", weights: Any = None) -> sp.csc_array:
        """Return the ratings of `X` by columns, as other models read them; this one does not.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings.
        by : {"rating"}, default "rating"
            The one number that this model has.
        weights : ignored
            As other models take them for the score.

        Returns
        -------
        csc_array of float32, shape (n_rows, n_items)
        """
        check_choice("by", by, ("rating",))
        return sp.csc_array(check_rows(self, X))

    def score_users(
        self, X: Any, item: int, *, by: Rating = "rating", weights: Any = None, by_item: Any = None
    ) -> tuple[Numbers, npt.NDArray[np.int32]]:
        """Return the predicted rating of one item for every row, not clipped, and how many ratings stand behind it.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings.
        item : int
            The item's number.
        by : {"rating"}, default "rating"
            The one number that this model has.
        weights, by_item : ignored
            As other models take them.

        Returns
        -------
        scores : ndarray of float64, shape (n_rows,)
        n_neighbors_used : ndarray of int32, shape (n_rows,)
        """
        X, item = check_rows(self, X), check_item(self, item)
        return self.score_pairs(X, np.arange(X.shape[0]), np.full(X.shape[0], item), by=by)

    def audience(
        self, X: Any, item: int, n: int = 10, *, by: Rating = "rating", weights: Any = None, by_item: Any = None
    ) -> npt.NDArray[np.int64]:
        """Return the rows that have not rated an item and are predicted to rate it highest, ties in ascending order.

        Parameters
        ----------
        X, item
            As for `score_users`.
        n : int, default 10
            Most rows.
        by, weights, by_item
            As for `score_users`.

        Returns
        -------
        ndarray of int64
            Row numbers, best first.
        """
        X, n = check_rows(self, X), check_integer("n", n, 0)
        scores, _ = self.score_users(X, item, by=by)
        scores[np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))[X.indices == item]] = np.nan
        return kernels.top_n(scores, min(n, len(scores)))

    # ------------------------------------------------------------------------------------------- explain
    def explain_pair(self, X: Any, item: int, *, by: Rating = "rating", weights: Any = None) -> Explanation:
        """Return the parts that one person's predicted rating of an item is the sum of.

        Parameters
        ----------
        X : array or sparse matrix, shape (1, n_items)
            The person's row.
        item : int
            The item's number.
        by : {"rating"}, default "rating"
            The one number that this model has.
        weights : ignored
            As other models take them for the score.

        Returns
        -------
        Explanation
        """
        return self.explain_items(X, [check_item(self, item)], by=by).one(0)

    def explain_items(
        self, X: Any, items: Any, *, by: Rating = "rating", weights: Any = None, scores: Any = None
    ) -> Explanations:
        """Return for each of several items the parts that one person's predicted rating is the sum of.

        `base` is what an average person would give. A rating adds its weight times what it is beyond usual, and what
        rating the item at all tells of the person; the weight (`similarities`) is what one star more would add.

        Parameters
        ----------
        X : array or sparse matrix, shape (1, n_items)
            The person's row.
        items : sequence of int
            The items' numbers.
        by : {"rating"}, default "rating"
            The one number that this model has.
        weights : ignored
            As other models take them for the score.
        scores : array, shape (n_items,), optional
            What `score_pairs` returned for these items, where the caller has it.

        Returns
        -------
        Explanations
        """
        X = check_one_row(self, X)
        items = np.asarray(items, np.int64)
        if scores is None:
            scores, _ = self.score_pairs(X, np.zeros(len(items), np.int32), items, by=by)
        scores = clipped(scores, self.scale_)
        usual, weight, adds = np.empty(len(items)), np.empty((len(items), X.nnz)), np.empty((len(items), X.nnz))
        table = self._table(X)
        for at, item in enumerate(items.tolist()):
            usual[at], weight[at], adds[at] = kernels.bpmf_contributions(table.indices, table.data, item, self._draws)
        of, places = np.nonzero(X.indices != items[:, None])
        ends, bases = np.searchsorted(of, np.arange(len(items) + 1)), self.rating_mean_ + self.rating_std_ * usual
        contributions, common = self.rating_std_ * adds[of, places], np.full(len(of), UNKNOWN, np.int32)
        one = np.ones(len(items))
        parts = kernels.Contributions(ends, places, weight[of, places], contributions, common, one, one)
        return Explanations.of(scores, bases, parts, X)


def _pad_to_simd(draws: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return draws, which lie in the last axis, as groups of eight, numbered in the first; the last draw fills up."""
    groups = np.empty((-(-draws.shape[-1] // kernels.LANES), *draws.shape[:-1], kernels.LANES), draws.dtype)
    for g, group in enumerate(groups):
        part = draws[..., g * kernels.LANES : (g + 1) * kernels.LANES]
        group[..., : part.shape[-1]], group[..., part.shape[-1] :] = part, part[..., -1:]
    return groups
