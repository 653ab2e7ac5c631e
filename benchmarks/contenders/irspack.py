"""irspack: CosineKNNRecommender, in C++ with threads of its own."""

from importlib.metadata import version as version_of

import numpy as np
import scipy.sparse as sp
from irspack import CosineKNNRecommender
from irspack.utils.id_mapping import retrieve_recommend_from_score

REQUIRES = ("irspack>=0.4",)
NOTES = (
    "Sums in float64. It counts a movie as its own neighbour, so one more neighbour is requested. "
    "It computes scores in dense blocks."
)
BATCH = 1000


def version():
    """Return the version."""
    return version_of("irspack")


def given(X):
    """Return ratings as it takes them: float64."""
    return sp.csr_matrix(X, dtype=np.float64)


def fit(X, n_neighbors, threads):
    """Fit."""
    return CosineKNNRecommender(X, normalize=True, top_k=n_neighbors + 1, n_threads=threads).learn()


def neighbors(model):
    """Return the items × items matrix."""
    return model.W.tocsr()


def recommend_batch(model, X, n, threads):
    """Return row pointers and items of the best `n` of everybody, the seen removed, in batches."""
    lists = []
    for start in range(0, X.shape[0], BATCH):
        scores = model.get_score_remove_seen_block(start, min(start + BATCH, X.shape[0]))
        lists.extend(retrieve_recommend_from_score(np.ascontiguousarray(scores), [], n, threads))
    indptr = np.concatenate([[0], np.cumsum([len(best) for best in lists])])
    return indptr, np.array([item for best in lists for item, _ in best])


def expected(model, rows):
    """Return the scores in plain SciPy: neighbours of what is rated."""
    return (rows.astype(np.float64) @ model.W).toarray()
