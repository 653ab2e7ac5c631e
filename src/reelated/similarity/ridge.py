"""Linear item weights: ridge regression of each item's column on those of other items."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.parallel import Progress, parallel_concatenate, parallel_for, part_of, shared_pool, split_by_cost
from reelated.ratings.matrix import filtered_csr
from reelated.similarity.blocked import empty_pair_sums
from reelated.similarity.csr import as_item_matrix, as_kernel_csr, row_costs, sizes_and_norms, to_indptr
from reelated.similarity.neighbors import Similarity, SimilarityParams, plan, similarity

SLICE = 2e8
"""Number of operations in one slice of work: about a third of a second."""
BLOCK = 512
"""Maximum number of rows inverted at a time."""
MIN_BLOCK = 128
"""Minimum number of rows inverted at a time, if there are so many: products of smaller matrices are slow."""
MAX_GRAM_BYTES = 3_000_000_000
"""The maximum size of a full Gram matrix if each item has only a few candidates."""
MAX_RATINGS = 30_000
"""The maximum number of ratings of an item's candidates, on average, for products with the ratings themselves."""
SPARSE_GRAM_ENTRIES = 1000
"""Entries kept in each row of the Gram matrix if it is too large and products with ratings are too slow."""
MAX_RARE = 128
"""The maximum number of ratings of a rare item: products of two rare items are computed from their ratings."""
MIN_COMMON = 4096
"""The minimum number of items that are not rare: the Gram matrix of fewer fits into the cache."""


class Weights(NamedTuple):
    """Item weights and the number of common raters, items × items, with the same pattern."""

    values: sp.csr_array  # row `i` holds the items that predict `i`
    common: sp.csr_array
    truncation_error: npt.NDArray[np.float64]  # the fraction of each row's Σ weights² that was dropped, (n_items,)


class Ridge(NamedTuple):
    """Regularisation: ``l2 + dropout / (1 − dropout) · G_jj`` on the weight of item `j`."""

    l2: float
    dropout: float  # equals training with this fraction of the ratings dropped at random, in expectation

    def penalty(self, diagonal: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the penalty of every item, given the diagonal of ``Vᵀ V``."""
        penalty: npt.NDArray[Any] = self.l2 + diagonal * (self.dropout / (1 - self.dropout))
        return penalty.astype(diagonal.dtype)


def fit_ridge(
    values: sp.csr_array,
    ridge: Ridge,
    n_candidates: int | None,
    max_weights: int,
    progress: Progress | None = None,
    *,
    side_info: sp.csr_array | None = None,
) -> Weights:
    """Regress each item on the `n_candidates` items of highest cosine (None: on all others); keep the strongest."""
    first, second, third = (part_of(progress, part, 3) for part in range(3))
    stacked = _append_rows(values, side_info)
    if n_candidates is None:
        pattern, weights, truncation_error = solve_dense_ridge(gram(stacked, first), ridge, max_weights, second)
        return as_weights(weights, _count_common(values, pattern, third), pattern, truncation_error)
    sizes, norms = sizes_and_norms(as_kernel_csr(stacked), stacked.shape[1])
    params, sums = SimilarityParams(n_neighbors=n_candidates), None
    if _gram_bytes(stacked) <= MAX_GRAM_BYTES and plan(stacked, params).blocked:
        sums = empty_pair_sums(sizes, max(int((sizes > MAX_RARE).sum()), MIN_COMMON))
    candidates = similarity(stacked, params, progress=first, pair_sums=sums)
    matrix = _gram_matrix(stacked, norms, candidates, sums, second)
    result = solve_local_ridge(candidates, norms, matrix, ridge, max_weights, third)
    if side_info is not None:
        result.common.data -= _count_common(side_info, (result.common.indices, result.common.indptr), None)
    return result


def gram(values: sp.csr_array, progress: Progress | None = None) -> npt.NDArray[Any]:
    """Return the lower triangle of ``Vᵀ V``, zeros above the diagonal, in the dtype of `values`."""
    n_items, columns = values.shape[1], values.tocsc()
    out, by_item, by_user = np.zeros((n_items, n_items), values.dtype), as_kernel_csr(columns), as_kernel_csr(values)
    slices = split_by_cost(row_costs(columns, np.diff(values.indptr)) + n_items, SLICE)
    parallel_for(lambda start, stop: kernels.gram_rows(start, stop, by_item, by_user, out), slices, progress)
    return out


def as_gram_matrix(matrix: npt.NDArray[Any]) -> kernels.GramMatrix:
    """Wrap a full Gram matrix for `solve_local_ridge`, which reads its lower triangle."""
    nothing = _empty(matrix.dtype)
    return kernels.GramMatrix(_pair_sums(matrix), nothing, nothing, matrix.diagonal().copy())


def _pair_sums(matrix: npt.NDArray[Any]) -> kernels.PairSums:
    rank = np.arange(len(matrix), dtype=np.int32)
    return kernels.PairSums(matrix.ravel(), rank.astype(np.int64) * matrix.shape[1], rank, len(rank))


def _empty(dtype: Any) -> kernels.CSR:
    return as_kernel_csr(sp.csr_array((0, 0), dtype=dtype))


def _gram_matrix(
    values: sp.csr_array,
    norms: npt.NDArray[np.float64],
    candidates: Similarity,
    sums: kernels.PairSums | None,
    progress: Progress | None,
) -> kernels.GramMatrix:
    """Return the Gram matrix in the form that is the fastest for these candidates and fits into memory."""
    diagonal, nothing = np.square(norms).astype(values.dtype), _empty(values.dtype)
    if sums is not None:
        return kernels.GramMatrix(sums, nothing, _columns_of(values, sums.rank >= sums.n_columns), diagonal)
    if _gram_bytes(values) <= MAX_GRAM_BYTES:
        return as_gram_matrix(gram(values, progress))
    columns = values.tocsc()
    n_ratings = np.diff(columns.indptr)[candidates.values.indices].sum(dtype=np.float64)
    ranks = _pair_sums(np.empty((len(norms), 0), values.dtype))
    if n_ratings <= MAX_RATINGS * values.shape[1]:
        return kernels.GramMatrix(ranks, nothing, as_kernel_csr(columns), diagonal)
    params = SimilarityParams(n_neighbors=SPARSE_GRAM_ENTRIES)
    cosines = as_kernel_csr(similarity(values, params, progress=progress).values)
    return kernels.GramMatrix(ranks, _dot_products(cosines, norms), nothing, diagonal)


def _columns_of(values: sp.csr_array, chosen: npt.NDArray[np.bool_]) -> kernels.CSR:
    """Return the ratings of the chosen items, by item; the others are empty."""
    return as_kernel_csr(filtered_csr(values, chosen[values.indices]).tocsc())


def _dot_products(cosines: kernels.CSR, norms: npt.NDArray[np.float64]) -> kernels.CSR:
    """Multiply cosines by both norms to get entries of the Gram matrix."""
    scale = np.repeat(norms, np.diff(cosines.indptr)) * norms[cosines.indices]
    return cosines._replace(data=(cosines.data * scale).astype(cosines.data.dtype))


def solve_local_ridge(
    candidates: Similarity,
    norms: npt.NDArray[np.float64],
    matrix: kernels.GramMatrix,
    ridge: Ridge,
    max_weights: int,
    progress: Progress | None = None,
) -> Weights:
    """Solve one small ridge regression for each item, on the items in its row of `candidates`."""
    cosines = as_kernel_csr(candidates.values)
    weights = np.empty_like(cosines.data)
    penalty = ridge.penalty(matrix.diagonal)
    n_positions = max(len(penalty), int(matrix.ratings.indices.max(initial=0)) + 1)
    # items of similar rank have many candidates in common, whose rows are then in the cache
    order = np.argsort(matrix.dense.rank).astype(np.int32)

    def rows(start: int, stop: int) -> None:
        kernels.local_ridge_rows(order[start:stop], cosines, norms, matrix, penalty, weights, n_positions)

    cost = np.square(np.diff(cosines.indptr)[order], dtype=np.float64) * 10 + 1
    parallel_for(rows, split_by_cost(cost, SLICE), progress)
    if np.diff(cosines.indptr).max(initial=0) <= max_weights and weights.all():
        return as_weights(weights, candidates.common.data, (cosines.indices, cosines.indptr), np.zeros(len(order)))
    lengths, positions, truncation_error = _truncate(cosines.indptr, weights, max_weights)
    pattern = cosines.indices[positions], to_indptr(lengths)
    return as_weights(weights[positions], candidates.common.data[positions], pattern, truncation_error)


def solve_dense_ridge(
    matrix: npt.NDArray[Any], ridge: Ridge, max_weights: int, progress: Progress | None = None
) -> tuple[tuple[Any, Any], npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Turn a Gram matrix into weights in place; return the pattern, the weights and the truncation errors.

    The weights of item `i` are ``−P_ij / P_ii`` with `P` the inverse of ``Vᵀ V`` plus the penalty (Steck 2019,
    "Embarrassingly shallow autoencoders for sparse data", §3.1; with dropout Steck 2020, "Autoencoders that don't
    overfit towards the identity", §3).
    """
    n_items = len(matrix)
    flat = matrix.ravel()
    flat[:: n_items + 1] += ridge.penalty(matrix.diagonal())
    invert(matrix, progress)
    matrix /= -matrix.diagonal()[:, None]
    flat[:: n_items + 1] = 0
    row_starts = np.arange(n_items + 1, dtype=np.int64) * n_items
    lengths, positions, truncation_error = _truncate(row_starts, flat, max_weights)
    pattern = (positions % max(n_items, 1)).astype(np.int32), to_indptr(lengths)
    return pattern, flat[positions], truncation_error


def invert(matrix: npt.NDArray[Any], progress: Progress | None = None) -> None:
    """Invert a symmetric positive definite matrix in place from its lower triangle, block by block."""
    from threadpoolctl import threadpool_limits

    n, size = len(matrix), min(BLOCK, max(len(matrix) // 8, MIN_BLOCK))
    blocks = [slice(start, min(start + size, n)) for start in range(0, n, size)]
    for block in blocks:  # np.linalg.inv reads both triangles of a diagonal block
        _mirror(matrix[block, block])
    # one thread of BLAS for each block of rows: threads of BLAS spin while they wait, and may change the last bits
    with threadpool_limits(1, "blas"), shared_pool():
        for number, pivot in enumerate(blocks):
            _sweep(matrix, blocks, pivot)
            if progress:
                progress((number + 1) / len(blocks))
    np.negative(matrix, out=matrix)
    for block in blocks:
        matrix[block, block.stop :] = matrix[block.stop :, block].T


def _sweep(matrix: npt.NDArray[Any], blocks: list[slice], pivot: slice) -> None:
    """Sweep one block of the lower triangle (Goodnight 1979, "A tutorial on the sweep operator")."""
    panel = np.concatenate([matrix[pivot, : pivot.stop], matrix[pivot.stop :, pivot].T], axis=1)
    inverse, swept = np.linalg.inv(matrix[pivot, pivot]), np.empty_like(panel)

    def multiply(start: int, _: int) -> None:
        np.matmul(inverse, panel[:, blocks[start]], out=swept[:, blocks[start]])

    def subtract(start: int, _: int) -> None:
        rows = blocks[-1 - start]  # the longest first
        if rows != pivot:
            matrix[rows, : rows.stop] -= panel[:, rows].T @ swept[:, : rows.stop]

    for task in (multiply, subtract):
        parallel_for(task, [(k, k + 1) for k in range(len(blocks))])
    matrix[pivot, : pivot.stop] = swept[:, : pivot.stop]
    matrix[pivot.stop :, pivot] = swept[:, pivot.stop :].T
    matrix[pivot, pivot] = -inverse


def _mirror(block: npt.NDArray[Any]) -> None:
    """Copy the lower triangle to the upper one."""
    upper = np.triu_indices(len(block), 1)
    block[upper] = block.T[upper]


def _truncate(indptr: npt.NDArray[np.int64], weights: npt.NDArray[Any], max_weights: int) -> tuple[np.ndarray, ...]:
    """Return the lengths, positions and truncation errors of all rows."""
    slices = split_by_cost(np.diff(indptr) * 8.0 + 1, SLICE)
    return parallel_concatenate(
        lambda start, stop: kernels.truncate_rows(start, stop, indptr, weights, max_weights), slices
    )


def _count_common(values: sp.csr_array, pattern: tuple[Any, Any], progress: Progress | None) -> npt.NDArray[np.int32]:
    """Count the common raters of every pair of a pattern."""
    columns = values.tocsc()
    by_item, by_user = as_kernel_csr(columns), as_kernel_csr(values)
    common = np.empty(len(pattern[0]), np.int32)
    pairs = kernels.CSR(pattern[1], pattern[0], common)
    slices = split_by_cost(row_costs(columns, np.diff(values.indptr)) + values.shape[1], SLICE)
    parallel_for(
        lambda start, stop: kernels.count_common(start, stop, by_item, by_user, pairs, common), slices, progress
    )
    return common


def as_weights(values: Any, common: Any, pattern: tuple[Any, Any], truncation_error: Any) -> Weights:
    """Assemble `Weights` from the data and the pattern of its matrices."""
    return Weights(as_item_matrix(values, *pattern), as_item_matrix(common, *pattern), truncation_error)


def _append_rows(values: sp.csr_array, side_info: sp.csr_array | None) -> sp.csr_array:
    """Append the attributes of the items as rows below the rating weights."""
    if side_info is None:
        return values
    stacked = sp.csr_array(sp.vstack([values, side_info.astype(values.dtype)], format="csr"))
    stacked.has_canonical_format = True
    return stacked


def _gram_bytes(values: sp.csr_array) -> int:
    return values.shape[1] ** 2 * values.data.itemsize


def ridge_memory(values: sp.csr_array, n_candidates: int | None, max_weights: int) -> int:
    """Estimate the peak memory of `fit_ridge` without its input."""
    n_items, width, gram_bytes = values.shape[1], values.data.itemsize, _gram_bytes(values)
    result = 2 * n_items * min(max_weights, n_candidates or n_items, n_items) * (width + 12)
    csc = values.nnz * (width + 8)
    if n_candidates is None:
        return gram_bytes + 4 * n_items * BLOCK * width + result + csc
    solving = n_items * n_candidates * (2 * width + 16) + result + csc
    blocked, searching = plan(values, SimilarityParams(n_neighbors=n_candidates))
    if gram_bytes <= MAX_GRAM_BYTES:
        return gram_bytes // 2 + max(searching, solving) if blocked else max(searching, gram_bytes + solving)
    sparse_gram = plan(values, SimilarityParams(n_neighbors=SPARSE_GRAM_ENTRIES)).bytes
    return sparse_gram + n_items * min(SPARSE_GRAM_ENTRIES, n_items) * width + solving
