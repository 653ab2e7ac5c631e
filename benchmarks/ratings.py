"""How well ratings are predicted, on the official folds of MovieLens 100K and on random fifths of MovieLens 1M.

python benchmarks/ratings.py ml-100k.zip [ml-1m] > docs/ratings.md
python benchmarks/ratings.py --validate ml-100k.zip [ml-1m]

RMSE and MAE over all test ratings of a fold, movies without training ratings among them; predictions are cut to the
scale. "Movies" adds their genres and years. Intervals: the share of test ratings inside of those that are to hold 80 %
and 90 % of them. Fit: seconds of processor time, compiled beforehand. MovieLens 1M is dealt into five folds at random
(seed 0). With `--validate` a tenth of each training part is held out instead (seed 1), and the test parts are not read:
that is how settings were chosen, on u1, u3 and the first fold of MovieLens 1M.
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
from reelated.models import Baseline, Gaussian, ItemKNN
from reelated.recommender.catalogue import Catalogue

MODELS = {
    "biases alone": Baseline(),
    "item neighbours, the default rater": ItemKNN(
        "residual-cosine", n_neighbors=200, max_used=30, shrinkage=100, baseline_weight=0.05
    ),
    "Gaussian": Gaussian(),
    "Gaussian, movies": Gaussian(),
}
TRIED = {
    "no tastes": Gaussian(n_tastes=0),
    "10 tastes": Gaussian(n_tastes=10),
    "20 tastes": Gaussian(n_tastes=20),
    "40 tastes": Gaussian(n_tastes=40),
    "8 factors": Gaussian(n_factors=8),
    "24 factors": Gaussian(n_factors=24),
    "30 draws": Gaussian(n_draws=30),
    "120 draws": Gaussian(n_draws=120),
    "60 thrown away": Gaussian(n_warmup=60),
    "another seed": Gaussian(random_state=1),
}


class Known:
    """All ratings of an edition and what is known of its movies, in numbers."""

    def __init__(self, source):
        data = reelated.read(source)
        self.ids, self.scale, self.name = data.ratings, data.ratings.scale[:2], data.name
        counts = np.zeros(len(self.ids.movie_ids), int)
        self.attributes = Catalogue(data.movies, self.ids.movie_ids, counts).attributes()

    def triples(self, frame):
        """Return rows, columns and ratings of a table."""
        users, items = self.ids.user_ids.indices_of(frame["user_id"]), self.ids.movie_ids.indices_of(frame["movie_id"])
        return users, items, frame["rating"].to_numpy()


def parts_of(known, source):
    """Yield each fold's name, training and test triples."""
    if "100K" in known.name:
        for number, (train, test) in enumerate(folds(source), 1):
            yield f"u{number}", known.triples(train.ratings.to_polars()), known.triples(test)
        return
    triples = known.triples(known.ids.to_polars().sort("user_id", "movie_id"))
    fold = np.random.default_rng(0).integers(0, 5, len(triples[0]))
    for number in range(5):
        test = fold == number
        yield f"fold {number + 1}", tuple(part[~test] for part in triples), tuple(part[test] for part in triples)


def validation(train):
    """Return a tenth of a training part as the test of the rest."""
    aside = np.random.default_rng(1).random(len(train[0])) < 0.1
    return tuple(part[~aside] for part in train), tuple(part[aside] for part in train)


def measured(name, model, known, train, test):
    """Return RMSE, MAE, the shares inside of two intervals, and the seconds of the fit."""
    (users, items, ratings), shape = train, (len(known.ids.user_ids), len(known.ids.movie_ids))
    X = sp.csr_array((ratings.astype(np.float32), (users, items)), shape=shape)
    begun = time.process_time()
    model.fit(X, scale=known.scale, **({"items": known.attributes} if "movies" in name else {}))
    taken = time.process_time() - begun
    gaps = model.predict_pairs(X, *test[:2]) - test[2]
    shares = [np.nan, np.nan]
    if isinstance(model, Gaussian):
        within = (model.predict_intervals(X, *test[:2], coverage=share) for share in (0.8, 0.9))
        shares = [np.mean((low <= test[2]) & (test[2] <= high)) for low, high in within]
    return [np.sqrt(np.mean(gaps**2)), np.mean(np.abs(gaps)), *shares, taken]


def table(known, parts, models):
    """Print the means over the folds, and the first fold alone."""
    print(f"\n## {known.name.split(',')[0]}\n")
    print(f"| model | RMSE | MAE | {parts[0][0]} RMSE | in 80 % | in 90 % | fit, s |\n|---|---|---|---|---|---|---|")
    for name, model in models.items():
        figures = np.array([measured(name, model, known, train, test) for _, train, test in parts])
        rmse, mae, *shares, taken = figures.mean(axis=0)
        inside = " | ".join("–" if np.isnan(share) else f"{share:.1%}" for share in shares)
        print(f"| {name} | {rmse:.4f} | {mae:.4f} | {figures[0, 0]:.4f} | {inside} | {taken:.1f} |", flush=True)


def main(sources, validate):
    """Print the page."""
    machine = f"{platform.machine()}, {numba.get_num_threads()} threads"
    print("# Predicted ratings\n")
    print(" ".join(__doc__.split("\n\n", 2)[2].split()) + "\n")
    print(f"Made by `benchmarks/ratings.py` on {date.today()}, {machine}.")
    for source in sources:
        known = Known(source)
        parts = list(parts_of(known, source))
        models = MODELS
        if validate:
            parts = [(name, *validation(train)) for name, train, _ in parts if name in ("u1", "u3", "fold 1")]
            models = MODELS | TRIED
        warm = tuple(part[:2000] for part in parts[0][1])
        for name, model in models.items():
            measured(name, model, known, warm, warm)
        table(known, parts, models)


if __name__ == "__main__":
    given = sys.argv[1:]
    main([source for source in given if source != "--validate"], "--validate" in given)
