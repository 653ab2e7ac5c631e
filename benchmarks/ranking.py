"""Ranking models of Reelated and its peers on the published splits of interactions: the time of a fit, and accuracy.

python benchmarks/ranking.py                                    # every split in ../shared/data/tables; the table anew
python benchmarks/ranking.py --only gowalla --rounds 3
python benchmarks/ranking.py --table                            # the table of docs/speed.md from the saved results

Each library of `rankers/` has a process and an environment of its own, and works when it is its turn. The models have
the settings of their name and otherwise the defaults of the library; none was tuned.
"""

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

import report
from environments import CannotInstall, contenders, python_of
from interactions import source_of
from process import Failed, Process
from reelated.errors import plural
from reelated.evaluation import metrics
from reelated.evaluation.protocols import INTERACTION_PROTOCOLS
from run import commit, machine

RESULTS = Path(__file__).parent / "results" / "rankers"
BEGIN = "<!-- made by benchmarks/ranking.py --table: begin -->"
N = 20
Row = dict[str, Any]


def main() -> None:
    """Measure what is asked for, and write the table."""
    names = [protocol.name for protocol in INTERACTION_PROTOCOLS if source_of(protocol).suffix == ".npz"]
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--only", choices=names)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--table", action="store_true", help="make the table from the saved results")
    options = parser.parse_args()
    for protocol in () if options.table else INTERACTION_PROTOCOLS:
        if options.only in (None, protocol.name) and (source := source_of(protocol)).is_file():
            save(protocol.name, measure(source, options.rounds, options.threads), options)
    report.between(report.DOCS / "speed.md", section(), BEGIN)


def measure(source: Path, rounds: int, threads: int) -> list[Row]:
    """Return the rows of all models on one split: medians of the rounds, which alternate between the libraries."""
    arrays = np.load(source)
    train, test = (pairs(arrays, part) for part in ("train", "test"))
    shape = tuple(int(max(train[k].max(), test[k].max())) + 1 for k in (0, 1))
    X, hidden = (sp.csr_matrix((np.ones(len(u), np.float32), (u, i)), shape) for u, i in (train, test))
    users = np.flatnonzero(np.diff(hidden.indptr))
    with tempfile.TemporaryDirectory() as folder:
        sp.save_npz(Path(folder) / "train.npz", X)
        np.save(Path(folder) / "users.npy", users)
        workers, rows = dict(started(threads, folder)), []
        models = [(name, model) for name, worker in workers.items() for model in worker.ask("hello")["models"]]
        seconds: dict[tuple[str, str], list[float]] = {entry: [] for entry in models}
        for number in range(rounds + 1):  # the first warms up
            for name, model in models:
                try:
                    seconds[name, model].append(workers[name].ask("fit", model=model)["seconds"])
                    if number == rounds:
                        path = f"{folder}/lists.npy"
                        workers[name].ask("recommend", n=N, path=path)
                        recall, ndcg = accuracy(np.load(path), hidden[users])
                        median = statistics.median(seconds[name, model][1:])
                        rows.append(
                            {"library": name, "version": workers[name].ask("hello")["version"], "model": model,
                             "seconds": median, "R@20": recall, "nDCG@20": ndcg}
                        )  # fmt: skip
                        print(source.stem, rows[-1], flush=True)
                except Failed as reason:
                    if number == 0:
                        print(f"{source.stem}: {name}, {model}: {reason}", flush=True)
        for worker in workers.values():
            worker.close()
    return rows


def pairs(arrays: Any, part: str) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the users and the items of a part."""
    return arrays[f"{part}_user"], arrays[f"{part}_item"]


def started(threads: int, folder: str) -> Iterator[tuple[str, Process]]:
    """Yield a process that has the data, for each library that can be installed."""
    for name in contenders("rankers"):
        try:
            worker = Process(python_of(name, "rankers"), "ranking_worker.py", threads, name)
        except CannotInstall as reason:
            print(f"{name}: skipped, {reason}", flush=True)
            continue
        try:
            worker.ask("load", folder=folder)
        except Failed as reason:
            print(f"{name}: skipped, {reason}", flush=True)
            worker.close()
        else:
            yield name, worker


def accuracy(lists: npt.NDArray[np.int64], hidden: sp.csr_matrix) -> tuple[float, float]:
    """Return mean recall and nDCG of lists padded with −1, as `evaluate` defines them."""
    rows = np.repeat(np.arange(len(lists)), lists.shape[1])
    hits = np.asarray(hidden[rows, np.maximum(lists.ravel(), 0)]).reshape(lists.shape).astype(bool) & (lists >= 0)
    n_hidden = np.diff(hidden.indptr)
    recall, ndcg = (float(metrics.RANKING[name](hits, n_hidden).mean()) for name in ("recall", "ndcg"))
    return recall, ndcg


def save(split: str, rows: list[Row], options: argparse.Namespace) -> None:
    """Write the rows of a split."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    about = {"date": str(date.today()), "machine": machine(), "commit": commit(), "load": os.getloadavg()[1]}
    result = about | {"threads": options.threads, "rounds": options.rounds, "rows": rows}
    (RESULTS / f"{split}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def section() -> str:
    """Return the table and where it was measured."""
    lines, conditions = [], set()
    for protocol in INTERACTION_PROTOCOLS:
        path = RESULTS / f"{protocol.name}.json"
        if not path.is_file():
            continue
        result = json.loads(path.read_text(encoding="utf-8"))
        conditions.add((result["date"], result["machine"]["processor"], result["threads"], result["rounds"]))
        for row in result["rows"]:
            library = f"{row['library']} {row['version']}" if row["library"] != "reelated" else "**Reelated**"
            figures = [f"{row['seconds']:.2f}", *(f"{row[name]:.4f}" for name in ("R@20", "nDCG@20"))]
            lines.append([protocol.name, library, row["model"], *figures])
    where = "; ".join(
        f"{day}, {processor}, {threads} threads, {plural(rounds, 'fit')} after a warm-up"
        for day, processor, threads, rounds in sorted(conditions)
    )
    return report.table(["split", "library", "model", "fit, s", "R@20", "nDCG@20"], lines) + f"\n\nMeasured on {where}."


if __name__ == "__main__":
    main()
