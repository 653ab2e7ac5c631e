"""The shards that tasks write to the folder of a fit, and the matrices that the driver assembles from them."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import numpy.typing as npt

from reelated import _kernels as kernels
from reelated.errors import InputError
from reelated.parallel import ordered_parallel_map
from reelated.similarity import Similarity, as_item_matrix
from reelated.similarity.blocked import padded_length
from reelated.similarity.csr import to_indptr

PARTS = ("indices", "data", "common")
"""The arrays of a shard of neighbours: one row for each item of the block."""
CANDIDATES = ("keys", "common")
"""The arrays of a shard of candidates: one row for each item up to the end of the block."""
MERGE_ITEMS = 2048
"""Number of items whose candidates are merged at once."""

Lengths = dict[int, npt.NDArray[np.int64]]
"""The row lengths of each shard."""


def shard_path(folder: str, block: int, name: str) -> Path:
    """Return the file of one array of a block."""
    return Path(folder) / f"{block:06}.{name}.npy"


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array atomically: Spark may run a task again, or twice at once."""
    temporary = path.with_name(f"{path.name}.{uuid4().hex}")
    with temporary.open("wb") as file:
        np.save(file, array)
    os.replace(temporary, path)


def write_candidates(folder: str, block: int, buffers: kernels.NeighborBuffers) -> npt.NDArray[np.int32]:
    """Write the filled part of each item's buffers and return the row lengths."""
    n_threads, n_items = buffers.filled.shape
    filled = np.arange(buffers.capacity) < buffers.filled.T[:, :, None]
    for name in CANDIDATES:
        by_item = getattr(buffers, name).reshape(n_threads, n_items, buffers.capacity).swapaxes(0, 1)
        write_array(shard_path(folder, block, name), by_item[filled])
    return np.asarray(buffers.filled.sum(axis=0))


# ------------------------------------------------------------------------------------------------ on the driver
def read_shard(folder: Path, block: int, name: str) -> npt.NDArray[Any]:
    """Memory-map an array that a task wrote; raise if the driver does not see the file."""
    file = shard_path(str(folder), block, name)
    if not file.is_file():
        expected = "the executors have written to it, but the driver does not see their files."
        remedy = "Expected a folder of a file system that all machines share."
        raise InputError(expected, parameter="path", value=str(folder.parent), remedy=remedy)
    return np.asarray(np.load(file, mmap_mode="r"))


class Rows(NamedTuple):
    """Consecutive rows of the similarity, items by popularity."""

    start: int
    lengths: npt.NDArray[np.int64]
    parts: Sequence[npt.NDArray[Any]]  # as `PARTS`


def read_neighbors(folder: Path, boundaries: npt.NDArray[np.int64], lengths: Lengths) -> Iterator[Rows]:
    """Read the shards of neighbours one after the other, and remove them."""
    for block, row_lengths in lengths.items():
        yield Rows(int(boundaries[block]), row_lengths, [read_shard(folder, block, name) for name in PARTS])
        for name in PARTS:
            shard_path(str(folder), block, name).unlink()


def merge_candidates(folder: Path, lengths: Lengths, n_items: int, n_neighbors: int) -> Iterator[Rows]:
    """Keep the strongest of each item's candidates in all shards."""
    indptrs = {block: to_indptr(row_lengths) for block, row_lengths in lengths.items()}
    shards = {block: [read_shard(folder, block, name) for name in CANDIDATES] for block in lengths}
    capacity = padded_length(max((int(row_lengths.max()) for row_lengths in lengths.values()), default=0))
    rank = np.arange(n_items, dtype=np.int32)

    def merge(start: int, stop: int) -> Rows:
        filled = np.zeros((len(lengths), stop - start), np.int32)
        keys, common = (np.empty((len(lengths), (stop - start) * capacity), dtype) for dtype in (np.uint64, np.int32))
        for number, (block, row_lengths) in enumerate(lengths.items()):
            part = row_lengths[start:stop]
            filled[number, : len(part)] = part
            places = np.arange(capacity) < filled[number, :, None]
            low, high = indptrs[block][[min(start, len(row_lengths)), min(stop, len(row_lengths))]]
            for target, source in zip((keys, common), shards[block], strict=True):
                target[number].reshape(-1, capacity)[places] = source[low:high]
        buffers = kernels.NeighborBuffers(
            capacity, n_neighbors, np.zeros(stop - start, np.float32), filled, keys, common
        )
        kept = np.minimum(filled.sum(axis=0, dtype=np.int64), n_neighbors)
        indptr = to_indptr(kept)
        out = tuple(np.empty(indptr[-1], dtype) for dtype in (np.int32, np.float32, np.int32))
        kernels.merge_buffers(0, stop - start, buffers, rank, indptr, out)
        return Rows(start, kept, out)

    slices = [(start, min(start + MERGE_ITEMS, n_items)) for start in range(0, n_items, MERGE_ITEMS)]
    yield from ordered_parallel_map(merge, slices)
    for block in lengths:
        for name in CANDIDATES:
            shard_path(str(folder), block, name).unlink()


def count_candidates(lengths: Lengths, n_items: int, n_neighbors: int) -> npt.NDArray[np.int64]:
    """Return the number of neighbours of each item after the merge."""
    total = np.zeros(n_items, np.int64)
    for row_lengths in lengths.values():
        total[: len(row_lengths)] += row_lengths[:n_items]
    return np.minimum(total, n_neighbors)


def write_neighbors(
    folder: Path, row_lengths: npt.NDArray[np.int64], rows: Iterable[Rows], order: npt.NDArray[np.int32], dtype: str
) -> Similarity:
    """Write rows in item order into `folder` and return them memory-mapped; `row_lengths` is by popularity."""
    in_item_order = np.empty_like(row_lengths)
    in_item_order[order] = row_lengths
    indptr = to_indptr(in_item_order)
    arrays = [
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", array_type, (int(indptr[-1]),))
        for name, array_type in zip(PARTS, ("int32", dtype, "int32"), strict=True)
    ]
    for start, lengths, parts in rows:
        offsets = indptr[order[start : start + len(lengths)]] - (np.cumsum(lengths) - lengths)
        positions = np.arange(lengths.sum()) + np.repeat(offsets, lengths)
        for array, part in zip(arrays, parts, strict=True):
            array[positions] = part
    indices, *values = arrays
    return Similarity(*(as_item_matrix(array, indices, indptr) for array in values))


def assemble_matrix(
    folder: Path,
    boundaries: npt.NDArray[np.int64],
    block_numbers: Iterable[int],
    order: npt.NDArray[np.int32],
    name: str,
) -> Any:
    """Return an item × item matrix in item order, from the shards of some blocks."""
    matrix = None
    for block in block_numbers:
        rows = read_shard(folder, block, name)
        if matrix is None:
            matrix = np.zeros((len(order), len(order)), rows.dtype)
        matrix[order[slice(*boundaries[block : block + 2])]] = rows
        shard_path(str(folder), block, name).unlink()
    return matrix
