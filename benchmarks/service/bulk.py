"""Millions of ratings come into a store by an import that is killed half way, and none is missing: how fast is told.

From the folder `benchmarks`: `python -m service.bulk [--data ml-20m] [--store URL]`; without a URL on a SQLite file.
The store must be empty, the ratings are made (`shapes.py`), and everything goes through the command `reelated import`.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

import sqlalchemy as sa

from data import parquet
from reelated.store import Store
from reelated.store.schema import imports


def done(store):
    """Return how many ratings are in the store for good."""
    with store._reading() as connection:
        return int(connection.scalar(sa.select(sa.func.sum(imports.c.ratings_done))) or 0)


def imported(source, url, store, until=None):
    """Import, until that many ratings are in if asked; return what was seen: from when on, how fast, how large."""
    command = [sys.executable, "-m", "reelated", "import", str(source), "--store", url, "--scale", "0.5,5,0.5"]
    start, before = time.perf_counter(), done(store)
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    seen = []
    while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
        now = done(store)
        if not seen or seen[-1][1] != now:
            seen.append((time.perf_counter() - start, now))
        if until is not None and now >= until:
            process.send_signal(signal.SIGKILL)
        time.sleep(0.1)
    seconds, after = time.perf_counter() - start, done(store)
    first = next((second for second, now in seen if now > before), seconds)
    some = next((now for _, now in seen if now > before), after)
    last = next((second for second, now in seen if now == after), seconds)
    return {
        "ratings": after - before,
        "seconds": round(seconds, 1),
        "first batch after": round(first, 1),
        "ratings a second from then on": round((after - some) / (last - first)) if last > first else None,
        "peak MB": round(ended[2].ru_maxrss / 1024),
        "exit": os.waitstatus_to_exitcode(ended[1]),
    }


def run(name, url):
    """Import half, be killed, import the rest; raise where anything is missing or doubled."""
    source, store = parquet(name), Store(url).upgrade()
    if not store.is_empty():
        sys.exit(f"{store!r} is not empty.")
    import polars as pl

    total = pl.scan_parquet(source).select(pl.len()).collect().item()
    told = {"store": store.dialect, "killed": imported(source, url, store, until=total // 2)}
    told["resumed"] = imported(source, url, store)
    told["again"] = imported(source, url, store)
    size = store.size()
    store.close()
    if size["ratings"] != total or told["killed"]["ratings"] + told["resumed"]["ratings"] != total:
        sys.exit(f"Of {total:,} ratings {size['ratings']:,} are in the store: {told}")
    return told | {"size": size}


def main():
    """Read the options, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="ml-20m")
    parser.add_argument("--store")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(given.data, given.store or f"sqlite:///{folder}/store.db"), indent=1))


if __name__ == "__main__":
    main()
