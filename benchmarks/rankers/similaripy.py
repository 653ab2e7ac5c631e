"""similaripy: cosine, in C++ with OpenMP."""

from importlib.metadata import version as version_of

import numpy as np
import similaripy

REQUIRES = ("similaripy>=0.7",)
MODELS = ("cosine, 100 neighbours",)


def version():
    """Return the version."""
    return version_of("similaripy")


def fit(X, model, threads):
    """Fit, and return the weights of the items of a row; an item counts as its own neighbour."""
    return similaripy.cosine(X.T.tocsr(), k=101, format_output="csr", num_threads=threads, verbose=False).T.tocsr()


def recommend(model, X, users, n):
    """Return the best `n` items of some users, the seen removed, padded with −1."""
    rows = X[users]
    top = similaripy.dot_product(rows, model, k=n, filter_cols=rows, format_output="csr", verbose=False)
    found = np.full((len(users), n), -1)
    for place, (start, stop) in enumerate(zip(top.indptr, top.indptr[1:], strict=False)):
        best = np.argsort(-top.data[start:stop], kind="stable")
        found[place, : stop - start] = top.indices[start:stop][best]
    return found
