"""Measure the first `fit` and `recommend` of a process on the sample: from a wheel, with a warm cache, and compiling.

Usage: python benchmarks/from_wheel.py MACHINE_CODE [--rounds 5]

MACHINE_CODE is a folder written by `tools/machine_code.py`. Each measurement is a process of its own, in turns; the
figures are medians. Processor seconds are less disturbed by other work than seconds by the clock.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ASK = """
import json, sys, time
from pathlib import Path
import reelated
from reelated._kernels import on_compile, packaged_code
packaged_code.FOLDER = Path(sys.argv[1])
data, compiled = reelated.read("sample"), []
clock, cpu = time.perf_counter(), time.process_time()
with on_compile(lambda: compiled.append(1)):
    reelated.Recommender().fit(data).recommend(user_id=300)
print(json.dumps([time.perf_counter() - clock, time.process_time() - cpu, len(compiled)]))
"""


def ask(machine_code: str, cache: str) -> list[float]:
    """Return the seconds by the clock, those of the processors, and the number of compiled kernels."""
    env = os.environ | {"NUMBA_CACHE_DIR": cache}
    done = subprocess.run(
        [sys.executable, "-c", ASK, machine_code], env=env, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def main() -> None:
    """Measure in turns and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("machine_code", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    found: dict[str, list[list[float]]] = {"wheel, empty cache": [], "warm cache": [], "empty cache": []}
    with tempfile.TemporaryDirectory() as warm:
        ask("nowhere", warm)
        for _ in range(asked.rounds):
            for name, results in found.items():
                with tempfile.TemporaryDirectory() as empty:
                    folder = str(asked.machine_code) if name.startswith("wheel") else "nowhere"
                    results.append(ask(folder, warm if name == "warm cache" else empty))
    print(f"{'medians of ' + str(asked.rounds):20} {'clock':>8} {'processor':>10} {'compiled':>9}")
    for name, results in found.items():
        clock, cpu, compiled = map(statistics.median, zip(*results, strict=True))
        print(f"{name:20} {clock:6.2f} s {cpu:8.2f} s {compiled:9.0f}")


if __name__ == "__main__":
    main()
