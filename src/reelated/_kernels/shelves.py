"""The strongest neighbours of every item: chosen from a row, or kept on shelves while pairs come in."""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import LANES, as_bits, as_number, reaching
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
    All threads share the floors: each is one that enough neighbours reach, so an old one only lets more through.
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
    """Put a neighbour of `row` on its shelf, which has room, unless there are enough stronger ones."""
    if abs(value) < shelves.floors[row]:
        return
    at = row * shelves.size + shelves.filled[row]
    shelves.keys[at], shelves.common[at] = key_of(value, item), common
    shelves.filled[row] += 1


@tight
def make_room(shelves, row, places):
    """Leave the strongest where fewer places than these are free on a shelf; what they alone reach is its floor.

    Compiled into a loop of offers it would make each offer slow: call it between such loops.
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
    """Move the strongest of more than are wanted to the front, in their order; return a key that they alone reach."""
    least, kept = least_of(keys, wanted, 0, key_of(floor, 0), np.uint64(0xFFFFFFFFFFFFFFFF)), 0
    for at in range(len(keys)):
        key = keys[at]
        keys[kept], common[kept] = key, common[at]
        kept += key >= least
    return least


@tight
def least_of(numbers, wanted, spare, guess, most):
    """Return the bits of what `wanted` of the numbers reach in size, or up to `spare` more; 0 where there are too few.

    Found by halving the range that it lies in, from a guess on: each look takes eight numbers at a time. The length is
    a multiple of eight.
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
    """Write items `start … stop` of the similarity from all threads' shelves: indices, values, common raters.

    The strongest of all shelves together are the strongest of all; which thread found them does not matter.
    """
    room, (items, values, counts) = len(shelves.filled) * shelves.size, out
    keys, common = np.empty(room, np.uint64), np.empty(room, np.int32)
    marks, places = empty_marks(len(rank)), np.empty(shelves.wanted, np.int64)
    for i in range(start, stop):
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
    """Copy what lies on all threads' shelves of an item; return how much it is."""
    n = 0
    for thread in range(len(shelves.filled)):
        for at in range(row * shelves.size, row * shelves.size + shelves.filled[thread, row]):
            keys[n], common[n] = shelves.keys[thread, at], shelves.common[thread, at]
            n += 1
    return n
