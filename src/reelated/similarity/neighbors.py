"""The item × item similarity: formula, memory plan, and the strongest neighbours of every item."""

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.errors import TooLarge, show_bytes
from reelated.parallel import Progress, n_threads, parallel_concatenate, shared_pool, split_by_cost
from reelated.similarity.blocked import BlockLayout, blocked_similarity
from reelated.similarity.csr import as_item_matrix, as_kernel_csr, row_costs, sizes_and_norms, to_indptr

SLICE = 2e8
"""Number of products in one slice of work: about a third of a second."""
MAX_WORKSPACE_BYTES = 4e9
"""The maximum size of all threads' workspaces; above it, the row-wise method is used."""
SCANS_PER_PRODUCT = 4.0
"""Number of item pairs, with or without a common rater, that the blocked method scans in the time of one product."""
NEGLIGIBLE_PRODUCTS = 1e8
"""Number of products below which the choice of the method does not matter."""


class SimilarityParams(NamedTuple):
    """The similarity formula and its parameters."""

    jaccard: bool = False
    shrinkage: float = 0.0  # multiplies by c / (c + shrinkage), with c common raters
    damping: float = 0.0  # added to the denominator
    min_common: int = 1
    positive_only: bool = True
    n_neighbors: int | None = None  # the strongest by absolute value; None keeps all
    pearson: bool = False

    @property
    def formula(self) -> kernels.SimilarityFormula:
        """The same parameters in the types that the kernels take."""
        return kernels.SimilarityFormula(
            self.jaccard, self.pearson, float(self.shrinkage), float(self.damping),
            min(self.min_common, 2**31 - 1), self.positive_only,
        )  # fmt: skip


class Similarity(NamedTuple):
    """The similarity and the number of common raters: items × items, same pattern, columns ascending, no diagonal."""

    values: sp.csr_array  # row `i` holds the items that predict `i`
    common: sp.csr_array


class SimilarityPlan(NamedTuple):
    """The method for a similarity and its peak memory."""

    blocked: bool  # False: row-wise, which is slower and needs less memory
    bytes: int  # without the input


def plan(values: Any, params: SimilarityParams, max_memory: int | None = None) -> SimilarityPlan:
    """Choose the faster method that fits into `max_memory`; if neither fits, the row-wise one, which needs less."""
    n_items, width, threads = values.shape[1], values.data.itemsize, n_threads()
    n_entries = n_items * min(n_items, params.n_neighbors or n_items)
    result, moments = 2 * n_entries * (width + 4 + 4) + 64 * n_items, 4 if params.pearson else 0
    row_workspace = threads * n_items * ((3 + moments) * width + 8)
    row_wise = SimilarityPlan(False, result + values.nnz * (36 + 2 * width) + row_workspace)
    if params.n_neighbors is None or values.dtype != np.float32:
        return row_wise
    layout = BlockLayout.choose(n_items, min(n_items, params.n_neighbors), params.pearson)
    workspace = threads * layout.bytes
    blocked = SimilarityPlan(True, result + layout.prepared_bytes(values.shape[0], values.nnz) + workspace)
    too_large = workspace > MAX_WORKSPACE_BYTES or (max_memory is not None and blocked.bytes > max_memory)
    products = np.square(np.diff(values.indptr), dtype=np.float64).sum()
    scans_dominate = n_items**2 / SCANS_PER_PRODUCT > products + NEGLIGIBLE_PRODUCTS
    return row_wise if too_large or scans_dominate else blocked


def similarity(
    values: Any,
    params: SimilarityParams,
    *,
    max_memory: int | None = None,
    progress: Progress | None = None,
    pair_sums: kernels.PairSums | None = None,
) -> Similarity:
    """Compute the nearest neighbours of every column of a users × items matrix; a stored zero counts as a rating.

    ``s_ij = Σ_u v_ui v_uj / (‖v_i‖ ‖v_j‖ + damping) · c_ij / (c_ij + shrinkage)``, where `c_ij` counts the users who
    rated both (Sarwar et al. 2001, §3.1; the shrinkage is that of Bell & Koren 2007, §4.2). With `jaccard` the first
    factor is ``c_ij / (c_i + c_j − c_ij + damping)``; with `pearson` it is the correlation over the users who rated
    both, ``Σ (v_ui − v̄_i)(v_uj − v̄_j) / (√Σ (v_ui − v̄_i)² · √Σ (v_uj − v̄_j)² + damping)``, with sums and means over
    these users. The blocked method also writes the sums Σ_u v_ui v_uj to `pair_sums`.
    """
    chosen, n_items = plan(values, params, max_memory), values.shape[1]
    if max_memory is not None and chosen.bytes > max_memory:
        expected = f"the similarity of {n_items:,} items may need {show_bytes(chosen.bytes)}."
        remedy = f"Lower n_neighbors (now {params.n_neighbors}) or raise max_memory."
        raise TooLarge(expected, parameter="max_memory", value=show_bytes(max_memory), remedy=remedy)
    if params.jaccard:  # it depends on which users rated, not on the ratings
        values = sp.csr_array((np.ones_like(values.data), values.indices, values.indptr), shape=values.shape)
    rows, n_neighbors = as_kernel_csr(values), min(n_items, params.n_neighbors or n_items)
    sizes, norms = sizes_and_norms(rows, n_items)
    if chosen.blocked:
        with shared_pool():
            parts = blocked_similarity(rows, norms, sizes, params.formula, n_neighbors, progress, pair_sums)
    else:
        parts = _row_wise(values, norms, params.formula, n_neighbors, progress)
    lengths, indices, data, common = parts
    indptr = to_indptr(lengths)
    return Similarity(*(as_item_matrix(x, indices, indptr) for x in (data, common)))


def _row_wise(
    values: Any,
    norms: Any,
    formula: kernels.SimilarityFormula,
    n_neighbors: int,
    progress: Progress | None,
) -> tuple[np.ndarray, ...]:
    """Return lengths, indices, values and common raters of all rows, computed row by row."""
    # the same order of users as in the blocked method, so that both methods give the same bits
    rows = values[np.argsort(-np.diff(values.indptr), kind="stable")]
    columns = rows.tocsc()
    by_user, by_item = as_kernel_csr(rows), as_kernel_csr(columns)

    def similarities(start: int, stop: int) -> tuple[np.ndarray, ...]:
        return kernels.similarity_rows(start, stop, by_item, by_user, norms, formula, n_neighbors)

    slices = split_by_cost(row_costs(columns, np.diff(by_user.indptr)) + values.shape[1], SLICE)
    return parallel_concatenate(similarities, slices, progress)
