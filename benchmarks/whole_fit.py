"""Time and memory of the default fit on data of a large shape, from a Parquet file to a saved model.

python benchmarks/whole_fit.py ml-20m [amazon-book …] [--rounds 3] [--unrated] [--against OLD/src]

The data are those of `shapes.py`. Every round is a process of its own; with `--against`, the rounds of another source
tree alternate with ours, with a cache of kernels of their own. `--unrated` leaves the ratings out, so that the data are
events. Kernels are compiled before.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import data
from memory import resident

SOURCE = Path(__file__).parents[1] / "src"


def main() -> None:
    """Print a row for each shape and source tree."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("shapes", nargs="+", metavar="SHAPE")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--unrated", action="store_true", help="leave the ratings out")
    parser.add_argument("--against", type=Path, help="the source tree of another version")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        print(json.dumps(fit(options.shapes[0])))
        return
    from run import machine

    about = machine()
    print(f"{date.today()}, {about['processor']}, {about['cores']} cores; medians of {options.rounds} rounds.\n")
    print("| data | version | read, fit, save | processor | peak memory |\n| --- | --- | --- | --- | --- |")
    sources = [SOURCE, *filter(None, [options.against])]
    with tempfile.TemporaryDirectory() as folder:
        small = write("small", Path(folder), unrated=options.unrated)
        for source in sources:
            run(small, source, Path(folder))
        for shape in options.shapes:
            file = write(shape, Path(folder), unrated=options.unrated)
            rounds: list[list[Any]] = [[] for _ in sources]
            for _ in range(options.rounds):
                for results, source in zip(rounds, sources, strict=True):
                    results.append(run(file, source, Path(folder)))
            for results, version in zip(rounds, ("this", "the other"), strict=False):
                seconds, busy, peak = (statistics.median(column) for column in zip(*results, strict=True))
                print(f"| {shape} | {version} | {seconds:.1f} s | {busy:.1f} s | {peak / 1e9:.2f} GB |", flush=True)


def write(shape: str, folder: Path, *, unrated: bool) -> Path:
    """Write the ratings of a shape as a Parquet file."""
    matrix, file = data.matrix(shape), folder / f"{shape}.parquet"
    indptr, items, ratings = (np.load(matrix / f"{part}.npy") for part in ("indptr", "indices", "data"))
    users = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    columns = {"user_id": users, "item_id": items} | ({} if unrated else {"rating": ratings})
    pl.DataFrame(columns).write_parquet(file)
    return file


def run(file: Path, source: Path, folder: Path) -> tuple[float, float, float]:
    """Fit in a process of its own."""
    command = [sys.executable, __file__, str(file), "--work"]
    kernels = folder / "kernels" / str(source.resolve()).replace(os.sep, "-")
    env = os.environ | {"PYTHONPATH": str(source.resolve()), "NUMBA_CACHE_DIR": str(kernels)}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return tuple(json.loads(done.stdout))


def fit(file: str) -> tuple[float, float, float]:
    """Return the seconds by the clock and of the processor, and peak memory in bytes of reading, fit and saving."""
    import reelated

    with tempfile.TemporaryDirectory() as folder:
        start, busy = time.perf_counter(), time.process_time()
        reelated.Recommender().fit(reelated.read(file)).save(Path(folder) / "model")
        return time.perf_counter() - start, time.process_time() - busy, resident("VmHWM")


if __name__ == "__main__":
    main()
