"""Measure the start of the service on the bundled sample, from the process to `/health/ready`, as in a new container.

Usage: python -m service.start [--rounds 5] [--program PATH]

Each round has an empty store, no model and an empty cache. PROGRAM is the `reelated` of an environment; the one with a
wheel for this platform compiles nothing. `warm` has the cache of the round before.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from statistics import median


def seconds_to_ready(program: str, folder: Path, cache: Path) -> float:
    """Start the service, wait until it is ready, end it, and return the seconds."""
    places = {"REELATED_STORE": f"sqlite:///{folder}/store.db", "REELATED_MODELS": str(folder / "models")}
    env = os.environ | places | {"NUMBA_CACHE_DIR": str(cache), "REELATED_CACHE": str(cache)}
    begin = time.perf_counter()
    command = [program, "serve", "--data", "sample", "--port", "0"]
    with subprocess.Popen(command, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as service:
        try:
            assert service.stderr is not None
            url = next(found[0] for line in service.stderr if (found := re.search(r"http://[\d.]+:\d+", line)))
            while not is_ready(url):
                time.sleep(0.02)
            return time.perf_counter() - begin
        finally:
            service.terminate()
            service.communicate()


def is_ready(url: str) -> bool:
    """Return whether the service has a model and its store."""
    try:
        with urllib.request.urlopen(f"{url}/health/ready") as answer:
            return bool(answer.status == 200)
    except urllib.error.URLError:
        return False


def main() -> None:
    """Measure and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--program", default=str(Path(sys.executable).with_name("reelated")))
    given = parser.parse_args()
    seconds: dict[str, list[float]] = {"empty cache": [], "warm": []}
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory() as cache:
            for taken in seconds.values():
                with tempfile.TemporaryDirectory() as folder:
                    taken.append(seconds_to_ready(given.program, Path(folder), Path(cache)))
    for name, taken in seconds.items():
        print(f"{name:12} {median(taken):5.2f} s, {min(taken):.2f} to {max(taken):.2f}")


if __name__ == "__main__":
    main()
