"""`PosteriorScorer`: predictions, lists, audiences and explanations from the posterior samples of `BPMF`."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.models.biases import clipped
from reelated.models.contributions import ItemContributions
from reelated.models.topn import TopN
from reelated.parallel import Progress, ordered_parallel_map, split_by_cost
from reelated.similarity import as_kernel_csr

Numbers = npt.NDArray[np.float64]
SLICE = 1e8
"""Number of multiplications in one slice of work: about a tenth of a second."""
UNKNOWN = -1
"""Placeholder for the number of users who rated both items, which this model does not count."""


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
        """The posterior of the user, if there is only one row."""
        return kernels.bpmf_user(self.rows.indices, self.rows.data, self.samples)

    def pairs(self, rows: Any, items: Any) -> tuple[Numbers, npt.NDArray[np.int32]]:
        ratings, _, is_rated = self.moments(rows, items)
        lengths = self.rows.indptr[1:] - self.rows.indptr[:-1]
        return ratings.round(6), (lengths[rows] - is_rated).astype(np.int32)

    def moments(
        self, rows: Any, items: Any, *, with_deviation: bool = False
    ) -> tuple[Numbers, Numbers, npt.NDArray[np.bool_]]:
        """Return mean, standard deviation, and whether the row has rated the item, for each pair."""
        rows, items = np.asarray(rows, np.int32), np.asarray(items, np.int32)
        if self.matrix.shape[0] == 1:
            pairs = kernels.find_pairs(self.rows, rows, items)
            means, variances = kernels.bpmf_pairs(0, len(rows), self.rows, pairs, self.samples, with_deviation)
            return self.mean + self.std * means, self.std * np.sqrt(variances), pairs.held >= 0
        by_row = np.argsort(rows, kind="stable")
        pairs = kernels.find_pairs(self.rows, rows[by_row], items[by_row])

        def part(start: int, stop: int) -> tuple[Numbers, Numbers]:
            return kernels.bpmf_pairs(start, stop, self.rows, pairs, self.samples, with_deviation)

        starts = np.diff(pairs.users, prepend=-1) > 0
        cost = np.where(starts, np.diff(self.matrix.indptr)[pairs.users] + 10.0, 1.0) * self._per_rating
        parts = list(ordered_parallel_map(part, split_by_cost(cost, SLICE) or [(0, 0)]))
        columns = np.concatenate(parts, axis=1)
        unsorted = np.empty((3, len(rows)))
        unsorted[:, by_row] = *columns, pairs.held >= 0
        return self.mean + self.std * unsorted[0], self.std * np.sqrt(unsorted[1]), unsorted[2] > 0

    @property
    def _per_rating(self) -> int:
        """Number of multiplications for one rating of a user."""
        _, D, _, _ = self.samples.implicit_slope.shape
        return D * D * self.samples.n_samples

    def _unseen(self, progress: Progress | None = None) -> Iterator[Numbers]:
        """Yield the predicted ratings of all items for slices of rows; NaN for rated items."""
        n_rows, n_items = self.matrix.shape

        def part(start: int, stop: int) -> Numbers:
            if n_rows == 1:
                means = kernels.bpmf_items(self.user, np.arange(n_items, dtype=np.int32), self.samples)
                means[self.matrix.indices], dense = np.nan, means[None]
            else:
                dense = kernels.bpmf_rows(start, stop, self.rows, self.samples)
            return (self.mean + self.std * dense).round(6)

        cost = np.diff(self.matrix.indptr) * self._per_rating + self.samples.item_factors.size
        return ordered_parallel_map(part, split_by_cost(cost, SLICE), progress)

    def dense(self) -> Numbers:
        dense = np.concatenate([np.empty((0, self.matrix.shape[1])), *self._unseen()])
        seen = np.repeat(np.arange(len(dense)), np.diff(self.matrix.indptr)), self.matrix.indices
        dense[seen] = self.pairs(*seen)[0]
        return dense

    def top(
        self, n: int, item_mask: Any = None, *, exclude_seen: bool = True, progress: Progress | None = None
    ) -> TopN:
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
        n_rows = self.matrix.shape[0]
        return self.pairs(np.arange(n_rows), np.full(n_rows, item))

    def contributions(self, items: Any, scores: Any = None) -> ItemContributions:
        # the similarity of a rated item is the change of the predicted rating per star
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
        bases = self.mean + self.std * base
        return ItemContributions(scores, bases, parts, self.matrix.indices, self.matrix.data)


def pad_to_simd(samples: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Split the last axis, the samples, into groups of eight along a new first axis; pad with the last sample."""
    groups = np.empty((-(-samples.shape[-1] // kernels.LANES), *samples.shape[:-1], kernels.LANES), samples.dtype)
    for g, group in enumerate(groups):
        part = samples[..., g * kernels.LANES : (g + 1) * kernels.LANES]
        group[..., : part.shape[-1]], group[..., part.shape[-1] :] = part, part[..., -1:]
    return groups
