"""Protocols on MovieLens 1M: the splits of NCF and of ∞-AE, and random folds."""

from dataclasses import replace

import numpy as np
import polars as pl

from reelated.errors import InputError
from reelated.evaluation.protocols.protocol import Protocol, ProtocolData, Published, read_text
from reelated.evaluation.splits import Split, random_folds

SIZE = (1_000_209, 6_040, 3_706)
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
    size=SIZE,
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
    size=SIZE,
    definition=(
        "Each user's ratings are divided into a training, a validation and a test part, as published. "
        "The model is fitted to the first, is shown the first and the second, and lists 10 of the other items. Any "
        "hidden rating is a hit; nDCG is binary, its ideal cut at 10."
    ),
    source="Sachdeva et al. 2022, Infinite Recommendation Networks. SVD-AE: Hong et al. 2024.",
    columns={"nDCG@10": ("ndcg@10", "any"), "nDCG@10, liked": ("ndcg@10", "liked")},
    published=(
        Published("LightGCN", (0.2885, None)),
        Published("EASE, as they ran it", (0.2988, None)),
        Published("∞-AE", (0.3282, None)),
        Published("SVD-AE", (0.34, None), "two digits published"),
    ),
    make_splits=infinite_ae,
)
FOLDS_1M = Protocol(
    name="ml1m-folds",
    data="MovieLens 1M",
    size=SIZE,
    definition=(
        f"All ratings are divided at random into five folds, seed {FOLDS_SEED}; each is hidden once. RMSE and MAE over "
        "all hidden ratings of a fold, and then the mean of the five. If a model cannot predict a rating, the mean "
        "training rating is used. The published figures use other seeds."
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
