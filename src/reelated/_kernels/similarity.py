"""The item × item similarity: row by row, and as a triangle. Both give the same result, bit for bit.

Every sum runs over the users in ascending order, whatever the slice, the block and the thread.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from reelated._kernels.compiling import kernel


class Rule(NamedTuple):
    """How sums over common raters become a similarity."""

    jaccard: bool
    shrinkage: float
    damping: float
    min_common: int
    positive_only: bool


@kernel
def _finish(dot, common, i, j, sizes, norms, rule):
    """Turn the sums over the raters of `i` and `j` into their similarity."""
    if common < rule.min_common:
        return 0.0
    if rule.jaccard:
        value = common / (sizes[i] + sizes[j] - common + rule.damping)
    else:
        below = norms[i] * norms[j] + rule.damping
        value = dot / below if below > 0 else 0.0
    value *= common / (common + rule.shrinkage)
    return 0.0 if rule.positive_only and value < 0 else value


# ------------------------------------------------------------------------------------------------- row by row
# dots = V.T @ V;  common = rated.T @ rated          # V: users × items
# similarity = dots / (norms[:, None] * norms + damping) * common / (common + shrinkage)
# similarity[common < min_common] = 0;  keep the n_neighbors strongest of each row
# Cost: for every item, every rater's whole row — the sum over users of (ratings of the user)².


@kernel
def _accumulate(i, by_item, by_user, dots, common, touched):
    """Add up products and counts with every item that shares a rater with `i`; return how many there are."""
    n_touched = 0
    for p in range(by_item.indptr[i], by_item.indptr[i + 1]):
        user, value = by_item.indices[p], by_item.data[p]
        for q in range(by_user.indptr[user], by_user.indptr[user + 1]):
            j = by_user.indices[q]
            if common[j] == 0:
                touched[n_touched] = j
                n_touched += 1
            common[j] += 1
            dots[j] += value * by_user.data[q]
    return n_touched


@kernel
def similarity_rows(start, stop, by_item, by_user, norms, rule, n_neighbors):
    """Return rows `start … stop` of the item × item matrix: lengths, indices, similarities and common raters.

    Rows come in ascending item number, without the item itself and without zeros; of more than `n_neighbors`
    those of the largest absolute similarity stay, ties in ascending item number.
    """
    n_items = len(by_item.indptr) - 1
    dots, common = np.zeros(n_items, by_item.data.dtype), np.zeros(n_items, np.int32)
    touched, values = np.empty(n_items, np.int32), np.empty(n_items, by_item.data.dtype)
    sizes = np.diff(by_item.indptr)
    room = (stop - start) * min(n_neighbors, n_items)
    lengths = np.zeros(stop - start, np.int64)
    out_items, out_values = np.empty(room, np.int32), np.empty(room, by_item.data.dtype)
    out_common, filled = np.empty(room, np.int32), 0
    for i in range(start, stop):
        n_touched = _accumulate(i, by_item, by_user, dots, common, touched)
        kept = 0
        for j in np.sort(touched[:n_touched]):
            value = _finish(dots[j], common[j], i, j, sizes, norms, rule)
            if value != 0 and j != i:
                touched[kept], values[kept] = j, value
                kept += 1
            else:
                common[j] = 0
            dots[j] = 0
        chosen = strongest(values[:kept], n_neighbors)
        for c in chosen:
            out_items[filled], out_values[filled] = touched[c], values[c]
            out_common[filled] = common[touched[c]]
            filled += 1
        lengths[i - start] = len(chosen)
        for c in range(kept):
            common[touched[c]] = 0
    return lengths, out_items[:filled], out_values[:filled], out_common[:filled]


@kernel
def strongest(values, n):
    """Return, ascending, the positions of the `n` largest absolute values; of equals the first."""
    if len(values) <= n:
        return np.arange(len(values))
    size = np.abs(values)
    floor = np.partition(size, len(size) - n)[len(size) - n]
    room = n - np.sum(size > floor)
    chosen, filled = np.empty(n, np.int64), 0
    for p in range(len(values)):
        if size[p] > floor or (size[p] == floor and room > 0):
            room -= size[p] == floor
            chosen[filled] = p
            filled += 1
    return chosen


# ------------------------------------------------------------------------------------------------- the triangle
# The same, by half of the symmetric product and eight items at a time.
#
# Items are renumbered by falling popularity and every row is sorted by it. A pair is added up once, at its less popular
# item, and nearly all additions hit the few most popular ones, which stay in the nearest cache. Items are taken in
# blocks; a user's row is fetched once for all of the block's items that it holds, and within a block eight items at a
# time (a lane each) are served by one vector addition.
# Cost: for every user, half of (ratings of the user)² additions, eight by one instruction at best.

LANES = 8
"""Items that one vector addition serves."""


class Block(NamedTuple):
    """Visits of users to one block of items: user `users[v]` holds items of it from place `firsts[v]` of the row on."""

    low: int
    high: int
    users: np.ndarray
    firsts: np.ndarray


class Heaps(NamedTuple):
    """For each item the strongest neighbours so far; the weakest of them is at the root, free places hold −1.

    `floors` holds the weakest strengths side by side: most pairs are turned away by a look at them.
    """

    floors: np.ndarray
    values: np.ndarray
    items: np.ndarray
    common: np.ndarray


@kernel
def sort_rows(start, stop, rows, rank, items, values):
    """Write rows `start … stop`, renumbered by `rank` and sorted by it, into `items` and `values`."""
    for u in range(start, stop):
        begin, end = rows.indptr[u], rows.indptr[u + 1]
        keys = np.empty(end - begin, np.int64)
        for p in range(begin, end):
            keys[p - begin] = (np.int64(rank[rows.indices[p]]) << 32) | (p - begin)
        keys.sort()
        for p in range(end - begin):
            items[begin + p] = keys[p] >> 32
            values[begin + p] = rows.data[begin + (keys[p] & 0xFFFFFFFF)]


@kernel
def count_visits(rows, shift, starts):
    """Count into `starts[b + 1]` the users that touch block `b`."""
    for u in range(len(rows.indptr) - 1):
        last = -1
        for p in range(rows.indptr[u], rows.indptr[u + 1]):
            block = np.int64(rows.indices[p] >> shift)
            if block != last:
                starts[block + 1] += 1
                last = block


@kernel
def list_visits(rows, shift, fill, users, firsts):
    """Write for each block, from `fill[b]` on, who touches it and where in their row."""
    for u in range(len(rows.indptr) - 1):
        last = -1
        for p in range(rows.indptr[u], rows.indptr[u + 1]):
            block = np.int64(rows.indices[p] >> shift)
            if block != last:
                users[fill[block]], firsts[fill[block]] = u, p - rows.indptr[u]
                fill[block] += 1
                last = block


@intrinsic
def add_lanes(_, sums, place, weights, value):
    """``sums[place : place + LANES] += weights[:LANES] * value`` as one vector operation, not fused."""

    def generate(context, builder, signature, args):
        lanes = ir.VectorType(context.get_value_type(signature.args[0].dtype), LANES)
        width, first = context.get_abi_sizeof(lanes.element), ir.Constant(ir.IntType(32), 0)

        def pointer(at, place):
            data = context.make_array(signature.args[at])(context, builder, args[at]).data
            return builder.bitcast(builder.gep(data, [place]), lanes.as_pointer())

        def load(at):
            loaded = builder.load(at)
            loaded.align = width
            return loaded

        target = pointer(0, args[1])
        nothing = ir.Constant(lanes, ir.Undefined)
        zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
        spread = builder.shuffle_vector(builder.insert_element(nothing, args[3], first), nothing, zeros)
        product = builder.fmul(load(pointer(2, ir.Constant(ir.IntType(64), 0))), spread)
        builder.store(builder.fadd(load(target), product), target).align = width
        return context.get_dummy_value()

    return types.void(sums, types.uint64, weights, sums.dtype), generate


@kernel
def add_pairs(block, rows, sums):
    """Add up the products of all pairs of a block's items with more popular ones, and count them.

    `sums` holds for each group of eight items a table: for each partner eight sums and eight counts.
    """
    width, lanes = np.uint64(2 * LANES), np.uint64(LANES)
    weights, ones = np.zeros(LANES, sums.dtype), np.zeros(LANES, sums.dtype)
    one = sums.dtype.type(1)
    for v in range(len(block.users)):
        begin, end = rows.indptr[block.users[v]], rows.indptr[block.users[v] + 1]
        p = begin + block.firsts[v]
        while p < end and rows.indices[p] < block.high:
            group = (rows.indices[p] - block.low) // LANES
            low, last = block.low + group * LANES, p
            table = np.uint64(group * block.high) * width
            while last < end and rows.indices[last] < low + LANES:
                last += 1
            if last - p == 1:
                place, weight = table + np.uint64(rows.indices[p] - low), rows.data[p]
                for q in range(begin, p):
                    at = np.uint64(rows.indices[q]) * width + place
                    sums[at] += weight * rows.data[q]
                    sums[at + lanes] += one
            else:
                weights[:], ones[:] = 0, 0
                for r in range(p, last):
                    weights[rows.indices[r] - low], ones[rows.indices[r] - low] = rows.data[r], 1
                for q in range(begin, last):
                    at = np.uint64(rows.indices[q]) * width + table
                    add_lanes(sums, at, weights, rows.data[q])
                    add_lanes(sums, at + lanes, ones, one)
            p = last


@kernel
def harvest(block, sums, sizes, norms, inverse, order, rule, n_neighbors, heaps):
    """Turn a block's sums into similarities, offer each to the heaps of both items, and clear the sums.

    No similarity exceeds the plain cosine, `dot * inverse[i] * inverse[j]`, whatever the rule takes off.
    """
    width = 2 * LANES
    words, per_line = sums.view(np.uint64), width * sums.itemsize // 8
    for group in range((block.high - block.low + LANES - 1) // LANES):
        low = block.low + group * LANES
        for j in range(min(low + LANES, block.high) - 1, -1, -1):  # the strongest come early: few are offered in vain
            line = group * block.high + j
            empty = np.uint64(0)
            for word in range(line * per_line, line * per_line + per_line):
                empty |= words[word]
            if empty == 0:
                continue
            line *= width
            floor, scale = heaps.floors[j], inverse[j] * sums.dtype.type(1.00001)
            for lane in range(max(j + 1 - low, 0), min(LANES, block.high - low)):
                i, dot = low + lane, sums[line + lane]
                bound = abs(dot) * scale * inverse[i]
                if dot != 0 and (bound >= floor or bound >= heaps.floors[i]):
                    common = np.int32(sums[line + LANES + lane])
                    value = sums.dtype.type(_finish(dot, common, i, j, sizes, norms, rule))
                    if value != 0 and abs(value) >= heaps.floors[i]:
                        offer(heaps, i, n_neighbors, value, order[j], common)
                    if value != 0 and abs(value) >= floor:
                        offer(heaps, j, n_neighbors, value, order[i], common)
                        floor = heaps.floors[j]
            sums[line : line + width] = 0


@kernel
def offer(heaps, row, size, value, item, common):
    """Keep a neighbour of `row` if it is stronger than the weakest kept, or as strong and of a lower number."""
    base = row * size
    if not _weaker(heaps.values[base], heaps.items[base], value, item):
        return
    at = 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        left, right = base + child, base + child + 1
        if child + 1 < size and _weaker(heaps.values[right], heaps.items[right], heaps.values[left], heaps.items[left]):
            child += 1
        if not _weaker(heaps.values[base + child], heaps.items[base + child], value, item):
            break
        heaps.values[base + at], heaps.items[base + at] = heaps.values[base + child], heaps.items[base + child]
        heaps.common[base + at] = heaps.common[base + child]
        at = child
    heaps.values[base + at], heaps.items[base + at], heaps.common[base + at] = value, item, common
    heaps.floors[row] = abs(heaps.values[base])


@kernel
def _weaker(value, item, other, other_item):
    """Say whether a neighbour ranks below another: by strength, of equals the higher number; free places last."""
    if abs(value) != abs(other):
        return abs(value) < abs(other)
    return item < 0 or 0 <= other_item < item


@kernel
def gather(start, stop, heaps, size, rank):
    """Return items `start … stop` of the similarity from all threads' heaps: lengths, indices, values, common raters.

    The strongest of all heaps together are the strongest of all; which thread found them does not matter.
    """
    threads, room, filled = len(heaps.floors), (stop - start) * size, 0
    lengths = np.zeros(stop - start, np.int64)
    out_items, out_values = np.empty(room, np.int32), np.empty(room, heaps.values.dtype)
    out_common = np.empty(room, np.int32)
    items, values = np.empty(threads * size, np.int32), np.empty(threads * size, heaps.values.dtype)
    common = np.empty(threads * size, np.int32)
    for i in range(start, stop):
        n = 0
        for thread in range(threads):
            for at in range(rank[i] * size, (rank[i] + 1) * size):
                if heaps.items[thread, at] >= 0:
                    items[n], values[n] = heaps.items[thread, at], heaps.values[thread, at]
                    common[n] = heaps.common[thread, at]
                    n += 1
        by_item = np.argsort(items[:n])
        chosen = by_item[strongest(values[by_item], size)]
        stretch = slice(filled, filled + len(chosen))
        out_items[stretch], out_values[stretch], out_common[stretch] = items[chosen], values[chosen], common[chosen]
        filled += len(chosen)
        lengths[i - start] = len(chosen)
    return lengths, out_items[:filled], out_values[:filled], out_common[:filled]
