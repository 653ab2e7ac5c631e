"""Is anything lost? The service is killed at random moments while four clients write, round after round.

From the folder `benchmarks`: `python -m service.faults [--rounds 200] [--store URL]`; without a URL on a SQLite file.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import sqlalchemy as sa

import reelated
from reelated.refit import Versions, refit
from reelated.store import Store
from reelated.store.schema import ratings, users
from service.process import Server

CLIENTS = 4


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


def run(rounds, url, folder):
    """Kill the service so many times; return how many ratings were acknowledged, or what was lost."""
    store = Store(url).upgrade()
    store.import_data(reelated.read("sample"), "sample")
    refit(store, Versions(folder / "models"))
    store.close()
    clients, moments, total = Clients(), random.Random(0), 0
    for round_ in range(rounds):
        server = Server(url, folder / "models")
        clients.start(server, round_)
        time.sleep(moments.uniform(0.05, 1.0))
        server.kill()
        for thread in clients.threads:
            thread.join()
        total += clients.answered
        if lost := clients.lost(kept_by(url)):
            return f"round {round_ + 1}: lost {lost}"
        print(f"round {round_ + 1}: {clients.answered:,} acknowledged, nothing lost", flush=True)
    return total


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
    print(f"{given.rounds} rounds: {told:,} ratings acknowledged, 0 lost, 0 twice")


if __name__ == "__main__":
    main()
