"""How the kernels are compiled, and the one form in which they take a sparse matrix."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit


class CSR(NamedTuple):
    """A sparse matrix by rows: row `r` holds `indices[indptr[r]:indptr[r + 1]]`, ascending, with their `data`."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


def kernel(function: Callable[..., Any]) -> Any:
    """Compile on first use and keep the machine code on disk."""
    return _compiled(function)


def tight(function: Callable[..., Any]) -> Any:
    """Compile a kernel that makes no arrays.

    It does not count references to those that it is given: counting costs more than most inner loops.
    """
    return _compiled(function, _nrt=False, error_model="numpy")


def _compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile with the machine code kept on disk; where nothing can be written, do without."""
    try:
        compiled = njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:
        return njit(nogil=True, **options)(function)
    if folder := getattr(getattr(compiled, "_cache", None), "cache_path", None):
        drop_stale(folder)
    return compiled


@cache
def drop_stale(folder: str) -> None:
    """Remove the index of what an earlier version compiled: numba fails on one that names types which are gone."""
    try:
        newest = max(source.stat().st_mtime for source in Path(__file__).parent.glob("*.py"))
        for index in Path(folder).glob("*.nbi"):
            if index.stat().st_mtime < newest:
                index.unlink()
    except OSError:
        pass
