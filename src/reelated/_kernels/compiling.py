"""Numba compilation options, and the CSR form that the kernels take."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit


class CSR(NamedTuple):
    """A CSR matrix: row `r` holds the columns `indices[indptr[r]:indptr[r + 1]]`, ascending, and their `data`."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first call, to run without the GIL; cache the machine code on disk."""
    return _compiled(function)


def tight(function: Callable[..., Any]) -> Any:
    """Compile a kernel that allocates no arrays.

    Without allocation numba needs no reference counts, which cost more than most inner loops.
    """
    # error_model="numpy": a division by zero gives inf or NaN instead of an exception path in every loop
    return _compiled(function, _nrt=False, error_model="numpy")


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile with the on-disk cache, or without it where no folder is writable."""
    try:
        compiled = njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:
        return njit(nogil=True, **options)(function)
    if folder := getattr(getattr(compiled, "_cache", None), "cache_path", None):
        drop_stale(folder)
    return compiled


@cache
def drop_stale(folder: str) -> None:
    """Delete cache indexes older than the newest source file: numba fails on one that names removed types."""
    try:
        newest = max(source.stat().st_mtime for source in Path(__file__).parent.glob("*.py"))
        for index in Path(folder).glob("*.nbi"):
            if index.stat().st_mtime < newest:
                index.unlink()
    except OSError:
        pass
