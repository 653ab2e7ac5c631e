"""Linear weights between items: the Gram matrix, and one small ridge regression for each item.

G = V.T @ V
for i:  N = candidates[i];  weights[i, N] = solve(G[N, N] + diag(ridge[N]), G[N, i])

Cost: the Gram matrix Σ_u n_u² / 2 additions; a regression m³ / 3 operations for `m` candidates.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import CSR, kernel, tight
from reelated._kernels.lapack import solve_positive
from reelated._kernels.shelves import strongest


@tight
def gram_rows(start, stop, by_item, by_user, gram):
    """Compute rows `start … stop` of the Gram matrix, lower triangle only; `gram` must be 0 before."""
    for i in range(start, stop):
        row = gram[i]
        for p in range(by_item.indptr[i], by_item.indptr[i + 1]):
            u, value = by_item.indices[p], by_item.data[p]
            for q in range(by_user.indptr[u], by_user.indptr[u + 1]):
                j = by_user.indices[q]
                if j > i:  # columns ascend: the rest is in the upper triangle
                    break
                row[np.uint32(j)] += value * by_user.data[q]


class Products(NamedTuple):
    """The Gram matrix: its lower triangle in `square` or, where that is empty, its largest entries by rows."""

    square: np.ndarray
    largest: CSR
    diagonal: np.ndarray


@kernel
def near_rows(start, stop, near, products, ridge, weights):
    """Solve the systems of items `start … stop`; `near` holds each item's candidates and their products with the item.

    Where missing entries make a system indefinite, its diagonal is doubled until there is a solution.
    """
    place, widest = np.full(len(ridge), -1), 0
    for i in range(start, stop):
        widest = max(widest, near.indptr[i + 1] - near.indptr[i])
    room = np.empty(widest * widest, weights.dtype)
    for i in range(start, stop):
        here = slice(near.indptr[i], near.indptr[i + 1])
        n, raised, solved = here.stop - here.start, 1, here.stop == here.start
        system = room[: n * n].reshape(n, n)
        while not solved:
            # again in every round: the solver overwrites the system
            if len(products.square):
                dense_system(near.indices[here], products.square, ridge, system)
            else:
                sparse_system(near.indices[here], products.largest, place, products.diagonal, ridge, system)
            for a in range(n):
                system[a, a] *= raised
            weights[here] = near.data[here]
            solved, raised = solve_positive(system, weights[here]), 2 * raised


@tight
def dense_system(near, gram, ridge, system):
    """Write the lower triangle of ``gram[near, near] + diag(ridge[near])``; `near` ascends."""
    for a in range(len(near)):
        row = gram[near[a]]
        for b in range(a):
            system[a, b] = row[near[b]]
        system[a, a] = row[near[a]] + ridge[near[a]]


@tight
def sparse_system(near, gram, place, diagonal, ridge, system):
    """Write the same where each row of the Gram matrix holds only its largest entries, the diagonal apart.

    An entry counts if either row holds it. `place` is −1 everywhere, before and after.
    """
    for a in range(len(near)):
        place[near[a]] = a
        for b in range(a):
            system[a, b] = 0
    for a in range(len(near)):
        for q in range(gram.indptr[near[a]], gram.indptr[near[a] + 1]):
            b = place[gram.indices[q]]
            if b >= 0:
                system[max(a, b), min(a, b)] = gram.data[q]
        system[a, a] = diagonal[near[a]] + ridge[near[a]]
    for a in range(len(near)):
        place[near[a]] = -1


@kernel
def cut_rows(start, stop, begins, weights, keep):
    """Return the `keep` strongest weights of rows `start … stop`: lengths, places, and the share cut from Σ weights².

    Row `r` lies from ``begins[r]`` to ``begins[r + 1]``; zeros are dropped.
    """
    lengths, cut = np.zeros(stop - start, np.int64), np.zeros(stop - start)
    places, filled = np.empty(min((stop - start) * keep, begins[stop] - begins[start]), np.int64), 0
    for r in range(start, stop):
        values, whole, kept = weights[begins[r] : begins[r + 1]], 0.0, 0.0
        for value in values:
            whole += np.float64(value) ** 2
        for c in strongest(values, keep):
            if values[c] != 0:
                kept += np.float64(values[c]) ** 2
                places[filled] = begins[r] + c
                filled += 1
                lengths[r - start] += 1
        cut[r - start] = 1 - kept / whole if kept < whole else 0.0
    return lengths, places[:filled], cut


@kernel
def common_rows(start, stop, by_item, by_user, pattern, common):
    """Count the common raters of every pair in rows `start … stop` of a pattern."""
    counts = np.zeros(len(by_item.indptr) - 1, np.int32)
    for i in range(start, stop):
        for p in range(by_item.indptr[i], by_item.indptr[i + 1]):
            u = by_item.indices[p]
            for q in range(by_user.indptr[u], by_user.indptr[u + 1]):
                counts[by_user.indices[q]] += 1
        for p in range(pattern.indptr[i], pattern.indptr[i + 1]):
            common[p] = counts[pattern.indices[p]]
        counts[:] = 0
