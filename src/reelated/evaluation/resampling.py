"""Bootstrap intervals, and randomisation tests between two models, by resampling users."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reelated.evaluation.judging import Part
from reelated.ratings.ids import Ids

Numbers = npt.NDArray[np.float64]
CELLS = 20_000_000
"""Numbers held at once while resampling: 160 MB."""


class Sums(NamedTuple):
    """Summands of all metrics of all splits, aligned to the distinct units."""

    units: Ids  # the users (or items) of all splits
    totals: Numbers  # shape (n_splits, n_units, n_measures); 0 where a unit is not in a split
    weights: Numbers  # the same shape
    roots: npt.NDArray[np.bool_]  # shape (n_measures,): True for `rmse`

    @classmethod
    def of(cls, parts: Sequence[Part]) -> "Sums":
        """Align the parts of an evaluation to one index of units."""
        import polars as pl

        units = Ids(pl.concat([part.units for part in parts]).unique().sort(), "user")
        shape = (len(parts), len(units), len(parts[0].measured))
        totals, weights = np.zeros(shape), np.zeros(shape)
        for at, part in enumerate(parts):
            rows = units.indices_of(part.units)
            totals[at, rows] = np.stack([one.totals for one in part.measured], axis=1)
            weights[at, rows] = np.stack([one.weights for one in part.measured], axis=1)
        return cls(units, totals, weights, np.array([one.measure == "rmse" for one in parts[0].measured]))

    def counted(self) -> npt.NDArray[np.int64]:
        """Return the number of units that have a value, for each metric."""
        return (self.weights > 0).any(axis=0).sum(axis=0)

    def values(self, draws: Numbers | None = None) -> Numbers:
        """Return every metric, the mean over the splits, for each resample.

        A row of `draws` holds the multiplicity of each unit in one resample; None counts each unit once.
        """
        draws = np.ones((1, len(self.units))) if draws is None else draws
        means = [_finished(draws @ totals, draws @ weights, self.roots)
                 for totals, weights in zip(self.totals, self.weights, strict=True)]  # fmt: skip
        return np.squeeze(np.mean(means, axis=0), axis=0) if len(draws) == 1 else np.mean(means, axis=0)

    def shares(self) -> Numbers:
        """Return what each unit adds to each metric (to its square for `rmse`); they sum to the metric."""
        whole = self.weights.sum(axis=1, keepdims=True)
        return np.divide(self.totals, whole, out=np.zeros_like(self.totals), where=whole > 0).mean(axis=0)


def _finished(totals: Numbers, weights: Numbers, roots: npt.NDArray[np.bool_]) -> Numbers:
    means = np.divide(totals, weights, out=np.full(totals.shape, np.nan), where=weights > 0)
    return np.where(roots, np.sqrt(np.where(roots, means, 0.0)), means)


def bootstrap(sums: Sums, resamples: int, seed: int, minus: Sums | None = None) -> tuple[Numbers, Numbers]:
    """Return the ends of the 95 % percentile interval of every metric, or of its difference from `minus`.

    Units are resampled with replacement, the same ones in all splits and for both models (Efron 1979).
    """
    draw, n = np.random.default_rng(seed), len(sums.units)
    found, at_once = [], max(1, min(resamples, CELLS // max(n, 1)))
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        # multiplicities instead of copied rows: a resample is then one matrix product
        draws = np.stack([np.bincount(draw.integers(0, n, n), minlength=n) for _ in range(size)]).astype(np.float64)
        values = np.atleast_2d(sums.values(draws))
        found.append(values - np.atleast_2d(minus.values(draws)) if minus else values)
    every = np.concatenate(found)
    ends = np.full((2, every.shape[1]), np.nan)
    told = np.isfinite(every).any(axis=0)
    ends[:, told] = np.nanpercentile(every[:, told], [2.5, 97.5], axis=0)
    return ends[0], ends[1]


def sign_flips(first: Sums, second: Sums, resamples: int, seed: int) -> Numbers:
    """Return the two-sided p-value of every difference between two models: (1 + count) / (1 + resamples).

    `count` is how often randomly exchanged results differ at least as much. `rmse` is tested before its root is taken.
    """
    gaps, draw = second.shares() - first.shares(), np.random.default_rng(seed)
    real, n = np.abs(gaps.sum(axis=0)), len(gaps)
    count, at_once = np.zeros(gaps.shape[1], np.int64), max(1, min(resamples, CELLS // max(n, 1)))
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        signs = draw.integers(0, 2, (size, n)) * 2.0 - 1
        # 1e-12 absorbs rounding: an exchange that changes nothing counts as equal
        count += (np.abs(signs @ gaps) >= real - 1e-12).sum(axis=0)
    return (1 + count) / (1 + resamples)
