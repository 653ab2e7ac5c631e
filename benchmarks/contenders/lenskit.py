"""LensKit: ItemKNNScorer, in Rust."""

from importlib.metadata import version as version_of

import numpy as np
import pandas as pd
from lenskit.data import from_interactions_df
from lenskit.knn import ItemKNNScorer

REQUIRES = ("lenskit>=2025.6",)
REFERENCE = "binary"
NOTES = "It centres explicit ratings, so the ratings are declared implicit: the cosine is that of the 0/1 matrix."


def version():
    """Return the version."""
    return version_of("lenskit")


def given(X):
    """Return ratings as it takes them: a Dataset."""
    users = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
    table = pd.DataFrame({"user_id": users, "item_id": X.indices, "rating": X.data})
    return from_interactions_df(table, users=np.arange(X.shape[0]), items=np.arange(X.shape[1]))


def fit(X, n_neighbors, threads):
    """Fit; it takes the number of threads from its variable."""
    scorer = ItemKNNScorer(save_nbrs=n_neighbors, feedback="implicit")
    scorer.train(X)
    return scorer


def neighbors(model):
    """Return the items × items matrix."""
    return model.sim_matrix.to_scipy().tocsr()
