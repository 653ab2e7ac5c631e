"""Top-k selection: by score, by absolute value, in sorted lists, and in buffers of candidate neighbours."""

from typing import NamedTuple

import numpy as np

from reelated._kernels.csr import bitset_add, drain_sorted, empty_bitset
from reelated._kernels.numba_config import njit_no_alloc, njit_nogil
from reelated._kernels.simd import LANES, bits_to_float32, count_reaching, float32_to_bits


@njit_nogil
def top_k_by_abs(values, k):
    """Return, ascending, the positions of the `k` largest absolute values; ties go to the lower position."""
    if len(values) <= k:
        return np.arange(len(values))
    size = np.abs(values)
    threshold = np.partition(size, len(size) - k)[len(size) - k]
    n_ties = k - np.sum(size > threshold)
    chosen, filled = np.empty(k, np.int64), 0
    for p in range(len(values)):
        if size[p] > threshold or (size[p] == threshold and n_ties > 0):
            n_ties -= size[p] == threshold
            chosen[filled] = p
            filled += 1
    return chosen


@njit_nogil
def top_n(scores, n):
    """Return the positions of the `n` highest scores, descending, ties in ascending position; NaN is left out."""
    if n == 0:
        return np.empty(0, np.int64)
    heap, filled = np.empty(n, np.int64), 0  # a heap whose root is the lowest of the n best so far
    for i in range(len(scores)):
        if np.isnan(scores[i]) or (filled == n and scores[i] <= scores[heap[0]]):
            continue
        node = filled
        if filled < n:
            filled += 1
            while node > 0 and _ranks_below(scores, i, heap[(node - 1) // 2]):
                heap[node] = heap[(node - 1) // 2]
                node = (node - 1) // 2
            heap[node] = i
        else:
            _sift_down(scores, heap, filled, i)
    descending = np.empty(filled, np.int64)
    for rank in range(filled - 1, -1, -1):
        descending[rank] = heap[0]
        filled -= 1
        if filled:
            _sift_down(scores, heap, filled, heap[filled])
    return descending


@njit_no_alloc
def _ranks_below(scores, a, b):
    return scores[a] < scores[b] or (scores[a] == scores[b] and a > b)


@njit_no_alloc
def _sift_down(scores, heap, size, new):
    """Replace the root of a heap of `size` by `new` and restore the heap order."""
    node = 0
    while 2 * node + 1 < size:
        child = 2 * node + 1
        if child + 1 < size and _ranks_below(scores, heap[child + 1], heap[child]):
            child += 1
        if not _ranks_below(scores, heap[child], new):
            break
        heap[node] = heap[child]
        node = child
    heap[node] = new


@njit_nogil
def top_n_per_segment(indptr, values, n):
    """Return the positions of the `n` largest values of each segment `indptr[k] … indptr[k + 1]`, in descending order.

    Ties are in ascending position. The first array holds the boundaries of the segments in the second, as in CSR.
    """
    n_segments = len(indptr) - 1
    out_indptr, positions = np.zeros(n_segments + 1, np.int64), np.empty(min(n_segments * n, len(values)), np.int64)
    for k in range(n_segments):
        chosen = top_n(values[indptr[k] : indptr[k + 1]], n)
        out_indptr[k + 1] = out_indptr[k] + len(chosen)
        positions[out_indptr[k] : out_indptr[k + 1]] = indptr[k] + chosen
    return out_indptr, positions[: out_indptr[-1]]


@njit_no_alloc
def insert_sorted(items, scores, length, item, score):
    """Insert an item into a descending list, ties ascending; a full list drops its last. Return the length."""
    position = length
    while position > 0 and (
        scores[position - 1] < score or (scores[position - 1] == score and items[position - 1] > item)
    ):
        if position < len(items):
            items[position], scores[position] = items[position - 1], scores[position - 1]
        position -= 1
    if position < len(items):
        items[position], scores[position] = item, score
    return min(length + 1, len(items))


class NeighborBuffers(NamedTuple):
    """A buffer of candidate neighbours for each item, somewhat longer than `n_neighbors`.

    A full buffer is compacted to its strongest; the item's threshold is then the strength that later candidates must
    reach. All threads share the thresholds without a lock: an outdated one only admits more candidates.
    """

    capacity: int  # of one buffer
    n_neighbors: int
    thresholds: np.ndarray
    filled: np.ndarray
    keys: np.ndarray
    common: np.ndarray


@njit_no_alloc
def pack_key(value, item):
    """Return the sort key of a neighbour, from which value and item can be read back.

    It sorts by strength, then by descending item: the bits of ``|value|``, of ``-1 - item`` and of the sign.
    """
    bits = np.uint64(float32_to_bits(value))
    return ((bits & np.uint64(0x7FFFFFFF)) << np.uint64(33)) | (np.uint64(0xFFFFFFFF - item) << np.uint64(1)) | (
        bits >> np.uint64(31)
    )  # fmt: skip


@njit_no_alloc
def key_value(key):
    """Return the similarity in a key."""
    return bits_to_float32(np.uint32((key >> np.uint64(33)) | ((key & np.uint64(1)) << np.uint64(31))))


@njit_no_alloc
def key_item(key):
    """Return the item in a key."""
    return np.int64(0xFFFFFFFF) - np.int64((key >> np.uint64(1)) & np.uint64(0xFFFFFFFF))


@njit_no_alloc
def push(buffers, row, value, item, common):
    """Append a neighbour to the buffer of `row`, which must have space, if it reaches the threshold."""
    if abs(value) < buffers.thresholds[row]:
        return
    position = row * buffers.capacity + buffers.filled[row]
    buffers.keys[position], buffers.common[position] = pack_key(value, item), common
    buffers.filled[row] += 1


@njit_no_alloc
def compact(buffers, row, n_free):
    """Compact the buffer of `row` to its strongest and raise its threshold, if fewer than `n_free` places are free.

    Call it between loops of `push`: inlined into such a loop, it would slow down each push.
    """
    filled = buffers.filled[row]
    if buffers.capacity - filled >= n_free:
        return
    begin, end = row * buffers.capacity, (row + 1) * buffers.capacity
    buffers.keys[begin + filled : end] = 0
    least = select_top_k(
        buffers.keys[begin:end], buffers.common[begin:end], buffers.n_neighbors, buffers.thresholds[row]
    )
    buffers.filled[row] = buffers.n_neighbors
    buffers.thresholds[row] = max(buffers.thresholds[row], abs(key_value(least)))


@njit_no_alloc
def select_top_k(keys, common, k, threshold):
    """Move the `k` largest of more keys to the front, in their order; return a key that only these reach."""
    least, kept = kth_largest(keys, k, 0, pack_key(threshold, 0), np.uint64(0xFFFFFFFFFFFFFFFF)), 0
    for p in range(len(keys)):
        key = keys[p]
        keys[kept], common[kept] = key, common[p]
        kept += key >= least
    return least


@njit_no_alloc
def kth_largest(numbers, k, slack, guess, largest):
    """Return bits that `k` to `k + slack` of the numbers reach in absolute value; 0 where there are too few.

    Bisection from a guess; each step compares eight numbers at a time. The length is a multiple of eight.
    """
    low, high, step, middle = np.uint64(0), largest, largest >> np.uint64(11), guess
    while high - low > 1:
        reached = 0
        for p in range(0, len(numbers), LANES):
            reached += count_reaching(numbers, p, middle)
        if reached < k:
            high = middle
        else:
            low = middle
            if reached <= k + slack:
                break
        half = (high - low) >> np.uint64(1)
        middle = high - min(step, half) if low == 0 else low + (half if high < largest else min(step, half))
        step = min(step + step, largest >> np.uint64(1))
    return low


@njit_nogil
def merge_buffers(start, stop, buffers, rank, indptr, out):
    """Write rows `start … stop` of the similarity from all threads' buffers: indices, values, common raters."""
    capacity, (items, values, counts) = len(buffers.filled) * buffers.capacity, out
    keys, common = np.empty(capacity, np.uint64), np.empty(capacity, np.int32)
    bitset, positions = empty_bitset(len(rank)), np.empty(buffers.n_neighbors, np.int64)
    for i in range(start, stop):
        # the top k of the threads' top k are the top k of all candidates
        n, first = _concatenate_buffers(buffers, rank[i], keys, common), indptr[i]
        if n > buffers.n_neighbors:
            end = (n + LANES - 1) // LANES * LANES
            keys[n:end] = 0
            select_top_k(keys[:end], common, buffers.n_neighbors, buffers.thresholds[rank[i]])
        for c in range(indptr[i + 1] - first):
            bitset_add(bitset, key_item(keys[c]), c)
        for c in range(drain_sorted(bitset, items, positions, first)):
            values[first + c], counts[first + c] = key_value(keys[positions[c]]), common[positions[c]]


@njit_no_alloc
def _concatenate_buffers(buffers, row, keys, common):
    """Copy an item's candidates from all threads' buffers; return how many."""
    n = 0
    for thread in range(len(buffers.filled)):
        for p in range(row * buffers.capacity, row * buffers.capacity + buffers.filled[thread, row]):
            keys[n], common[n] = buffers.keys[thread, p], buffers.common[thread, p]
            n += 1
    return n
