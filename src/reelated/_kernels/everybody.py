"""Top-n items of many rows: eight rows side by side in float32, then exact float64 scores of the candidates.

scores = values @ S.T;  scores[rated] = -inf;  the n highest of each row        # values: the weights of the ratings

An item that any of the eight rows holds is scattered once, with one vector addition for all eight. The float32 sums
select the candidates; their scores are summed again in float64, as for a single row. Where rounding might hide one
of the best, the row is left to `top_rows`.

Cost: for every eight rows, the neighbours of each item that any of them holds.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import LANES, above_each, add_products, clear, lowest_bit
from reelated._kernels.scores import insert

SPARE = 6
"""Candidates beyond `n` that are scored exactly."""
ROUNDING = 2.0**-24
"""The relative error of one float32 operation."""
NOTHING = 1e-30
"""A score up to this may vanish in float32."""


class Found(NamedTuple):
    """The top items of every row, `n` places each: the number that is certain, the items and their scores."""

    counts: np.ndarray
    items: np.ndarray
    scores: np.ndarray


class Group(NamedTuple):
    """Workspace for eight rows, whose numbers lie side by side for each item.

    Candidates are in descending order of their sums, `kept[lane]` for each row; a sum must exceed `floors[lane]`.
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
    """Write the top `n` items of the rows ``order[8 * start : 8 * stop]``, each at the row's own place in `out`.

    The count is `n` where those are certain, else −1. Similarities must not be negative, and all neighbours are used.
    """
    n_items, room = len(links.by_row.indptr) - 1, n + SPARE
    group, row_values, exact = _empty_group(n_items, room), np.full(n_items, np.nan), np.empty(room)
    slack = 1 + 2 * ROUNDING * (3 + np.diff(links.by_row.indptr).max())  # bound of the rounding errors of a sum
    for g in range(start, stop):
        members = order[g * LANES : (g + 1) * LANES]
        size = _gather_union(members, rows, keep_seen, group)
        _spread(size, links.by_column, group)
        _take_candidates(n_items, allowed, room, group)
        _forget(size, group)
        for lane in range(len(members)):
            u, items = members[lane], group.items[lane, : group.kept[lane]]
            _exact_scores(u, rows, links.by_row, items, row_values, exact)
            # the highest score that an item outside the candidates can have
            hidden = group.scores[lane, room - 1] * slack if len(items) == room else NOTHING
            place = slice(u * n, u * n + n)
            out.counts[u] = _choose(items, exact, hidden, n, out.items[place], out.scores[place])


@tight
def _gather_union(members, rows, keep_seen, group):
    """Lay the values of the rows side by side; collect the items that any row holds and return their number."""
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
                group.sums[np.int64(item) * LANES + lane] = -np.inf  # stays below the floor, whatever is added
    return size


@tight
def _spread(size, influence, group):
    """Scatter the values of the rows to the items that they predict; `influence` is S by columns."""
    for c in range(size):
        item = np.int64(group.union[c])
        begin = influence.indptr[item]
        targets, strengths = influence.indices[begin:], influence.data[begin:]
        for q in range(influence.indptr[item + 1] - begin):
            add_products(group.sums, np.int64(targets[q]) * LANES, group.values, item * LANES, strengths[q])


@tight
def _take_candidates(n_items, allowed, room, group):
    """Select for each row the `room` highest positive sums, in descending order, and clear the sums."""
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
    """Compute the scores of a row's candidates in float64, neighbours in ascending order."""
    for p in range(rows.indptr[u], rows.indptr[u + 1]):
        row_values[rows.indices[p]] = rows.data[p]
    for c in range(len(items)):
        exact[c] = 0.0
        for q in range(similarity.indptr[items[c]], similarity.indptr[items[c] + 1]):
            value = row_values[similarity.indices[q]]
            if value == value:  # no NaN: the row holds the neighbour
                exact[c] += similarity.data[q] * value
    for p in range(rows.indptr[u], rows.indptr[u + 1]):
        row_values[rows.indices[p]] = np.nan


@tight
def _choose(items, exact, hidden, n, out_items, out_scores):
    """Write the `n` best candidates; return `n`, or −1 where an item outside them might score higher."""
    if len(items) < n:
        return -1
    found = 0
    for c in range(len(items)):
        found = insert(out_items, out_scores, found, items[c], exact[c])
    return n if out_scores[n - 1] > hidden else -1
