"""Split the items into blocks, one task each: tables fit into a task's memory, and tasks cost about the same."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reelated._kernels import LANES
from reelated.errors import TooLarge, show_bytes
from reelated.similarity import SimilarityParams
from reelated.similarity.blocked import padded_length

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
    max_items = memory // bytes_per_item // LANES * LANES
    if max_items < 1:
        expected = f"eight of {len(cost):,} items take {show_bytes(LANES * bytes_per_item)}."
        raise TooLarge(expected, parameter="task_memory", value=show_bytes(memory), remedy="Raise task_memory.")
    total_cost = cost + 4.0 * len(cost)  # allocating and scanning a table takes time too
    cumulative = np.concatenate([[0.0], np.cumsum(total_cost)])
    boundaries, share = [0], cumulative[-1] / (BLOCKS_PER_CORE * n_cores)
    while (start := boundaries[-1]) < len(cost):
        stop = int(np.searchsorted(cumulative, cumulative[start] + share, side="right")) - 1
        boundaries.append(min(padded_length(stop - start) + start, start + max_items, len(cost)))
    return Blocks(np.array(boundaries, np.int64), padded_length(int(np.diff(boundaries).max())) * bytes_per_item)
