"""Every model and similarity measure on the official folds of MovieLens 100K: how well it predicts, ranks and spreads.

python benchmarks/measures.py ml-100k.zip > docs/measures.md

All figures are means over u1 … u5. RMSE and MAE measure the predicted ratings; if a model has no prediction, the mean
of the training ratings is used. nDCG@10 measures the model's top ten of the movies without a training rating of the
user. A hit is a movie with a test rating ("any"), or with a test rating of 4 or 5 ("liked"); users without such a
rating are left out. "Audience" takes a list of ten users for each movie, sorted by the same number: it is the share of
all places that the ten most listed users hold. These are single models: ageing of ratings, adjusted score, and genres
and years are part of `Recommender` only.
"""

import platform
import sys
from datetime import date

import numba
import numpy as np

from reelated.data import folds
from reelated.models import BPMF, EASE, ItemKNN, Popularity
from reelated.recommender import textbook

DISCOUNT = 1 / np.log2(np.arange(2, 12))
MEASURES = {
    "the recipe": (textbook().rater, "rating"),
    "most rated": (Popularity(), "score"),
    "EASE (default order)": (EASE(), "score"),
    "BPMF, ids only (default ratings)": (BPMF(), "rating"),
    "cosine": (ItemKNN(n_neighbors=200), "score"),
    "cosine, shrinkage 10": (ItemKNN(n_neighbors=200, shrinkage=10), "score"),
    "cosine of tf-idf": (ItemKNN(n_neighbors=200, weighting="tf-idf"), "score"),
    "cosine of tf-idf, shrinkage 10 (default order of large data)": (
        ItemKNN(n_neighbors=200, weighting="tf-idf", shrinkage=10),
        "score",
    ),
    "cosine of BM25": (ItemKNN(n_neighbors=200, weighting="bm25"), "score"),
    "Jaccard": (ItemKNN("jaccard", n_neighbors=200), "score"),
    "adjusted cosine, shrinkage 100": (ItemKNN("adjusted-cosine", n_neighbors=200, shrinkage=100), "score"),
    "Pearson, shrinkage 100": (ItemKNN("pearson", n_neighbors=200, shrinkage=100), "score"),
    "residual Pearson, shrinkage 100": (ItemKNN("residual-pearson", n_neighbors=200, shrinkage=100), "score"),
    "residual cosine, shrinkage 100": (ItemKNN("residual-cosine", n_neighbors=200, shrinkage=100), "score"),
    "the same, 30 nearest used, prior weight 0.05 (default ratings of large data)": (
        ItemKNN("residual-cosine", n_neighbors=200, max_neighbors_used=30, shrinkage=100, prior_weight=0.05),
        "score",
    ),
}


def measured(model, by, parts):
    """Return the five figures of one measure on one fold."""
    X, users, items, ratings = parts
    model.fit(X)
    mean = float(X.data.mean())
    known = items >= 0
    predicted = np.full(len(items), mean)
    predicted[known] = np.nan_to_num(model.predict_pairs(X, users[known], items[known]), nan=mean)
    gaps = predicted - ratings
    errors = np.sqrt(np.mean(gaps**2)), np.mean(np.abs(gaps))
    if isinstance(model, BPMF):  # it does not rank
        return *errors, np.nan, np.nan, np.nan
    top = model.recommend(X, 10, by=by)
    listed = [top.row(u)[0] for u in range(X.shape[0])]
    any_, liked = (ndcg(listed, users[known & chosen], items[known & chosen]) for chosen in (ratings > 0, ratings >= 4))
    return *errors, any_, liked, top10_share(model, X, by)


def ndcg(listed, users, items):
    """Return the mean nDCG@10 of users with a hit."""
    gains = []
    for u in np.unique(users):
        hits = set(items[users == u].tolist())
        found = [DISCOUNT[rank] for rank, item in enumerate(listed[u]) if int(item) in hits]
        gains.append(sum(found) / DISCOUNT[: len(hits)].sum())
    return np.mean(gains)


def top10_share(model, X, by):
    """Return the share of all audience places that the ten most listed users hold."""
    scorer = model.scorer(X, by=by)
    columns, every = scorer.columns(), []
    for item in range(X.shape[1]):
        numbers, _ = scorer.users(item, columns)
        numbers[columns.indices[slice(*columns.indptr[item : item + 2])]] = np.nan  # who has rated it
        every.append(np.argsort(-numbers, kind="stable")[: min(10, np.isfinite(numbers).sum())])
    places = np.sort(np.bincount(np.concatenate(every), minlength=X.shape[0]))[::-1]
    return places[:10].sum() / places.sum()


def main(source):
    """Print the page."""
    parts = []
    for train, test in folds(source):
        ids = train.ratings
        users, items = ids.user_ids.indices_of(test["user_id"]), ids.item_ids.indices_of(test["item_id"])
        parts.append((ids.matrix, users, items, test["rating"].to_numpy()))
    print("# Models and measures compared\n")
    print(" ".join(__doc__.split("\n\n", 2)[2].split()) + "\n")
    machine = f"{platform.machine()}, {numba.get_num_threads()} threads"
    print(f"Made by `benchmarks/measures.py` on {date.today()}, {machine}.\n")
    print("| model | RMSE | MAE | nDCG@10 any | nDCG@10 liked | audience: share of ten users |")
    print("|---|---|---|---|---|---|")
    for name, (model, by) in MEASURES.items():
        figures = np.mean([measured(model, by, part) for part in parts], axis=0)
        texts = [f"{figure:.3f}" for figure in figures[:4]] + [f"{figures[4]:.0%}"]
        print(f"| {name} | {' | '.join(text.replace('nan%', '–').replace('nan', '–') for text in texts)} |", flush=True)
    print("\nThe recipe is sorted by predicted rating; BPMF makes no lists; all other models are sorted by score. The")
    print("settings of the defaults were chosen in advance, on parts of the training data.")


if __name__ == "__main__":
    main(sys.argv[1])
