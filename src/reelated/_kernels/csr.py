"""CSR matrices: validation, conversion to CSC, column statistics, and bit sets that sort the indices of a row."""

from typing import NamedTuple

import numpy as np

from reelated._kernels.kernel import njit_nogil, njit_reading
from reelated._kernels.simd import lowest_bit


class CSR(NamedTuple):
    """A CSR matrix: row `r` holds the columns `indices[indptr[r]:indptr[r + 1]]`, ascending, and their `data`."""

    indptr: np.ndarray
    indices: np.ndarray
    data: np.ndarray


def check_csr(indptr, indices, data, n_columns):
    """Return whether all entries lie inside the matrix, whether columns ascend, and whether all values are finite.

    inside = (0 <= indices).all() and (indices < n_columns).all() and (np.diff(indptr) >= 0).all()
    """
    # SciPy omits these checks, and the kernels check no bounds
    check = _check_csr.brief if len(indptr) == 2 else _check_csr
    flags = check(indptr, indices, data, n_columns)
    return flags & 1 > 0, flags & 2 > 0, flags & 4 > 0


@njit_reading
def _check_csr(indptr, indices, data, n_columns):
    n_entries, ascending, finite = len(indices), True, True
    if indptr[0] != 0 or len(data) < n_entries:
        return 0
    for r in range(len(indptr) - 1):
        begin, end, last = indptr[r], indptr[r + 1], np.int64(-1)
        if end < begin or end > n_entries:
            return 0
        for p in range(begin, end):
            column = np.int64(indices[p])
            if column < 0 or column >= n_columns:
                return 0
            ascending &= column > last
            last = column
    for p in range(n_entries):
        finite &= data[p] - data[p] == 0  # neither infinite nor NaN
    return 1 + 2 * ascending + 4 * finite


@njit_nogil
def add_column_stats(rows, sizes, squares):
    """Add the number of entries of each column to `sizes` and the sum of their squares to `squares`."""
    for p in range(len(rows.indices)):
        column, value = np.uint32(rows.indices[p]), np.float64(rows.data[p])
        sizes[column] += 1
        squares[column] += value * value


@njit_nogil
def copy_prefixes(rows, chosen, limit, indptr, indices, data):
    """Copy the entries of the chosen rows in columns below `limit`; return how many."""
    filled = np.int64(0)
    for r in range(len(chosen)):
        indptr[r] = filled
        p, end = rows.indptr[chosen[r]], rows.indptr[chosen[r] + 1]
        while p < end and rows.indices[p] < limit:
            indices[filled], data[filled] = rows.indices[p], rows.data[p]
            filled += 1
            p += 1
    indptr[len(chosen)] = filled
    return filled


@njit_nogil
def csr_to_csc(rows, indptr, indices, data):
    """Convert CSR to CSC, rows ascending in each column; `indptr` must be all zeros, with one spare element."""
    # scipy.sparse.csr_array.tocsc() as a counting sort: two passes over the entries
    for p in range(len(rows.indices)):
        indptr[np.int64(rows.indices[p]) + 2] += 1
    for column in range(2, len(indptr)):
        indptr[column] += indptr[column - 1]
    for row in range(len(rows.indptr) - 1):
        for p in range(rows.indptr[row], rows.indptr[row + 1]):
            # the write position of the column, which ends as the start of the next column
            position = indptr[np.int64(rows.indices[p]) + 1]
            indices[position], data[position] = row, rows.data[p]
            indptr[np.int64(rows.indices[p]) + 1] += 1


class BitSet(NamedTuple):
    """A set of numbers below a limit, each with a position; it sorts without comparisons and branch mispredictions."""

    bits: np.ndarray  # bit n: the set holds n
    words: np.ndarray  # bit w: word w of `bits` is not 0, so that empty words are skipped
    positions: np.ndarray


def empty_bitset(n):
    """Return an empty set for numbers below `n`."""
    bits = np.zeros(n // 64 + 1, np.uint64)
    return BitSet(bits, np.zeros(len(bits) // 64 + 1, np.uint64), np.empty(n, np.int64))


@njit_nogil
def bitset_add(bitset, number, position):
    """Add a number with its position to the set."""
    one, n = np.uint64(1), np.uint64(number)
    bitset.positions[n] = position
    bitset.bits[n >> np.uint64(6)] |= one << (n & np.uint64(63))
    bitset.words[n >> np.uint64(12)] |= one << ((n >> np.uint64(6)) & np.uint64(63))


@njit_nogil
def drain_sorted(bitset, numbers, positions, begin):
    """Move the set in ascending order to ``numbers[begin:]`` and ``positions[:count]``; return the count."""
    one, count = np.uint64(1), 0
    for w in range(len(bitset.words)):
        while bitset.words[w]:
            word = np.uint64(w << 6) + lowest_bit(bitset.words[w])
            bitset.words[w] &= bitset.words[w] - one
            while bitset.bits[word]:
                number = (word << np.uint64(6)) + lowest_bit(bitset.bits[word])
                bitset.bits[word] &= bitset.bits[word] - one
                numbers[begin + count], positions[count] = number, bitset.positions[number]
                count += 1
    return count
