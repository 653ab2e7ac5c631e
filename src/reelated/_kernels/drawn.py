"""A BPMF over items at work: the person behind a row of ratings, as each of the fit's draws sees them.

With `q_j = (1, v_j)` a person who rated `j` has the precision `A = Λ + α Σ q_j q_jᵀ`, and their numbers `(b, z)` solve
`A x = Λ m + α Σ q_j (r_j − offset_j)`; they would give `i` about `offset_i + b + v_i · z`. Draws know nothing of each
other, so that eight are gone through at a time: they lie side by side in the last axis of every array, and all that is
known of a person stays in the fastest cache. Places that the last eight leave free repeat a draw and are not counted.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import BROAD, LANES, TALL, add_outer, add_sum, fetch, multiply, take_outer, take_sum

# precision = Λ + α qᵀ q;  z = solve(precision, Λ usual + α qᵀ (ratings − offset));  rating = mean(offset + q_i · z)

TOGETHER = 8
"""Ratings that are added at once, so that sums are fetched for each eight."""


class Draws(NamedTuple):
    """What a fitted model knows; `G` groups of eight draws of `D` numbers an item, the first its offset.

    Attributes
    ----------
    items : ndarray of float32, shape (G, n_items, D, LANES)
    level, growth : ndarray of float64, shape (G, D, LANES)
        The mean of people is `level + growth · log(ratings) + lean @ (Σ taste_j / √ratings)`.
    lean : ndarray of float64, shape (G, D, n_tastes, LANES)
    taste : ndarray of float64, shape (n_items, n_tastes)
    precision : ndarray of float64, shape (G, D, D, LANES)
        Λ, both halves.
    alpha : ndarray of float64, shape (G, LANES)
    n_samples : int
        How many of the draws count.
    fewest, most : float
        Numbers of ratings beyond these are taken for these in `growth`.
    """

    items: np.ndarray
    level: np.ndarray
    growth: np.ndarray
    lean: np.ndarray
    taste: np.ndarray
    precision: np.ndarray
    alpha: np.ndarray
    n_samples: int
    fewest: float
    most: float


class Person(NamedTuple):
    """A row of ratings as eight draws see it; what is derived from the sums is filled by `settle`.

    Attributes
    ----------
    n_ratings : ndarray, shape (1,)
    taste : ndarray, shape (n_tastes,)
        Σ taste_j.
    sums : ndarray, shape (R, R, LANES)
        Σ w_j w_jᵀ of `w_j = (q_j, r_j − offset_j)` and of zeros up to a whole tile; of the upper half nothing is used.
    lower : ndarray, shape (D, D, LANES)
        The triangle `L` with `L Lᵀ = A`, its diagonal inverted; the upper half is not used.
    usual, z : ndarray, shape (D, LANES)
        What is usual for people like them, and their own numbers.
    q : ndarray, shape (D, LANES)
        Room for an item's numbers.
    eights : ndarray, shape (R, TOGETHER, LANES)
        Room for `w` of some ratings.
    shares : ndarray, shape (n_tastes, LANES)
        Room for Σ taste_j / √ratings.
    value, other : ndarray, shape (LANES,)
        Room for a number of each draw.
    """

    n_ratings: np.ndarray
    taste: np.ndarray
    sums: np.ndarray
    lower: np.ndarray
    usual: np.ndarray
    z: np.ndarray
    q: np.ndarray
    eights: np.ndarray
    shares: np.ndarray
    value: np.ndarray
    other: np.ndarray


@kernel
def empty_person(draws):
    """Return room for a person, whom `count` and `meet`, or `leave_out`, fill."""
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
    """Return room for numbers that begins where a cache line does: eight of them never lie on two."""
    room = np.empty(size + LANES)
    skip = -(room.ctypes.data // 8) % LANES
    return room[skip : skip + size]


# ------------------------------------------------------------------------------------------------ algebra
@tight
def cholesky(L):
    """Replace the lower half of a symmetric matrix by the triangle with `L Lᵀ` equal to it, its diagonal inverted."""
    D = len(L)
    for a in range(D):
        for c in range(a + 1):
            here = (a * D + c) * LANES
            take_sum(L, here, L, a * D * LANES, LANES, L, c * D * LANES, c)
            if c < a:
                multiply(L, here, L, (c * D + c) * LANES)
        for lane in range(LANES):
            L[a, a, lane] = 1.0 / np.sqrt(L[a, a, lane])


@tight
def solve_lower(L, b):
    """Replace `b` by what solves `L x = b`."""
    D = len(b)
    for a in range(D):
        take_sum(b, a * LANES, L, a * D * LANES, LANES, b, 0, a)
        multiply(b, a * LANES, L, (a * D + a) * LANES)


@tight
def solve_upper(L, b):
    """Replace `b` by what solves `Lᵀ x = b`."""
    D = len(b)
    for a in range(D - 1, -1, -1):
        take_sum(b, a * LANES, L, ((a + 1) * D + a) * LANES, D * LANES, b, (a + 1) * LANES, D - 1 - a)
        multiply(b, a * LANES, L, (a * D + a) * LANES)


# ------------------------------------------------------------------------------------------ draws and items
@tight
def place_of(draws, i, g):
    """Return where the numbers of an item begin in eight draws."""
    _, n_items, D, _ = draws.items.shape
    return (g * n_items + i) * D * LANES


@tight
def in_use(draws, g):
    """Return how many of eight draws count."""
    return min(LANES, draws.n_samples - g * LANES)


@tight
def look_at(draws, g, i, q):
    """Write `q_i = (1, v_i)`."""
    begin = place_of(draws, i, g)
    for lane in range(LANES):
        q[0, lane] = 1.0
    for a in range(1, len(q)):
        fetch(q, a * LANES, draws.items, begin + a * LANES)


@tight
def growth_of(draws, n):
    """Return the factor of `growth` after so many ratings."""
    return np.log(min(max(n, draws.fewest), draws.most))


@tight
def share_of(n):
    """Return what the sum of tastes is multiplied by."""
    return 1.0 / np.sqrt(n) if n > 0.5 else 0.0


# ---------------------------------------------------------------------------------------------- people
@tight
def count(draws, indices, person):
    """Fill in how many ratings a person gave, and their tastes: what all draws see alike."""
    person.n_ratings[0] = len(indices)
    person.taste[:] = 0.0
    for j in indices:
        for f in range(len(person.taste)):
            person.taste[f] += draws.taste[j, f]


@tight
def add_ratings(draws, g, indices, data, person):
    """Add ratings to the sums of a person, some at once."""
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
    """Take one rating out of the sums of a person."""
    D, R = len(person.z), len(person.sums)
    look_beside(draws, g, j, rating, person.eights, 0)
    for a in range(0, D + 1, TALL):
        for c in range(0, a + TALL, BROAD):
            take_outer(person.sums, (a * R + c) * LANES, R * LANES, person.eights, a, c, TOGETHER, 1)


@tight
def look_beside(draws, g, j, rating, room, k):
    """Write `q_j` and behind it `r_j − offset_j` as the `k`-th of what is added together."""
    begin, D = place_of(draws, j, g), draws.level.shape[1]
    for lane in range(LANES):
        room[0, k, lane] = 1.0
        room[D, k, lane] = rating - draws.items[g, j, 0, lane]
    for a in range(1, D):
        fetch(room, (a * TOGETHER + k) * LANES, draws.items, begin + a * LANES)


@tight
def settle(draws, g, person):
    """Derive the person from the sums: the mean of people like them, and their own numbers."""
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
    """Fill a person who is counted from their row of ratings."""
    person.sums[:] = 0.0
    add_ratings(draws, g, indices, data, person)
    settle(draws, g, person)


@tight
def leave_out(draws, g, person, j, rating, other):
    """Make another person of this one who has not given a rating."""
    other.n_ratings[0] = person.n_ratings[0] - 1.0
    for f in range(len(person.taste)):
        other.taste[f] = person.taste[f] - draws.taste[j, f]
    for at in range(0, person.sums.size, LANES):
        fetch(other.sums, at, person.sums, at)
    take_rating(draws, g, j, rating, other)
    settle(draws, g, other)


@tight
def rating_of(draws, g, z, i, value):
    """Return the sum over the draws of what the person of `z` would give an item; each is left in `value`."""
    total = 0.0
    for lane in range(LANES):
        value[lane] = draws.items[g, i, 0, lane] + z[0, lane]
    add_sum(value, 0, draws.items, place_of(draws, i, g) + LANES, LANES, z, LANES, len(z) - 1)
    for lane in range(in_use(draws, g)):
        total += value[lane]
    return total


@tight
def spread_of(draws, g, person, i):
    """Return the sums over the draws of their own variances and of the squares of `value`, which `rating_of` left."""
    y, within, squares = person.q, 0.0, 0.0
    look_at(draws, g, i, y)
    solve_lower(person.lower, y)
    for lane in range(in_use(draws, g)):
        within += 1.0 / draws.alpha[g, lane]
        for a in range(len(y)):
            within += y[a, lane] * y[a, lane]
        squares += person.value[lane] * person.value[lane]
    return within, squares


# --------------------------------------------------------------------------------------------- answers
@kernel
def gaussian_pairs(start, stop, rows, users, items, draws, with_variance):
    """Return ratings and variances of pairs sorted by row; what the row itself says of the item is not looked at."""
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
    means = totals / draws.n_samples
    return means, within / draws.n_samples + np.maximum(squares / draws.n_samples - means**2, 0.0)


@kernel
def gaussian_rows(start, stop, rows, draws):
    """Return the ratings of all items for rows; items of the row itself are NaN.

    Of eight draws every person is met first, so that an item's numbers are fetched once for all of them.
    """
    (G, n_items, D, _), n = draws.items.shape, stop - start
    dense, person, z = np.zeros((n, n_items)), empty_person(draws), aligned(n * D * LANES).reshape(n, D, LANES)
    for g in range(G):
        for u in range(n):
            row = slice(rows.indptr[start + u], rows.indptr[start + u + 1])
            count(draws, rows.indices[row], person)
            meet(draws, g, rows.indices[row], rows.data[row], person)
            z[u] = person.z
        for i in range(n_items):
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
    """Return what an average person would give an item, and for each of a row's ratings its weight and what it adds.

    With `q` the item's numbers and `A` the person's precision, a rating of `j` adds `y · (α q_j (r_j − usual_j) +
    Λ taste_j lean / √n)` where `A y = q`; its weight is `α y · q_j`. The first is what the stars say, the second what
    the mere choice of the movie says.
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
    """Return the sum over the draws of what somebody without tastes would give an item.

    Of the person, `q` becomes the item's numbers, and `usual` those of people without tastes.
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
    """Return the sums over the draws of a rating's weight and of what its stars add; `q` holds `y`."""
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
    """Add what one unit of each taste adds to an item's rating, summed over the draws: `y · Λ lean / √n`."""
    D, pulled, share = len(person.q), person.value, share_of(person.n_ratings[0])
    for c in range(D):
        for lane in range(LANES):
            pulled[lane] = 0.0
        add_sum(pulled, 0, draws.precision, (g * D + c) * D * LANES, LANES, person.q, 0, D)
        for f in range(len(drawn)):
            for lane in range(in_use(draws, g)):
                drawn[f] += share * pulled[lane] * draws.lean[g, c, f, lane]
