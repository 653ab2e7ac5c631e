"""Prediction from posterior samples: ratings, intervals, recommendations, audiences and explanations."""

from collections.abc import Iterator
from copy import copy
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.errors import check_number
from reelated.models.arrays import ArraySpec
from reelated.models.biases import clipped
from reelated.models.contracts import By
from reelated.models.contributions import ItemContributions
from reelated.models.row_model import RowRater
from reelated.models.topn import TopN
from reelated.models.validation import check_pairs, check_rows
from reelated.parallel import Progress, ordered_parallel_map, split_by_cost
from reelated.similarity import as_kernel_csr

Numbers = npt.NDArray[np.float64]
SLICE = 1e8
"""Multiplications of one slice of work: about a tenth of a second."""
UNKNOWN = -1
"""Placeholder for the number of users who rated both items, which this model does not count."""


class PosteriorModel(RowRater):
    """A model of posterior samples; every prediction is the mean over the samples. `BPMF` documents the arrays."""

    rating_moments_: Numbers
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
    arrays: ClassVar[dict[str, ArraySpec]] = {
        "rating_moments_": ArraySpec("float64", (2,), "a mean and a positive deviation"),
        "item_factors_": ArraySpec("float32", ("n_items", "D", "n_samples")),
        "user_mean_": ArraySpec("float64", ("D", "n_samples")),
        "activity_slope_": ArraySpec("float64", ("D", "n_samples")),
        "implicit_slope_": ArraySpec(
            "float64", ("n_implicit_factors", "D", "n_samples"), optional="n_implicit_factors"
        ),
        "implicit_factors_": ArraySpec("float64", ("n_items", "n_implicit_factors"), optional="n_implicit_factors"),
        "precision_": ArraySpec("float64", ("D", "D", "n_samples"), "positive definite"),
        "alpha_": ArraySpec("float64", ("n_samples",), "positive"),
        "new_user_offsets_": ArraySpec("float32", ("n_items", "n_samples")),
        "new_user_mean_": ArraySpec("float64", ("D", "n_samples")),
        "new_user_precision_": ArraySpec("float64", ("D", "D", "n_samples"), "positive definite"),
        "counts_": ArraySpec("float64", (2,), "positive and ascending"),
    }
    """The arrays that a fit learns, without the scale."""
    numbers: ClassVar[tuple[By, ...]] = ("rating",)
    uses_side_info: ClassVar[bool] = True
    has_posterior: ClassVar[bool] = True

    @property
    def rating_mean_(self) -> float:
        """Mean of the ratings of the fit."""
        return float(self.rating_moments_[0])

    @property
    def rating_std_(self) -> float:
        """Standard deviation of the ratings of the fit."""
        return float(self.rating_moments_[1])

    def learned_numbers(self) -> list[npt.NDArray[Any]]:
        """Return the learned arrays, so that a caller can check that they are finite."""
        return [getattr(self, name) for name in self.arrays]

    def prepare(self) -> None:
        """Convert the learned arrays for the kernels; called after a fit or a load."""
        self.__dict__.pop("for_new_users", None)  # cached for an earlier fit
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
    def for_new_users(self) -> "PosteriorModel":
        """The model for new users, whose number and choice of ratings are not informative.

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

    def predict_intervals(self, X: Any, rows: Any, items: Any, *, level: float = 0.8) -> tuple[Numbers, Numbers]:
        """Return the prediction intervals of pairs of a row and an item.

        Parameters
        ----------
        level : float, default 0.8
            Probability that a rating lies in its interval.

        Returns
        -------
        low, high : ndarray of float64, shape (n_pairs,)
            Clipped to the scale of the ratings.
        """
        from scipy.special import ndtri

        quantile = float(ndtri(0.5 + check_number("level", level, 0, 1) / 2))
        scorer = self.checked_scorer(check_rows(self, X))
        mean, deviation, _ = scorer.moments(*check_pairs(scorer.matrix, rows, items), with_deviation=True)
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
            The mean of ``q_iᵀ Λ⁻¹ q_j`` over the samples, for ratings standardised with `rating_moments_`.
        noise : float
            Variance of the noise of a rating, on the same scale.
        """
        factors = np.moveaxis(self.item_factors_[np.asarray(items)], 2, 0).astype(np.float64)
        factors[:, :, 0] = 1.0
        precision = np.moveaxis(self.precision_, 2, 0)
        solved = np.linalg.solve(precision, factors.transpose(0, 2, 1))  # samples × D × items
        flat = factors.transpose(1, 0, 2).reshape(factors.shape[1], -1)
        return flat @ solved.reshape(flat.shape[1], -1) / len(factors), float(np.mean(1 / self.alpha_))

    def checked_scorer(self, X: sp.csr_array, by: By = "rating", weights: Any = None) -> "PosteriorScorer":
        """Return the scorer for rows that are already checked."""
        return PosteriorScorer(X, self._samples, self.rating_moments_, self.scale_)


class PosteriorScorer:
    """The scorer of a model of posterior samples; for a single row, the user's posterior is computed once."""

    def __init__(
        self, matrix: sp.csr_array, samples: kernels.PosteriorSamples, units: Numbers, scale: tuple[float, float]
    ) -> None:
        self.matrix, self.samples, self.scale = matrix, samples, scale
        self.mean, self.std = units.tolist()
        self.rows = as_kernel_csr(matrix)._replace(data=(matrix.data.astype(np.float64) - self.mean) / self.std)

    @cached_property
    def user(self) -> Any:
        """The posterior of the user of the only row."""
        return kernels.bpmf_user(self.rows.indices, self.rows.data, self.samples)

    def pairs(self, rows: Any, items: Any) -> tuple[Numbers, npt.NDArray[np.int32]]:
        """Return the unclipped predicted ratings of pairs, and the number of ratings used for each."""
        (ratings, _, is_rated), indptr, rows = self.moments(rows, items), self.rows.indptr, np.asarray(rows)
        return ratings.round(6), (indptr[rows + 1] - indptr[rows] - is_rated).astype(np.int32)

    def moments(
        self, rows: Any, items: Any, *, with_deviation: bool = False
    ) -> tuple[Numbers, Numbers, npt.NDArray[np.bool_]]:
        """Return mean, standard deviation, and whether the row has rated the item, for each pair."""
        rows, items, one_row = np.asarray(rows, np.int32), np.asarray(items, np.int32), self.matrix.shape[0] == 1
        by_row = slice(None) if one_row else np.argsort(rows, kind="stable")
        pairs = kernels.find_pairs(self.rows, rows[by_row], items[by_row])
        is_rated = pairs.held >= 0

        def part(start: int, stop: int) -> tuple[Numbers, Numbers]:
            return kernels.bpmf_pairs(start, stop, self.rows, pairs, self.samples, with_deviation)

        if one_row:
            if is_rated.any():
                means, variances = part(0, len(rows))
            else:
                means, variances = kernels.bpmf_items(self.user, items, self.samples, with_deviation)
            return self.mean + self.std * means, self.std * np.sqrt(variances), is_rated
        starts = np.diff(pairs.users, prepend=-1) > 0
        cost = np.where(starts, np.diff(self.matrix.indptr)[pairs.users] + 10.0, 1.0) * self._per_rating
        parts = list(ordered_parallel_map(part, split_by_cost(cost, SLICE) or [(0, 0)]))
        columns = np.concatenate(parts, axis=1)
        unsorted = np.empty((3, len(rows)))
        unsorted[:, by_row] = *columns, is_rated
        return self.mean + self.std * unsorted[0], self.std * np.sqrt(unsorted[1]), unsorted[2] > 0

    @property
    def _per_rating(self) -> int:
        """Multiplications for one rating of a user."""
        _, D, _, _ = self.samples.implicit_slope.shape
        return D * D * self.samples.n_samples

    def _unseen(self, progress: Progress | None = None) -> Iterator[Numbers]:
        """Yield the predicted ratings of all items for slices of rows; NaN for rated items."""
        n_rows, n_items = self.matrix.shape

        def part(start: int, stop: int) -> Numbers:
            if n_rows == 1:
                means, _ = kernels.bpmf_items(self.user, np.arange(n_items, dtype=np.int32), self.samples, False)
                means[self.matrix.indices], dense = np.nan, means[None]
            else:
                dense = kernels.bpmf_rows(start, stop, self.rows, self.samples)
            return (self.mean + self.std * dense).round(6)

        cost = np.diff(self.matrix.indptr) * self._per_rating + self.samples.item_factors.size
        return ordered_parallel_map(part, split_by_cost(cost, SLICE), progress)

    def dense(self) -> Numbers:
        """Return the predicted rating of every row and item."""
        dense = np.concatenate([np.empty((0, self.matrix.shape[1])), *self._unseen()])
        seen = np.repeat(np.arange(len(dense)), np.diff(self.matrix.indptr)), self.matrix.indices
        dense[seen] = self.pairs(*seen)[0]
        return dense

    def top(
        self, n: int, item_mask: Any = None, *, exclude_seen: bool = True, progress: Progress | None = None
    ) -> TopN:
        """Return the items with the highest predicted ratings of every row, sorted before ratings are clipped."""
        if not exclude_seen:
            seen = np.repeat(np.arange(self.matrix.shape[0]), np.diff(self.matrix.indptr)), self.matrix.indices
            ratings_of_seen = self.pairs(*seen)[0]
        items, scores = [np.empty(0, np.int32)], [np.empty(0)]
        for u, row in enumerate(row for part in self._unseen(progress) for row in part):
            if not exclude_seen:
                part = slice(*self.matrix.indptr[u : u + 2])
                row[self.matrix.indices[part]] = ratings_of_seen[part]
            if item_mask is not None:
                row[~item_mask] = np.nan
            items.append(kernels.top_n(row, min(n, len(row))).astype(np.int32))
            scores.append(row[items[-1]])
        lengths = [len(part) for part in items]
        return TopN(np.cumsum(lengths), np.concatenate(items), np.concatenate(scores))

    def columns(self) -> sp.csc_array:
        return sp.csc_array(self.matrix)

    def users(self, item: int, by_item: sp.csc_array | None = None) -> tuple[Numbers, npt.NDArray[np.int32]]:
        """Return the predicted rating of one item for every row."""
        n_rows = self.matrix.shape[0]
        return self.pairs(np.arange(n_rows), np.full(n_rows, item))

    def contributions(self, items: Any, scores: Any = None) -> ItemContributions:
        """Return the contributions to the predicted ratings of a single row; a weight is the change per star."""
        items = np.asarray(items, np.int32)
        scores = clipped(self.pairs(np.zeros(len(items), np.int32), items)[0] if scores is None else scores, self.scale)
        is_other = self.matrix.indices != items[:, None]
        base, weight, adds = np.empty(len(items)), np.empty(is_other.shape), np.empty(is_other.shape)
        unrated = is_other.all(axis=1)
        base[unrated], weight[unrated], adds[unrated] = kernels.bpmf_contributions(
            self.user, items[unrated], self.samples
        )
        for k in np.flatnonzero(~unrated):  # without the rating of the item itself
            user = kernels.bpmf_user(self.rows.indices[is_other[k]], self.rows.data[is_other[k]], self.samples)
            one = kernels.bpmf_contributions(user, items[k : k + 1], self.samples)
            base[k], weight[k, is_other[k]], adds[k, is_other[k]] = (part[0] for part in one)
        of, places = np.nonzero(is_other)
        ends, ones = np.searchsorted(of, np.arange(len(items) + 1)), np.ones(len(items))
        contributions, common = self.std * adds[of, places], np.full(len(of), UNKNOWN, np.int32)
        parts = kernels.Contributions(ends, places, weight[of, places], contributions, common, ones, ones)
        return ItemContributions.of(scores, self.mean + self.std * base, parts, self.matrix)


def _pad_to_simd(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Split the last axis, the samples, into groups of eight along a new first axis; pad with the last sample."""
    groups = np.empty((-(-samples.shape[-1] // kernels.LANES), *samples.shape[:-1], kernels.LANES), samples.dtype)
    for g, group in enumerate(groups):
        part = samples[..., g * kernels.LANES : (g + 1) * kernels.LANES]
        group[..., : part.shape[-1]], group[..., part.shape[-1] :] = part, part[..., -1:]
    return groups
