"""The strongest neighbours of every item: chosen from a row, or kept on shelves while pairs come in."""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import as_bits, as_number
from reelated._kernels.marks import empty_marks, mark, take_marked


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
    """Leave the strongest on a shelf; where there are as many as are wanted, the weakest is the floor."""
    if shelves.filled[row] < shelves.wanted:
        return
    first, last = row * shelves.size, row * shelves.size + shelves.wanted - 1
    select(shelves.keys, shelves.common, first, first + shelves.filled[row] - 1, last)
    shelves.filled[row] = shelves.wanted
    shelves.floors[row] = max(shelves.floors[row], abs(value_of(shelves.keys[last])))


@tight
def floor_of(values, wanted):
    """Return a number that at least `wanted` of the values reach in size, and few more; 0 where there are not so many.

    Found by halving the range of its bits.
    """
    low, high = np.uint32(0), np.uint32(0x7F800000)
    while high - low > 1:
        middle = np.uint32((low + high) >> 1)
        floor, reached = as_number(middle), np.int32(0)
        for at in range(len(values)):
            reached += np.int32(abs(values[at]) >= floor)
        if reached < wanted:
            high = middle
        else:
            low = middle
            if reached <= wanted + (wanted >> 3):
                break
    return as_number(low)


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
def gather(start, stop, shelves, rank, indptr, out):
    """Write items `start … stop` of the similarity from all threads' shelves: indices, values, common raters.

    The strongest of all shelves together are the strongest of all; which thread found them does not matter.
    """
    room, (items, values, counts) = len(shelves.filled) * shelves.size, out
    keys, common = np.empty(room, np.uint64), np.empty(room, np.int32)
    marks, places = empty_marks(len(rank)), np.empty(shelves.wanted, np.int64)
    for i in range(start, stop):
        n, first = empty(shelves, rank[i], keys, common), indptr[i]
        select(keys, common, 0, n - 1, shelves.wanted - 1)
        for c in range(indptr[i + 1] - first):
            mark(marks, item_of(keys[c]), c)
        for at in range(take_marked(marks, items, places, first)):
            values[first + at], counts[first + at] = value_of(keys[places[at]]), common[places[at]]


@tight
def empty(shelves, row, keys, common):
    """Copy what lies on all threads' shelves of an item; return how much it is."""
    n = 0
    for thread in range(len(shelves.filled)):
        for at in range(row * shelves.size, row * shelves.size + shelves.filled[thread, row]):
            keys[n], common[n] = shelves.keys[thread, at], shelves.common[thread, at]
            n += 1
    return n
