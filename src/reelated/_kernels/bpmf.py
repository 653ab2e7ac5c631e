"""BPMF prediction: ratings, variances and contributions, as means over the posterior samples."""

from typing import NamedTuple

import numpy as np

from reelated._kernels.kernel import njit_nogil
from reelated._kernels.posterior import (
    PosteriorState,
    add_moments,
    add_ratings,
    aligned,
    batched_solve_lower,
    batched_solve_upper,
    count_ratings,
    downdate,
    empty_state,
    flat_index,
    inverse_sqrt,
    load_factors,
    log_count,
    n_used_lanes,
    of_group,
    predicted_rating,
    solve,
    workspace_state,
)
from reelated._kernels.simd import LANES, add_dot


class UserPosterior(NamedTuple):
    """A row of ratings, and the user's solved states under all posterior samples."""

    indices: np.ndarray
    data: np.ndarray
    states: PosteriorState


def bpmf_user(indices, data, samples):
    """Return the posterior of the user with one row of ratings."""
    states = empty_state(samples, len(samples.alpha))
    _bpmf_user(samples, indices, data, states)
    return UserPosterior(indices, data, states)


@njit_nogil
def _bpmf_user(samples, indices, data, states):
    count_ratings(samples, indices, states)
    for g in range(len(samples.alpha)):
        state = of_group(states, g)
        add_ratings(samples, g, indices, data, state)
        solve(samples, g, state)


def bpmf_items(user, items, samples):
    """Return predicted ratings of items that are not in the user's row."""
    totals = np.zeros(len(items))
    _bpmf_items(samples, user.states, items, totals)
    return totals / samples.n_samples


@njit_nogil
def _bpmf_items(samples, states, items, totals):
    for g in range(len(samples.alpha)):
        for p in range(len(items)):
            totals[p] += predicted_rating(samples, g, states.mean[g], np.int64(items[p]), states.value)


def bpmf_pairs(start, stop, rows, pairs, samples, with_variance):
    """Return predicted ratings and variances of pairs sorted by row; a pair's own rating is not used.

    A variance is the mean of the variances plus the variance of the means; without `with_variance` it is 0.
    """
    pairs, moments = Pairs(*(column[start:stop] for column in pairs)), np.zeros((3, stop - start))
    # None for the second state selects a kernel without leave-one-out, which compiles in half the time
    state, other = workspace_state(samples), empty_state(samples) if (pairs.held >= 0).any() else None
    _bpmf_pairs(rows, pairs, samples, with_variance, state, other, moments)
    means, squares, variances = moments / samples.n_samples
    if with_variance:
        variances += np.maximum(squares - means**2, 0.0)
    return means, variances


class Pairs(NamedTuple):
    """Pairs of a row and an item, and where the row holds the item; −1 if it does not."""

    users: np.ndarray
    items: np.ndarray
    held: np.ndarray


def find_pairs(rows, users, items):
    """Return the pairs with the positions of their ratings."""
    pairs = Pairs(users, items, np.full(len(items), -1))
    find = _find_pairs.brief if len(rows.indptr) == 2 else _find_pairs
    find(rows, pairs)
    return pairs


@njit_nogil
def _find_pairs(rows, pairs):
    for p in range(len(pairs.held)):
        low, high = rows.indptr[pairs.users[p]], rows.indptr[pairs.users[p] + 1]
        end = high
        while low < high:
            middle = (low + high) >> 1
            if rows.indices[middle] < pairs.items[p]:
                low = middle + 1
            else:
                high = middle
        if low < end and rows.indices[low] == pairs.items[p]:
            pairs.held[p] = low


@njit_nogil
def _bpmf_pairs(rows, pairs, samples, with_variance, state, other, moments):
    first = 0
    while first < len(pairs.held):
        u, last = pairs.users[first], first + 1
        while last < len(pairs.held) and pairs.users[last] == u:
            last += 1
        indices = rows.indices[rows.indptr[u] : rows.indptr[u + 1]]
        data = rows.data[rows.indptr[u] : rows.indptr[u + 1]]
        count_ratings(samples, indices, state)
        for g in range(len(samples.alpha)):
            add_ratings(samples, g, indices, data, state)
            solved = False
            for p in range(first, last):
                i, used, ready = np.int64(pairs.items[p]), state, solved
                if other is not None:
                    if pairs.held[p] >= 0:
                        downdate(samples, g, state, i, rows.data[pairs.held[p]], other)
                        used, ready = other, False
                    else:
                        solved = True
                else:
                    solved = True
                if not ready:
                    solve(samples, g, used)
                add_moments(samples, g, used, i, with_variance, moments, p)
        first = last


def bpmf_rows(start, stop, rows, samples):
    """Return the predicted ratings of all items for some rows; NaN for items in the row."""
    (_, n_items, D, _), n = samples.item_factors.shape, stop - start
    dense = np.zeros((n, n_items))
    _bpmf_rows(start, rows, samples, workspace_state(samples), aligned(n, D), dense)
    return dense


@njit_nogil
def _bpmf_rows(start, rows, samples, state, z, dense):
    n, n_items = dense.shape
    for g in range(len(samples.alpha)):
        for u in range(n):
            begin, end = rows.indptr[start + u], rows.indptr[start + u + 1]
            indices = rows.indices[begin:end]
            count_ratings(samples, indices, state)
            add_ratings(samples, g, indices, rows.data[begin:end], state)
            solve(samples, g, state)
            for a in range(len(state.mean)):
                for lane in range(LANES):
                    z[u, a, lane] = state.mean[a, lane]
        for i in range(n_items):  # outer loop, so that an item's factors are loaded once
            for u in range(n):
                dense[u, i] += predicted_rating(samples, g, z[u], i, state.value)
    for u in range(n):
        for i in range(n_items):
            dense[u, i] /= samples.n_samples
        for p in range(rows.indptr[start + u], rows.indptr[start + u + 1]):
            dense[u, rows.indices[p]] = np.nan


def bpmf_contributions(user, items, samples):
    """Return an average user's predicted rating of items, and the weight and contribution of each rating of the user.

    The row holds none of the items. With `q` an item's factors, `A` the user's precision and `A y = q`, the rating of
    `j` contributes `y · (α q_j (r_j − prior_mean_j) + Λ implicit_slope implicit_factors[j] / √n)`; its weight is
    `α y · q_j`. The first term is the effect of the rating, the second the effect of having rated the item at all.
    """
    shape, n_implicit = (len(items), len(user.indices)), samples.implicit_factors.shape[1]
    base, weights, adds, implicit = (np.zeros(size) for size in (len(items), shape, shape, (len(items), n_implicit)))
    residuals = np.empty((len(user.indices), LANES))
    _bpmf_contributions(samples, *user, items, residuals, implicit, base, weights, adds)
    return base / samples.n_samples, weights / samples.n_samples, adds / samples.n_samples


@njit_nogil
def _bpmf_contributions(samples, indices, data, states, items, residuals, implicit, base, weights, adds):
    for g in range(len(samples.alpha)):
        state = of_group(states, g)
        set_residuals(samples, g, indices, data, state, residuals)
        for k in range(len(items)):
            base[k] += base_rating(samples, g, np.int64(items[k]), state)
            batched_solve_lower(state.factor, state.q)
            batched_solve_upper(state.factor, state.q)
            add_implicit(samples, g, state, implicit[k])
            for p in range(len(indices)):
                weight, add = contribution(samples, g, np.int64(indices[p]), residuals, p, state)
                weights[k, p] += weight
                adds[k, p] += add
    for k in range(len(items)):
        for p in range(len(indices)):
            for f in range(implicit.shape[1]):
                adds[k, p] += implicit[k, f] * samples.implicit_factors[indices[p], f]


@njit_nogil
def set_residuals(samples, g, indices, data, state, residuals):
    """Write each rating minus an average user's rating; afterwards `prior_mean` excludes the implicit term."""
    prior_mean, expected, log_n = state.prior_mean, state.value, log_count(samples, state.n_ratings[0])
    for lane in range(LANES):
        for a in range(len(prior_mean)):
            prior_mean[a, lane] = samples.user_mean[g, a, lane] + samples.activity_slope[g, a, lane] * log_n
    for p in range(len(indices)):
        j = np.int64(indices[p])
        for lane in range(LANES):
            expected[lane] = samples.offsets[g, j, lane] + prior_mean[0, lane]
        begin = flat_index(samples, j, g) + LANES
        add_dot(expected, 0, samples.item_factors, begin, LANES, prior_mean, LANES, len(prior_mean) - 1)
        for lane in range(LANES):
            residuals[p, lane] = data[p] - expected[lane]


@njit_nogil
def base_rating(samples, g, item, state):
    """Return an average user's predicted rating of an item, summed over the samples; `q` then holds its factors."""
    q, total = state.q, 0.0
    load_factors(samples, g, item, q)
    for lane in range(n_used_lanes(samples, g)):
        total += samples.offsets[g, item, lane]
        for a in range(len(q)):
            total += q[a, lane] * state.prior_mean[a, lane]
    return total


@njit_nogil
def contribution(samples, g, j, residuals, p, state):
    """Return the weight of rating `p` and the contribution of its value, summed over the samples; `q` holds `y`."""
    leverage, weights, adds = state.value, 0.0, 0.0
    for lane in range(LANES):
        leverage[lane] = state.q[0, lane]
    begin = flat_index(samples, j, g) + LANES
    add_dot(leverage, 0, samples.item_factors, begin, LANES, state.q, LANES, len(state.q) - 1)
    for lane in range(n_used_lanes(samples, g)):
        weight = samples.alpha[g, lane] * leverage[lane]
        weights += weight
        adds += weight * residuals[p, lane]
    return weights, adds


@njit_nogil
def add_implicit(samples, g, state, implicit):
    """Add the contribution of a unit of each implicit factor, `y · Λ implicit_slope / √n`, summed over the samples."""
    D, pull, scale = len(state.q), state.value, inverse_sqrt(state.n_ratings[0])
    for c in range(D):
        for lane in range(LANES):
            pull[lane] = 0.0
        add_dot(pull, 0, samples.precision, (g * D + c) * D * LANES, LANES, state.q, 0, D)
        for f in range(len(implicit)):
            for lane in range(n_used_lanes(samples, g)):
                implicit[f] += scale * pull[lane] * samples.implicit_slope[g, c, f, lane]
