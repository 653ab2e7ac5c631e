"""Item × item similarity of one block of items, from users that arrive in batches: the method for a cluster.

It equals that of `by_rows`, bit for bit, where users arrive in the same order. A table holds a row of sums and one of
counts for each item of the block; its size does not depend on the number of users.

Ratings of the most popular items by the most active users are added as a product of dense matrices, as in `triangle`.

Cost: for every user, (ratings in the block) · (all ratings of the user) additions.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import LANES, add_tile, count_tile
from reelated._kernels.marks import empty_marks, mark, take_marked
from reelated._kernels.measures import cosine, finish, pearson
from reelated._kernels.shelves import strongest
from reelated._kernels.triangle import DEPTH, WORDS


class Table(NamedTuple):
    """Sums of the items from `low` on with all items: Σxy, common raters and, for Pearson, Σx, Σy, Σx², Σy².

    `low` and the numbers of rows and columns are multiples of eight.
    """

    low: int
    sums: np.ndarray
    counts: np.ndarray
    moments: np.ndarray


@tight
def add_corner(table, low, high, dense, values):
    """Add the products of the dense block for the items from `low`, a multiple of eight, to `high`."""
    width = table.sums.shape[1]
    for c in range(len(dense.widths)):
        n_groups = dense.widths[c] // LANES
        for group in range(low // LANES, min((high + LANES - 1) // LANES, n_groups)):
            own = dense.starts[c] + group * DEPTH * LANES
            for partner in range(n_groups):
                place = (group * LANES - table.low) * width + partner * LANES
                other = dense.starts[c] + partner * DEPTH * LANES
                add_tile(table.sums, place, width, values, own, values, other, DEPTH)
                count_tile(table.counts, place, width, dense.rated, own // 64, dense.rated, other // 64, WORDS)


@tight
def add_rows(table, low, high, rows, heads, users, firsts):
    """Add the products of whole rows outside the dense block for items `low … high`; visits as in `Block`."""
    for v in range(len(users)):
        begin, end = rows.indptr[users[v]], rows.indptr[users[v] + 1]
        p, tail = begin + firsts[v], begin + heads[users[v]]
        while p < end and rows.indices[p] < high:
            i, x = rows.indices[p] - table.low, rows.data[p]
            sums, counts = table.sums[i], table.counts[i]
            for q in range(tail if p < tail else begin, end):  # two items of the head: the dense block has them
                j = np.uint32(rows.indices[q])
                sums[j] += x * rows.data[q]
                counts[j] += 1
            if len(table.moments):
                moments = table.moments[i]
                for q in range(begin, end):
                    m, y = moments[rows.indices[q]], rows.data[q]
                    m[0] += x
                    m[1] += y
                    m[2] += x * x
                    m[3] += y * y
            p += 1


@kernel
def cut_table(table, start, stop, order, sizes, norms, rule, n_neighbors):
    """Return rows `start … stop` of the similarity as `similarity_rows` does; rows and columns of the table are places.

    `order[j]` is the item at place `j` of the table; `sizes` and `norms` are indexed by place.
    """
    n_items, dtype = len(order), table.sums.dtype
    places, values = np.empty(n_items, np.int32), np.empty(n_items, dtype)
    marks, numbers, at = empty_marks(n_items), np.empty(n_items, np.int32), np.empty(n_items, np.int64)
    room = (stop - start) * min(n_neighbors, n_items)
    lengths, filled = np.zeros(stop - start, np.int64), 0
    out_items, out_values, out_common = np.empty(room, np.int32), np.empty(room, dtype), np.empty(room, np.int32)
    for i in range(start, stop):
        kept = _similar(table, i, sizes, norms, rule, places, values)
        if kept > n_neighbors:
            kept = _drop_weak(places, values, kept, n_neighbors)
        for c in range(kept):
            mark(marks, order[places[c]], c)
        take_marked(marks, numbers, at, 0)
        chosen = strongest(values[at[:kept]], n_neighbors)
        for c in chosen:
            out_items[filled], out_values[filled] = numbers[c], values[at[c]]
            out_common[filled] = table.counts[i - table.low, places[at[c]]]
            filled += 1
        lengths[i - start] = len(chosen)
    return lengths, out_items[:filled], out_values[:filled], out_common[:filled]


@tight
def _similar(table, i, sizes, norms, rule, places, values):
    """Write the places of the items similar to item `i` and their similarities; return how many."""
    sums, counts, kept = table.sums[i - table.low], table.counts[i - table.low], 0
    for j in range(len(sizes)):
        common = counts[j]
        if common == 0 or j == i:
            continue
        if rule.pearson:
            value = pearson(sums[j], common, table.moments[i - table.low, j], rule.damping)
        else:
            value = cosine(sums[j], common, i, j, sizes, norms, rule)
        places[kept], values[kept] = j, finish(value, common, rule)
        kept += values[kept] != 0
    return kept


@kernel
def _drop_weak(places, values, kept, wanted):
    """Move the `wanted` strongest of the first `kept`, ties included, to the front; return how many."""
    size, reaching = np.abs(values[:kept]), 0
    # ties stay: `strongest` chooses among them by item index, which the places here do not follow
    floor = np.partition(size, kept - wanted)[kept - wanted]
    for c in range(kept):
        places[reaching], values[reaching] = places[c], values[c]
        reaching += size[c] >= floor
    return reaching
