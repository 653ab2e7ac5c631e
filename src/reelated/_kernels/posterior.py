"""The posterior of a user given a row of ratings, under each posterior sample of a BPMF fit.

With `q_j = (1, v_j)`, a user who rated the items `j` has the precision `A = Λ + α Σ q_j q_jᵀ`, and the posterior mean
of `x = (b, z)` solves `A x = Λ m + α Σ q_j (r_j − offset_j)`; the predicted rating of `i` is `offset_i + b + v_i · z`.
Samples are independent of each other, so eight are processed at a time: they lie side by side in the last axis of
every array, and a user's state stays in the L1 cache. The last group is padded with uncounted copies of a sample.
"""

import functools
import itertools
import math
import threading
from typing import NamedTuple

import numpy as np

from reelated._kernels.kernel import njit_nogil, shared
from reelated._kernels.simd import (
    CACHE_LINE,
    LANES,
    TILE_COLUMNS,
    TILE_ROWS,
    add_dot,
    add_outer,
    load_lanes,
    multiply_lanes,
    prefetch,
    subtract_dot,
    subtract_outer,
)

# A = Λ + α Q.T @ Q;  x = solve(A, Λ @ m + α Q.T @ (ratings - offset));  rating = mean(offset_i + q_i @ x), over samples
# Cost for a user and a sample: n_ratings D² / 2 + D³ / 6 multiply-adds, then D for each item.

BATCH = 8
"""Number of ratings added in one pass over the sums, which are then loaded and stored once for all of them."""


@shared
class PosteriorSamples(NamedTuple):
    """The posterior samples of a fit: `G` groups of eight samples."""

    item_factors: np.ndarray  # `v` in the numbers 1 to D − 1, float32, (G, n_items, D, LANES)
    offsets: np.ndarray  # float32, (G, n_items, LANES)
    # prior mean of a user: user_mean + activity_slope · log(n_ratings) + implicit_slope @ Σ implicit_factors[j] /
    # √n_ratings
    user_mean: np.ndarray  # (G, D, LANES)
    activity_slope: np.ndarray  # (G, D, LANES)
    implicit_slope: np.ndarray  # (G, D, n_implicit, LANES)
    implicit_factors: np.ndarray  # (n_items, n_implicit)
    precision: np.ndarray  # Λ, both triangles, (G, D, D, LANES)
    alpha: np.ndarray  # (G, LANES)
    n_samples: int  # samples without the padding
    min_ratings: float  # n_ratings is clipped to this range in the term of `activity_slope`
    max_ratings: float


@shared
class PosteriorState(NamedTuple):
    """A user's state under eight posterior samples; `solve` computes `factor` and both means from the sums."""

    n_ratings: np.ndarray  # (1,)
    implicit_sum: np.ndarray  # Σ implicit factors of the rated items, (n_implicit,)
    sums: np.ndarray  # Σ w_j w_jᵀ of w_j = (q_j, r_j − offset_j), padded to whole tiles; lower triangle, (R, R, LANES)
    factor: np.ndarray  # Cholesky factor of A, its diagonal inverted; lower triangle, (D, D, LANES)
    prior_mean: np.ndarray  # (D, LANES)
    mean: np.ndarray  # posterior mean, (D, LANES)
    q: np.ndarray  # workspace for an item's factors, (D, LANES)
    batch: np.ndarray  # workspace for the w_j of a few ratings, (R, BATCH, LANES)
    scaled_implicit: np.ndarray  # workspace for implicit_sum / √n_ratings, (n_implicit, LANES)
    value: np.ndarray  # workspace for a number of each sample, (LANES,)


def empty_state(samples, *n_groups):
    """Allocate a user's state, or `n_groups` states that share their sums and their workspaces."""
    shapes, ends = _layout(*samples.implicit_slope.shape[1:3], n_groups)
    cells = aligned(ends[-1])  # one allocation for all: a list of one user makes a state
    parts = [cells[start:end].reshape(shape) for shape, start, end in zip(shapes, (0, *ends), ends, strict=False)]
    state = PosteriorState(np.zeros(1), np.empty(samples.implicit_slope.shape[2]), *parts)
    state.batch[:] = 0.0
    return state


_states = threading.local()


def workspace_state(samples):
    """Return this thread's state for samples of this shape; it holds nothing from one call to the next."""
    shape = samples.implicit_slope.shape[1:3]
    if shape not in _states.__dict__:
        _states.__dict__[shape] = empty_state(samples)
    return _states.__dict__[shape]


@functools.cache
def _layout(D, n_implicit, n_groups):
    """Return the shapes of the arrays of a state, and where each ends in one block of cells."""
    R = D // TILE_COLUMNS * TILE_COLUMNS + TILE_COLUMNS
    solved = (*n_groups, D, D), (*n_groups, D), (*n_groups, D)
    shapes = (R, R), *solved, (D,), (R, BATCH), (n_implicit,), ()
    ends = tuple(itertools.accumulate(math.prod(shape) for shape in shapes))
    return [(*shape, LANES) for shape in shapes], ends


@njit_nogil
def of_group(states, g):
    """Return one of the states of all groups."""
    return PosteriorState(
        states.n_ratings, states.implicit_sum, states.sums, states.factor[g], states.prior_mean[g], states.mean[g],
        states.q, states.batch, states.scaled_implicit, states.value,
    )  # fmt: skip


def aligned(*shape):
    """Return an array of eight numbers for each cell; it begins at a cache line, so that eight never span two."""
    size = math.prod(shape) * LANES
    buffer = np.empty(size + LANES)
    skip = -(buffer.__array_interface__["data"][0] // 8) % LANES
    return buffer[skip : skip + size].reshape(*shape, LANES)


@njit_nogil
def batched_cholesky(L):
    """Replace the lower triangle of eight symmetric matrices by their Cholesky factors, the diagonal inverted."""
    # fused multiply-adds and reciprocals: the bits differ from those of `gibbs.cholesky` and LAPACK
    D = len(L)
    for a in range(D):
        for c in range(a + 1):
            cell = (a * D + c) * LANES
            subtract_dot(L, cell, L, a * D * LANES, LANES, L, c * D * LANES, c)
            if c < a:
                multiply_lanes(L, cell, L, (c * D + c) * LANES)
        for lane in range(LANES):  # inverted: the triangular solves then multiply instead of dividing
            L[a, a, lane] = 1.0 / math.sqrt(L[a, a, lane])


@njit_nogil
def batched_solve_lower(L, b):
    """Replace `b` by the solution of `L x = b`."""
    D = len(b)
    for a in range(D):
        subtract_dot(b, a * LANES, L, a * D * LANES, LANES, b, 0, a)
        multiply_lanes(b, a * LANES, L, (a * D + a) * LANES)


@njit_nogil
def batched_solve_upper(L, b):
    """Replace `b` by the solution of `Lᵀ x = b`."""
    D = len(b)
    for a in range(D - 1, -1, -1):
        subtract_dot(b, a * LANES, L, ((a + 1) * D + a) * LANES, D * LANES, b, (a + 1) * LANES, D - 1 - a)
        multiply_lanes(b, a * LANES, L, (a * D + a) * LANES)


@njit_nogil
def flat_index(samples, i, g):
    """Return the flat position of item `i` in sample group `g`."""
    _, n_items, D, _ = samples.item_factors.shape
    return (g * n_items + i) * D * LANES


@njit_nogil
def n_used_lanes(samples, g):
    """Return the number of samples in group `g`, padding excluded."""
    n_left = samples.n_samples - g * LANES
    return n_left if n_left < LANES else LANES


@njit_nogil
def load_factors(samples, g, i, q):
    """Load `q_i = (1, v_i)`."""
    begin = flat_index(samples, i, g)
    for lane in range(LANES):
        q[0, lane] = 1.0
    for a in range(1, len(q)):
        load_lanes(q, a * LANES, samples.item_factors, begin + a * LANES)


@njit_nogil
def log_count(samples, n):
    """Return the factor of `activity_slope` for `n` ratings: log n, clipped to the range seen in the fit."""
    n = n if n > samples.min_ratings else samples.min_ratings
    return math.log(n if n < samples.max_ratings else samples.max_ratings)


@njit_nogil
def inverse_sqrt(n):
    """Return 1 / √n, the factor of `implicit_sum`; 0 without ratings."""
    return 1.0 / math.sqrt(n) if n > 0.5 else 0.0


@njit_nogil
def count_ratings(samples, indices, state):
    """Set the number of ratings and `implicit_sum`, which are the same for all samples."""
    state.n_ratings[0] = len(indices)
    state.implicit_sum[:] = 0.0
    for p in range(len(indices)):
        for f in range(len(state.implicit_sum)):
            state.implicit_sum[f] += samples.implicit_factors[indices[p], f]


@njit_nogil
def add_ratings(samples, g, indices, data, state):
    """Compute a user's sums, `BATCH` ratings at a time; `count_ratings` must have been called before `solve`."""
    D, R = len(state.mean), len(state.sums)
    state.sums[:] = 0.0
    for first in range(0, len(indices), BATCH):
        n = BATCH if first + BATCH < len(indices) else len(indices) - first
        for k in range(n):
            load_rating(samples, g, np.int64(indices[first + k]), data[first + k], state.batch, k)
        ahead = indices[first + BATCH : first + 2 * BATCH]
        for k in range(len(ahead)):
            prefetch(samples.offsets, (g * samples.offsets.shape[1] + np.int64(ahead[k])) * LANES)
        for a in range(0, D + 1, TILE_ROWS):
            for k in range(len(ahead)):  # the next batch, while this one is added
                prefetch(samples.item_factors, flat_index(samples, np.int64(ahead[k]), g) + a // TILE_ROWS * CACHE_LINE)
            for c in range(0, a + TILE_ROWS, TILE_COLUMNS):
                add_outer(state.sums, (a * R + c) * LANES, R * LANES, state.batch, a, c, BATCH, n)


@njit_nogil
def subtract_rating(samples, g, j, rating, state):
    """Subtract one rating from a user's sums."""
    D, R = len(state.mean), len(state.sums)
    load_rating(samples, g, j, rating, state.batch, 0)
    for a in range(0, D + 1, TILE_ROWS):
        for c in range(0, a + TILE_ROWS, TILE_COLUMNS):
            subtract_outer(state.sums, (a * R + c) * LANES, R * LANES, state.batch, a, c, BATCH, 1)


@njit_nogil
def load_rating(samples, g, j, rating, out, k):
    """Load `w_j = (q_j, r_j − offset_j)` into position `k` of the batch."""
    begin, D = flat_index(samples, j, g), samples.user_mean.shape[1]
    for lane in range(LANES):
        out[0, k, lane] = 1.0
        out[D, k, lane] = rating - samples.offsets[g, j, lane]
    for a in range(1, D):
        load_lanes(out, (a * BATCH + k) * LANES, samples.item_factors, begin + a * LANES)


@njit_nogil
def solve(samples, g, state):
    """Compute the prior mean, the Cholesky factor and the posterior mean from a user's sums."""
    (D, _), n_implicit, n, R = state.mean.shape, len(state.implicit_sum), state.n_ratings[0], len(state.sums)
    prior_mean, z, L, log_n = state.prior_mean, state.mean, state.factor, log_count(samples, n)
    for f in range(n_implicit):
        for lane in range(LANES):
            state.scaled_implicit[f, lane] = state.implicit_sum[f] * inverse_sqrt(n)
    for a in range(D):
        for lane in range(LANES):
            prior_mean[a, lane] = samples.user_mean[g, a, lane] + samples.activity_slope[g, a, lane] * log_n
        slope = (g * D + a) * n_implicit * LANES
        add_dot(
            prior_mean, a * LANES, samples.implicit_slope, slope, LANES, state.scaled_implicit, 0, n_implicit
        )  # fmt: skip
        for c in range(a + 1):
            cell = (a * D + c) * LANES
            load_lanes(L, cell, samples.precision, g * D * D * LANES + cell)
            add_dot(L, cell, samples.alpha, g * LANES, LANES, state.sums, (a * R + c) * LANES, 1)
    for a in range(D):
        load_lanes(z, a * LANES, state.sums, (D * R + a) * LANES)
        multiply_lanes(z, a * LANES, samples.alpha, g * LANES)
        add_dot(z, a * LANES, samples.precision, (g * D + a) * D * LANES, LANES, prior_mean, 0, D)
    batched_cholesky(L)
    batched_solve_lower(L, z)
    batched_solve_upper(L, z)


@njit_nogil
def downdate(samples, g, state, j, rating, other):
    """Copy the sums of a state with one rating removed (leave-one-out)."""
    other.n_ratings[0] = state.n_ratings[0] - 1.0
    for f in range(len(state.implicit_sum)):
        other.implicit_sum[f] = state.implicit_sum[f] - samples.implicit_factors[j, f]
    # removing a rating from the sums takes D² operations; adding up all the others takes n_ratings times as many
    for p in range(0, state.sums.size, LANES):
        load_lanes(other.sums, p, state.sums, p)
    subtract_rating(samples, g, j, rating, other)


@njit_nogil
def predicted_rating(samples, g, z, i, value):
    """Return an item's predicted rating summed over the samples; write the rating of each sample to `value`."""
    total = 0.0
    for lane in range(LANES):
        value[lane] = samples.offsets[g, i, lane] + z[0, lane]
    add_dot(value, 0, samples.item_factors, flat_index(samples, i, g) + LANES, LANES, z, LANES, len(z) - 1)
    for lane in range(n_used_lanes(samples, g)):
        total += value[lane]
    return total


@njit_nogil
def add_moments(samples, g, state, i, with_variance, moments, p):
    """Add an item's prediction to `moments`: Σ mean, Σ mean² and Σ variance over the samples."""
    moments[0, p] += predicted_rating(samples, g, state.mean, i, state.value)
    if with_variance:
        variance, squares = predictive_variance(samples, g, state, i)
        moments[1, p] += squares
        moments[2, p] += variance


@njit_nogil
def predictive_variance(samples, g, state, i):
    """Return Σ variance and Σ `value`² over the samples; `predicted_rating` must have filled `value`."""
    y, variance, squares = state.q, 0.0, 0.0
    load_factors(samples, g, i, y)
    batched_solve_lower(state.factor, y)
    for lane in range(n_used_lanes(samples, g)):
        variance += 1.0 / samples.alpha[g, lane]
        for a in range(len(y)):
            variance += y[a, lane] * y[a, lane]
        squares += state.value[lane] * state.value[lane]
    return variance, squares
