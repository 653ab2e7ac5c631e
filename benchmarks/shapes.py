"""Seeded ratings of the size and shape of the large MovieLens editions, which may not be redistributed.

python benchmarks/shapes.py ml-20m [folder]     # writes ml-20m.npz (SciPy CSR) and prints how well its marginals fit

Who rates how much and what is rated how often follow the published marginals; which pairs are rated follows from
those two alone, and the stars are drawn from MovieLens 20M's distribution. So the work is like the real thing's and the
taste is not: these data are for speed, never for accuracy.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numba import njit


class Shape(NamedTuple):
    """The marginals of an edition; movies' ratings fall from the largest along quantiles of the whole.

    `crowding` is Σ n_u² over what it would be if all users rated alike: it sets how many pairs a fit has to add up.
    """

    users: int
    items: int
    ratings: int
    most_active: int = 9_254
    median_user: int = 68
    largest_item: int = 67_310
    median_item: int = 18
    crowding: float = 3.46
    seed: int = 1
    least_active: int = 20

    @property
    def pairs(self) -> float:
        """The wanted Σ n_u²."""
        return self.crowding * self.ratings**2 / self.users


SHAPES = {
    "small": Shape(1_500, 1_200, 120_000, 800, 45, 750, 40, 2.6),
    "ml-1m-shape": Shape(6_040, 3_706, 1_000_209, 2_314, 96, 3_428, 123, 2.35),
    "ml-20m": Shape(138_493, 26_744, 20_000_263),
    "ml-32m": Shape(200_948, 84_432, 32_000_204, 33_332, 73, 102_929, 5),
    "ml-100m": Shape(692_465, 26_744, 100_001_315, largest_item=336_550, median_item=90),
    "amazon-book": Shape(52_643, 91_599, 2_380_730, 10_000, 25, 1_200, 16, 4.0, least_active=8),
}
"""`ml-100m` is ml-20m with five times the users. Of `amazon-book`, the split of the LightGCN paper, only the numbers of
users, items and ratings are those of its training part; how they are spread is assumed."""
STARS = np.arange(0.5, 5.5, 0.5, dtype=np.float32)
SHARES = np.array([1.2, 3.4, 1.4, 7.2, 4.4, 21.5, 11.0, 27.8, 7.7, 14.4]) / 100
QUANTILES = np.array([0, 0.003, 0.01, 0.03, 0.07, 0.15, 0.3, 0.5, 0.75, 1.0])
FALL = np.array([1, 0.42, 0.25, 0.11, 0.038, 0.0095, 0.0016, 0.00027, 0.00005, 0.000012])
"""At these shares of the movies, from the most rated on, the ratings relative to the largest."""


def make(shape: Shape) -> sp.csr_array:
    """Return a users × movies CSR of half stars with these marginals."""
    rng = np.random.default_rng(shape.seed)
    activity = activities(shape, rng)
    weights = np.cumsum(item_weights(shape, activity))
    items = rng.permutation(shape.items).astype(np.int32)
    indptr = np.concatenate([[0], np.cumsum(activity)])
    indices = draw(indptr, weights / weights[-1], items, shape.seed)
    data = rng.choice(STARS, size=len(indices), p=SHARES)
    return sp.csr_array((data, indices, indptr), shape=(shape.users, shape.items))


def activities(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Return ratings a user: the minimum, the median, the maximum, the total and Σ n_u² are those of the shape."""
    normal, most = np.sort(rng.standard_normal(shape.users)), min(shape.most_active, shape.items - 1)

    def curve(sigma: float, bend: float) -> np.ndarray:
        """Return a lognormal above the minimum whose logarithm is bent above the median."""
        logs, least = sigma * normal - bend * np.maximum(normal, 0) ** 2, shape.least_active
        counts = np.clip(least + (shape.median_user - least) * np.exp(np.minimum(logs, 30)), least, most)
        counts[-1] = most
        return counts

    def total(bend: float) -> float:
        """Return the sigma that gives the total."""
        return bisect(lambda sigma: curve(sigma, bend).sum() - shape.ratings, 0.01, 6.0)

    bend = bisect(lambda bend: shape.pairs - (curve(total(bend), bend) ** 2).sum(), -0.3, 1.0)
    counts = curve(total(bend), bend).astype(np.int64)
    short = shape.ratings - counts.sum()
    able = np.flatnonzero(counts < most)[::-1]
    counts[able[: max(0, short)]] += 1
    return rng.permutation(counts)


def bisect(rising: Callable[[float], float], low: float, high: float) -> float:
    """Return where a rising function passes zero, or the end that comes nearest."""
    for _ in range(25):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2


def item_weights(shape: Shape, activity: np.ndarray) -> np.ndarray:
    """Return the weights with which users choose, so that the movies' expected counts follow the quantiles."""
    place = (np.arange(shape.items) + 0.5) / shape.items
    logs = np.interp(place, QUANTILES, np.log(FALL))
    logs *= np.log(shape.median_item / shape.largest_item) / np.interp(0.5, QUANTILES, np.log(FALL))
    taper = np.maximum(0, 1 - 2 * place)  # the largest and the median held, what lies between bent to the total

    def counts_of(bend: float) -> np.ndarray:
        return shape.largest_item * np.exp(logs * (1 + (bend - 1) * taper))

    counts = counts_of(bisect(lambda bend: activity.sum() - counts_of(bend).sum(), 0.1, 3.0))
    edges = np.unique(np.quantile(activity, np.linspace(0, 1, 65)))
    people, _ = np.histogram(activity, edges)
    typical = np.histogram(activity, edges, weights=activity)[0] / np.maximum(people, 1)
    weights = counts / counts.sum()
    for _ in range(30):  # a user of activity a sees movie i with chance 1 − exp(−c_a w_i)
        rate = typical.copy()
        for _ in range(20):
            rate *= typical / (1 - np.exp(-np.outer(rate, weights))).sum(axis=1)
        seen = people @ (1 - np.exp(-np.outer(rate, weights)))
        weights *= counts / np.maximum(seen, 1e-9)
        weights /= weights.sum()
    return weights


@njit(cache=True)
def draw(indptr, cumulative, items, seed):
    """Draw each user's movies by weight, without repetition, ascending."""
    np.random.seed(seed)  # noqa: NPY002
    out, n = np.empty(indptr[-1], np.int32), len(cumulative)
    cells = 1 << 16  # a table of starting points makes the search in `cumulative` short
    first = np.searchsorted(cumulative, np.arange(cells) / cells)
    seen = np.zeros(n, np.int32)
    for u in range(len(indptr) - 1):
        at = indptr[u]
        while at < indptr[u + 1]:
            x = np.random.random()  # noqa: NPY002
            i = first[int(x * cells)]
            while i < n - 1 and cumulative[i] < x:
                i += 1
            if seen[i] != u + 1:
                seen[i] = u + 1
                out[at] = items[i]
                at += 1
        out[indptr[u] : indptr[u + 1]].sort()
    return out


def describe(X: sp.csr_array, shape: Shape) -> str:
    """Say how the marginals compare with what is wanted."""
    users, items = np.diff(X.indptr), np.bincount(X.indices, minlength=X.shape[1])
    pairs = (users.astype(np.float64) ** 2).sum()
    return (
        f"{X.nnz:,} ratings (wanted {shape.ratings:,}); users {users.min()}–{users.max():,}, median "
        f"{np.median(users):.0f} (wanted {shape.least_active}–{shape.most_active:,}, {shape.median_user}); movies' "
        f"median {np.median(items):.0f}, largest {items.max():,} (wanted {shape.median_item}, {shape.largest_item:,}); "
        f"Σ n_u² = {pairs:.2e} (wanted {shape.pairs:.2e})"
    )


if __name__ == "__main__":
    name, folder = sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else ".")
    start = time.perf_counter()
    made = make(SHAPES[name])
    sp.save_npz(folder / f"{name}.npz", made, compressed=False)
    print(f"{name}: {describe(made, SHAPES[name])}; {time.perf_counter() - start:.0f} s")
