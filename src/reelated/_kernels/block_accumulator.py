"""Item × item similarity of one block of items, from batches of users: the method for a cluster.

It gives the same bits as the row-wise method if users arrive in the same order. The accumulator holds a row of sums and
one of counts for each item of the block; its size does not depend on the number of users. Ratings of the most popular
items by the most active users are added as a product of dense matrices, as in `blocked_gram`.

Cost: for every user, (ratings in the block) · (all ratings of the user) additions.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.blocked_gram import CHUNK_USERS, WORDS
from reelated._kernels.csr import BitSet, bitset_add, drain_sorted, empty_bitset
from reelated._kernels.kernel import njit_nogil
from reelated._kernels.simd import LANES, add_tile, count_tile
from reelated._kernels.similarity import apply_shrinkage, cosine, empty_rows, pearson
from reelated._kernels.topk import keep_top_k, kth_smallest


class BlockAccumulator(NamedTuple):
    """Sums of the items from `low` on with all items: Σxy, common raters and, for Pearson, Σx, Σy, Σx², Σy².

    `low` and the items of rows and columns are multiples of eight.
    """

    low: int
    sums: np.ndarray
    counts: np.ndarray
    moments: np.ndarray


@njit_nogil
def add_dense_block(accumulator, low, high, dense, values):
    """Add the products of the dense block for the items from `low`, a multiple of eight, to `high`."""
    width = accumulator.sums.shape[1]
    for c in range(len(dense.widths)):
        n_groups, end = dense.widths[c] // LANES, (high + LANES - 1) // LANES
        for group in range(low // LANES, end if end < n_groups else n_groups):
            own = dense.starts[c] + group * CHUNK_USERS * LANES
            for partner in range(n_groups):
                start = (group * LANES - accumulator.low) * width + partner * LANES
                other = dense.starts[c] + partner * CHUNK_USERS * LANES
                add_tile(accumulator.sums, start, width, values, own, values, other, CHUNK_USERS)
                count_tile(accumulator.counts, start, width, dense.rated, own // 64, dense.rated, other // 64, WORDS)


@njit_nogil
def add_sparse_rows(accumulator, low, high, rows, prefix_lengths, users, offsets):
    """Add the products of whole rows for items `low … high`, except those in the dense block.

    `users` and `offsets` are as in `Block`.
    """
    for v in range(len(users)):
        begin, end = rows.indptr[users[v]], rows.indptr[users[v] + 1]
        p, sparse = begin + offsets[v], begin + prefix_lengths[users[v]]
        while p < end and rows.indices[p] < high:
            i, x = rows.indices[p] - accumulator.low, rows.data[p]
            sums, counts = accumulator.sums[i], accumulator.counts[i]
            for q in range(sparse if p < sparse else begin, end):  # the dense block holds pairs within the prefix
                j = np.uint32(rows.indices[q])
                sums[j] += x * rows.data[q]
                counts[j] += 1
            if len(accumulator.moments):
                moments = accumulator.moments[i]
                for q in range(begin, end):
                    m, y = moments[rows.indices[q]], rows.data[q]
                    m[0] += x
                    m[1] += y
                    m[2] += x * x
                    m[3] += y * y
            p += 1


def finalize(accumulator, start, stop, order, sizes, norms, formula, n_neighbors):
    """Return rows `start … stop` of the similarity as `similarity_rows` does.

    Rows and columns of the accumulator are popularity ranks, which also index `sizes` and `norms`; `order[rank]` is the
    item.
    """
    out = empty_rows(stop - start, min(n_neighbors, len(order)), accumulator.sums.dtype)
    n_items, dtype = len(order), accumulator.sums.dtype
    work = RowWorkspace(
        np.empty(n_items, np.int32), np.empty(n_items, dtype), empty_bitset(n_items), np.empty(n_items, np.int32),
        np.empty(n_items, np.int64), np.empty(n_items, dtype),
    )  # fmt: skip
    filled = _finalize(accumulator, start, stop, order, sizes, norms, formula, n_neighbors, work, out)
    return out.lengths, out.items[:filled], out.values[:filled], out.common[:filled]


class RowWorkspace(NamedTuple):
    """Workspace for one row: ranks and similarities, and a bit set that sorts them by item."""

    ranks: np.ndarray
    values: np.ndarray
    bitset: BitSet
    items: np.ndarray
    positions: np.ndarray
    sizes: np.ndarray


@njit_nogil
def _finalize(accumulator, start, stop, order, sizes, norms, formula, n_neighbors, work, out):
    filled = 0
    for i in range(start, stop):
        n = _row_similarities(accumulator, i, sizes, norms, formula, work.ranks, work.values)
        if n > n_neighbors:
            n = _prune(work.ranks, work.values, n, n_neighbors, work.sizes)
        for c in range(n):
            bitset_add(work.bitset, np.int64(order[work.ranks[c]]), np.int64(c))
        drain_sorted(work.bitset, work.items, work.positions, 0)
        n_kept = keep_top_k(work.values, work.positions, n, n_neighbors, work.sizes)
        for k in range(n_kept):
            c = work.positions[k]
            out.items[filled], out.values[filled] = order[work.ranks[c]], work.values[c]
            out.common[filled] = accumulator.counts[i - accumulator.low, work.ranks[c]]
            filled += 1
        out.lengths[i - start] = n_kept
    return filled


@njit_nogil
def _row_similarities(accumulator, i, sizes, norms, formula, ranks, values):
    """Write the ranks of the items similar to item `i` and their similarities; return how many."""
    sums, counts, n = accumulator.sums[i - accumulator.low], accumulator.counts[i - accumulator.low], 0
    for j in range(len(sizes)):
        common = counts[j]
        if common == 0 or j == i:
            continue
        if formula.pearson:
            value = pearson(sums[j], common, accumulator.moments[i - accumulator.low, j], formula.damping)
        else:
            value = cosine(sums[j], common, i, j, sizes, norms, formula)
        ranks[n], values[n] = j, apply_shrinkage(value, common, formula)
        n += values[n] != 0
    return n


@njit_nogil
def _prune(ranks, values, n, k, sizes):
    """Move the `k` strongest of the first `n`, ties included, to the front; return how many."""
    # keep ties: `keep_top_k` breaks them by item index, and ranks are in another order
    for c in range(n):
        sizes[c] = abs(values[c])
    threshold, kept = kth_smallest(sizes, n, n - k), 0
    for c in range(n):
        if abs(values[c]) >= threshold:
            ranks[kept], values[kept] = ranks[c], values[c]
            kept += 1
    return kept
