"""Sorting numbers that differ by marking them in a set of bits and reading it: no comparison, no wrong guess."""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import lowest_bit


class Marks(NamedTuple):
    """A set of numbers: their bits, the bits of those words of it that are not empty, and a place for each number."""

    bits: np.ndarray
    words: np.ndarray
    places: np.ndarray


@kernel
def empty_marks(n):
    """Return an empty set of numbers below `n`."""
    bits = np.zeros(n // 64 + 1, np.uint64)
    return Marks(bits, np.zeros(len(bits) // 64 + 1, np.uint64), np.empty(n, np.int64))


@tight
def mark(marks, number, place):
    """Put a number into the set, with its place."""
    one, at = np.uint64(1), np.uint64(number)
    marks.places[at] = place
    marks.bits[at >> np.uint64(6)] |= one << (at & np.uint64(63))
    marks.words[at >> np.uint64(12)] |= one << ((at >> np.uint64(6)) & np.uint64(63))


@tight
def take_marked(marks, numbers, places, at):
    """Empty the set into ``numbers[at:]`` and ``places[: …]``, ascending; return how many there were."""
    one, taken = np.uint64(1), 0
    for w in range(len(marks.words)):
        while marks.words[w]:
            word = np.uint64(w << 6) + lowest_bit(marks.words[w])
            marks.words[w] &= marks.words[w] - one
            while marks.bits[word]:
                number = (word << np.uint64(6)) + lowest_bit(marks.bits[word])
                marks.bits[word] &= marks.bits[word] - one
                numbers[at + taken], places[taken] = number, marks.places[number]
                taken += 1
    return taken
