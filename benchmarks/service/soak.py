"""Does it stay as it is? Mixed load for some time, with refits all the while; then errors and memory are told.

From the folder `benchmarks`: `python -m service.soak [--minutes 30] [--refits 20] [--data sample]`.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import reelated
from reelated.refit import Versions, refit
from reelated.store import Store
from service import load
from service.measure import source_of
from service.process import Server

PAUSE = 0.01
"""Seconds that each of the connections waits between two requests: half of the load that would go, about."""


def asks(users, items):
    """Return what makes one request of the mix: lists, ratings, searches, newcomers, audiences."""

    def one(choice):
        user, item = choice.choice(users), choice.choice(items)
        time.sleep(PAUSE)
        kinds = {
            ("GET", f"/api/users/{user}/recommendations"): 50,
            ("PUT", f"/api/users/{user}/ratings/{item}", json.dumps({"rating": choice.randint(1, 5)}).encode()): 20,
            ("GET", f"/api/users/{user}/ratings"): 10,
            ("GET", f"/api/users/{user}/predictions/{item}"): 5,
            ("GET", f"/api/items/{item}/similar"): 5,
            ("GET", "/api/items?query=the&n=5"): 5,
            ("POST", "/api/recommendations", b'{"ratings": []}'): 4,
            ("GET", f"/api/items/{item}/audience"): 1,
        }
        return choice.choices(list(kinds), kinds.values())[0]

    return one


def watch(server, stop, seen):
    """Note the resident memory of the service every second, in MB, with the seconds since the start."""
    start = time.perf_counter()
    while not stop.wait(1):
        lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
        size = next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))
        seen.append((time.perf_counter() - start, size / 1024))


def run(given, folder):
    """Keep it busy and return what was seen; a failed request raises."""
    url, versions = f"sqlite:///{folder}/store.db", Versions(folder / "models")
    store = Store(url).upgrade()
    data = reelated.read(source_of(given.data))
    store.import_data(data, given.data)
    refit(store, versions)
    store.close()
    ids = data.ratings.user_ids.values.to_list(), data.ratings.item_ids.values.to_list()
    seconds, stop, seen = 60 * given.minutes, threading.Event(), []
    server = Server(url, versions.folder, "--refit-after", 10**9)
    watcher = threading.Thread(target=watch, args=(server, stop, seen))
    refits = threading.Thread(target=keep_refitting, args=(url, versions, seconds / given.refits, stop))
    watcher.start()
    refits.start()
    try:
        rate = load.at_most(server.address, asks(*ids), seconds)
    finally:
        stop.set()
        watcher.join()
        refits.join()
        code = server.stop()
    half = [size for at, size in seen if at > min(300, seconds / 3)]
    told = {"minutes": given.minutes, "requests": round(rate * seconds), "refits": versions.current().number - 1}
    return told | {
        "errors": 0,
        "exit": code,
        "memory MB": [round(half[0]), round(half[-1])],
        "most MB": round(max(half)),
    }


def keep_refitting(url, versions, pause, stop):
    """Fit anew every so often; the service follows."""
    store = Store(url)
    while not stop.wait(pause):
        refit(store, versions)
    store.close()


def main():
    """Read the options, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--refits", type=int, default=20)
    parser.add_argument("--data", default="sample")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        json.dump(run(given, Path(folder)), sys.stdout)


if __name__ == "__main__":
    main()
