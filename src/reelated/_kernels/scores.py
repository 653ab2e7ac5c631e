"""Scores as sums over rated neighbours: for one user, for pairs, for batches, and for all users of one item.

Every function sums in ascending item index, so that a pair alone gets the same score as in a batch.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import CSR, kernel, tight
from reelated._kernels.lanes import LANES, above, clear, lowest_bit
from reelated._kernels.shelves import strongest

# top = values @ S.T;  weight = rated @ abs(S).T;  used = rated @ (S != 0).T
# score = top;  rating = offset + top / (weight + prior)
# Each item uses only its max_neighbors_used strongest rated neighbours.
# Cost for a user: the number of ratings × the neighbours of an item.


SHORT = 64
"""The longest list that is kept sorted by insertion during the scan of the scores."""


class Sums(NamedTuple):
    """Sums over a user's ratings for each item: Σ s·value, Σ |s| and the number of neighbours used."""

    top: np.ndarray
    weight: np.ndarray
    used: np.ndarray


class Links(NamedTuple):
    """The item × item matrix by rows and by columns, and the maximum number of neighbours used for an item."""

    by_row: CSR
    by_column: CSR
    max_neighbors_used: int


class Finish(NamedTuple):
    """How sums become scores: `top`, or a rating `offset + top / (weight + prior)`, not clipped to the scale."""

    rating: bool
    average: bool  # False: a rating is offset + top
    fallback: bool  # True: a rating without rated neighbours is the offset, else NaN
    prior: float


@kernel
def empty_sums(n):
    """Allocate sums for `n` items or users."""
    return Sums(np.zeros(n), np.zeros(n), np.zeros(n, np.int32))


@tight
def add_up(items, values, influence, sums):
    """Scatter a user's values to the items that they predict; `influence` is S by columns."""
    for p in range(len(items)):
        j = items[p]
        for q in range(influence.indptr[j], influence.indptr[j + 1]):
            i, s = np.uint32(influence.indices[q]), influence.data[q]
            sums.top[i] += s * values[p]
            sums.weight[i] += abs(s)
            sums.used[i] += 1


@kernel
def nearest_rated(i, similarity, rated, max_neighbors_used, places):
    """Write the places of the `max_neighbors_used` strongest rated neighbours of `i`; return how many."""
    n = _rated_neighbours(i, similarity, rated, places)
    if n > max_neighbors_used:
        chosen = strongest(similarity.data[places[:n]], max_neighbors_used)
        for c in range(max_neighbors_used):
            places[c] = places[chosen[c]]
        n = max_neighbors_used
    return n


@tight
def _rated_neighbours(i, similarity, rated, places):
    """Write the places of all rated neighbours of `i`; return how many."""
    n = 0
    for q in range(similarity.indptr[i], similarity.indptr[i + 1]):
        if rated[similarity.indices[q]]:
            places[n] = q
            n += 1
    return n


@kernel
def keep_nearest(items, values, similarity, max_neighbors_used, sums):
    """Recompute the sums of items with more than `max_neighbors_used` rated neighbours from the strongest of these."""
    n_items = len(sums.top)
    value, rated = np.zeros(n_items), np.zeros(n_items, np.bool_)
    value[items], rated[items] = values, True
    places = np.empty(len(items), np.int64)
    for i in np.flatnonzero(sums.used > max_neighbors_used):
        n, top, weight = nearest_rated(i, similarity, rated, max_neighbors_used, places), 0.0, 0.0
        for c in range(n):
            s = similarity.data[places[c]]
            top += s * value[similarity.indices[places[c]]]
            weight += abs(s)
        sums.top[i], sums.weight[i], sums.used[i] = top, weight, n


@tight
def score_of(top, weight, used, offset, finish):
    """Return the score for sums; NaN where the ratings give none."""
    if not finish.rating:
        return top if used > 0 else np.nan
    if (weight == 0 and not finish.fallback) or np.isnan(offset):
        return np.nan
    value = offset
    if weight > 0:
        value += top / (weight + finish.prior) if finish.average else top
    return np.rint(value * 1e6) / 1e6  # sums of the same ratings in another order must tie


@kernel
def scores_of(sums, item_offset, user_offset, finish):
    """Return the scores of all items for one user."""
    scores = np.empty(len(sums.top))
    for i in range(len(scores)):
        scores[i] = score_of(sums.top[i], sums.weight[i], sums.used[i], item_offset[i] + user_offset, finish)
    return scores


@kernel
def best(scores, n):
    """Return the positions of the `n` highest scores, descending, ties in ascending position; NaN is left out."""
    if n == 0:
        return np.empty(0, np.int64)
    heap, filled = np.empty(n, np.int64), 0  # a heap whose root is the lowest of the n best so far
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


@tight
def _worse(scores, a, b):
    """Return whether `a` ranks below `b`."""
    return scores[a] < scores[b] or (scores[a] == scores[b] and a > b)


@tight
def _sink(scores, heap, size, new):
    """Replace the root of a heap of `size` by `new` and restore the heap order."""
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
    """Return a user's ratings minus the offsets."""
    values = np.empty(len(items))
    for p in range(len(items)):
        values[p] = ratings[p] - (item_offset[items[p]] + user_offset)
    return values


@kernel
def score_row(items, ratings, links, item_offset, user_offset, finish):
    """Return the scores of all items for one user, and the numbers of neighbours used."""
    sums = empty_sums(len(item_offset))
    values = _values_of(items, ratings, item_offset, user_offset)
    add_up(items, values, links.by_column, sums)
    if len(items) > links.max_neighbors_used:
        keep_nearest(items, values, links.by_row, links.max_neighbors_used, sums)
    return scores_of(sums, item_offset, user_offset, finish), sums.used


@kernel
def top_rows(start, stop, rows, links, item_offset, user_offset, finish, allowed, keep_seen, n, zeros):
    """Return the top `n` items of rows `start … stop`: lengths, items and scores.

    `allowed` masks the items that may be listed; empty, it allows all. `zeros` is a workspace with an element for each
    item, padded to whole lanes; it is all zeros before and after.
    """
    lengths = np.zeros(stop - start, np.int64)
    out_items, out_scores, filled = np.empty((stop - start) * n, np.int32), np.empty((stop - start) * n), 0
    for u in range(start, stop):
        row = slice(rows.indptr[u], rows.indptr[u + 1])
        items, room = rows.indices[row], slice(filled, filled + n)
        found = 0
        if 0 < n <= SHORT and not finish.rating and len(items) <= links.max_neighbors_used:
            values = _values_of(items, rows.data[row], item_offset, user_offset[u])
            _add_scores(items, values, links.by_column, zeros)
            _leave_out(items, allowed, keep_seen, zeros)
            found = _take_best(zeros, n, out_items[room], out_scores[room])
        if found < n:  # fewer than n positive scores: consider every item that has a score
            scores, _ = score_row(items, rows.data[row], links, item_offset, user_offset[u], finish)
            for i in range(len(allowed)):
                if not allowed[i]:
                    scores[i] = np.nan
            if not keep_seen:
                scores[items] = np.nan
            chosen = best(scores, n)
            found = len(chosen)
            out_items[filled : filled + found], out_scores[filled : filled + found] = chosen, scores[chosen]
        lengths[u - start] = found
        filled += found
    return lengths, out_items[:filled], out_scores[:filled]


@tight
def _add_scores(items, values, influence, top):
    """Scatter a user's values to the items that they predict, without weights and counts."""
    for p in range(len(items)):
        value, begin = values[p], influence.indptr[items[p]]
        targets, strengths = influence.indices[begin:], influence.data[begin:]
        for q in range(influence.indptr[items[p] + 1] - begin):
            top[np.uint32(targets[q])] += strengths[q] * value


@tight
def _leave_out(items, allowed, keep_seen, top):
    """Set the scores of items that may not be listed to 0."""
    if not keep_seen:
        for p in range(len(items)):
            top[items[p]] = 0
    for i in range(len(allowed)):
        if not allowed[i]:
            top[i] = 0


@tight
def insert(items, scores, found, item, score):
    """Insert an item into a descending list, ties ascending; a full list drops its last. Return the length."""
    at = found
    while at > 0 and (scores[at - 1] < score or (scores[at - 1] == score and items[at - 1] > item)):
        if at < len(items):
            items[at], scores[at] = items[at - 1], scores[at - 1]
        at -= 1
    if at < len(items):
        items[at], scores[at] = item, score
    return min(found + 1, len(items))


@tight
def _take_best(top, n, out_items, out_scores):
    """Write the `n` highest positive scores, descending, ties in ascending item; clear all; return how many."""
    found, floor, one = 0, 0.0, np.uint64(1)
    for group in range(0, len(top), LANES):
        chosen = above(top, group, floor)
        while chosen:
            i = group + np.int64(lowest_bit(chosen))
            chosen &= chosen - one
            score = top[i]
            if score > floor:  # it may have risen since the vector comparison; a tie loses to the lower item index
                found = insert(out_items, out_scores, found, i, score)
                floor = out_scores[n - 1] if found == n else 0.0
        clear(top, group)
    return found


@kernel
def score_pairs(start, stop, rows, pair_rows, pair_items, links, item_offset, user_offset, finish):
    """Return scores and numbers of neighbours used of pairs `start … stop`; fast if they are sorted by row."""
    similarity, n_items = links.by_row, len(item_offset)
    rating, rated, places = np.zeros(n_items), np.zeros(n_items, np.bool_), np.empty(n_items, np.int64)
    scores, used, current = np.empty(stop - start), np.zeros(stop - start, np.int32), -1
    for p in range(start, stop):
        u, i = pair_rows[p], pair_items[p]
        if u != current:
            if current >= 0:
                rated[rows.indices[rows.indptr[current] : rows.indptr[current + 1]]] = False
            for q in range(rows.indptr[u], rows.indptr[u + 1]):
                rating[rows.indices[q]], rated[rows.indices[q]] = rows.data[q], True
            current = u
        top, weight, n = 0.0, 0.0, nearest_rated(i, similarity, rated, links.max_neighbors_used, places)
        for c in range(n):
            j, s = similarity.indices[places[c]], similarity.data[places[c]]
            top += s * (rating[j] - (item_offset[j] + user_offset[u]))
            weight += abs(s)
        used[p - start] = n
        scores[p - start] = score_of(top, weight, used[p - start], item_offset[i] + user_offset[u], finish)
    return scores, used


class Parts(NamedTuple):
    """The contributions to the scores of several items: those of item `k` lie from `ends[k]` to `ends[k + 1]`."""

    ends: np.ndarray
    places: np.ndarray  # of the neighbour in the user's row
    similarity: np.ndarray
    adds: np.ndarray  # the contribution
    common: np.ndarray  # the number of common raters
    total: np.ndarray  # Σ s for each item
    weight: np.ndarray  # the divisor of each item's sum, or 1


@kernel
def parts_of(items, links, common, rated_items, values, average, prior):
    """Return the contributions to some items' scores for one user; `values` belong to `rated_items`."""
    similarity, n_items, n = links.by_row, len(links.by_row.indptr) - 1, len(items)
    rated, place, places = np.zeros(n_items, np.bool_), np.empty(n_items, np.int64), np.empty(n_items, np.int64)
    rated[rated_items], place[rated_items] = True, np.arange(len(rated_items))
    room = n * min(links.max_neighbors_used, len(rated_items))
    mine, alike, adds, both = np.empty(room, np.int64), np.empty(room), np.empty(room), np.empty(room, np.int32)
    ends, total, weight = np.zeros(n + 1, np.int64), np.zeros(n), np.zeros(n)
    for k in range(n):
        here, found = ends[k], nearest_rated(items[k], similarity, rated, links.max_neighbors_used, places)
        for c in range(found):
            s = np.float64(similarity.data[places[c]])
            mine[here + c], alike[here + c] = place[similarity.indices[places[c]]], s
            both[here + c] = common[places[c]]
            total[k] += s
            weight[k] += abs(s)
        weight[k] = weight[k] + prior if average else 1.0
        for at in range(here, here + found):
            adds[at] = alike[at] * values[mine[at]] / weight[k] if weight[k] > 0 else 0.0
        ends[k + 1] = here + found
    last = ends[n]
    return Parts(ends, mine[:last], alike[:last], adds[:last], both[:last], total, weight)


@kernel
def largest_of_each(ends, numbers, n):
    """Return the places of the `n` largest numbers of each stretch `ends[k] … ends[k + 1]`, in descending order.

    Ties are in ascending place. The first array holds the ends of the stretches in the second, as in CSR.
    """
    stretches = len(ends) - 1
    found, places = np.zeros(stretches + 1, np.int64), np.empty(min(stretches * n, len(numbers)), np.int64)
    for k in range(stretches):
        chosen = best(numbers[ends[k] : ends[k + 1]], n)
        found[k + 1] = found[k] + len(chosen)
        places[found[k] : found[k + 1]] = ends[k] + chosen
    return found, places[: found[-1]]


@kernel
def score_users(i, similarity, by_item, item_offset, user_offset, finish):
    """Return item `i`'s scores and numbers of neighbours used for all users, from the raters of its neighbours."""
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
