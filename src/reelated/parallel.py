"""Parallel slices of work: progress is reported, Ctrl-C works, and results do not depend on the number of threads.

The kernels release the GIL, so plain threads run them in parallel. Unlike numba's threading layer, these
functions may be called from several threads at once, and they balance slices of uneven cost across the cores.
"""

import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from reelated.errors import InputError

Slice = tuple[int, int]
Result = TypeVar("Result")
Progress = Callable[[float], None]
"""A callback that receives the fraction of the work that is done, from 0 to 1."""


def part_of(progress: Progress | None, place: int, parts: int) -> Progress | None:
    """Return a callback for one of several equal parts of a task."""
    return None if progress is None else lambda done: progress((place + done) / parts)


def n_threads() -> int:
    """Return the number of threads to use: numba's (`NUMBA_NUM_THREADS`), at most the container's CPU quota."""
    numba = sys.modules.get("numba")  # importing numba takes longer than most uses of a saved model
    if numba is not None:
        return min(numba.get_num_threads(), cpu_quota())
    return min(int(os.environ.get("NUMBA_NUM_THREADS") or _n_cores()), cpu_quota())


def use_one_thread() -> None:
    """Use one thread in this process, whose parent already runs one process on each core."""
    os.environ["NUMBA_NUM_THREADS"] = "1"
    if "numba" in sys.modules:
        sys.modules["numba"].set_num_threads(1)


def _n_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@cache
def cpu_quota(path: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return the CPU quota of the container in whole cores (Linux, cgroup 2), or `sys.maxsize` without one."""
    try:
        quota, period = path.read_text(encoding="ascii").split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return sys.maxsize


def split_by_cost(cost: npt.NDArray[np.integer | np.floating], budget: float) -> list[Slice]:
    """Split rows into slices `(start, stop)` of at least one row, each with a cost of about `budget`."""
    cumulative = np.concatenate([[0], np.cumsum(cost, dtype=np.float64)])
    slices, start = [], 0
    while start < len(cost):
        stop = max(int(np.searchsorted(cumulative, cumulative[start] + budget, side="right")) - 1, start + 1)
        slices.append((start, stop))
        start = stop
    return slices


_thread_local = threading.local()
_forked_from_threads = False


def check_not_forked() -> None:
    """Raise `InputError` in a process forked after polars had started its threads: polars would hang."""
    if _forked_from_threads:
        raise InputError(
            "this process was forked after polars had started threads. A fork does not copy them, so polars would wait "
            "for them forever. Expected a process that was spawned, or forked before its parent used polars.",
            remedy="Use multiprocessing.get_context('spawn'), or load the model after the fork only.",
        )


def _has_threads_of_polars() -> bool:
    """Return whether polars has started its threads (Linux)."""
    for task in Path("/proc/self/task").glob("*/comm"):
        with suppress(OSError):  # the thread has ended meanwhile
            if re.match(r"polars-\d", task.read_text(encoding="utf-8", errors="replace")):
                return True
    return False


def _before_fork() -> None:
    global _parent_has_threads
    _parent_has_threads = _has_threads_of_polars()


def _after_fork() -> None:
    global _forked_from_threads
    _forked_from_threads = _forked_from_threads or _parent_has_threads


_parent_has_threads = False
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


@contextmanager
def shared_pool() -> Iterator[None]:
    """Share one thread pool among this thread's parallel maps: starting threads costs more than a small slice."""
    with ThreadPoolExecutor(max(n_threads() - 1, 1)) as _thread_local.pool:
        try:
            yield
        finally:
            del _thread_local.pool


def ordered_parallel_map(
    task: Callable[[int, int], Result],
    slices: Iterable[Slice],
    progress: Progress | None = None,
    cancel_event: Event | None = None,
) -> Iterator[Result]:
    """Run `task(start, stop)` for every slice on all threads, and yield the results in the order of the slices."""
    tasks = list(slices)
    workers = min(n_threads(), len(tasks))
    if workers <= 1:
        for start, stop in _with_progress(tasks, progress):
            yield task(start, stop)
        return
    shared = getattr(_thread_local, "pool", None)
    with nullcontext(shared) if shared else ThreadPoolExecutor(workers - 1) as pool:
        waiting = iter(tasks)
        # only a few slices run ahead of the consumer, so that few results are in memory at once
        ahead = deque((part, pool.submit(task, *part)) for part in islice(waiting, 2 * workers))
        try:
            for done in range(len(tasks)):
                # the caller works, too: if it slept, two threads could share a core
                while not ahead[0][1].done():
                    if not _run_next(task, ahead):
                        wait([ahead[0][1]], timeout=0.2)  # some systems deliver Ctrl-C only after a wait
                yield ahead.popleft()[1].result()
                ahead.extend((part, pool.submit(task, *part)) for part in islice(waiting, 1))
                if progress:
                    progress((done + 1) / len(tasks))
        finally:
            if cancel_event:
                cancel_event.set()
            wait([future for _, future in ahead if not future.cancel()])


def parallel_for(
    task: Callable[[int, int], object],
    slices: Iterable[Slice],
    progress: Progress | None = None,
    cancel_event: Event | None = None,
) -> None:
    """Run `task(start, stop)` for every slice on all threads, for its side effects."""
    for _ in ordered_parallel_map(task, slices, progress, cancel_event):
        pass


def parallel_concatenate(
    task: Callable[[int, int], tuple[npt.NDArray[Any], ...]], slices: Iterable[Slice], progress: Progress | None = None
) -> tuple[npt.NDArray[Any], ...]:
    """Run `task(start, stop)` for every slice on all threads; concatenate each of its arrays in order."""
    parts = ordered_parallel_map(task, slices, progress)
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _run_next(task: Callable[[int, int], Result], ahead: "deque[tuple[Slice, Future[Result]]]") -> bool:
    """Run the first unstarted slice in the caller's thread; return whether there was one."""
    for position, (part, future) in enumerate(ahead):
        if future.cancel():
            replacement: Future[Result] = Future()
            ahead[position] = part, replacement
            try:
                replacement.set_result(task(*part))
            except Exception as error:
                replacement.set_exception(error)
            return True
    return False


def _with_progress(tasks: list[Slice], progress: Progress | None) -> Iterator[Slice]:
    """Yield the slices and report progress after each."""
    for done, part in enumerate(tasks):
        if progress:
            progress(done / len(tasks))
        yield part
    if progress:
        progress(1.0)
