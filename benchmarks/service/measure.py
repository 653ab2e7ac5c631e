"""How fast is the service? Every figure is a ratio of two that were measured in turns in one run.

From the folder `benchmarks`: `python -m service.measure [--data ml-1m] [--store URL] [--rounds 5] [--seconds 5]`, or
with `--quick` on the sample.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

import sqlalchemy as sa

import reelated
from data import REAL, real_folder
from reelated.refit import Versions, refit
from reelated.store import Store
from reelated.store.schema import ratings
from reelated.web.model_watcher import start_refit
from service import load
from service.process import Server


class Measured(Server):
    """The service with the constant route, and the processor time that it took."""

    program = ("service.app",)

    @property
    def cpu(self):
        """Processor seconds of the process so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def medians(rounds):
    """Return the median of each figure over rounds."""
    return {name: statistics.median(round_[name] for round_ in rounds) for name in rounds[0]}


def reading(server, users, given):
    """Compare recommendations with the constant route: requests a second, processor time, and p99 at half of each."""
    rounds = []
    for _ in range(given.rounds):
        told = {}
        for name, path in (("recommendations", "/api/users/{}/recommendations"), ("constant", "/constant/{}")):
            ask = lambda choice, path=path: ("GET", path.format(choice.choice(users)))  # noqa: E731
            before = server.cpu
            told[name] = load.at_most(server.address, ask, given.seconds)
            told[f"{name} ms"] = 1000 * (server.cpu - before) / (told[name] * given.seconds)
            times = load.at_rate(server.address, ask, given.seconds, told[name] / 2)
            told[f"{name} p99"] = 1000 * load.percentile(times, 0.99)
        rounds.append(told)
    told = medians(rounds)
    told["rate"] = statistics.median(one["recommendations"] / one["constant"] for one in rounds)
    told["processor"] = statistics.median(one["constant ms"] / one["recommendations ms"] for one in rounds)
    told["p99"] = statistics.median(one["recommendations p99"] / one["constant p99"] for one in rounds)
    return told


def refitting(server, users, given, url, models):
    """Compare p99 of recommendations, at half of the highest rate, with and without refits that follow each other."""
    ask = lambda choice: ("GET", f"/api/users/{choice.choice(users)}/recommendations")  # noqa: E731
    rate = load.at_most(server.address, ask, given.seconds) / 2
    rounds = []
    for _ in range(given.rounds):
        without = load.percentile(load.at_rate(server.address, ask, given.seconds, rate), 0.99)
        process = start_refit(REELATED_STORE=url, REELATED_MODELS=str(models))
        beside = load.percentile(load.at_rate(server.address, ask, given.seconds, rate), 0.99)
        process.wait()
        rounds.append({"without": 1000 * without, "beside": 1000 * beside, "p99": beside / without})
    return medians(rounds)


def writing(server, store, users, items, given):
    """Compare single durable ratings through the store with the bare statement by the same driver; and over HTTP.

    The one undoes what the other wrote: to write what is there already costs a database nothing.
    """
    bare, rounds = Bare(store), []
    for number in range(given.rounds):
        pairs = [(users[(number * 7 + at) % len(users)], items[at * 13 % len(items)]) for at in range(given.writes)]
        keys = bare.keys_of(pairs)
        times = {}
        works = [("bare", bare.write, keys), ("store", store.rate, [(*pair, 4) for pair in pairs])]
        for name, work, rows in works if number % 2 else works[::-1]:
            start, before = time.perf_counter(), time.process_time()
            for row in rows:
                work(*row)
            times[name], times[f"{name} cpu"] = time.perf_counter() - start, time.process_time() - before
        ask = lambda choice: (  # noqa: E731
            "PUT", f"/api/users/{choice.choice(users)}/ratings/{choice.choice(items)}", b'{"rating": 3}',
        )  # fmt: skip
        told = {name: given.writes / times[name] for name in ("bare", "store")}
        told["http"] = load.at_most(server.address, ask, given.seconds)
        rounds.append(told | {"share": told["store"] / told["bare"], "cpu us": times["store cpu"] / given.writes * 1e6})
    bare.close()
    return medians(rounds)


class Bare:
    """The driver alone, on a connection of its own, set up as the store's are."""

    def __init__(self, store):
        self.store = store
        self.connection = store.engine.raw_connection()
        mark = "?" if store.dialect == "sqlite" else "%s"
        self.statement = (
            f"INSERT INTO ratings (user_key, item_key, rating, rated_at) VALUES ({mark}, {mark}, 2, {mark}) "
            "ON CONFLICT (user_key, item_key) DO UPDATE SET rating = excluded.rating, rated_at = excluded.rated_at"
        )
        if store.dialect != "sqlite":
            self.connection.driver_connection.autocommit = True
        self.cursor = self.connection.cursor()

    def keys_of(self, pairs):
        """Return the database's own keys of users and items, which the bare statement is given."""
        with self.store._reading() as connection:
            users = dict(connection.execute(sa.text("SELECT user_id, user_key FROM users")).all())
            items = dict(connection.execute(sa.text("SELECT item_id, item_key FROM items")).all())
        return [(users[str(user)], items[str(item)], int(time.time())) for user, item in pairs]

    def write(self, *key):
        """Write one in a transaction of its own."""
        self.cursor.execute(self.statement, key)

    def close(self):
        """Let go of the connection."""
        self.cursor.close()
        self.connection.close()


def source_of(name):
    """Return what a name of data means: the sample, or real MovieLens where it is at hand."""
    return real_folder() / REAL[name] if name in REAL else name


def run(given, folder):
    """Measure all of it and return the figures."""
    url, models = given.store or f"sqlite:///{folder}/store.db", folder / "models"
    store = Store(url).upgrade()
    data = reelated.read(source_of(given.data))
    store.import_data(data, given.data)
    refit(store, Versions(models))
    users = data.ratings.user_ids.values.to_list()
    items = data.ratings.item_ids.values.to_list()
    server = Measured(url, models)
    try:
        told = {"data": given.data, "store": store.dialect, "cores": os.cpu_count()}
        told["reading"] = reading(server, users, given)
        told["refitting"] = refitting(server, users, given, url, models)
        told["writing"] = writing(server, store, users, items, given)
        with store._reading() as connection:
            told["ratings"] = connection.scalar(sa.select(sa.func.count()).select_from(ratings))
    finally:
        server.stop()
        store.close()
    return told


def main():
    """Read the options, measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default="ml-1m")
    parser.add_argument("--store")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--writes", type=int, default=1000)
    parser.add_argument("--quick", action="store_true", help="on the sample, to see that it works")
    given = parser.parse_args()
    if given.quick:
        given.data, given.rounds, given.seconds, given.writes = "sample", 1, 0.5, 100
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(given, Path(folder)), indent=1))


if __name__ == "__main__":
    main()
