"""Seeded ratings of the size and shape of the large MovieLens editions, which may not be redistributed.

python benchmarks/shapes.py ml-20m [folder]     # writes ml-20m.npz (SciPy CSR) and prints how well its marginals fit

Who rates how much and what is rated how often follow the published marginals; which pairs are rated follows from
those two alone, and the stars are drawn from MovieLens 20M's distribution. So the work is like the real thing's and the
taste is not: these data are for speed, never for accuracy.
"""

import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numba import njit


class Shape(NamedTuple):
    """The marginals of an edition; movies' ratings fall from `largest` along quantiles of the whole."""

    users: int
    movies: int
    ratings: int
    most_active: int = 9_254
    median_user: int = 68
    largest_share: float = 67_310 / 138_493
    seed: int = 1


SHAPES = {
    "ml-1m": Shape(6_040, 3_706, 1_000_209, 2_314, 96, 3_428 / 6_040),
    "ml-20m": Shape(138_493, 26_744, 20_000_263),
    "ml-32m": Shape(200_948, 84_432, 32_000_204, 33_332, 73, 102_929 / 200_948),
    "ml-100m": Shape(692_465, 26_744, 100_001_315),
}
STARS = np.arange(0.5, 5.5, 0.5, dtype=np.float32)
SHARES = np.array([1.2, 3.4, 1.4, 7.2, 4.4, 21.5, 11.0, 27.8, 7.7, 14.4]) / 100
QUANTILES = np.array([0, 0.003, 0.01, 0.03, 0.07, 0.15, 0.3, 0.5, 0.75, 1.0])
FALL = np.array([1, 0.42, 0.25, 0.11, 0.038, 0.0095, 0.0016, 0.00027, 0.00005, 0.000012])
"""At these shares of the movies, from the most rated on, the ratings relative to the largest."""


def make(shape: Shape) -> sp.csr_array:
    """Return a users × movies CSR of half stars with these marginals."""
    rng = np.random.default_rng(shape.seed)
    activity = activities(shape, rng)
    weights = np.cumsum(movie_weights(shape, activity))
    movies = rng.permutation(shape.movies).astype(np.int32)
    indptr = np.concatenate([[0], np.cumsum(activity)])
    indices = draw(indptr, weights / weights[-1], movies, shape.seed)
    data = rng.choice(STARS, size=len(indices), p=SHARES)
    return sp.csr_array((data, indices, indptr), shape=(shape.users, shape.movies))


def activities(shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Return ratings a user: lognormal above 20 with the median, cut at the most active, scaled to the total."""
    normal, spread = np.sort(rng.standard_normal(shape.users)), (0.3, 3.0)
    for _ in range(40):
        sigma = sum(spread) / 2
        counts = np.clip(20 + (shape.median_user - 20) * np.exp(sigma * normal), 20, shape.most_active)
        spread = (sigma, spread[1]) if counts.sum() < shape.ratings else (spread[0], sigma)
    counts = np.minimum(counts, shape.movies // 2).astype(np.int64)
    counts[np.argsort(-counts)[: max(0, shape.ratings - counts.sum())]] += 1
    return rng.permutation(counts)


def movie_weights(shape: Shape, activity: np.ndarray) -> np.ndarray:
    """Return the weights with which users choose, so that the movies' expected counts follow the quantiles."""
    place = (np.arange(shape.movies) + 0.5) / shape.movies
    target = np.exp(np.interp(place, QUANTILES, np.log(FALL)))
    low, high = 0.3, 3.0  # bend the fall until the total is right, the largest held
    for _ in range(40):
        bend = (low + high) / 2
        counts = shape.largest_share * shape.users * target**bend
        low, high = (bend, high) if counts.sum() > activity.sum() else (low, bend)
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
def draw(indptr, cumulative, movies, seed):
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
                out[at] = movies[i]
                at += 1
        out[indptr[u] : indptr[u + 1]].sort()
    return out


def describe(X: sp.csr_array, shape: Shape) -> str:
    """Say how the marginals compare with what is wanted."""
    users, movies = np.diff(X.indptr), np.bincount(X.indices, minlength=X.shape[1])
    pairs = (users.astype(np.float64) ** 2).sum()
    return (
        f"{X.nnz:,} ratings (wanted {shape.ratings:,}); users {users.min()}–{users.max():,}, median "
        f"{np.median(users):.0f} (wanted 20–{shape.most_active:,}, {shape.median_user}); movies' median "
        f"{np.median(movies):.0f}, largest {movies.max():,} (wanted {shape.largest_share * shape.users:,.0f}); "
        f"Σ n_u² = {pairs:.2e}"
    )


if __name__ == "__main__":
    name, folder = sys.argv[1], Path(sys.argv[2] if len(sys.argv) > 2 else ".")
    start = time.perf_counter()
    made = make(SHAPES[name])
    sp.save_npz(folder / f"{name}.npz", made, compressed=False)
    print(f"{name}: {describe(made, SHAPES[name])}; {time.perf_counter() - start:.0f} s")
