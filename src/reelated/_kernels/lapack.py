"""LAPACK's solver of small positive definite systems, called in SciPy's copy without the GIL.

SciPy's own wrapper holds the GIL while it solves, so threads would wait for each other.
"""

import numpy as np
from llvmlite import binding
from numba import types
from numba.extending import get_cython_function_address

from reelated._kernels.compiling import kernel


def _posv(letter):
    """Register LAPACK's `posv` for one number type as a symbol, and return it."""
    # by name, because the address differs in each process and the machine code is cached on disk
    name = f"reelated_{letter}posv"
    binding.add_symbol(name, get_cython_function_address("scipy.linalg.cython_lapack", f"{letter}posv"))
    return types.ExternalFunction(name, types.void(*[types.uintp] * 8))


_sposv, _dposv = _posv("s"), _posv("d")


@kernel
def solve_positive(system, solution):
    """Replace the right-hand side by the solution; return whether the system is positive definite.

    Only the lower triangle of `system` is read; it is overwritten.
    """
    n, right_sides, failed = np.array([len(system)]), np.array([1]), np.array([0])
    half = np.array([ord("U")], np.uint8)  # LAPACK is column-major: its upper triangle is the lower one here
    pointers = (half.ctypes.data, n.ctypes.data, right_sides.ctypes.data, system.ctypes.data, n.ctypes.data,
                solution.ctypes.data, n.ctypes.data, failed.ctypes.data)  # fmt: skip
    if system.itemsize == 4:
        _sposv(*pointers)
    else:
        _dposv(*pointers)
    return failed[0] == 0
