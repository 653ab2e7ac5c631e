"""One contender at work, in a process of its own: takes questions as lines of JSON and answers each with one.

python worker.py CONTENDER THREADS      # started by run.py, in the contender's environment, with threads pinned
"""

import importlib
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

import agreement
from memory import measured

LISTS = 200
"""Users whose lists are checked."""


def load(folder: str) -> sp.csr_matrix:
    """Read a users × items matrix that `data.py` wrote."""
    indptr, indices, data = (np.load(Path(folder) / f"{part}.npy") for part in ("indptr", "indices", "data"))
    n_items = int(json.loads((Path(folder) / "about.json").read_text())["shape"][1])
    X = sp.csr_matrix((data, indices, indptr), shape=(len(indptr) - 1, n_items))
    X.has_canonical_format = True
    return X


class Worker:
    """A contender with its data and its fitted model. Every method is a question."""

    def __init__(self, name: str, threads: int) -> None:
        self.contender, self.threads = importlib.import_module(f"contenders.{name}"), threads
        self.X = self.given = self.model = self.lists = None

    def hello(self) -> dict[str, Any]:
        """Say who it is and what it can do."""
        able, measures = self.contender, getattr(self.contender, "MEASURES", {})
        works = ["fit", *(f"fit {measure}" for measure in measures)]
        works += ["everyone"] * hasattr(able, "recommend_batch") + ["one"] * hasattr(able, "recommend_one")
        return {
            "version": able.version(),
            "python": sys.version.split()[0],
            "notes": getattr(able, "NOTES", ""),
            "reference": getattr(able, "REFERENCE", "cosine"),
            "keeps_seen": getattr(able, "KEEPS_SEEN", False),
            "works": works,
        }

    def load(self, folder: str) -> dict[str, Any]:
        """Take the data."""
        self.model = self.lists = None
        self.X = load(folder)
        if reason := getattr(self.contender, "refuses", lambda X: None)(self.X):
            return {"error": reason}
        self.given = getattr(self.contender, "given", lambda X: X)(self.X)
        return {}

    def warm(self, works: list[str], n_neighbors: int, n: int) -> dict[str, Any]:
        """Do every work twice: what the first call takes above the second is compilation and the like."""
        works, ask = ["fit", *works], {"n_neighbors": n_neighbors, "n": n, "users": [0], "memory": False}
        first, again = (sum(self.work(work, **ask)["seconds"] for work in works) for _ in range(2))
        return {"first_call": max(0.0, first - again)}

    def work(self, work: str, n_neighbors: int, n: int, users: list[int], memory: bool) -> dict[str, Any]:
        """Run one task; report its time or its peak memory."""
        if work == "one":
            return self.one(users, n)
        if work == "everyone":
            self.lists = None
            done = lambda: self.contender.recommend_batch(self.model, self.given, n, self.threads)  # noqa: E731
            self.lists, told = measured(done, memory=memory)
            return told
        plain, measure = work == "fit", work.removeprefix("fit").split()
        if plain:
            self.model = self.lists = None
        done = lambda: self.contender.fit(self.given, n_neighbors, self.threads, *measure)  # noqa: E731
        fitted, told = measured(done, memory=memory)
        self.model = fitted if plain else self.model
        return told

    def one(self, users: list[int], n: int) -> dict[str, Any]:
        """Return the median time of a single call over these users."""
        rows, times = [self.given[u : u + 1] for u in users], []
        for row in rows:
            start = time.perf_counter()
            self.contender.recommend_one(self.model, row, n)
            times.append(time.perf_counter() - start)
        return {"seconds": statistics.median(times)}

    def neighbors(self, rows: list[int], path: str) -> dict[str, Any]:
        """Write some rows of the fitted matrix."""
        sp.save_npz(path, sp.csr_matrix(self.contender.neighbors(self.model))[rows], compressed=False)
        return {}

    def check_lists(self, n: int) -> dict[str, Any]:
        """Compare lists of some users with the contender's own formula in plain SciPy."""
        users = agreement.sample(self.X.shape[0], LISTS)
        rows = self.X[users]
        scores = self.contender.expected(self.model, rows)
        seen = None if getattr(self.contender, "KEEPS_SEEN", False) else rows
        return agreement.compare_lists(self.lists, users, scores, seen, n)


def serve(make: Callable[[], Any]) -> None:
    """Answer questions, each by the method of its name, until there are no more."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a library prints must not stand between the answers
    worker: Any = None
    for line in sys.stdin:
        question = json.loads(line)
        try:
            worker = worker or make()
            answer = getattr(worker, question.pop("do"))(**question)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(lambda: Worker(sys.argv[1], int(sys.argv[2])))
