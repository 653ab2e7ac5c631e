"""Is anything lost? The service is killed at random moments while clients write and erase, and refits run.

From the folder `benchmarks`: `python -m service.faults [--rounds 200] [--store URL]`; without a URL on a SQLite file.
Four clients rate, one sends batches, one erases users. Every few ratings a refit is due; half of the kills end it, too.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import sqlalchemy as sa

import reelated
from reelated.refit import Versions, refit
from reelated.store import Store
from reelated.store.schema import ratings, users
from service.process import Template

CLIENTS = 4
BATCH = range(1, 41)


class Clients:
    """Four clients who rate one movie after the other until nobody answers, each as a user of their own."""

    def __init__(self):
        self.acknowledged, self.under_way = {}, {}
        self.answered = 0

    def start(self, server, round_):
        """Begin to write."""
        self.answered = 0
        self.threads = [threading.Thread(target=self._rate, args=(server, who, round_)) for who in range(CLIENTS)]
        for thread in self.threads:
            thread.start()

    def _rate(self, server, who, round_):
        for at in range(10**6):
            pair, rating = (10_000 + who, 1 + (at * 7 + round_) % 490), 1 + (at + who + round_) % 5
            self.under_way.setdefault(pair, set()).add(rating)
            if server.ask("PUT", f"/api/users/{pair[0]}/ratings/{pair[1]}", {"rating": rating})[0] != 200:
                return  # it may be kept or not, and must be one or the other
            self.acknowledged[pair] = rating
            del self.under_way[pair]
            self.answered += 1

    def lost(self, kept):
        """Return what was acknowledged, and what is there instead, though nothing else was sent since."""
        return {
            pair: (rating, kept.get(pair))
            for pair, rating in self.acknowledged.items()
            if kept.get(pair) not in {rating, *self.under_way.get(pair, ())}
        }


class MoreClients(Clients):
    """Two more clients: one rates the same movies again and again in one request, one rates and is erased."""

    def __init__(self):
        super().__init__()
        self.batch, self.batch_under_way = None, set()
        self.erased, self.n_erasures = set(), 0
        self.counts = Counter()

    def start(self, server, round_):
        """Begin to write."""
        super().start(server, round_)
        for work in (self._send_batches, self._erase):
            self.threads.append(threading.Thread(target=work, args=(server,)))
            self.threads[-1].start()

    def _send_batches(self, server):
        while True:
            rating = 1 + self.counts["batches"] % 5
            self.batch_under_way.add(rating)
            rows = [{"user_id": 30_000, "item_id": item, "rating": rating} for item in BATCH]
            if server.ask("POST", "/api/ratings", {"ratings": rows})[0] != 200:
                return
            self.batch, self.batch_under_way = rating, set()
            self.counts["batches"] += 1

    def _erase(self, server):
        while True:
            self.n_erasures += 1
            user = 40_000 + self.n_erasures
            for item in (1, 2, 3):
                if server.ask("PUT", f"/api/users/{user}/ratings/{item}", {"rating": 5})[0] != 200:
                    return
            if server.ask("DELETE", f"/api/users/{user}")[0] not in (200, 204):
                return
            self.erased.add(user)
            self.counts["erasures"] += 1

    def faults(self, kept):
        """Return what is wrong in the store."""
        found = [f"lost {lost}"] if (lost := self.lost(kept)) else []
        values = {kept.get((30_000, item)) for item in BATCH}
        if len(values) > 1 or not values <= {self.batch, *self.batch_under_way}:
            found.append(f"a torn or lost batch: {values}, acknowledged {self.batch}")
        if back := self.erased & {user for user, _ in kept}:
            found.append(f"erased users are back: {back}")
        return found


def kept_by(url):
    """Return the ratings of the test's own users, as they are in the store."""
    store = Store(url)
    query = sa.select(users.c.user_id, ratings.c.item_key, ratings.c.rating).join_from(users, ratings)
    keys = {key: int(text) for key, text in store.all_item_keys()}
    with store._reading() as connection:
        rows = connection.execute(query.where(sa.func.length(users.c.user_id) == 5)).all()
    store.close()
    assert len(rows) == len({row[:2] for row in rows})
    return {(int(user), keys[item]): rating for user, item, rating in rows}


def kill(server, *, with_refit):
    """Kill the service, and the refit that it has started; return how many were killed."""
    pid = server.pid
    started = [child for each in Path(f"/proc/{pid}/task").glob("*/children") for child in each.read_text().split()]
    server.kill()
    for child in started if with_refit else ():
        with suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)
    return len(started) * with_refit


def run(rounds, url, folder):
    """Kill the service so many times; return the counts, or what went wrong."""
    store, versions = Store(url).upgrade(), Versions(folder / "models")
    store.import_data(reelated.read("sample"), "sample")
    refit(store, versions)
    store.close()
    clients, moments, template = MoreClients(), random.Random(0), Template()
    for round_ in range(rounds):
        server = template.start(url, versions.folder, "--refit-after", 50)
        clients.start(server, round_)
        time.sleep(moments.uniform(0.05, 1.0 if round_ % 4 else 8.0))
        clients.counts["refits killed"] += kill(server, with_refit=moments.random() < 0.5)
        for thread in clients.threads:
            thread.join()
        clients.counts["ratings"] += clients.answered
        faults = clients.faults(kept_by(url))
        version = versions.current()
        versions.load(version)  # raises for a half model
        if faults:
            return f"round {round_ + 1}: {'; '.join(faults)}"
        told = ", ".join(f"{count:,} {name}" for name, count in clients.counts.items())
        print(f"round {round_ + 1}: {told}, version {version.number}", flush=True)
    template.close()
    return clients.counts | {"versions": versions.current().number}


def main():
    """Read the options, and exit with 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--store")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        told = run(given.rounds, given.store or f"sqlite:///{folder}/store.db", Path(folder))
    if isinstance(told, str):
        sys.exit(told)
    print(f"{given.rounds} kills: {dict(told)}, nothing lost, torn or back")


if __name__ == "__main__":
    main()
