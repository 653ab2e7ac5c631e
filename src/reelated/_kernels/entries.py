"""Checks of a CSR matrix that SciPy omits and the kernels rely on: they check no bounds."""

import numpy as np

from reelated._kernels.compiling import kernel


@kernel
def look_over(indptr, indices, data, n_columns):
    """Return whether all entries lie inside the matrix, whether columns ascend, and whether all values are finite.

    inside = (0 <= indices).all() and (indices < n_columns).all() and (np.diff(indptr) >= 0).all()
    """
    n_entries, ascending, finite = len(indices), True, True
    if indptr[0] != 0 or len(data) < n_entries:
        return False, False, False
    for r in range(len(indptr) - 1):
        begin, end, last = indptr[r], indptr[r + 1], np.int64(-1)
        if end < begin or end > n_entries:
            return False, False, False
        for p in range(begin, end):
            column = np.int64(indices[p])
            if column < 0 or column >= n_columns:
                return False, False, False
            ascending &= column > last
            last = column
    for p in range(n_entries):
        finite &= np.isfinite(data[p])
    return True, ascending, finite
