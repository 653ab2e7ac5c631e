"""Drives the triangle kernels: renumber, lay out the dense corner, add up and harvest blocks on all threads, gather."""

from itertools import pairwise
from queue import SimpleQueue
from threading import Event
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated import _kernels as kernels
from reelated._threads import Progress, in_order, n_threads, slices_of

TABLE = 4e6
"""The most bytes of one thread's tables of sums; a block has as many items as they hold."""
ITEMS = 32
"""Items of the last block, where tables may be so large."""
LEAST = 100_000
"""Pairs that tables may always hold: a smaller block takes longer to begin than to add up."""
WIDEST = 256
"""The most items of a block: what they have most in common should stay in the cache."""
PREPARE = 2e5
"""Ratings of one slice of the preparation; putting a neighbour into the result takes the time of four."""
CORNER = 1_000_000
"""Numbers that the dense corner may always hold; beyond, it holds no more than there are ratings."""
VISITS = 200_000
"""Rows that a thread walks before it looks whether the work was called off: a fraction of a second."""


def whole_lanes(n: int) -> int:
    """Return a number of items up to a multiple of eight, at least eight."""
    return max(-(-n // kernels.LANES), 1) * kernels.LANES


class Layout(NamedTuple):
    """The sizes of one thread's workspaces.

    Attributes
    ----------
    edges : tuple of int
        Where the blocks of items begin, and the end of the last: all items, up to whole groups of lanes.
    shelf : int
        Places on an item's shelf: a fifth more than are wanted, so that it is tidied rarely.
    moments : int
        Sums for a pair beside that of products and the count.
    """

    edges: tuple[int, ...]
    shelf: int
    moments: int

    @classmethod
    def of(cls, n_items: int, n_neighbors: int, pearson: bool) -> "Layout":
        """Choose blocks whose tables are of one size: many items where partners are few, few where they are many."""
        lanes, moments, edges = kernels.LANES, 4 if pearson else 0, [0]
        end = whole_lanes(n_items)
        pairs = min(TABLE / (8 + 4 * moments), max(ITEMS * end, LEAST))
        while edges[-1] < end:  # the largest x with x (low + x) pairs
            x = int((np.sqrt(edges[-1] ** 2 + 4 * pairs) - edges[-1]) / 2) // lanes * lanes
            edges.append(min(edges[-1] + min(max(x, lanes), WIDEST), end))
        return cls(tuple(edges), whole_lanes(n_neighbors + max(n_neighbors // 5, lanes)), moments)

    @property
    def n_padded(self) -> int:
        """All items, up to whole groups of lanes."""
        return self.edges[-1]

    @property
    def n_sums(self) -> int:
        """The pairs in a table of sums."""
        return max((high - low) * high for low, high in pairwise(self.edges))

    @property
    def bytes(self) -> int:
        """What one thread's tables and shelves take."""
        return self.n_sums * (8 + 4 * self.moments) + self.n_padded * (8 + 12 * self.shelf)

    def prepared_bytes(self, n_users: int, n_ratings: int) -> int:
        """Return the most that sorted rows, the dense corner and the lists of visits take."""
        users = -(-n_users // kernels.DEPTH) * kernels.DEPTH
        corner = min(max(n_ratings, CORNER), users * self.n_padded)
        factors = 3 if self.moments else 1
        return n_ratings * (12 + 4 * factors) + users * 20 + corner * 4 * factors + corner // 8


class Ready(NamedTuple):
    """The ratings as the triangle takes them: rows by activity, items by popularity, and the dense corner.

    `heads[u]` places of row `u` stand in the corner. `factors` lists which two numbers of a pair are multiplied for
    each sum, each as they lie in the rows and in the corner.
    """

    rows: kernels.CSR
    dense: kernels.Dense
    heads: npt.NDArray[np.int32]
    factors: list[tuple["Factor", "Factor"]]


class Factor(NamedTuple):
    """One number for every rating: in the rows and in the dense corner."""

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
    """Return lengths, indices, values and common raters of all rows, `n_neighbors` at most in each."""
    layout = Layout.of(len(sizes), n_neighbors, rule.pearson)
    order = np.argsort(-sizes, kind="stable").astype(np.int32)
    rank = np.empty(len(sizes), np.int32)
    rank[order] = np.arange(len(sizes), dtype=np.int32)
    nobody = layout.n_padded - len(sizes)  # items up to a whole group, which nobody rated
    by_popularity = (np.pad(part, (0, nobody)) for part in (sizes[order], norms[order], order))
    terms = kernels.Terms(rule, *by_popularity)
    shelves = _empty_shelves(layout, n_neighbors)
    _fill(shelves, _prepared(by_user, rank, layout), layout, terms, progress)

    lengths = np.minimum(shelves.filled.sum(axis=0), n_neighbors)[rank]
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    found = tuple(np.empty(indptr[-1], kind) for kind in (np.int32, np.float32, np.int32))

    def gathered(start: int, stop: int) -> None:
        kernels.gather(start, stop, shelves, rank, indptr, found)

    for _ in in_order(gathered, slices_of(4 * lengths, PREPARE)):
        pass
    return lengths, *found


def _prepared(by_user: kernels.CSR, rank: npt.NDArray[np.int32], layout: Layout) -> Ready:
    """Renumber and sort, and lay out the dense corner."""
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
    """Return where the dense corner of rows lies, yet empty, and room for how many places of each row it holds."""
    widths = kernels.dense_widths(rows, n_padded, max(len(rows.data), CORNER))
    starts = np.concatenate([[0], np.cumsum(widths * kernels.DEPTH)])
    rated = np.zeros(starts[-1] // 64, np.uint64)
    return kernels.Dense(widths, starts, rated), np.zeros(len(rows.indptr) - 1, np.int32)


def put_in_corner(
    sparse: npt.NDArray[Any], rows: kernels.CSR, dense: kernels.Dense, heads: npt.NDArray[np.int32]
) -> npt.NDArray[Any]:
    """Return numbers beside the ratings of rows as they lie in the dense corner; write who rated, and the heads."""
    values = np.zeros(dense.starts[-1], sparse.dtype)

    def part(start: int, stop: int) -> None:
        kernels.fill_dense(start, stop, rows, sparse, dense, values, heads)

    for _ in in_order(part, slices_of(dense.widths * kernels.DEPTH, PREPARE)):
        pass
    return values


def _sorted_rows(by_user: kernels.CSR, rank: npt.NDArray[np.int32]) -> kernels.CSR:
    """Return the rows by falling activity, with items by falling popularity."""
    small = np.uint16 if len(rank) <= 2**16 else np.uint32
    items, values = np.empty(len(by_user.indices), small), np.empty_like(by_user.data)
    lengths = np.diff(by_user.indptr)
    users = np.argsort(-lengths, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(lengths[users])])

    def part(start: int, stop: int) -> None:
        kernels.sort_rows(start, stop, by_user, users, rank, indptr, items, values)

    for _ in in_order(part, slices_of(lengths[users], PREPARE)):
        pass
    return kernels.CSR(indptr, items, values)


def _fill(
    shelves: kernels.Shelves, ready: Ready, layout: Layout, terms: kernels.Terms, progress: Progress | None
) -> None:
    """Add up and harvest block after block; a thread takes the tables and shelves of whichever is idle."""
    starts, users, firsts = _visits(ready, layout)
    idle: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
    for thread in range(len(shelves.filled)):
        sums, counts = np.zeros(layout.n_sums, np.float32), np.zeros(layout.n_sums, np.int32)
        moments = np.zeros((layout.moments, layout.n_sums), np.float32) if layout.moments else None
        mine = shelves._replace(**{part: getattr(shelves, part)[thread] for part in ("filled", "keys", "common")})
        idle.put((sums, counts, moments, mine))
    called_off = Event()

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
                    if called_off.is_set():
                        return
            kernels.harvest(found, sums, counts, moments, terms, mine)
        finally:
            idle.put(workspace)

    for _ in in_order(block, [(b, b + 1) for b in range(len(starts) - 1)], progress, called_off):
        pass


def _empty_shelves(layout: Layout, n_neighbors: int) -> kernels.Shelves:
    """Return empty shelves, a set for each thread."""
    threads, size = n_threads(), layout.n_padded * layout.shelf
    floors, filled = np.zeros(layout.n_padded, np.float32), np.zeros((threads, layout.n_padded), np.int32)
    keys, common = np.empty((threads, size), np.uint64), np.empty((threads, size), np.int32)
    return kernels.Shelves(layout.shelf, n_neighbors, floors, filled, keys, common)


def _visits(ready: Ready, layout: Layout) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return for each block of items which users touch it behind the dense corner, and where in their row."""
    block_of = np.repeat(np.arange(len(layout.edges) - 1), np.diff(layout.edges)).astype(np.int32)
    starts = np.zeros(len(layout.edges), np.int64)
    kernels.count_visits(ready.rows, ready.heads, block_of, starts)
    np.cumsum(starts, out=starts)
    users, firsts = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.int32)
    kernels.list_visits(ready.rows, ready.heads, block_of, starts[:-1].copy(), users, firsts)
    return starts, users, firsts
