"""Scores as sums over rated neighbours: for one user, for pairs, for batches, and for all users of one item.

Every function sums in ascending item index, so that a pair alone gets the same score as in a batch.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.csr import CSR
from reelated._kernels.numba_config import njit_no_alloc, njit_nogil
from reelated._kernels.simd import LANES, lowest_bit, mask_above, set_zero
from reelated._kernels.topk import insert_sorted, top_k_by_abs, top_n

# numerator = values @ S.T;  weight = rated @ abs(S).T;  n_used = rated @ (S != 0).T
# score = numerator;  rating = offset + numerator / (weight + prior)
# Each item uses only its max_neighbors_used strongest rated neighbours.
# Cost for a user: the number of ratings × the neighbours of an item.

MAX_INSERTION = 64
"""The longest list that is kept sorted by insertion during the scan of the scores."""


class NeighborSums(NamedTuple):
    """Sums over a user's ratings for each item: Σ s·value, Σ |s| and the number of neighbours used."""

    numerator: np.ndarray
    weight: np.ndarray
    n_used: np.ndarray


class ItemGraph(NamedTuple):
    """The item × item matrix by rows and by columns, and the maximum number of neighbours used for an item."""

    by_row: CSR
    by_column: CSR
    max_neighbors_used: int


class ScoreParams(NamedTuple):
    """How sums become scores: `numerator`, or a rating `offset + numerator / (weight + prior)`, unclipped."""

    rating: bool
    average: bool  # False: a rating is offset + numerator
    fallback: bool  # True: a rating without rated neighbours is the offset, else NaN
    prior: float


@njit_nogil
def empty_sums(n):
    """Allocate sums for `n` items or users."""
    return NeighborSums(np.zeros(n), np.zeros(n), np.zeros(n, np.int32))


@njit_no_alloc
def scatter_sums(items, values, by_column, sums):
    """Scatter a user's values to the items that they predict; `by_column` is S in CSC form."""
    for p in range(len(items)):
        j = items[p]
        for q in range(by_column.indptr[j], by_column.indptr[j + 1]):
            i, s = np.uint32(by_column.indices[q]), by_column.data[q]
            sums.numerator[i] += s * values[p]
            sums.weight[i] += abs(s)
            sums.n_used[i] += 1


@njit_nogil
def strongest_rated(i, similarity, rated, max_neighbors_used, positions):
    """Write the positions of the `max_neighbors_used` strongest rated neighbours of `i`; return how many."""
    n = _rated_neighbors(i, similarity, rated, positions)
    if n > max_neighbors_used:
        chosen = top_k_by_abs(similarity.data[positions[:n]], max_neighbors_used)
        for c in range(max_neighbors_used):
            positions[c] = positions[chosen[c]]
        n = max_neighbors_used
    return n


@njit_no_alloc
def _rated_neighbors(i, similarity, rated, positions):
    """Write the positions of all rated neighbours of `i`; return how many."""
    n = 0
    for q in range(similarity.indptr[i], similarity.indptr[i + 1]):
        if rated[similarity.indices[q]]:
            positions[n] = q
            n += 1
    return n


@njit_nogil
def limit_neighbors(items, values, similarity, max_neighbors_used, sums):
    """Recompute the sums of items with more than `max_neighbors_used` rated neighbours from the strongest of these."""
    n_items = len(sums.numerator)
    value, rated = np.zeros(n_items), np.zeros(n_items, np.bool_)
    value[items], rated[items] = values, True
    positions = np.empty(len(items), np.int64)
    for i in np.flatnonzero(sums.n_used > max_neighbors_used):
        n, numerator, weight = strongest_rated(i, similarity, rated, max_neighbors_used, positions), 0.0, 0.0
        for c in range(n):
            s = similarity.data[positions[c]]
            numerator += s * value[similarity.indices[positions[c]]]
            weight += abs(s)
        sums.numerator[i], sums.weight[i], sums.n_used[i] = numerator, weight, n


@njit_no_alloc
def score_from_sums(numerator, weight, n_used, offset, params):
    """Return the score for sums; NaN if it is undefined."""
    if not params.rating:
        return numerator if n_used > 0 else np.nan
    if (weight == 0 and not params.fallback) or np.isnan(offset):
        return np.nan
    value = offset
    if weight > 0:
        value += numerator / (weight + params.prior) if params.average else numerator
    return np.rint(value * 1e6) / 1e6  # sums of the same ratings in another order must tie


@njit_nogil
def scores_from_sums(sums, item_offset, user_offset, params):
    """Return the scores of all items for one user."""
    scores = np.empty(len(sums.numerator))
    for i in range(len(scores)):
        offset = item_offset[i] + user_offset
        scores[i] = score_from_sums(sums.numerator[i], sums.weight[i], sums.n_used[i], offset, params)
    return scores


@njit_nogil
def _values_of(items, ratings, item_offset, user_offset):
    """Return a user's ratings minus the offsets."""
    values = np.empty(len(items))
    for p in range(len(items)):
        values[p] = ratings[p] - (item_offset[items[p]] + user_offset)
    return values


@njit_nogil
def score_row(items, ratings, graph, item_offset, user_offset, params):
    """Return the scores of all items for one user, and the numbers of neighbours used."""
    sums = empty_sums(len(item_offset))
    values = _values_of(items, ratings, item_offset, user_offset)
    scatter_sums(items, values, graph.by_column, sums)
    if len(items) > graph.max_neighbors_used:
        limit_neighbors(items, values, graph.by_row, graph.max_neighbors_used, sums)
    return scores_from_sums(sums, item_offset, user_offset, params), sums.n_used


@njit_nogil
def topn_rows(start, stop, rows, graph, item_offset, user_offset, params, item_mask, keep_seen, n, zeros):
    """Return the top `n` items of rows `start … stop`: lengths, items and scores.

    `item_mask` is True for items that may be listed; empty, it allows all. `zeros` is a workspace with an element for
    each item, padded to a multiple of eight; it is all zeros before and after.
    """
    lengths = np.zeros(stop - start, np.int64)
    out_items, out_scores, filled = np.empty((stop - start) * n, np.int32), np.empty((stop - start) * n), 0
    for u in range(start, stop):
        row = slice(rows.indptr[u], rows.indptr[u + 1])
        items, part = rows.indices[row], slice(filled, filled + n)
        length = 0
        if 0 < n <= MAX_INSERTION and not params.rating and len(items) <= graph.max_neighbors_used:
            values = _values_of(items, rows.data[row], item_offset, user_offset[u])
            _scatter_scores(items, values, graph.by_column, zeros)
            _mask_items(items, item_mask, keep_seen, zeros)
            length = _drain_top_n(zeros, n, out_items[part], out_scores[part])
        if length < n:  # fewer than n positive scores: consider every item that has a score
            scores, _ = score_row(items, rows.data[row], graph, item_offset, user_offset[u], params)
            for i in range(len(item_mask)):
                if not item_mask[i]:
                    scores[i] = np.nan
            if not keep_seen:
                scores[items] = np.nan
            chosen = top_n(scores, n)
            length = len(chosen)
            out_items[filled : filled + length], out_scores[filled : filled + length] = chosen, scores[chosen]
        lengths[u - start] = length
        filled += length
    return lengths, out_items[:filled], out_scores[:filled]


@njit_no_alloc
def _scatter_scores(items, values, by_column, scores):
    """Scatter a user's values to the items that they predict, without weights and counts."""
    for p in range(len(items)):
        value, begin = values[p], by_column.indptr[items[p]]
        targets, strengths = by_column.indices[begin:], by_column.data[begin:]
        for q in range(by_column.indptr[items[p] + 1] - begin):
            scores[np.uint32(targets[q])] += strengths[q] * value


@njit_no_alloc
def _mask_items(items, item_mask, keep_seen, scores):
    """Set the scores of items that may not be listed to 0."""
    if not keep_seen:
        for p in range(len(items)):
            scores[items[p]] = 0
    for i in range(len(item_mask)):
        if not item_mask[i]:
            scores[i] = 0


@njit_no_alloc
def _drain_top_n(scores, n, out_items, out_scores):
    """Write the `n` highest positive scores, descending, ties in ascending item; clear all; return how many."""
    length, threshold, one = 0, 0.0, np.uint64(1)
    for group in range(0, len(scores), LANES):
        chosen = mask_above(scores, group, threshold)
        while chosen:
            i = group + np.int64(lowest_bit(chosen))
            chosen &= chosen - one
            score = scores[i]
            if score > threshold:  # it may have risen since the vector comparison; a tie loses to the lower item index
                length = insert_sorted(out_items, out_scores, length, i, score)
                threshold = out_scores[n - 1] if length == n else 0.0
        set_zero(scores, group)
    return length


@njit_nogil
def score_pairs(start, stop, rows, pair_rows, pair_items, graph, item_offset, user_offset, params):
    """Return scores and numbers of neighbours used of pairs `start … stop`; fast if they are sorted by row."""
    similarity, n_items = graph.by_row, len(item_offset)
    rating, rated, positions = np.zeros(n_items), np.zeros(n_items, np.bool_), np.empty(n_items, np.int64)
    scores, n_used, current = np.empty(stop - start), np.zeros(stop - start, np.int32), -1
    for p in range(start, stop):
        u, i = pair_rows[p], pair_items[p]
        if u != current:
            if current >= 0:
                rated[rows.indices[rows.indptr[current] : rows.indptr[current + 1]]] = False
            for q in range(rows.indptr[u], rows.indptr[u + 1]):
                rating[rows.indices[q]], rated[rows.indices[q]] = rows.data[q], True
            current = u
        numerator, weight, n = 0.0, 0.0, strongest_rated(i, similarity, rated, graph.max_neighbors_used, positions)
        for c in range(n):
            j, s = similarity.indices[positions[c]], similarity.data[positions[c]]
            numerator += s * (rating[j] - (item_offset[j] + user_offset[u]))
            weight += abs(s)
        n_used[p - start], offset = n, item_offset[i] + user_offset[u]
        scores[p - start] = score_from_sums(numerator, weight, n_used[p - start], offset, params)
    return scores, n_used


class Contributions(NamedTuple):
    """The contributions to the scores of several items: those of item `k` lie from `ends[k]` to `ends[k + 1]`."""

    ends: np.ndarray
    places: np.ndarray  # position of the neighbour in the user's row
    similarity: np.ndarray
    adds: np.ndarray  # the contribution
    common: np.ndarray  # the number of common raters
    total: np.ndarray  # Σ s for each item
    weight: np.ndarray  # the divisor of each item's sum, or 1


@njit_nogil
def contributions(items, graph, common, rated_items, values, average, prior):
    """Return the contributions to some items' scores for one user; `values` belong to `rated_items`."""
    similarity, n_items, n = graph.by_row, len(graph.by_row.indptr) - 1, len(items)
    rated, row_place, positions = np.zeros(n_items, np.bool_), np.empty(n_items, np.int64), np.empty(n_items, np.int64)
    rated[rated_items], row_place[rated_items] = True, np.arange(len(rated_items))
    capacity = n * min(graph.max_neighbors_used, len(rated_items))
    places, similarities = np.empty(capacity, np.int64), np.empty(capacity)
    adds, out_common = np.empty(capacity), np.empty(capacity, np.int32)
    ends, total, weight = np.zeros(n + 1, np.int64), np.zeros(n), np.zeros(n)
    for k in range(n):
        begin, n_used = ends[k], strongest_rated(items[k], similarity, rated, graph.max_neighbors_used, positions)
        for c in range(n_used):
            s = np.float64(similarity.data[positions[c]])
            places[begin + c], similarities[begin + c] = row_place[similarity.indices[positions[c]]], s
            out_common[begin + c] = common[positions[c]]
            total[k] += s
            weight[k] += abs(s)
        weight[k] = weight[k] + prior if average else 1.0
        for c in range(begin, begin + n_used):
            adds[c] = similarities[c] * values[places[c]] / weight[k] if weight[k] > 0 else 0.0
        ends[k + 1] = begin + n_used
    last = ends[n]
    return Contributions(ends, places[:last], similarities[:last], adds[:last], out_common[:last], total, weight)


@njit_nogil
def score_users(i, similarity, by_item, item_offset, user_offset, params):
    """Return item `i`'s scores and numbers of neighbours used for all users, from the raters of its neighbours."""
    sums = empty_sums(len(user_offset))
    for q in range(similarity.indptr[i], similarity.indptr[i + 1]):
        j, s = similarity.indices[q], similarity.data[q]
        for p in range(by_item.indptr[j], by_item.indptr[j + 1]):
            u = by_item.indices[p]
            sums.numerator[u] += s * (by_item.data[p] - (item_offset[j] + user_offset[u]))
            sums.weight[u] += abs(s)
            sums.n_used[u] += 1
    scores = np.empty(len(user_offset))
    for u in range(len(scores)):
        offset = item_offset[i] + user_offset[u]
        scores[u] = score_from_sums(sums.numerator[u], sums.weight[u], sums.n_used[u], offset, params)
    return scores, sums.n_used
