"""The item × item sums: rows are sent to the blocks of items that they touch, and one task adds up each block."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated.similarity import SimilarityParams, as_kernel_csr
from reelated.similarity.blocked import empty_dense_block, fill_dense_values, padded_length
from reelated.spark.blocks import Blocks
from reelated.spark.people import People
from reelated.spark.rows import Rows
from reelated.spark.tasks import Batches, by_key, keys, mapped, records

Valued = Callable[[sp.csr_array], sp.csr_array]
"""Turns ratings into the values that similarities are computed of; the sparsity stays the same."""
BATCH = 8_000_000
"""Ratings that are added to a table at once."""
CACHED = 2_000_000
"""Bytes of the part of a table that a batch is added to at once; it fits into the cache of a core."""


@dataclass(frozen=True)
class Send:
    """Send each user's row, as values, to every block that holds an item of it.

    Users of similar activity share cells, the most active first: band 0 holds rows of about a million ratings or more.
    """

    valued: Valued
    blocks: Blocks
    keys: npt.NDArray[np.int32]

    def __call__(self, batches: Batches) -> Iterator[dict[str, list[Any]]]:
        """Yield the cells of a partition."""
        n_items, block_of = int(self.blocks.edges[-1]), self.blocks.of_item
        for record in records(batches):
            people = People.unpack([record["body"]])
            rows = as_kernel_csr(self.valued(people.matrix(n_items)))
            for band, some in in_bands(People(people.user_ids, rows)):
                for block, users in enumerate(touching(some.rows, block_of)[0]):
                    if len(users):
                        sent = some if len(users) == len(some.user_ids) else some.take(users)
                        yield {
                            "key": [int(self.keys[block])], "block": [block], "band": [band],
                            "ratings": [len(sent.rows.data)], "body": [sent.pack()],
                        }  # fmt: skip


def in_bands(people: People) -> Iterator[tuple[int, People]]:
    """Cut users, sorted by falling activity, wherever the power of two of their number of ratings changes."""
    bands = 20 - np.minimum(np.log2(people.lengths).astype(np.int64), 20)
    edges = [0, *(np.flatnonzero(np.diff(bands)) + 1).tolist(), len(bands)]
    for start, stop in pairwise(edges):
        if start < stop:
            yield int(bands[start]), people.part(start, stop)


def touching(rows: kernels.CSR, block_of: npt.NDArray[np.int32]) -> tuple[list[Any], list[Any]]:
    """Return, for each block of items, the users with a rating in it, and the offset in their row where it begins."""
    starts, heads = np.zeros(int(block_of[-1]) + 2, np.int64), np.zeros(len(rows.indptr) - 1, np.int32)
    kernels.count_user_blocks(rows, heads, block_of, starts)
    np.cumsum(starts, out=starts)
    users, firsts = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
    kernels.list_user_blocks(rows, heads, block_of, starts[:-1].copy(), users, firsts)
    return np.split(users, starts[1:-1]), np.split(firsts, starts[1:-1])


class Wanted(NamedTuple):
    """What is computed from the sums of a block."""

    measure: SimilarityParams
    sizes: npt.NDArray[np.int64]  # number of ratings of every item, by popularity
    norms: npt.NDArray[np.float64]
    order: npt.NDArray[np.int32]  # the index of every item, by popularity
    folder: str  # of the shards
    dtype: str  # of the sums
    plain: tuple[str, ...] = ()  # which of "sums" and "counts" are written too


@dataclass(frozen=True)
class AddUp:
    """Add up a block and write its neighbours as a shard: rows are streamed, the table stays in memory."""

    blocks: Blocks
    wanted: Wanted

    def __call__(self, batches: Batches) -> Iterator[dict[str, list[Any]]]:
        """Yield the lengths of the shards of a partition."""
        for (block,), cells in by_key(batches, "block"):
            low, high = map(int, self.blocks.edges[block : block + 2])
            table = self._empty(low, high)
            for people in in_batches(cells):
                self._add(table, high, people.by_activity().rows)
            lengths = self._write(block, table, high)
            yield {"block": [block], "lengths": [lengths.astype(np.int64).tobytes()]}

    def _empty(self, low: int, high: int) -> kernels.BlockAccumulator:
        shape, dtype = (padded_length(high - low), padded_length(len(self.wanted.order))), self.wanted.dtype
        moments = np.zeros((*shape, 4) if self.wanted.measure.pearson else (0, 0, 4), dtype)
        return kernels.BlockAccumulator(low, np.zeros(shape, dtype), np.zeros(shape, np.int32), moments)

    def _add(self, table: kernels.BlockAccumulator, high: int, rows: kernels.CSR) -> None:
        """Add a batch of rows, one part of the table at a time, so that the part stays in the cache."""
        n_items, width = table.sums.shape[1], table.sums.itemsize * (5 if len(table.moments) else 1) + 4
        edges = np.append(np.arange(table.low, high, padded_length(CACHED // (n_items * width))), high)
        block_of = np.zeros(n_items, np.int32)  # 0 and the last are other blocks' items
        block_of[table.low : high] = 1 + np.repeat(np.arange(len(edges) - 1), np.diff(edges))
        block_of[high:] = len(edges)
        users, firsts = touching(rows, block_of)
        if len(table.moments):
            dense, heads, values = None, np.zeros(len(rows.indptr) - 1, np.int32), None
        else:
            dense, heads = empty_dense_block(rows, n_items)
            values = fill_dense_values(rows.data, rows, dense, heads)
        for part, (start, stop) in enumerate(pairwise(edges), start=1):
            if dense is not None:
                kernels.add_dense_block(table, start, stop, dense, values)
            kernels.add_sparse_rows(table, start, stop, rows, heads, users[part], firsts[part])

    def _write(self, block: int, table: kernels.BlockAccumulator, high: int) -> npt.NDArray[np.int64]:
        """Write the neighbours of every item; return the number of neighbours of each."""
        measure, sizes, norms, order, folder = self.wanted[:5]
        keep = min(len(order), measure.n_neighbors or len(order))
        lengths, *parts = kernels.finalize(table, table.low, high, order, sizes, norms, measure.formula, keep)
        for name, part in zip(PARTS, parts, strict=True):
            write_array(shard(folder, block, name), part)
        rank = np.argsort(order)
        for name in self.wanted.plain:
            write_array(shard(folder, block, name), getattr(table, name)[: high - table.low, rank])
        return lengths


PARTS = ("indices", "data", "common")
"""The arrays of a shard."""


def shard(folder: str, block: int, name: str) -> Path:
    """Return the file of one array of a block."""
    return Path(folder) / f"{block:06}.{name}.npy"


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an array atomically: Spark may run a task again, or twice at once."""
    beside = path.with_name(f"{path.name}.{uuid4().hex}")
    with beside.open("wb") as file:
        np.save(file, array)
    os.replace(beside, path)


def in_batches(cells: Iterable[dict[str, Any]]) -> Iterator[People]:
    """Join the cells of a block by band of activity, at most about `BATCH` ratings at a time."""
    held: list[bytes] = []
    band, n = -1, 0
    for cell in cells:
        if held and (cell["band"] != band or n >= BATCH):
            yield People.unpack(held)
            held, n = [], 0
        held.append(cell["body"])
        band, n = cell["band"], n + cell["ratings"]
    if held:
        yield People.unpack(held)


def sent(rows: Rows, valued: Valued, blocks: Blocks) -> Any:
    """Return the users' rows as cells, each for one block of items."""
    send = Send(valued, blocks, keys(rows.frame.sparkSession, len(blocks)))
    return mapped(rows.frame, send, SENT)


SENT = "key int, block int, band int, ratings long, body binary"
SORTED = ("block", "band", "ratings", "body")


def added_up(cells: Any, blocks: Blocks, wanted: Wanted) -> dict[int, npt.NDArray[np.int64]]:
    """Add up all blocks on the executors; return the number of neighbours of each item of each block.

    The cells of a block are sorted, so that floating-point sums do not depend on the order of their arrival.
    """
    placed = cells.repartition(len(blocks), "key").sortWithinPartitions(*SORTED)
    done = mapped(placed, AddUp(blocks, wanted), "block int, lengths binary").collect()
    return {block: np.frombuffer(lengths, np.int64) for block, lengths in done}
