"""One library of `rankers/` at work, in a process of its own: `python ranking_worker.py LIBRARY THREADS`."""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from memory import measured
from worker import serve


class RankingWorker:
    """A library with its data and its fitted model. Every method is a question."""

    def __init__(self, name: str, threads: int) -> None:
        self.library, self.threads = importlib.import_module(f"rankers.{name}"), threads
        self.X = self.given = self.model = self.users = None

    def hello(self) -> dict[str, Any]:
        """Say which version and models there are."""
        return {"version": self.library.version(), "models": list(self.library.MODELS)}

    def load(self, folder: str) -> dict[str, Any]:
        """Take the data."""
        self.model = None
        self.X, self.users = sp.load_npz(Path(folder) / "train.npz"), np.load(Path(folder) / "users.npy")
        self.given = getattr(self.library, "given", lambda X: X)(self.X)
        return {}

    def fit(self, model: str) -> dict[str, Any]:
        """Fit a model and return its seconds."""
        self.model = None
        self.model, told = measured(lambda: self.library.fit(self.given, model, self.threads), memory=False)
        return told

    def recommend(self, n: int, path: str) -> dict[str, Any]:
        """Write the lists of the test users."""
        np.save(path, self.library.recommend(self.model, self.X, self.users, n))
        return {}


if __name__ == "__main__":
    serve(lambda: RankingWorker(sys.argv[1], int(sys.argv[2])))
