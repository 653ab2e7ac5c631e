"""What the executors wrote, block by block, put into the order of the item numbers: mapped files, little memory."""

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
    """Map what one task wrote, or say that it cannot be seen from here."""
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
    """Bring the rows of all shards into the order of the item numbers.

    Parameters
    ----------
    folder : Path
        Where the shards are, and where the whole is put.
    blocks : Blocks
        Which items each shard holds, by popularity.
    lengths : dict of int to ndarray
        How many neighbours the items of each block have; a block that nobody touched is not there.
    order : ndarray of int32
        The number of every item, by popularity.
    dtype : str
        Of the similarities.

    Returns
    -------
    Similarity
        Mapped from the folder.
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
    """Return a square of all items, of which the shards of the blocks `found` hold rows."""
    square = None
    for block in found:
        rows = read_shard(folder, block, name)
        if square is None:
            square = np.zeros((len(order), len(order)), rows.dtype)
        square[order[blocks.edges[block] : blocks.edges[block + 1]]] = rows
        shard(str(folder), block, name).unlink()
    return square
