"""implicit: neighbours by cosine and BM25, and ALS, with the defaults but for the number of neighbours."""

import implicit
import numpy as np
from implicit.als import AlternatingLeastSquares
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender

REQUIRES = ("implicit>=0.7.2",)
MODELS = ("cosine, 100 neighbours", "BM25, 100 neighbours", "ALS, 64 factors")


def version():
    """Return the version."""
    return implicit.__version__


def fit(X, model, threads):
    """Fit."""
    made = {
        "cosine, 100 neighbours": lambda: CosineRecommender(K=101, num_threads=threads),  # an item is its own neighbour
        "BM25, 100 neighbours": lambda: BM25Recommender(K=101, num_threads=threads),
        "ALS, 64 factors": lambda: AlternatingLeastSquares(factors=64, num_threads=threads, random_state=0),
    }[model]()
    made.fit(X, show_progress=False)
    return made


def recommend(model, X, users, n):
    """Return the best `n` items of some users, the seen removed."""
    parts = np.array_split(users, max(1, len(users) // 1000))
    return np.concatenate([model.recommend(part, X[part], N=n, filter_already_liked_items=True)[0] for part in parts])
