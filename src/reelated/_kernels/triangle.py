"""Item × item similarity as a triangle: half of the symmetric product, block by block.

It equals that of `by_rows`, bit for bit: every sum runs over the users in the order of the rows.

Items are renumbered by descending popularity, and every row is sorted by it. A pair is added once, in the row of its
less popular item, so nearly all additions go to the few most popular partners, which stay in the L1 cache. Items are
processed in blocks: a user's row is read once for all of the block's items that it holds.

Users are sorted by descending activity. The ratings of the most popular items by the most active users are so dense
that a product of dense matrices is faster, zeros included: `Dense` holds them, and the sparse part begins after them.

Cost: Σ_u n_u² / 2 additions; those in the dense block cost a fraction each.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import LANES, add_tile, as_bits, as_number, count_tile, lowest_bit, promising
from reelated._kernels.marks import empty_marks, mark, take_marked
from reelated._kernels.measures import Rule, cosine, finish, pearson
from reelated._kernels.shelves import least_of, make_room, offer

DEPTH = 256
"""Users in a dense chunk: eight items of it fill a quarter of the L1 cache."""
WORDS = DEPTH // 64
GAIN = 32.0
"""The number of dense additions that take the time of a sparse one."""
STRETCH = 128
"""Pairs that are checked together for common raters: of many items, most pairs have none."""


class Block(NamedTuple):
    """A block of items and its visits: row `users[v]` holds items of the block from place `firsts[v]` on.

    `low` and `high` are multiples of eight.
    """

    low: int
    high: int
    users: np.ndarray
    firsts: np.ndarray


class Dense(NamedTuple):
    """The dense block, in chunks of `DEPTH` users by their `widths[c]` most popular items.

    Chunk `c` of the values begins at `starts[c]`, as [group of eight items, user, item]; chunk `c` of `rated` begins at
    `starts[c] / 64`, as [group of eight items, 64 users, item], with a bit for each user who rated.
    """

    widths: np.ndarray
    starts: np.ndarray
    rated: np.ndarray


# ------------------------------------------------------------------------------------------------- preparation
@kernel
def sort_rows(start, stop, rows, users, rank, indptr, items, values):
    """Write rows `start … stop`, those of `users` in the input, with items renumbered and sorted by `rank`."""
    marks, places = empty_marks(len(rank)), np.empty(len(rank), np.int64)
    for u in range(start, stop):
        for p in range(rows.indptr[users[u]], rows.indptr[users[u] + 1]):
            mark(marks, rank[rows.indices[p]], p)
        for at in range(take_marked(marks, items, places, indptr[u])):
            values[indptr[u] + at] = rows.data[places[at]]


@kernel
def dense_widths(rows, n_items, most):
    """Return for each chunk of users how many items are worth a dense product; at most `most` numbers in all."""
    n_groups, n_users = (n_items + LANES - 1) // LANES, len(rows.indptr) - 1
    widths, additions = np.zeros((n_users + DEPTH - 1) // DEPTH, np.int64), np.empty(n_groups)
    widest, left = n_groups * LANES, most
    for c in range(len(widths)):
        additions[:] = 0
        for u in range(c * DEPTH, min(n_users, (c + 1) * DEPTH)):
            for p in range(rows.indptr[u], rows.indptr[u + 1]):
                additions[rows.indices[p] // LANES] += p - rows.indptr[u]
        saved, best = 0.0, 0.0
        for group in range(widest // LANES):
            saved += GAIN * additions[group] - DEPTH * LANES * LANES * (group + 1.0)
            if saved > best:
                best, widths[c] = saved, (group + 1) * LANES
        left -= widths[c] * DEPTH
        if widths[c] == 0 or left < 0:
            return widths[:c]
        widest = widths[c]
    return widths


@tight
def fill_dense(start, stop, rows, sparse, dense, values, heads):
    """Write `sparse`, a number for each rating of `rows`, into chunks `start … stop` of the dense block.

    `heads` receives the number of ratings of each row in the block.
    """
    for u in range(start * DEPTH, min(stop * DEPTH, len(rows.indptr) - 1)):
        c, k = u // DEPTH, u % DEPTH
        bit = np.uint64(1) << np.uint64(k % 64)
        p = rows.indptr[u]
        while p < rows.indptr[u + 1] and rows.indices[p] < dense.widths[c]:
            group, lane = rows.indices[p] // LANES, rows.indices[p] % LANES
            values[dense.starts[c] + (group * DEPTH + k) * LANES + lane] = sparse[p]
            dense.rated[dense.starts[c] // 64 + (group * WORDS + k // 64) * LANES + lane] |= bit
            p += 1
        heads[u] = p - rows.indptr[u]


@tight
def count_visits(rows, heads, block_of, starts):
    """Count into `starts[b + 1]` the users with items of block `b` after the dense block."""
    for u in range(len(rows.indptr) - 1):
        last = -1
        for p in range(rows.indptr[u] + heads[u], rows.indptr[u + 1]):
            block = block_of[rows.indices[p]]
            if block != last:
                starts[block + 1] += 1
                last = block


@tight
def list_visits(rows, heads, block_of, fill, users, firsts):
    """Write for each block, from `fill[b]` on, its users and where in their rows its items begin."""
    for u in range(len(rows.indptr) - 1):
        last = -1
        for p in range(rows.indptr[u] + heads[u], rows.indptr[u + 1]):
            block = block_of[rows.indices[p]]
            if block != last:
                users[fill[block]], firsts[fill[block]] = u, p - rows.indptr[u]
                fill[block] += 1
                last = block


# ------------------------------------------------------------------------------------------------- addition
# sums[i, j] += left[i] * right[j];  counts[i, j] += 1      for every user, i of the block, j before i in the row
#
# `sums` and `counts` are flat: a row of `block.high` partners for each item of the block.


@tight
def add_dense(block, dense, left, right, sums, counts):
    """Add the products of a block's items with more popular ones within the dense block, and count where asked."""
    first, width = block.low // LANES, block.high
    for c in range(len(dense.widths)):
        end = min(dense.widths[c], block.high) // LANES
        for partner in range(end):
            other = dense.starts[c] + partner * DEPTH * LANES
            for group in range(max(first, partner), end):
                own = dense.starts[c] + group * DEPTH * LANES
                place = ((group - first) * width + partner) * LANES
                add_tile(sums, place, width, left, own, right, other, DEPTH)
                if counts is not None:
                    count_tile(counts, place, width, dense.rated, own // 64, dense.rated, other // 64, WORDS)


@tight
def add_pairs(block, start, stop, rows, left, right, sums, counts):
    """Add the products of a block's items with more popular ones for the visits `start … stop`."""
    for v in range(start, stop):
        begin, end = rows.indptr[block.users[v]], rows.indptr[block.users[v] + 1]
        p, partners, values = begin + block.firsts[v], rows.indices[begin:end], right[begin:end]
        while p < end and rows.indices[p] < block.high:
            row, value = np.uint64((rows.indices[p] - block.low) * block.high), left[p]
            for q in range(p - begin):
                at = row + np.uint64(partners[q])
                sums[at] += value * values[q]
                if counts is not None:
                    counts[at] += 1
            p += 1


# ------------------------------------------------------------------------------------------------- selection
class Terms(NamedTuple):
    """What the conversion of sums to similarities needs; items by popularity."""

    rule: Rule
    sizes: np.ndarray
    norms: np.ndarray
    order: np.ndarray


@tight
def harvest(block, sums, counts, moments, terms, shelves):
    """Turn a block's sums into similarities, offer those that reach a floor to both buffers, and clear the sums."""
    one, spare, most = np.uint64(1), (shelves.size - shelves.wanted) // 2, np.uint64(0x7F800000)
    for i in range(block.low, block.high):
        row, end = (i - block.low) * block.high, (i // LANES + 1) * LANES
        least, found = np.float32(0), finish_sums(i, row, sums, counts, moments, terms)
        sums[row + i : row + end] = 0  # partners come before the item
        # all more popular partners are known at once: only the strongest are offered, which raises the floor early
        if found > shelves.wanted:
            guess = np.uint64(as_bits(shelves.floors[i - 1]))
            least = as_number(np.uint32(least_of(sums[row : row + end], shelves.wanted, spare, guess, most)))
            shelves.floors[i] = max(shelves.floors[i], least)
        for group in range(0, end, LANES):
            chosen = promising(sums, row + group, least, shelves.floors, group)
            full = False
            while chosen:
                j = group + np.int64(lowest_bit(chosen))
                chosen &= chosen - one
                value, common = sums[row + j], counts[row + j]
                if abs(value) >= least:
                    offer(shelves, i, value, terms.order[j], common)
                offer(shelves, j, value, terms.order[i], common)
                full |= shelves.filled[j] == shelves.size
            if full:
                for j in range(group, group + LANES):
                    make_room(shelves, j, 1)
            if shelves.filled[i] > shelves.size - LANES:
                make_room(shelves, i, LANES)
        sums[row : row + end] = 0
        counts[row : row + end] = 0
        if moments is not None:
            moments[:, row : row + end] = 0


@tight
def finish_sums(i, row, sums, counts, moments, terms):
    """Turn the sums of item `i`, from place `row` on, into similarities; return how many are not 0."""
    found = np.int32(0)
    for start in range(row, row + i, STRETCH):
        stop = min(start + STRETCH, row + i)
        dots, common, some = sums[start:stop], counts[start:stop], np.int32(0)
        for at in range(len(common)):
            some |= common[at]
        if some:
            for at in range(len(dots)):
                j = np.uint64(start - row) + np.uint64(at)
                if moments is None:
                    value = cosine(dots[at], common[at], i, j, terms.sizes, terms.norms, terms.rule)
                elif common[at]:
                    value = pearson(dots[at], common[at], moments[:, start + at], terms.rule.damping)
                else:
                    value = 0.0
                dots[at] = finish(value, common[at], terms.rule)
                found += np.int32(dots[at] != 0)
    return found
