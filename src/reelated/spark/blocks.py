"""Which items are one task's: blocks whose tables fit its memory and whose work is alike."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from reelated._kernels import LANES
from reelated.errors import TooLarge, show_bytes
from reelated.similarity import Measure
from reelated.similarity.triangle import whole_lanes

TASKS = 3
"""Blocks for each core at least, where there are items enough: the last ones end at about the same time."""


class Blocks(NamedTuple):
    """Stretches of items by falling popularity, one task each.

    Attributes
    ----------
    edges : ndarray of int64, shape (n_blocks + 1,)
        Where they begin, each a multiple of eight, and the end of the last.
    bytes : int
        What the largest table takes.
    """

    edges: npt.NDArray[np.int64]
    bytes: int

    def __len__(self) -> int:
        return len(self.edges) - 1

    @property
    def of_item(self) -> npt.NDArray[np.int32]:
        """The block of every item."""
        return np.repeat(np.arange(len(self)), np.diff(self.edges)).astype(np.int32)


def bytes_of_row(n_items: int, measure: Measure, width: int) -> int:
    """Return the bytes of one item's sums with all items, and of its neighbours."""
    kept = min(n_items, measure.n_neighbors or n_items)
    return whole_lanes(n_items) * (width + 4 + (4 * width if measure.pearson else 0)) + kept * (width + 8)


def choose(cost: npt.NDArray[np.float64], row: int, memory: int, cores: int) -> Blocks:
    """Cut the items into blocks.

    Parameters
    ----------
    cost : ndarray of float64, shape (n_items,)
        The additions that each item takes, by falling popularity.
    row : int
        The bytes of one item's table.
    memory : int
        The most bytes of a block's table.
    cores : int
        How many tasks run at once.

    Returns
    -------
    Blocks

    Raises
    ------
    TooLarge
        Not even the table of eight items fits.
    """
    most = memory // row // LANES * LANES
    if most < 1:
        raise TooLarge(
            f"task_memory={show_bytes(memory)}: eight of {len(cost):,} movies take {show_bytes(LANES * row)}. "
            "Raise task_memory."
        )
    scanned = cost + 4.0 * len(cost)  # that a table is made and read counts, too
    done = np.concatenate([[0.0], np.cumsum(scanned)])
    edges, share = [0], done[-1] / (TASKS * cores)
    while edges[-1] < len(cost):
        fair = int(np.searchsorted(done, done[edges[-1]] + share, side="right")) - 1
        edges.append(min(whole_lanes(fair - edges[-1]) + edges[-1], edges[-1] + most, len(cost)))
    return Blocks(np.array(edges, np.int64), whole_lanes(int(np.diff(edges).max())) * row)
