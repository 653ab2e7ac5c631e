"""A Gaussian over items at work: the person behind a row of ratings, as each of the fit's draws sees them.

With `q_j = (1, v_j)` a person who rated `j` has the precision `A = Λ + α Σ q_j q_jᵀ`, and their numbers `(b, z)` solve
`A x = Λ m + α Σ q_j (r_j − offset_j)`; they would give `i` about `offset_i + b + v_i · z`. The draws lie side by side
in the last axis of every array, so that each line of algebra is one loop over all of them.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight
from reelated._kernels.lanes import LANES, add_four, widen

TOGETHER = 4
"""Ratings that are added at once, so that sums are fetched for each four."""


class Draws(NamedTuple):
    """What a fitted model knows; `S` draws of `D` numbers an item, the first its offset.

    Attributes
    ----------
    items : ndarray of float32, shape (n_items, D, S)
    level, growth : ndarray of float64, shape (D, S)
        The mean of people is `level + growth · log(ratings) + (Σ taste_j / √ratings) @ lean`.
    lean : ndarray of float64, shape (n_tastes, D, S)
    taste : ndarray of float64, shape (n_items, n_tastes)
    precision : ndarray of float64, shape (D, D, S)
    alpha : ndarray of float64, shape (S,)
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
    fewest: float
    most: float


class Person(NamedTuple):
    """A row of ratings as the draws see it; what is derived from the sums is filled by `settle`.

    Attributes
    ----------
    n_ratings : ndarray, shape (1,)
    taste : ndarray, shape (n_tastes,)
        Σ taste_j.
    precision, lower : ndarray, shape (D, D, S)
        A and the triangle `L` with `L Lᵀ = A`; the upper halves are not used.
    pull, usual, z : ndarray, shape (D, S)
        α Σ q_j (r_j − offset_j), what is usual for people like them, and their own numbers.
    q : ndarray, shape (D, S)
        Room for an item's numbers.
    weighted : ndarray, shape (S,)
        Room for α times one number of an item.
    eights : ndarray, shape (D + 1, TOGETHER, LANES)
        Room for `q` and `r − offset` of some ratings, of eight draws; the first numbers stay 1.
    scale : ndarray, shape (LANES,)
        Room for α of eight draws.
    """

    n_ratings: np.ndarray
    taste: np.ndarray
    precision: np.ndarray
    lower: np.ndarray
    pull: np.ndarray
    usual: np.ndarray
    z: np.ndarray
    q: np.ndarray
    weighted: np.ndarray
    eights: np.ndarray
    scale: np.ndarray


@kernel
def empty_person(draws):
    """Return room for a person, whom `meet` or `leave_out` fills."""
    D, S = draws.level.shape
    return Person(
        np.zeros(1),
        np.empty(draws.taste.shape[1]),
        np.empty((D, D, S)),
        np.empty((D, D, S)),
        np.empty((D, S)),
        np.empty((D, S)),
        np.empty((D, S)),
        np.empty((D, S)),
        np.empty(S),
        np.ones((D + 1, TOGETHER, LANES)),
        np.empty(LANES),
    )


@tight
def add_product(out, x, y):
    """Add `x · y` to `out`, draw by draw: the step that everything here is made of."""
    for s in range(len(out)):
        out[s] += x[s] * y[s]


@tight
def take_product(out, x, y):
    """Take `x · y` from `out`, draw by draw."""
    for s in range(len(out)):
        out[s] -= x[s] * y[s]


@tight
def copy(x, out):
    """Copy draw by draw."""
    for s in range(len(out)):
        out[s] = x[s]


@tight
def copy_lower(A, out):
    """Copy the lower half of a symmetric matrix."""
    for a in range(len(A)):
        for c in range(a + 1):
            copy(A[a, c], out[a, c])


@tight
def cholesky(A, L):
    """Write the lower triangle `L` with `L Lᵀ = A` of each draw; only the lower half of `A` is read."""
    for a in range(len(A)):
        for c in range(a + 1):
            rest = L[a, c]
            copy(A[a, c], rest)
            for e in range(c):
                take_product(rest, L[a, e], L[c, e])
            if a == c:
                for s in range(len(rest)):
                    rest[s] = np.sqrt(rest[s])
            else:
                divide(rest, L[c, c])


@tight
def divide(out, by):
    """Divide draw by draw."""
    for s in range(len(out)):
        out[s] /= by[s]


@tight
def solve_lower(L, b):
    """Replace `b` by what solves `L x = b`."""
    for a in range(len(b)):
        for e in range(a):
            take_product(b[a], L[a, e], b[e])
        divide(b[a], L[a, a])


@tight
def solve_upper(L, b):
    """Replace `b` by what solves `Lᵀ x = b`."""
    for a in range(len(b) - 1, -1, -1):
        for e in range(a + 1, len(b)):
            take_product(b[a], L[e, a], b[e])
        divide(b[a], L[a, a])


@tight
def look_at(draws, i, q):
    """Write `q_i = (1, v_i)`."""
    q[0] = 1.0
    for a in range(1, len(q)):
        copy(draws.items[i, a], q[a])


@tight
def add_rating(draws, person, j, rating, sign):
    """Add one rating to the sums of a person, or take it out again."""
    person.n_ratings[0] += sign
    for f in range(len(person.taste)):
        person.taste[f] += sign * draws.taste[j, f]
    q, weighted, offset = person.q, person.weighted, draws.items[j, 0]
    look_at(draws, j, q)
    for a in range(len(q)):
        for s in range(len(weighted)):
            weighted[s] = sign * draws.alpha[s] * q[a, s]
            person.pull[a, s] += weighted[s] * (rating - offset[s])
        for c in range(a + 1):
            add_product(person.precision[a, c], weighted, q[c])


@tight
def add_together(draws, person, indices, data):
    """Add so many ratings that four go into them, as `add_rating` does one after the other: four, for eight draws."""
    (D, S), room = person.pull.shape, person.eights
    for first in range(0, S, LANES):
        begin = min(first, S - LANES)
        for lane in range(LANES):
            person.scale[lane] = draws.alpha[begin + lane] if begin + lane >= first else 0.0
        for at in range(0, len(indices), TOGETHER):
            for k in range(TOGETHER):
                look_at_eight(draws, indices[at + k], data[at + k], begin, room, k)
            for a in range(D):
                add_four(person.precision, a * D * S + begin, S, room, person.scale, a, 0, a + 1)
                add_four(person.pull, a * S + begin, S, room, person.scale, a, D, D + 1)


@tight
def look_at_eight(draws, j, rating, begin, room, k):
    """Write, of eight draws, `q_j` and behind it `r_j − offset_j` as the `k`-th of what is added together."""
    D, S = draws.level.shape
    for a in range(1, D):
        widen(room, (a * TOGETHER + k) * LANES, draws.items, (j * D + a) * S + begin)
    for lane in range(LANES):
        room[D, k, lane] = rating - draws.items[j, 0, begin + lane]


@tight
def settle(draws, person):
    """Derive the person from the sums: the mean of people like them, and their own numbers."""
    n, usual, z = person.n_ratings[0], person.usual, person.z
    grown = np.log(min(max(n, draws.fewest), draws.most))
    share = 1.0 / np.sqrt(n) if n > 0.5 else 0.0
    for a in range(len(z)):
        for s in range(z.shape[1]):
            usual[a, s] = draws.level[a, s] + draws.growth[a, s] * grown
        for f in range(len(person.taste)):
            step, lean = person.taste[f] * share, draws.lean[f, a]
            for s in range(z.shape[1]):
                usual[a, s] += step * lean[s]
    for a in range(len(z)):
        copy(person.pull[a], z[a])
        for c in range(len(z)):
            add_product(z[a], draws.precision[a, c], usual[c])
    cholesky(person.precision, person.lower)
    solve_lower(person.lower, z)
    solve_upper(person.lower, z)


@tight
def meet(draws, indices, data, person):
    """Fill a person from their row of ratings."""
    person.n_ratings[0] = 0.0
    person.taste[:] = 0.0
    person.pull[:] = 0.0
    copy_lower(draws.precision, person.precision)
    together = len(indices) - len(indices) % TOGETHER if person.pull.shape[1] >= LANES else 0
    for at in range(together):
        person.n_ratings[0] += 1.0
        for f in range(len(person.taste)):
            person.taste[f] += draws.taste[indices[at], f]
    if together:
        add_together(draws, person, indices[:together], data[:together])
    for at in range(together, len(indices)):
        add_rating(draws, person, indices[at], data[at], 1.0)
    settle(draws, person)


@tight
def leave_out(draws, person, i, rating, other):
    """Make another person of this one who has not rated an item."""
    other.n_ratings[0] = person.n_ratings[0]
    copy(person.taste, other.taste)
    copy_lower(person.precision, other.precision)
    for a in range(len(person.pull)):
        copy(person.pull[a], other.pull[a])
    add_rating(draws, other, i, rating, -1.0)
    settle(draws, other)


@tight
def rating_of(draws, person, i):
    """Return the mean over the draws of what the person would give an item."""
    v, z, total = draws.items[i], person.z, 0.0
    for s in range(z.shape[1]):
        total += v[0, s]
        total += z[0, s]
        for a in range(1, len(z)):
            total += v[a, s] * z[a, s]
    return total / z.shape[1]


@tight
def variance_of(draws, person, i):
    """Return the variance of a rating: the mean of the draws' own and the variance between them."""
    v, z, y = draws.items[i], person.z, person.q
    D, S = z.shape
    look_at(draws, i, y)
    solve_lower(person.lower, y)
    within, first, second = 0.0, 0.0, 0.0
    for s in range(S):
        value = v[0, s] + z[0, s]
        within += 1.0 / draws.alpha[s]
        for a in range(D):
            within += y[a, s] * y[a, s]
        for a in range(1, D):
            value += v[a, s] * z[a, s]
        first += value
        second += value * value
    return within / S + max(second / S - (first / S) ** 2, 0.0)


@kernel
def gaussian_pairs(start, stop, rows, users, items, draws, with_variance):
    """Return ratings and variances of pairs sorted by row; what the row itself says of the item is not looked at."""
    ratings, variances = np.empty(stop - start), np.empty(stop - start)
    person, known = empty_person(draws), -1
    other, has_room = person, False
    for at in range(start, stop):
        u, i, asked = users[at], items[at], person
        indices = rows.indices[rows.indptr[u] : rows.indptr[u + 1]]
        data = rows.data[rows.indptr[u] : rows.indptr[u + 1]]
        if u != known:
            meet(draws, indices, data, person)
            known = u
        place = np.searchsorted(indices, i)
        if place < len(indices) and indices[place] == i:
            if not has_room:
                other, has_room = empty_person(draws), True
            leave_out(draws, person, i, data[place], other)
            asked = other
        ratings[at - start] = rating_of(draws, asked, i)
        variances[at - start] = variance_of(draws, asked, i) if with_variance else 0.0
    return ratings, variances


@kernel
def gaussian_rows(start, stop, rows, draws, by_number):
    """Return the ratings of all items for rows; `by_number` holds the draws' items as (S, D, n_items).

    The sums run in the order of `rating_of`, so that the bits are the same. Items of the row itself are NaN.
    """
    D, S = draws.level.shape
    dense, person = np.zeros((stop - start, by_number.shape[2])), empty_person(draws)
    for u in range(start, stop):
        indices = rows.indices[rows.indptr[u] : rows.indptr[u + 1]]
        meet(draws, indices, rows.data[rows.indptr[u] : rows.indptr[u + 1]], person)
        out = dense[u - start]
        for s in range(S):
            bias, v = person.z[0, s], by_number[s, 0]
            for i in range(len(out)):
                out[i] += v[i]
                out[i] += bias
            for a in range(1, D):
                x, v = person.z[a, s], by_number[s, a]
                for i in range(len(out)):
                    out[i] += v[i] * x
        for i in range(len(out)):
            out[i] /= S
        for j in indices:
            out[j] = np.nan
    return dense


@kernel
def gaussian_parts(indices, data, item, draws):
    """Return what an average person would give an item, and for each of a row's ratings its weight and what it adds.

    With `q` the item's numbers and `A` the person's precision, a rating of `j` adds `y · (α q_j (r_j − usual_j) +
    Λ taste_j lean / √n)` where `A y = q`; its weight is `α y · q_j`. The first is what the stars say, the second what
    the mere choice of the movie says.
    """
    D, S = draws.level.shape
    person = empty_person(draws)
    others = indices != item
    meet(draws, indices[others], data[others], person)
    n = person.n_ratings[0]
    grown = np.log(min(max(n, draws.fewest), draws.most))
    usual, y, share = draws.level + draws.growth * grown, person.q, 1.0 / np.sqrt(n) if n > 0.5 else 0.0
    look_at(draws, item, y)
    base = (draws.items[item, 0] + np.sum(y * usual, axis=0)).sum()
    solve_lower(person.lower, y)
    solve_upper(person.lower, y)
    drawn = choice_adds(draws, y, share)
    weights, adds = np.zeros(len(indices)), np.zeros(len(indices))
    reach, level = np.empty(S), np.empty(S)
    for at in range(len(indices)):
        j = indices[at]
        if j == item:
            continue
        reach[:] = y[0]
        level[:] = draws.items[j, 0] + usual[0]
        for a in range(1, D):
            add_product(reach, y[a], draws.items[j, a])
            add_product(level, usual[a], draws.items[j, a])
        for s in range(S):
            weight = draws.alpha[s] * reach[s]
            weights[at] += weight
            adds[at] += weight * (data[at] - level[s])
        for f in range(len(drawn)):
            adds[at] += drawn[f] * draws.taste[j, f]
    return base / S, weights / S, adds / S


@kernel
def choice_adds(draws, y, share):
    """Return what one unit of each taste adds to an item's rating, summed over the draws: `y · Λ lean / √n`."""
    D, S = draws.level.shape
    drawn, pulled = np.zeros(draws.taste.shape[1]), np.zeros((D, S))
    for c in range(D):
        for a in range(D):
            add_product(pulled[c], y[a], draws.precision[a, c])
    for f in range(len(drawn)):
        for c in range(D):
            for s in range(S):
                drawn[f] += share * pulled[c, s] * draws.lean[f, c, s]
    return drawn
