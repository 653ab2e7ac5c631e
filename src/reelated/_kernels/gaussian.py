"""A Gaussian over items: draws of factors while fitting, and the person behind a row of ratings when asked.

A draw holds an offset and factors `v` of every item, and for people a mean and precision of `(bias, z)`; a rating is
`offset_i + bias + v_i · z` and noise. Items and people are drawn by one kernel: with `q_j = (1, v_j)` a row that rated
`j` has the precision `A = Λ + α Σ q_j q_jᵀ`, and its mean solves `A x = Λ m + α Σ q_j (r_j − offset_j)`.
"""

from typing import NamedTuple

import numpy as np

from reelated._kernels.compiling import kernel, tight


class Prior(NamedTuple):
    """What is thought of rows before their ratings: a mean for each, one precision, and the noise of a rating."""

    mean: np.ndarray
    precision: np.ndarray
    alpha: float


class Draws(NamedTuple):
    """What a fitted model knows; `S` draws of `D` numbers an item, the first its offset.

    Attributes
    ----------
    items : ndarray of float32, shape (n_items, S, D)
    level, growth : ndarray of float64, shape (S, D)
        The mean of people is `level + growth · log(ratings) + (Σ taste_j / √ratings) @ lean`.
    lean : ndarray of float64, shape (S, n_tastes, D)
    taste : ndarray of float64, shape (n_items, n_tastes)
    precision : ndarray of float64, shape (S, D, D)
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
    """A row of ratings as the draws see it; what is derived from the sums is filled by `settle`."""

    n_ratings: np.ndarray
    taste: np.ndarray
    precision: np.ndarray
    pull: np.ndarray
    lower: np.ndarray
    mean: np.ndarray
    z: np.ndarray


@tight
def cholesky(A, L):
    """Write the lower triangle `L` with `L Lᵀ = A`; only the lower half of `A` is read."""
    for a in range(len(A)):
        for c in range(a + 1):
            rest = A[a, c]
            for e in range(c):
                rest -= L[a, e] * L[c, e]
            L[a, c] = np.sqrt(rest) if a == c else rest / L[c, c]


@tight
def solve_lower(L, b):
    """Replace `b` by what solves `L x = b`."""
    for a in range(len(b)):
        rest = b[a]
        for e in range(a):
            rest -= L[a, e] * b[e]
        b[a] = rest / L[a, a]


@tight
def solve_upper(L, b):
    """Replace `b` by what solves `Lᵀ x = b`."""
    for a in range(len(b) - 1, -1, -1):
        rest = b[a]
        for e in range(a + 1, len(b)):
            rest -= L[e, a] * b[e]
        b[a] = rest / L[a, a]


@kernel
def draw_rows(start, stop, rows, others, prior, noise, out):
    """Draw the numbers of rows `start` to `stop` given those of what they rated (or of who rated them)."""
    D = others.shape[1]
    A, L, b, q = np.empty((D, D)), np.empty((D, D)), np.empty(D), np.empty(D)
    q[0] = 1.0
    for u in range(start, stop):
        for a in range(D):
            b[a] = 0.0
            for c in range(D):
                A[a, c] = prior.precision[a, c]
                b[a] += prior.precision[a, c] * prior.mean[u, c]
        for at in range(rows.indptr[u], rows.indptr[u + 1]):
            j = rows.indices[at]
            for a in range(1, D):
                q[a] = others[j, a]
            beyond = prior.alpha * (rows.data[at] - others[j, 0])
            for a in range(D):
                b[a] += q[a] * beyond
                weighted = prior.alpha * q[a]
                for c in range(a + 1):
                    A[a, c] += weighted * q[c]
        cholesky(A, L)
        solve_lower(L, b)
        for a in range(D):
            b[a] += noise[u, a]
        solve_upper(L, b)
        out[u] = b


@tight
def squared_error(rows, people, items):
    """Return Σ (r − offset − bias − v · z)² over all ratings."""
    total = 0.0
    for u in range(len(rows.indptr) - 1):
        for at in range(rows.indptr[u], rows.indptr[u + 1]):
            j = rows.indices[at]
            gap = rows.data[at] - people[u, 0] - items[j, 0]
            for a in range(1, people.shape[1]):
                gap -= people[u, a] * items[j, a]
            total += gap * gap
    return total


@tight
def cross_products(A, B, out):
    """Write `Aᵀ B`, summed in the order of the rows: the same on any number of threads."""
    out[:] = 0.0
    for row in range(len(A)):
        for a in range(A.shape[1]):
            x = A[row, a]
            if x != 0.0:
                for c in range(B.shape[1]):
                    out[a, c] += x * B[row, c]


# -------------------------------------------------------------------------------------------------- the fitted model
@kernel
def empty_person(draws):
    """Return room for a person."""
    S, D = draws.level.shape
    return Person(
        np.zeros(1),
        np.zeros(draws.taste.shape[1]),
        np.zeros((S, D, D)),
        np.zeros((S, D)),
        np.zeros((S, D, D)),
        np.zeros((S, D)),
        np.zeros((S, D)),
    )


@tight
def add_rating(draws, person, j, rating, sign):
    """Add one rating to the sums of a person, or take it out again."""
    person.n_ratings[0] += sign
    for f in range(len(person.taste)):
        person.taste[f] += sign * draws.taste[j, f]
    for s in range(person.z.shape[0]):
        alpha, v, A, pull = sign * draws.alpha[s], draws.items[j, s], person.precision[s], person.pull[s]
        beyond = alpha * (rating - v[0])
        pull[0] += beyond
        A[0, 0] += alpha
        for a in range(1, len(v)):
            pull[a] += v[a] * beyond
            weighted = alpha * v[a]
            A[a, 0] += weighted
            for c in range(1, a + 1):
                A[a, c] += weighted * v[c]


@tight
def settle(draws, person):
    """Derive the person from the sums: the mean of people like them, and their own numbers."""
    n = person.n_ratings[0]
    grown = np.log(min(max(n, draws.fewest), draws.most))
    share = 1.0 / np.sqrt(n) if n > 0.5 else 0.0
    for s in range(person.z.shape[0]):
        prior, mean, z = draws.precision[s], person.mean[s], person.z[s]
        for a in range(len(z)):
            mean[a] = draws.level[s, a] + draws.growth[s, a] * grown
        if share > 0:
            for f in range(len(person.taste)):
                for a in range(len(z)):
                    mean[a] += person.taste[f] * share * draws.lean[s, f, a]
        for a in range(len(z)):
            z[a] = person.pull[s, a]
            for c in range(len(z)):
                z[a] += prior[a, c] * mean[c]
        cholesky(person.precision[s], person.lower[s])
        solve_lower(person.lower[s], z)
        solve_upper(person.lower[s], z)


@tight
def meet(draws, indices, data, skipped, person):
    """Fill a person from their row of ratings, but for one item."""
    person.n_ratings[0] = 0.0
    person.taste[:] = 0.0
    person.pull[:] = 0.0
    S, D = person.z.shape
    for s in range(S):
        for a in range(D):
            for c in range(D):
                person.precision[s, a, c] = draws.precision[s, a, c]
    for at in range(len(indices)):
        if indices[at] != skipped:
            add_rating(draws, person, indices[at], data[at], 1.0)
    settle(draws, person)


@tight
def leave_out(draws, person, i, rating, other):
    """Make another person of this one who has not rated an item."""
    S, D = person.z.shape
    other.n_ratings[0] = person.n_ratings[0]
    for f in range(len(person.taste)):
        other.taste[f] = person.taste[f]
    for s in range(S):
        for a in range(D):
            other.pull[s, a] = person.pull[s, a]
            for c in range(a + 1):
                other.precision[s, a, c] = person.precision[s, a, c]
    add_rating(draws, other, i, rating, -1.0)
    settle(draws, other)


@tight
def rating_of(draws, person, i):
    """Return the mean over the draws of what the person would give an item."""
    total = 0.0
    for s in range(person.z.shape[0]):
        v, z = draws.items[i, s], person.z[s]
        total += v[0]
        total += z[0]
        for a in range(1, len(v)):
            total += v[a] * z[a]
    return total / person.z.shape[0]


@kernel
def variance_of(draws, person, i):
    """Return the variance of a rating: the mean of the draws' own and the variance between them."""
    S, D = person.z.shape
    q, within, first, second = np.empty(D), 0.0, 0.0, 0.0
    for s in range(S):
        v, z = draws.items[i, s], person.z[s]
        q[0], value = 1.0, np.float64(v[0]) + z[0]
        for a in range(1, D):
            q[a] = v[a]
            value += v[a] * z[a]
        solve_lower(person.lower[s], q)
        within += 1.0 / draws.alpha[s]
        for a in range(D):
            within += q[a] * q[a]
        first += value
        second += value * value
    return within / S + max(second / S - (first / S) ** 2, 0.0)


@kernel
def gaussian_pairs(start, stop, rows, users, items, draws, with_variance):
    """Return ratings and variances of pairs sorted by row; what the row itself says of the item is not looked at."""
    ratings, variances = np.empty(stop - start), np.empty(stop - start)
    person, other, known = empty_person(draws), empty_person(draws), -1
    for at in range(start, stop):
        u, i, asked = users[at], items[at], person
        indices = rows.indices[rows.indptr[u] : rows.indptr[u + 1]]
        data = rows.data[rows.indptr[u] : rows.indptr[u + 1]]
        if u != known:
            meet(draws, indices, data, -1, person)
            known = u
        place = np.searchsorted(indices, i)
        if place < len(indices) and indices[place] == i:
            leave_out(draws, person, i, data[place], other)
            asked = other
        ratings[at - start] = rating_of(draws, asked, i)
        variances[at - start] = variance_of(draws, asked, i) if with_variance else 0.0
    return ratings, variances


@kernel
def gaussian_rows(start, stop, rows, draws, by_number):
    """Return the ratings of all items for rows; `by_number` holds the draws' items as (S · D, n_items).

    The sums run in the order of `rating_of`, so that the bits are the same. Items of the row itself are NaN.
    """
    S, D = draws.level.shape
    dense, person = np.zeros((stop - start, by_number.shape[1])), empty_person(draws)
    for u in range(start, stop):
        indices = rows.indices[rows.indptr[u] : rows.indptr[u + 1]]
        meet(draws, indices, rows.data[rows.indptr[u] : rows.indptr[u + 1]], -1, person)
        out = dense[u - start]
        for s in range(S):
            bias, v = person.z[s, 0], by_number[s * D]
            for i in range(len(out)):
                out[i] += v[i]
                out[i] += bias
            for a in range(1, D):
                x, v = person.z[s, a], by_number[s * D + a]
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
    S, D = draws.level.shape
    person, y = empty_person(draws), np.empty(D)
    weights, adds, base = np.zeros(len(indices)), np.zeros(len(indices)), 0.0
    meet(draws, indices, data, item, person)
    n = person.n_ratings[0]
    grown = np.log(min(max(n, draws.fewest), draws.most))
    share = 1.0 / np.sqrt(n) if n > 0.5 else 0.0
    usual = np.empty(D)
    for s in range(S):
        usual[:] = draws.level[s] + draws.growth[s] * grown
        v = draws.items[item, s]
        y[0] = 1.0
        base += v[0] + usual[0]
        for a in range(1, D):
            y[a] = v[a]
            base += v[a] * usual[a]
        solve_lower(person.lower[s], y)
        solve_upper(person.lower[s], y)
        drawn = np.zeros(draws.taste.shape[1])
        for f in range(len(drawn)):
            for a in range(D):
                for c in range(D):
                    drawn[f] += y[a] * draws.precision[s, a, c] * draws.lean[s, f, c] * share
        for at in range(len(indices)):
            j = indices[at]
            if j == item:
                continue
            vj = draws.items[j, s]
            reach, level = y[0], vj[0] + usual[0]
            for a in range(1, D):
                reach += y[a] * vj[a]
                level += vj[a] * usual[a]
            weights[at] += draws.alpha[s] * reach
            adds[at] += draws.alpha[s] * reach * (data[at] - level)
            for f in range(len(drawn)):
                adds[at] += drawn[f] * draws.taste[j, f]
    return base / S, weights / S, adds / S
