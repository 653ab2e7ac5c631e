"""The best items of many rows at once: eight rows side by side, then the exact scores of the few that may be best.

scores = values @ S.T;  scores[rated] = -inf;  the n highest of each row        # values: ratings less the lowest

An item that some of eight rows share is spread once, by one vector addition for all eight, in float32. The
sums are good enough to tell which items may be among the best; those are summed up again in float64, as for one row
alone. Where rounding might hide one of the best, the row is left to `top_rows`.

Cost: for every eight rows, the neighbours of each item that any of them holds.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import LANES, above_each, add_products, clear, lowest_bit

SPARE = 6
"""How many more than are wanted are looked at exactly."""
ROUNDING = 2.0**-24
"""The relative error of one operation in float32."""
NOTHING = 1e-30
"""A score that may be lost in float32 altogether."""


class Group(NamedTuple):
    """A workspace for eight rows: the numbers of an item stand side by side for all of them."""

    values: np.ndarray
    sums: np.ndarray
    held: np.ndarray
    floors: np.ndarray
    items: np.ndarray
    scores: np.ndarray


@kernel
def top_groups(
    start,
    stop,
    order,
    rows,
    links,
    item_offset,
    user_offset,
    finish,
    allowed,
    keep_seen,
    n,
    found,
    out_items,
    out_scores,
):
    """Write the best `n` items of the rows ``order[8 * start : 8 * stop]`` and their scores at the row's own place.

    `found` is `n` where that many are sure, else −1. Similarities must not be negative, and all neighbours count.
    """
    lowest = item_offset[0]  # the same for all, and users have no part of their own
    n_items, room = len(links.by_row.indptr) - 1, n + SPARE
    group = Group(
        np.zeros(n_items * LANES, np.float32), np.zeros(n_items * LANES, np.float32), np.zeros(n_items, np.bool_),
        np.zeros(LANES, np.float32), np.zeros(LANES * room, np.int32), np.zeros(LANES * room, np.float32),
    )  # fmt: skip
    union, row_values = np.empty(n_items, np.int32), np.full(n_items, np.nan)
    exact, kept = np.empty(room), np.zeros(LANES, np.int64)
    slack = 1 + 2 * ROUNDING * (3 + np.diff(links.by_row.indptr).max())  # terms of a sum, and its products
    for g in range(start, stop):
        members = order[g * LANES : (g + 1) * LANES]
        size = _gather_union(members, rows, lowest, keep_seen, group, union)
        _spread(union, size, links.by_column, group)
        kept[:], group.floors[:] = 0, 0
        _take_candidates(n_items, allowed, room, kept, group)
        for c in range(size):
            clear(group.values, np.int64(union[c]) * LANES)
            group.held[union[c]] = False
        for lane in range(len(members)):
            u, mine = members[lane], slice(lane * room, lane * room + kept[lane])
            _exact_scores(u, rows, links.by_row, lowest, group.items[mine], row_values, exact)
            hidden = group.scores[lane * room + room - 1] * slack if kept[lane] == room else NOTHING
            found[u] = _choose(
                group.items[mine], exact[: kept[lane]], hidden, n, out_items[u * n : u * n + n],
                out_scores[u * n : u * n + n],
            )  # fmt: skip


@tight
def _gather_union(members, rows, lowest, keep_seen, group, union):
    """Lay the values of the rows side by side; write the items that any of them holds and return how many.

    No sum rises above the floor of what a row holds itself.
    """
    size = 0
    for lane in range(len(members)):
        for p in range(rows.indptr[members[lane]], rows.indptr[members[lane] + 1]):
            item = rows.indices[p]
            if not group.held[item]:
                group.held[item] = True
                union[size] = item
                size += 1
            group.values[np.int64(item) * LANES + lane] = rows.data[p] - lowest
            if not keep_seen:
                group.sums[np.int64(item) * LANES + lane] = -np.inf
    return size


@tight
def _spread(union, size, influence, group):
    """Add what the items of the rows lend to the items that they predict."""
    for c in range(size):
        at = np.int64(union[c]) * LANES
        for q in range(influence.indptr[union[c]], influence.indptr[union[c] + 1]):
            add_products(group.sums, np.int64(influence.indices[q]) * LANES, group.values, at, influence.data[q])


@tight
def _take_candidates(n_items, allowed, room, kept, group):
    """Keep for each row the `room` items of the highest sums above zero, falling, and clear the sums."""
    for item in range(n_items):
        chosen = above_each(group.sums, np.int64(item) * LANES, group.floors)
        while chosen and (len(allowed) == 0 or allowed[item]):
            lane = np.int64(lowest_bit(chosen))
            chosen &= chosen - np.uint64(1)
            score, first = group.sums[np.int64(item) * LANES + lane], lane * room
            at = first + min(kept[lane], room - 1)
            while at > first and group.scores[at - 1] < score:
                group.items[at], group.scores[at] = group.items[at - 1], group.scores[at - 1]
                at -= 1
            group.items[at], group.scores[at] = item, score
            kept[lane] = min(kept[lane] + 1, room)
            if kept[lane] == room:
                group.floors[lane] = group.scores[first + room - 1]
        clear(group.sums, np.int64(item) * LANES)


@tight
def _exact_scores(u, rows, similarity, lowest, items, row_values, exact):
    """Sum up the scores of a row's candidates in float64, over the neighbours in ascending order."""
    for p in range(rows.indptr[u], rows.indptr[u + 1]):
        row_values[rows.indices[p]] = rows.data[p] - lowest
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
    for c in range(len(items)):
        at = min(c, n)
        while at > 0 and (
            out_scores[at - 1] < exact[c] or (out_scores[at - 1] == exact[c] and out_items[at - 1] > items[c])
        ):
            if at < n:
                out_items[at], out_scores[at] = out_items[at - 1], out_scores[at - 1]
            at -= 1
        if at < n:
            out_items[at], out_scores[at] = items[c], exact[c]
    return n if out_scores[n - 1] > hidden else -1
