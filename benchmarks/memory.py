"""The peak of this process's memory during one piece of work, above what it held before."""

import contextlib
import ctypes
import gc
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROCESS = Path("/proc/self")


def measured(work: Callable[[], Any], *, memory: bool) -> tuple[Any, dict[str, Any]]:
    """Return what the work gives and its seconds, or the bytes of its peak above the start (None where not known).

    One or the other: looking at memory begins with giving all that is free back, which makes the work slower.
    """
    gc.collect()
    before = fresh_start() if memory else None
    start = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - start
    if memory:
        return result, {"peak": None if before is None else max(0, resident("VmHWM") - before)}
    return result, {"seconds": seconds}


def fresh_start() -> int | None:
    """Give free memory back, forget the peak so far and return the bytes held now; None where there is no /proc."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        (PROCESS / "clear_refs").write_text("5")
        return resident("VmRSS")
    except OSError:
        return None


def resident(what: str) -> int:
    """Return a line of the process's status in bytes."""
    for line in (PROCESS / "status").read_text().splitlines():
        if line.startswith(what + ":"):
            return int(line.split()[1]) * 1024
    raise OSError(f"no {what} in {PROCESS / 'status'}")
