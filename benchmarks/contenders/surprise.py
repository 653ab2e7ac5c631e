"""Surprise: KNNBasic between items, in Cython on one thread."""

import numpy as np
from surprise import KNNBasic, Trainset, __version__

REQUIRES = ("scikit-surprise>=1.1.4", "scipy")
REFERENCE = None
NOTES = (
    "A different cosine, over the common raters only, for all pairs and in float64, without a selection of neighbours. "
    "One thread."
)
MOST_ITEMS = 6_000


def version():
    """Return the version."""
    return __version__


def refuses(X):
    """Say why a matrix is too large: it builds five dense items × items arrays."""
    if X.shape[1] > MOST_ITEMS:
        return f"needs five dense arrays of {X.shape[1]:,} × {X.shape[1]:,}, {5 * 8 * X.shape[1] ** 2 / 1e9:.0f} GB"
    return None


def given(X):
    """Return ratings as it takes them: a Trainset."""
    users, items = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr)), X.indices
    by_user, by_item = {u: [] for u in range(X.shape[0])}, {i: [] for i in range(X.shape[1])}
    for u, i, rating in zip(users.tolist(), items.tolist(), X.data.tolist(), strict=True):
        by_user[u].append((i, rating))
        by_item[i].append((u, rating))
    scale = float(X.data.min()), float(X.data.max())
    return Trainset(by_user, by_item, *X.shape, X.nnz, scale, {u: u for u in by_user}, {i: i for i in by_item})


def fit(X, n_neighbors, threads):
    """Fit."""
    return KNNBasic(k=n_neighbors, sim_options={"name": "cosine", "user_based": False}, verbose=False).fit(X)
