"""The blocked similarity: renumber, fill the dense block, add and select block by block, merge."""

from itertools import pairwise
from queue import SimpleQueue
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated import _kernels as kernels
from reelated.parallel import Progress, n_threads, parallel_for, split_by_cost
from reelated.similarity.csr import to_indptr

MAX_SUMS_BYTES = 4e6
"""The maximum size of one thread's sums; it bounds the items of a block."""
LAST_BLOCK_ITEMS = 32
"""Number of items in the last block, unless `MAX_SUMS_BYTES` allows fewer."""
MIN_PAIRS = 100_000
"""Minimum number of pairs in a block: starting a smaller block takes longer than computing its sums."""
MAX_BLOCK_ITEMS = 256
"""Maximum number of items in a block: sums with the most popular partners should stay in the cache."""
SLICE = 2e5
"""Number of ratings in one slice of the preparation; writing one neighbour of the result costs as much as four."""
MIN_DENSE_SIZE = 1_000_000
"""Size in numbers that the dense block may always have; a larger one has at most as many numbers as ratings."""
ROWS_PER_CHECK = 200_000
"""Number of rows that a thread processes before it checks for cancellation: a fraction of a second."""


def padded_length(n: int) -> int:
    """Round up to a multiple of eight, at least eight."""
    return max(-(-n // kernels.LANES), 1) * kernels.LANES


class BlockLayout(NamedTuple):
    """The sizes of one thread's workspaces."""

    boundaries: tuple[int, ...]  # the start of each block and the end of the last, multiples of eight
    capacity: int  # size of an item's buffer: a fifth more than n_neighbors, so that it is rarely compacted
    moments: int  # number of sums for each pair in addition to the products and the count

    @classmethod
    def choose(cls, n_items: int, n_neighbors: int, pearson: bool) -> "BlockLayout":
        """Choose blocks with sums of equal size: many items if partners are few, few if they are many."""
        lanes, moments, boundaries = kernels.LANES, 4 if pearson else 0, [0]
        end = padded_length(n_items)
        pairs = min(MAX_SUMS_BYTES / (8 + 4 * moments), max(LAST_BLOCK_ITEMS * end, MIN_PAIRS))
        while (low := boundaries[-1]) < end:  # the largest x with x (low + x) pairs
            x = int((np.sqrt(low**2 + 4 * pairs) - low) / 2) // lanes * lanes
            boundaries.append(min(low + min(max(x, lanes), MAX_BLOCK_ITEMS), end))
        return cls(tuple(boundaries), padded_length(n_neighbors + max(n_neighbors // 5, lanes)), moments)

    def part(self, start: int, stop: int) -> "BlockLayout":
        """Return the layout of some of the blocks."""
        return self._replace(boundaries=self.boundaries[start : stop + 1])

    @property
    def n_padded(self) -> int:
        """The number of items, padded to a multiple of eight, up to the end of the last block."""
        return self.boundaries[-1]

    @property
    def n_sums(self) -> int:
        """The maximum number of pairs of a block."""
        return max((high - low) * high for low, high in pairwise(self.boundaries))

    @property
    def bytes(self) -> int:
        """The size of one thread's sums and buffers."""
        return self.n_sums * (8 + 4 * self.moments) + self.n_padded * (8 + 12 * self.capacity)

    def prepared_bytes(self, n_users: int, n_ratings: int) -> int:
        """Return the maximum size of the sorted rows, the dense block and the (user, block) index."""
        users = -(-n_users // kernels.CHUNK_USERS) * kernels.CHUNK_USERS
        dense_size = min(max(n_ratings, MIN_DENSE_SIZE), users * self.n_padded)
        factors = 3 if self.moments else 1
        return n_ratings * (12 + 4 * factors) + users * 20 + dense_size * 4 * factors + dense_size // 8


def empty_pair_sums(sizes: npt.NDArray[np.int64], n_columns: int) -> kernels.PairSums:
    """Return an empty triangle for sums with the `n_columns` most popular items."""
    _, rank = popularity_rank(sizes)
    starts = to_indptr(np.minimum(np.arange(len(sizes)), n_columns))
    return kernels.PairSums(np.empty(starts[-1], np.float32), starts[rank], rank, n_columns)


def popularity_rank(sizes: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Return the items by descending number of ratings, and the rank of each item."""
    order = np.argsort(-sizes, kind="stable").astype(np.int32)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return order, rank


class Factor(NamedTuple):
    """A number for each rating: in the rows and in the dense block."""

    sparse: npt.NDArray[np.float32]
    dense: npt.NDArray[np.float32]


class PreparedRatings(NamedTuple):
    """The ratings in the order of the blocks: rows by activity, items by popularity, with the dense block."""

    rows: kernels.CSR
    dense: kernels.DenseBlock
    prefix_lengths: npt.NDArray[np.int32]  # ratings of each row in the dense block
    # the two factors of each sum of a pair
    factors: list[tuple[Factor, Factor]]


def blocked_similarity(
    by_user: kernels.CSR,
    norms: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.int64],
    formula: kernels.SimilarityFormula,
    n_neighbors: int,
    progress: Progress | None = None,
    pair_sums: kernels.PairSums | None = None,
) -> tuple[np.ndarray, ...]:
    """Return lengths, indices, values and common raters of all rows, at most `n_neighbors` in each.

    The sums of the pairs are written to `pair_sums`.
    """
    layout = BlockLayout.choose(len(sizes), n_neighbors, formula.pearson)
    order, rank = popularity_rank(sizes)
    inputs = kernels.SimilarityInputs(formula, sizes[order], norms[order], order)
    buffers = fill_buffers(_sort_rows(by_user, rank), layout, inputs, n_neighbors, pair_sums, progress)

    lengths = np.minimum(buffers.filled.sum(axis=0), n_neighbors)[rank]
    indptr = to_indptr(lengths)
    out = tuple(np.empty(indptr[-1], dtype) for dtype in (np.int32, np.float32, np.int32))
    slices = split_by_cost(4 * lengths, SLICE)
    parallel_for(lambda start, stop: kernels.merge_buffers(start, stop, buffers, rank, indptr, out), slices)
    return lengths, *out


def fill_buffers(
    rows: kernels.CSR,
    layout: BlockLayout,
    inputs: kernels.SimilarityInputs,
    n_neighbors: int,
    pair_sums: kernels.PairSums | None = None,
    progress: Progress | None = None,
) -> kernels.NeighborBuffers:
    """Return the strongest neighbours from the pairs of the layout's items with more popular ones.

    Rows and inputs are in the order of the blocks: rows by descending activity, items by descending popularity.
    """
    padding = max(layout.n_padded - len(inputs.sizes), 0)  # items without raters
    by_popularity = (np.pad(part, (0, padding)) for part in (inputs.sizes, inputs.norms, inputs.order))
    padded = kernels.SimilarityInputs(inputs.formula, *by_popularity)
    buffers = _empty_buffers(layout, n_neighbors)
    _fill(buffers, prepare(rows, layout), layout, padded, pair_sums, progress)
    return buffers


def prepare(rows: kernels.CSR, layout: BlockLayout) -> PreparedRatings:
    """Fill the dense block from rows in the order of the blocks."""
    dense, prefix_lengths = empty_dense_block(rows, layout.n_padded)

    def factor(sparse: npt.NDArray[np.float32]) -> Factor:
        return Factor(sparse, fill_dense_values(sparse, rows, dense, prefix_lengths))

    value = factor(rows.data)
    factors = [(value, value)]
    if layout.moments:
        ones, squares = factor(np.ones_like(rows.data)), factor(np.square(rows.data))
        factors += [(value, ones), (ones, value), (squares, ones), (ones, squares)]
    return PreparedRatings(rows, dense, prefix_lengths, factors)


def empty_dense_block(rows: kernels.CSR, n_padded: int) -> tuple[kernels.DenseBlock, npt.NDArray[np.int32]]:
    """Return an empty dense block for `rows`, and an empty array for the dense prefix length of each row."""
    widths = kernels.dense_widths(rows, n_padded, max(len(rows.data), MIN_DENSE_SIZE))
    starts = to_indptr(widths * kernels.CHUNK_USERS)
    rated = np.zeros(starts[-1] // 64, np.uint64)
    return kernels.DenseBlock(widths, starts, rated), np.zeros(len(rows.indptr) - 1, np.int32)


def fill_dense_values(
    sparse: npt.NDArray[Any], rows: kernels.CSR, dense: kernels.DenseBlock, prefix_lengths: npt.NDArray[np.int32]
) -> npt.NDArray[Any]:
    """Return values of the ratings in the layout of the dense block; fill in `dense.rated` and `prefix_lengths`."""
    values = np.zeros(dense.starts[-1], sparse.dtype)

    def fill(start: int, stop: int) -> None:
        kernels.fill_dense_block(start, stop, rows, sparse, dense, values, prefix_lengths)

    parallel_for(fill, split_by_cost(dense.widths * kernels.CHUNK_USERS, SLICE))
    return values


def _sort_rows(by_user: kernels.CSR, rank: npt.NDArray[np.int32]) -> kernels.CSR:
    """Return the rows by descending activity, with items by descending popularity."""
    # 16 bits, if the item indices fit, halve the bytes of each row in the inner loop
    index_dtype = np.uint16 if len(rank) <= 2**16 else np.uint32
    items, values = np.empty(len(by_user.indices), index_dtype), np.empty_like(by_user.data)
    lengths = np.diff(by_user.indptr)
    users = np.argsort(-lengths, kind="stable")
    indptr = to_indptr(lengths[users])

    def sort(start: int, stop: int) -> None:
        kernels.sort_rows(start, stop, by_user, users, rank, indptr, items, values)

    parallel_for(sort, split_by_cost(lengths[users], SLICE))
    return kernels.CSR(indptr, items, values)


def _fill(
    buffers: kernels.NeighborBuffers,
    ratings: PreparedRatings,
    layout: BlockLayout,
    inputs: kernels.SimilarityInputs,
    pair_sums: kernels.PairSums | None,
    progress: Progress | None,
) -> None:
    """Add and select block after block on all threads."""
    # 0 for items before the first block
    block_of = np.searchsorted(layout.boundaries, np.arange(layout.n_padded), side="right").astype(np.int32)
    starts, users, offsets = kernels.list_user_blocks(ratings.rows, ratings.prefix_lengths, block_of)
    workspaces = _workspaces(buffers, layout)
    cancel_event = Event()

    def process(b: int, _: int) -> None:
        part = slice(starts[b], starts[b + 1])
        block = kernels.Block(layout.boundaries[b - 1], layout.boundaries[b], users[part], offsets[part])
        workspace = sums, counts, moments, own_buffers = workspaces.get()
        try:
            for k, (left, right) in enumerate(ratings.factors):
                out, out_counts = (sums, counts) if k == 0 else (moments[k - 1], None)
                kernels.add_dense_products(block, ratings.dense, left.dense, right.dense, out, out_counts)
                for start in range(0, len(block.users), ROWS_PER_CHECK):
                    stop = min(start + ROWS_PER_CHECK, len(block.users))
                    kernels.add_sparse_products(
                        block, start, stop, ratings.rows, left.sparse, right.sparse, out, out_counts
                    )
                    if cancel_event.is_set():
                        return
            if pair_sums is not None:
                _keep_sums(block, sums, inputs.order, pair_sums)
            kernels.select_neighbors(block, sums, counts, moments, inputs, own_buffers)
        finally:
            workspaces.put(workspace)

    parallel_for(process, [(b, b + 1) for b in range(1, len(layout.boundaries))], progress, cancel_event)


def _keep_sums(
    block: kernels.Block, sums: npt.NDArray[np.float32], order: npt.NDArray[np.int32], pair_sums: kernels.PairSums
) -> None:
    """Copy the sums of a block."""
    for i in range(block.low, min(block.high, len(pair_sums.rank))):
        start, row, n = pair_sums.starts[order[i]], (i - block.low) * block.high, min(i, pair_sums.n_columns)
        pair_sums.values[start : start + n] = sums[row : row + n]


def _empty_buffers(layout: BlockLayout, n_neighbors: int) -> kernels.NeighborBuffers:
    """Return empty buffers, a set for each thread."""
    threads, size = n_threads(), layout.n_padded * layout.capacity
    thresholds, filled = np.zeros(layout.n_padded, np.float32), np.zeros((threads, layout.n_padded), np.int32)
    keys, common = np.empty((threads, size), np.uint64), np.empty((threads, size), np.int32)
    return kernels.NeighborBuffers(layout.capacity, n_neighbors, thresholds, filled, keys, common)


def _workspaces(buffers: kernels.NeighborBuffers, layout: BlockLayout) -> "SimpleQueue[tuple[Any, ...]]":
    """Return sums, counts, moments and buffers for each thread."""
    # a task takes any idle workspace: which one does not change the result
    workspaces: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
    for thread in range(len(buffers.filled)):
        sums, counts = np.zeros(layout.n_sums, np.float32), np.zeros(layout.n_sums, np.int32)
        moments = np.zeros((layout.moments, layout.n_sums), np.float32) if layout.moments else None
        own_parts = {part: getattr(buffers, part)[thread] for part in ("filled", "keys", "common")}
        workspaces.put((sums, counts, moments, buffers._replace(**own_parts)))
    return workspaces
