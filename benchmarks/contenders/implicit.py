"""implicit: CosineRecommender, in C++ with threads of its own."""

import implicit
import numpy as np
from implicit.nearest_neighbours import CosineRecommender

REQUIRES = ("implicit>=0.7.2",)
NOTES = "Sums in float64. It counts a movie as its own neighbour, so one more neighbour is requested."
BATCH = 1000


def version():
    """Return the version."""
    return implicit.__version__


def fit(X, n_neighbors, threads):
    """Fit."""
    model = CosineRecommender(K=n_neighbors + 1, num_threads=threads)
    model.fit(X, show_progress=False)
    return model


def neighbors(model):
    """Return the items × items matrix."""
    return model.similarity


def recommend_batch(model, X, n, threads):
    """Return row pointers and items of the best `n` of everybody, the seen removed, in batches."""
    parts = []
    for start in range(0, X.shape[0], BATCH):
        users = np.arange(start, min(start + BATCH, X.shape[0]))
        items, _ = model.recommend(users, X[users], N=n, filter_already_liked_items=True)
        parts.append(items)
    items = np.concatenate(parts)
    return np.concatenate([[0], np.cumsum((items >= 0).sum(axis=1))]), items[items >= 0]


def recommend_one(model, row, n):
    """Return the best of one row."""
    return model.recommend(0, row, N=n, filter_already_liked_items=True)


def expected(model, rows):
    """Return the scores in plain SciPy: neighbours of what is rated, the item itself among them."""
    return (rows.astype(np.float64) @ model.similarity).toarray()
