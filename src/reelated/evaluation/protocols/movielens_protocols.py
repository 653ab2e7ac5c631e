"""Protocols on MovieLens 100K, 1M and 20M: folds, and the splits of Microsoft, NCF, ∞-AE and Liang et al."""

from dataclasses import replace

import numpy as np
import polars as pl

from reelated.errors import InputError
from reelated.evaluation.protocols.protocol import Protocol, ProtocolData, Published, read_text
from reelated.evaluation.splits import Split, predefined_folds, random_folds

# ------------------------------------------------------------------------------------------------------ MovieLens 100K
ML_100K = (100_000, 943, 1682)
_SEED, _TRAINING = 42, 0.75  # of Microsoft's split


def microsoft(data: ProtocolData) -> list[Split]:
    """Hide a quarter of each item's ratings, chosen by one random number per line of the file."""
    items = data.table["item_id"].to_numpy()
    order = np.lexsort((np.random.RandomState(_SEED).rand(len(items)), items))
    _, starts, counts = np.unique(items[order], return_index=True, return_counts=True)
    ranks = np.arange(len(items)) - np.repeat(starts, counts)
    hidden = np.empty(len(items), np.bool_)
    hidden[order] = ranks >= np.repeat(np.round(_TRAINING * counts), counts)
    return [data.hide(hidden, f"the last quarter of each item's ratings in a random order, seed {_SEED}")]


FOLDS = Protocol(
    name="ml100k-folds",
    data="MovieLens 100K",
    size=ML_100K,
    definition=(
        "Each of the five official folds u1 … u5 is hidden once. RMSE and MAE are computed over all hidden ratings "
        "of a fold, and averaged over the five folds. If a model cannot predict a rating, the mean training rating is "
        "used."
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
    size=ML_100K,
    definition=(
        "Each rating gets a random number, in the order of u.data (NumPy's legacy generator, seed 42). The ratings of "
        "each item are sorted by this number; the first 75 % (rounded) are for training, the others are hidden. Lists "
        "of 10 items, without those rated in training, for all users with a hidden rating. Any hidden rating is a hit. "
        "MAP and recall are divided by the number of hidden ratings; nDCG is binary, with the ideal list cut at 10."
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
    size=ML_100K,
    definition=(
        "The split of ml100k-microsoft, ranking users: for each item with a hidden rating, a list of 10 of the users "
        "who have not rated it in training. Hits are its hidden raters. nDCG is binary, with the ideal list cut at 10; "
        "places: the share of all places that the ten most listed users hold."
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


# -------------------------------------------------------------------------------------------------------- MovieLens 1M
ML_1M = (1_000_209, 6_040, 3_706)
NCF_FILES = "https://github.com/hexiangnan/neural_collaborative_filtering, folder Data"
INFINITE_FILES = "https://github.com/noveens/infinite_ae_cf, folder data"
FOLDS_SEED = 0


def ncf(data: ProtocolData) -> list[Split]:
    """Hide the rating of each user that is in the test file, and rank its item among the 99 sampled items there."""
    # the split's files number users and items as they first appear in the ratings file
    users, items = (data.table[name].unique(maintain_order=True) for name in ("user_id", "item_id"))
    rows = [line.split("\t") for line in read_text(data.file("*test.rating", NCF_FILES)).splitlines()]
    sampled = [line.split("\t") for line in read_text(data.file("*test.negative*", NCF_FILES)).splitlines()]
    try:
        tested = np.array([[int(row[0]), int(row[1])] for row in rows])
        others = np.array([[int(number) for number in row[1:]] for row in sampled])
        ranked = np.concatenate([tested[:, 1:], others], axis=1)
        test = (users.gather(tested[:, 0]), items.gather(tested[:, 1]))
        candidates = (users.gather(np.repeat(tested[:, 0], ranked.shape[1])), items.gather(ranked.ravel()))
    except (IndexError, ValueError, pl.exceptions.PolarsError) as error:
        raise InputError(f"The files of the split cannot be used ({error}). Get them again from {NCF_FILES}.") from None
    key = pl.DataFrame({"user_id": test[0], "item_id": test[1]}).with_columns(hidden=True)
    hidden = data.table.join(key, on=["user_id", "item_id"], how="left", maintain_order="left")["hidden"]
    if hidden.sum() != len(rows):
        raise InputError(
            f"{len(rows) - hidden.sum():,} of {len(rows):,} ratings of the split's test file are not in the data: "
            "items and users are numbered as they first appear in the ratings file, so it must be the original one."
        )
    split = data.hide(hidden.fill_null(False).to_numpy(), "the last rating of each user, as published with NCF")
    return [replace(split, candidates=pl.DataFrame({"user_id": candidates[0], "item_id": candidates[1]}))]


def infinite_ae(data: ProtocolData) -> list[Split]:
    """Train on the ratings marked 0, show those marked 0 and 1, hide those marked 2."""
    path = data.file("*infinite*.npz", INFINITE_FILES)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            marks = arrays["data"]
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} cannot be used ({error}). Get it again from {INFINITE_FILES}.") from None
    if marks.shape != (len(data.table),):
        raise InputError(f"{path} marks {len(marks):,} ratings, and the data has {len(data.table):,}.")
    how = "80 % of each user's ratings to learn from, 10 % shown, 10 % hidden, as published with ∞-AE"
    return [data.hide(marks == 2, how, train=marks == 0, shown=marks <= 1)]


NCF = Protocol(
    name="ml1m-ncf",
    data="MovieLens 1M",
    size=ML_1M,
    definition=(
        "The last rating of each user is hidden; all others are for training. Its item is ranked among 99 items that "
        "the user has not rated, which were sampled once and published with the split. If a sample is the hidden item "
        "itself, it counts once, as in the authors' program. HR@10: the share of users with the hidden item among the "
        "first ten; nDCG@10: the mean of 1 / log2(rank + 1), or 0 if it is not among them."
    ),
    source=(
        "He et al. 2017, Neural Collaborative Filtering. Rows: Ferrari Dacrema et al. 2021, Anelli et al. 2021, "
        "Rendle et al. 2022."
    ),
    columns={"HR@10": ("hit_rate@10", "any"), "nDCG@10": ("ndcg@10", "any")},
    published=(
        Published("ItemKNN, cosine with BM25", (0.669, 0.398)),
        Published("RP3beta", (0.676, 0.401)),
        Published("NeuMF", (0.709, 0.435)),
        Published("EASE, l2 1320", (0.7192, 0.4494)),
        Published("iALS, 192 dimensions", (0.7310, 0.4521)),
    ),
    make_splits=ncf,
)
INFINITE_AE = Protocol(
    name="ml1m-infinite-ae",
    data="MovieLens 1M",
    size=ML_1M,
    definition=(
        "Each user's ratings are divided into a training, a validation and a test part, as published. "
        "The model is fitted to the first, is shown the first and the second, and lists 10 of the other items. Any "
        "hidden rating is a hit; nDCG is binary, with the ideal list cut at 10."
    ),
    source="Sachdeva et al. 2022, Infinite Recommendation Networks. SVD-AE: Hong et al. 2024.",
    columns={"nDCG@10": ("ndcg@10", "any"), "nDCG@10, liked": ("ndcg@10", "liked")},
    published=(
        Published("LightGCN", (0.2885, None)),
        Published("EASE, run by the authors", (0.2988, None)),
        Published("∞-AE", (0.3282, None)),
        Published("SVD-AE", (0.34, None), "two digits published"),
    ),
    make_splits=infinite_ae,
)
FOLDS_1M = Protocol(
    name="ml1m-folds",
    data="MovieLens 1M",
    size=ML_1M,
    definition=(
        f"All ratings are divided at random into five folds, seed {FOLDS_SEED}; each is hidden once. RMSE and MAE are "
        "computed over all hidden ratings of a fold, and averaged over the five folds. If a model cannot predict a "
        "rating, the mean training rating is used. The published figures use other seeds."
    ),
    source="Result pages of Surprise and MyMediaLite.",
    columns={"RMSE": ("rmse", None), "MAE": ("mae", None)},
    published=(
        Published("Surprise KNNBaseline, user–user", (0.895, None)),
        Published("Surprise SVD", (0.873, None)),
        Published("MyMediaLite ItemKNNPearson", (0.871, 0.683)),
        Published("Surprise SVD++", (0.862, None)),
        Published("MyMediaLite BiasedMF", (0.852, None)),
    ),
    make_splits=lambda data: random_folds(data.dataset, 5, seed=FOLDS_SEED),
)


# ------------------------------------------------------------------------------------------------------- MovieLens 20M
SEED, HELD_OUT, MIN_RATINGS, MIN_RATING, SHARE = 98765, 10_000, 5, 3.5, 0.2
"""Only ratings above `MIN_RATING` count, and only users with at least `MIN_RATINGS` of them."""


def liang(data: ProtocolData, held_out: int = HELD_OUT) -> list[Split]:
    """Hide a fifth of the ratings of the last users in a random order; the users before them are for validation."""
    table = data.table
    users, items = table["user_id"].to_numpy(), table["item_id"].to_numpy()
    good = table["rating"].to_numpy() > MIN_RATING
    ids, counts = np.unique(users[good], return_counts=True)
    ids = ids[counts >= MIN_RATINGS]
    # the legacy generator: the published split was drawn with it
    ids = ids[np.random.RandomState(SEED).permutation(len(ids))]
    train = good & np.isin(users, ids[: len(ids) - 2 * held_out])
    test_rows = np.flatnonzero(
        good & np.isin(users, ids[len(ids) - held_out :]) & np.isin(items, np.unique(items[train]))
    )
    test_rows = test_rows[np.argsort(users[test_rows], kind="stable")]
    rng, hidden = np.random.RandomState(SEED), np.zeros(len(table), np.bool_)
    for rows in np.split(test_rows, np.flatnonzero(np.diff(users[test_rows])) + 1):
        if len(rows) >= MIN_RATINGS:
            hidden[rows[rng.choice(len(rows), size=int(SHARE * len(rows)), replace=False)]] = True
    shown = np.zeros(len(table), np.bool_)
    shown[test_rows] = True
    how = f"{held_out:,} users are kept from the fit; 80 % of their ratings are shown, 20 % hidden"
    return [data.hide(hidden, how, train=train, shown=shown & ~hidden)]


LIANG = Protocol(
    name="ml20m-liang",
    data="MovieLens 20M",
    size=(20_000_263, 138_493, 26_744),
    definition=(
        "Only ratings above 3.5, of users with 5 of them or more. In a random order of the users (NumPy's legacy "
        "generator, seed 98765) the last 10,000 are for the test, the 10,000 before them for validation, and the "
        "others for training. 80 % of a test user's ratings of training items are shown and 20 % hidden. Recall is "
        "divided by min(n, hidden); nDCG is binary, with the ideal list cut at 100."
    ),
    source="Liang et al. 2018, Variational Autoencoders for Collaborative Filtering.",
    columns={"R@20": ("recall_capped@20", "any"), "R@50": ("recall_capped@50", "any"), "nDCG@100": ("ndcg@100", "any")},
    published=(
        Published("MRF, 0.5 % dense (Steck 2019)", (0.390, 0.515, 0.420)),
        Published("EASE, l2 500 (Steck 2019)", (0.391, 0.521, 0.420)),
        Published("Mult-VAE (Liang et al. 2018)", (0.395, 0.535, 0.426)),
        Published("Steck and Liang 2021, 10,000 pairs", (0.400, 0.530, 0.429)),
        Published("RecVAE (Shenbin et al. 2020)", (0.414, 0.553, 0.442)),
    ),
    make_splits=liang,
    n=(20, 50, 100),
)
