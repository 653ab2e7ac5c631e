"""Linear weights between items: the Gram matrix, and one small ridge regression for each item.

G = V.T @ V
for i:  N = candidates[i];  weights[i, N] = solve(G[N, N] + diag(ridge[N]), G[N, i])

Cost: the Gram matrix Σ_u n_u² / 2 additions; a regression m³ / 3 for `m` candidates.
"""

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.shelves import strongest


@tight
def gram_rows(start, stop, by_item, by_user, gram):
    """Add up the rows from `start` to `stop` of the Gram matrix up to the diagonal; `gram` is zero before."""
    for i in range(start, stop):
        row = gram[i]
        for p in range(by_item.indptr[i], by_item.indptr[i + 1]):
            u, value = by_item.indices[p], by_item.data[p]
            for q in range(by_user.indptr[u], by_user.indptr[u + 1]):
                j = by_user.indices[q]
                if j > i:
                    break
                row[np.uint32(j)] += value * by_user.data[q]


@kernel
def ridge_rows(start, stop, candidates, gram, ridge, weights):
    """Write the weights of the candidates of the items from `start` to `stop`, each item by itself.

    Of `gram` the part up to the diagonal is read.
    """
    for i in range(start, stop):
        place = slice(candidates.indptr[i], candidates.indptr[i + 1])
        near = candidates.indices[place]
        if len(near) == 0:
            continue
        system = np.empty((len(near), len(near)), gram.dtype)
        wanted = np.empty(len(near), gram.dtype)
        for a in range(len(near)):
            row = gram[near[a]]
            for b in range(a):
                system[a, b] = system[b, a] = row[near[b]]
            system[a, a] = row[near[a]] + ridge[near[a]]
            wanted[a] = gram[max(i, near[a]), min(i, near[a])]
        _solve(np.linalg.cholesky(system), wanted)
        weights[place] = wanted


@kernel
def ridge_rows_sparse(start, stop, candidates, gram, diagonal, ridge, weights):
    """Do as `ridge_rows` with a Gram matrix of which each row holds its largest entries alone.

    A pair counts where either row holds it. Where what is missing leaves a system without a solution, the ridge is
    doubled until there is one. `candidates.data` holds their entries of row `i`.
    """
    place = np.full(len(diagonal), -1)
    for i in range(start, stop):
        part = slice(candidates.indptr[i], candidates.indptr[i + 1])
        near = candidates.indices[part]
        if len(near) == 0:
            continue
        place[near] = np.arange(len(near))
        system = np.zeros((len(near), len(near)), weights.dtype)
        for a in range(len(near)):
            for q in range(gram.indptr[near[a]], gram.indptr[near[a] + 1]):
                b = place[gram.indices[q]]
                if b >= 0:
                    system[a, b] = system[b, a] = gram.data[q]
        place[near] = -1
        held, solved = ridge[near], False
        while not solved:
            for a in range(len(near)):
                system[a, a] = diagonal[near[a]] + held[a]
            wanted = candidates.data[part].copy()
            solved = _factored(system, wanted)
            held = held * 2
        weights[part] = wanted


@kernel
def _factored(system, wanted):
    """Solve a system in the place of `wanted`; say whether it is positive definite."""
    try:
        lower = np.linalg.cholesky(system)
    except Exception:  # numba knows no narrower one
        return False
    _solve(lower, wanted)
    return True


@tight
def _solve(lower, wanted):
    """Solve ``L L.T x = b`` in the place of `b`."""
    n = len(wanted)
    for a in range(n):
        total = wanted[a]
        for b in range(a):
            total -= lower[a, b] * wanted[b]
        wanted[a] = total / lower[a, a]
    for a in range(n - 1, -1, -1):
        wanted[a] /= lower[a, a]
        for b in range(a):
            wanted[b] -= lower[a, b] * wanted[a]


@kernel
def cut_rows(start, stop, begins, weights, keep):
    """Return the strongest weights of the rows from `start` to `stop`: lengths, places, and the share cut.

    Row `r` stands from ``begins[r]`` to ``begins[r + 1]``; zeros are none. The share is of the squares.
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
    """Write how many people rated both, for every pair of the rows from `start` to `stop` of a pattern."""
    counts = np.zeros(len(by_item.indptr) - 1, np.int32)
    for i in range(start, stop):
        for p in range(by_item.indptr[i], by_item.indptr[i + 1]):
            u = by_item.indices[p]
            for q in range(by_user.indptr[u], by_user.indptr[u + 1]):
                counts[by_user.indices[q]] += 1
        for p in range(pattern.indptr[i], pattern.indptr[i + 1]):
            common[p] = counts[pattern.indices[p]]
        counts[:] = 0
