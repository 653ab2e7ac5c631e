"""BPMF fitting: Gibbs samples of the factors of items and users.

A sample holds an offset and factors `v` for each item, and the mean and precision of the users' `(bias, z)`; a rating
is `offset_i + bias + v_i · z` plus noise. One kernel samples both items and users: with `q_j = (1, v_j)`, a row that
rated the items `j` has the precision `A = Λ + α Σ q_j q_jᵀ`, and its mean solves `A x = Λ m + α Σ q_j (r_j −
offset_j)`. The sums are computed as products of dense tiles, and the systems of eight rows are solved at a time.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.kernel import njit_nogil
from reelated._kernels.posterior import aligned, batched_cholesky, batched_solve_lower, batched_solve_upper
from reelated._kernels.simd import LANES, add_scaled, add_tile, load_lanes

BATCH = 32
"""Number of ratings whose factors are collected before their products are added; they fit into the L1 cache."""


class GaussianPrior(NamedTuple):
    """The prior of rows: a mean for each, one precision matrix, and the precision `alpha` of the noise."""

    mean: np.ndarray
    precision: np.ndarray
    alpha: float


class Systems(NamedTuple):
    """The linear systems `A x = Λ m + b` of eight rows, side by side in the last axis."""

    A: np.ndarray  # after solving, its Cholesky factor, (D, D, 8)
    b: np.ndarray  # α Σ q (r − offset), without Λ m, (D, 8)
    mean: np.ndarray  # m; after solving, another vector, (D, 8)
    x: np.ndarray  # (D, 8)
    error: np.ndarray  # α Σ (r − offset − q · x)², (8,)


# A = Λ + α Q.T @ Q;  L = cholesky(A);  out[u] = solve(A, Λ @ m[u] + α Q.T @ (ratings - offset)) + solve(L.T, noise[u])
# Cost of a row: n_ratings D² / 2 + D³ / 6 multiply-adds.
def sample_rows(start, stop, rows, others, prior, noise, out):
    """Sample the factors of users (or items) `start … stop`, given the factors of their items (or raters).

    `others` are the offsets and the factors `v`, padded with zeros to a multiple of eight. Return the squared error of
    each row, Σ (r − offset − q · x)², and its Σ (offset, v).
    """
    (_, R), D = others[1].shape, out.shape[1]
    sums, batch = np.empty((R + 2, R)), np.empty((R // LANES, BATCH, LANES))
    systems, totals = Systems(aligned(D, D), aligned(D), aligned(D), aligned(D), aligned()), np.empty((stop - start, D))
    errors = np.empty(stop - start)
    _sample_rows(start, stop, rows, *others, *prior, noise, sums, batch, systems, out, errors, totals)
    return errors, totals


@njit_nogil
def _sample_rows(
    start, stop, rows, offsets, factors, prior_mean, precision, alpha, noise, sums, batch, systems, out, errors, totals
):  # fmt: skip
    total = squares = 0.0
    for first in range(start, stop, LANES):
        n = LANES if first + LANES < stop else stop - first
        for lane in range(LANES):  # the last group is padded with copies of its last row
            if lane < n:
                total, squares = add_row(
                    first + lane, rows, offsets, factors, sums, batch, totals[first + lane - start]
                )
            u = first + lane if lane < n else stop - 1
            set_system(rows.indptr[u + 1] - rows.indptr[u], sums, total, precision, alpha, systems, lane)
            systems.error[lane] = alpha * squares
            for a in range(len(precision)):
                systems.mean[a, lane] = prior_mean[u, a]
        solve_systems(systems, precision, noise, first, n)
        for lane in range(n):
            errors[first + lane - start] = systems.error[lane] / alpha
            for a in range(len(precision)):
                out[first + lane, a] = systems.x[a, lane]


@njit_nogil
def add_row(u, rows, offsets, factors, sums, batch, totals):
    """Write the sums over one row: Σ v vᵀ, and below it Σ v and Σ v (r − offset); return Σ and Σ² of r − offset.

    Only the tiles of Σ v vᵀ on and below the diagonal are written.
    """
    begin, end, R = rows.indptr[u], rows.indptr[u + 1], factors.shape[1]
    total, squares = 0.0, 0.0
    sums[:] = 0.0
    totals[:] = 0.0
    for first in range(begin, end, BATCH):
        n = BATCH if first + BATCH < end else end - first
        for k in range(n):
            j = np.int64(rows.indices[first + k])
            residual = rows.data[first + k] - offsets[j]
            total += residual
            squares += residual * residual
            totals[0] += offsets[j]
            for g in range(len(batch)):
                cell = (g * BATCH + k) * LANES
                load_lanes(batch, cell, factors, j * R + g * LANES)
                add_scaled(sums, R * R + g * LANES, batch, cell, 1.0)
                add_scaled(sums, R * R + R + g * LANES, batch, cell, residual)
        for g in range(len(batch)):
            for h in range(g + 1):
                tile, own, partner = (g * R + h) * LANES, g * BATCH * LANES, h * BATCH * LANES
                add_tile(sums, tile, R, batch, own, batch, partner, n)
    for a in range(1, len(totals)):
        totals[a] = sums[R, a - 1]
    return total, squares


@njit_nogil
def set_system(n_ratings, sums, total, precision, alpha, systems, lane):
    """Write `A` and `b` of one row into its lane."""
    R = sums.shape[1]
    for a in range(len(precision)):
        systems.b[a, lane] = alpha * (total if a == 0 else sums[R + 1, a - 1])
        for c in range(a + 1):
            product = sums[a - 1, c - 1] if c > 0 else sums[R, a - 1] if a > 0 else n_ratings
            systems.A[a, c, lane] = precision[a, c] + alpha * product


@njit_nogil
def solve_systems(systems, precision, noise, first, n):
    """Sample `x` of eight rows, and complete their errors, which hold α Σ (r − offset)²."""
    A, b, mean, x, error = systems
    add_product(precision, mean, b, 1.0, x)
    batched_cholesky(A)
    batched_solve_lower(A, x)
    for a in range(len(x)):  # before the second solve: Cov(L⁻ᵀ noise) = (L Lᵀ)⁻¹ = A⁻¹
        for lane in range(n):
            x[a, lane] += noise[first + lane, a]
        for lane in range(LANES):  # |Lᵀ x|² = xᵀ A x = xᵀ Λ x + α xᵀ (Σ q qᵀ) x
            error[lane] += x[a, lane] * x[a, lane]
    batched_solve_upper(A, x)
    add_product(precision, x, b, 2.0, mean)
    for a in range(len(x)):
        for lane in range(LANES):
            error[lane] -= x[a, lane] * mean[a, lane]


@njit_nogil
def add_product(precision, x, b, scale, out):
    """Write `Λ x + scale · b` of eight rows."""
    for a in range(len(x)):
        for lane in range(LANES):
            out[a, lane] = scale * b[a, lane]
        for c in range(len(x)):
            for lane in range(LANES):
                out[a, lane] += precision[a, c] * x[c, lane]


@njit_nogil
def cross_products(A, B, out):
    """Write `Aᵀ B`, summed in row order, so that the bits do not depend on the number of threads."""
    out[:] = 0.0
    for row in range(len(A)):
        for a in range(A.shape[1]):
            x = A[row, a]
            if x != 0.0:
                for c in range(B.shape[1]):
                    out[a, c] += x * B[row, c]
