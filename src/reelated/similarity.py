"""From ratings to the item × item similarity: pure functions of sparse matrices."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated._threads import Progress, in_order, slices_of
from reelated.errors import TooLarge, show_bytes

SLICE = 2e8
"""Products of one slice of work: about a third of a second."""


class Measure(NamedTuple):
    """Which similarity, and how it treats pairs with little evidence.

    Attributes
    ----------
    jaccard : bool
        Common raters over all raters, instead of the cosine of the values.
    shrinkage : float
        Multiply by `c / (c + shrinkage)`, `c` = common raters.
    damping : float
        Add to the denominator.
    min_common : int
        Fewer common raters than this: not similar.
    positive_only : bool
        Drop negative similarities.
    n_neighbors : int or None
        Most neighbours kept in a row, the strongest by absolute value; None keeps all.
    """

    jaccard: bool = False
    shrinkage: float = 0.0
    damping: float = 0.0
    min_common: int = 1
    positive_only: bool = True
    n_neighbors: int | None = None


class Similarity(NamedTuple):
    """Two matrices of one shape and pattern, items × items, columns ascending, no diagonal.

    Attributes
    ----------
    values : scipy.sparse.csr_array
        The similarity; row `i` holds the items that predict `i`.
    common : scipy.sparse.csr_array of int32
        The number of people who rated both.
    """

    values: sp.csr_array
    common: sp.csr_array


def as_kernel_csr(matrix: Any) -> kernels.CSR:
    """Hand a SciPy matrix to the kernels: row pointers of 64 bits, numbers of 32."""
    indptr, indices = matrix.indptr.astype(np.int64, copy=False), matrix.indices.astype(np.int32, copy=False)
    return kernels.CSR(indptr, indices, np.asarray(matrix.data))


def column_norms(values: Any) -> npt.NDArray[np.float64]:
    """Return the Euclidean norm of every zero-filled column."""
    squares = np.square(values.data, dtype=np.float64)
    return np.sqrt(np.bincount(values.indices, weights=squares, minlength=values.shape[1]))


def products_of(by_item: Any, row_lengths: npt.NDArray[np.integer]) -> npt.NDArray[np.float64]:
    """Return for each item the products that its row of the similarity takes: Σ over raters of their row's length."""
    total = np.concatenate([[0.0], np.cumsum(row_lengths[by_item.indices], dtype=np.float64)])
    return np.diff(total[by_item.indptr])


def plan_bytes(values: Any, measure: Measure) -> int:
    """Return the most bytes that `similarity` may take beside its input, workspaces and result included."""
    n_items = values.shape[1]
    width = 8 + 4 + 4  # a float64 similarity, a number, a count of common raters
    per_row = min(n_items, measure.n_neighbors or n_items)
    transposed = values.nnz * (4 + values.data.itemsize)
    return int(n_items * per_row * width * 2 + transposed + 64 * n_items)


def similarity(
    values: Any, measure: Measure, *, max_memory: int | None = None, progress: Progress | None = None
) -> Similarity:
    """Compute the neighbours of every column of a users × items matrix.

    ``s_ij = Σ_u v_ui v_uj / (‖v_i‖ ‖v_j‖ + damping) · c_ij / (c_ij + shrinkage)``, where `c_ij` counts the users who
    rated both (Sarwar et al. 2001, §3.1; the shrinkage is that of Bell & Koren 2007, §4.2). With `jaccard` the first
    factor is ``c_ij / (c_i + c_j − c_ij + damping)``.

    Parameters
    ----------
    values : scipy.sparse CSR, shape (n_users, n_items), float32 or float64
        What the similarity is taken of: ratings, or ratings less an offset. A stored zero counts as a rating.
    measure : Measure
        The formula's parameters.
    max_memory : int, optional
        The most bytes that the result and the work may take.
    progress : callable, optional
        Called with the share that is done.

    Returns
    -------
    Similarity

    Raises
    ------
    TooLarge
        More than `max_memory` bytes may be needed.
    """
    needed, n_items = plan_bytes(values, measure), values.shape[1]
    if max_memory is not None and needed > max_memory:
        raise TooLarge(
            f"max_memory={show_bytes(max_memory)}: the similarity of {n_items:,} items may need "
            f"{show_bytes(needed)}. Lower n_neighbors (now {measure.n_neighbors}) or raise max_memory."
        )
    by_user, columns = as_kernel_csr(values), values.tocsc()
    by_item, norms = as_kernel_csr(columns), column_norms(values)
    rule = kernels.Rule(*(type_(x) for type_, x in zip((bool, float, float, int, bool), measure, strict=False)))
    keep = min(n_items, measure.n_neighbors or n_items)

    def rows(start: int, stop: int) -> tuple[np.ndarray, ...]:
        return kernels.similarity_rows(start, stop, by_item, by_user, norms, rule, keep)  # type: ignore[no-any-return]

    slices = slices_of(products_of(columns, np.diff(by_user.indptr)) + n_items, SLICE)
    parts = list(in_order(rows, slices, progress))
    lengths, indices, data, common = (np.concatenate(part) for part in zip(*parts, strict=True))
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    return Similarity(*(sp.csr_array((x, indices, indptr), shape=(n_items, n_items)) for x in (data, common)))
