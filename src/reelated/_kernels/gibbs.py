"""BPMF fitting: Gibbs samples of the factors of items and users.

A sample holds an offset and factors `v` for each item, and the mean and precision of the users' `(bias, z)`; a rating
is `offset_i + bias + v_i · z` plus noise. One kernel samples both items and users: with `q_j = (1, v_j)`, a row that
rated the items `j` has the precision `A = Λ + α Σ q_j q_jᵀ`, and its mean solves
`A x = Λ m + α Σ q_j (r_j − offset_j)`.
"""

import math
from typing import NamedTuple

import numpy as np

from reelated._kernels.kernel import njit_nogil


class GaussianPrior(NamedTuple):
    """The prior of rows: a mean for each, one precision matrix, and the precision `alpha` of the noise."""

    mean: np.ndarray
    precision: np.ndarray
    alpha: float


@njit_nogil
def cholesky(A, L):
    """Write the Cholesky factor `L` of `A`; only the lower triangle of `A` is read."""
    for a in range(len(A)):
        for c in range(a + 1):
            rest = A[a, c]
            for e in range(c):
                rest -= L[a, e] * L[c, e]
            L[a, c] = math.sqrt(rest) if a == c else rest / L[c, c]


@njit_nogil
def solve_lower(L, b):
    """Replace `b` by the solution of `L x = b`."""
    for a in range(len(b)):
        rest = b[a]
        for e in range(a):
            rest -= L[a, e] * b[e]
        b[a] = rest / L[a, a]


@njit_nogil
def solve_upper(L, b):
    """Replace `b` by the solution of `Lᵀ x = b`."""
    for a in range(len(b) - 1, -1, -1):
        rest = b[a]
        for e in range(a + 1, len(b)):
            rest -= L[e, a] * b[e]
        b[a] = rest / L[a, a]


# A = Λ + α Q.T @ Q;  L = cholesky(A);  out[u] = solve(A, Λ @ m[u] + α Q.T @ (ratings - offset)) + solve(L.T, noise[u])
# Cost of a row: n_ratings D² / 2 + D³ / 6 multiply-adds.
def sample_rows(start, stop, rows, others, prior, noise, out):
    """Sample the factors of users (or items) `start … stop`, given the factors of their items (or raters)."""
    D = others.shape[1]
    A, L = np.empty((D, D)), np.empty((D, D))
    _sample_rows(start, stop, rows, others, prior.mean, prior.precision, prior.alpha, noise, A, L, np.ones(D), out)


@njit_nogil
def _sample_rows(start, stop, rows, others, prior_mean, precision, alpha, noise, A, L, q, out):
    D = len(q)
    for u in range(start, stop):
        b = out[u]
        for a in range(D):
            b[a] = 0.0
            for c in range(D):
                A[a, c] = precision[a, c]
                b[a] += precision[a, c] * prior_mean[u, c]
        for p in range(rows.indptr[u], rows.indptr[u + 1]):
            j = rows.indices[p]
            for a in range(1, D):
                q[a] = others[j, a]
            residual = alpha * (rows.data[p] - others[j, 0])
            for a in range(D):
                b[a] += q[a] * residual
                weighted = alpha * q[a]
                for c in range(a + 1):
                    A[a, c] += weighted * q[c]
        cholesky(A, L)
        solve_lower(L, b)
        for a in range(D):  # before the second solve: Cov(L⁻ᵀ noise) = (L Lᵀ)⁻¹ = A⁻¹
            b[a] += noise[u, a]
        solve_upper(L, b)


@njit_nogil
def squared_error(rows, user_factors, item_factors):
    """Return Σ (r − offset − bias − v · z)² over all ratings."""
    total = 0.0
    for u in range(len(rows.indptr) - 1):
        for p in range(rows.indptr[u], rows.indptr[u + 1]):
            j = rows.indices[p]
            error = rows.data[p] - user_factors[u, 0] - item_factors[j, 0]
            for a in range(1, user_factors.shape[1]):
                error -= user_factors[u, a] * item_factors[j, a]
            total += error * error
    return total


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
