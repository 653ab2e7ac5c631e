"""The oracle: the formulas in dense numpy and plain loops; it imports nothing from reelated.

`R` is always a dense users × items matrix of ratings with NaN for "not rated", so that a zero can be a rating. `S` is
dense items × items, 0 for "no neighbour"; row `i` holds the items that predict `i`.
"""

import math

import numpy as np
import scipy.sparse as sp

HAS_OFFSETS = ("adjusted-cosine", "pearson", "residual-cosine", "residual-pearson")


# ------------------------------------------------------------------------------------------------------- matrices
def as_csr(R):
    """Store exactly the ratings, including zeros."""
    users, items = np.nonzero(~np.isnan(R))
    return sp.csr_array(sp.coo_array((R[users, items].astype(np.float32), (users, items)), shape=R.shape))


def as_dense(X):
    """Return a dense matrix with NaN for missing ratings."""
    R = np.full(X.shape, np.nan)
    X = sp.coo_array(X)
    for user, item, rating in zip(*X.coords, X.data, strict=True):
        R[user, item] = rating
    return R


def rated(row):
    """Return the rated items of one row."""
    return [i for i in range(len(row)) if not math.isnan(row[i])]


# --------------------------------------------------------------------------------- what a rating is measured against
def baseline(R, reg_user=12.0, reg_item=1.0, rounds=10):
    """Return μ and b_i of μ + b_i + b_u, computed alternately: items, then users."""
    n_users, n_items = R.shape
    pairs = [(u, i) for u in range(n_users) for i in rated(R[u])]
    mean = sum(R[u, i] for u, i in pairs) / len(pairs) if pairs else 0.0
    of_item, of_user = np.zeros(n_items), np.zeros(n_users)
    for _ in range(rounds):
        for i in range(n_items):
            beyond = [R[u, i] - mean - of_user[u] for u in range(n_users) if not math.isnan(R[u, i])]
            of_item[i] = sum(beyond) / (reg_item + len(beyond)) if beyond else 0.0
        for u in range(n_users):
            beyond = [R[u, i] - mean - of_item[i] for i in rated(R[u])]
            of_user[u] = sum(beyond) / (reg_user + len(beyond)) if beyond else 0.0
    return mean, of_item


def item_offsets(R, similarity):
    """Return the item offsets; NaN for the mean of an unrated item."""
    if similarity in ("residual-cosine", "residual-pearson"):
        mean, of_item = baseline(R)
        return mean + of_item
    if similarity == "pearson":
        columns = [[r for r in column if not math.isnan(r)] for column in R.T]
        return np.array([sum(column) / len(column) if column else math.nan for column in columns])
    return np.zeros(R.shape[1])


def user_offset(row, offsets, similarity):
    """Return the user's part of the offset: the mean of their ratings, or their regularised bias."""
    beyond = [row[i] - offsets[i] for i in rated(row)]
    if similarity == "adjusted-cosine":
        return sum(beyond) / len(beyond) if beyond else math.nan
    if similarity in ("residual-cosine", "residual-pearson"):
        return sum(beyond) / (12 + len(beyond))
    return 0.0


def residuals(R, similarity):
    """Return the ratings minus their offsets, NaN for missing ratings."""
    offsets = item_offsets(R, similarity)
    V = np.full(R.shape, np.nan)
    for u, row in enumerate(R):
        mine = user_offset(row, offsets, similarity)
        for i in rated(row):
            V[u, i] = row[i] - (offsets[i] + mine)
    return V


def weighted(R, weighting):
    """Weight ratings with items as documents and users as terms."""
    n_users, n_items = R.shape
    V = np.full(R.shape, np.nan)
    lengths = [sum(r for r in column if not math.isnan(r)) for column in R.T]
    usual = sum(lengths) / n_items
    for u in range(n_users):
        seen = len(rated(R[u]))
        for i in rated(R[u]):
            r = R[u, i]
            if weighting == "tf-idf":
                V[u, i] = r * (math.log((1 + n_items) / (1 + seen)) + 1)
            else:
                k, b = 1.2, 0.75
                length = lengths[i] / usual if usual > 0 else 0.0
                idf = math.log(1 + (n_items - seen + 0.5) / (seen + 0.5))
                V[u, i] = r * (k + 1) / (r + k * (1 - b + b * length)) * idf
    return V


def degree_factors(R, exponent, axis):
    """Return (n / mean n)^-exponent of the rows (axis 1) or columns (axis 0); the mean is over those with ratings."""
    degrees = (~np.isnan(R)).sum(axis=axis)
    mean = degrees[degrees > 0].mean() if degrees.any() else 1.0
    return np.array([(max(degree, 1) / mean) ** -exponent for degree in degrees])


# ------------------------------------------------------------------------------------------------------ similarity
def item_similarity(
    R,
    similarity="cosine",
    weighting=None,
    shrinkage=0.0,
    damping=0.0,
    min_common=1,
    positive_only=True,
    n_neighbors=None,
):
    """Return S and the numbers of common raters by the formulas."""
    V = R
    if similarity in HAS_OFFSETS:
        V = residuals(R, similarity)
    elif weighting is not None:
        V = weighted(R, weighting)
    S, common = np.zeros((R.shape[1], R.shape[1])), common_raters(R)
    for i in range(R.shape[1]):
        for j in range(R.shape[1]):
            if i != j and common[i, j] >= min_common:
                measure = {"jaccard": jaccard, "residual-pearson": correlation}.get(similarity, cosine)
                s = measure(V[:, i], V[:, j], damping)
                s *= common[i, j] / (common[i, j] + shrinkage)
                S[i, j] = max(s, 0.0) if positive_only else s
    return nearest(S, n_neighbors), common


def common_raters(R):
    """Count the users who rated both items."""
    known = ~np.isnan(R)
    return np.array([[int(np.sum(a & b)) for b in known.T] for a in known.T])


def cosine(a, b, damping=0.0):
    """Return the cosine of two columns, zero where not rated."""
    a, b = np.nan_to_num(a), np.nan_to_num(b)
    below = math.sqrt(sum(a * a)) * math.sqrt(sum(b * b)) + damping
    return sum(a * b) / below if below > 0 else 0.0


def correlation(a, b, damping=0.0):
    """Return Pearson's correlation over the common raters; 0 if a variance is no larger than rounding error."""
    both = ~np.isnan(a) & ~np.isnan(b)
    a, b = a[both], b[both]
    if not len(a) or any(sum((x - x.mean()) ** 2) <= 1e-5 * sum(x**2) for x in (a, b)):
        return 0.0
    a, b = a - a.mean(), b - b.mean()
    return sum(a * b) / (math.sqrt(sum(a * a)) * math.sqrt(sum(b * b)) + damping)


def jaccard(a, b, damping=0.0):
    """Return the number of common raters divided by the number of users who rated either item."""
    a, b = ~np.isnan(a), ~np.isnan(b)
    return sum(a & b) / (sum(a | b) + damping)


def nearest(S, n_neighbors):
    """Keep the strongest of each row, ties in ascending index."""
    kept = np.zeros_like(S)
    for i, row in enumerate(S):
        order = sorted(np.flatnonzero(row), key=lambda j: (-abs(row[j]), j))
        for j in order[:n_neighbors]:
            kept[i, j] = row[j]
    return kept


# ---------------------------------------------------------------------------------------------------------- scores
def neighbours_of(row, S, i, max_neighbors_used=None):
    """Return the rated neighbours used for an item, ascending: the strongest, ties in ascending index."""
    strongest_first = sorted((j for j in rated(row) if S[i, j] != 0), key=lambda j: (-abs(S[i, j]), j))
    return sorted(strongest_first[:max_neighbors_used])


def relevance(row, S, i, low, max_neighbors_used=None):
    """Return Σ_j s_ij (r_j − low) over the rated neighbours, NaN without any."""
    neighbours = neighbours_of(row, S, i, max_neighbors_used)
    return sum(S[i, j] * (row[j] - low) for j in neighbours) if neighbours else math.nan


def lowest(scale):
    """Return the rating of weight 0: the lowest of the scale, or 0 if the scale has one value."""
    return scale[0] if scale[1] > scale[0] else 0.0


def unclipped(row, S, i, offsets, mine, falls_back, prior=0.0, max_neighbors_used=None):
    """Return o_i + Σ_j s_ij (r_j − o_j) / (Σ_j |s_ij| + prior)."""
    neighbours = neighbours_of(row, S, i, max_neighbors_used)
    if not neighbours:
        return offsets[i] + mine if falls_back else math.nan
    top = sum(S[i, j] * (row[j] - (offsets[j] + mine)) for j in neighbours)
    return offsets[i] + mine + top / (sum(abs(S[i, j]) for j in neighbours) + prior)


def shown(values, scale):
    """Clip predicted ratings to the scale."""
    low, high = scale
    return np.array([[value if math.isnan(value) else min(max(value, low), high) for value in row] for row in values])


def scores(R, S, by, scale, similarity="cosine", offsets=None, prior=0.0, max_neighbors_used=None):
    """Return one of the two numbers for every row and item, as lists are sorted by it: with six decimals, unclipped."""
    table = np.full(R.shape, np.nan)
    for u, row in enumerate(R):
        for i in range(R.shape[1]):
            if by == "score":
                table[u, i] = relevance(row, S, i, lowest(scale), max_neighbors_used)
            else:
                mine = user_offset(row, offsets, similarity)
                falls_back = similarity in HAS_OFFSETS
                table[u, i] = round(unclipped(row, S, i, offsets, mine, falls_back, prior, max_neighbors_used), 6)
    return table


def support(R, S, max_neighbors_used=None):
    """Return the number of rated neighbours used for every row and item."""
    return np.array([[len(neighbours_of(row, S, i, max_neighbors_used)) for i in range(R.shape[1])] for row in R])


def weighted_averages(R, S):
    """Return Σ_j s_ij r_uj / Σ_j |s_ij| for all users at once, by matrix products."""
    known = ~np.isnan(R)
    weight = known.astype(float) @ np.abs(S).T
    with np.errstate(invalid="ignore"):
        return np.where(weight > 0, np.nan_to_num(R) @ S.T / weight, np.nan)


# ----------------------------------------------------------------------------------------------------------- lists
def top_n(scores, n, absent=()):
    """Return the items with the highest numbers, descending, ties ascending; NaN and absent items are left out."""
    left = [i for i in range(len(scores)) if not math.isnan(scores[i]) and i not in set(absent)]
    return sorted(left, key=lambda i: (-scores[i], i))[:n]


def explanation(row, S, i, low):
    """Return the contribution of each rated neighbour of an item to the score."""
    return {j: S[i, j] * (row[j] - low) for j in rated(row) if S[i, j] != 0}


# ----------------------------------------------------------------------------------------------------- ridge weights
def worth(R, scale, min_weight):
    """Return the weights of ratings: 1 for the highest, linear down to the lowest; 0 for missing ratings."""
    low, high = scale
    share = (R - low) / (high - low) if high > low else np.where(np.isnan(R), np.nan, 1.0)
    return np.nan_to_num(min_weight + (1 - min_weight) * share)


def ease_values(R, model, side_info=None, scale=None):
    """Return what an `EASE` is fitted to: rating weights, normalised by user, and attributes of the items as rows."""
    V = worth(R, scale or model.scale_, model.min_weight) * degree_factors(R, model.user_normalization, axis=1)[:, None]
    return V if side_info is None else np.vstack([V, side_info])


def ease_weights(R, model, side_info=None, scale=None):
    """Return the item weights of an `EASE`, normalised by item."""
    W = ridge_weights(ease_values(R, model, side_info, scale), model.l2, model.dropout, model.n_candidates)
    return W * degree_factors(R, model.item_normalization, axis=0)[:, None]


def ridge_weights(V, l2, dropout, near=None):
    """Regress each column on the `near` columns with the highest positive cosine, or on all others.

    Ties of the cosine are resolved by ascending column.
    """
    n_items, S = V.shape[1], np.zeros((V.shape[1], V.shape[1]))
    for i in range(n_items):
        others = [j for j in range(n_items) if j != i]
        if near is not None:
            alike = {j: round(cosine(V[:, i], V[:, j]), 9) for j in others}  # equal ones may differ by rounding
            others = sorted((j for j in others if alike[j] > 0), key=lambda j: (-alike[j], j))[:near]
        if others:
            A = V[:, others]
            ridge = [l2 + dropout / (1 - dropout) * sum(column**2) for column in A.T]
            S[i, others] = np.linalg.solve(A.T @ A + np.diag(ridge), A.T @ V[:, i])
    return S


def hardly_apart(V, near):
    """Return whether the cosines of a column's last candidate and the next differ by rounding only.

    Identical columns do not count: their rounding is the same, and the first is used.
    """
    for i in range(V.shape[1] if near is not None else 0):
        alike = sorted(((cosine(V[:, i], V[:, j]), j) for j in range(V.shape[1]) if j != i), reverse=True)
        for (one, a), (other, b) in zip(alike[near - 1 : near], alike[near : near + 1], strict=False):
            if one > 0 and abs(one - other) < 1e-9 and (V[:, a] != V[:, b]).any():
                return True
    return False


def known_of_items(genres, years):
    """Return the attributes of items, one row for each: genres, and splines of the year with knots at its quintiles."""
    rows = [[float(name in have) for have in genres] for name in sorted({name for have in genres for name in have})]
    known = [year for year in years if year is not None]
    parting = sorted({float(np.quantile(known, share / 5)) for share in range(6)}) if known else []
    for at, here in enumerate(parting):
        row = []
        for year in years:
            share = 0.0
            if year == here:
                share = 1.0
            elif year is not None and year < here and year > parting[at - 1]:
                share = (year - parting[at - 1]) / (here - parting[at - 1])
            elif year is not None and year > here and year < parting[at + 1]:
                share = (parting[at + 1] - year) / (parting[at + 1] - here)
            row.append(share)
        rows.append(row)
    return np.array(rows).reshape(-1, len(genres))


# --------------------------------------------------------------------------------------------- a BPMF over items
def usual_people(row, model, s):
    """Return the prior mean of `(b, z)` of a user, given the rated items and their number, in one posterior sample."""
    seen = rated(row)
    count = min(max(len(seen), model["counts"][0]), model["counts"][1])
    mean = model["level"][:, s] + model["growth"][:, s] * math.log(count)
    for j in seen:
        mean = mean + model["taste"][j] / math.sqrt(len(seen)) @ model["lean"][:, :, s]
    return mean


def conditional(row, i, model):
    """Return the mean, the variance and the weights of one rating, conditional on the others of the row.

    Each posterior sample is a Gaussian over all items with mean `a + Q m`, covariance `Q Λ⁻¹ Qᵀ` for `Q = (1, v)`, and
    noise. It is conditioned on the given ratings by the textbook formula, from the covariance of the rated items.
    """
    row = np.where(np.arange(len(row)) == i, np.nan, row)
    seen = rated(row)
    means, variances, weights = [], [], []
    for s in range(len(model["alpha"])):
        V = model["items"][:, :, s].astype(float)
        Q = np.column_stack([np.ones(len(V)), V[:, 1:]])
        mean = V[:, 0] + Q @ usual_people(row, model, s)
        K, noise = Q @ np.linalg.inv(model["precision"][:, :, s]) @ Q.T, 1 / model["alpha"][s]
        w = np.linalg.solve(K[np.ix_(seen, seen)] + noise * np.eye(len(seen)), K[seen, i]) if seen else np.zeros(0)
        means.append(mean[i] + w @ (row[seen] - mean[seen]))
        variances.append(K[i, i] - w @ K[seen, i] + noise)
        weights.append(w)
    return np.mean(means), np.mean(variances) + np.var(means), np.mean(weights, axis=0)
