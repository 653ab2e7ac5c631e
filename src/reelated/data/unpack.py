"""Decompression of a file, and the packages that some formats need."""

import bz2
import gzip
import importlib
import io
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import polars as pl

from reelated.data.room import check_room, max_unpacked
from reelated.errors import InputError, not_installed

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
# a damaged binary file can make polars panic, which is no `Exception`
POLARS_ERRORS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_PART = 1 << 20
_DAMAGE = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)


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
        return required("zstandard", "formats").ZstdDecompressor().stream_reader(file)
    opener: Any = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}[kind]
    return opener(file)


def decompress_start(data: bytes, n_bytes: int) -> bytes:
    """Return the first bytes of the content, as far as they can be unpacked."""
    kind = compression(data)
    try:
        if kind == "gzip":
            return zlib.decompressobj(31).decompress(data, n_bytes)
        if kind == "xz":
            return lzma.LZMADecompressor().decompress(data, n_bytes)
        if kind == "bzip2":
            return bz2.BZ2Decompressor().decompress(data, n_bytes)
        return _zstd(data, n_bytes) if kind else data[:n_bytes]
    except _DAMAGE:
        return b""


def _zstd(data: bytes, n_bytes: int = -1) -> bytes:
    return bytes(required("zstandard", "formats").ZstdDecompressor().stream_reader(data).read(n_bytes))


def required(package: str, extra: str) -> Any:
    """Import an optional package, or raise `InputError` with the line that installs it."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise InputError(f"{not_installed(package, extra)}, or: pip install {package}") from None
