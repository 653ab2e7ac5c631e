"""The best items of rows: one at a time, or all of them in groups of eight."""

import threading
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reelated import _kernels as kernels
from reelated.parallel import Progress, ordered_parallel_map, split_by_cost
from reelated.similarity import take_rows

SLICE = 1e8
"""Additions of one slice of work: about a third of a second."""
MOST = 100
"""The longest lists that are made in groups: candidates are kept in order one by one."""


class TopN(NamedTuple):
    """The best items of each row.

    Attributes
    ----------
    indptr : ndarray of int64, shape (n_rows + 1,)
        Row `u` holds the places `indptr[u]` to `indptr[u + 1]` of the other two.
    items : ndarray of int32
        Item numbers, best first; of equal scores the lower number first.
    scores : ndarray of float64
        What they were ranked by; predicted ratings before they are clipped to the scale.
    """

    indptr: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float64]

    def row(self, u: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Return the items and scores of one row.

        Parameters
        ----------
        u : int
            The number of the row.

        Returns
        -------
        items : ndarray of int32
        scores : ndarray of float64
        """
        part = slice(self.indptr[u], self.indptr[u + 1])
        return self.items[part], self.scores[part]


class Terms(NamedTuple):
    """One of the two numbers of some rows: ``base_i + base_u + Σ_j s_ij (v_uj − base_j − base_u)``, and its finish.

    Attributes
    ----------
    rows : CSR of float32
        `v`: what the ratings of every row are worth, in the places of the ratings.
    item_offset, user_offset : ndarray of float64
        The bases.
    finish : Finish
        How sums become the number.
    """

    rows: kernels.CSR
    item_offset: npt.NDArray[np.float64]
    user_offset: npt.NDArray[np.float64]
    finish: kernels.ScoreParams


class Wanted(NamedTuple):
    """Which items may be listed (none named: all), whether those of the row itself may, and how many."""

    allowed: npt.NDArray[np.bool_]
    keep_seen: bool
    n: int


def best_of_rows(terms: Terms, links: kernels.ItemGraph, wanted: Wanted, progress: Progress | None = None) -> TopN:
    """Return the best items of every row."""
    n_rows = len(terms.user_offset)
    if n_rows >= kernels.LANES and 0 < wanted.n <= MOST and _add_up_plainly(terms, links):
        return _in_groups(terms, links, wanted, progress)
    lengths, items, scores = _row_by_row(terms, links, wanted, progress)
    if n_rows == 1:
        return TopN(np.array([0, len(items)]), items, scores)
    return TopN(np.concatenate([[0], np.cumsum(lengths)]), items, scores)


def _add_up_plainly(terms: Terms, links: kernels.ItemGraph) -> bool:
    """Say whether scores are sums, over all rated neighbours, of nothing negative."""
    return (
        not terms.finish.rating
        and links.max_neighbors_used >= np.diff(terms.rows.indptr).max()
        and terms.rows.data.min(initial=np.inf) >= 0
        and links.by_row.data.min(initial=0) >= 0
    )


def _row_by_row(
    terms: Terms, links: kernels.ItemGraph, wanted: Wanted, progress: Progress | None = None
) -> tuple[np.ndarray, ...]:
    """Return lengths, items and scores of the lists, one after the other."""
    rows, n_items = terms.rows, len(terms.item_offset)

    def top(start: int, stop: int) -> tuple[np.ndarray, ...]:
        return kernels.topn_rows(start, stop, rows, links, *terms[1:], *wanted, _zeros(n_items))

    if len(terms.user_offset) == 1:
        return top(0, 1)
    cost = np.concatenate([[0], np.diff(links.by_column.indptr)[rows.indices].cumsum()])[rows.indptr]
    nobody = (np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))
    parts = list(ordered_parallel_map(top, split_by_cost(np.diff(cost) + 4.0 * n_items, SLICE), progress)) or [nobody]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


_held = threading.local()


def _zeros(n_items: int) -> npt.NDArray[np.float64]:
    """Return this thread's workspace of zeros, which kernels leave as it was: a new one takes longer than its use."""
    size = -(-n_items // kernels.LANES) * kernels.LANES
    if len(getattr(_held, "zeros", ())) != size:
        _held.zeros = np.zeros(size)
    return _held.zeros


def _in_groups(terms: Terms, links: kernels.ItemGraph, wanted: Wanted, progress: Progress | None) -> TopN:
    """Return the best items of every row, of eight rows of like length at a time."""
    rows, n_items = terms.rows, len(terms.item_offset)
    lengths, n = np.diff(rows.indptr), wanted.n
    order = np.argsort(-lengths, kind="stable")
    found, size = np.empty(len(lengths), np.int64), len(lengths) * n
    out = kernels.TopNOutput(found, np.empty(size, np.int32), np.empty(size))

    def top(start: int, stop: int) -> None:
        kernels.topn_groups(start, stop, order, rows, links, *wanted, out)

    fan_out = links.by_row.indptr[-1] / max(n_items, 1)
    cost = 4 * fan_out * lengths[order][:: kernels.LANES] + n_items
    for _ in ordered_parallel_map(top, split_by_cost(cost, SLICE), progress):
        pass
    open_ = np.flatnonzero(found < n)
    left = terms._replace(rows=take_rows(rows, open_), user_offset=terms.user_offset[open_])
    found[open_], more_items, more_scores = _row_by_row(left, links, wanted)
    items, scores = out.items.reshape(-1, n), out.scores.reshape(-1, n)
    for table, more in ((items, more_items), (scores, more_scores)):
        part = table[open_]
        part[np.arange(n) < found[open_, None]] = more
        table[open_] = part
    listed = np.arange(n) < found[:, None]
    return TopN(np.concatenate([[0], np.cumsum(found)]), items[listed], scores[listed])
