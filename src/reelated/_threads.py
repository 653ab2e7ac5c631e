"""Slices of work on several threads: progress shows, Ctrl-C works, and the result never depends on the number.

The kernels release the interpreter's lock, so plain threads run them side by side. Unlike numba's own threading layer
this may be entered from any number of threads at once, and slices of uneven cost share the cores by themselves.
"""

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext
from functools import cache
from itertools import islice
from pathlib import Path
from threading import Event
from typing import TypeVar

import numba
import numpy as np
import numpy.typing as npt

Slice = tuple[int, int]
Result = TypeVar("Result")
Progress = Callable[[float], None]
"""Called with the share of the work that is done, from 0 to 1."""


def n_threads() -> int:
    """Return how many threads to use: numba's number, which `NUMBA_NUM_THREADS` sets, within the container's limit."""
    return min(numba.get_num_threads(), quota())


@cache
def quota(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return how many cores' time a container may take (Linux, cgroup 2); where nothing is said, as good as any."""
    try:
        most, period = file.read_text(encoding="ascii").split()
        return max(1, int(most) // int(period))
    except (OSError, ValueError):
        return sys.maxsize


def slices_of(cost: npt.NDArray[np.integer | np.floating], budget: float) -> list[Slice]:
    """Cut rows into stretches `(start, stop)` of about `budget` cost each, at least one row."""
    total = np.concatenate([[0], np.cumsum(cost, dtype=np.float64)])
    cuts, start = [], 0
    while start < len(cost):
        stop = max(int(np.searchsorted(total, total[start] + budget, side="right")) - 1, start + 1)
        cuts.append((start, stop))
        start = stop
    return cuts


_kept = threading.local()


@contextmanager
def crew() -> Iterator[None]:
    """Let every `in_order` of this thread take the same threads: to start some takes longer than a small slice."""
    with ThreadPoolExecutor(max(n_threads() - 1, 1)) as _kept.pool:
        try:
            yield
        finally:
            del _kept.pool


def in_order(
    task: Callable[[int, int], Result],
    slices: Iterable[Slice],
    progress: Progress | None = None,
    called_off: Event | None = None,
) -> Iterator[Result]:
    """Run `task(start, stop)` for every slice on all threads and yield the results in the order of the slices.

    The caller's thread is one of them: were it to sleep, the last to be woken could wait behind another on one core. At
    most a few slices run ahead of what has been taken, so that a stream stays small in memory. When the caller
    stops or is interrupted, what has not begun is cancelled, and `called_off` is set for tasks that look at it.
    """
    todo = list(slices)
    workers = min(n_threads(), len(todo))
    if workers <= 1:
        for start, stop in _counted(todo, progress):
            yield task(start, stop)
        return
    kept = getattr(_kept, "pool", None)
    with nullcontext(kept) if kept else ThreadPoolExecutor(workers - 1) as pool:
        waiting = iter(todo)
        ahead = deque((cut, pool.submit(task, *cut)) for cut in islice(waiting, 2 * workers))
        try:
            for number in range(len(todo)):
                while not ahead[0][1].done():
                    if not _help(task, ahead):
                        wait([ahead[0][1]], timeout=0.2)  # untimed it would not let Ctrl-C through on every system
                yield ahead.popleft()[1].result()
                ahead.extend((cut, pool.submit(task, *cut)) for cut in islice(waiting, 1))
                if progress:
                    progress((number + 1) / len(todo))
        finally:
            if called_off:
                called_off.set()
            wait([future for _, future in ahead if not future.cancel()])


def _help(task: Callable[[int, int], Result], ahead: "deque[tuple[Slice, Future[Result]]]") -> bool:
    """Work on the first slice that no other thread has begun; say whether there was one."""
    for at, (cut, future) in enumerate(ahead):
        if future.cancel():
            done: Future[Result] = Future()
            ahead[at] = cut, done
            try:
                done.set_result(task(*cut))
            except Exception as error:
                done.set_exception(error)
            return True
    return False


def _counted(todo: list[Slice], progress: Progress | None) -> Iterator[Slice]:
    for number, cut in enumerate(todo):
        if progress:
            progress(number / len(todo))
        yield cut
    if progress:
        progress(1.0)
