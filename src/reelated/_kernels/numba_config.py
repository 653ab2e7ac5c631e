"""Numba compilation options and the cache of compiled code."""

import hashlib
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core.caching import IndexDataCacheFile


def njit_nogil(function: Callable[..., Any]) -> Any:
    """Compile at the first call, to run without the GIL; cache the machine code on disk.

    A kernel allocates no arrays: its caller passes those that it writes to. Without reference counts, inner loops are
    faster and compile in a fraction of the time, and so do divisions without an exception (by 0: infinite or NaN).
    """
    # the kernels have no interpreted form: NUMBA_DISABLE_JIT, for debugging other code, does not apply to them
    disabled, config.DISABLE_JIT = config.DISABLE_JIT, 0
    try:
        return _compiled(function)
    finally:
        config.DISABLE_JIT = disabled


def _compiled(function: Callable[..., Any]) -> Any:
    """Return a kernel with the cache on disk, or without it where no folder is writable."""
    options = {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}
    try:
        compiled = njit(cache=True, **options)(function)
    except RuntimeError:
        return njit(**options)(function)
    if folder := getattr(getattr(compiled, "_cache", None), "cache_path", None):
        drop_stale_cache(folder)
        if type(getattr(compiled._cache, "_cache_file", None)) is IndexDataCacheFile:
            compiled._cache._cache_file.__class__ = CheckedCacheFile
    return compiled


class CheckedCacheFile(IndexDataCacheFile):  # type: ignore[misc]
    """Numba's files of one function, with a checksum in front: damaged machine code would crash the process.

    What cannot be read or written is compiled again.
    """

    def save(self, key: Any, data: Any) -> None:
        """Save the compiled code of a signature, if the disk allows it."""
        with suppress(OSError):
            super().save(key, data)

    def load(self, key: Any) -> Any:
        """Return the compiled code of a signature; None if there is none, or it is damaged."""
        with suppress(Exception):  # also of pickle, for types that a former version had
            return super().load(key)

    def _load_index(self) -> Any:
        try:
            index = BytesIO(_verified(self._index_path))
            if pickle.load(index) != self._version:  # noqa: S301  # numba's own format
                return {}
            stamp, overloads = pickle.load(index)  # noqa: S301
        except Exception:
            return {}
        return overloads if stamp == self._source_stamp else {}

    def _load_data(self, name: str) -> Any:
        return pickle.loads(_verified(self._data_path(name)))  # noqa: S301

    @contextmanager
    def _open_for_write(self, filepath: str) -> Iterator[BytesIO]:
        content = BytesIO()
        yield content
        with super()._open_for_write(filepath) as file:
            file.write(_checksum(content.getvalue()) + content.getvalue())


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _verified(path: str) -> bytes:
    """Return the content of a cache file, or raise `ValueError` if its checksum differs."""
    checksum, content = (whole := Path(path).read_bytes())[:32], whole[32:]
    if checksum != _checksum(content):
        raise ValueError("checksum differs")
    return content


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
