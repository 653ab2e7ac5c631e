"""Numba compilation options and the cache of compiled code."""

import hashlib
import os
import pickle
import uuid
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba import config, njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache, UserWideCacheLocator
from numba.core.serialize import dumps

from reelated._kernels import packaged_code


def njit_nogil(function: Callable[..., Any]) -> Any:
    """Compile at the first call, to run without the GIL; cache the machine code on disk.

    A kernel allocates no arrays: its caller passes those that it writes to. Without reference counts, inner loops are
    faster and compile in a fraction of the time, and so do divisions without an exception (by 0: infinite or NaN).
    """
    # the kernels have no interpreted form: NUMBA_DISABLE_JIT, for debugging other code, does not apply to them
    disabled, config.DISABLE_JIT = config.DISABLE_JIT, 0
    try:
        compiled = njit(nogil=True, error_model="numpy", _nrt=False, no_cfunc_wrapper=True)(function)
    finally:
        config.DISABLE_JIT = disabled
    compiled._cache = KernelCache(function)
    return compiled


class NoFolder(UserWideCacheLocator):  # type: ignore[misc]
    """The last choice, where no folder is writable: packaged code is loaded, and nothing is saved."""

    def ensure_cache_path(self) -> None:
        """Accept a folder that does not exist."""


class KernelCacheImpl(CompileResultCacheImpl):  # type: ignore[misc]
    """How the code of kernels is found and written."""

    _locator_classes = (*getattr(CompileResultCacheImpl, "_locator_classes"), NoFolder)  # noqa: B009  # numba offers no other way


class KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function, with files of its own."""

    _impl_class = KernelCacheImpl

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        drop_stale_cache(self.cache_path)
        self._cache_file = KernelFiles(self.cache_path, self._impl.filename_base)


class KernelFiles:
    """The compiled code of one kernel: from the wheel, else a file for each signature and processor.

    Two processes that compile at once write the same files; numba's own share an index, which then loses an entry or
    names the code of another signature. A checksum in front finds damaged machine code, which would crash the process.
    What cannot be read or written is compiled again.
    """

    def __init__(self, folder: str, kernel: str) -> None:
        self.folder, self.kernel = Path(folder), kernel

    def path(self, key: Any) -> Path:
        """Return the file of numba's cache key."""
        digest = hashlib.sha256(repr((packaged_code.toolchain(), key)).encode()).hexdigest()
        return self.folder / f"{self.kernel}.{source_tag()}.{digest[:32]}.nbc"

    def save(self, key: Any, data: Any) -> None:
        """Save the compiled code of a signature, if the disk allows it."""
        content, path = dumps(data), self.path(key)
        part = path.with_suffix(f".{uuid.uuid4().hex}.part")
        try:
            part.write_bytes(_checksum(content) + content)
            os.replace(part, path)
        except OSError:
            with suppress(OSError):
                part.unlink()

    def load(self, key: Any) -> Any:
        """Return the compiled code of a signature; None if there is none, or it is damaged."""
        if (packaged := packaged_code.load(self.kernel, key)) is not None:
            return packaged
        with suppress(Exception):
            return pickle.loads(_verified(self.path(key)))  # noqa: S301  # numba's own format
        return None


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _verified(path: Path) -> bytes:
    """Return the content of a cache file, or raise `ValueError` if its checksum differs."""
    checksum, content = (whole := path.read_bytes())[:32], whole[32:]
    if checksum != _checksum(content):
        raise ValueError("checksum differs")
    return content


def source_tag() -> str:
    """Return the part of a file's name that stands for the source of all kernels."""
    return packaged_code.toolchain()[-1][:8]


@cache
def drop_stale_cache(folder: str) -> None:
    """Delete code compiled from other sources, of which there would be ever more."""
    with suppress(OSError):
        for path in Path(folder).iterdir():
            if path.suffix in (".nbi", ".nbc", ".part") and f".{source_tag()}." not in path.name:
                path.unlink()
