"""Reelated, as it is in this copy of the repository: the defaults, and the neighbours for large catalogues."""

import numpy as np

import reelated
from reelated.recommender.fitting import neighbor_ranker

REQUIRES = ("--editable", "{root}")
MODELS = ("Recommender()", "neighbours")


def version():
    """Return the version."""
    return reelated.__version__


def given(X):
    """Return the interactions as a data set; its ids are the indices."""
    users, items = X.nonzero()
    return reelated.Dataset.from_frames({"user_id": users.astype(np.int64), "item_id": items.astype(np.int64)})


def fit(data, model, threads):
    """Fit; numba takes the number of threads from its variable."""
    if model == "Recommender()":
        return reelated.Recommender().fit(data)
    return reelated.Recommender(neighbor_ranker(lowest=1.0), rater=None).fit(data)


def recommend(model, X, users, n):
    """Return the best `n` items of some users, the seen removed, padded with −1."""
    found = np.full((len(users), n), -1)
    places = np.full(X.shape[0], -1)
    places[users] = np.arange(len(users))
    ids = [user for user in users.tolist() if user in model.user_ids]
    for table in model.recommend_batch(n, users=ids):
        found[places[table["user_id"].to_numpy()], table["rank"].to_numpy() - 1] = table["item_id"].to_numpy()
    return found
