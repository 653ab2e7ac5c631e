"""The strongest neighbours of every item: selected from a row, or collected in buffers while pairs arrive."""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import LANES, as_bits, as_number, reaching
from reelated._kernels.marks import empty_marks, mark, take_marked


@kernel
def strongest(values, n):
    """Return, ascending, the positions of the `n` largest absolute values; ties go to the lower position."""
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
    """A buffer of candidate neighbours for each item, somewhat longer than the number wanted.

    A full buffer is compacted to its strongest; `floors` then holds the strength that the next candidate must reach.
    All threads share the floors without a lock: enough neighbours reach each, so an outdated floor only admits more.
    """

    size: int  # of a buffer
    wanted: int
    floors: np.ndarray
    filled: np.ndarray
    keys: np.ndarray
    common: np.ndarray


@tight
def key_of(value, item):
    """Return the sort key of a neighbour, from which value and item can be read back.

    It sorts by strength, then by descending item: the bits of ``|value|``, of ``-1 - item`` and of the sign.
    """
    bits = np.uint64(as_bits(value))
    return ((bits & np.uint64(0x7FFFFFFF)) << np.uint64(33)) | (np.uint64(0xFFFFFFFF - item) << np.uint64(1)) | (
        bits >> np.uint64(31)
    )  # fmt: skip


@tight
def value_of(key):
    """Return the similarity in a key."""
    return as_number(np.uint32((key >> np.uint64(33)) | ((key & np.uint64(1)) << np.uint64(31))))


@tight
def item_of(key):
    """Return the item in a key."""
    return np.int64(0xFFFFFFFF) - np.int64((key >> np.uint64(1)) & np.uint64(0xFFFFFFFF))


@tight
def offer(shelves, row, value, item, common):
    """Append a neighbour to the buffer of `row`, which must have space, if it reaches the floor."""
    if abs(value) < shelves.floors[row]:
        return
    at = row * shelves.size + shelves.filled[row]
    shelves.keys[at], shelves.common[at] = key_of(value, item), common
    shelves.filled[row] += 1


@tight
def make_room(shelves, row, places):
    """Compact the buffer of `row` to its strongest and raise its floor, if fewer than `places` places are free.

    Inlined into a loop of `offer` it would slow down each offer: call it between such loops.
    """
    filled = shelves.filled[row]
    if shelves.size - filled >= places:
        return
    begin, end = row * shelves.size, (row + 1) * shelves.size
    shelves.keys[begin + filled : end] = 0
    least = keep(shelves.keys[begin:end], shelves.common[begin:end], shelves.wanted, shelves.floors[row])
    shelves.filled[row] = shelves.wanted
    shelves.floors[row] = max(shelves.floors[row], abs(value_of(least)))


@tight
def keep(keys, common, wanted, floor):
    """Move the `wanted` strongest of more keys to the front, in their order; return a key that only these reach."""
    least, kept = least_of(keys, wanted, 0, key_of(floor, 0), np.uint64(0xFFFFFFFFFFFFFFFF)), 0
    for at in range(len(keys)):
        key = keys[at]
        keys[kept], common[kept] = key, common[at]
        kept += key >= least
    return least


@tight
def least_of(numbers, wanted, spare, guess, most):
    """Return bits that `wanted` to `wanted + spare` of the numbers reach in absolute value; 0 where there are too few.

    Bisection from a guess; each step compares eight numbers at a time. The length is a multiple of eight.
    """
    low, high, step, middle = np.uint64(0), most, most >> np.uint64(11), guess
    while high - low > 1:
        reached = 0
        for at in range(0, len(numbers), LANES):
            reached += reaching(numbers, at, middle)
        if reached < wanted:
            high = middle
        else:
            low = middle
            if reached <= wanted + spare:
                break
        half = (high - low) >> np.uint64(1)
        middle = high - min(step, half) if low == 0 else low + (half if high < most else min(step, half))
        step = min(step + step, most >> np.uint64(1))
    return low


@kernel
def gather(start, stop, shelves, rank, indptr, out):
    """Write rows `start … stop` of the similarity from all threads' buffers: indices, values, common raters."""
    room, (items, values, counts) = len(shelves.filled) * shelves.size, out
    keys, common = np.empty(room, np.uint64), np.empty(room, np.int32)
    marks, places = empty_marks(len(rank)), np.empty(shelves.wanted, np.int64)
    for i in range(start, stop):
        # the strongest of all buffers together are the strongest of all, whichever thread found them
        n, first = take_all(shelves, rank[i], keys, common), indptr[i]
        if n > shelves.wanted:
            end = (n + LANES - 1) // LANES * LANES
            keys[n:end] = 0
            keep(keys[:end], common, shelves.wanted, shelves.floors[rank[i]])
        for c in range(indptr[i + 1] - first):
            mark(marks, item_of(keys[c]), c)
        for at in range(take_marked(marks, items, places, first)):
            values[first + at], counts[first + at] = value_of(keys[places[at]]), common[places[at]]


@tight
def take_all(shelves, row, keys, common):
    """Copy an item's candidates from all threads' buffers; return how many."""
    n = 0
    for thread in range(len(shelves.filled)):
        for at in range(row * shelves.size, row * shelves.size + shelves.filled[thread, row]):
            keys[n], common[n] = shelves.keys[thread, at], shelves.common[thread, at]
            n += 1
    return n
