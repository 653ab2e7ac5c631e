"""Top-n items of rows, computed one row at a time or in groups of eight rows."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reelated import _kernels as kernels
from reelated.parallel import Progress, ordered_parallel_map, parallel_for, split_by_cost
from reelated.similarity import as_csc, sizes_and_norms, take_prefixes, take_rows

SLICE = 1e8
"""Number of additions in one slice of work: about a third of a second."""
WORTH_SORTING = 10
"""Mean number of ratings of an item from which on the sums are sorted, which takes passes over the item–item matrix."""
MAX_GROUPED = 100
"""Maximum `n` of the grouped method, which keeps candidates sorted by insertion."""


class TopN(NamedTuple):
    """The best items of each row.

    Attributes
    ----------
    indptr : ndarray of int64, shape (n_rows + 1,)
        Row pointers, as in CSR: row `u` holds the positions `indptr[u]` to `indptr[u + 1]`.
    items : ndarray of int32
        Item indices, best first, ties in ascending index.
    scores : ndarray of float64
        The numbers that the items are sorted by; predicted ratings are not clipped to the scale.
    """

    indptr: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    scores: npt.NDArray[np.float64]

    def row(self, u: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """Return the items and scores of one row.

        Parameters
        ----------
        u : int
            Row index.
        """
        part = slice(self.indptr[u], self.indptr[u + 1])
        return self.items[part], self.scores[part]


class Terms(NamedTuple):
    """The terms of scores or predicted ratings: ``offset_i + offset_u + Σ_j s_ij (v_uj − offset_j − offset_u)``."""

    rows: kernels.CSR
    item_offset: npt.NDArray[np.float64]
    user_offset: npt.NDArray[np.float64]
    params: kernels.ScoreParams


class ListOptions(NamedTuple):
    """The mask of the items to choose from (empty: all), whether to list rated items, and the length of the lists."""

    item_mask: npt.NDArray[np.bool_]
    keep_seen: bool
    n: int


def top_n_of_rows(
    terms: Terms, links: kernels.ItemGraph, options: ListOptions, progress: Progress | None = None
) -> TopN:
    """Return the best items of every row."""
    n_rows = len(terms.user_offset)
    if n_rows >= kernels.LANES and 0 < options.n <= MAX_GROUPED and _are_plain_sums(terms, links):
        return _grouped(terms, links, options, progress)
    lengths, items, scores = _row_by_row(terms, links, options, progress)
    if n_rows == 1:
        return TopN(np.array([0, len(items)]), items, scores)
    return TopN(np.concatenate([[0], np.cumsum(lengths)]), items, scores)


def _are_plain_sums(terms: Terms, links: kernels.ItemGraph) -> bool:
    """Return whether scores are sums of non-negative terms over all rated neighbours."""
    return (
        not terms.params.rating
        and links.max_neighbors_used >= np.diff(terms.rows.indptr).max()
        and terms.rows.data.min(initial=np.inf) >= 0
        and links.by_row.data.min(initial=0) >= 0
    )


def _row_by_row(
    terms: Terms, links: kernels.ItemGraph, options: ListOptions, progress: Progress | None = None
) -> tuple[np.ndarray, ...]:
    """Return the lengths of the lists, and their concatenated items and scores."""
    rows, n_items = terms.rows, len(terms.item_offset)

    def top(start: int, stop: int) -> tuple[np.ndarray, ...]:
        return kernels.topn_rows(start, stop, rows, links, *terms[1:], *options)

    if len(terms.user_offset) == 1:
        return top(0, 1)
    cost = np.concatenate([[0], np.diff(links.by_column.indptr)[rows.indices].cumsum()])[rows.indptr]
    empty = (np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0))
    parts = list(ordered_parallel_map(top, split_by_cost(np.diff(cost) + 4.0 * n_items, SLICE), progress)) or [empty]
    return tuple(np.concatenate(part) for part in zip(*parts, strict=True))


def _grouped(terms: Terms, links: kernels.ItemGraph, options: ListOptions, progress: Progress | None) -> TopN:
    """Return the best items of every row, computed for eight rows of similar length at a time."""
    rows, n_items = terms.rows, len(terms.item_offset)
    lengths, n = np.diff(rows.indptr), options.n
    members, sum_order = np.argsort(-lengths, kind="stable"), _sum_order(rows, links)
    counts, size = np.empty(len(lengths), np.int64), len(lengths) * n
    out = kernels.TopNOutput(counts, np.empty(size, np.int32), np.empty(size))
    fan_out = links.by_row.indptr[-1] / max(n_items, 1)
    slices = split_by_cost(4 * fan_out * lengths[members][:: kernels.LANES] + n_items, SLICE)

    def top(start: int, stop: int) -> None:
        kernels.topn_groups(start, stop, members, rows, links.by_row, sum_order, *options, out)

    parallel_for(top, slices, progress)
    uncertain = np.flatnonzero(counts < n)  # rounding may hide one of the top n, or fewer items have a score
    remaining = terms._replace(rows=take_rows(rows, uncertain), user_offset=terms.user_offset[uncertain])
    counts[uncertain], more_items, more_scores = _row_by_row(remaining, links, options)
    items, scores = out.items.reshape(-1, n), out.scores.reshape(-1, n)
    for table, more in ((items, more_items), (scores, more_scores)):
        part = table[uncertain]
        part[np.arange(n) < counts[uncertain, None]] = more
        table[uncertain] = part
    listed = np.arange(n) < counts[:, None]
    return TopN(np.concatenate([[0], np.cumsum(counts)]), items[listed], scores[listed])


def _sum_order(rows: kernels.CSR, links: kernels.ItemGraph) -> kernels.SumOrder:
    """Return the order of the sums in memory: for many rows, the most frequent items first."""
    n_items = len(links.by_row.indptr) - 1
    items = np.arange(n_items, dtype=np.int32)
    if rows.indptr[-1] < WORTH_SORTING * n_items:
        return kernels.SumOrder(items, items, links.by_column)
    items = np.argsort(-sizes_and_norms(rows, n_items)[0], kind="stable").astype(np.int32)
    positions = np.empty_like(items)
    positions[items] = np.arange(n_items)
    by_row = take_prefixes(links.by_row, items, n_items)
    by_row = by_row._replace(indices=positions.astype(by_row.indices.dtype)[by_row.indices])
    by_column = as_csc(by_row, n_items, links.by_column.indices.dtype.name)
    return kernels.SumOrder(items, positions, by_column)
