"""Reelated, as it is in this copy of the repository."""

import numpy as np
import scipy.sparse as sp

import reelated

REQUIRES = ("--editable", "{root}")
MEASURES = {
    "shrinkage": {"shrinkage": 100},
    "min-common": {"min_common": 5},
    "adjusted-cosine": {"similarity": "adjusted-cosine"},
}
"""Fits that are held against our own plain cosine."""


def version():
    """Return the version."""
    return reelated.__version__


def given(X):
    """Return ratings as the estimators take them."""
    rows = sp.csr_array(X)
    rows.has_canonical_format = True
    return rows


def fit(X, n_neighbors, threads, measure=None):
    """Fit; numba takes the number of threads from its variable."""
    return reelated.ItemKNN(n_neighbors=n_neighbors, **MEASURES.get(measure, {})).fit(X)


def neighbors(model):
    """Return the items × items matrix."""
    return model.item_weights_


def recommend_batch(model, X, n, threads):
    """Return row pointers and items of the best `n` of everybody, the seen removed."""
    top = model.recommend(X, n)
    return top.indptr, top.items


def recommend_one(model, row, n):
    """Return the best of one row."""
    return model.recommend(row, n)


def expected(model, rows):
    """Return the scores in plain SciPy: neighbours of the candidate, ratings less the lowest of the scale."""
    above = rows.astype(np.float64)
    above.data -= model.zero_rating
    return (above @ model.item_weights_.T.astype(np.float64)).toarray()
