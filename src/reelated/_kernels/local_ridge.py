"""Linear weights between items: one ridge regression for each item on its candidates, by conjugate gradients.

for i:  N = candidates[i];  weights[i, N] = solve(G[N, N] + diag(penalty[N]), G[N, i])

The penalty makes the diagonal large, so that a few iterations suffice: 5 to 15 with the default penalty, where a
Cholesky factorisation of `m` candidates takes m³ / 3 operations. The method is that of Hestenes and Stiefel 1952,
"Methods of conjugate gradients for solving linear systems", with the diagonal as the preconditioner.

Cost of an iteration: m² multiplications, or two for each rating of the candidates.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.csr import CSR, BitSet, bitset_add, drain_sorted, empty_bitset
from reelated._kernels.kernel import njit_nogil
from reelated._kernels.simd import LANES, SYMMETRIC_ROWS, add_scaled, add_symmetric, prefetch

MAX_ITERATIONS = 10
"""Maximum number of iterations, as a multiple of the number of candidates."""


class PairSums(NamedTuple):
    """The Gram matrix without its diagonal, one triangle; items are ordered by `rank`.

    The row of item `i` begins at ``values[starts[i]]``. It holds the sums of products with the items of lower rank, up
    to rank `n_columns`. Items of higher ranks are rare, and sums of two rare items are not stored.
    """

    values: np.ndarray
    starts: np.ndarray
    rank: np.ndarray
    n_columns: int


class GramMatrix(NamedTuple):
    """The Gram matrix in one of three forms; those not in use are empty, except for the ranks in `dense`.

    The forms are: one triangle in `dense`, with the ratings of the rare items in `ratings`; the largest entries of each
    row in `sparse`; or all ratings by item in `ratings`, from which the products are computed when they are needed.
    """

    dense: PairSums
    sparse: CSR
    ratings: CSR
    diagonal: np.ndarray


class System(NamedTuple):
    """The workspace of one regression: the candidates by rank, vectors, and the matrix, or the ratings in place of it.

    The columns are the users who rated at least two candidates, renumbered. If there is a matrix, the columns hold only
    the ratings of rare candidates. `position` has a number for each item or user; all are 0 before and after.
    """

    order: np.ndarray  # the position of each candidate in the row of the item
    ranks: np.ndarray
    items: np.ndarray
    bitset: BitSet
    targets: np.ndarray
    solution: np.ndarray
    residual: np.ndarray
    direction: np.ndarray
    product: np.ndarray
    inverse: np.ndarray  # of each entry of the diagonal
    held: np.ndarray  # the part of the diagonal that the columns account for
    rest: np.ndarray  # the rest of the diagonal
    matrix: np.ndarray
    columns: CSR
    owners: np.ndarray  # the candidate of each rating
    n_users: np.ndarray
    sums: np.ndarray  # a number for each user of the columns
    position: np.ndarray

    @classmethod
    def empty(cls, n, n_ratings, n_positions, dtype, *, has_matrix=True):
        """Return a workspace for at most `n` candidates with `n_ratings` ratings."""
        padded = -(-n // LANES) * LANES
        sorting = np.empty(n, np.int64), np.empty(n, np.int32), np.empty(n, np.int32), empty_bitset(n_positions)
        vectors, matrix = np.empty((8, padded), dtype), np.empty(padded * padded * has_matrix, dtype)
        columns = CSR(np.zeros(n + 1, np.int64), np.empty(n_ratings, np.int32), np.empty(n_ratings, dtype))
        owners, sums = np.empty(n_ratings, np.int32), np.empty(n_ratings, dtype)
        n_users, position = np.zeros(1, np.int64), np.zeros(n_positions, np.int32)
        return cls(*sorting, *vectors, matrix, columns, owners, n_users, sums, position)


def local_ridge_rows(rows, candidates, norms, gram, penalty, weights, n_positions):
    """Solve the systems of the items `rows`; `candidates` holds each item's candidates and their cosines.

    `n_positions` is at least the number of items, and at least the number of users in `gram.ratings`. Where missing
    entries make a system indefinite, its diagonal is doubled until there is a solution.
    """
    n_stored, longest = len(gram.ratings.indices), np.diff(candidates.indptr)[rows].max(initial=0)
    n_ratings = min(longest * np.diff(gram.ratings.indptr).max(initial=0), n_stored)  # unwritten pages use no memory
    has_matrix = len(gram.dense.values) > 0 or n_stored == 0
    system = System.empty(longest, n_ratings, n_positions, weights.dtype, has_matrix=has_matrix)
    tolerance = 1e-6 if weights.itemsize == 4 else 1e-12
    _solve_rows(rows, candidates, norms, gram, penalty, weights, system, tolerance)


@njit_nogil
def _solve_rows(rows, candidates, norms, gram, penalty, weights, system, tolerance):
    for r in range(len(rows)):
        begin, end = candidates.indptr[rows[r]], candidates.indptr[rows[r] + 1]
        n = end - begin
        for a in range(n):
            bitset_add(system.bitset, np.int64(gram.dense.rank[candidates.indices[begin + a]]), np.int64(a))
        drain_sorted(system.bitset, system.ranks, system.order, 0)
        items, targets, solution = system.items[:n], system.targets[:n], system.solution[:n]
        for a in range(n):
            items[a] = candidates.indices[begin + system.order[a]]
            targets[a] = candidates.data[begin + system.order[a]] * (norms[rows[r]] * norms[items[a]])
        padded = padded_length(n)
        if len(gram.dense.values):
            dense_system(items, gram, padded, system)
        elif len(gram.ratings.indices):
            rating_system(items, gram.ratings, system)
        else:
            sparse_system(items, gram.sparse, system.position, padded, system.matrix)
        scale, solved = 1, False
        while not solved:
            for a in range(n):
                diagonal = scale * (gram.diagonal[items[a]] + penalty[items[a]])
                system.inverse[a] = 1 / diagonal
                if len(system.matrix):
                    system.matrix[a * padded + a] = diagonal
                else:
                    system.rest[a] = diagonal - system.held[a]
            solved = conjugate_gradients(targets, solution, system, tolerance)
            scale += scale
        for a in range(n):
            weights[begin + system.order[a]] = solution[a]


@njit_nogil
def conjugate_gradients(targets, solution, system, tolerance):
    """Solve a system to a relative tolerance; return False if it turns out not to be positive definite."""
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
    """Multiply a system's matrix by `direction`, from the ratings instead of a stored matrix."""
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
def dense_system(items, gram, n, system):
    """Write the Gram matrix of the items for `multiply_matrix`, without its diagonal; the ranks of the items ascend.

    `n` is the number of items, rounded up to a multiple of eight; the padding is 0.
    """
    matrix, ranks, values, n_common = system.matrix, system.ranks, gram.dense.values, 0
    for p in range((n - LANES) * n if n else 0, n * n):  # the rows with the padding
        matrix[p] = 0
    for a in range(len(items)):
        row, block = gram.dense.starts[items[a]], a // LANES * LANES
        following = gram.dense.starts[items[a + 1 if a + 1 < len(items) else a]]
        for b in range(n_common if n_common < block else block):
            prefetch(values, np.uint64(following + np.uint32(ranks[b])))
            matrix[a * n + b] = values[row + np.uint32(ranks[b])]
        for b in range(n_common, block):
            matrix[a * n + b] = 0
        for b in range(block, a):
            entry = values[row + np.uint32(ranks[b])] if b < n_common else matrix.dtype.type(0)
            matrix[a * n + b] = matrix[b * n + a] = entry
        n_common += ranks[a] < gram.dense.n_columns
    if n_common < len(items):
        add_rare_products(items, n_common, gram.ratings, n, system)


# matrix[a, b] += ratings of a @ ratings of b      for rare candidates
@njit_nogil
def add_rare_products(items, first, ratings, n, system):
    """Add the products of the candidates from `first` on: each rating times the preceding ratings of the same user."""
    matrix, position, owners, filled = system.matrix, system.position, system.owners, 0
    _, previous, values = system.columns
    for a in range(first, len(items)):
        block = a // LANES * LANES
        for p in range(ratings.indptr[items[a]], ratings.indptr[items[a] + 1]):
            user, value = ratings.indices[p], ratings.data[p]
            owners[filled], previous[filled], values[filled] = a, position[user] - 1, value
            q = previous[filled]
            while q >= 0:
                b = owners[q]
                matrix[a * n + b] += value * values[q]
                if b >= block:
                    matrix[b * n + a] = matrix[a * n + b]
                q = previous[q]
            filled += 1
            position[user] = filled
    for a in range(first, len(items)):
        for p in range(ratings.indptr[items[a]], ratings.indptr[items[a] + 1]):
            position[ratings.indices[p]] = 0


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
