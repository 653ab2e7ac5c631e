"""Bootstrap intervals, and randomisation tests between two models, by resampling users."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.evaluation.scoring import SplitResult
from reelated.ratings.ids import Ids

Numbers = npt.NDArray[np.float64]
MAX_CELLS = 20_000_000
"""Maximum number of values held at once during resampling: 160 MB."""


class MetricSums(NamedTuple):
    """Summands of all metrics of all splits, aligned to the distinct entities."""

    entities: Ids  # the users (or items) of all splits
    totals: Numbers  # shape (n_splits, n_entities, n_measures); 0 where an entity is not in a split
    weights: Numbers  # the same shape
    roots: npt.NDArray[np.bool_]  # shape (n_measures,): True for `rmse`

    @classmethod
    def of(cls, parts: Sequence[SplitResult]) -> "MetricSums":
        """Align the parts of an evaluation to one index of entities."""
        entities = Ids(pl.concat([part.entities for part in parts]).unique().sort(), "user")
        shape = (len(parts), len(entities), len(parts[0].metrics))
        totals, weights = np.zeros(shape), np.zeros(shape)
        for split, part in enumerate(parts):
            rows = entities.indices_of(part.entities)
            totals[split, rows] = np.stack([values.totals for values in part.metrics], axis=1)
            weights[split, rows] = np.stack([values.weights for values in part.metrics], axis=1)
        return cls(entities, totals, weights, np.array([values.measure == "rmse" for values in parts[0].metrics]))

    def n_entities(self) -> npt.NDArray[np.int64]:
        """Return the number of entities that have a value, for each metric."""
        return (self.weights > 0).any(axis=0).sum(axis=0)

    def values(self) -> Numbers:
        """Return every metric, the mean over the splits."""
        return self.resampled(np.ones((1, len(self.entities))))[0]

    def resampled(self, counts: Numbers) -> Numbers:
        """Return a row of metrics for each resample; a row of `counts` holds how often it has each entity."""
        means = [_means(counts @ totals, counts @ weights, self.roots)
                 for totals, weights in zip(self.totals, self.weights, strict=True)]  # fmt: skip
        return np.mean(means, axis=0)

    def shares(self) -> Numbers:
        """Return the contribution of each entity to each metric (to its square for `rmse`); they sum to the metric."""
        weights = self.weights.sum(axis=1, keepdims=True)
        return np.divide(self.totals, weights, out=np.zeros_like(self.totals), where=weights > 0).mean(axis=0)


def _means(totals: Numbers, weights: Numbers, roots: npt.NDArray[np.bool_]) -> Numbers:
    means = np.divide(totals, weights, out=np.full(totals.shape, np.nan), where=weights > 0)
    return np.where(roots, np.sqrt(np.where(roots, means, 0.0)), means)


def _batch_sizes(resamples: int, n: int) -> Iterator[int]:
    """Yield the sizes of batches of resamples of `n` entities that fit into `MAX_CELLS`."""
    batch = max(1, min(resamples, MAX_CELLS // max(n, 1)))
    return (min(batch, resamples - start) for start in range(0, resamples, batch))


def bootstrap(sums: MetricSums, resamples: int, seed: int, minus: MetricSums | None = None) -> tuple[Numbers, Numbers]:
    """Return the 95 % percentile interval of every metric, or of its difference from `minus` (Efron 1979)."""
    rng, n, differences = np.random.default_rng(seed), len(sums.entities), []
    for size in _batch_sizes(resamples, n):
        # multiplicities instead of copied rows: a resample is then one matrix product
        counts = np.stack([np.bincount(rng.integers(0, n, n), minlength=n) for _ in range(size)]).astype(np.float64)
        values = sums.resampled(counts)
        differences.append(values - minus.resampled(counts) if minus else values)
    resampled = np.concatenate(differences)
    ends = np.full((2, resampled.shape[1]), np.nan)
    known = np.isfinite(resampled).any(axis=0)
    ends[:, known] = np.nanpercentile(resampled[:, known], [2.5, 97.5], axis=0)
    return ends[0], ends[1]


def sign_flips(first: MetricSums, second: MetricSums, resamples: int, seed: int) -> Numbers:
    """Return the two-sided p-value of every difference between two models, by random exchanges of their results."""
    differences, rng = second.shares() - first.shares(), np.random.default_rng(seed)
    observed, n = np.abs(differences.sum(axis=0)), len(differences)
    count = np.zeros(differences.shape[1], np.int64)
    for size in _batch_sizes(resamples, n):
        signs = rng.integers(0, 2, (size, n)) * 2.0 - 1
        # 1e-12 absorbs rounding: an exchange that changes nothing counts as equal
        count += (np.abs(signs @ differences) >= observed - 1e-12).sum(axis=0)
    return (1 + count) / (1 + resamples)
