"""Protocols on MovieLens 100K: the official folds, and the split of Microsoft's comparison, ranking items or users."""

import numpy as np

from reelated.evaluation.protocols.protocol import Protocol, ProtocolData, Published
from reelated.evaluation.splits import Split, predefined_folds

SIZE = (100_000, 943, 1682)
SEED, SHARE = 42, 0.75


def microsoft(data: ProtocolData) -> list[Split]:
    """Hide a quarter of each item's ratings, chosen by one random number per line of the file."""
    items = data.table["item_id"].to_numpy()
    order = np.lexsort((np.random.RandomState(SEED).rand(len(items)), items))
    _, starts, counts = np.unique(items[order], return_index=True, return_counts=True)
    ranks = np.arange(len(items)) - np.repeat(starts, counts)
    hidden = np.empty(len(items), np.bool_)
    hidden[order] = ranks >= np.repeat(np.round(SHARE * counts), counts)
    return [data.hide(hidden, f"the last quarter of each item's ratings in a random order, seed {SEED}")]


FOLDS = Protocol(
    name="ml100k-folds",
    data="MovieLens 100K",
    size=SIZE,
    definition=(
        "Each of the five official folds u1 … u5 is hidden once. RMSE and MAE over all hidden ratings of a fold, and "
        "then the mean of the five. If a model cannot predict a rating, the mean training rating is used."
    ),
    source="Harper and Konstan 2015, The MovieLens Datasets; folds in ml-100k.zip.",
    columns={"RMSE": ("rmse", None), "MAE": ("mae", None)},
    published=(
        Published("Surprise KNNBasic, user–user", (0.980, 0.774), "random 5-fold"),
        Published("Surprise KNNBaseline, user–user", (0.931, 0.733), "random 5-fold"),
        Published("Surprise SVD", (0.934, 0.737), "random 5-fold"),
        Published("Surprise SVD++", (0.919, 0.721), "random 5-fold"),
        Published("MyMediaLite ItemKNNPearson", (0.9133, 0.7144), "random 5-fold"),
        Published("MyMediaLite BiasedMF", (0.9076, 0.7172), "random 5-fold"),
        Published("GLocal-K", (0.8889, 0.6950), "u1 alone, best epoch chosen on the test part"),
        Published("myFM, ordered probit", (0.8808, 0.6921), "u1 alone, with attributes and dates"),
    ),
    make_splits=lambda data: predefined_folds(data.source),
)
MICROSOFT = Protocol(
    name="ml100k-microsoft",
    data="MovieLens 100K",
    size=SIZE,
    definition=(
        "Each rating gets a random number, in the order of u.data (NumPy's legacy generator, seed 42). The ratings of "
        "each item are sorted by this number; the first 75 % (rounded) are for training, the others are hidden. Lists "
        "of 10 items, without those rated in training, for all users with a hidden rating. Any hidden rating is a hit. "
        "MAP and recall are divided by the number of hidden ratings; nDCG is binary, its ideal cut at 10."
    ),
    source="Comparison of algorithms in the README of Microsoft's recommenders (recommenders-team/recommenders), 2025.",
    columns={
        "MAP": ("map@10", "any"),
        "nDCG@10": ("ndcg@10", "any"),
        "P@10": ("precision@10", "any"),
        "R@10": ("recall@10", "any"),
        "nDCG@10, liked": ("ndcg@10", "liked"),
    },
    published=(
        Published("BiVAE", (0.1461, 0.4751, 0.4118, 0.2191, None)),
        Published("BPR", (0.1325, 0.4420, 0.3882, 0.2125, None)),
        Published("LightGCN", (0.0885, 0.4198, 0.3796, 0.1443, None)),
        Published("NCF", (0.1077, 0.3961, 0.3473, 0.1808, None)),
        Published("SAR, item–item Jaccard", (0.1106, 0.3825, 0.3308, 0.1764, None)),
        Published("SVD (Surprise)", (0.0129, 0.0959, 0.0912, 0.0328, None)),
        Published("ALS (Spark)", (0.0047, 0.0442, 0.0485, 0.0178, None)),
    ),
    make_splits=microsoft,
)
AUDIENCE = Protocol(
    name="ml100k-audience",
    data="MovieLens 100K",
    size=SIZE,
    definition=(
        "The split of ml100k-microsoft, ranking users: for each item with a hidden rating, a list of 10 of the users "
        "who have not rated it in training. Hits are its hidden raters. nDCG is binary, its ideal cut at 10; places: "
        "the share of all places that the ten most listed users hold."
    ),
    source="Reelated; there are no published figures.",
    columns={
        "nDCG@10": ("ndcg@10", "any"),
        "nDCG@10, liked": ("ndcg@10", "liked"),
        "places of ten users": ("top10_share", None),
    },
    published=(),
    make_splits=microsoft,
    target="users",
)
