"""The protocol of Liang et al. on MovieLens 20M: held-out users, of whom the model sees 80 % of the ratings."""

import numpy as np

from reelated.evaluation.protocols.protocol import Protocol, ProtocolData, Published
from reelated.evaluation.splits import Split

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
        "divided by min(n, hidden); nDCG is binary, its ideal cut at 100."
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
