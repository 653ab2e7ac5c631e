"""Assemble the shards that the executors wrote into index order, by memory-mapped files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import InputError
from reelated.similarity import Similarity
from reelated.spark.blocks import Blocks
from reelated.spark.pairs import PARTS, shard


def read_shard(folder: Path, block: int, name: str) -> npt.NDArray[Any]:
    """Memory-map an array that a task wrote, or raise if the driver does not see the file."""
    file = shard(str(folder), block, name)
    if not file.is_file():
        raise InputError(
            f"path={str(folder.parent)!r}: the executors have written to it, but the driver does not see their files. "
            "Expected a folder of a file system that all machines share."
        )
    return np.asarray(np.load(file, mmap_mode="r"))


def assembled(
    folder: Path, blocks: Blocks, lengths: dict[int, npt.NDArray[np.int64]], order: npt.NDArray[np.int32], dtype: str
) -> Similarity:
    """Write the rows of all shards in index order into `folder` and return them memory-mapped.

    `lengths` holds the number of neighbours of each item of each block, without the blocks that no rating touched;
    `order` is the index of every item, by popularity.
    """
    by_number = np.zeros(len(order), np.int64)
    for block, sizes in lengths.items():
        by_number[order[blocks.edges[block] : blocks.edges[block + 1]]] = sizes
    indptr = np.concatenate([[0], np.cumsum(by_number)])
    whole = {}
    for name, kind in zip(PARTS, ("int32", dtype, "int32"), strict=True):
        whole[name] = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", kind, (int(indptr[-1]),))
        for block, sizes in lengths.items():
            numbers = order[blocks.edges[block] : blocks.edges[block + 1]]
            ends = np.cumsum(sizes)
            places = np.arange(sizes.sum()) + np.repeat(indptr[numbers] - (ends - sizes), sizes)
            whole[name][places] = read_shard(folder, block, name)
            shard(str(folder), block, name).unlink()
    begins = indptr.astype(np.int32) if indptr[-1] < 2**31 else indptr
    shape = (len(order), len(order))
    made = (sp.csr_array((whole[name], whole["indices"], begins), shape=shape) for name in ("data", "common"))
    return Similarity(*made)


def put_in_place(folder: Path, found: Iterable[int], blocks: Blocks, order: npt.NDArray[np.int32], name: str) -> Any:
    """Return an item × item matrix in index order, from the shards of the blocks `found`."""
    square = None
    for block in found:
        rows = read_shard(folder, block, name)
        if square is None:
            square = np.zeros((len(order), len(order)), rows.dtype)
        square[order[blocks.edges[block] : blocks.edges[block + 1]]] = rows
        shard(str(folder), block, name).unlink()
    return square
