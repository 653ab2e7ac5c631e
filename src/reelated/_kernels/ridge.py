"""Linear weights between items: the Gram matrix, and one local ridge regression for each item.

G = V.T @ V
for i:  N = candidates[i];  weights[i, N] = solve(G[N, N] + diag(penalty[N]), G[N, i])

Cost: the Gram matrix Σ_u n_u² / 2 additions; a regression m³ / 3 operations for `m` candidates.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.csr import CSR
from reelated._kernels.kernel import add_symbol, external_function, njit_nogil
from reelated._kernels.topk import keep_top_k


class GramMatrix(NamedTuple):
    """The Gram matrix: its lower triangle in `dense` or, where that is empty, the largest entries of each row."""

    dense: np.ndarray
    sparse: CSR
    diagonal: np.ndarray


@njit_nogil
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


# by name, because the address differs in each process and the machine code is cached on disk
_sposv, _dposv = external_function("reelated_sposv", 8), external_function("reelated_dposv", 8)


def register_lapack():
    """Register LAPACK's `posv` for both number types; at the first use, because SciPy's takes time to import."""
    for letter in "sd":
        add_symbol(f"reelated_{letter}posv", "scipy.linalg.cython_lapack", f"{letter}posv")


@njit_nogil
def solve_spd(n, system, solution, arguments):
    """Replace the right-hand side of `n` equations by the solution; return whether the system is positive definite.

    Only the lower triangle of `system` is read; it is overwritten. `arguments` is a workspace for four integers.
    SciPy's own wrapper of LAPACK holds the GIL.
    """
    # LAPACK takes addresses, and is column-major: its upper triangle, "U" (85), is the lower one here
    arguments[0], arguments[1], arguments[2], arguments[3] = n, 1, 0, 85
    n_address = np.uint64(arguments.ctypes.data)
    one, info, triangle = n_address + np.uint64(8), n_address + np.uint64(16), n_address + np.uint64(24)
    pointers = (triangle, n_address, one, system.ctypes.data, n_address, solution.ctypes.data, n_address, info)
    if system.itemsize == 4:
        _sposv(*pointers)
    else:
        _dposv(*pointers)
    return arguments[2] == 0


def local_ridge_rows(start, stop, candidates, gram, penalty, weights):
    """Solve the systems of items `start … stop`; `candidates` holds each item's candidates and Gram entries with them.

    Where missing entries make a system indefinite, its diagonal is doubled until there is a solution.
    """
    register_lapack()  # LLVM ends the process if a symbol is missing
    largest = np.diff(candidates.indptr[start : stop + 1]).max(initial=0)
    system, position = np.empty(largest * largest, weights.dtype), np.full(len(penalty), -1)
    _solve_rows(start, stop, candidates, gram, penalty, weights, system, position, np.empty(4, np.int64))


@njit_nogil
def _solve_rows(start, stop, candidates, gram, penalty, weights, system, position, arguments):
    for i in range(start, stop):
        begin, end = candidates.indptr[i], candidates.indptr[i + 1]
        items, n, scale, solved = candidates.indices[begin:end], end - begin, 1, end == begin
        while not solved:
            # again in every round: the solver overwrites the system
            if len(gram.dense):
                dense_system(items, gram.dense, penalty, system)
            else:
                sparse_system(items, gram.sparse, position, gram.diagonal, penalty, system)
            for a in range(n):
                system[a * n + a] *= scale
                weights[begin + a] = candidates.data[begin + a]
            solved, scale = solve_spd(n, system, weights[begin:end], arguments), 2 * scale


@njit_nogil
def dense_system(items, gram, penalty, system):
    """Write the lower triangle of ``gram[items, items] + diag(penalty[items])``, row by row; `items` ascends."""
    n = len(items)
    for a in range(n):
        row = gram[items[a]]
        for b in range(a):
            system[a * n + b] = row[items[b]]
        system[a * n + a] = row[items[a]] + penalty[items[a]]


@njit_nogil
def sparse_system(items, gram, position, diagonal, penalty, system):
    """Write the same system from a sparse Gram matrix, whose rows hold only their largest off-diagonal entries.

    An entry counts if either row holds it. `position` is −1 everywhere, before and after.
    """
    n = len(items)
    for a in range(n):
        position[items[a]] = a
        for b in range(a):
            system[a * n + b] = 0
    for a in range(n):
        for q in range(gram.indptr[items[a]], gram.indptr[items[a] + 1]):
            b = position[gram.indices[q]]
            if b >= 0:
                system[max(a, b) * n + min(a, b)] = gram.data[q]
        system[a * n + a] = diagonal[items[a]] + penalty[items[a]]
    for a in range(n):
        position[items[a]] = -1


def truncate_rows(start, stop, indptr, weights, max_weights):
    """Return the `max_weights` strongest weights of rows `start … stop`: lengths, positions, and truncation errors.

    Row `r` lies from ``indptr[r]`` to ``indptr[r + 1]``; zeros are dropped. The truncation error is the fraction of
    Σ weights² that is dropped.
    """
    longest = np.diff(indptr[start : stop + 1]).max(initial=0)
    lengths, errors = np.zeros(stop - start, np.int64), np.zeros(stop - start)
    positions = np.empty(min((stop - start) * max_weights, indptr[stop] - indptr[start]), np.int64)
    chosen, sizes = np.empty(longest, np.int64), np.empty(longest, weights.dtype)
    filled = _truncate_rows(start, stop, indptr, weights, max_weights, chosen, sizes, lengths, errors, positions)
    return lengths, positions[:filled], errors


@njit_nogil
def _truncate_rows(start, stop, indptr, weights, max_weights, chosen, sizes, lengths, errors, positions):
    filled = 0
    for r in range(start, stop):
        total, kept, n = 0.0, 0.0, indptr[r + 1] - indptr[r]
        for c in range(n):
            chosen[c] = indptr[r] + c
            total += np.float64(weights[chosen[c]]) ** 2
        for c in range(keep_top_k(weights, chosen, n, max_weights, sizes)):
            weight = weights[chosen[c]]
            if weight != 0:
                kept += np.float64(weight) ** 2
                positions[filled] = chosen[c]
                filled += 1
                lengths[r - start] += 1
        errors[r - start] = 1 - kept / total if kept < total else 0.0
    return filled


def count_common(start, stop, by_item, by_user, pattern, common):
    """Count the common raters of every pair in rows `start … stop` of a pattern."""
    counts = np.zeros(len(by_item.indptr) - 1, np.int32)
    raters, items = (by_item.indptr, by_item.indices), (by_user.indptr, by_user.indices)
    _count_common(start, stop, *raters, *items, pattern, common, counts)


@njit_nogil
def _count_common(start, stop, starts, raters, row_starts, items, pattern, common, counts):
    for i in range(start, stop):
        for p in range(starts[i], starts[i + 1]):
            for q in range(row_starts[raters[p]], row_starts[raters[p] + 1]):
                counts[items[q]] += 1
        for p in range(pattern.indptr[i], pattern.indptr[i + 1]):
            common[p] = counts[pattern.indices[p]]
        counts[:] = 0
