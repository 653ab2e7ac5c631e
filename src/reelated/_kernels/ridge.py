"""Linear weights between items: the Gram matrix, the strongest weights of each row, and their common raters.

G = V.T @ V

Cost: Σ_u n_u² / 2 additions for the Gram matrix.
"""

import numpy as np

from reelated._kernels.kernel import njit_nogil
from reelated._kernels.topk import keep_top_k


@njit_nogil
def gram_rows(start, stop, by_item, by_user, gram):
    """Compute rows `start … stop` of the Gram matrix, lower triangle only; `gram` must be all zeros."""
    for i in range(start, stop):
        row = gram[i]
        for p in range(by_item.indptr[i], by_item.indptr[i + 1]):
            u, value = by_item.indices[p], by_item.data[p]
            for q in range(by_user.indptr[u], by_user.indptr[u + 1]):
                j = by_user.indices[q]
                if j > i:  # columns ascend, so the rest of the row is in the upper triangle
                    break
                row[np.uint32(j)] += value * by_user.data[q]


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
            weight = np.float64(weights[chosen[c]])
            total += weight * weight
        for c in range(keep_top_k(weights, chosen, n, max_weights, sizes)):
            weight = np.float64(weights[chosen[c]])
            if weight != 0:
                kept += weight * weight
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
