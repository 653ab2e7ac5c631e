"""The loops that numba compiles: arrays in, arrays out; they know nothing of people or movies and check nothing.

Everything is serial and releases the interpreter's lock; `_threads` runs slices side by side. A slice owns its rows and
its workspace, so results are the same, bit for bit, on any number of threads. Sums run in ascending item number in
every function, so that one pair asked alone equals the same pair in a batch.
"""

from typing import NamedTuple

import numpy as np
from numba import njit


def kernel(function):  # type: ignore[no-untyped-def]
    """Compile on first use and keep the machine code on disk; where nothing can be written, do without."""
    try:
        return njit(nogil=True, cache=True)(function)
    except RuntimeError:
        return njit(nogil=True)(function)


class CSR(NamedTuple):
    """A sparse matrix by rows: row `r` holds `indices[indptr[r]:indptr[r + 1]]`, ascending, with their `data`."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


class Rule(NamedTuple):
    """How sums over common raters become a similarity."""

    jaccard: bool
    shrinkage: float
    damping: float
    min_common: int
    positive_only: bool


# --------------------------------------------------------------------------------------------------- similarity
# dots = V.T @ V;  common = (V != none).T @ (V != none)
# similarity = dots / (norms[:, None] * norms + damping) * common / (common + shrinkage)
# similarity[common < min_common] = 0;  keep the n_neighbors largest of each row
# Cost: for every item, every rater's whole row — the sum over users of (ratings of the user)².


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
    touched, values = np.empty(n_items, np.int32), np.empty(n_items, np.float64)
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


# ---------------------------------------------------------------------------------------------------- scores
# top = values @ S.T;  weight = rated @ abs(S).T;  used = rated @ (S != 0).T
# relevance = top;  rating = clip(offset + top / weight)
# Cost: the ratings of the person × the neighbours of a movie.


class Sums(NamedTuple):
    """What a person's ratings add up to for each item: Σ s·value, Σ |s| and the number of neighbours rated."""

    top: np.ndarray
    weight: np.ndarray
    used: np.ndarray


class Finish(NamedTuple):
    """How sums become scores: relevance (`rating=False`) is `top`; a rating is `offset + top / weight`, clipped."""

    rating: bool
    fallback: bool
    low: float
    high: float


@kernel
def empty_sums(n):
    """Return a workspace for `n` items or users."""
    return Sums(np.zeros(n), np.zeros(n), np.zeros(n, np.int32))


@kernel
def add_up(items, values, influence, sums):
    """Spread one person's values over the items that each of theirs predicts; `influence` is S by columns."""
    for p in range(len(items)):
        j = items[p]
        for q in range(influence.indptr[j], influence.indptr[j + 1]):
            i, s = influence.indices[q], influence.data[q]
            sums.top[i] += s * values[p]
            sums.weight[i] += abs(s)
            sums.used[i] += 1


@kernel
def score_of(top, weight, used, offset, finish):
    """Return the score that sums amount to; NaN where there is nothing to go by."""
    if not finish.rating:
        return top if used > 0 else np.nan
    if weight == 0:
        value = offset if finish.fallback else np.nan
    else:
        value = offset + top / weight
    if np.isnan(value):
        return value
    return np.rint(min(max(value, finish.low), finish.high) * 1e6) / 1e6


@kernel
def scores_of(sums, item_offset, user_offset, finish):
    """Return the score of every item for one person."""
    scores = np.empty(len(sums.top))
    for i in range(len(scores)):
        scores[i] = score_of(sums.top[i], sums.weight[i], sums.used[i], item_offset[i] + user_offset, finish)
    return scores


@kernel
def best(scores, n):
    """Return the positions of the `n` highest scores, falling, ties in ascending position; NaN never."""
    if n == 0:
        return np.empty(0, np.int64)
    heap, filled = np.empty(n, np.int64), 0  # the root is the worst of the best
    for i in range(len(scores)):
        if np.isnan(scores[i]) or (filled == n and scores[i] <= scores[heap[0]]):
            continue
        at = filled
        if filled < n:
            filled += 1
            while at > 0 and _worse(scores, i, heap[(at - 1) // 2]):
                heap[at] = heap[(at - 1) // 2]
                at = (at - 1) // 2
            heap[at] = i
        else:
            _sink(scores, heap, filled, i)
    falling = np.empty(filled, np.int64)
    for rank in range(filled - 1, -1, -1):
        falling[rank] = heap[0]
        filled -= 1
        if filled:
            _sink(scores, heap, filled, heap[filled])
    return falling


@kernel
def _worse(scores, a, b):
    """Say whether `a` ranks below `b`."""
    return scores[a] < scores[b] or (scores[a] == scores[b] and a > b)


@kernel
def _sink(scores, heap, size, new):
    """Put `new` in place of the root of a heap of `size`."""
    at = 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and _worse(scores, heap[child + 1], heap[child]):
            child += 1
        if not _worse(scores, heap[child], new):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = new


@kernel
def _values_of(items, ratings, item_offset, user_offset):
    """Return what a person's ratings say beyond the offsets."""
    values = np.empty(len(items))
    for p in range(len(items)):
        values[p] = ratings[p] - (item_offset[items[p]] + user_offset)
    return values


@kernel
def score_row(items, ratings, influence, item_offset, user_offset, finish):
    """Return all scores and supports (neighbours used) for one person's row."""
    sums = empty_sums(len(influence.indptr) - 1)
    add_up(items, _values_of(items, ratings, item_offset, user_offset), influence, sums)
    return scores_of(sums, item_offset, user_offset, finish), sums.used


@kernel
def top_rows(start, stop, rows, influence, item_offset, user_offset, finish, allowed, keep_seen, n):
    """Return the best `n` items of each row from `start` to `stop`: lengths, items and scores."""
    lengths = np.zeros(stop - start, np.int64)
    out_items, out_scores, filled = np.empty((stop - start) * n, np.int32), np.empty((stop - start) * n), 0
    for u in range(start, stop):
        row = slice(rows.indptr[u], rows.indptr[u + 1])
        items = rows.indices[row]
        scores, _ = score_row(items, rows.data[row], influence, item_offset, user_offset[u], finish)
        for i in range(len(scores)):
            if not allowed[i]:
                scores[i] = np.nan
        if not keep_seen:
            scores[items] = np.nan
        for i in best(scores, n):
            out_items[filled], out_scores[filled] = i, scores[i]
            filled += 1
            lengths[u - start] += 1
    return lengths, out_items[:filled], out_scores[:filled]


@kernel
def score_pairs(start, stop, rows, pair_rows, pair_items, similarity, item_offset, user_offset, finish):
    """Return scores and supports of the pairs from `start` to `stop`; sort the pairs by row."""
    n_items = len(similarity.indptr) - 1
    rating, rated = np.zeros(n_items), np.zeros(n_items, np.bool_)
    scores, used, current = np.empty(stop - start), np.zeros(stop - start, np.int32), -1
    for p in range(start, stop):
        u, i = pair_rows[p], pair_items[p]
        if u != current:
            if current >= 0:
                rated[rows.indices[rows.indptr[current] : rows.indptr[current + 1]]] = False
            for q in range(rows.indptr[u], rows.indptr[u + 1]):
                rating[rows.indices[q]], rated[rows.indices[q]] = rows.data[q], True
            current = u
        top, weight = 0.0, 0.0
        for q in range(similarity.indptr[i], similarity.indptr[i + 1]):
            j, s = similarity.indices[q], similarity.data[q]
            if rated[j]:
                top += s * (rating[j] - (item_offset[j] + user_offset[u]))
                weight += abs(s)
                used[p - start] += 1
        scores[p - start] = score_of(top, weight, used[p - start], item_offset[i] + user_offset[u], finish)
    return scores, used


@kernel
def score_users(i, similarity, by_item, item_offset, user_offset, finish):
    """Return the scores of item `i` for every user, and the supports, through its neighbours' raters only."""
    sums = empty_sums(len(user_offset))
    for q in range(similarity.indptr[i], similarity.indptr[i + 1]):
        j, s = similarity.indices[q], similarity.data[q]
        for p in range(by_item.indptr[j], by_item.indptr[j + 1]):
            u = by_item.indices[p]
            sums.top[u] += s * (by_item.data[p] - (item_offset[j] + user_offset[u]))
            sums.weight[u] += abs(s)
            sums.used[u] += 1
    scores = np.empty(len(user_offset))
    for u in range(len(scores)):
        scores[u] = score_of(sums.top[u], sums.weight[u], sums.used[u], item_offset[i] + user_offset[u], finish)
    return scores, sums.used
