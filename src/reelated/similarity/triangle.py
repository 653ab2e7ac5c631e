"""Drives the triangle kernels: renumber, cut into blocks, add up and harvest on all threads, gather."""

from queue import SimpleQueue
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from reelated import _kernels as kernels
from reelated._threads import Progress, in_order, slices_of

SHIFT = 7
BLOCK = 1 << SHIFT
"""Items of a block: a row is fetched once for each block, and the hot part of a block's sums stays in the cache."""
PREPARE = 2e6
"""Ratings of one slice of the preparation."""


def triangle(
    by_user: kernels.CSR,
    norms: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.int64],
    rule: kernels.Rule,
    n_neighbors: int,
    progress: Progress | None = None,
) -> tuple[np.ndarray, ...]:
    """Return lengths, indices, values and common raters of all rows, `n_neighbors` at most in each."""
    order = np.argsort(-sizes, kind="stable").astype(np.int32)
    rank = np.empty(len(sizes), np.int32)
    rank[order] = np.arange(len(sizes), dtype=np.int32)
    rows = _sorted_rows(by_user, rank)
    inverse = np.divide(1, norms, out=np.zeros(len(sizes)), where=norms > 0).astype(rows.data.dtype)
    heaps = _empty_heaps(len(sizes), n_neighbors, rows.data.dtype)
    _fill(heaps, rows, (sizes[order], norms[order], inverse[order], order, rule, n_neighbors), progress)

    def gathered(start: int, stop: int) -> tuple[np.ndarray, ...]:
        return kernels.gather(start, stop, heaps, n_neighbors, rank)

    slices = slices_of(np.full(len(sizes), n_neighbors * len(heaps.floors)), PREPARE)
    return tuple(np.concatenate(part) for part in zip(*in_order(gathered, slices), strict=True))


def _fill(heaps: kernels.Heaps, rows: kernels.CSR, terms: tuple[Any, ...], progress: Progress | None) -> None:
    """Add up and harvest block after block; a thread takes the sums and heaps of whichever is idle."""
    n_items = heaps.floors.shape[1]
    starts, users, firsts = _visits(rows, n_items)
    idle: SimpleQueue[tuple[np.ndarray, kernels.Heaps]] = SimpleQueue()
    for thread in range(len(heaps.floors)):
        idle.put((np.zeros(2 * BLOCK * n_items, rows.data.dtype), kernels.Heaps(*(part[thread] for part in heaps))))

    def block(start: int, stop: int) -> None:
        sums, mine = idle.get()
        for b in range(start, stop):
            here, low = slice(starts[b], starts[b + 1]), b << SHIFT
            found = kernels.Block(low, min(n_items, low + BLOCK), users[here], firsts[here])
            kernels.add_pairs(found, rows, sums)
            kernels.harvest(found, sums, *terms, mine)
        idle.put((sums, mine))

    for _ in in_order(block, [(b, b + 1) for b in range(len(starts) - 1)], progress):
        pass


def _empty_heaps(n_items: int, n_neighbors: int, dtype: Any) -> kernels.Heaps:
    """Return empty heaps, a set for each thread."""
    threads, size = numba.get_num_threads(), n_items * n_neighbors
    floors, values = np.zeros((threads, n_items), dtype), np.zeros((threads, size), dtype)
    return kernels.Heaps(floors, values, np.full((threads, size), -1, np.int32), np.zeros((threads, size), np.int32))


def _sorted_rows(by_user: kernels.CSR, rank: npt.NDArray[np.int32]) -> kernels.CSR:
    """Return the rows renumbered by falling popularity and sorted by it."""
    items, values = np.empty(len(by_user.indices), np.uint32), np.empty_like(by_user.data)

    def part(start: int, stop: int) -> None:
        kernels.sort_rows(start, stop, by_user, rank, items, values)

    for _ in in_order(part, slices_of(np.diff(by_user.indptr), PREPARE)):
        pass
    return kernels.CSR(by_user.indptr, items, values)


def _visits(rows: kernels.CSR, n_items: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each block of items which users touch it, and where in their row."""
    starts = np.zeros((max(n_items, 1) - 1 >> SHIFT) + 2, np.int64)
    kernels.count_visits(rows, SHIFT, starts)
    np.cumsum(starts, out=starts)
    users, firsts = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
    kernels.list_visits(rows, SHIFT, starts[:-1].copy(), users, firsts)
    return starts, users, firsts
