"""The strongest neighbours of every item: chosen from a row, or kept on shelves while pairs come in."""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import as_bits, as_number


@kernel
def strongest(values, n):
    """Return, ascending, the positions of the `n` largest absolute values; of equals the first."""
    if len(values) <= n:
        return np.arange(len(values))
    size = np.abs(values)
    floor = np.partition(size, len(size) - n)[len(size) - n]
    room = n - np.sum(size > floor)
    chosen, filled = np.empty(n, np.int64), 0
    for p in range(len(values)):
        if size[p] > floor or (size[p] == floor and room > 0):
            room -= size[p] == floor
            chosen[filled] = p
            filled += 1
    return chosen


class Shelves(NamedTuple):
    """For each item a shelf of candidates, somewhat longer than the neighbours wanted, and how many lie on it.

    A full shelf is tidied: the strongest stay, and `floors` tells the strength that a newcomer must reach since then.
    A neighbour's key orders by strength, of equals the lower number first: the bits of ``|value|``, of ``-1 - item``
    and of the sign. `size` is the length of a shelf, `wanted` how many stay.
    """

    size: int
    wanted: int
    floors: np.ndarray
    filled: np.ndarray
    keys: np.ndarray
    common: np.ndarray


@tight
def key_of(value, item):
    """Return what a neighbour is ordered by, from which both can be read back."""
    bits = np.uint64(as_bits(value))
    return ((bits & np.uint64(0x7FFFFFFF)) << np.uint64(33)) | (np.uint64(0xFFFFFFFF - item) << np.uint64(1)) | (
        bits >> np.uint64(31)
    )  # fmt: skip


@tight
def value_of(key):
    """Return a neighbour's similarity."""
    return as_number(np.uint32((key >> np.uint64(33)) | ((key & np.uint64(1)) << np.uint64(31))))


@tight
def item_of(key):
    """Return a neighbour's number."""
    return np.int64(0xFFFFFFFF) - np.int64((key >> np.uint64(1)) & np.uint64(0xFFFFFFFF))


@tight
def offer(shelves, row, value, item, common):
    """Put a neighbour of `row` on its shelf unless there are enough stronger ones."""
    if abs(value) < shelves.floors[row]:
        return
    at = row * shelves.size + shelves.filled[row]
    shelves.keys[at], shelves.common[at] = key_of(value, item), common
    shelves.filled[row] += 1
    if shelves.filled[row] == shelves.size:
        tidy(shelves, row)


@tight
def tidy(shelves, row):
    """Leave the strongest on a full shelf."""
    first, last = row * shelves.size, row * shelves.size + shelves.wanted - 1
    select(shelves.keys, shelves.common, first, first + shelves.size - 1, last)
    shelves.filled[row], shelves.floors[row] = shelves.wanted, abs(value_of(shelves.keys[last]))


@tight
def select(keys, common, low, high, target):
    """Reorder places `low … high` so that none before `target` is weaker than it, and none behind it is stronger.

    Quickselect, without a branch that depends on a key.
    """
    while low < high:
        middle = (low + high) // 2
        keys[middle], keys[high] = keys[high], keys[middle]
        common[middle], common[high] = common[high], common[middle]
        pivot, left = keys[high], low
        for right in range(low, high):
            key, count = keys[right], common[right]
            keys[right], common[right] = keys[left], common[left]
            keys[left], common[left] = key, count
            left += key > pivot
        keys[left], keys[high] = keys[high], keys[left]
        common[left], common[high] = common[high], common[left]
        if left >= target:
            high = left - 1
        if left <= target:
            low = left + 1


@kernel
def gather(start, stop, shelves, rank):
    """Return items `start … stop` of the similarity from all threads' shelves: lengths, indices, values, common raters.

    The strongest of all shelves together are the strongest of all; which thread found them does not matter.
    """
    threads, size, room = len(shelves.filled), shelves.size, (stop - start) * shelves.wanted
    lengths, filled = np.zeros(stop - start, np.int64), 0
    out_items, out_values, out_common = np.empty(room, np.int32), np.empty(room, np.float32), np.empty(room, np.int32)
    keys, common = np.empty(threads * size, np.uint64), np.empty(threads * size, np.int32)
    for i in range(start, stop):
        n = 0
        for thread in range(threads):
            for at in range(rank[i] * size, rank[i] * size + shelves.filled[thread, rank[i]]):
                keys[n], common[n] = shelves.keys[thread, at], shelves.common[thread, at]
                n += 1
        if n > shelves.wanted:
            select(keys, common, 0, n - 1, shelves.wanted - 1)
            n = shelves.wanted
        by_item = np.empty(n, np.int64)
        for c in range(n):
            by_item[c] = (item_of(keys[c]) << 32) | c
        by_item.sort()
        for c in by_item & 0xFFFFFFFF:
            out_items[filled], out_values[filled], out_common[filled] = item_of(keys[c]), value_of(keys[c]), common[c]
            filled += 1
        lengths[i - start] = n
    return lengths, out_items[:filled], out_values[:filled], out_common[:filled]
