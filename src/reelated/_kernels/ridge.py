"""Linear weights between items: the Gram matrix, and one local ridge regression for each item.

G = V.T @ V
for i:  N = candidates[i];  weights[i, N] = solve(G[N, N] + diag(penalty[N]), G[N, i])

Cost: the Gram matrix Σ_u n_u² / 2 additions; a regression m³ / 3 operations for `m` candidates.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import binding
from numba import types
from numba.extending import get_cython_function_address

from reelated._kernels.csr import CSR
from reelated._kernels.numba_config import njit_no_alloc, njit_nogil
from reelated._kernels.topk import top_k_by_abs


class GramMatrix(NamedTuple):
    """The Gram matrix: its lower triangle in `dense` or, where that is empty, the largest entries of each row."""

    dense: np.ndarray
    sparse: CSR
    diagonal: np.ndarray


@njit_no_alloc
def gram_rows(start, stop, by_item, by_user, gram):
    """Compute rows `start … stop` of the Gram matrix, lower triangle only; `gram` must be 0 before."""
    for i in range(start, stop):
        row = gram[i]
        for p in range(by_item.indptr[i], by_item.indptr[i + 1]):
            u, value = by_item.indices[p], by_item.data[p]
            for q in range(by_user.indptr[u], by_user.indptr[u + 1]):
                j = by_user.indices[q]
                if j > i:  # columns ascend: the rest is in the upper triangle
                    break
                row[np.uint32(j)] += value * by_user.data[q]


def _posv(letter):
    """Register LAPACK's `posv` for one number type as a symbol, and return it."""
    # by name, because the address differs in each process and the machine code is cached on disk
    name = f"reelated_{letter}posv"
    binding.add_symbol(name, get_cython_function_address("scipy.linalg.cython_lapack", f"{letter}posv"))
    return types.ExternalFunction(name, types.void(*[types.uintp] * 8))


_sposv, _dposv = _posv("s"), _posv("d")


@njit_nogil
def solve_spd(system, solution):
    """Replace the right-hand side by the solution; return whether the system is positive definite.

    Only the lower triangle of `system` is read; it is overwritten. SciPy's own wrapper of LAPACK holds the GIL.
    """
    n, n_right_sides, info = np.array([len(system)]), np.array([1]), np.array([0])
    triangle = np.array([ord("U")], np.uint8)  # LAPACK is column-major: its upper triangle is the lower one here
    pointers = (triangle.ctypes.data, n.ctypes.data, n_right_sides.ctypes.data, system.ctypes.data, n.ctypes.data,
                solution.ctypes.data, n.ctypes.data, info.ctypes.data)  # fmt: skip
    if system.itemsize == 4:
        _sposv(*pointers)
    else:
        _dposv(*pointers)
    return info[0] == 0


@njit_nogil
def local_ridge_rows(start, stop, candidates, gram, penalty, weights):
    """Solve the systems of items `start … stop`; `candidates` holds each item's candidates and Gram entries with them.

    Where missing entries make a system indefinite, its diagonal is doubled until there is a solution.
    """
    position, largest = np.full(len(penalty), -1), 0
    for i in range(start, stop):
        largest = max(largest, candidates.indptr[i + 1] - candidates.indptr[i])
    workspace = np.empty(largest * largest, weights.dtype)
    for i in range(start, stop):
        row = slice(candidates.indptr[i], candidates.indptr[i + 1])
        n, scale, solved = row.stop - row.start, 1, row.stop == row.start
        system = workspace[: n * n].reshape(n, n)
        while not solved:
            # again in every round: the solver overwrites the system
            if len(gram.dense):
                dense_system(candidates.indices[row], gram.dense, penalty, system)
            else:
                sparse_system(candidates.indices[row], gram.sparse, position, gram.diagonal, penalty, system)
            for a in range(n):
                system[a, a] *= scale
            weights[row] = candidates.data[row]
            solved, scale = solve_spd(system, weights[row]), 2 * scale


@njit_no_alloc
def dense_system(items, gram, penalty, system):
    """Write the lower triangle of ``gram[items, items] + diag(penalty[items])``; `items` ascends."""
    for a in range(len(items)):
        row = gram[items[a]]
        for b in range(a):
            system[a, b] = row[items[b]]
        system[a, a] = row[items[a]] + penalty[items[a]]


@njit_no_alloc
def sparse_system(items, gram, position, diagonal, penalty, system):
    """Write the same system from a sparse Gram matrix, whose rows hold only their largest off-diagonal entries.

    An entry counts if either row holds it. `position` is −1 everywhere, before and after.
    """
    for a in range(len(items)):
        position[items[a]] = a
        for b in range(a):
            system[a, b] = 0
    for a in range(len(items)):
        for q in range(gram.indptr[items[a]], gram.indptr[items[a] + 1]):
            b = position[gram.indices[q]]
            if b >= 0:
                system[max(a, b), min(a, b)] = gram.data[q]
        system[a, a] = diagonal[items[a]] + penalty[items[a]]
    for a in range(len(items)):
        position[items[a]] = -1


@njit_nogil
def truncate_rows(start, stop, indptr, weights, max_weights):
    """Return the `max_weights` strongest weights of rows `start … stop`: lengths, positions, and truncation errors.

    Row `r` lies from ``indptr[r]`` to ``indptr[r + 1]``; zeros are dropped. The truncation error is the fraction of
    Σ weights² that is dropped.
    """
    lengths, errors = np.zeros(stop - start, np.int64), np.zeros(stop - start)
    positions, filled = np.empty(min((stop - start) * max_weights, indptr[stop] - indptr[start]), np.int64), 0
    for r in range(start, stop):
        values, total, kept = weights[indptr[r] : indptr[r + 1]], 0.0, 0.0
        for value in values:
            total += np.float64(value) ** 2
        for c in top_k_by_abs(values, max_weights):
            if values[c] != 0:
                kept += np.float64(values[c]) ** 2
                positions[filled] = indptr[r] + c
                filled += 1
                lengths[r - start] += 1
        errors[r - start] = 1 - kept / total if kept < total else 0.0
    return lengths, positions[:filled], errors


@njit_nogil
def count_common(start, stop, by_item, by_user, pattern, common):
    """Count the common raters of every pair in rows `start … stop` of a pattern."""
    counts = np.zeros(len(by_item.indptr) - 1, np.int32)
    for i in range(start, stop):
        for p in range(by_item.indptr[i], by_item.indptr[i + 1]):
            u = by_item.indices[p]
            for q in range(by_user.indptr[u], by_user.indptr[u + 1]):
                counts[by_user.indices[q]] += 1
        for p in range(pattern.indptr[i], pattern.indptr[i + 1]):
            common[p] = counts[pattern.indices[p]]
        counts[:] = 0
