"""The item × item similarity row by row: for every item, the whole row of every rater.

dots = V.T @ V;  common = rated.T @ rated          # V: users × items
similarity = dots / (norms[:, None] * norms + damping) * common / (common + shrinkage)
similarity[common < min_common] = 0;  keep the n_neighbors strongest of each row

Cost: the sum over users of (ratings of the user)² scattered additions. It takes memory for one row at a time, and its
cost does not grow with pairs that have no rater in common: the way for very many items, and for all neighbours.
"""

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.measures import cosine, finish, pearson
from reelated._kernels.shelves import strongest


@tight
def _accumulate(i, by_item, by_user, dots, common, touched):
    """Add up products and counts with every item that shares a rater with `i`; return how many there are."""
    n_touched = 0
    for p in range(by_item.indptr[i], by_item.indptr[i + 1]):
        user, value = by_item.indices[p], by_item.data[p]
        for q in range(by_user.indptr[user], by_user.indptr[user + 1]):
            j = np.uint32(by_user.indices[q])
            if common[j] == 0:
                touched[n_touched] = j
                n_touched += 1
            common[j] += 1
            dots[j] += value * by_user.data[q]
    return n_touched


@tight
def _accumulate_moments(i, by_item, by_user, moments):
    """Add up Σx, Σy, Σx² and Σy² over the raters of `i` and each other item."""
    for p in range(by_item.indptr[i], by_item.indptr[i + 1]):
        user, x = by_item.indices[p], by_item.data[p]
        for q in range(by_user.indptr[user], by_user.indptr[user + 1]):
            sums, y = moments[by_user.indices[q]], by_user.data[q]
            sums[0] += x
            sums[1] += y
            sums[2] += x * x
            sums[3] += y * y


@kernel
def similarity_rows(start, stop, by_item, by_user, norms, rule, n_neighbors):
    """Return rows `start … stop` of the item × item matrix: lengths, indices, similarities and common raters.

    Rows come in ascending item number, without the item itself and without zeros; of more than `n_neighbors`
    those of the largest absolute similarity stay, ties in ascending item number.
    """
    n_items, dtype = len(by_item.indptr) - 1, by_item.data.dtype
    dots, common, moments = np.zeros(n_items, dtype), np.zeros(n_items, np.int32), np.zeros((n_items, 4), dtype)
    touched, values = np.empty(n_items, np.int32), np.empty(n_items, dtype)
    sizes = np.diff(by_item.indptr)
    room = (stop - start) * min(n_neighbors, n_items)
    lengths = np.zeros(stop - start, np.int64)
    out_items, out_values = np.empty(room, np.int32), np.empty(room, dtype)
    out_common, filled = np.empty(room, np.int32), 0
    for i in range(start, stop):
        n_touched = _accumulate(i, by_item, by_user, dots, common, touched)
        if rule.pearson:
            _accumulate_moments(i, by_item, by_user, moments)
        kept = 0
        for j in np.sort(touched[:n_touched]):
            if rule.pearson:
                value = pearson(dots[j], common[j], moments[j], rule.damping)
                moments[j] = 0
            else:
                value = cosine(dots[j], common[j], i, j, sizes, norms, rule)
            value = finish(value, common[j], rule)
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
