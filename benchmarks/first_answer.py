"""Measure the first answer on the bundled sample: imports, what a first fit compiles, and the warm terminal.

Usage: python benchmarks/first_answer.py [--rounds 5] [--source OTHER/src]

Each number is the median of rounds, each in processes of its own; with `--source`, another version's rounds are run in
turns with those of this one. Processor time is given beside the time by the clock, which depends on the load.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parent.parent / "src"
PROGRAM = """
import sys, time
begin, cpu = time.perf_counter(), time.process_time()
import reelated
compiled = []
if "count" in sys.argv:  # a warm process does not import numba
    from numba.core import event
    compiler = event.RecordingListener()
    event.register("numba:run_pass", compiler)
    compiled = compiler.buffer
rec = reelated.Recommender().fit(reelated.read("sample"))
best = rec.recommend(300)[0]
answered, answered_cpu = time.perf_counter(), time.process_time()
rec.explain(300, best.item_id)
count = sum(entry.is_start and entry.data["name"].startswith("native_lowering") for _, entry in compiled)
print(answered - begin, answered_cpu - cpu, count)
"""


def run(source: Path, arguments: list[str], cache: str) -> tuple[float, float, str]:
    """Run Python once; return the seconds by the clock and of the processor, and what it printed."""
    settings = os.environ | {"PYTHONPATH": str(source), "NUMBA_CACHE_DIR": f"{cache}/numba", "REELATED_CACHE": cache}
    begin, before = time.perf_counter(), os.times()
    done = subprocess.run([sys.executable, *arguments], env=settings, capture_output=True, text=True, check=True)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return time.perf_counter() - begin, cpu, done.stdout


def one_round(source: Path) -> dict[str, tuple[float, float]]:
    """Return the seconds by the clock and of the processor of each row, and the number of compiled functions."""
    with tempfile.TemporaryDirectory() as cache:
        first, first_cpu, count = map(float, run(source, ["-c", PROGRAM, "count"], cache)[2].split())
        warm, warm_cpu, _ = map(float, run(source, ["-c", PROGRAM], cache)[2].split())
        command = ["-m", "reelated", "recommend", "sample", "--user", "300"]
        run(source, command, cache)  # fits and caches the model
        return {
            "first fit + recommend, empty cache": (first, first_cpu),
            "the same, warm": (warm, warm_cpu),
            "first above warm": (first - warm, first_cpu - warm_cpu),
            "functions compiled, with explain": (count, count),
            "import reelated": run(source, ["-c", "import reelated"], cache)[:2],
            "python -c pass": run(source, ["-c", "pass"], cache)[:2],
            "reelated recommend sample --user 300": run(source, command, cache)[:2],
            "reelated --help": run(source, ["-m", "reelated", "--help"], cache)[:2],
        }


def main() -> None:
    """Measure in turns and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--source", type=Path, help="the src folder of another version")
    given = parser.parse_args()
    sources = [HERE] if given.source is None else [given.source.resolve(), HERE]
    rounds = [[one_round(source) for source in sources] for _ in range(given.rounds)]
    for name in rounds[0][0]:
        cells = [[median(each[k][name][part] for each in rounds) for part in (0, 1)] for k in range(len(sources))]
        is_count = name.startswith("functions")
        texts = [f"{clock:9.0f}" if is_count else f"{clock:9.2f} s {cpu:8.2f} s cpu" for clock, cpu in cells]
        print(f"{name:40}" + "".join(f"{text:25}" for text in texts).rstrip())


if __name__ == "__main__":
    main()
