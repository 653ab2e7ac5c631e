"""Files that are written completely or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def atomic_write(file: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces the file at the end: a reader never sees half a file."""
    temporary = file.with_name(f".{file.name}-{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())  # before the rename: after a crash the file is the old or the new one
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
