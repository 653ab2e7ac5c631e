"""The item × item similarity: formula, memory plan, and the strongest neighbours of every item."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.errors import TooLarge, show_bytes
from reelated.parallel import Progress, n_threads, ordered_parallel_map, shared_pool, split_by_cost
from reelated.similarity.triangle import Layout, triangle

SLICE = 2e8
"""Products of one slice of work: about a third of a second."""


PRIVATE = 4e9
"""The maximum size in bytes of all threads' private tables and buffers; above it, rows are computed one by one."""
SCAN = 4.0
"""Item pairs that the triangle scans in the time of one product, with or without a common rater."""
SMALL = 1e8
"""Products whose time is negligible in the choice of the method."""


class Measure(NamedTuple):
    """The similarity formula and its parameters."""

    jaccard: bool = False
    shrinkage: float = 0.0  # multiplies by c / (c + shrinkage), with c common raters
    damping: float = 0.0  # added to the denominator
    min_common: int = 1
    positive_only: bool = True
    n_neighbors: int | None = None  # the strongest by absolute value; None keeps all
    pearson: bool = False

    @property
    def rule(self) -> kernels.Rule:
        """The same parameters in the types that the kernels take."""
        return kernels.Rule(
            self.jaccard, self.pearson, float(self.shrinkage), float(self.damping),
            min(self.min_common, 2**31 - 1), self.positive_only,
        )  # fmt: skip


class Similarity(NamedTuple):
    """The similarity and the number of common raters: items × items, same pattern, columns ascending, no diagonal."""

    values: sp.csr_array  # row `i` holds the items that predict `i`
    common: sp.csr_array


def as_kernel_csr(matrix: Any) -> kernels.CSR:
    """Convert a SciPy CSR matrix (or CSC, by columns) for the kernels, sharing memory where the dtypes allow."""
    indptr, indices = matrix.indptr.astype(np.int64, copy=False), matrix.indices.astype(np.int32, copy=False)
    return kernels.CSR(indptr, indices, np.asarray(matrix.data))


def take_rows(rows: kernels.CSR, chosen: npt.NDArray[np.integer[Any]]) -> kernels.CSR:
    """Return the chosen rows in their order, without a copy of the others."""
    lengths = np.diff(rows.indptr)[chosen]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    places = np.arange(indptr[-1]) + np.repeat(rows.indptr[chosen] - indptr[:-1], lengths)
    return kernels.CSR(indptr, rows.indices[places], rows.data[places])


def by_column(rows: kernels.CSR, n_columns: int, numbers: str = "int32") -> kernels.CSR:
    """Return the columns of a matrix as rows; `numbers` is the dtype of the row numbers."""
    indptr = np.zeros(n_columns + 2, np.int64)
    indices, data = np.empty(len(rows.indices), numbers), np.empty_like(rows.data)
    kernels.transpose(rows, indptr, indices, data)
    return kernels.CSR(indptr[:-1], indices, data)


def sizes_and_norms(rows: kernels.CSR, n_columns: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the number of entries of each column and the Euclidean norm of the zero-filled column."""
    sizes, squares = np.zeros(n_columns, np.int64), np.zeros(n_columns)
    kernels.add_columns(rows, sizes, squares)
    return sizes, np.sqrt(squares)


def products_of(by_item: Any, row_lengths: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Return the cost of each item's row of the similarity: Σ over its raters of their row's length."""
    total = np.concatenate([[0.0], np.cumsum(row_lengths[by_item.indices], dtype=np.float64)])
    return np.diff(total[by_item.indptr])


class Plan(NamedTuple):
    """The method for a similarity and its peak memory."""

    triangle: bool  # half of the symmetric product, private buffers in every thread; else row by row, slower and leaner
    bytes: int  # without the input


def plan(values: Any, measure: Measure, max_memory: int | None = None) -> Plan:
    """Choose the faster method that fits into `max_memory`, or row by row, the leaner one, where neither does."""
    n_items, width, threads = values.shape[1], values.data.itemsize, n_threads()
    kept = n_items * min(n_items, measure.n_neighbors or n_items)
    result, moments = 2 * kept * (width + 4 + 4) + 64 * n_items, 4 if measure.pearson else 0
    rows = Plan(False, result + values.nnz * (36 + 2 * width) + threads * n_items * ((3 + moments) * width + 8))
    if measure.n_neighbors is None or values.dtype != np.float32:
        return rows
    layout = Layout.of(n_items, min(n_items, measure.n_neighbors), measure.pearson)
    private = threads * layout.bytes
    halved = Plan(True, result + layout.prepared_bytes(values.shape[0], values.nnz) + private)
    too_large = private > PRIVATE or (max_memory is not None and halved.bytes > max_memory)
    products = np.square(np.diff(values.indptr), dtype=np.float64).sum()
    return rows if too_large or n_items**2 / SCAN > products + SMALL else halved


def similarity(
    values: Any, measure: Measure, *, max_memory: int | None = None, progress: Progress | None = None
) -> Similarity:
    """Compute the nearest neighbours of every column of a users × items matrix; a stored zero counts as a rating.

    ``s_ij = Σ_u v_ui v_uj / (‖v_i‖ ‖v_j‖ + damping) · c_ij / (c_ij + shrinkage)``, where `c_ij` counts the users who
    rated both (Sarwar et al. 2001, §3.1; the shrinkage is that of Bell & Koren 2007, §4.2). With `jaccard` the first
    factor is ``c_ij / (c_i + c_j − c_ij + damping)``; with `pearson` it is the correlation over the users who rated
    both, ``Σ (v_ui − v̄_i)(v_uj − v̄_j) / (√Σ (v_ui − v̄_i)² · √Σ (v_uj − v̄_j)² + damping)``, sums and means over them.
    """
    chosen, n_items = plan(values, measure, max_memory), values.shape[1]
    if max_memory is not None and chosen.bytes > max_memory:
        raise TooLarge(
            f"max_memory={show_bytes(max_memory)}: the similarity of {n_items:,} items may need "
            f"{show_bytes(chosen.bytes)}. Lower n_neighbors (now {measure.n_neighbors}) or raise max_memory."
        )
    if measure.jaccard:  # only whether a user rated matters, not the rating
        values = sp.csr_array((np.ones_like(values.data), values.indices, values.indptr), shape=values.shape)
    rows, keep = as_kernel_csr(values), min(n_items, measure.n_neighbors or n_items)
    sizes, norms = sizes_and_norms(rows, n_items)
    rule = measure.rule
    if chosen.triangle:
        with shared_pool():
            found = triangle(rows, norms, sizes, rule, keep, progress)
    else:
        found = _by_rows(values, norms, rule, keep, progress)
    lengths, indices, data, common = found
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return Similarity(*(sp.csr_array((x, indices, indptr), shape=(n_items, n_items)) for x in (data, common)))


def _by_rows(
    values: Any, norms: Any, rule: kernels.Rule, keep: int, progress: Progress | None
) -> tuple[np.ndarray, ...]:
    """Return lengths, indices, values and common raters of all rows, computed row by row."""
    # the same order of users as in the triangle, so that both methods give the same bits
    rows = values[np.argsort(-np.diff(values.indptr), kind="stable")]
    columns = rows.tocsc()
    by_user, by_item = as_kernel_csr(rows), as_kernel_csr(columns)

    def similarities(start: int, stop: int) -> tuple[np.ndarray, ...]:
        return kernels.similarity_rows(start, stop, by_item, by_user, norms, rule, keep)

    slices = split_by_cost(products_of(columns, np.diff(by_user.indptr)) + values.shape[1], SLICE)
    return tuple(
        np.concatenate(part) for part in zip(*ordered_parallel_map(similarities, slices, progress), strict=True)
    )
