"""Item × item similarity: the formulas, and the row-wise method, which reads all rows of an item's raters.

dots = V.T @ V;  common = rated.T @ rated          # V: users × items
similarity = dots / (norms[:, None] * norms + damping) * common / (common + shrinkage)
similarity[common < min_common] = 0;  keep the n_neighbors strongest of each row

Cost: Σ_u n_u² scattered additions. The row-wise method needs memory for one row at a time, and item pairs without a
common rater cost nothing. It is the method for very many items, and for keeping all neighbours.
"""

import math
from typing import NamedTuple

import numpy as np

from reelated._kernels.csr import BitSet, bitset_add, drain_sorted, empty_bitset
from reelated._kernels.kernel import njit_nogil
from reelated._kernels.topk import keep_top_k

ROUNDING = 1e-5
"""The fraction of Σx² that a variance must exceed to count as more than 0."""


class SimilarityFormula(NamedTuple):
    """The parameters of the similarity formula."""

    jaccard: bool
    pearson: bool
    shrinkage: float
    damping: float
    min_common: int
    positive_only: bool


@njit_nogil
def cosine(dot, common, i, j, sizes, norms, formula):
    """Return the cosine, or the Jaccard index, of `i` and `j` from the sum of products over common raters."""
    if formula.jaccard:
        return common / (sizes[i] + sizes[j] - common + formula.damping)
    denominator = norms[i] * norms[j] + formula.damping
    return dot / denominator if denominator > 0 else 0.0


@njit_nogil
def pearson(dot, common, moments, damping):
    """Return the correlation over common raters from Σxy and the moments Σx, Σy, Σx², Σy².

    A variance that is no larger than rounding error counts as 0, and the correlation is then 0.
    """
    x, y, xx, yy = np.float64(moments[0]), np.float64(moments[1]), np.float64(moments[2]), np.float64(moments[3])
    variance_x = common * xx - x * x
    variance_y = common * yy - y * y
    if variance_x <= ROUNDING * common * xx or variance_y <= ROUNDING * common * yy:
        return 0.0
    # numerator and denominator are both multiplied by `common`, which saves the divisions
    denominator = math.sqrt(variance_x) * math.sqrt(variance_y) + common * damping
    value = (common * np.float64(dot) - x * y) / denominator
    return -1.0 if value < -1 else 1.0 if value > 1 else value


@njit_nogil
def apply_shrinkage(value, common, formula):
    """Apply `min_common`, `positive_only` and shrinkage to a similarity."""
    if common < formula.min_common or (formula.positive_only and value < 0):
        return 0.0
    return value * (common / (common + formula.shrinkage)) if formula.shrinkage > 0 else value


@njit_nogil
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


@njit_nogil
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


class SimilarityRows(NamedTuple):
    """Rows of the similarity one after the other: the length of each, then all items, values and common raters."""

    lengths: np.ndarray
    items: np.ndarray
    values: np.ndarray
    common: np.ndarray


def empty_rows(n_rows, n_neighbors, dtype):
    """Allocate rows of at most `n_neighbors` each."""
    capacity = n_rows * n_neighbors
    items, values = np.empty(capacity, np.int32), np.empty(capacity, dtype)
    return SimilarityRows(np.zeros(n_rows, np.int64), items, values, np.empty(capacity, np.int32))


class SumsOfItem(NamedTuple):
    """Workspace: the sums of one item with all others, and the items with which it shares a rater."""

    dots: np.ndarray
    common: np.ndarray
    moments: np.ndarray
    touched: np.ndarray
    bitset: BitSet
    positions: np.ndarray
    values: np.ndarray
    sizes: np.ndarray


def similarity_rows(start, stop, by_item, by_user, norms, formula, n_neighbors):
    """Return rows `start … stop` of the similarity: lengths, item indices, similarities and counts of common raters.

    Items ascend within a row, without the diagonal and without zeros; a row keeps its `n_neighbors` largest absolute
    similarities, ties going to the lower item index.
    """
    n_items, dtype = len(by_item.indptr) - 1, by_item.data.dtype
    sums = SumsOfItem(
        np.zeros(n_items, dtype), np.zeros(n_items, np.int32), np.zeros((n_items, 4), dtype),
        np.empty(n_items, np.int32), empty_bitset(n_items), np.empty(n_items, np.int64), np.empty(n_items, dtype),
        np.empty(n_items, dtype),
    )  # fmt: skip
    out = empty_rows(stop - start, min(n_neighbors, n_items), dtype)
    sizes = np.diff(by_item.indptr)
    filled = _write_rows(start, stop, by_item, by_user, sizes, norms, formula, n_neighbors, sums, out)
    return out.lengths, out.items[:filled], out.values[:filled], out.common[:filled]


@njit_nogil
def _write_rows(start, stop, by_item, by_user, sizes, norms, formula, n_neighbors, sums, out):
    dots, common, moments, touched = sums.dots, sums.common, sums.moments, sums.touched
    filled = 0
    for i in range(start, stop):
        n_touched = _accumulate(i, by_item, by_user, dots, common, touched)
        if formula.pearson:
            _accumulate_moments(i, by_item, by_user, moments)
        for c in range(n_touched):  # sorted, so that ties go to the lower item index
            bitset_add(sums.bitset, np.int64(touched[c]), np.int64(c))
        drain_sorted(sums.bitset, touched, sums.positions, 0)
        n_nonzero = 0
        for c in range(n_touched):
            j = touched[c]
            if formula.pearson:
                value = pearson(dots[j], common[j], moments[j], formula.damping)
                for m in range(4):
                    moments[j, m] = 0
            else:
                value = cosine(dots[j], common[j], i, j, sizes, norms, formula)
            value = apply_shrinkage(value, common[j], formula)
            if value != 0 and j != i:
                touched[n_nonzero], sums.values[n_nonzero] = j, value
                sums.positions[n_nonzero] = n_nonzero
                n_nonzero += 1
            else:
                common[j] = 0
            dots[j] = 0
        n_kept = keep_top_k(sums.values, sums.positions, n_nonzero, n_neighbors, sums.sizes)
        for k in range(n_kept):
            c = sums.positions[k]
            out.items[filled], out.values[filled] = touched[c], sums.values[c]
            out.common[filled] = common[touched[c]]
            filled += 1
        out.lengths[i - start] = n_kept
        for c in range(n_nonzero):  # entry by entry: clearing whole arrays costs n_items for each row
            common[touched[c]] = 0
    return filled
