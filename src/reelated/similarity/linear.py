"""Linear item weights: ridge regression of each item's column on those of other items."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from reelated import _kernels as kernels
from reelated.parallel import Progress, ordered_parallel_map, split_by_cost
from reelated.similarity.neighbors import (
    Measure,
    Similarity,
    as_kernel_csr,
    plan,
    products_of,
    similarity,
    sizes_and_norms,
)

SLICE = 2e8
"""Operations of one slice of work: about a third of a second."""
BLOCK = 512
"""Rows inverted at a time."""
SQUARE = 3_000_000_000
"""The maximum size of a full Gram matrix in bytes where each item has only a few candidates."""
WIDE = 1000
"""Entries kept in each row of the Gram matrix where the full matrix would be larger than `SQUARE`."""


class Weights(NamedTuple):
    """Item weights and the number of common raters, items × items, with the same pattern."""

    values: sp.csr_array  # row `i` holds the items that predict `i`
    common: sp.csr_array
    cut: npt.NDArray[np.float64]  # the share of each row's Σ weights² that was dropped, (n_items,)


class Ridge(NamedTuple):
    """Regularisation: ``l2 + dropout / (1 − dropout) · G_jj`` on the weight of item `j`."""

    l2: float
    dropout: float  # equals training with this share of the ratings dropped at random, in expectation

    def of(self, diagonal: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the penalty of every item, given the diagonal of ``Vᵀ V``."""
        ridge: npt.NDArray[Any] = self.l2 + diagonal * (self.dropout / (1 - self.dropout))
        return ridge.astype(diagonal.dtype)


def gram(values: sp.csr_array, progress: Progress | None = None) -> npt.NDArray[Any]:
    """Return the lower triangle of ``Vᵀ V``, zeros above the diagonal, in the dtype of `values`."""
    n_items, columns = values.shape[1], values.tocsc()
    out, by_item, by_user = np.zeros((n_items, n_items), values.dtype), as_kernel_csr(columns), as_kernel_csr(values)

    def rows(start: int, stop: int) -> None:
        kernels.gram_rows(start, stop, by_item, by_user, out)

    cost = products_of(columns, np.diff(values.indptr)) + n_items
    for _ in ordered_parallel_map(rows, split_by_cost(cost, SLICE), progress):
        pass
    return out


def near_weights(
    values: sp.csr_array,
    ridge: Ridge,
    near: int,
    keep: int,
    progress: Progress | None = None,
    *,
    known: sp.csr_array | None = None,
) -> Weights:
    """Regress each item on the `near` items of highest cosine with it, and keep the `keep` strongest weights.

    Each row of `known` (item attributes) acts as one more user, who does not count in `common`.
    """
    first, second, third = _thirds(progress)
    values = _beside(values, known)
    found = similarity(values, Measure(n_neighbors=near), progress=first)
    _, norms = sizes_and_norms(as_kernel_csr(values), values.shape[1])
    small = _squared(values) <= SQUARE
    products = all_products(gram(values, second)) if small else _largest_products(values, norms, second)
    weights = solve_near(found, norms, products, ridge, keep, third)
    if known is not None:
        weights.common.data -= _common(known, (weights.common.indices, weights.common.indptr), None)
    return weights


def solve_near(
    found: Similarity,
    norms: npt.NDArray[np.float64],
    products: kernels.Products,
    ridge: Ridge,
    keep: int,
    progress: Progress | None = None,
) -> Weights:
    """Solve one small ridge regression for each item, on the items in its row of `found`."""
    near_to = _as_products(as_kernel_csr(found.values), norms)
    weights = np.empty(found.values.nnz, found.values.dtype)
    held = ridge.of(products.diagonal)

    def rows(start: int, stop: int) -> None:
        kernels.near_rows(start, stop, near_to, products, held, weights)

    cost = np.diff(near_to.indptr).astype(np.float64) ** 3 / 3
    with threadpool_limits(1, "blas"):  # the threads already share the items
        for _ in ordered_parallel_map(rows, split_by_cost(cost + 1, SLICE), progress):
            pass
    lengths, places, cut = _strongest(near_to.indptr, weights, keep)
    pattern = near_to.indices[places], _begins(lengths)
    return as_weights(weights[places], found.common.data[places], pattern, cut)


def _beside(values: sp.csr_array, known: sp.csr_array | None) -> sp.csr_array:
    """Append the attributes of the items as rows below the rating weights."""
    if known is None:
        return values
    both = sp.csr_array(sp.vstack([values, known.astype(values.dtype)], format="csr"))
    both.has_canonical_format = True
    return both


def _squared(values: sp.csr_array) -> int:
    """Return the size of the Gram matrix in bytes."""
    return values.shape[1] ** 2 * values.data.itemsize


def all_products(matrix: npt.NDArray[Any]) -> kernels.Products:
    """Wrap a full Gram matrix, of which the lower triangle is read, for `solve_near`."""
    nothing = sp.csr_array((0, 0), dtype=matrix.dtype)
    return kernels.Products(matrix, as_kernel_csr(nothing), matrix.diagonal().copy())


def _largest_products(
    values: sp.csr_array, norms: npt.NDArray[np.float64], progress: Progress | None
) -> kernels.Products:
    """Return the entries of the Gram matrix that belong to the `WIDE` highest cosines of each item."""
    wide = as_kernel_csr(similarity(values, Measure(n_neighbors=WIDE), progress=progress).values)
    diagonal = np.square(norms).astype(values.dtype)
    return kernels.Products(np.empty((0, 0), values.dtype), _as_products(wide, norms), diagonal)


def _as_products(cosines: kernels.CSR, norms: npt.NDArray[np.float64]) -> kernels.CSR:
    """Multiply cosines by both norms, which gives entries of the Gram matrix."""
    lengths = np.repeat(norms, np.diff(cosines.indptr)) * norms[cosines.indices]
    return cosines._replace(data=(cosines.data * lengths).astype(cosines.data.dtype))


def all_weights(
    values: sp.csr_array,
    ridge: Ridge,
    keep: int,
    progress: Progress | None = None,
    *,
    known: sp.csr_array | None = None,
) -> Weights:
    """Regress each item on all others in closed form: ``−P_ij / P_ii``, `P` the inverse of ``Vᵀ V`` plus the penalty.

    Steck 2019, "Embarrassingly shallow autoencoders for sparse data", §3.1; with dropout Steck 2020, "Autoencoders
    that don't overfit towards the identity", §3.
    """
    first, second, third = _thirds(progress)
    matrix = gram(_beside(values, known), first)
    pattern, kept, cut = solve_all(matrix, ridge, keep, second)
    return as_weights(kept, _common(values, pattern, third), pattern, cut)


def solve_all(
    matrix: npt.NDArray[Any], ridge: Ridge, keep: int, progress: Progress | None = None
) -> tuple[tuple[Any, Any], npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Turn a Gram matrix into weights in place; return the pattern (indices, row pointers), the weights and the cut.

    Only the lower triangle is read; the whole matrix is overwritten.
    """
    n_items = len(matrix)
    flat = matrix.ravel()
    flat[:: n_items + 1] += ridge.of(matrix.diagonal())
    invert(matrix, progress)
    matrix /= -matrix.diagonal()[:, None]
    flat[:: n_items + 1] = 0
    lengths, places, cut = _strongest(np.arange(n_items + 1, dtype=np.int64) * n_items, flat, keep)
    pattern = (places % max(n_items, 1)).astype(np.int32), _begins(lengths)
    return pattern, flat[places], cut


def invert(matrix: npt.NDArray[Any], progress: Progress | None = None) -> None:
    """Invert a symmetric positive definite matrix in place, block by block, so that the work can be interrupted.

    Only the lower triangle is read. Each block of rows is swept (Goodnight 1979, "A tutorial on the sweep operator", by
    blocks): n³ multiplications and additions in all, as many as with Cholesky factors.
    """
    n = len(matrix)
    blocks = [slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK)]
    for block in blocks:  # np.linalg.inv reads both triangles of a diagonal block
        _mirror(matrix[block, block])
    for number, here in enumerate(blocks):
        whole = np.concatenate([matrix[here, : here.stop], matrix[here.stop :, here].T], axis=1)
        inner = np.linalg.inv(matrix[here, here])
        swept = inner @ whole
        for rows in blocks:
            if rows != here:
                matrix[rows, : rows.stop] -= whole[:, rows].T @ swept[:, : rows.stop]
        matrix[here, : here.stop] = swept[:, : here.stop]
        matrix[here.stop :, here] = swept[:, here.stop :].T
        matrix[here, here] = -inner
        if progress:
            progress((number + 1) / len(blocks))
    np.negative(matrix, out=matrix)
    for block in blocks:
        matrix[block, block.stop :] = matrix[block.stop :, block].T


def _mirror(block: npt.NDArray[Any]) -> None:
    """Copy the lower triangle to the upper one."""
    upper = np.triu_indices(len(block), 1)
    block[upper] = block.T[upper]


def _strongest(begins: npt.NDArray[np.int64], weights: npt.NDArray[Any], keep: int) -> tuple[np.ndarray, ...]:
    """Return the lengths, places and shares cut of all rows."""

    def rows(start: int, stop: int) -> tuple[np.ndarray, ...]:
        return kernels.cut_rows(start, stop, begins, weights, keep)

    parts = list(ordered_parallel_map(rows, split_by_cost(np.diff(begins) * 8.0 + 1, SLICE)))
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _common(values: sp.csr_array, pattern: tuple[Any, Any], progress: Progress | None) -> npt.NDArray[np.int32]:
    """Count the common raters of every pair of a pattern."""
    columns = values.tocsc()
    by_item, by_user = as_kernel_csr(columns), as_kernel_csr(values)
    common = np.empty(len(pattern[0]), np.int32)
    pairs = kernels.CSR(pattern[1], pattern[0], common)

    def rows(start: int, stop: int) -> None:
        kernels.common_rows(start, stop, by_item, by_user, pairs, common)

    cost = products_of(columns, np.diff(values.indptr)) + values.shape[1]
    for _ in ordered_parallel_map(rows, split_by_cost(cost, SLICE), progress):
        pass
    return common


def _begins(lengths: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)])


def as_weights(values: Any, common: Any, pattern: tuple[Any, Any], cut: Any) -> Weights:
    """Assemble `Weights` from values, common raters, pattern and cut."""
    n_items = len(cut)
    values, common = (sp.csr_array((data, *pattern), shape=(n_items, n_items)) for data in (values, common))
    return Weights(values, common, cut)


def _thirds(progress: Progress | None) -> tuple[Progress | None, ...]:
    """Return a progress callback for each third of the work."""
    if progress is None:
        return None, None, None
    return tuple(lambda done, part=part: progress((part + done) / 3) for part in range(3))


def plan_linear(values: sp.csr_array, near: int | None, keep: int) -> int:
    """Estimate the peak memory of `near_weights`, or of `all_weights` if `near` is None, without its input."""
    n_items, width = values.shape[1], values.data.itemsize
    square, result = n_items**2 * width, 2 * n_items * min(keep, near or n_items, n_items) * (width + 12)
    ordered = values.nnz * (width + 8)
    if near is None:
        return square + 4 * n_items * BLOCK * width + result + ordered
    solving = n_items * near * (2 * width + 16) + result + ordered
    if square <= SQUARE:
        return max(plan(values, Measure(n_neighbors=near)).bytes, square + solving)
    wide = plan(values, Measure(n_neighbors=WIDE)).bytes
    return wide + n_items * min(WIDE, n_items) * width + solving
