"""What ratings beyond this machine would cost, from measured constants: `python benchmarks/spark/paper.py`.

Each step of a fit is run as it stands, without Spark, on ML-20M's shape and one core, and its processor time divided by
what it handles. Spark's own work comes from `results.json`: what the measured fit took beyond these steps.
"""

import json
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

import data  # noqa: E402
from reelated.ratings import Ids  # noqa: E402
from reelated.similarity import SimilarityParams  # noqa: E402
from reelated.spark.block_sums import BlockParams, Blocks, SumBlocks, send_to_blocks  # noqa: E402
from reelated.spark.grouping import group_cells, pack_buckets  # noqa: E402


class Batch:
    """Records as a task is handed them."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.records = records

    def to_pylist(self) -> list[dict[str, Any]]:
        """Return them."""
        return self.records


class Case(NamedTuple):
    """How large the ratings are, and the cluster."""

    ratings: float
    users: float
    items: float
    crowding: float = 3.46
    """Σ n_u² over what it would be if all users rated alike: MovieLens 20M's."""
    table: float = 4e9
    executors: int = 100
    cores: int = 4
    network: float = 5e8
    """Bytes a second and executor."""


def records(cells: Iterator[dict[str, Any]]) -> tuple[list[dict[str, Any]], float]:
    """Run a task; return its records and the processor seconds that it took."""
    start = time.process_time()
    made = [{name: column[0] for name, column in cell.items()} for cell in cells]
    return made, time.process_time() - start


def constants() -> dict[str, float]:
    """Measure each step on a quarter of the users of ML-20M's shape."""
    folder = data.matrix("ml-20m")
    indptr, indices, values = (np.load(folder / f"{part}.npy", mmap_mode="r") for part in ("indptr", "indices", "data"))
    n_items, users = int(indices.max()) + 1, (len(indptr) - 1) // 4
    part = slice(0, indptr[users])
    n = int(part.stop)
    table = pl.DataFrame(
        {
            "user_id": np.repeat(np.arange(users), np.diff(indptr[: users + 1])),
            "item_id": indices[part].astype(np.int64),
            "rating": values[part],
        }
    )
    counts = np.bincount(indices[part], minlength=n_items)
    order = np.argsort(-counts, kind="stable").astype(np.int32)
    rank = np.empty_like(order)
    rank[order] = np.arange(n_items, dtype=np.int32)
    ids, keys = Ids(pl.Series(np.arange(n_items)), "item"), np.arange(3, dtype=np.int32)
    spread, spreading = records(pack_buckets(keys, (ids, rank), iter(table.to_arrow().to_batches(10_000))))
    spread.sort(key=lambda cell: cell["bucket"])
    rows, collecting = records(group_cells(None, None, iter([Batch(spread)])))
    blocks = Blocks(np.array([0, 40, n_items // 8, n_items]), 0)
    send = partial(send_to_blocks, lambda X: X, blocks, np.arange(3, dtype=np.int32))
    sent, sending = records(send(iter([Batch(rows)])))
    mine = sorted((cell for cell in sent if cell["block"] == 0), key=lambda cell: cell["band"])
    squares = np.bincount(rank[indices[part]], np.square(values[part], dtype=np.float64), n_items)
    with tempfile.TemporaryDirectory() as scratch:
        params = BlockParams(
            SimilarityParams(n_neighbors=100), counts[order], np.sqrt(squares), order, scratch, "float32"
        )
        _, passing = records(SumBlocks(blocks, params)(iter([Batch(mine)])))
    lengths, n_sent = np.diff(indptr[: users + 1]), sum(cell["ratings"] for cell in sent)
    in_block = sum(cell["ratings"] for cell in mine)
    adds = float((np.add.reduceat((rank[indices[part]] < 40).astype(float), indptr[:users]) * lengths).sum())
    return {
        "spread: ratings a second": n / spreading,
        "collect: ratings a second": n / collecting,
        "send: ratings a second": n_sent / sending,
        "pass by and add up: ratings a second": in_block / passing,
        "additions for each": adds / in_block,
        "bytes a rating, spread": sum(len(cell["body"]) for cell in spread) / n,
        "bytes a rating, sent": sum(len(cell["body"]) for cell in sent) / n_sent,
    }


def cost(case: Case, measured: dict[str, float], overhead: float) -> dict[str, float]:
    """Return what a case costs where no block holds two ratings of a user, which is the most there can be."""
    copies = case.crowding * case.ratings**2 / case.users
    blocks = case.items * case.items * 8 / case.table
    copies = min(copies, case.ratings * blocks)
    work = (
        case.ratings / measured["spread: ratings a second"]
        + case.ratings / measured["collect: ratings a second"]
        + copies / measured["send: ratings a second"]
        + copies / measured["pass by and add up: ratings a second"]
        + case.items**2 * 8 / 1e9  # tables made and read, a gigabyte a second
    )
    sent = case.ratings * measured["bytes a rating, spread"] + copies * measured["bytes a rating, sent"]
    hours = work * overhead / (case.executors * case.cores) / 3600
    return {
        "tasks": blocks, "core hours": work * overhead / 3600, "hours": hours, "shuffle": sent,
        "hours of network": sent / case.network / case.executors / 3600,
    }  # fmt: skip


def main() -> None:
    """Print the constants and the table."""
    constants()  # compiles
    measured = constants()
    for name, value in measured.items():
        print(f"{name:38} {value:14,.1f}")
    kept = HERE / "results.json"
    overhead = 2.0
    if kept.exists() and "fit" in (found := json.loads(kept.read_text())):
        bare = cost(Case(20_000_263, 138_493, 26_744, table=1e9), measured, 1.0)["core hours"] * 3600
        overhead = max(1.0, 2 * found["fit"]["cluster"] / bare)
        print(f"Spark's own work: {overhead:.1f} times that of the steps")
    print("\n| ratings | users | movies | executors | tasks | core hours | hours | shuffle | of them network |")
    print("|---|---|---|---|---|---|---|---|---|")
    for case in (Case(1e9, 2e7, 2e5, executors=20), Case(1e10, 2e8, 1e6), Case(1e10, 2e8, 1e6, executors=400)):
        told = cost(case, measured, overhead)
        cells = [
            *(f"{value:,.0f}" for value in (case.ratings, case.users, case.items, case.executors, told["tasks"])),
            f"{told['core hours']:,.0f}", f"{told['hours']:.2f}", f"{told['shuffle'] / 1e12:.2f} TB",
            f"{told['hours of network']:.2f}",
        ]  # fmt: skip
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
