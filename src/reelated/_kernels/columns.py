"""Column-wise passes over a CSR matrix."""

import numpy as np

from reelated._kernels.compiling import tight


@tight
def add_columns(rows, sizes, squares):
    """Add the number of entries of each column to `sizes` and the sum of their squares to `squares`."""
    for p in range(len(rows.indices)):
        column, value = np.uint32(rows.indices[p]), np.float64(rows.data[p])
        sizes[column] += 1
        squares[column] += value * value


@tight
def transpose(rows, indptr, indices, data):
    """Convert CSR to CSC, rows ascending in each column; `indptr` comes zeroed, with one spare element."""
    # scipy.sparse.csr_array.tocsc() as a counting sort: two passes over the entries
    for p in range(len(rows.indices)):
        indptr[np.int64(rows.indices[p]) + 2] += 1
    for column in range(2, len(indptr)):
        indptr[column] += indptr[column - 1]
    for row in range(len(rows.indptr) - 1):
        for p in range(rows.indptr[row], rows.indptr[row + 1]):
            at = indptr[np.int64(rows.indices[p]) + 1]  # the column's write position; in the end, where the next begins
            indices[at], data[at] = row, rows.data[p]
            indptr[np.int64(rows.indices[p]) + 1] += 1
