"""Object code on disk: archives in the wheel, or one file for each kernel, argument types and processor.

A checksum detects damaged machine code, which would crash the process. A kernel is compiled again if its file cannot
be read or written.
"""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from reelated._kernels import packaged_code

Loaded = TypeVar("Loaded")


def load(kernel: str, kinds: tuple[Any, ...], use: Callable[[bytes], Loaded]) -> Loaded | None:
    """Pass the code of a kernel to `use` and return the result; return None if the code is missing or damaged."""
    if (packaged := packaged_code.load(kernel, kinds)) is not None:
        return use(packaged)
    for folder in folders():
        with suppress(OSError, ValueError):
            return use(_verified(_path(folder, kernel, kinds)))
    return None


def save(kernel: str, kinds: tuple[Any, ...], code: bytes) -> None:
    """Save the code of a kernel in the first folder that can be written."""
    for folder in folders():
        path = _path(folder, kernel, kinds)
        part = path.with_suffix(f".{uuid.uuid4().hex}.part")  # two processes may compile at once
        try:
            folder.mkdir(parents=True, exist_ok=True)
            drop_stale(folder)
            part.write_bytes(_checksum(code) + code)
            os.replace(part, path)
        except OSError:
            with suppress(OSError):
                part.unlink()
        else:
            return


def folders() -> Iterator[Path]:
    """Yield the possible cache folders: `NUMBA_CACHE_DIR` if set, otherwise those of the package and of the user."""
    if chosen := os.environ.get("NUMBA_CACHE_DIR"):
        yield Path(chosen, "reelated")
        return
    yield Path(__file__).with_name("__pycache__")
    with suppress(RuntimeError):  # there is no home folder
        own = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        yield Path(own, "reelated", "kernels")


def _path(folder: Path, kernel: str, kinds: tuple[Any, ...]) -> Path:
    key = packaged_code.toolchain(), packaged_code.processor(), kinds
    return folder / f"{kernel}.{_source_tag()}.{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}.nbc"


def _checksum(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def _verified(path: Path) -> bytes:
    """Return the content of a cache file, or raise `ValueError` if its checksum differs."""
    checksum, content = (whole := path.read_bytes())[:32], whole[32:]
    if checksum != _checksum(content):
        raise ValueError("checksum differs")
    return content


def _source_tag() -> str:
    """Return the part of a file's name that is a hash of the source of all kernels."""
    return packaged_code.toolchain()[-1][:8]


@cache
def drop_stale(folder: Path) -> None:
    """Delete code compiled from other versions of the kernels."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.suffix in (".nbi", ".nbc", ".part") and f".{_source_tag()}." not in path.name:
                path.unlink()
