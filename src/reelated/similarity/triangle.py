"""Driver of the triangle kernels: renumber, fill the dense block, add and select block by block, merge."""

from itertools import pairwise
from queue import SimpleQueue
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated import _kernels as kernels
from reelated.parallel import Progress, n_threads, ordered_parallel_map, split_by_cost

TABLE = 4e6
"""The maximum size in bytes of one thread's tables of sums; it bounds the items of a block."""
ITEMS = 32
"""Items of the last block, unless `TABLE` allows fewer."""
LEAST = 100_000
"""Pairs that the tables may always hold: a smaller block costs more to start than to add up."""
WIDEST = 256
"""The maximum items of a block: sums with the most popular partners should stay in the cache."""
PREPARE = 2e5
"""Ratings of one slice of the preparation; writing one neighbour of the result costs as much as four."""
CORNER = 1_000_000
"""Numbers that the dense block may always hold; above this, it holds at most as many as there are ratings."""
VISITS = 200_000
"""Rows that a thread processes before it checks for cancellation: a fraction of a second."""


def whole_lanes(n: int) -> int:
    """Round up to a multiple of eight, at least eight."""
    return max(-(-n // kernels.LANES), 1) * kernels.LANES


class Layout(NamedTuple):
    """The sizes of one thread's workspaces."""

    edges: tuple[int, ...]  # where the blocks begin, then the end of the last, padded to whole lanes
    shelf: int  # places of an item's buffer: a fifth more than wanted, so that it is rarely compacted
    moments: int  # sums for each pair beside the products and the count

    @classmethod
    def of(cls, n_items: int, n_neighbors: int, pearson: bool) -> "Layout":
        """Choose blocks with tables of equal size: many items where partners are few, few where they are many."""
        lanes, moments, edges = kernels.LANES, 4 if pearson else 0, [0]
        end = whole_lanes(n_items)
        pairs = min(TABLE / (8 + 4 * moments), max(ITEMS * end, LEAST))
        while edges[-1] < end:  # the largest x with x (low + x) pairs
            x = int((np.sqrt(edges[-1] ** 2 + 4 * pairs) - edges[-1]) / 2) // lanes * lanes
            edges.append(min(edges[-1] + min(max(x, lanes), WIDEST), end))
        return cls(tuple(edges), whole_lanes(n_neighbors + max(n_neighbors // 5, lanes)), moments)

    @property
    def n_padded(self) -> int:
        """The number of items, padded to whole lanes."""
        return self.edges[-1]

    @property
    def n_sums(self) -> int:
        """The number of pairs in a table of sums."""
        return max((high - low) * high for low, high in pairwise(self.edges))

    @property
    def bytes(self) -> int:
        """The size of one thread's tables and buffers."""
        return self.n_sums * (8 + 4 * self.moments) + self.n_padded * (8 + 12 * self.shelf)

    def prepared_bytes(self, n_users: int, n_ratings: int) -> int:
        """Return the maximum size of the sorted rows, the dense block and the lists of visits."""
        users = -(-n_users // kernels.DEPTH) * kernels.DEPTH
        corner = min(max(n_ratings, CORNER), users * self.n_padded)
        factors = 3 if self.moments else 1
        return n_ratings * (12 + 4 * factors) + users * 20 + corner * 4 * factors + corner // 8


class Ready(NamedTuple):
    """The ratings in the order of the triangle: rows by activity, items by popularity, with the dense block."""

    rows: kernels.CSR
    dense: kernels.Dense
    heads: npt.NDArray[np.int32]  # ratings of each row in the dense block
    # for each sum of a pair, the two numbers multiplied
    factors: list[tuple["Factor", "Factor"]]


class Factor(NamedTuple):
    """A number for each rating: in the rows and in the dense block."""

    sparse: npt.NDArray[np.float32]
    dense: npt.NDArray[np.float32]


def triangle(
    by_user: kernels.CSR,
    norms: npt.NDArray[np.float64],
    sizes: npt.NDArray[np.int64],
    rule: kernels.Rule,
    n_neighbors: int,
    progress: Progress | None = None,
) -> tuple[np.ndarray, ...]:
    """Return lengths, indices, values and common raters of all rows, at most `n_neighbors` in each."""
    layout = Layout.of(len(sizes), n_neighbors, rule.pearson)
    order = np.argsort(-sizes, kind="stable").astype(np.int32)
    rank = np.empty(len(sizes), np.int32)
    rank[order] = np.arange(len(sizes), dtype=np.int32)
    nobody = layout.n_padded - len(sizes)  # items of padding, without raters
    by_popularity = (np.pad(part, (0, nobody)) for part in (sizes[order], norms[order], order))
    terms = kernels.Terms(rule, *by_popularity)
    shelves = _empty_shelves(layout, n_neighbors)
    _fill(shelves, _prepared(by_user, rank, layout), layout, terms, progress)

    lengths = np.minimum(shelves.filled.sum(axis=0), n_neighbors)[rank]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    found = tuple(np.empty(indptr[-1], kind) for kind in (np.int32, np.float32, np.int32))

    def gathered(start: int, stop: int) -> None:
        kernels.gather(start, stop, shelves, rank, indptr, found)

    for _ in ordered_parallel_map(gathered, split_by_cost(4 * lengths, PREPARE)):
        pass
    return lengths, *found


def _prepared(by_user: kernels.CSR, rank: npt.NDArray[np.int32], layout: Layout) -> Ready:
    """Renumber and sort the ratings, and fill the dense block."""
    rows = _sorted_rows(by_user, rank)
    dense, heads = corner_of(rows, layout.n_padded)

    def factor(sparse: npt.NDArray[np.float32]) -> Factor:
        return Factor(sparse, put_in_corner(sparse, rows, dense, heads))

    value = factor(rows.data)
    factors = [(value, value)]
    if layout.moments:
        one, square = factor(np.ones_like(rows.data)), factor(np.square(rows.data))
        factors += [(value, one), (one, value), (square, one), (one, square)]
    return Ready(rows, dense, heads, factors)


def corner_of(rows: kernels.CSR, n_padded: int) -> tuple[kernels.Dense, npt.NDArray[np.int32]]:
    """Return an empty dense block for `rows`, and an empty array for the number of ratings in it per row."""
    widths = kernels.dense_widths(rows, n_padded, max(len(rows.data), CORNER))
    starts = np.concatenate([[0], np.cumsum(widths * kernels.DEPTH)])
    rated = np.zeros(starts[-1] // 64, np.uint64)
    return kernels.Dense(widths, starts, rated), np.zeros(len(rows.indptr) - 1, np.int32)


def put_in_corner(
    sparse: npt.NDArray[Any], rows: kernels.CSR, dense: kernels.Dense, heads: npt.NDArray[np.int32]
) -> npt.NDArray[Any]:
    """Return numbers beside the ratings as the dense block holds them; fill in `dense.rated` and `heads`."""
    values = np.zeros(dense.starts[-1], sparse.dtype)

    def part(start: int, stop: int) -> None:
        kernels.fill_dense(start, stop, rows, sparse, dense, values, heads)

    for _ in ordered_parallel_map(part, split_by_cost(dense.widths * kernels.DEPTH, PREPARE)):
        pass
    return values


def _sorted_rows(by_user: kernels.CSR, rank: npt.NDArray[np.int32]) -> kernels.CSR:
    """Return the rows by descending activity, with items by descending popularity."""
    # half the bytes of each row in the inner loop where the item indices allow
    small = np.uint16 if len(rank) <= 2**16 else np.uint32
    items, values = np.empty(len(by_user.indices), small), np.empty_like(by_user.data)
    lengths = np.diff(by_user.indptr)
    users = np.argsort(-lengths, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(lengths[users])])

    def part(start: int, stop: int) -> None:
        kernels.sort_rows(start, stop, by_user, users, rank, indptr, items, values)

    for _ in ordered_parallel_map(part, split_by_cost(lengths[users], PREPARE)):
        pass
    return kernels.CSR(indptr, items, values)


def _fill(
    shelves: kernels.Shelves, ready: Ready, layout: Layout, terms: kernels.Terms, progress: Progress | None
) -> None:
    """Add and select block after block on all threads."""
    starts, users, firsts = _visits(ready, layout)
    # a task takes whichever workspace is idle; which one does not change the result
    idle: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
    for thread in range(len(shelves.filled)):
        sums, counts = np.zeros(layout.n_sums, np.float32), np.zeros(layout.n_sums, np.int32)
        moments = np.zeros((layout.moments, layout.n_sums), np.float32) if layout.moments else None
        mine = shelves._replace(**{part: getattr(shelves, part)[thread] for part in ("filled", "keys", "common")})
        idle.put((sums, counts, moments, mine))
    cancel_event = Event()

    def block(b: int, _: int) -> None:
        here = slice(starts[b], starts[b + 1])
        found = kernels.Block(layout.edges[b], layout.edges[b + 1], users[here], firsts[here])
        workspace = sums, counts, moments, mine = idle.get()
        try:
            for at, (left, right) in enumerate(ready.factors):
                table, counted = (sums, counts) if at == 0 else (moments[at - 1], None)
                kernels.add_dense(found, ready.dense, left.dense, right.dense, table, counted)
                for visit in range(0, len(found.users), VISITS):
                    stop = min(visit + VISITS, len(found.users))
                    kernels.add_pairs(found, visit, stop, ready.rows, left.sparse, right.sparse, table, counted)
                    if cancel_event.is_set():
                        return
            kernels.harvest(found, sums, counts, moments, terms, mine)
        finally:
            idle.put(workspace)

    for _ in ordered_parallel_map(block, [(b, b + 1) for b in range(len(starts) - 1)], progress, cancel_event):
        pass


def _empty_shelves(layout: Layout, n_neighbors: int) -> kernels.Shelves:
    """Return empty buffers, a set for each thread."""
    threads, size = n_threads(), layout.n_padded * layout.shelf
    floors, filled = np.zeros(layout.n_padded, np.float32), np.zeros((threads, layout.n_padded), np.int32)
    keys, common = np.empty((threads, size), np.uint64), np.empty((threads, size), np.int32)
    return kernels.Shelves(layout.shelf, n_neighbors, floors, filled, keys, common)


def _visits(ready: Ready, layout: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each block of items its users after the dense block, and where in their rows its items begin."""
    block_of = np.repeat(np.arange(len(layout.edges) - 1), np.diff(layout.edges)).astype(np.int32)
    starts = np.zeros(len(layout.edges), np.int64)
    kernels.count_visits(ready.rows, ready.heads, block_of, starts)
    np.cumsum(starts, out=starts)
    users, firsts = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
    kernels.list_visits(ready.rows, ready.heads, block_of, starts[:-1].copy(), users, firsts)
    return starts, users, firsts
