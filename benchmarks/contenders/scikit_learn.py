"""scikit-learn: the full cosine_similarity, and the largest of each row by NumPy."""

import numpy as np
import scipy.sparse as sp
import sklearn
from sklearn.metrics.pairwise import cosine_similarity

REQUIRES = ("scikit-learn>=1.6",)
NOTES = "It computes the full dense matrix, then selects the largest values of each row. One thread."
MOST_ITEMS = 12_000


def version():
    """Return the version."""
    return sklearn.__version__


def refuses(X):
    """Say why a matrix is too large: it builds the whole product, sparse and then dense."""
    if X.shape[1] > MOST_ITEMS:
        return f"builds all {X.shape[1]:,} × {X.shape[1]:,} similarities, twice"
    return None


def fit(X, n_neighbors, threads):
    """Fit."""
    every = cosine_similarity(X.T.tocsr(), dense_output=True)
    np.fill_diagonal(every, 0)
    n = min(n_neighbors, len(every) - 1)
    kept = np.sort(np.argpartition(-every, n - 1, axis=1)[:, :n], axis=1)
    values = np.take_along_axis(every, kept, axis=1)
    found = sp.csr_matrix((values.ravel(), kept.ravel(), np.arange(len(every) + 1) * n), shape=every.shape)
    found.eliminate_zeros()
    return found


def neighbors(model):
    """Return the items × items matrix."""
    return model
