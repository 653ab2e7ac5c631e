"""The best items of rows: one at a time, or all of them in groups of eight."""

import threading
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated import _kernels as kernels
from reelated._threads import Progress, in_order, slices_of
from reelated.similarity import as_kernel_csr

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
        What they were ranked by.
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


class Asked(NamedTuple):
    """What is wanted of every row: which number, of which items (none named: of all), and how many."""

    item_offset: npt.NDArray[np.float64]
    user_offset: npt.NDArray[np.float64]
    finish: kernels.Finish
    allowed: npt.NDArray[np.bool_]
    keep_seen: bool
    n: int


def best_of_rows(X: sp.csr_array, links: kernels.Links, asked: Asked, progress: Progress | None = None) -> TopN:
    """Return the best items of every row."""
    if X.shape[0] >= kernels.LANES and 0 < asked.n <= MOST and _add_up_plainly(X, links, asked):
        return _in_groups(X, links, asked, progress)
    lengths, items, scores = _row_by_row(X, links, asked, progress)
    if X.shape[0] == 1:
        return TopN(np.array([0, len(items)]), items, scores)
    return TopN(np.concatenate([[0], np.cumsum(lengths)]), items, scores)


def _add_up_plainly(X: sp.csr_array, links: kernels.Links, asked: Asked) -> bool:
    """Say whether scores are sums, over all rated neighbours, of nothing negative."""
    return (
        not asked.finish.rating
        and links.max_used >= np.diff(X.indptr).max()
        and X.data.min(initial=np.inf) >= asked.item_offset[0]
        and links.by_row.data.min(initial=0) >= 0
    )


def _row_by_row(
    X: sp.csr_array, links: kernels.Links, asked: Asked, progress: Progress | None = None
) -> tuple[np.ndarray, ...]:
    """Return lengths, items and scores of the lists, one after the other."""
    rows = as_kernel_csr(X)

    def top(start: int, stop: int) -> tuple[np.ndarray, ...]:
        return kernels.top_rows(start, stop, rows, links, *asked, _zeros(X.shape[1]))

    if X.shape[0] == 1:
        return top(0, 1)
    cost = np.concatenate([[0], np.diff(links.by_column.indptr)[X.indices].cumsum()])[X.indptr]
    nobody = (np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))
    parts = list(in_order(top, slices_of(np.diff(cost) + 4.0 * X.shape[1], SLICE), progress)) or [nobody]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


_held = threading.local()


def _zeros(n_items: int) -> npt.NDArray[np.float64]:
    """Return this thread's workspace of zeros, which kernels leave as it was: a new one takes longer than its use."""
    size = -(-n_items // kernels.LANES) * kernels.LANES
    if len(getattr(_held, "zeros", ())) != size:
        _held.zeros = np.zeros(size)
    return _held.zeros


def _in_groups(X: sp.csr_array, links: kernels.Links, asked: Asked, progress: Progress | None) -> TopN:
    """Return the best items of every row, of eight rows of like length at a time."""
    lengths, n, rows = np.diff(X.indptr), asked.n, as_kernel_csr(X)
    order = np.argsort(-lengths, kind="stable")
    found, size = np.empty(len(lengths), np.int64), len(lengths) * n
    out = kernels.Found(found, np.empty(size, np.int32), np.empty(size))
    lowest = float(asked.item_offset[0])

    def top(start: int, stop: int) -> None:
        kernels.top_groups(start, stop, order, rows, links, lowest, asked.allowed, asked.keep_seen, n, out)

    fan_out = links.by_row.indptr[-1] / max(X.shape[1], 1)
    cost = 4 * fan_out * lengths[order][:: kernels.LANES] + X.shape[1]
    for _ in in_order(top, slices_of(cost, SLICE), progress):
        pass
    open_ = np.flatnonzero(found < n)
    found[open_], more_items, more_scores = _row_by_row(
        X[open_], links, asked._replace(user_offset=asked.user_offset[open_])
    )
    items, scores = out.items.reshape(-1, n), out.scores.reshape(-1, n)
    for table, more in ((items, more_items), (scores, more_scores)):
        part = table[open_]
        part[np.arange(n) < found[open_, None]] = more
        table[open_] = part
    listed = np.arange(n) < found[:, None]
    return TopN(np.concatenate([[0], np.cumsum(found)]), items[listed], scores[listed])
