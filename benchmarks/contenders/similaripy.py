"""similaripy: cosine and dot_product, in C++ with OpenMP."""

from importlib.metadata import version as version_of

import numpy as np
import similaripy

REQUIRES = ("similaripy>=0.7",)
NOTES = "It counts a movie as its own neighbour, so one more neighbour is requested."


def version():
    """Return the version."""
    return version_of("similaripy")


def fit(X, n_neighbors, threads):
    """Fit."""
    by_item = X.T.tocsr()
    return similaripy.cosine(
        by_item, k=n_neighbors + 1, shrink=0, format_output="csr", num_threads=threads, verbose=False
    )


def neighbors(model):
    """Return the items × items matrix."""
    return model


def recommend_batch(model, X, n, threads):
    """Return row pointers and items of the best `n` of everybody, the seen removed."""
    top = similaripy.dot_product(
        X, model.T.tocsr(), k=n, filter_cols=X, format_output="csr", num_threads=threads, verbose=False
    )
    return top.indptr, top.indices


def expected(model, rows):
    """Return the scores in plain SciPy: neighbours of the candidate, the item itself among them."""
    return (rows.astype(np.float64) @ model.T.astype(np.float64)).toarray()
