"""Top-k selection: by score, by absolute value, in sorted lists, and in buffers of candidate neighbours."""

from typing import NamedTuple

import numpy as np

from reelated._kernels.csr import bitset_add, drain_sorted, empty_bitset
from reelated._kernels.kernel import njit_nogil
from reelated._kernels.simd import LANES, bits_to_float32, count_reaching, float32_to_bits


@njit_nogil
def keep_top_k(values, positions, n, k, work):
    """Keep the `k` of ``positions[:n]`` with the largest absolute values, in their order; return how many.

    Ties go to the earlier position. `work` is a workspace for `n` values.
    """
    if n <= k:
        return n
    for c in range(n):
        work[c] = abs(values[positions[c]])
    threshold, n_ties, kept = kth_smallest(work, n, n - k), k, 0
    for c in range(n):
        n_ties -= work[c] > threshold
    for c in range(n):
        size = abs(values[positions[c]])
        if size > threshold or (size == threshold and n_ties > 0):
            n_ties -= size == threshold
            positions[kept] = positions[c]
            kept += 1
    return kept


@njit_nogil
def kth_smallest(values, n, k):
    """Return ``np.sort(values[:n])[k]`` by Hoare's quickselect; the values are reordered."""
    # np.partition(values[:n], k)[k], which takes seconds to compile
    low, high = 0, n - 1
    while low < high:
        pivot, i, j = values[(low + high) // 2], low, high
        while i <= j:
            while values[i] < pivot:
                i += 1
            while values[j] > pivot:
                j -= 1
            if i <= j:
                values[i], values[j] = values[j], values[i]
                i += 1
                j -= 1
        if k <= j:
            high = j
        elif k >= i:
            low = i
        else:
            break
    return values[k]


def top_n(scores, n):
    """Return the positions of the `n` highest scores in descending order, ties in ascending position, without NaN."""
    heap, descending = np.empty(n, np.int64), np.empty(n, np.int64)
    return descending[: write_top_n(scores, n, heap, descending)]


@njit_nogil
def write_top_n(scores, n, heap, descending):
    """Write what `top_n` returns, with a workspace for `n` positions; return how many."""
    filled = np.int64(0)  # the root of the heap is the lowest of the n best so far
    for i in range(len(scores) if n else 0):
        if scores[i] != scores[i] or (filled == n and scores[i] <= scores[heap[0]]):
            continue
        if filled == n:
            _sift_down(scores, heap, filled, i)
            continue
        node = filled
        filled += 1
        while node > 0 and _ranks_below(scores, i, heap[(node - 1) // 2]):
            heap[node] = heap[(node - 1) // 2]
            node = (node - 1) // 2
        heap[node] = i
    for rank in range(filled - 1, -1, -1):
        descending[rank] = heap[0]
        _sift_down(scores, heap, rank, heap[rank])
    return filled


@njit_nogil
def _ranks_below(scores, a, b):
    return scores[a] < scores[b] or (scores[a] == scores[b] and a > b)


@njit_nogil
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


def top_n_per_segment(indptr, values, n):
    """Return the positions of the `n` largest values of each segment `indptr[k] … indptr[k + 1]`, in descending order.

    Ties are in ascending position. The first array holds the boundaries of the segments in the second, as in CSR.
    """
    n_segments = len(indptr) - 1
    ends, positions = np.zeros(n_segments + 1, np.int64), np.empty(min(n_segments * n, len(values)), np.int64)
    _write_top_n_per_segment.brief(indptr, values, n, ends, positions, np.empty(len(positions)))
    return ends, positions[: ends[-1]]


@njit_nogil
def _write_top_n_per_segment(indptr, values, n, ends, positions, sorted_values):
    for k in range(len(indptr) - 1):
        begin, length = ends[k], np.int64(0)
        size = indptr[k + 1] - indptr[k]
        listed = positions[begin : begin + (size if size < n else n)]
        descending = sorted_values[begin : begin + len(listed)]
        for p in range(indptr[k], indptr[k + 1]):
            if len(listed) and (length < len(listed) or values[p] > descending[length - 1]):
                length = insert_sorted(listed, descending, length, p, values[p])
        ends[k + 1] = begin + length


@njit_nogil
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
    return length + 1 if length < len(items) else length


class NeighborBuffers(NamedTuple):
    """A buffer of candidate neighbours for each item, somewhat longer than `n_neighbors`.

    A full buffer is compacted to its strongest; the item's threshold is then the strength that later candidates must
    reach. All threads share the thresholds without a lock: an outdated threshold only admits more candidates.
    """

    capacity: int  # of one buffer
    n_neighbors: int
    thresholds: np.ndarray
    filled: np.ndarray
    keys: np.ndarray
    common: np.ndarray


@njit_nogil
def pack_key(value, item):
    """Return the sort key of a neighbour, from which value and item can be read back.

    It sorts by strength, then by descending item: the bits of ``|value|``, of ``-1 - item`` and of the sign.
    """
    bits = np.uint64(float32_to_bits(value))
    return ((bits & np.uint64(0x7FFFFFFF)) << np.uint64(33)) | (np.uint64(0xFFFFFFFF - item) << np.uint64(1)) | (
        bits >> np.uint64(31)
    )  # fmt: skip


@njit_nogil
def key_value(key):
    """Return the similarity in a key."""
    return bits_to_float32(np.uint32((key >> np.uint64(33)) | ((key & np.uint64(1)) << np.uint64(31))))


@njit_nogil
def key_item(key):
    """Return the item in a key."""
    return np.int64(0xFFFFFFFF) - np.int64((key >> np.uint64(1)) & np.uint64(0xFFFFFFFF))


@njit_nogil
def push(buffers, row, value, item, common):
    """Append a neighbour to the buffer of `row`, which must have space, if it reaches the threshold."""
    if abs(value) < buffers.thresholds[row]:
        return
    position = row * buffers.capacity + buffers.filled[row]
    buffers.keys[position], buffers.common[position] = pack_key(value, item), common
    buffers.filled[row] += 1


@njit_nogil
def compact(buffers, row, n_free):
    """If fewer than `n_free` places of a buffer are free, keep its strongest neighbours and raise its threshold.

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
    raise_threshold(buffers, row, abs(key_value(least)))


@njit_nogil
def raise_threshold(buffers, row, threshold):
    """Raise the threshold of `row`, unless another thread has raised it further."""
    if threshold > buffers.thresholds[row]:
        buffers.thresholds[row] = threshold


@njit_nogil
def select_top_k(keys, common, k, threshold):
    """Move the `k` largest keys to the front, in their order; return a threshold that only these reach."""
    least, kept = kth_largest(keys, k, np.int64(0), pack_key(threshold, np.int32(0)), np.uint64(0xFFFFFFFFFFFFFFFF)), 0
    for p in range(len(keys)):
        key = keys[p]
        keys[kept], common[kept] = key, common[p]
        kept += key >= least
    return least


@njit_nogil
def kth_largest(numbers, k, slack, guess, largest):
    """Return the bits of a threshold that `k` to `k + slack` absolute values reach; 0 if there are too few.

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
        stride = step if step < half else half
        middle = high - stride if low == 0 else low + (half if high < largest else stride)
        step = step + step if step < largest >> np.uint64(2) else largest >> np.uint64(1)
    return low


def merge_buffers(start, stop, buffers, rank, indptr, out):
    """Write rows `start … stop` of the similarity from all threads' buffers: indices, values, common raters."""
    capacity = len(buffers.filled) * buffers.capacity
    keys, common = np.empty(capacity, np.uint64), np.empty(capacity, np.int32)
    positions = np.empty(buffers.n_neighbors, np.int64)
    _merge_buffers(start, stop, buffers, rank, indptr, *out, keys, common, empty_bitset(len(rank)), positions)


@njit_nogil
def _merge_buffers(start, stop, buffers, rank, indptr, items, values, counts, keys, common, bitset, positions):
    for i in range(start, stop):
        # the top k of the threads' top k are the top k of all candidates
        n, first = _concatenate_buffers(buffers, rank[i], keys, common), indptr[i]
        if n > buffers.n_neighbors:
            end = (n + LANES - 1) // LANES * LANES
            keys[n:end] = 0
            select_top_k(keys[:end], common, buffers.n_neighbors, buffers.thresholds[rank[i]])
        for c in range(indptr[i + 1] - first):
            bitset_add(bitset, key_item(keys[c]), np.int64(c))
        for c in range(drain_sorted(bitset, items, positions, first)):
            values[first + c], counts[first + c] = key_value(keys[positions[c]]), common[positions[c]]


@njit_nogil
def _concatenate_buffers(buffers, row, keys, common):
    """Copy an item's candidates from all threads' buffers; return how many."""
    n = 0
    for thread in range(len(buffers.filled)):
        for p in range(row * buffers.capacity, row * buffers.capacity + buffers.filled[thread, row]):
            keys[n], common[n] = buffers.keys[thread, p], buffers.common[thread, p]
            n += 1
    return n
