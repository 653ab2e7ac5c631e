"""sparse_dot_topn: the product of two sparse matrices that keeps the largest of each row, in C++ with OpenMP."""

from importlib.metadata import version as version_of

import numpy as np
import scipy.sparse as sp
from sparse_dot_topn import sp_matmul_topn

REQUIRES = ("sparse-dot-topn>=1.1", "scipy")
NOTES = (
    "It counts a movie as its own neighbour, so one more neighbour is requested. "
    "Its lists include rated items, so their time is in brackets."
)
KEEPS_SEEN = True


def version():
    """Return the version."""
    return version_of("sparse-dot-topn")


def fit(X, n_neighbors, threads):
    """Fit: norms first, for it knows the product only."""
    squares = np.bincount(X.indices, weights=np.square(X.data, dtype=np.float64), minlength=X.shape[1])
    inverse = np.divide(1, np.sqrt(squares), out=np.zeros(X.shape[1]), where=squares > 0).astype(X.dtype)
    unit = sp.csr_matrix((X.data * inverse[X.indices], X.indices, X.indptr), shape=X.shape)
    return sp_matmul_topn(unit.T.tocsr(), unit, top_n=n_neighbors + 1, n_threads=threads)


def neighbors(model):
    """Return the items × items matrix."""
    return model


def recommend_batch(model, X, n, threads):
    """Return row pointers and items of the best `n` of everybody, seen or not."""
    top = sp_matmul_topn(X, model.T.tocsr(), top_n=n, n_threads=threads)
    return top.indptr, top.indices


def expected(model, rows):
    """Return the scores in plain SciPy: neighbours of the candidate, the item itself among them."""
    return (rows.astype(np.float64) @ model.T.astype(np.float64)).toarray()
