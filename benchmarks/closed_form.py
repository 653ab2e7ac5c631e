"""EASE told from all other movies at once, in float32, on made ratings of MovieLens 20M's shape: how long, how large.

python benchmarks/closed_form.py           # or the name of other data, such as ml-1m

The matrix of all movies is inverted in its place: 26,744 movies are 2.9 GB of it.
"""

import sys
import time

import data
from memory import measured
from reelated.models import EASE
from worker import load


def main() -> None:
    """Fit, and print what it took."""
    X = load(str(data.matrix(sys.argv[1] if len(sys.argv) > 1 else "ml-20m")))
    model = EASE(n_candidates=None)
    model.fit(X[:1000, :100])  # compiles
    start = time.perf_counter()
    _, told = measured(lambda: model.fit(X), memory=True)
    print(f"{X.shape[1]:,} movies, {X.nnz:,} ratings: {time.perf_counter() - start:.0f} s", end="")
    print(f", at most {told['peak'] / 1e9:.2f} GB beside the ratings; planned {model.plan(X) / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
