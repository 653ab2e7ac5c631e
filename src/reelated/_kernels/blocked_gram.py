"""Item × item similarity as a blocked Gram matrix: one triangle of the symmetric product, block by block.

It gives the same bits as the row-wise method: every sum runs over the users in the order of the rows.

Items are renumbered by descending popularity, and every row is sorted by it. A pair is added once, in the row of its
less popular item, so nearly all additions go to the few most popular partners, which stay in the L1 cache. Items are
processed in blocks: a user's row is read once for all of the block's items that it holds.

Users are sorted by descending activity. The ratings of the most popular items by the most active users are so dense
that a product of dense matrices is faster, zeros included: `DenseBlock` holds them, and the sparse part of a row begins
after its dense prefix.

Cost: Σ_u n_u² / 2 additions; those in the dense block cost a fraction each.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.csr import bitset_add, drain_sorted, empty_bitset
from reelated._kernels.kernel import njit_nogil
from reelated._kernels.simd import (
    LANES,
    add_tile,
    bits_to_float32,
    count_tile,
    float32_to_bits,
    lowest_bit,
    mask_candidates,
)
from reelated._kernels.similarity import SimilarityFormula, apply_shrinkage, cosine, pearson
from reelated._kernels.topk import compact, kth_largest, push, raise_threshold

CHUNK_USERS = 256
"""Number of users in a dense chunk: eight items of a chunk fill a quarter of the L1 cache."""
WORDS = CHUNK_USERS // 64
DENSE_SPEEDUP = 32.0
"""The number of dense additions that take as long as one sparse addition."""
SCAN_CHUNK = 128
"""The number of pairs that are checked together for common raters: with many items, most pairs have none."""


class Block(NamedTuple):
    """A block of items and its users: the block's items in row `users[v]` begin at offset `offsets[v]`.

    `low` and `high` are multiples of eight.
    """

    low: int
    high: int
    users: np.ndarray
    offsets: np.ndarray


class DenseBlock(NamedTuple):
    """The dense block, in chunks of `CHUNK_USERS` users × the `widths[c]` most popular items.

    Chunk `c` of the values begins at `starts[c]`, as [group of eight items, user, item]; chunk `c` of `rated` begins at
    `starts[c] / 64`, as [group of eight items, 64 users, item], with a bit for each user who rated.
    """

    widths: np.ndarray
    starts: np.ndarray
    rated: np.ndarray


def sort_rows(start, stop, rows, users, rank, indptr, items, values):
    """Write rows `start … stop`, the rows `users` of the input, with items renumbered and sorted by `rank`."""
    bitset, positions = empty_bitset(len(rank)), np.empty(len(rank), np.int64)
    _sort_rows(start, stop, rows, users, rank, indptr, items, values, bitset, positions)


@njit_nogil
def _sort_rows(start, stop, rows, users, rank, indptr, items, values, bitset, positions):
    for u in range(start, stop):
        for p in range(rows.indptr[users[u]], rows.indptr[users[u] + 1]):
            bitset_add(bitset, np.int64(rank[rows.indices[p]]), p)
        for c in range(drain_sorted(bitset, items, positions, indptr[u])):
            values[indptr[u] + c] = rows.data[positions[c]]


def dense_widths(rows, n_items, max_size):
    """Return for each chunk of users the width of the dense block; the block holds at most `max_size` numbers."""
    n_groups, n_users = -(-n_items // LANES), len(rows.indptr) - 1
    widths = np.zeros(-(-n_users // CHUNK_USERS), np.int64)
    return widths[: _write_dense_widths(rows, max_size, widths, np.empty(n_groups))]


@njit_nogil
def _write_dense_widths(rows, max_size, widths, additions):
    """Write the widths of the chunks; return how many chunks the dense block has."""
    widest, left, n_users = len(additions) * LANES, max_size, len(rows.indptr) - 1
    for c in range(len(widths)):
        additions[:] = 0
        end = (c + 1) * CHUNK_USERS
        for u in range(c * CHUNK_USERS, end if end < n_users else n_users):
            for p in range(rows.indptr[u], rows.indptr[u + 1]):
                additions[rows.indices[p] // LANES] += p - rows.indptr[u]
        saving, best = 0.0, 0.0
        for group in range(widest // LANES):
            saving += DENSE_SPEEDUP * additions[group] - CHUNK_USERS * LANES * LANES * (group + 1.0)
            if saving > best:
                best, widths[c] = saving, (group + 1) * LANES
        left -= widths[c] * CHUNK_USERS
        if widths[c] == 0 or left < 0:
            return c
        widest = widths[c]
    return len(widths)


@njit_nogil
def fill_dense_block(start, stop, rows, sparse, dense, values, prefix_lengths):
    """Write `sparse`, a number for each rating of `rows`, into chunks `start … stop` of the dense block.

    `prefix_lengths` receives the number of ratings of each row in the block.
    """
    n_users, end = len(rows.indptr) - 1, stop * CHUNK_USERS
    for u in range(start * CHUNK_USERS, end if end < n_users else n_users):
        c, k = u // CHUNK_USERS, u % CHUNK_USERS
        bit = np.uint64(1) << np.uint64(k % 64)
        p = rows.indptr[u]
        while p < rows.indptr[u + 1] and rows.indices[p] < dense.widths[c]:
            group, lane = rows.indices[p] // LANES, rows.indices[p] % LANES
            values[dense.starts[c] + (group * CHUNK_USERS + k) * LANES + lane] = sparse[p]
            dense.rated[dense.starts[c] // 64 + (group * WORDS + k // 64) * LANES + lane] |= bit
            p += 1
        prefix_lengths[u] = p - rows.indptr[u]


def list_user_blocks(rows, prefix_lengths, block_of):
    """Return the (user, block) index: the start of each block, the users, and the offsets in their rows.

    A block lists the users who rated one of its items outside the dense block.
    """
    starts, nothing = np.zeros(int(block_of[-1]) + 2, np.int64), np.empty(0, np.int32)
    _list_user_blocks(rows, prefix_lengths, block_of, starts[1:], nothing, nothing)
    np.cumsum(starts, out=starts)
    users, offsets = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
    _list_user_blocks(rows, prefix_lengths, block_of, starts[:-1].copy(), users, offsets)
    return starts, users, offsets


@njit_nogil
def _list_user_blocks(rows, prefix_lengths, block_of, ends, users, offsets):
    """Write each block's users and offsets, and advance `ends[block]`; only count if the outputs are empty."""
    for u in range(len(rows.indptr) - 1):
        last = -1
        for p in range(rows.indptr[u] + prefix_lengths[u], rows.indptr[u + 1]):
            block = block_of[rows.indices[p]]
            if block != last:
                if len(users):
                    users[ends[block]], offsets[ends[block]] = u, p - rows.indptr[u]
                ends[block] += 1
                last = block


# sums[i, j] += left[i] * right[j];  counts[i, j] += 1      for every user, i of the block, j before i in the row
#
# `sums` and `counts` are flat: a row of `block.high` partners for each item of the block. `counts` may be None.
@njit_nogil
def add_dense_products(block, dense, left, right, sums, counts):
    """Add the products of a block's items with more popular ones within the dense block."""
    first, width = block.low // LANES, block.high
    for c in range(len(dense.widths)):
        end = (dense.widths[c] if dense.widths[c] < block.high else block.high) // LANES
        for partner in range(end):
            other = dense.starts[c] + partner * CHUNK_USERS * LANES
            for group in range(first if first > partner else partner, end):
                own = dense.starts[c] + group * CHUNK_USERS * LANES
                start = ((group - first) * width + partner) * LANES
                add_tile(sums, start, width, left, own, right, other, CHUNK_USERS)
                if counts is not None:
                    count_tile(counts, start, width, dense.rated, own // 64, dense.rated, other // 64, WORDS)


@njit_nogil
def add_sparse_products(block, start, stop, rows, left, right, sums, counts):
    """Add the products of a block's items with more popular ones for its users `start … stop`."""
    for v in range(start, stop):
        begin, end = rows.indptr[block.users[v]], rows.indptr[block.users[v] + 1]
        p, partners, values = begin + block.offsets[v], rows.indices[begin:end], right[begin:end]
        while p < end and rows.indices[p] < block.high:
            row, value = np.uint64((rows.indices[p] - block.low) * block.high), left[p]
            for q in range(p - begin):
                pair = row + np.uint64(partners[q])
                sums[pair] += value * values[q]
                if counts is not None:
                    counts[pair] += 1
            p += 1


class SimilarityInputs(NamedTuple):
    """The inputs for turning sums into similarities; items are in order of popularity."""

    formula: SimilarityFormula
    sizes: np.ndarray
    norms: np.ndarray
    order: np.ndarray


@njit_nogil
def select_neighbors(block, sums, counts, moments, inputs, buffers):
    """Turn a block's sums into similarities, push those that reach a threshold to both buffers, and clear the sums."""
    one, slack, infinity = np.uint64(1), (buffers.capacity - buffers.n_neighbors) // 2, np.uint64(0x7F800000)
    for i in range(block.low, block.high):
        row, end = (i - block.low) * block.high, (i // LANES + 1) * LANES
        threshold, n_nonzero = np.float32(0), sums_to_similarities(i, row, sums, counts, moments, inputs)
        sums[row + i : row + end] = 0  # only the more popular items, which come first
        # all similarities with more popular items are known now: pushing only the strongest raises the threshold early
        if n_nonzero > buffers.n_neighbors:
            guess = np.uint64(float32_to_bits(buffers.thresholds[i - 1]))
            bits = kth_largest(sums[row : row + end], buffers.n_neighbors, slack, guess, infinity)
            threshold = bits_to_float32(np.uint32(bits))
            raise_threshold(buffers, i, threshold)
        compact(buffers, i, np.int64(LANES))  # a later block may have come first and filled the buffer
        for group in range(0, end, LANES):
            chosen = mask_candidates(sums, row + group, threshold, buffers.thresholds, group)
            full = False
            while chosen:
                j = group + np.int64(lowest_bit(chosen))
                chosen &= chosen - one
                value, common = sums[row + j], counts[row + j]
                if abs(value) >= threshold:
                    push(buffers, i, value, inputs.order[j], common)
                push(buffers, j, value, inputs.order[i], common)
                full |= buffers.filled[j] == buffers.capacity
            if full:
                for j in range(group, group + LANES):
                    compact(buffers, j, np.int64(1))
            if buffers.filled[i] > buffers.capacity - LANES:
                compact(buffers, i, np.int64(LANES))
        sums[row : row + end] = 0
        counts[row : row + end] = 0
        if moments is not None:
            moments[:, row : row + end] = 0


@njit_nogil
def sums_to_similarities(i, row, sums, counts, moments, inputs):
    """Turn the sums of item `i`, from position `row` on, into similarities; return how many are not 0."""
    n_nonzero = np.int32(0)
    for start in range(row, row + i, SCAN_CHUNK):
        stop = start + SCAN_CHUNK if start + SCAN_CHUNK < row + i else row + i
        dots, common, any_common = sums[start:stop], counts[start:stop], np.int32(0)
        for p in range(len(common)):
            any_common |= common[p]
        if any_common:
            for p in range(len(dots)):
                j = np.uint64(start - row) + np.uint64(p)
                if moments is None:
                    value = cosine(dots[p], common[p], i, j, inputs.sizes, inputs.norms, inputs.formula)
                elif common[p]:
                    value = pearson(dots[p], common[p], moments[:, start + p], inputs.formula.damping)
                else:
                    value = 0.0
                dots[p] = apply_shrinkage(value, common[p], inputs.formula)
                n_nonzero += np.int32(dots[p] != 0)
    return n_nonzero
