"""`check_room`: refuse a source whose content does not fit into memory before it is unpacked.

A few kilobytes can unpack to any size, and running out of memory ends the process without a message.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import polars as pl

from reelated.errors import InputError, check_memory, show_bytes

VARIABLE = "REELATED_MAX_UNPACKED"
ROW_BYTES = 50  # half of the memory of a row (ids, rating, time) at the peak of reading
_VIEW_BYTES = 16  # overhead of a text in a column


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
    """Return the bytes of a value in a column."""
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
