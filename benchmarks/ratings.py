"""How well ratings are predicted, on the official folds of MovieLens 100K and on random fifths of MovieLens 1M.

python benchmarks/ratings.py ml-100k.zip [ml-1m] > docs/ratings.md
python benchmarks/ratings.py --validate ml-100k.zip [ml-1m]

RMSE and MAE cover all test ratings of a fold, including those of movies without training ratings; predictions are
clipped to the scale. "Movies" adds genres and years. "In 80 %" and "in 90 %" are the shares of test ratings inside
these prediction intervals, on the first fold. "Fit" is seconds of processor time, without compilation. MovieLens 1M is
split into five random folds (seed 0). The settings were chosen with `--validate` on u1, u3 and the first fold of
MovieLens 1M: it holds out a tenth of each training part (seed 1) and does not read the test parts.
"""

import platform
import sys
import time
from datetime import date

import numba
import numpy as np
import scipy.sparse as sp

import reelated
from reelated.data import folds
from reelated.models import BPMF, BiasModel, ItemKNN
from reelated.recommender.catalogue import Catalogue

MODELS = {
    "biases alone": BiasModel(),
    "item neighbours": ItemKNN(
        "residual-cosine", n_neighbors=200, max_neighbors_used=30, shrinkage=100, prior_weight=0.05
    ),
    "BPMF": BPMF(),
    "BPMF, movies": BPMF(),
}
TRIED = {
    "no implicit factors": BPMF(n_implicit_factors=0),
    "10 implicit factors": BPMF(n_implicit_factors=10),
    "20 implicit factors": BPMF(n_implicit_factors=20),
    "40 implicit factors": BPMF(n_implicit_factors=40),
    "8 factors": BPMF(n_factors=8),
    "24 factors": BPMF(n_factors=24),
    "30 draws": BPMF(n_samples=30),
    "120 draws": BPMF(n_samples=120),
    "60 thrown away": BPMF(n_warmup=60),
    "another seed": BPMF(random_state=1),
}


class Known:
    """All ratings of an edition and what is known of its movies, in numbers."""

    def __init__(self, source):
        data = reelated.read(source)
        self.ids, self.scale, self.name = data.ratings, data.ratings.scale[:2], data.name
        counts = np.zeros(len(self.ids.item_ids), int)
        self.attributes = Catalogue(data.items, self.ids.item_ids, counts).attributes()

    def columns(self, frame):
        """Return rows, columns and ratings of a table."""
        users, items = self.ids.user_ids.indices_of(frame["user_id"]), self.ids.item_ids.indices_of(frame["item_id"])
        return users, items, frame["rating"].to_numpy()


def cut(columns, chosen):
    """Return some ratings."""
    return tuple(part[chosen] for part in columns)


def parts_of(known, source):
    """Yield each fold's name, training and test ratings."""
    if "100K" in known.name:
        for number, (train, test) in enumerate(folds(source), 1):
            yield f"u{number}", known.columns(train.ratings.to_polars()), known.columns(test)
        return
    columns = known.columns(known.ids.to_polars().sort("user_id", "item_id"))
    fold = np.random.default_rng(0).integers(0, 5, len(columns[0]))
    for number in range(5):
        yield f"fold {number + 1}", cut(columns, fold != number), cut(columns, fold == number)


def validation(train):
    """Return a tenth of a training part as the test of the rest."""
    aside = np.random.default_rng(1).random(len(train[0])) < 0.1
    return cut(train, ~aside), cut(train, aside)


def measured(name, model, known, train, test):
    """Return RMSE, MAE and the seconds of the fit."""
    (users, items, ratings), shape = train, (len(known.ids.user_ids), len(known.ids.item_ids))
    order = np.lexsort((items, users))
    X = sp.csr_array((ratings[order].astype(np.float32), (users[order], items[order])), shape=shape)
    begun = time.process_time()
    model.fit(X, scale=known.scale, **({"items": known.attributes} if "movies" in name else {}))
    taken = time.process_time() - begun
    gaps = model.predict_pairs(X, *test[:2]) - test[2]
    return X, [np.sqrt(np.mean(gaps**2)), np.mean(np.abs(gaps)), taken]


def held(model, X, test):
    """Return the shares of ratings inside of intervals that are to hold 80 % and 90 % of them."""
    for share in (0.8, 0.9):
        low, high = model.predict_intervals(X, *test[:2], coverage=share)
        yield f"{np.mean((low <= test[2]) & (test[2] <= high)):.1%}"


def table(known, parts, models):
    """Print the means over the folds, and the first fold alone."""
    print(f"\n## {known.name.split(',')[0]}\n")
    print(f"| model | RMSE | MAE | {parts[0][0]} RMSE | in 80 % | in 90 % | fit, s |\n|---|---|---|---|---|---|---|")
    for name, model in models.items():
        figures, inside = [], ["–", "–"]
        for number, (_, train, test) in enumerate(parts):
            X, found = measured(name, model, known, train, test)
            figures.append(found)
            if number == 0 and isinstance(model, BPMF):
                inside = list(held(model, X, test))
        rmse, mae, taken = np.mean(figures, axis=0)
        row = [f"{rmse:.4f}", f"{mae:.4f}", f"{figures[0][0]:.4f}", *inside, f"{taken:.1f}"]
        print(f"| {name} | {' | '.join(row)} |", flush=True)


def main(sources, validate):
    """Print the page."""
    machine = f"{platform.machine()}, {numba.get_num_threads()} threads"
    print("# Predicted ratings\n")
    print(" ".join(__doc__.split("\n\n", 2)[2].split()) + "\n")
    print(f"Made by `benchmarks/ratings.py` on {date.today()}, {machine}.")
    for source in sources:
        known = Known(source)
        parts = list(parts_of(known, source))
        if validate:
            parts = [(name, *validation(train)) for name, train, _ in parts if name in ("u1", "u3", "fold 1")]
        warm = cut(parts[0][1], slice(2000))
        for name, model in MODELS.items():
            measured(name, model, known, warm, warm)
        table(known, parts, MODELS | TRIED if validate else MODELS)


if __name__ == "__main__":
    given = sys.argv[1:]
    main([source for source in given if source != "--validate"], "--validate" in given)
