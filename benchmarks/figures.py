"""The figures that the documentation quotes, measured here and now.

python benchmarks/figures.py DATA     # DATA holds ml-100k.zip and the folder ml-1m

Prints one line a figure: RMSE and MAE on the five official folds of MovieLens 100K, the time of a warm `reelated
recommend` as a whole process, and the time to read and fit MovieLens 1M, compiled before.
"""

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numba
import numpy as np

import reelated
from reelated.data import folds
from reelated.models import BPMF, BiasModel, ItemKNN
from reelated.recommender import textbook

ROUNDS = 5


def accuracy(source: Path) -> None:
    """Print the mean error on u1 … u5 of the recipe, of averages, and of the default model of ratings, ids only."""
    for name, model in (("textbook", textbook().rater), ("averages only", BiasModel()), ("default", BPMF())):
        errors = np.array([_errors(model, train, test) for train, test in folds(source)])
        rmse, mae = np.sqrt(errors[:, 0]), errors[:, 1]
        print(f"u1…u5, {name}: RMSE {rmse.mean():.4f} (u1 {rmse[0]:.4f}), MAE {mae.mean():.4f}")


def _errors(model: ItemKNN | BiasModel | BPMF, train: reelated.Dataset, test: object) -> tuple[float, float]:
    """Return the mean squared and the mean absolute error; what the model cannot say is the training mean."""
    X, ratings = train.ratings.matrix, train.ratings
    users, items = (ids.indices_of(test[f"{ids.kind}_id"]) for ids in (ratings.user_ids, ratings.item_ids))
    mean, known = float(X.data.mean()), (users >= 0) & (items >= 0)
    predicted = np.full(len(users), mean)
    predicted[known] = np.nan_to_num(model.fit(X).predict_pairs(X, users[known], items[known]), nan=mean)
    gaps = predicted - test["rating"].to_numpy()
    return float(np.mean(gaps**2)), float(np.mean(np.abs(gaps)))


def warm_command(source: Path) -> None:
    """Print the time of a second `reelated recommend`, the whole process."""
    command = [sys.executable, "-m", "reelated", "recommend", str(source), "--user", "196"]
    with tempfile.TemporaryDirectory() as cache:
        environment = os.environ | {"REELATED_CACHE": cache}
        times = [_seconds(lambda: subprocess.run(command, env=environment, capture_output=True, check=True))
                 for _ in range(ROUNDS + 1)]  # fmt: skip
    print(f"reelated recommend ml-100k --user 196: first {times[0]:.2f} s, warm {statistics.median(times[1:]):.2f} s")


def read_and_fit(folder: Path) -> None:
    """Print the time to read and to fit MovieLens 1M."""
    data = reelated.read(folder)
    reelated.Recommender().fit(data)  # compiles
    reading = statistics.median(_seconds(lambda: reelated.read(folder)) for _ in range(ROUNDS))
    fitting = statistics.median(_seconds(lambda: reelated.Recommender().fit(data)) for _ in range(ROUNDS))
    print(f"{data.name}: read {reading:.2f} s, fit {fitting:.2f} s")


def _seconds(work: object) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    data_folder = Path(sys.argv[1])
    print(
        f"{date.today()}, {platform.machine()}, {numba.get_num_threads()} threads, Python {platform.python_version()}"
    )
    accuracy(data_folder / "ml-100k.zip")
    warm_command(data_folder / "ml-100k.zip")
    read_and_fit(data_folder / "ml-1m")
