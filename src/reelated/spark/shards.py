"""Assemble the shards that the executors wrote in item order, in memory-mapped files."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import InputError
from reelated.similarity import Similarity
from reelated.spark.block_sums import PARTS, shard_path
from reelated.spark.blocks import Blocks


def read_shard(folder: Path, block: int, name: str) -> npt.NDArray[Any]:
    """Memory-map an array that a task wrote; raise if the driver does not see the file."""
    file = shard_path(str(folder), block, name)
    if not file.is_file():
        raise InputError(
            "the executors have written to it, but the driver does not see their files.",
            parameter="path",
            value=str(folder.parent),
            remedy="Expected a folder of a file system that all machines share.",
        )
    return np.asarray(np.load(file, mmap_mode="r"))


def assemble_neighbors(
    folder: Path, blocks: Blocks, lengths: dict[int, npt.NDArray[np.int64]], order: npt.NDArray[np.int32], dtype: str
) -> Similarity:
    """Write the rows of all shards in item order into `folder` and return them memory-mapped."""
    items_of = {block: order[slice(*blocks.boundaries[block : block + 2])] for block in lengths}
    row_lengths = np.zeros(len(order), np.int64)
    for block, sizes in lengths.items():
        row_lengths[items_of[block]] = sizes
    indptr = np.concatenate([[0], np.cumsum(row_lengths)])
    arrays = {}
    for name, array_type in zip(PARTS, ("int32", dtype, "int32"), strict=True):
        arrays[name] = np.lib.format.open_memmap(folder / f"{name}.npy", "w+", array_type, (int(indptr[-1]),))
        for block, sizes in lengths.items():
            offsets = indptr[items_of[block]] - (np.cumsum(sizes) - sizes)
            arrays[name][np.arange(sizes.sum()) + np.repeat(offsets, sizes)] = read_shard(folder, block, name)
            shard_path(str(folder), block, name).unlink()
    if indptr[-1] < 2**31:
        indptr = indptr.astype(np.int32)
    shape = (len(order), len(order))
    return Similarity(*(sp.csr_array((arrays[name], arrays["indices"], indptr), shape) for name in ("data", "common")))


def assemble_matrix(
    folder: Path, block_numbers: Iterable[int], blocks: Blocks, order: npt.NDArray[np.int32], name: str
) -> Any:
    """Return an item × item matrix in item order, from the shards of some blocks."""
    matrix = None
    for block in block_numbers:
        rows = read_shard(folder, block, name)
        if matrix is None:
            matrix = np.zeros((len(order), len(order)), rows.dtype)
        matrix[order[slice(*blocks.boundaries[block : block + 2])]] = rows
        shard_path(str(folder), block, name).unlink()
    return matrix
