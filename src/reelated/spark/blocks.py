"""Split the items into blocks, one task each: tables fit into a task's memory, and tasks cost about the same."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reelated._kernels import LANES
from reelated.errors import TooLarge, show_bytes
from reelated.similarity import SimilarityParams
from reelated.similarity.blocked import padded_length

TASKS = 3
"""Minimum number of blocks for each core, so that all cores finish at about the same time."""


class Blocks(NamedTuple):
    """Ranges of items by falling popularity, one task each."""

    edges: npt.NDArray[np.int64]  # shape (n_blocks + 1,): block boundaries; all but the last are multiples of eight
    bytes: int  # size of the largest table

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def of_item(self) -> npt.NDArray[np.int32]:
        """The block of every item."""
        return np.repeat(np.arange(len(self)), np.diff(self.edges)).astype(np.int32)


def bytes_of_row(n_items: int, measure: SimilarityParams, width: int) -> int:
    """Return the bytes of one item's sums with all items, and of its neighbours."""
    kept = min(n_items, measure.n_neighbors or n_items)
    return padded_length(n_items) * (width + 4 + (4 * width if measure.pearson else 0)) + kept * (width + 8)


def choose(cost: npt.NDArray[np.float64], row: int, memory: int, cores: int) -> Blocks:
    """Split the items into blocks of about equal cost, whose tables fit into `memory` bytes.

    `cost` holds the additions of each item by falling popularity, `row` is the bytes of one item's table. Raise
    `TooLarge` if not even eight items fit.
    """
    most = memory // row // LANES * LANES
    if most < 1:
        raise TooLarge(
            f"task_memory={show_bytes(memory)}: eight of {len(cost):,} items take {show_bytes(LANES * row)}. "
            "Raise task_memory."
        )
    scanned = cost + 4.0 * len(cost)  # allocating and scanning a table takes time too
    done = np.concatenate([[0.0], np.cumsum(scanned)])
    edges, share = [0], done[-1] / (TASKS * cores)
    while edges[-1] < len(cost):
        fair = int(np.searchsorted(done, done[edges[-1]] + share, side="right")) - 1
        edges.append(min(padded_length(fair - edges[-1]) + edges[-1], edges[-1] + most, len(cost)))
    return Blocks(np.array(edges, np.int64), padded_length(int(np.diff(edges).max())) * row)
