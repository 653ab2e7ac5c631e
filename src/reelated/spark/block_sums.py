"""Find neighbours in blocks of items: send the users' rows to blocks, and add up each block in a task."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated import _kernels as kernels
from reelated.errors import TooLarge, show_bytes
from reelated.similarity import Similarity, SimilarityParams, as_kernel_csr
from reelated.similarity.blocked import BlockLayout, empty_dense_block, fill_buffers, fill_dense_values, padded_length
from reelated.spark.grouping import GroupedRatings
from reelated.spark.shards import (
    PARTS,
    Lengths,
    count_candidates,
    merge_candidates,
    read_neighbors,
    shard_path,
    write_array,
    write_candidates,
    write_neighbors,
)
from reelated.spark.tasks import Batches, grouped_records, map_partitions, partition_keys, records
from reelated.spark.user_rows import Transform, UserRows

BATCH_RATINGS = 8_000_000
"""Number of ratings that are added to a table at once."""
CACHE_BYTES = 2_000_000
"""Size of the part of a table that a batch is added to at once; it fits into the cache of a core."""


CANDIDATE_BYTES, PAIR_BYTES, PART_BYTES = 12, 8, 16
"""Size of a candidate neighbour, of the sums of a pair, and of a rating in the rows that a task receives."""
BLOCKS_PER_CORE, TRIANGLES_PER_CORE = 3, 2
"""Number of blocks per core, so that all cores finish at about the same time; more if tables need more."""
SCAN_COST = 2.0
"""The number of additions that take the time of reading the sums of a pair."""


class Blocks(NamedTuple):
    """Ranges of items by descending popularity, one task each."""

    boundaries: npt.NDArray[np.int64]  # shape (n_blocks + 1,); all but the last are multiples of eight
    table_bytes: int  # size of the largest table, or of a task's rows and sums
    layouts: tuple[BlockLayout, ...] = ()  # of each block, if its task adds only pairs with more popular items

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


def choose_triangles(
    cost: npt.NDArray[np.float64], measure: SimilarityParams, size: tuple[int, int], memory: int, n_cores: int
) -> Blocks | None:
    """Split the items into blocks: exactly one task adds each pair, and it holds the rows of its block in memory.

    `size` is the number of users and of ratings. Return None if a task would need more than `memory` bytes, or if the
    candidates that all tasks write are larger than the tables of all pairs.
    """
    layout = BlockLayout.choose(len(cost), min(len(cost), measure.n_neighbors or len(cost)), measure.pearson)
    n_blocks, edges = TRIANGLES_PER_CORE * n_cores, np.array(layout.boundaries)
    n_bytes = layout.bytes + layout.prepared_bytes(*size) + size[1] * PART_BYTES
    if n_bytes > memory or n_blocks * layout.capacity * CANDIDATE_BYTES > len(cost) * PAIR_BYTES:
        return None
    total_cost = cost + SCAN_COST * np.arange(len(cost))
    cumulative = np.concatenate([[0.0], np.cumsum(total_cost)])[np.minimum(edges, len(cost))]
    shares = np.searchsorted(cumulative, np.linspace(0, cumulative[-1], n_blocks + 1))
    layouts = tuple(layout.part(start, stop) for start, stop in pairwise(np.unique(shares).tolist()))
    boundaries = np.minimum([0, *(part.n_padded for part in layouts)], len(cost))
    return Blocks(boundaries.astype(np.int64), n_bytes, layouts)


def send_to_blocks(
    transform: Transform, blocks: Blocks, keys: npt.NDArray[np.int32], batches: Batches
) -> Iterator[dict[str, list[Any]]]:
    """Task: send each user's transformed row to every block that contains one of its items.

    Only its ratings of items before the end of the block are sent if the other pairs belong to other blocks.
    """
    n_items, block_of = int(blocks.boundaries[-1]), blocks.block_of_item
    ends = blocks.boundaries[1:] if blocks.layouts else np.full(len(blocks), n_items)
    for record in records(batches):
        users = UserRows.unpack([record["body"]])
        users = users._replace(rows=as_kernel_csr(transform(users.matrix(n_items))))
        for band, members in [(0, users)] if blocks.layouts else activity_bands(users):
            for block, positions in enumerate(rows_by_block(members.rows, block_of)[0]):
                if len(positions):
                    cell = members.take(positions, ends[block])
                    counts = {"block": [block], "band": [band], "ratings": [len(cell.rows.data)]}
                    yield {"key": [int(keys[block])], **counts, "body": [cell.pack()]}


def activity_bands(users: UserRows) -> Iterator[tuple[int, UserRows]]:
    """Split users, sorted by descending activity, into bands: the numbers of ratings between two powers of two."""
    bands = 20 - np.minimum(np.log2(users.activity).astype(np.int64), 20)
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


@dataclass(frozen=True)
class FindCandidates:
    """Task: add the pairs of a block with more popular items, and write the strongest neighbours among them.

    The block's rows are in memory. Both items of a pair are neighbours of each other.
    """

    blocks: Blocks
    params: BlockParams

    def __call__(self, batches: Batches) -> Iterator[dict[str, list[Any]]]:
        measure, sizes, norms, order, folder = self.params[:5]
        inputs = kernels.SimilarityInputs(measure.formula, sizes, norms, order)
        for (block,), cells in grouped_records(batches, "block"):
            rows = UserRows.unpack([cell["body"] for cell in cells]).sorted_by_activity().rows
            layout = self.blocks.layouts[block]
            buffers = fill_buffers(rows, layout, inputs, min(len(order), measure.n_neighbors or len(order)))
            lengths = write_candidates(folder, block, buffers)
            yield {"block": [block], "lengths": [lengths.astype(np.int64).tobytes()]}


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
    keys = partition_keys(rows.frame.sparkSession, len(blocks))[::-1]  # the last block takes longest and starts first
    task = partial(send_to_blocks, transform, blocks, keys)
    return map_partitions(rows.frame, task, "key int, block int, band int, ratings long, body binary")


def sum_blocks(cells: Any, blocks: Blocks, params: BlockParams) -> Lengths:
    """Process all blocks on the executors; return the number of neighbours that each wrote for each item."""
    # sorted, so that floating-point sums do not depend on the order in which cells arrive
    shuffled = cells.repartition(len(blocks), "key").sortWithinPartitions("block", "band", "ratings", "body")
    task = FindCandidates(blocks, params) if blocks.layouts else SumBlocks(blocks, params)
    results = map_partitions(shuffled, task, "block int, lengths binary").collect()
    return {block: np.frombuffer(lengths, np.int64) for block, lengths in results}


def assemble_neighbors(folder: Path, blocks: Blocks, lengths: Lengths, params: BlockParams) -> Similarity:
    """Return the neighbours of all items in item order, memory-mapped from `folder`."""
    if blocks.layouts:
        n_items = len(params.order)
        n_kept = min(n_items, params.measure.n_neighbors or n_items)
        rows = merge_candidates(folder, lengths, n_items, n_kept)
        return write_neighbors(folder, count_candidates(lengths, n_items, n_kept), rows, params.order, params.dtype)
    row_lengths = np.zeros(len(params.order), np.int64)
    for block, sizes in lengths.items():  # a block without ratings has no shard
        row_lengths[slice(*blocks.boundaries[block : block + 2])] = sizes
    rows = read_neighbors(folder, blocks.boundaries, lengths)
    return write_neighbors(folder, row_lengths, rows, params.order, params.dtype)
