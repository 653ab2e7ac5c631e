"""Who waits for a locked database? The p99 of requests that need no store, with a free and with a locked store.

From the folder `benchmarks`: `python -m service.locks [--seconds 10] [--writers 45] [--postgresql URL]`; SQLite on a
file of its own, and PostgreSQL if a URL is given. Other clients keep sending ratings all the time.
"""

import argparse
import json
import tempfile
import threading
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path

import sqlalchemy as sa

import reelated
from reelated.refit import Versions, refit
from reelated.store import Store
from service.load import percentile
from service.process import Server

NEW_USER = {"ratings": [{"item_id": item, "rating": 4} for item in range(1, 21)]}
REQUESTS = {"live": ("GET", "/health/live", None), "new user": ("POST", "/api/recommendations", NEW_USER)}


@contextmanager
def locked(url):
    """Hold the write lock of SQLite, or of PostgreSQL's tables those that even readers wait for."""
    engine = sa.create_engine(Store(url).url)
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            connection.connection.driver_connection.isolation_level = None
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("LOCK TABLE ratings, users, items, facts IN ACCESS EXCLUSIVE MODE")
        yield
        connection.rollback()
    engine.dispose()


@contextmanager
def writing(server, clients, statuses):
    """Let clients send ratings until the end of the block, and count the answers."""
    stop = threading.Event()

    def write(user):
        while not stop.is_set():
            status, _ = server.ask("PUT", f"/api/users/{user}/ratings/50", {"rating": 3})
            statuses[status] = statuses.get(status, 0) + 1
            time.sleep(0.2)

    threads = [threading.Thread(target=write, args=(user,)) for user in range(clients)]
    for thread in threads:
        thread.start()
    yield
    stop.set()
    for thread in threads:
        thread.join()


def measure(server, seconds):
    """Ask in turns, one request after the other; return milliseconds."""
    times = {name: [] for name in REQUESTS}
    stop = time.perf_counter() + seconds
    while time.perf_counter() < stop:
        for name, request in REQUESTS.items():
            start = time.perf_counter()
            status, _ = server.ask(*request)
            assert status == 200, (name, status)
            times[name].append(1000 * (time.perf_counter() - start))
        time.sleep(0.01)
    return {f"{name} p99 ms": round(percentile(sorted(each), 0.99), 1) for name, each in times.items()}


def run(url, given):
    """Measure one store, free and locked."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(url or f"sqlite:///{folder}/store.db").upgrade()
        store.import_data(reelated.read("sample"), "sample")
        refit(store, Versions(Path(folder) / "models"))
        store.close()
        url = store.url.render_as_string(hide_password=False)
        server = Server(url, Path(folder) / "models", "--refit-after", 10**9)
        told = {"store": store.dialect}
        try:
            for name, lock in (("unlocked", nullcontext), ("locked", locked)):
                statuses = {}
                with lock(url), writing(server, given.writers, statuses):
                    told[name] = measure(server, given.seconds)
                told[name]["ratings"] = {str(status): count for status, count in statuses.items()}
        finally:
            server.stop()
    return told


def main():
    """Read the options, measure, and print one JSON object a store."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--writers", type=int, default=45)
    parser.add_argument("--postgresql")
    given = parser.parse_args()
    for url in (None, given.postgresql) if given.postgresql else (None,):
        print(json.dumps(run(url, given), indent=1))


if __name__ == "__main__":
    main()
