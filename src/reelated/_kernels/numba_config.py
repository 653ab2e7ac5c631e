"""Numba compilation options and the cache of compiled code."""

import hashlib
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache, IndexDataCacheFile, UserWideCacheLocator
from numba.core.dispatcher import Dispatcher

from reelated._kernels import packaged_code


def njit_nogil(function: Callable[..., Any]) -> Any:
    """Compile at the first call, to run without the GIL; cache the machine code on disk."""
    return _njit(function)


def njit_no_alloc(function: Callable[..., Any]) -> Any:
    """Compile a kernel that allocates no arrays, without reference counts, which cost more than most inner loops."""
    # error_model="numpy": a division by zero gives inf or NaN instead of an exception path in every loop
    return _njit(function, _nrt=False, error_model="numpy")


def _njit(function: Callable[..., Any], **options: Any) -> Any:
    """Compile with a cache: code from the wheel, else from the disk if a folder is writable."""
    compiled = njit(nogil=True, **options)(function)
    if isinstance(compiled, Dispatcher):  # a plain function with NUMBA_DISABLE_JIT=1
        compiled._cache = KernelCache(function)
    return compiled


class NoFolder(UserWideCacheLocator):  # type: ignore[misc]
    """The last choice, where no folder is writable: code from the wheel is loaded, and nothing is saved."""

    def ensure_cache_path(self) -> None:
        """Accept a folder that does not exist."""


class KernelCacheImpl(CompileResultCacheImpl):  # type: ignore[misc]
    """Where and how the code of kernels is kept."""

    _locator_classes = (*CompileResultCacheImpl._locator_classes, NoFolder)


class KernelCache(FunctionCache):  # type: ignore[misc]
    """The cache of one kernel."""

    _impl_class = KernelCacheImpl

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        drop_stale_cache(self.cache_path)
        self._cache_file.__class__ = CheckedCacheFile


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
        if (packaged := packaged_code.load(self._index_name, key)) is not None:
            return packaged
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
