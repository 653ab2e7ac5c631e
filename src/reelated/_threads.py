"""Parallel slices of work: progress is reported, Ctrl-C works, and results do not depend on the number of threads.

The kernels release the GIL, so plain threads run them in parallel. Unlike numba's own threading layer, this may be
entered from any number of threads at once, and slices of uneven cost balance across the cores.
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
"""A callback that receives the share of the work that is done, from 0 to 1."""


def n_threads() -> int:
    """Return the number of threads to use: numba's (`NUMBA_NUM_THREADS`), at most the container's CPU quota."""
    return min(numba.get_num_threads(), quota())


@cache
def quota(file: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return the CPU quota of the container in whole cores (Linux, cgroup 2), or `sys.maxsize` without one."""
    try:
        most, period = file.read_text(encoding="ascii").split()
        return max(1, int(most) // int(period))
    except (OSError, ValueError):
        return sys.maxsize


def slices_of(cost: npt.NDArray[np.integer | np.floating], budget: float) -> list[Slice]:
    """Split rows into slices `(start, stop)` of about `budget` cost each, at least one row."""
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
    """Share one thread pool among this thread's `in_order` calls: starting threads costs more than a small slice."""
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
    """Run `task(start, stop)` for every slice on all threads, and yield the results in the order of the slices.

    Only a few slices run ahead of the consumer, so that a stream stays small in memory. When the caller stops or is
    interrupted, slices that have not started are cancelled, and `called_off` is set for tasks that check it.
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
                # the caller works too: if it slept, the thread woken last could wait behind another on one core
                while not ahead[0][1].done():
                    if not _help(task, ahead):
                        wait([ahead[0][1]], timeout=0.2)  # without it Ctrl-C is not delivered on every system
                yield ahead.popleft()[1].result()
                ahead.extend((cut, pool.submit(task, *cut)) for cut in islice(waiting, 1))
                if progress:
                    progress((number + 1) / len(todo))
        finally:
            if called_off:
                called_off.set()
            wait([future for _, future in ahead if not future.cancel()])


def _help(task: Callable[[int, int], Result], ahead: "deque[tuple[Slice, Future[Result]]]") -> bool:
    """Run the first slice that no other thread has started, in the caller's thread; return whether there was one."""
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
