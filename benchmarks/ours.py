"""What only Reelated is asked: the way from Parquet to a saved model, and where a fit's time goes.

Started by run.py in Reelated's environment, with threads pinned; answers as `worker.py` does.
"""

import contextlib
import functools
import importlib
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

import numba
import numpy as np

import agreement
import reelated
from memory import measured
from worker import load, serve

CALLERS = 300
STAGES = {
    "check_csr": "preparation",
    "add_column_stats": "preparation",
    "sort_rows": "preparation",
    "dense_widths": "preparation",
    "fill_dense_block": "preparation",
    "list_user_blocks": "preparation",
    "add_dense_products": "pairs",
    "add_sparse_products": "pairs",
    "select_neighbors": "selection",
    "merge_buffers": "merge",
    "csr_to_csc": "merge",
}
"""Which stage a kernel belongs to; one that is not named here is a stage of its own."""


class Ours:
    """Every method is a question."""

    def journey(self, parquet: str, small: str, rounds: int) -> dict[str, Any]:
        """Read a table, fit the default recommender and save it; then ask it for one user's list at a time."""
        self._journey(small, memory=False)  # compiles
        peak = self._journey(parquet, memory=True)["peak"]
        told = [self._journey(parquet, memory=False) for _ in range(rounds)]
        return {
            "seconds": [one["seconds"] for one in told],
            "median": median(one["seconds"] for one in told),
            "peak": peak,
            "parts": {part: median(one["parts"][part] for one in told) for part in told[0]["parts"]},
            "one_user": median(one["one_user"] for one in told),
        }

    def _journey(self, parquet: str, *, memory: bool) -> dict[str, Any]:
        parts: Counter[str] = Counter()

        def go() -> Any:
            with tempfile.TemporaryDirectory() as folder:
                data = timed(parts, "read", reelated.read)(parquet)
                rec = reelated.Recommender()
                with mock.patch.object(reelated.ItemKNN, "fit", timed(parts, named, reelated.ItemKNN.fit)):
                    timed(parts, "the rest of the fit", rec.fit)(data)
                timed(parts, "save", rec.save)(Path(folder) / "model")
            return rec

        def named(model: Any, *_: Any, **__: Any) -> str:
            return "fit of the ranker" if model.weighting else "fit of the rater"

        rec, told = measured(go, memory=memory)
        parts["the rest of the fit"] -= parts["fit of the ranker"] + parts["fit of the rater"]
        users, calls = rec.user_ids.values.to_list(), []
        for u in agreement.sample(len(users), CALLERS):
            start = time.perf_counter()
            rec.recommend(user_id=users[u])
            calls.append(time.perf_counter() - start)
        return told | {"parts": dict(parts), "one_user": median(calls)}

    def stages(self, folder: str, small: str, n_neighbors: int, rounds: int) -> dict[str, Any]:
        """Fit with every kernel and every step of its driver timed; hold the pairs against a bare loop of additions."""
        from contenders.reelated import fit, given

        fit(given(load(small)), n_neighbors, 0)
        X = given(load(folder))
        told = []
        for _ in range(rounds):
            busy, steps = Counter(), Counter()
            with watched(busy, steps):
                fit(X, n_neighbors, 0)
            told.append((busy, steps))
        lengths, threads = np.diff(X.indptr).astype(np.float64), numba.get_num_threads()
        additions = float((lengths * (lengths - 1)).sum() / 2)
        busy, steps = ({name: median(one[part][name] for one in told) for name in told[0][part]} for part in (0, 1))
        return {
            "busy": busy,
            "steps": steps,
            "additions": additions,
            "rate": additions / busy["pairs"] * threads if busy.get("pairs") else None,
            "bare_rate": bare_rate(X, threads),
        }


def timed(into: Counter[str], name: str | Callable[..., str], work: Callable[..., Any]) -> Callable[..., Any]:
    """Return `work` with its seconds added up under a name, or under what `name` makes of its arguments."""

    @functools.wraps(work)
    def watch(*arguments: Any, **named: Any) -> Any:
        start = time.perf_counter()
        try:
            return work(*arguments, **named)
        finally:
            into[name if isinstance(name, str) else name(*arguments, **named)] += time.perf_counter() - start

    return watch


@contextlib.contextmanager
def watched(busy: Counter[str], steps: Counter[str]) -> Iterator[None]:
    """Time the kernels by stage, over all threads, and the driver's own steps on the wall clock."""
    kernels, driver = map(importlib.import_module, ("reelated._kernels", "reelated.similarity.blocked"))
    lock, inside = threading.Lock(), []

    def kernel(name: str, work: Any) -> Any:
        def watch(*arguments: Any) -> Any:
            start = time.perf_counter()
            result = work(*arguments)
            with lock:
                busy[STAGES.get(name, name)] += time.perf_counter() - start
            return result

        return watch

    def step(name: str, work: Any) -> Any:
        def watch(*arguments: Any, **named: Any) -> Any:
            if inside or threading.current_thread() is not threading.main_thread():
                return work(*arguments, **named)
            inside.append(name)
            try:
                return timed(steps, name, work)(*arguments, **named)
            finally:
                inside.pop()

        return watch

    own = {n: f for n, f in vars(driver).items() if getattr(f, "__module__", "") == driver.__name__ and callable(f)}
    own = {n: f for n, f in own.items() if not isinstance(f, type) and n.startswith("_")}
    compiled = {n: f for n, f in vars(kernels).items() if hasattr(f, "py_func")}
    with contextlib.ExitStack() as stack:
        for name, work in own.items():
            stack.enter_context(mock.patch.object(driver, name, step(name, work)))
        for name, work in compiled.items():
            stack.enter_context(mock.patch.object(kernels, name, kernel(name, work)))
        yield


@numba.njit(nogil=True)
def bare(indptr, items, values, sums):
    # the least that any way of adding up must do: read an item and a value, multiply, add at the item's place
    for u in range(len(indptr) - 1):
        for q in range(indptr[u], indptr[u + 1]):
            sums[items[q]] += values[indptr[u]] * values[q]


def bare_rate(X: Any, threads: int, most: int = 20_000_000) -> float:
    """Return additions a second of the bare loop on all threads, over these very rows in order of popularity."""
    rank = np.empty(X.shape[1], np.int32)
    rank[np.argsort(-np.bincount(X.indices, minlength=X.shape[1]))] = np.arange(X.shape[1], dtype=np.int32)
    users = int(np.searchsorted(X.indptr, most, side="right")) - 1
    indptr, items, values = X.indptr[: users + 1], rank[X.indices], X.data
    passes = max(1, most // int(indptr[-1]))

    def one(_: int) -> None:
        sums = np.zeros(X.shape[1], np.float32)
        for _ in range(passes):
            bare(indptr, items, values, sums)

    one(0)  # compiles
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        list(pool.map(one, range(threads)))
        return threads * passes * int(indptr[-1]) / (time.perf_counter() - start)


if __name__ == "__main__":
    serve(Ours)
