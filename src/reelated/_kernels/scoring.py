"""Scores as sums over rated neighbours: for one user, for pairs, for batches, and for all users of one item.

Every function sums in ascending item index, so that a pair alone gets the same score as in a batch.
"""

import threading
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from reelated._kernels.csr import CSR
from reelated._kernels.kernel import njit_nogil, shared
from reelated._kernels.simd import CACHE_LINE, LANES, lowest_bit, mask_above, prefetch, rint, set_zero
from reelated._kernels.topk import insert_sorted, keep_top_k, write_top_n

# numerator = values @ S.T;  weight = rated @ abs(S).T;  n_used = rated @ (S != 0).T
# score = numerator;  rating = offset + numerator / (weight + prior)
# Each item uses only its max_neighbors_used strongest rated neighbours.
# Cost for a user: the number of ratings × the neighbours of an item.

MAX_INSERTION = 64
"""The longest list that is kept sorted by insertion during the scan of the scores."""
PREFETCHED = 256
"""Weights of a column that are loaded ahead; the processor itself loads the rest of a longer one ahead."""


class NeighborSums(NamedTuple):
    """Sums over a user's ratings for each item: Σ s·value, Σ |s| and the number of neighbours used."""

    numerator: np.ndarray
    weight: np.ndarray
    n_used: np.ndarray


@shared
class ItemGraph(NamedTuple):
    """The item × item matrix by rows and by columns, and the maximum number of neighbours used for an item."""

    by_row: CSR
    by_column: CSR
    max_neighbors_used: int


class ScoreParams(NamedTuple):
    """How a sum becomes a score, `numerator`, or an unclipped rating, `offset + numerator / (weight + prior)`."""

    rating: bool
    average: bool  # whether to divide by (weight + prior)
    fallback: bool  # whether a rating without rated neighbours is the offset; otherwise it is NaN
    prior: float


def empty_sums(n):
    """Allocate sums for `n` items or users."""
    return NeighborSums(np.zeros(n), np.zeros(n), np.zeros(n, np.int32))


@njit_nogil
def scatter_sums(items, values, by_column, sums):
    """Scatter a user's values to the items that they predict; `by_column` is S in CSC form."""
    for p in range(len(items)):
        j = items[p]
        for q in range(by_column.indptr[j], by_column.indptr[j + 1]):
            i, s = np.uint32(by_column.indices[q]), by_column.data[q]
            sums.numerator[i] += s * values[p]
            sums.weight[i] += abs(s)
            sums.n_used[i] += 1


@shared
class UserWorkspace(NamedTuple):
    """Workspace for one user: for each item, value, place in the row, and whether rated; an item's rated neighbours."""

    values: np.ndarray
    places: np.ndarray
    rated: np.ndarray
    positions: np.ndarray
    sizes: np.ndarray


def empty_user_workspace(graph):
    """Allocate the workspace; no item is marked as rated."""
    n_items, dtype = len(graph.by_row.indptr) - 1, graph.by_row.data.dtype
    return UserWorkspace(
        np.empty(n_items), np.empty(n_items, np.int64), np.zeros(n_items, np.bool_), np.empty(n_items, np.int64),
        np.empty(n_items, dtype),
    )  # fmt: skip


@shared
class Lists(NamedTuple):
    """The lists of rows, with a row's values and all items' scores, which are 0 before and after a kernel."""

    values: np.ndarray
    scores: np.ndarray
    lengths: np.ndarray
    top_items: np.ndarray
    top_scores: np.ndarray


_workspace = threading.local()


def _empty_lists(n_rows, n_items, n):
    """Return `n_rows` empty lists; one row's are overwritten by the thread's next call."""
    size, lists = -(-n_items // LANES) * LANES, getattr(_workspace, "lists", None)
    if n_rows != 1 or lists is None or len(lists.scores) != size or lists.top_items.shape[1] != n:
        values, lengths = np.empty(n_items), np.empty(n_rows, np.int64)
        lists = Lists(values, np.zeros(size), lengths, np.empty((n_rows, n), np.int32), np.empty((n_rows, n)))
        if n_rows == 1:
            _workspace.lists = lists  # allocating them takes longer than using them
    lists.lengths.fill(0)
    return lists


def _user_workspace(graph):
    """Return this thread's workspace; kernels that use it leave no item rated."""
    user, by_row = getattr(_workspace, "user", None), graph.by_row
    if user is None or len(user.rated) != len(by_row.indptr) - 1 or user.sizes.dtype != by_row.data.dtype:
        user = _workspace.user = empty_user_workspace(graph)
    return user


@njit_nogil
def strongest_rated(i, similarity, max_neighbors_used, user):
    """Write the positions of the `max_neighbors_used` strongest rated neighbours of `i`; return how many."""
    n = np.int64(0)
    for q in range(similarity.indptr[i], similarity.indptr[i + 1]):
        if user.rated[similarity.indices[q]]:
            user.positions[n] = q
            n += 1
    return keep_top_k(similarity.data, user.positions, n, max_neighbors_used, user.sizes)


@njit_nogil
def limit_neighbors(items, values, similarity, max_neighbors_used, sums, user):
    """Recompute the sums of items with more than `max_neighbors_used` rated neighbours from the strongest of these."""
    for p in range(len(items)):
        user.values[items[p]], user.rated[items[p]] = values[p], True
    for i in range(len(sums.n_used)):
        if sums.n_used[i] > max_neighbors_used:
            n, numerator, weight = strongest_rated(i, similarity, max_neighbors_used, user), 0.0, 0.0
            for c in range(n):
                s = similarity.data[user.positions[c]]
                numerator += s * user.values[similarity.indices[user.positions[c]]]
                weight += abs(s)
            sums.numerator[i], sums.weight[i], sums.n_used[i] = numerator, weight, n
    for p in range(len(items)):
        user.rated[items[p]] = False


@njit_nogil
def score_from_sums(numerator, weight, n_used, offset, params):
    """Return the score for sums; NaN if it is undefined."""
    if not params.rating:
        return numerator if n_used > 0 else np.nan
    if (weight == 0 and not params.fallback) or offset != offset:
        return np.nan
    value = offset
    if weight > 0:
        value += numerator / (weight + params.prior) if params.average else numerator
    return rint(value * 1e6) / 1e6  # sums of the same ratings in another order must tie


@njit_nogil
def _values_of(items, ratings, item_offset, user_offset, values):
    """Write a user's ratings minus the offsets."""
    for p in range(len(items)):
        values[p] = ratings[p] - (item_offset[items[p]] + user_offset)


def score_row(items, ratings, graph, item_offset, user_offset, params):
    """Return the scores of all items for one user, and the numbers of neighbours used."""
    sums, user = empty_sums(len(item_offset)), empty_user_workspace(graph)
    scores, values = np.empty(len(item_offset)), np.empty(len(items))
    _score_row(items, ratings, graph, item_offset, user_offset, params, values, sums, user, scores)
    return scores, sums.n_used


@njit_nogil
def _score_row(items, ratings, graph, item_offset, user_offset, params, values, sums, user, scores):
    """Write the scores of all items; `sums` must be all zeros."""
    _values_of(items, ratings, item_offset, user_offset, values)
    scatter_sums(items, values, graph.by_column, sums)
    if len(items) > graph.max_neighbors_used:
        limit_neighbors(items, values, graph.by_row, graph.max_neighbors_used, sums, user)
    for i in range(len(scores)):
        offset = item_offset[i] + user_offset
        scores[i] = score_from_sums(sums.numerator[i], sums.weight[i], sums.n_used[i], offset, params)


def topn_rows(start, stop, rows, graph, item_offset, user_offset, params, item_mask, keep_seen, n):
    """Return the top `n` items of rows `start … stop`: lengths, items and scores.

    `item_mask` is True for items that may be listed; empty, it allows all.
    """
    n_items, ends = len(item_offset), rows.indptr[start : stop + 1].tolist()
    longest = max((end - begin for begin, end in pairwise(ends)), default=0)
    lists, options = _empty_lists(stop - start, n_items, n), (item_mask, keep_seen, n)
    lengths, items, scores = lists[2:]
    if 0 < n <= MAX_INSERTION and not params.rating and longest <= graph.max_neighbors_used:
        _topn_positive(start, rows, graph, item_offset, user_offset, *options, lists)
    if min(lengths.tolist(), default=n) < n:  # fewer than n positive scores: consider every item that has a score
        sums, user, numbers = empty_sums(n_items), empty_user_workspace(graph), np.empty(n_items)
        workspace = sums, user, numbers, np.empty(n, np.int64), np.empty(n, np.int64)
        _topn_all(start, rows, graph, item_offset, user_offset, params, *options, *workspace, lists)
    if stop - start == 1:
        return lengths.copy(), items[0, : lengths[0]].copy(), scores[0, : lengths[0]].copy()
    listed = np.arange(n) < lengths[:, None]
    return lengths, items[listed], scores[listed]


@njit_nogil
def _topn_positive(start, rows, graph, item_offset, user_offset, item_mask, keep_seen, n, lists):
    """Write the top `n` items of rows by positive scores, all neighbours used."""
    for k in range(len(lists.lengths)):
        u = start + k
        begin, end = rows.indptr[u], rows.indptr[u + 1]
        items = rows.indices[begin:end]
        _values_of(items, rows.data[begin:end], item_offset, user_offset[u], lists.values)
        _scatter_scores(items, lists.values, graph.by_column, lists.scores)
        _mask_items(items, item_mask, keep_seen, lists.scores)
        lists.lengths[k] = _drain_top_n(lists.scores, n, lists.top_items[k], lists.top_scores[k])


@njit_nogil
def _topn_all(start, rows, graph, item_offset, user_offset, params, item_mask, keep_seen, n, sums, user, scores, heap, chosen, lists):  # noqa: E501  # fmt: skip
    """Write the top `n` items of the rows whose lists are not full, by the scores of all items."""
    for k in range(len(lists.lengths)):
        if lists.lengths[k] == n:
            continue
        u = start + k
        begin, end = rows.indptr[u], rows.indptr[u + 1]
        items = rows.indices[begin:end]
        for i in range(len(scores)):
            sums.numerator[i], sums.weight[i], sums.n_used[i] = 0, 0, 0
        ratings, user_base = rows.data[begin:end], user_offset[u]
        _score_row(items, ratings, graph, item_offset, user_base, params, lists.values, sums, user, scores)
        for i in range(len(item_mask)):
            if not item_mask[i]:
                scores[i] = np.nan
        if not keep_seen:
            for p in range(len(items)):
                scores[items[p]] = np.nan
        lists.lengths[k] = write_top_n(scores, n, heap, chosen)
        for c in range(lists.lengths[k]):
            lists.top_items[k, c], lists.top_scores[k, c] = chosen[c], scores[chosen[c]]


@njit_nogil
def _scatter_scores(items, values, by_column, scores):
    """Scatter a user's values to the items that they predict, without weights and counts."""
    for p in range(len(items)):
        value, begin, end = values[p], by_column.indptr[items[p]], by_column.indptr[items[p] + 1]
        following = by_column.indptr[items[p + 1 if p + 1 < len(items) else p]]
        middle = begin + (PREFETCHED if end - begin > PREFETCHED else (end - begin) // CACHE_LINE * CACHE_LINE)
        for first in range(begin, middle, CACHE_LINE):
            prefetch(by_column.data, following + first - begin)  # of the next column, while this one is added
            prefetch(by_column.indices, following + first - begin)
            for q in range(first, first + CACHE_LINE):
                scores[np.uint32(by_column.indices[q])] += by_column.data[q] * value
        targets, strengths = by_column.indices[middle:], by_column.data[middle:]
        for q in range(end - middle):
            scores[np.uint32(targets[q])] += strengths[q] * value


@njit_nogil
def _mask_items(items, item_mask, keep_seen, scores):
    """Set the scores of items that may not be listed to 0."""
    if not keep_seen:
        for p in range(len(items)):
            scores[items[p]] = 0
    for i in range(len(item_mask)):
        if not item_mask[i]:
            scores[i] = 0


@njit_nogil
def _drain_top_n(scores, n, out_items, out_scores):
    """Write the `n` highest positive scores, descending, ties in ascending item; clear all; return how many."""
    length, threshold, one = np.int64(0), 0.0, np.uint64(1)
    for group in range(0, len(scores), LANES):
        chosen = mask_above(scores, group, threshold)
        while chosen:
            i = group + np.int64(lowest_bit(chosen))
            chosen &= chosen - one
            score = scores[i]
            if score > threshold:  # the threshold may have risen; the lower item index wins a tie
                length = insert_sorted(out_items, out_scores, length, i, score)
                threshold = out_scores[n - 1] if length == n else 0.0
        set_zero(scores, group)
    return length


def score_pairs(start, stop, rows, pair_rows, pair_items, graph, item_offset, user_offset, params):
    """Return scores and numbers of neighbours used of pairs `start … stop`; fast if they are sorted by row."""
    scores, n_used, user = np.empty(stop - start), np.zeros(stop - start, np.int32), empty_user_workspace(graph)
    pairs = pair_rows[start:stop], pair_items[start:stop]
    _score_pairs(rows, *pairs, graph, item_offset, user_offset, params, user, scores, n_used)
    return scores, n_used


@njit_nogil
def _score_pairs(rows, pair_rows, pair_items, graph, item_offset, user_offset, params, user, scores, n_used):
    similarity, current = graph.by_row, -1
    for p in range(len(scores)):
        u, i = np.int64(pair_rows[p]), np.int64(pair_items[p])
        if u != current:
            if current >= 0:
                for q in range(rows.indptr[current], rows.indptr[current + 1]):
                    user.rated[rows.indices[q]] = False
            for q in range(rows.indptr[u], rows.indptr[u + 1]):
                user.values[rows.indices[q]], user.rated[rows.indices[q]] = rows.data[q], True
            current = u
        numerator, weight, n = 0.0, 0.0, strongest_rated(i, similarity, graph.max_neighbors_used, user)
        for c in range(n):
            j, s = similarity.indices[user.positions[c]], similarity.data[user.positions[c]]
            numerator += s * (user.values[j] - (item_offset[j] + user_offset[u]))
            weight += abs(s)
        n_used[p], offset = n, item_offset[i] + user_offset[u]
        scores[p] = score_from_sums(numerator, weight, n_used[p], offset, params)


class Contributions(NamedTuple):
    """The contributions to the scores of several items: those of item `k` lie from `ends[k]` to `ends[k + 1]`."""

    ends: np.ndarray
    places: np.ndarray  # position of the neighbour in the user's row
    similarity: np.ndarray
    adds: np.ndarray  # the contribution
    common: np.ndarray  # the number of common raters
    total: np.ndarray  # Σ s for each item
    weight: np.ndarray  # the divisor of each item's sum, or 1


def contributions(items, graph, common, rated_items, values, average, prior):
    """Return the contributions to one user's scores of some items; `values` belong to `rated_items`."""
    n, capacity = len(items), len(items) * min(graph.max_neighbors_used, len(rated_items))
    parts = Contributions(
        np.zeros(n + 1, np.int64), np.empty(capacity, np.int64), np.empty(capacity), np.empty(capacity),
        np.empty(capacity, np.int32), np.zeros(n), np.zeros(n),
    )  # fmt: skip
    workspace = _user_workspace(graph)
    _contributions.brief(items, graph, common, rated_items, values, average, float(prior), workspace, parts)
    last = parts.ends[n]
    return parts._replace(
        places=parts.places[:last], similarity=parts.similarity[:last], adds=parts.adds[:last],
        common=parts.common[:last],
    )  # fmt: skip


@njit_nogil
def _contributions(items, graph, common, rated_items, values, average, prior, user, parts):
    similarity = graph.by_row
    for p in range(len(rated_items)):
        user.rated[rated_items[p]], user.places[rated_items[p]] = True, p
    for k in range(len(items)):
        begin = parts.ends[k]
        n_used = strongest_rated(np.int64(items[k]), similarity, graph.max_neighbors_used, user)
        for c in range(n_used):
            position = user.positions[c]
            s = np.float64(similarity.data[position])
            parts.places[begin + c], parts.similarity[begin + c] = user.places[similarity.indices[position]], s
            parts.common[begin + c] = common[position]
            parts.total[k] += s
            parts.weight[k] += abs(s)
        parts.weight[k] = parts.weight[k] + prior if average else 1.0
        for c in range(begin, begin + n_used):
            if parts.weight[k] > 0:
                parts.adds[c] = parts.similarity[c] * values[parts.places[c]] / parts.weight[k]
            else:
                parts.adds[c] = 0.0
        parts.ends[k + 1] = begin + n_used
    for p in range(len(rated_items)):
        user.rated[rated_items[p]] = False


def score_users(i, similarity, by_item, item_offset, user_offset, params):
    """Return the scores of item `i` for all users, and the number of neighbours used for each score."""
    sums, scores = empty_sums(len(user_offset)), np.empty(len(user_offset))
    _score_users(i, similarity, by_item, item_offset, user_offset, params, sums, scores)
    return scores, sums.n_used


@njit_nogil
def _score_users(i, similarity, by_item, item_offset, user_offset, params, sums, scores):
    for q in range(similarity.indptr[i], similarity.indptr[i + 1]):
        j, s = similarity.indices[q], similarity.data[q]
        for p in range(by_item.indptr[j], by_item.indptr[j + 1]):
            u = by_item.indices[p]
            sums.numerator[u] += s * (by_item.data[p] - (item_offset[j] + user_offset[u]))
            sums.weight[u] += abs(s)
            sums.n_used[u] += 1
    for u in range(len(scores)):
        offset = item_offset[i] + user_offset[u]
        scores[u] = score_from_sums(sums.numerator[u], sums.weight[u], sums.n_used[u], offset, params)
