"""BPMF prediction: the posterior of a user given a row of ratings, under each posterior sample of the fit.

With `q_j = (1, v_j)`, a user who rated the items `j` has the precision `A = Λ + α Σ q_j q_jᵀ`, and the posterior mean
of `x = (b, z)` solves `A x = Λ m + α Σ q_j (r_j − offset_j)`; the predicted rating of `i` is `offset_i + b + v_i · z`.
Samples are independent of each other, so eight are processed at a time: they lie side by side in the last axis of
every array, and a user's state stays in the L1 cache. The last group is padded with a repeated sample, not counted.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import BROAD, LANES, TALL, add_outer, add_sum, fetch, multiply, take_outer, take_sum

# A = Λ + α Q.T @ Q;  x = solve(A, Λ @ m + α Q.T @ (ratings - offset));  rating = mean(offset_i + q_i @ x), over samples
# Cost for a user and a sample: n_ratings D² / 2 + D³ / 6 multiply-adds, then D for each item.

TOGETHER = 8
"""Ratings added in one pass over the sums, which are then loaded and stored once for eight ratings."""


class Draws(NamedTuple):
    """The posterior samples of a fit: `G` groups of eight samples of `D` numbers per item, the first its offset."""

    items: np.ndarray  # float32, (G, n_items, D, LANES)
    # the prior mean of a user is level + growth · log(n_ratings) + lean @ (Σ taste_j / √n_ratings)
    level: np.ndarray  # (G, D, LANES)
    growth: np.ndarray  # (G, D, LANES)
    lean: np.ndarray  # (G, D, n_tastes, LANES)
    taste: np.ndarray  # (n_items, n_tastes)
    precision: np.ndarray  # Λ, both triangles, (G, D, D, LANES)
    alpha: np.ndarray  # (G, LANES)
    n_samples: int  # samples without the padding
    fewest: float  # n_ratings is clipped to this range in `growth`
    most: float


class Person(NamedTuple):
    """A user's state under eight posterior samples; `settle` computes `lower`, `usual` and `z` from the sums."""

    n_ratings: np.ndarray  # (1,)
    taste: np.ndarray  # Σ taste_j, (n_tastes,)
    sums: np.ndarray  # Σ w_j w_jᵀ of w_j = (q_j, r_j − offset_j), padded to whole tiles; lower triangle, (R, R, LANES)
    lower: np.ndarray  # Cholesky factor of A, its diagonal inverted; lower triangle, (D, D, LANES)
    usual: np.ndarray  # prior mean, (D, LANES)
    z: np.ndarray  # posterior mean, (D, LANES)
    q: np.ndarray  # workspace for an item's numbers, (D, LANES)
    eights: np.ndarray  # workspace for the w_j of a few ratings, (R, TOGETHER, LANES)
    shares: np.ndarray  # workspace for Σ taste_j / √n_ratings, (n_tastes, LANES)
    value: np.ndarray  # workspace for a number of each sample, (LANES,)
    other: np.ndarray


@kernel
def empty_person(draws):
    """Allocate a user's state, which `count` and `meet`, or `leave_out`, fill."""
    _, D, n_tastes, _ = draws.lean.shape
    line, R = D * LANES, D // BROAD * BROAD + BROAD
    person = Person(
        np.zeros(1),
        np.empty(n_tastes),
        aligned(R * R * LANES).reshape(R, R, LANES),
        aligned(D * line).reshape(D, D, LANES),
        aligned(line).reshape(D, LANES),
        aligned(line).reshape(D, LANES),
        aligned(line).reshape(D, LANES),
        aligned(R * TOGETHER * LANES).reshape(R, TOGETHER, LANES),
        aligned(n_tastes * LANES).reshape(n_tastes, LANES),
        aligned(LANES),
        aligned(LANES),
    )
    person.eights[:] = 0.0
    return person


@kernel
def aligned(size):
    """Return an array that begins at a cache line, so that eight float64 never span two lines."""
    room = np.empty(size + LANES)
    skip = -(room.ctypes.data // 8) % LANES
    return room[skip : skip + size]


# ------------------------------------------------------------------------------------------------ algebra
@tight
def cholesky(L):
    """Replace the lower triangle of a symmetric matrix by its Cholesky factor, the diagonal inverted."""
    D = len(L)
    for a in range(D):
        for c in range(a + 1):
            here = (a * D + c) * LANES
            take_sum(L, here, L, a * D * LANES, LANES, L, c * D * LANES, c)
            if c < a:
                multiply(L, here, L, (c * D + c) * LANES)
        for lane in range(LANES):  # inverted: the triangular solves then multiply instead of dividing
            L[a, a, lane] = 1.0 / np.sqrt(L[a, a, lane])


@tight
def solve_lower(L, b):
    """Replace `b` by the solution of `L x = b`."""
    D = len(b)
    for a in range(D):
        take_sum(b, a * LANES, L, a * D * LANES, LANES, b, 0, a)
        multiply(b, a * LANES, L, (a * D + a) * LANES)


@tight
def solve_upper(L, b):
    """Replace `b` by the solution of `Lᵀ x = b`."""
    D = len(b)
    for a in range(D - 1, -1, -1):
        take_sum(b, a * LANES, L, ((a + 1) * D + a) * LANES, D * LANES, b, (a + 1) * LANES, D - 1 - a)
        multiply(b, a * LANES, L, (a * D + a) * LANES)


# ------------------------------------------------------------------------------------------ samples and items
@tight
def place_of(draws, i, g):
    """Return the flat position of item `i` in sample group `g`."""
    _, n_items, D, _ = draws.items.shape
    return (g * n_items + i) * D * LANES


@tight
def in_use(draws, g):
    """Return the number of samples in group `g`, padding excluded."""
    return min(LANES, draws.n_samples - g * LANES)


@tight
def look_at(draws, g, i, q):
    """Load `q_i = (1, v_i)`."""
    begin = place_of(draws, i, g)
    for lane in range(LANES):
        q[0, lane] = 1.0
    for a in range(1, len(q)):
        fetch(q, a * LANES, draws.items, begin + a * LANES)


@tight
def growth_of(draws, n):
    """Return the factor of `growth` for `n` ratings: log n, clipped to the range seen in the fit."""
    return np.log(min(max(n, draws.fewest), draws.most))


@tight
def share_of(n):
    """Return 1 / √n, the factor of Σ taste_j; 0 without ratings."""
    return 1.0 / np.sqrt(n) if n > 0.5 else 0.0


# ---------------------------------------------------------------------------------------------- users
@tight
def count(draws, indices, person):
    """Set the number of ratings and Σ taste_j, which are the same for all samples."""
    person.n_ratings[0] = len(indices)
    person.taste[:] = 0.0
    for j in indices:
        for f in range(len(person.taste)):
            person.taste[f] += draws.taste[j, f]


@tight
def add_ratings(draws, g, indices, data, person):
    """Add ratings to a user's sums, `TOGETHER` at a time."""
    D, R = len(person.z), len(person.sums)
    for first in range(0, len(indices), TOGETHER):
        n = min(TOGETHER, len(indices) - first)
        for k in range(n):
            look_beside(draws, g, indices[first + k], data[first + k], person.eights, k)
        for a in range(0, D + 1, TALL):
            for c in range(0, a + TALL, BROAD):
                add_outer(person.sums, (a * R + c) * LANES, R * LANES, person.eights, a, c, TOGETHER, n)


@tight
def take_rating(draws, g, j, rating, person):
    """Subtract one rating from a user's sums."""
    D, R = len(person.z), len(person.sums)
    look_beside(draws, g, j, rating, person.eights, 0)
    for a in range(0, D + 1, TALL):
        for c in range(0, a + TALL, BROAD):
            take_outer(person.sums, (a * R + c) * LANES, R * LANES, person.eights, a, c, TOGETHER, 1)


@tight
def look_beside(draws, g, j, rating, room, k):
    """Load `w_j = (q_j, r_j − offset_j)` as the `k`-th of the ratings added together."""
    begin, D = place_of(draws, j, g), draws.level.shape[1]
    for lane in range(LANES):
        room[0, k, lane] = 1.0
        room[D, k, lane] = rating - draws.items[g, j, 0, lane]
    for a in range(1, D):
        fetch(room, (a * TOGETHER + k) * LANES, draws.items, begin + a * LANES)


@tight
def settle(draws, g, person):
    """Compute the prior mean, the Cholesky factor and the posterior mean from a user's sums."""
    (D, _), n_tastes, n, R = person.z.shape, len(person.taste), person.n_ratings[0], len(person.sums)
    usual, z, L, grown = person.usual, person.z, person.lower, growth_of(draws, n)
    for f in range(n_tastes):
        for lane in range(LANES):
            person.shares[f, lane] = person.taste[f] * share_of(n)
    for a in range(D):
        for lane in range(LANES):
            usual[a, lane] = draws.level[g, a, lane] + draws.growth[g, a, lane] * grown
        add_sum(usual, a * LANES, draws.lean, (g * D + a) * n_tastes * LANES, LANES, person.shares, 0, n_tastes)
        for c in range(a + 1):
            here = (a * D + c) * LANES
            fetch(L, here, draws.precision, g * D * D * LANES + here)
            add_sum(L, here, draws.alpha, g * LANES, LANES, person.sums, (a * R + c) * LANES, 1)
    for a in range(D):
        fetch(z, a * LANES, person.sums, (D * R + a) * LANES)
        multiply(z, a * LANES, draws.alpha, g * LANES)
        add_sum(z, a * LANES, draws.precision, (g * D + a) * D * LANES, LANES, usual, 0, D)
    cholesky(L)
    solve_lower(L, z)
    solve_upper(L, z)


@tight
def meet(draws, g, indices, data, person):
    """Compute a user's state from a row of ratings; `count` must have been called."""
    person.sums[:] = 0.0
    add_ratings(draws, g, indices, data, person)
    settle(draws, g, person)


@tight
def leave_out(draws, g, person, j, rating, other):
    """Copy the state with one rating removed (leave-one-out)."""
    other.n_ratings[0] = person.n_ratings[0] - 1.0
    for f in range(len(person.taste)):
        other.taste[f] = person.taste[f] - draws.taste[j, f]
    # removing a rating from the sums takes D² operations, adding up all others n_ratings times as many
    for at in range(0, person.sums.size, LANES):
        fetch(other.sums, at, person.sums, at)
    take_rating(draws, g, j, rating, other)
    settle(draws, g, other)


@tight
def rating_of(draws, g, z, i, value):
    """Return an item's predicted ratings summed over the samples; `value` holds each of them."""
    total = 0.0
    for lane in range(LANES):
        value[lane] = draws.items[g, i, 0, lane] + z[0, lane]
    add_sum(value, 0, draws.items, place_of(draws, i, g) + LANES, LANES, z, LANES, len(z) - 1)
    for lane in range(in_use(draws, g)):
        total += value[lane]
    return total


@tight
def spread_of(draws, g, person, i):
    """Return Σ variance and Σ `value`² over the samples; `rating_of` must have filled `value`."""
    y, within, squares = person.q, 0.0, 0.0
    look_at(draws, g, i, y)
    solve_lower(person.lower, y)
    for lane in range(in_use(draws, g)):
        within += 1.0 / draws.alpha[g, lane]
        for a in range(len(y)):
            within += y[a, lane] * y[a, lane]
        squares += person.value[lane] * person.value[lane]
    return within, squares


# --------------------------------------------------------------------------------------------- predictions
@kernel
def gaussian_pairs(start, stop, rows, users, items, draws, with_variance):
    """Return predicted ratings and variances of pairs sorted by row; a rating of the pair itself is left out."""
    totals, squares, within = np.zeros(stop - start), np.zeros(stop - start), np.zeros(stop - start)
    person, other, first = empty_person(draws), empty_person(draws), start
    while first < stop:
        u, last = users[first], first + 1
        while last < stop and users[last] == u:
            last += 1
        indices = rows.indices[rows.indptr[u] : rows.indptr[u + 1]]
        data = rows.data[rows.indptr[u] : rows.indptr[u + 1]]
        count(draws, indices, person)
        for g in range(len(draws.alpha)):
            meet(draws, g, indices, data, person)
            for at in range(first, last):
                i, asked = items[at], person
                place = np.searchsorted(indices, i)
                if place < len(indices) and indices[place] == i:
                    leave_out(draws, g, person, i, data[place], other)
                    asked = other
                totals[at - start] += rating_of(draws, g, asked.z, i, asked.value)
                if with_variance:
                    inner, square = spread_of(draws, g, asked, i)
                    within[at - start] += inner
                    squares[at - start] += square
        first = last
    means = totals / draws.n_samples  # variance = mean of the variances + variance of the means
    return means, within / draws.n_samples + np.maximum(squares / draws.n_samples - means**2, 0.0)


@kernel
def gaussian_rows(start, stop, rows, draws):
    """Return the predicted ratings of all items for some rows; NaN for items in the row."""
    (G, n_items, D, _), n = draws.items.shape, stop - start
    dense, person, z = np.zeros((n, n_items)), empty_person(draws), aligned(n * D * LANES).reshape(n, D, LANES)
    for g in range(G):
        for u in range(n):
            row = slice(rows.indptr[start + u], rows.indptr[start + u + 1])
            count(draws, rows.indices[row], person)
            meet(draws, g, rows.indices[row], rows.data[row], person)
            z[u] = person.z
        for i in range(n_items):  # items outside, so that an item's numbers are loaded once for all users
            for u in range(n):
                dense[u, i] += rating_of(draws, g, z[u], i, person.value)
    for u in range(n):
        for i in range(n_items):
            dense[u, i] /= draws.n_samples
        for j in rows.indices[rows.indptr[start + u] : rows.indptr[start + u + 1]]:
            dense[u, j] = np.nan
    return dense


@kernel
def gaussian_parts(indices, data, item, draws):
    """Return an average user's predicted rating of an item, and the weight and contribution of each rating of the row.

    With `q` the item's numbers, `A` the user's precision and `A y = q`, the rating of `j` contributes
    `y · (α q_j (r_j − usual_j) + Λ taste_j lean / √n)`; its weight is `α y · q_j`. The first term is the effect of the
    rating, the second the effect of having chosen the item at all.
    """
    person, others, base = empty_person(draws), indices != item, 0.0
    drawn = np.zeros(draws.taste.shape[1])
    weights, adds = np.zeros(len(indices)), np.zeros(len(indices))
    kept, ratings = indices[others], data[others]
    count(draws, kept, person)
    for g in range(len(draws.alpha)):
        meet(draws, g, kept, ratings, person)
        base += average_of(draws, g, item, person)
        solve_lower(person.lower, person.q)
        solve_upper(person.lower, person.q)
        add_choices(draws, g, person, drawn)
        for at in range(len(indices)):
            if indices[at] != item:
                weight, add = part_of(draws, g, indices[at], data[at], person)
                weights[at] += weight
                adds[at] += add
    for at in range(len(indices)):
        if indices[at] != item:
            for f in range(len(drawn)):
                adds[at] += drawn[f] * draws.taste[indices[at], f]
    return base / draws.n_samples, weights / draws.n_samples, adds / draws.n_samples


@tight
def average_of(draws, g, item, person):
    """Return an average user's predicted rating of an item, summed over the samples.

    Afterwards `q` holds the item's numbers and `usual` the prior mean without tastes.
    """
    q, usual, total, grown = person.q, person.usual, 0.0, growth_of(draws, person.n_ratings[0])
    look_at(draws, g, item, q)
    for lane in range(LANES):
        for a in range(len(q)):
            usual[a, lane] = draws.level[g, a, lane] + draws.growth[g, a, lane] * grown
    for lane in range(in_use(draws, g)):
        total += draws.items[g, item, 0, lane]
        for a in range(len(q)):
            total += q[a, lane] * usual[a, lane]
    return total


@tight
def part_of(draws, g, j, rating, person):
    """Return a rating's weight and the contribution of its value, summed over the samples; `q` holds `y`."""
    reach, level, begin, D = person.value, person.other, place_of(draws, j, g) + LANES, len(person.q)
    for lane in range(LANES):
        reach[lane] = person.q[0, lane]
        level[lane] = draws.items[g, j, 0, lane] + person.usual[0, lane]
    add_sum(reach, 0, draws.items, begin, LANES, person.q, LANES, D - 1)
    add_sum(level, 0, draws.items, begin, LANES, person.usual, LANES, D - 1)
    weights, adds = 0.0, 0.0
    for lane in range(in_use(draws, g)):
        weight = draws.alpha[g, lane] * reach[lane]
        weights += weight
        adds += weight * (rating - level[lane])
    return weights, adds


@tight
def add_choices(draws, g, person, drawn):
    """Add the contribution of one unit of each taste, summed over the samples: `y · Λ lean / √n`."""
    D, pulled, share = len(person.q), person.value, share_of(person.n_ratings[0])
    for c in range(D):
        for lane in range(LANES):
            pulled[lane] = 0.0
        add_sum(pulled, 0, draws.precision, (g * D + c) * D * LANES, LANES, person.q, 0, D)
        for f in range(len(drawn)):
            for lane in range(in_use(draws, g)):
                drawn[f] += share * pulled[lane] * draws.lean[g, c, f, lane]
