"""Compute the item × item sums in blocks of items: send rows to blocks, sum each in a task, assemble the shards."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.errors import InputError, TooLarge, show_bytes
from reelated.similarity import Similarity, SimilarityParams, as_item_matrix, as_kernel_csr
from reelated.similarity.blocked import empty_dense_block, fill_dense_values, padded_length
from reelated.spark.grouping import GroupedRatings
from reelated.spark.tasks import Batches, grouped_records, map_partitions, partition_keys, records
from reelated.spark.user_rows import UserRows

Transform = Callable[[sp.csr_array], sp.csr_array]
"""A function from ratings to the values that similarities are computed from, with the same sparsity."""
BATCH_RATINGS = 8_000_000
"""Number of ratings that are added to a table at once."""
CACHE_BYTES = 2_000_000
"""Size of the part of a table that a batch is added to at once; it fits into the cache of a core."""


BLOCKS_PER_CORE = 3
"""Minimum number of blocks per core, so that all cores finish at about the same time."""


class Blocks(NamedTuple):
    """Ranges of items by descending popularity, one task each."""

    boundaries: npt.NDArray[np.int64]  # shape (n_blocks + 1,); all but the last are multiples of eight
    table_bytes: int  # size of the largest table

    def __len__(self) -> int:
        return len(self.boundaries) - 1

    @property
    def block_of_item(self) -> npt.NDArray[np.int32]:
        return np.repeat(np.arange(len(self)), np.diff(self.boundaries)).astype(np.int32)


def row_bytes(n_items: int, measure: SimilarityParams, itemsize: int) -> int:
    """Return the size of one item's sums with all items and of its neighbours."""
    n_kept = min(n_items, measure.n_neighbors or n_items)
    return padded_length(n_items) * (itemsize + 4 + (4 * itemsize if measure.pearson else 0)) + n_kept * (itemsize + 8)


def choose_blocks(cost: npt.NDArray[np.float64], bytes_per_item: int, memory: int, n_cores: int) -> Blocks:
    """Split the items into blocks of about equal cost whose tables fit into `memory` bytes."""
    max_items = memory // bytes_per_item // kernels.LANES * kernels.LANES
    if max_items < 1:
        expected = f"eight of {len(cost):,} items take {show_bytes(kernels.LANES * bytes_per_item)}."
        raise TooLarge(expected, parameter="task_memory", value=show_bytes(memory), remedy="Raise task_memory.")
    total_cost = cost + 4.0 * len(cost)  # allocating and scanning a table takes time too
    cumulative = np.concatenate([[0.0], np.cumsum(total_cost)])
    boundaries, share = [0], cumulative[-1] / (BLOCKS_PER_CORE * n_cores)
    while (start := boundaries[-1]) < len(cost):
        stop = int(np.searchsorted(cumulative, cumulative[start] + share, side="right")) - 1
        boundaries.append(min(padded_length(stop - start) + start, start + max_items, len(cost)))
    return Blocks(np.array(boundaries, np.int64), padded_length(int(np.diff(boundaries).max())) * bytes_per_item)


def send_to_blocks(
    transform: Transform, blocks: Blocks, keys: npt.NDArray[np.int32], batches: Batches
) -> Iterator[dict[str, list[Any]]]:
    """Task: send each user's transformed row to every block that contains one of its items."""
    n_items, block_of = int(blocks.boundaries[-1]), blocks.block_of_item
    for record in records(batches):
        users = UserRows.unpack([record["body"]])
        rows = as_kernel_csr(transform(users.matrix(n_items)))
        for band, members in activity_bands(UserRows(users.user_ids, rows)):
            for block, positions in enumerate(rows_by_block(members.rows, block_of)[0]):
                if len(positions):
                    cell = members if len(positions) == len(members.user_ids) else members.take(positions)
                    counts = {"block": [block], "band": [band], "ratings": [len(cell.rows.data)]}
                    yield {"key": [int(keys[block])], **counts, "body": [cell.pack()]}


def activity_bands(users: UserRows) -> Iterator[tuple[int, UserRows]]:
    """Split users, sorted by descending activity, into bands: the numbers of ratings between two powers of two."""
    bands = 20 - np.minimum(np.log2(users.lengths).astype(np.int64), 20)
    boundaries = [0, *(np.flatnonzero(np.diff(bands)) + 1).tolist(), len(bands)]
    for start, stop in pairwise(boundaries):
        if start < stop:
            yield int(bands[start]), users.slice(start, stop)


def rows_by_block(rows: kernels.CSR, block_of: npt.NDArray[np.int32]) -> tuple[list[Any], list[Any]]:
    """Return, for each block of items, the users with a rating in it and the offset of their first such rating."""
    starts, users, firsts = kernels.list_user_blocks(rows, np.zeros(len(rows.indptr) - 1, np.int32), block_of)
    return np.split(users, starts[1:-1]), np.split(firsts, starts[1:-1])


class BlockParams(NamedTuple):
    """Parameters of the neighbour selection in a block, and where its results are written."""

    measure: SimilarityParams
    sizes: npt.NDArray[np.int64]  # number of ratings of each item, by popularity
    norms: npt.NDArray[np.float64]
    order: npt.NDArray[np.int32]  # item index of each popularity rank
    folder: str  # of the shards
    dtype: str  # of the sums
    saved_sums: tuple[str, ...] = ()  # any of "sums" and "counts", to be written as well


@dataclass(frozen=True)
class SumBlocks:
    """Task: sum a block and write its neighbours as a shard; rows are streamed, the table stays in memory."""

    blocks: Blocks
    params: BlockParams

    def __call__(self, batches: Batches) -> Iterator[dict[str, list[Any]]]:
        for (block,), cells in grouped_records(batches, "block"):
            low, high = map(int, self.blocks.boundaries[block : block + 2])
            table = self._empty(low, high)
            for users in batch_cells(cells):
                self._add(table, high, users.sorted_by_activity().rows)
            lengths = self._write(block, table, high)
            yield {"block": [block], "lengths": [lengths.astype(np.int64).tobytes()]}

    def _empty(self, low: int, high: int) -> kernels.BlockAccumulator:
        shape, dtype = (padded_length(high - low), padded_length(len(self.params.order))), self.params.dtype
        moments = np.zeros((*shape, 4) if self.params.measure.pearson else (0, 0, 4), dtype)
        return kernels.BlockAccumulator(low, np.zeros(shape, dtype), np.zeros(shape, np.int32), moments)

    def _add(self, table: kernels.BlockAccumulator, high: int, rows: kernels.CSR) -> None:
        """Add a batch of rows, one part of the table at a time so that it stays in the cache."""
        n_items, width = table.sums.shape[1], table.sums.itemsize * (5 if len(table.moments) else 1) + 4
        boundaries = np.append(np.arange(table.low, high, padded_length(CACHE_BYTES // (n_items * width))), high)
        part_of = np.zeros(n_items, np.int32)  # the first and last parts are other blocks
        part_of[table.low : high] = 1 + np.repeat(np.arange(len(boundaries) - 1), np.diff(boundaries))
        part_of[high:] = len(boundaries)
        users, firsts = rows_by_block(rows, part_of)
        if len(table.moments):
            dense, heads, values = None, np.zeros(len(rows.indptr) - 1, np.int32), None
        else:
            dense, heads = empty_dense_block(rows, n_items)
            values = fill_dense_values(rows.data, rows, dense, heads)
        for part, (start, stop) in enumerate(pairwise(boundaries), start=1):
            if dense is not None:
                kernels.add_dense_block(table, start, stop, dense, values)
            kernels.add_sparse_rows(table, start, stop, rows, heads, users[part], firsts[part])

    def _write(self, block: int, table: kernels.BlockAccumulator, high: int) -> npt.NDArray[np.int64]:
        """Write the neighbours of each item of the block and return their numbers."""
        measure, sizes, norms, order, folder = self.params[:5]
        n_kept = min(len(order), measure.n_neighbors or len(order))
        lengths, *parts = kernels.finalize(table, table.low, high, order, sizes, norms, measure.formula, n_kept)
        for name, part in zip(PARTS, parts, strict=True):
            write_array(shard_path(folder, block, name), part)
        rank = np.argsort(order)
        for name in self.params.saved_sums:
            write_array(shard_path(folder, block, name), getattr(table, name)[: high - table.low, rank])
        return lengths


PARTS = ("indices", "data", "common")
"""The arrays of a shard."""


def shard_path(folder: str, block: int, name: str) -> Path:
    """Return the file of one array of a block."""
    return Path(folder) / f"{block:06}.{name}.npy"


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array atomically: Spark may run a task again, or twice at once."""
    temporary = path.with_name(f"{path.name}.{uuid4().hex}")
    with temporary.open("wb") as file:
        np.save(file, array)
    os.replace(temporary, path)


def batch_cells(cells: Iterable[dict[str, Any]]) -> Iterator[UserRows]:
    """Join the cells of a block by activity band, about `BATCH_RATINGS` ratings at a time."""
    buffer: list[bytes] = []
    band, n = -1, 0
    for cell in cells:
        if buffer and (cell["band"] != band or n >= BATCH_RATINGS):
            yield UserRows.unpack(buffer)
            buffer, n = [], 0
        buffer.append(cell["body"])
        band, n = cell["band"], n + cell["ratings"]
    if buffer:
        yield UserRows.unpack(buffer)


def send_rows(rows: GroupedRatings, transform: Transform, blocks: Blocks) -> Any:
    """Return the users' transformed rows as cells, each for one block of items."""
    task = partial(send_to_blocks, transform, blocks, partition_keys(rows.frame.sparkSession, len(blocks)))
    return map_partitions(rows.frame, task, "key int, block int, band int, ratings long, body binary")


def sum_blocks(cells: Any, blocks: Blocks, params: BlockParams) -> dict[int, npt.NDArray[np.int64]]:
    """Sum all blocks on the executors; return the number of neighbours of each item of each block."""
    # sorted, so that floating-point sums do not depend on the order in which cells arrive
    shuffled = cells.repartition(len(blocks), "key").sortWithinPartitions("block", "band", "ratings", "body")
    results = map_partitions(shuffled, SumBlocks(blocks, params), "block int, lengths binary").collect()
    return {block: np.frombuffer(lengths, np.int64) for block, lengths in results}


# ------------------------------------------------------------------------------------------------ on the driver
def read_shard(folder: Path, block: int, name: str) -> npt.NDArray[Any]:
    """Memory-map an array that a task wrote; raise if the driver does not see the file."""
    file = shard_path(str(folder), block, name)
    if not file.is_file():
        expected = "the executors have written to it, but the driver does not see their files."
        remedy = "Expected a folder of a file system that all machines share."
        raise InputError(expected, parameter="path", value=str(folder.parent), remedy=remedy)
    return np.asarray(np.load(file, mmap_mode="r"))


def assemble_neighbors(
    folder: Path, blocks: Blocks, lengths: dict[int, npt.NDArray[np.int64]], order: npt.NDArray[np.int32], dtype: str
) -> Similarity:
    """Write the rows of all shards in item order into `folder` and return them memory-mapped."""
    items_of = {block: order[slice(*blocks.boundaries[block : block + 2])] for block in lengths}
    row_lengths = np.zeros(len(order), np.int64)
    for block, sizes in lengths.items():
        row_lengths[items_of[block]] = sizes
    indptr = np.concatenate([[0], np.cumsum(row_lengths)])
    arrays = {}
    for name, array_type in zip(PARTS, ("int32", dtype, "int32"), strict=True):
        arrays[name] = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", array_type, (int(indptr[-1]),))
        for block, sizes in lengths.items():
            offsets = indptr[items_of[block]] - (np.cumsum(sizes) - sizes)
            arrays[name][np.arange(sizes.sum()) + np.repeat(offsets, sizes)] = read_shard(folder, block, name)
            shard_path(str(folder), block, name).unlink()
    return Similarity(*(as_item_matrix(arrays[name], arrays["indices"], indptr) for name in ("data", "common")))


def assemble_matrix(
    folder: Path, block_numbers: Iterable[int], blocks: Blocks, order: npt.NDArray[np.int32], name: str
) -> Any:
    """Return an item × item matrix in item order, from the shards of some blocks."""
    matrix = None
    for block in block_numbers:
        rows = read_shard(folder, block, name)
        if matrix is None:
            matrix = np.zeros((len(order), len(order)), rows.dtype)
        matrix[order[slice(*blocks.boundaries[block : block + 2])]] = rows
        shard_path(str(folder), block, name).unlink()
    return matrix
