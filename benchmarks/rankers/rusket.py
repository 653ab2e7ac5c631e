"""rusket: EASE in closed form and neighbours, in Rust."""

from importlib.metadata import version as version_of

import numpy as np
import rusket

REQUIRES = ("rusket>=0.1.101",)
MODELS = ("EASE, l2 150", "cosine, 100 neighbours")
MAX_ITEMS = 20_000
"""The largest matrix of all items: one of 41,000 items takes more than its limit of 8 GB."""


def version():
    """Return the version."""
    return version_of("rusket")


def fit(X, model, threads):
    """Fit; Rayon takes the number of threads from its variable."""
    if model.startswith("EASE"):
        if X.shape[1] > MAX_ITEMS:
            raise ValueError(f"the closed form of {X.shape[1]:,} items does not fit into its 8 GB")
        return rusket.EASE(regularization=150.0).fit(X)
    return rusket.ItemKNN(method="cosine", k=100).fit(X)


def recommend(model, X, users, n):
    """Return the best `n` items of some users, the seen removed, padded with −1."""
    found = np.full((len(users), n), -1)
    for place, user in enumerate(users.tolist()):
        items, _ = model.recommend_items(user, n=n, exclude_seen=True)
        found[place, : len(items)] = items
    return found
