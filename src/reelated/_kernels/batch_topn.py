"""Top-n items of many rows: eight rows side by side in float32, then exact float64 scores of the candidates.

scores = values @ S.T;  scores[rated] = -inf;  the n highest of each row        # values: the weights of the ratings

An item in any of the eight rows is scattered once, with one vector addition for all eight rows. The float32 sums
select the candidates; their scores are summed again in float64, as for a single row. If rounding might hide one of the
top n, `topn_rows` processes the row.

The caller chooses the order of the sums in memory: if frequent items come first, most additions hit a fast cache.

Cost: for every eight rows, one vector addition for each neighbour of each item that any of them holds.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.csr import CSR
from reelated._kernels.kernel import njit_nogil
from reelated._kernels.scoring import PREFETCHED
from reelated._kernels.simd import CACHE_LINE, LANES, add_scaled, lowest_bit, mask_above_each, prefetch, set_zero
from reelated._kernels.topk import insert_sorted

EXTRA_CANDIDATES = 6
"""Number of candidates in addition to `n` that are scored exactly."""
ROUNDING = 2.0**-24
"""The relative error of one float32 operation."""
FLOAT32_UNDERFLOW = 1e-30
"""A score up to this may underflow to 0 in float32."""


class TopNOutput(NamedTuple):
    """The top items of every row, `n` places each: how many are certain, the items and their scores."""

    counts: np.ndarray
    items: np.ndarray
    scores: np.ndarray


class SumOrder(NamedTuple):
    """The order of values and sums in memory."""

    items: np.ndarray  # the item at each position
    positions: np.ndarray  # the position of each item
    by_column: CSR  # S in CSC form, positions instead of items


class RowGroup(NamedTuple):
    """Workspace for eight rows, whose numbers lie side by side for each position.

    Each row has `lengths[lane]` candidates in descending order of their sums, which must exceed `thresholds[lane]`.
    """

    values: np.ndarray
    sums: np.ndarray
    in_union: np.ndarray
    union: np.ndarray
    thresholds: np.ndarray
    lengths: np.ndarray
    items: np.ndarray
    scores: np.ndarray


def _empty_group(n_items, capacity):
    return RowGroup(
        np.zeros(n_items * LANES, np.float32),
        np.zeros(n_items * LANES, np.float32),
        np.zeros(n_items, np.bool_),
        np.empty(n_items, np.int32),
        np.zeros(LANES, np.float32),
        np.zeros(LANES, np.int64),
        np.zeros((LANES, capacity), np.int32),
        np.zeros((LANES, capacity), np.float32),
    )


def topn_groups(start, stop, members, rows, similarity, sum_order, item_mask, keep_seen, n, out):
    """Write the top `n` items of the rows ``members[8 * start : 8 * stop]``, each at the row's own position in `out`.

    The count is `n` if these are certain, else −1. Similarities must not be negative, and all neighbours are used.
    """
    n_items, capacity = len(similarity.indptr) - 1, n + EXTRA_CANDIDATES
    group, row_values, exact = _empty_group(n_items, capacity), np.full(n_items, np.nan), np.empty(capacity)
    slack = 1 + 2 * ROUNDING * (3 + np.diff(similarity.indptr).max())  # bound of the rounding errors of a sum
    _topn_groups(
        start, stop, members, rows, similarity, sum_order, item_mask, keep_seen, n, float(slack), group, row_values,
        exact, out,
    )  # fmt: skip


@njit_nogil
def _topn_groups(start, stop, members, rows, similarity, sum_order, item_mask, keep_seen, n, slack, group, row_values, exact, out):  # noqa: E501  # fmt: skip
    capacity = len(exact)
    for g in range(start, stop):
        lanes = members[g * LANES : (g + 1) * LANES]
        size = _load_group(lanes, rows, sum_order.positions, keep_seen, group)
        _scatter(size, sum_order.by_column, group)
        _select_candidates(sum_order.items, item_mask, capacity, group)
        _reset(size, group)
        for lane in range(len(lanes)):
            u, items = lanes[lane], group.items[lane, : group.lengths[lane]]
            _exact_scores(u, rows, similarity, items, row_values, exact)
            # the highest possible score of an item that is not a candidate
            bound = group.scores[lane, capacity - 1] * slack if len(items) == capacity else FLOAT32_UNDERFLOW
            part = slice(u * n, u * n + n)
            out.counts[u] = _certain_top_n(items, exact, bound, n, out.items[part], out.scores[part])


@njit_nogil
def _load_group(lanes, rows, positions, keep_seen, group):
    """Load the values of the rows side by side; collect the items in any of the rows, and return their number."""
    size = 0
    for lane in range(len(lanes)):
        for p in range(rows.indptr[lanes[lane]], rows.indptr[lanes[lane] + 1]):
            position = np.int64(positions[rows.indices[p]])
            if not group.in_union[position]:
                group.in_union[position] = True
                group.union[size] = position
                size += 1
            group.values[position * LANES + lane] = rows.data[p]
            if not keep_seen:
                group.sums[position * LANES + lane] = -np.inf  # stays below every threshold
    return size


@njit_nogil
def _scatter(size, by_column, group):
    """Scatter the values of the rows to the items that they predict; `by_column` is S in CSC form."""
    for c in range(size):
        j = np.int64(group.union[c])
        begin, following = by_column.indptr[j], by_column.indptr[group.union[c + 1 if c + 1 < size else c]]
        for ahead in range(0, PREFETCHED, CACHE_LINE):  # the next column, while this one is added
            prefetch(by_column.data, following + ahead)
            prefetch(by_column.indices, following + ahead)
        targets, strengths = by_column.indices[begin:], by_column.data[begin:]
        for q in range(by_column.indptr[j + 1] - begin):
            add_scaled(group.sums, np.int64(targets[q]) * LANES, group.values, j * LANES, strengths[q])


@njit_nogil
def _select_candidates(items, item_mask, capacity, group):
    """Select for each row the `capacity` highest positive sums, in descending order, and clear the sums."""
    for lane in range(LANES):
        group.lengths[lane], group.thresholds[lane] = 0, 0
    for position in range(len(items)):
        chosen, item = mask_above_each(group.sums, position * LANES, group.thresholds), items[position]
        while chosen and (len(item_mask) == 0 or item_mask[item]):
            lane = np.int64(lowest_bit(chosen))
            chosen &= chosen - np.uint64(1)
            score = group.sums[position * LANES + lane]
            group.lengths[lane] = insert_sorted(group.items[lane], group.scores[lane], group.lengths[lane], item, score)
            if group.lengths[lane] == capacity:
                group.thresholds[lane] = group.scores[lane, capacity - 1]
        set_zero(group.sums, position * LANES)


@njit_nogil
def _reset(size, group):
    """Clear the values of the rows."""
    for c in range(size):
        set_zero(group.values, np.int64(group.union[c]) * LANES)
        group.in_union[group.union[c]] = False


@njit_nogil
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


@njit_nogil
def _certain_top_n(items, exact, bound, n, out_items, out_scores):
    """Write the `n` best candidates; return `n`, or −1 if another item might score higher."""
    if len(items) < n:
        return -1
    length = 0
    for c in range(len(items)):
        length = insert_sorted(out_items, out_scores, length, items[c], exact[c])
    return n if out_scores[n - 1] > bound else -1
