"""Numba compilation options and the cache of compiled code."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit


def njit_nogil(function: Callable[..., Any]) -> Any:
    """Compile at the first call, to run without the GIL; cache the machine code on disk."""
    return _njit(function)


def njit_no_alloc(function: Callable[..., Any]) -> Any:
    """Compile a kernel that allocates no arrays, without reference counts, which cost more than most inner loops."""
    # error_model="numpy": a division by zero gives inf or NaN instead of an exception path in every loop
    return _njit(function, _nrt=False, error_model="numpy")


def _njit(function: Callable[..., Any], **options: Any) -> Any:
    """Compile with the on-disk cache, or without it where no folder is writable."""
    try:
        compiled = njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:
        return njit(nogil=True, **options)(function)
    if folder := getattr(getattr(compiled, "_cache", None), "cache_path", None):
        drop_stale_cache(folder)
    return compiled


@cache
def drop_stale_cache(folder: str) -> None:
    """Delete cache indexes older than the newest source file: numba fails on one that names removed types."""
    try:
        newest = max(source.stat().st_mtime for source in Path(__file__).parent.glob("*.py"))
        for index in Path(folder).glob("*.nbi"):
            if index.stat().st_mtime < newest:
                index.unlink()
    except OSError:
        pass
