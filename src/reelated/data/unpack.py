"""Decompression within the free memory, and the packages that some formats need.

A few kilobytes can unpack to any size, and running out of memory ends the process without a message.
"""

import bz2
import gzip
import io
import lzma
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl

from reelated.errors import InputError, check_memory, import_optional, show_bytes

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
# a damaged binary file can make polars panic, which is not an `Exception`
POLARS_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_PART = 1 << 20
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)
VARIABLE = "REELATED_MAX_UNPACKED"
ROW_BYTES = 50  # half of the memory of a row (ids, rating, time) at the peak of reading
_VIEW_BYTES = 16  # overhead of a string in a column


@contextmanager
def quiet_panics() -> Iterator[None]:
    """Discard what the process writes to standard error: polars prints a trace when it panics on damaged data."""
    try:
        saved, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    except OSError:  # no standard error
        yield
        return
    try:
        os.dup2(sink, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(sink)


def compression(data: bytes) -> str:
    """Return how data are compressed; empty if they are not."""
    return next((kind for magic, kind in _MAGIC.items() if data.startswith(magic)), "")


def decompress(label: str, data: bytes) -> bytes:
    """Return the content of a compressed file, or raise `InputError`."""
    kind = compression(data)
    try:
        content = read_limited(label, _opened(kind, data))
    except InputError:
        raise
    except Exception as error:  # each library has its own errors
        if not isinstance(error, _DAMAGE) and type(error).__name__ != "ZstdError":
            raise
        raise InputError(f"{label}: the {kind} file is damaged or cut short. Get it again.") from None
    if compression(content):
        raise InputError(f"{label}: it is compressed more than once. Unpack it first.")
    return content


def read_limited(label: str, file: BinaryIO) -> bytes:
    """Return the rest of a file, or raise `InputError` once it is larger than `max_unpacked`."""
    content, limit = io.BytesIO(), max_unpacked()  # `BytesIO.getvalue` does not copy
    while part := file.read(_PART):
        content.write(part)
        if content.tell() > limit:
            check_room(label, content.tell(), at_least=True)
    return content.getvalue()


def _opened(kind: str, data: bytes) -> Any:
    """Open compressed data as a file of the content."""
    file = io.BytesIO(data)
    if kind == "zstd":
        return import_optional("zstandard", "formats").ZstdDecompressor().stream_reader(file)
    opener: Any = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}[kind]
    return opener(file)


def decompress_start(data: bytes, n_bytes: int) -> bytes:
    """Return the first bytes of the content, as many as can be unpacked."""
    kind = compression(data)
    try:
        if kind == "gzip":
            return zlib.decompressobj(31).decompress(data, n_bytes)
        if kind == "xz":
            return lzma.LZMADecompressor().decompress(data, n_bytes)
        if kind == "bzip2":
            return bz2.BZ2Decompressor().decompress(data, n_bytes)
        return bytes(_opened(kind, data).read(n_bytes)) if kind else data[:n_bytes]
    except _DAMAGE:
        return b""


# ----------------------------------------------------------------------------------------------------------- memory
def check_room(label: str, n_bytes: int, *, at_least: bool = False) -> None:
    """Raise `InputError` if this number of bytes exceeds the limit."""
    limit = max_unpacked()
    if n_bytes <= limit:
        return
    found = f"{'more than ' if at_least else ''}{show_bytes(limit if at_least else n_bytes)}"
    where = f"the limit in {VARIABLE}" if os.environ.get(VARIABLE) else "half of the free memory"
    enough = _rounded_up(max(n_bytes, 2 * limit))
    raise InputError(
        f"{label}: its content takes {found} when it is unpacked. Expected at most {show_bytes(limit)}, {where}.",
        remedy=f"Read a part of it, free some memory, or allow more, such as {VARIABLE}={enough}.",
    )


def check_rows(label: str, n_rows: int, dtypes: Iterable[pl.DataType]) -> None:
    """Raise `InputError` if a table with this number of rows exceeds the limit."""
    check_room(label, n_rows * max(ROW_BYTES, sum(map(_width, dtypes))))


def _width(dtype: pl.DataType) -> int:
    """Return the size of one value of a column in bytes."""
    return 8 if dtype.is_numeric() or dtype.is_temporal() else _VIEW_BYTES


def _rounded_up(n_bytes: int) -> str:
    """Format the limit that would be sufficient, rounded up."""
    return f"{-(-n_bytes // 10**9)}GB" if n_bytes >= 10**9 else f"{-(-n_bytes // 10**6)}MB"


def max_unpacked() -> int:
    """Return the limit in bytes: that in the environment, or half of the free memory, because reading makes a copy."""
    text = os.environ.get(VARIABLE)
    limit = check_memory(VARIABLE, text) if text else free_memory() // 2
    return sys.maxsize if limit is None else limit


def free_memory() -> int:
    """Return how many bytes this process can still allocate; `sys.maxsize` if unknown."""
    return min(_available(), _container_limit(), _left_of_address_space())


def _available(path: Path = Path("/proc/meminfo")) -> int:
    """Return the available memory of the machine, or its total memory if that is unknown."""
    try:
        lines = dict(line.split(":", 1) for line in path.read_text(encoding="ascii").splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):  # Windows has no sysconf
        return sys.maxsize


def _container_limit(path: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Return the memory limit of the container (Linux, cgroup 2)."""
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max" is no limit
        return sys.maxsize


def _left_of_address_space() -> int:
    """Return the address space left by `ulimit -v`."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except (ImportError, OSError, ValueError):
        return sys.maxsize
    return sys.maxsize if limit == resource.RLIM_INFINITY else max(0, limit - pages * resource.getpagesize())
