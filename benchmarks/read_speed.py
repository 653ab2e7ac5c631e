"""Time and peak memory of reading a table in the layout of MovieLens 20M, in turns with another checkout.

    python benchmarks/read_speed.py [--rows 5000000] [--rounds 3] [--against PATH]

The table is generated: `userId,movieId,rating,timestamp`. Each reading runs in a new process, by turns with a checkout
at PATH; the medians of the rounds are printed. The peak is that of the process above what it held after the imports and
a first small reading, so that neither counts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import polars as pl

HERE = Path(__file__).parent
READ = """
import json, sys, warnings
sys.path.insert(0, sys.argv[2])
from memory import measured
import reelated
warnings.simplefilter("ignore")
reelated.read({"user": [1, 1], "item": [1, 2], "rating": [3, 4]})
_, result = measured(lambda: reelated.read(sys.argv[1]), memory=sys.argv[3] == "peak")
print(json.dumps(result))
"""


def write_table(path: Path, n_rows: int) -> None:
    """Write distinct ratings by about 144 per user, as in MovieLens 20M."""
    rng = np.random.default_rng(20)
    users = np.sort(rng.integers(1, max(2, n_rows // 144), n_rows))
    table = pl.DataFrame({"userId": users, "movieId": (rng.random(n_rows) ** 3 * 27_000 + 1).astype(int)})
    table = table.with_columns(
        rating=pl.Series(rng.integers(1, 11, n_rows) / 2), timestamp=pl.Series(rng.integers(8e8, 1.4e9, n_rows))
    )
    table.unique(("userId", "movieId"), keep="first", maintain_order=True).write_csv(path)


def ask(checkout: Path, table: Path, what: str) -> float:
    """Return the seconds or the peak in bytes of one reading by the package of a checkout."""
    environment = os.environ | {"PYTHONPATH": str(checkout / "src")}
    command = [sys.executable, "-c", READ, str(table), str(HERE), what]
    result = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    return float(json.loads(result.stdout)[what])


def main() -> None:
    """Generate the table, read it by turns, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--against", type=Path, help="another checkout of the repository")
    arguments = parser.parse_args()
    checkouts = {"this": HERE.parent} | ({"other": arguments.against} if arguments.against else {})
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "ratings.csv"
        write_table(table, arguments.rows)
        print(f"{table.stat().st_size / 1e6:,.0f} MB, {arguments.rounds} rounds by turns")
        found: dict[tuple[str, str], list[float]] = {}
        for _ in range(arguments.rounds):
            for name, checkout in checkouts.items():
                for what in ("seconds", "peak"):
                    found.setdefault((name, what), []).append(ask(checkout, table, what))
    for name in checkouts:
        seconds, peak = (statistics.median(found[name, what]) for what in ("seconds", "peak"))
        low, high = min(found[name, "seconds"]), max(found[name, "seconds"])
        print(f"{name:>5}: {seconds:.2f} s ({low:.2f} to {high:.2f}), peak {peak / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
