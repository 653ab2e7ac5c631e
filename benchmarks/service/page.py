"""How fast do the pages answer? With 10,000 movies and 1 million ratings, beside an empty route in the same run.

From the folder `benchmarks`: `python -m service.page [--rounds 100] [--folder DIR]`, or with `--quick` on the sample.
A visitor
rates thirty movies; then each page is asked for in turn with the empty route, one request at a time. `star` is what
one waits for after a tap: the rating is kept, and the list is drawn anew. The data are made (`shapes.py`) and have
the genres and years of nothing real.
"""

import argparse
import http.client
import json
import re
import statistics
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path
from urllib.parse import urlencode

import numpy as np
import polars as pl

import reelated
import shapes
from reelated.refit import Versions, refit
from reelated.store import Store
from service.measure import Measured

SHAPE = shapes.Shape(6_040, 10_000, 1_000_000, 2_314, 96, 3_428, 25, 2.35)
GENRES = np.array(["Action", "Comedy", "Crime", "Drama", "Family", "Horror", "Romance", "Science fiction"])
RATED = 30


def data_of(quick):
    """Return the data: the sample, or what is made."""
    if quick:
        return reelated.read("sample")
    X, rng = shapes.make(SHAPE).tocoo(), np.random.default_rng(0)
    table = pl.DataFrame({"user_id": X.row + 1, "item_id": X.col + 1, "rating": X.data})
    number = np.arange(X.shape[1]) + 1
    items = pl.DataFrame(
        {
            "item_id": number.astype(table["item_id"].to_numpy().dtype),
            "title": [f"Movie {at} of the {GENRES[at % 8].lower()} kind" for at in number],
            "year": rng.integers(1930, 2020, len(number)),
            "genres": [GENRES[rng.permutation(8)[: 1 + at % 3]].tolist() for at in number],
        }
    )
    return reelated.Dataset.from_frames(table, items, scale=(0.5, 5.0, 0.5), name="made")


class Visitor:
    """A browser without a window, a cache or scripts."""

    def __init__(self, address):
        self.connection = http.client.HTTPConnection(address, timeout=60)
        self.cookie, self.address = "", address
        self.token = re.search(rb'name="token" value="(\w+)"', self.ask("/"))[1].decode()

    def ask(self, path, **form):
        """Ask for a page, or send a form and follow to where it leads."""
        body = urlencode(form | {"token": self.token}) if form else None
        self.connection.request("POST" if form else "GET", path, body, {"Cookie": self.cookie, "Accept": "text/html"})
        answer = self.connection.getresponse()
        page, cookie, to = answer.read(), answer.getheader("set-cookie"), answer.getheader("location")
        if cookie:
            self.cookie = cookie.partition(";")[0]
        assert answer.status in (200, 303), page
        return self.ask(to) if to else page


def measure(server, items, rounds):
    """Return milliseconds for each page: as one waits for it, and of the processor."""
    visitor = Visitor(server.address)
    for at in range(RATED):
        visitor.ask("/rate", item_id=items[at], rating=1 + at % 5, back="/how")
    works = {
        "empty": lambda at: visitor.ask("/health/live"),
        "list": lambda at: visitor.ask("/list"),
        "list, filtered": lambda at: visitor.ask("/list?genres=Drama&years=1990-1999"),
        "star": lambda at: visitor.ask("/rate", item_id=items[0], rating=1 + at % 5, back="/list"),
        "start": lambda at: visitor.ask("/"),
        "search": lambda at: visitor.ask("/search?query=movei+77"),
        "item": lambda at: visitor.ask(f"/items/{items[40]}"),
    }
    times, cpu = {name: [] for name in works}, dict.fromkeys(works, 0.0)
    for at in range(rounds + 3):
        for name, work in works.items():
            start, before = time.perf_counter(), server.cpu
            work(at)
            if at >= 3:
                times[name].append(1000 * (time.perf_counter() - start))
                cpu[name] += 1000 * (server.cpu - before)
    return {
        name: {
            "median": round(statistics.median(all_), 2),
            "p95": round(float(np.quantile(all_, 0.95)), 2),
            "processor": round(cpu[name] / rounds, 1),
        }
        for name, all_ in times.items()
    }


def run(given, folder):
    """Fill a store unless it is filled already, serve it, and measure."""
    url, models = f"sqlite:///{folder}/store.db", folder / "models"
    store, data = Store(url).upgrade(), data_of(given.quick)
    store.import_data(data, "page")
    if Versions(models).current() is None:
        refit(store, Versions(models))
    store.close()
    counts = np.bincount(data.ratings.matrix.indices, minlength=len(data.ratings.item_ids))
    items = data.ratings.item_ids.take(np.argsort(-counts, kind="stable")[:50]).to_list()
    server = Measured(url, models)
    try:
        pages = measure(server, items, given.rounds)
    finally:
        server.stop()
    return {"items": len(counts), "ratings": int(counts.sum()), "ms": pages}


def main():
    """Read the options, measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--folder", help="keep the store and its model here, for another time")
    parser.add_argument("--quick", action="store_true", help="on the sample, to see that it works")
    given = parser.parse_args()
    given.rounds = 3 if given.quick else given.rounds
    with nullcontext(given.folder) if given.folder else tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(given, Path(folder)), indent=1))


if __name__ == "__main__":
    main()
