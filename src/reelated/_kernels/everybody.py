"""The best items of many rows at once: eight rows side by side, then the exact scores of the few that may be best.

scores = values @ S.T;  scores[rated] = -inf;  the n highest of each row        # values: what the ratings are worth

An item that some of eight rows share is spread once, by one vector addition for all eight, in float32. The sums
are good enough to tell which items may be among the best; those are summed up again in float64, as for one row alone.
Where rounding might hide one of the best, the row is left to `top_rows`.

Cost: for every eight rows, the neighbours of each item that any of them holds.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import LANES, above_each, add_products, clear, lowest_bit
from reelated._kernels.scores import insert

SPARE = 6
"""How many more than are wanted are looked at exactly."""
ROUNDING = 2.0**-24
"""The relative error of one operation in float32."""
NOTHING = 1e-30
"""A score that may be lost in float32 altogether."""


class Found(NamedTuple):
    """The best items of every row, `n` places for each: how many are sure, the items and their scores."""

    counts: np.ndarray
    items: np.ndarray
    scores: np.ndarray


class Group(NamedTuple):
    """A workspace for eight rows: the numbers of an item stand side by side for all of them.

    Candidates fall by their sums, `kept[lane]` of them for each row; sums at or below `floors[lane]` are none.
    """

    values: np.ndarray
    sums: np.ndarray
    held: np.ndarray
    union: np.ndarray
    floors: np.ndarray
    kept: np.ndarray
    items: np.ndarray
    scores: np.ndarray


@kernel
def _empty_group(n_items, room):
    return Group(
        np.zeros(n_items * LANES, np.float32),
        np.zeros(n_items * LANES, np.float32),
        np.zeros(n_items, np.bool_),
        np.empty(n_items, np.int32),
        np.zeros(LANES, np.float32),
        np.zeros(LANES, np.int64),
        np.zeros((LANES, room), np.int32),
        np.zeros((LANES, room), np.float32),
    )


@kernel
def top_groups(start, stop, order, rows, links, allowed, keep_seen, n, out):
    """Write the best `n` items of the rows ``order[8 * start : 8 * stop]``, each at the row's own place.

    The count is `n` where that many are sure, else −1. Similarities must not be negative, and all neighbours count.
    """
    n_items, room = len(links.by_row.indptr) - 1, n + SPARE
    group, row_values, exact = _empty_group(n_items, room), np.full(n_items, np.nan), np.empty(room)
    slack = 1 + 2 * ROUNDING * (3 + np.diff(links.by_row.indptr).max())  # terms of a sum, and its products
    for g in range(start, stop):
        members = order[g * LANES : (g + 1) * LANES]
        size = _gather_union(members, rows, keep_seen, group)
        _spread(size, links.by_column, group)
        _take_candidates(n_items, allowed, room, group)
        _forget(size, group)
        for lane in range(len(members)):
            u, items = members[lane], group.items[lane, : group.kept[lane]]
            _exact_scores(u, rows, links.by_row, items, row_values, exact)
            hidden = group.scores[lane, room - 1] * slack if len(items) == room else NOTHING
            place = slice(u * n, u * n + n)
            out.counts[u] = _choose(items, exact, hidden, n, out.items[place], out.scores[place])


@tight
def _gather_union(members, rows, keep_seen, group):
    """Lay the values of the rows side by side; note the items that any of them holds and return how many.

    No sum rises above the floor of what a row holds itself.
    """
    size = 0
    for lane in range(len(members)):
        for p in range(rows.indptr[members[lane]], rows.indptr[members[lane] + 1]):
            item = rows.indices[p]
            if not group.held[item]:
                group.held[item] = True
                group.union[size] = item
                size += 1
            group.values[np.int64(item) * LANES + lane] = rows.data[p]
            if not keep_seen:
                group.sums[np.int64(item) * LANES + lane] = -np.inf
    return size


@tight
def _spread(size, influence, group):
    """Add what the items of the rows lend to the items that they predict."""
    for c in range(size):
        item = np.int64(group.union[c])
        begin = influence.indptr[item]
        targets, strengths = influence.indices[begin:], influence.data[begin:]
        for q in range(influence.indptr[item + 1] - begin):
            add_products(group.sums, np.int64(targets[q]) * LANES, group.values, item * LANES, strengths[q])


@tight
def _take_candidates(n_items, allowed, room, group):
    """Keep for each row the `room` items of the highest sums above zero, falling, and clear the sums."""
    for lane in range(LANES):
        group.kept[lane], group.floors[lane] = 0, 0
    for item in range(n_items):
        chosen = above_each(group.sums, np.int64(item) * LANES, group.floors)
        while chosen and (len(allowed) == 0 or allowed[item]):
            lane = np.int64(lowest_bit(chosen))
            chosen &= chosen - np.uint64(1)
            score = group.sums[np.int64(item) * LANES + lane]
            group.kept[lane] = insert(group.items[lane], group.scores[lane], group.kept[lane], item, score)
            if group.kept[lane] == room:
                group.floors[lane] = group.scores[lane, room - 1]
        clear(group.sums, np.int64(item) * LANES)


@tight
def _forget(size, group):
    """Clear the values of the rows."""
    for c in range(size):
        clear(group.values, np.int64(group.union[c]) * LANES)
        group.held[group.union[c]] = False


@tight
def _exact_scores(u, rows, similarity, items, row_values, exact):
    """Sum up the scores of a row's candidates in float64, over the neighbours in ascending order."""
    for p in range(rows.indptr[u], rows.indptr[u + 1]):
        row_values[rows.indices[p]] = rows.data[p]
    for c in range(len(items)):
        exact[c] = 0.0
        for q in range(similarity.indptr[items[c]], similarity.indptr[items[c] + 1]):
            value = row_values[similarity.indices[q]]
            if value == value:  # rated
                exact[c] += similarity.data[q] * value
    for p in range(rows.indptr[u], rows.indptr[u + 1]):
        row_values[rows.indices[p]] = np.nan


@tight
def _choose(items, exact, hidden, n, out_items, out_scores):
    """Write the `n` best candidates; return how many, or −1 where something hidden might be better."""
    if len(items) < n:
        return -1
    found = 0
    for c in range(len(items)):
        found = insert(out_items, out_scores, found, items[c], exact[c])
    return n if out_scores[n - 1] > hidden else -1
