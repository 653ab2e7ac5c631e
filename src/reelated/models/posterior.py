"""Prediction from posterior samples: ratings, intervals, recommendations, audiences and explanations."""

from collections.abc import Iterator
from copy import copy
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.errors import check_choice, check_integer, check_number
from reelated.models.arrays import ArraySpec
from reelated.models.biases import clipped
from reelated.models.contracts import By
from reelated.models.contributions import ItemContributions, PairContributions
from reelated.models.estimator import Estimator
from reelated.models.topn import TopN
from reelated.models.validation import (
    check_columns,
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
"""Placeholder for the number of users who rated both items, which this model does not count."""


class DrawnModel(Estimator):
    """A model of posterior samples; every prediction is the mean over the samples. `BPMF` documents the arrays."""

    units_: Numbers
    item_factors_: npt.NDArray[np.float32]
    user_mean_: Numbers
    activity_slope_: Numbers
    implicit_slope_: Numbers
    implicit_factors_: Numbers
    precision_: Numbers
    alpha_: Numbers
    new_user_offsets_: npt.NDArray[np.float32]
    new_user_mean_: Numbers
    new_user_precision_: Numbers
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
        "new_user_offsets_": ArraySpec("float32", ("n_items", "n_samples")),
        "new_user_mean_": ArraySpec("float64", ("D", "n_samples")),
        "new_user_precision_": ArraySpec("float64", ("D", "D", "n_samples"), "positive definite"),
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

    def prepare(self) -> None:
        """Convert the learned arrays for the kernels; called after a fit or a load."""
        self.__dict__.pop("for_new_users", None)  # of an earlier fit
        self._samples = kernels.PosteriorSamples(
            item_factors=_pad_to_simd(self.item_factors_),
            offsets=_pad_to_simd(self.item_factors_[:, 0]),
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

    @cached_property
    def for_new_users(self) -> "DrawnModel":
        """The model of users who have only begun to rate, so that the number and choice of their ratings say nothing.

        A new user's vector has the distribution over all users of the fit. The offset of an item is its expected
        rating by those who rated it, because ratings are predicted for users who would rate the item.
        """
        model, samples = copy(self), self._samples
        n_groups, D, _, lanes = samples.implicit_slope.shape
        model._samples = samples._replace(
            offsets=_pad_to_simd(self.new_user_offsets_),
            user_mean=_pad_to_simd(self.new_user_mean_),
            activity_slope=np.zeros_like(samples.activity_slope),
            implicit_slope=np.empty((n_groups, D, 0, lanes)),
            implicit_factors=np.empty((len(samples.implicit_factors), 0)),
            precision=_pad_to_simd(self.new_user_precision_),
        )
        return model

    # --------------------------------------------------------------------------------------------- pairs
    def predict_pairs(self, X: Any, rows: Any, items: Any) -> Numbers:
        """Return the predicted ratings of pairs of a row and an item.

        A rating of the pair in `X` itself is not used.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings; the rows need not have been in the fit.
        rows, items : array of int, shape (n_pairs,)
            Row indices of `X` and item indices.

        Returns
        -------
        ndarray of float64, shape (n_pairs,)
            On the scale of the ratings.
        """
        return clipped(self.score_pairs(X, rows, items)[0], self.scale_)

    def predict_intervals(self, X: Any, rows: Any, items: Any, *, level: float = 0.8) -> tuple[Numbers, Numbers]:
        """Return the prediction intervals of pairs of a row and an item.

        Parameters
        ----------
        X, rows, items
            As for `predict_pairs`.
        level : float, default 0.8
            Probability that a rating lies in its interval.

        Returns
        -------
        low, high : ndarray of float64, shape (n_pairs,)
            Clipped to the scale of the ratings.
        """
        from scipy.special import ndtri

        quantile = float(ndtri(0.5 + check_number("level", level, 0, 1) / 2))
        X = check_rows(self, X)
        mean, deviation = self._moments(X, *check_pairs(X, rows, items), with_deviation=True)
        # not quantile * deviation: level=1 gives inf * 0 = NaN
        margin = np.multiply(quantile, deviation, out=np.zeros(len(mean)), where=deviation > 0)
        return clipped(mean - margin, self.scale_), clipped(mean + margin, self.scale_)

    def covariance(self, items: Any) -> tuple[Numbers, float]:
        """Return the prior covariance of a new user's ratings of some items, and the variance of the noise.

        Parameters
        ----------
        items : array of int, shape (n,)
            Item indices.

        Returns
        -------
        covariance : ndarray of float64, shape (n, n)
            The mean of ``q_iᵀ Λ⁻¹ q_j`` over the samples, for ratings standardised with `units_`.
        noise : float
            Variance of the noise of a rating, on the same scale.
        """
        factors = np.moveaxis(self.item_factors_[np.asarray(items)], 2, 0).astype(np.float64)
        factors[:, :, 0] = 1.0
        precision = np.moveaxis(self.precision_, 2, 0)
        solved = np.linalg.solve(precision, factors.transpose(0, 2, 1))  # samples × D × items
        flat = factors.transpose(1, 0, 2).reshape(factors.shape[1], -1)
        return flat @ solved.reshape(flat.shape[1], -1) / len(factors), float(np.mean(1 / self.alpha_))

    def score_pairs(
        self, X: Any, rows: Any, items: Any, *, by: Rating = "rating"
    ) -> tuple[Numbers, npt.NDArray[np.int32]]:
        """Return the unclipped predicted ratings of pairs, and the number of ratings used for each.

        Parameters
        ----------
        X, rows, items
            As for `predict_pairs`.
        by : {"rating"}, default "rating"
            The only number of this model.

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
        """Return the unclipped means of pairs, and their standard deviations."""
        table = self._standardized(X)

        def pairs(start: int, stop: int) -> tuple[Any, Any]:
            return kernels.bpmf_pairs(start, stop, table, rows, items, self._samples, with_deviation)

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

    def _standardized(self, X: sp.csr_array) -> kernels.CSR:
        """Return rows with standardised ratings, as the samples predict them."""
        return as_kernel_csr(X)._replace(data=(X.data.astype(np.float64) - self.rating_mean_) / self.rating_std_)

    @property
    def _per_rating(self) -> int:
        """Multiplications for one rating of a user."""
        return self.user_mean_.size * self.user_mean_.shape[0]

    # ---------------------------------------------------------------------------------------------- rows
    def predict(self, X: Any) -> Numbers:
        """Return the predicted rating of every row and item; `predict_pairs` predicts some.

        Parameters
        ----------
        X : array or sparse matrix, shape (n_rows, n_items)
            Ratings.

        Returns
        -------
        ndarray of float64, shape (n_rows, n_items)
            On the scale of the ratings.

        Raises
        ------
        TooLarge
            The dense result would exceed `max_memory`.
        """
        X = check_rows(self, X)
        check_dense(self, X)
        parts = (clipped(part, self.scale_) for part in self._predict_unseen(X))
        dense = np.concatenate([np.empty((0, X.shape[1])), *parts])
        seen = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.indices
        dense[seen] = self.predict_pairs(X, *seen)
        return dense

    def _predict_unseen(self, X: sp.csr_array, progress: Progress | None = None) -> Iterator[Numbers]:
        """Yield unclipped predicted ratings of all items for slices of rows; NaN for rated items."""
        table, cost = self._standardized(X), np.diff(X.indptr) * self._per_rating + self.item_factors_.size

        def part(start: int, stop: int) -> Numbers:
            dense = kernels.bpmf_rows(start, stop, table, self._samples)
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
        progress: Progress | None = None,
    ) -> TopN:
        """Return the items with the highest predicted ratings of every row, sorted before ratings are clipped.

        Parameters
        ----------
        X
            As for `predict_pairs`.
        n : int, default 10
            Maximum number of items of a row; fewer if fewer can be listed.
        by
            As for `score_pairs`.
        item_mask : ndarray of bool, shape (n_items,), optional
            The items to choose from; by default all.
        exclude_seen : bool, default True
            Whether items that the row has rated are left out.
        progress : callable, optional
            Called with the fraction done, from 0 to 1.

        Returns
        -------
        TopN
        """
        check_choice("by", by, ("rating",))
        X, n = check_rows(self, X), check_integer("n", n, 0)
        absent = None if item_mask is None else ~check_item_mask(self, item_mask)
        items, scores = [np.empty(0, np.int32)], [np.empty(0)]
        rows = (row for part in self._predict_unseen(X, progress) for row in part)
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

    def columns(self, X: Any, *, by: Rating = "rating") -> sp.csc_array:
        """Return the ratings of `X` by columns, in which `audience` finds the raters of an item.

        Parameters
        ----------
        X, by
            As for `score_pairs`.

        Returns
        -------
        csc_array of float32, shape (n_rows, n_items)
        """
        check_choice("by", by, ("rating",))
        return sp.csc_array(check_rows(self, X))

    def score_users(self, X: Any, item: int, *, by: Rating = "rating") -> tuple[Numbers, npt.NDArray[np.int32]]:
        """Return the unclipped predicted rating of one item for every row, and the number of ratings used.

        Parameters
        ----------
        X
            As for `predict_pairs`.
        item : int
            Item index.
        by
            As for `score_pairs`.

        Returns
        -------
        scores : ndarray of float64, shape (n_rows,)
        n_neighbors_used : ndarray of int32, shape (n_rows,)
        """
        X, item = check_rows(self, X), check_item(self, item)
        return self.score_pairs(X, np.arange(X.shape[0]), np.full(X.shape[0], item), by=by)

    def audience(
        self, X: Any, item: int, n: int = 10, *, by: Rating = "rating", by_item: sp.csc_array | None = None
    ) -> npt.NDArray[np.int64]:
        """Return the rows that have not rated an item and have the highest predicted rating, ties in ascending row.

        Parameters
        ----------
        X, item
            As for `score_users`.
        n : int, default 10
            Maximum number of rows.
        by
            As for `score_users`.
        by_item : csc_array, optional
            Result of `columns` for `X`, to save computing it.

        Returns
        -------
        ndarray of int64
            Row indices, best first.
        """
        X, n = check_rows(self, X), check_integer("n", n, 0)
        scores, _ = self.score_users(X, item, by=by)
        columns = self.columns(X) if by_item is None else check_columns(self, by_item, X)
        scores[columns.indices[columns.indptr[item] : columns.indptr[item + 1]]] = np.nan
        return kernels.top_n(scores, min(n, len(scores)))

    # ------------------------------------------------------------------------------------------- explain
    def explain_pair(self, X: Any, item: int, *, by: Rating = "rating") -> PairContributions:
        """Return the contributions to one row's predicted rating of an item.

        Parameters
        ----------
        X : array or sparse matrix, shape (1, n_items)
            Ratings of one user.
        item : int
            Item index.
        by
            As for `score_pairs`.

        Returns
        -------
        PairContributions
        """
        return self.explain_items(X, [check_item(self, item)], by=by).one(0)

    def explain_items(self, X: Any, items: Any, *, by: Rating = "rating", scores: Any = None) -> ItemContributions:
        """Return the contributions to one row's predicted ratings of several items.

        `base` is the predicted rating of an average user. A rating contributes its weight times its difference from
        the expected rating, plus the effect of having rated the item at all. The weight (`similarities`) is the change
        of the prediction for one more star.

        Parameters
        ----------
        X : array or sparse matrix, shape (1, n_items)
            Ratings of one user.
        items : sequence of int
            Item indices.
        by
            As for `score_pairs`.
        scores : array, shape (n_items,), optional
            Result of `score_pairs` for these items, to save computing it.

        Returns
        -------
        ItemContributions
        """
        X = check_one_row(self, X)
        items = np.asarray(items, np.int64)
        if scores is None:
            scores, _ = self.score_pairs(X, np.zeros(len(items), np.int32), items, by=by)
        scores = clipped(scores, self.scale_)
        base, weight, adds = np.empty(len(items)), np.empty((len(items), X.nnz)), np.empty((len(items), X.nnz))
        table = self._standardized(X)
        for k, item in enumerate(items.tolist()):
            base[k], weight[k], adds[k] = kernels.bpmf_contributions(table.indices, table.data, item, self._samples)
        of, places = np.nonzero(X.indices != items[:, None])
        ends, bases = np.searchsorted(of, np.arange(len(items) + 1)), self.rating_mean_ + self.rating_std_ * base
        contributions, common = self.rating_std_ * adds[of, places], np.full(len(of), UNKNOWN, np.int32)
        ones = np.ones(len(items))
        parts = kernels.Contributions(ends, places, weight[of, places], contributions, common, ones, ones)
        return ItemContributions.of(scores, bases, parts, X)


def _pad_to_simd(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Split the last axis, the samples, into groups of eight along a new first axis; pad with the last sample."""
    groups = np.empty((-(-samples.shape[-1] // kernels.LANES), *samples.shape[:-1], kernels.LANES), samples.dtype)
    for g, group in enumerate(groups):
        part = samples[..., g * kernels.LANES : (g + 1) * kernels.LANES]
        group[..., : part.shape[-1]], group[..., part.shape[-1] :] = part, part[..., -1:]
    return groups
