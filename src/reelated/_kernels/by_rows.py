"""Item × item similarity row by row: for each item, the whole rows of its raters.

dots = V.T @ V;  common = rated.T @ rated          # V: users × items
similarity = dots / (norms[:, None] * norms + damping) * common / (common + shrinkage)
similarity[common < min_common] = 0;  keep the n_neighbors strongest of each row

Cost: Σ_u n_u² scattered additions. It needs memory for one row at a time, and item pairs without a common rater cost
nothing: the method for very many items, and for keeping all neighbours.
"""

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.measures import cosine, finish, pearson
from reelated._kernels.shelves import strongest


@tight
def _accumulate(i, by_item, by_user, dots, common, touched):
    """Add up products and counts of common raters for each item that shares a rater with `i`; return how many items."""
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
    """Add up Σx, Σy, Σx² and Σy² over the common raters of `i` and each other item."""
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
    """Return rows `start … stop` of the similarity: lengths, item indices, similarities and counts of common raters.

    Items ascend within a row, without the diagonal and without zeros; a row keeps its `n_neighbors` largest absolute
    similarities, ties going to the lower item index.
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
        for j in np.sort(touched[:n_touched]):  # ascending, so that ties go to the lower item index
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
        for c in range(kept):  # entry by entry: clearing whole arrays costs n_items for each row
            common[touched[c]] = 0
    return lengths, out_items[:filled], out_values[:filled], out_common[:filled]
