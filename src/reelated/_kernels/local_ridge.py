"""Linear weights between items: one ridge regression for each item on its candidates, by conjugate gradients.

for i:  N = candidates[i];  weights[i, N] = solve(G[N, N] + diag(penalty[N]), G[N, i])

The penalty makes the diagonal large, so that a few iterations suffice: 5 to 15 with the default penalty, where a
Cholesky factorisation of `m` candidates takes m³ / 3 operations. The method is that of Hestenes and Stiefel 1952,
"Methods of conjugate gradients for solving linear systems", with the diagonal as the preconditioner.

Cost of an iteration: m² multiplications, or two for each rating of the candidates.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.csr import CSR
from reelated._kernels.kernel import njit_nogil
from reelated._kernels.simd import LANES, SYMMETRIC_ROWS, add_scaled, add_symmetric

MAX_ITERATIONS = 10
"""Iterations at most, times the number of candidates."""


class GramMatrix(NamedTuple):
    """The Gram matrix in one of three forms; those not in use are empty.

    Its lower triangle in `dense`; the largest entries of each row in `sparse`; or the ratings themselves, by item, of
    which it is the product.
    """

    dense: np.ndarray
    sparse: CSR
    ratings: CSR
    diagonal: np.ndarray


class System(NamedTuple):
    """The workspace of one regression: vectors, and either the matrix or the ratings whose product it is.

    The columns hold the users who rated at least two candidates, renumbered. `position` has a number for each item or
    user; it is 0 everywhere before and after.
    """

    residual: np.ndarray
    direction: np.ndarray
    product: np.ndarray
    inverse: np.ndarray  # of each entry of the diagonal
    held: np.ndarray  # the part of the diagonal that is in the columns
    rest: np.ndarray  # the other part
    matrix: np.ndarray
    columns: CSR
    n_users: np.ndarray
    sums: np.ndarray  # a number for each user of the columns
    position: np.ndarray

    @classmethod
    def empty(cls, n, n_ratings, n_positions, dtype):
        """Return a workspace for at most `n` candidates; `n_ratings` is 0 for a system with a matrix."""
        padded = -(-n // LANES) * LANES
        vectors, matrix = np.empty((6, padded), dtype), np.empty(0 if n_ratings else padded * padded, dtype)
        columns = CSR(np.zeros(n + 1, np.int64), np.empty(n_ratings, np.int32), np.empty(n_ratings, dtype))
        sums, position = np.empty(n_ratings, dtype), np.zeros(n_positions, np.int32)
        return cls(*vectors, matrix, columns, np.zeros(1, np.int64), sums, position)


def local_ridge_rows(start, stop, candidates, gram, penalty, weights, n_positions):
    """Solve the systems of items `start … stop`; `candidates` holds each item's candidates and Gram entries with them.

    `n_positions` is at least the number of items and, in the form of ratings, that of users. Where missing entries make
    a system indefinite, its diagonal is doubled until there is a solution.
    """
    n_ratings, indptr = 0, candidates.indptr[start : stop + 1]
    if len(gram.ratings.indices):
        items = candidates.indices[indptr[0] : indptr[-1]]
        ends = np.concatenate([[0], np.cumsum(np.diff(gram.ratings.indptr)[items])])
        n_ratings = np.diff(ends[indptr - indptr[0]]).max(initial=0)
    system = System.empty(np.diff(indptr).max(initial=0), n_ratings, n_positions, weights.dtype)
    tolerance = 1e-6 if weights.itemsize == 4 else 1e-12
    _solve_rows(start, stop, candidates, gram, penalty, weights, system, tolerance)


@njit_nogil
def _solve_rows(start, stop, candidates, gram, penalty, weights, system, tolerance):
    for i in range(start, stop):
        begin, end = candidates.indptr[i], candidates.indptr[i + 1]
        items, targets, solution = candidates.indices[begin:end], candidates.data[begin:end], weights[begin:end]
        padded = padded_length(len(items))
        if len(gram.dense):
            dense_system(items, gram.dense, padded, system.matrix)
        elif len(gram.ratings.indices):
            rating_system(items, gram.ratings, system)
        else:
            sparse_system(items, gram.sparse, system.position, padded, system.matrix)
        scale, solved = 1, False
        while not solved:
            for a in range(len(items)):
                diagonal = scale * (gram.diagonal[items[a]] + penalty[items[a]])
                system.inverse[a] = 1 / diagonal
                if len(system.matrix):
                    system.matrix[a * padded + a] = diagonal
                else:
                    system.rest[a] = diagonal - system.held[a]
            solved = conjugate_gradients(targets, solution, system, tolerance)
            scale += scale


@njit_nogil
def conjugate_gradients(targets, solution, system, tolerance):
    """Solve a system to a relative tolerance; return whether it is positive definite, as far as the method can see."""
    n, residual, direction, product = len(targets), system.residual, system.direction, system.product
    padded, size = padded_length(n), 0.0
    for a in range(n, padded):
        direction[a] = 0
    for a in range(n):
        solution[a], residual[a], direction[a] = 0, targets[a], targets[a] * system.inverse[a]
        size += np.float64(residual[a]) * direction[a]
    goal = tolerance * tolerance * size
    for _ in range(MAX_ITERATIONS * n):
        if size <= goal:
            break
        if len(system.matrix):
            multiply_matrix(padded, system.matrix, direction, product)
        else:
            multiply_ratings(n, system, direction, product)
        curvature = 0.0
        for a in range(n):
            curvature += np.float64(direction[a]) * product[a]
        if not curvature > 0:
            return False
        step, last = direction.dtype.type(size / curvature), size
        size = 0.0
        for a in range(n):
            solution[a] += step * direction[a]
            residual[a] -= step * product[a]
            size += np.float64(residual[a]) * residual[a] * system.inverse[a]
        turn = direction.dtype.type(size / last)
        for a in range(n):
            direction[a] = residual[a] * system.inverse[a] + turn * direction[a]
    return True


# product = matrix @ direction
@njit_nogil
def multiply_matrix(n, matrix, direction, product):
    """Multiply a symmetric matrix of `n` rows, a multiple of eight, by a vector; each entry is read once.

    The lower triangle is read in blocks of eight rows; the block on the diagonal holds both triangles.
    """
    step = np.uint64(n)
    for a in range(n):
        product[a] = 0
    for block in range(0, n, LANES):
        for row in range(block, block + LANES, SYMMETRIC_ROWS):
            add_symmetric(product, row, matrix, np.uint64(row) * step, step, direction, block // LANES)
        for row in range(block, block + LANES):
            add_scaled(product, block, matrix, np.uint64(row) * step + np.uint64(block), direction[row])


# product = columns.T @ (columns @ direction) + rest * direction
@njit_nogil
def multiply_ratings(n, system, direction, product):
    """Multiply the matrix of a system that holds ratings by a vector."""
    indptr, users, values = system.columns
    sums = system.sums
    for u in range(system.n_users[0]):
        sums[u] = 0
    for a in range(n):
        for q in range(indptr[a], indptr[a + 1]):
            sums[np.uint32(users[q])] += values[q] * direction[a]
    for a in range(n):
        total = system.rest[a] * direction[a]
        for q in range(indptr[a], indptr[a + 1]):
            total += values[q] * sums[np.uint32(users[q])]
        product[a] = total


@njit_nogil
def padded_length(n):
    """Round up to a multiple of eight."""
    return (n + LANES - 1) // LANES * LANES


@njit_nogil
def dense_system(items, gram, n, matrix):
    """Write ``gram[items, items]`` for `multiply_matrix`, without its diagonal; `items` ascends.

    `n` is their number, rounded up to a multiple of eight; the rest is 0.
    """
    for p in range((n - LANES) * n if n else 0, n * n):  # the rows with the padding
        matrix[p] = 0
    for a in range(len(items)):
        row, block = gram[items[a]], a // LANES * LANES
        for b in range(block):
            matrix[a * n + b] = row[items[b]]
        for b in range(block, a):
            matrix[a * n + b] = matrix[b * n + a] = row[items[b]]


@njit_nogil
def sparse_system(items, gram, position, n, matrix):
    """Write the system from a sparse Gram matrix, whose rows hold only their largest off-diagonal entries.

    An entry counts if either row holds it.
    """
    for p in range(n * n):
        matrix[p] = 0
    for a in range(len(items)):
        position[items[a]] = a + 1
    for a in range(len(items)):
        for q in range(gram.indptr[items[a]], gram.indptr[items[a] + 1]):
            b = position[gram.indices[q]] - 1
            if b >= 0:
                matrix[a * n + b] = matrix[b * n + a] = gram.data[q]
    for a in range(len(items)):
        position[items[a]] = 0


@njit_nogil
def rating_system(items, ratings, system):
    """Write the columns of the candidates' ratings, without the users who rated only one of them."""
    indptr, users, values = system.columns
    position, n_users = system.position, np.int32(0)
    for a in range(len(items)):
        for p in range(ratings.indptr[items[a]], ratings.indptr[items[a] + 1]):
            position[ratings.indices[p]] += 1
    filled = 0
    for a in range(len(items)):
        system.held[a] = 0
        for p in range(ratings.indptr[items[a]], ratings.indptr[items[a] + 1]):
            user = ratings.indices[p]
            if position[user] > 1:  # not numbered yet: the number u is stored as −1 − u
                position[user] = -1 - n_users
                n_users += 1
            if position[user] < 0:
                users[filled], values[filled] = -1 - position[user], ratings.data[p]
                system.held[a] += values[filled] * values[filled]
                filled += 1
        indptr[a + 1] = filled
    for a in range(len(items)):
        for p in range(ratings.indptr[items[a]], ratings.indptr[items[a] + 1]):
            position[ratings.indices[p]] = 0
    system.n_users[0] = n_users
