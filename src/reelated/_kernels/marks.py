"""Bit sets, to sort distinct numbers without comparisons and so without mispredicted branches."""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import lowest_bit


class Marks(NamedTuple):
    """A set of numbers below a limit, each with a place."""

    bits: np.ndarray  # bit n: the set holds n
    words: np.ndarray  # bit w: word w of `bits` is not 0, so that empty words are skipped
    places: np.ndarray


@kernel
def empty_marks(n):
    """Return an empty set for numbers below `n`."""
    bits = np.zeros(n // 64 + 1, np.uint64)
    return Marks(bits, np.zeros(len(bits) // 64 + 1, np.uint64), np.empty(n, np.int64))


@tight
def mark(marks, number, place):
    """Add a number with its place to the set."""
    one, at = np.uint64(1), np.uint64(number)
    marks.places[at] = place
    marks.bits[at >> np.uint64(6)] |= one << (at & np.uint64(63))
    marks.words[at >> np.uint64(12)] |= one << ((at >> np.uint64(6)) & np.uint64(63))


@tight
def take_marked(marks, numbers, places, at):
    """Move the set in ascending order to ``numbers[at:]`` and ``places[:count]``; return the count."""
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
