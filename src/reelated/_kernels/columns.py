"""What is read down the columns of a matrix that is kept by rows."""

import numpy as np

from reelated._kernels.compiling import tight


@tight
def add_columns(rows, sizes, squares):
    """Add to `sizes` how many entries each column has, and to `squares` their squares."""
    for p in range(len(rows.indices)):
        column, value = np.uint32(rows.indices[p]), np.float64(rows.data[p])
        sizes[column] += 1
        squares[column] += value * value


@tight
def transpose(rows, indptr, indices, data):
    """Write the matrix by columns, rows ascending in each; `indptr` comes with zeros and one place to spare."""
    for p in range(len(rows.indices)):
        indptr[np.int64(rows.indices[p]) + 2] += 1
    for column in range(2, len(indptr)):
        indptr[column] += indptr[column - 1]
    for row in range(len(rows.indptr) - 1):
        for p in range(rows.indptr[row], rows.indptr[row + 1]):
            at = indptr[np.int64(rows.indices[p]) + 1]
            indices[at], data[at] = row, rows.data[p]
            indptr[np.int64(rows.indices[p]) + 1] += 1
