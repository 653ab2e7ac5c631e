"""LAPACK's solution of a small symmetric system, as SciPy brings it, without the interpreter's lock.

SciPy's own wrapper holds the lock while it solves, so that threads would wait for each other.
"""

import numpy as np
from llvmlite import binding
from numba import types
from numba.extending import get_cython_function_address

from reelated._kernels.compiling import kernel


def _posv(letter):
    """Return LAPACK's `posv` of one type of number; compiled code finds it by its name, wherever it is loaded."""
    name = f"reelated_{letter}posv"
    binding.add_symbol(name, get_cython_function_address("scipy.linalg.cython_lapack", f"{letter}posv"))
    return types.ExternalFunction(name, types.void(*[types.uintp] * 8))


_sposv, _dposv = _posv("s"), _posv("d")


@kernel
def solve_positive(system, solution):
    """Replace the right hand side by the solution, and say whether there was one; what is left of `system` is no use.

    The part of `system` up to the diagonal is read, and written over.
    """
    n, right_sides, failed = np.array([len(system)]), np.array([1]), np.array([0])
    half = np.array([ord("U")], np.uint8)  # LAPACK counts by columns
    pointers = (half.ctypes.data, n.ctypes.data, right_sides.ctypes.data, system.ctypes.data, n.ctypes.data,
                solution.ctypes.data, n.ctypes.data, failed.ctypes.data)  # fmt: skip
    if system.itemsize == 4:
        _sposv(*pointers)
    else:
        _dposv(*pointers)
    return failed[0] == 0
