"""What does one anonymous request cost? The processor time of the service for each of the dearest ones.

From the folder `benchmarks`: `python -m service.expensive [--items 10000]`, on random ratings of so many items.
"""

import argparse
import http.client
import json
import socket
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import reelated
from reelated.refit import Versions, refit
from reelated.store import Store
from reelated.store.visitors import MAX_DISMISSED
from reelated.web.pages.sessions import VISITOR, Sessions
from service.measure import Measured

JSON = {"Content-Type": "application/json"}


def random_ratings(n_items):
    """Return ratings of 2,000 users of 50 items each."""
    choice = np.random.default_rng(0)
    users = np.repeat(np.arange(2000), 50)
    return {"user": users, "item": choice.integers(0, n_items, len(users)), "stars": choice.integers(1, 6, len(users))}


def bodies():
    """Return name → body of the requests for a new user's list."""
    rated = [{"item_id": item, "rating": 1 + item % 5} for item in range(5000)]
    equal = [(2**61 - 1) * at for at in range(-4, 5)] * 1100
    return {
        "5,000 ratings, n=1000, by=rating": json.dumps({"ratings": rated, "n": 1000, "by": "rating"}),
        "5,000 ratings, n=20, by=rating": json.dumps({"ratings": rated, "n": 20, "by": "rating"}),
        "1,000 ratings, n=100, by=rating": json.dumps({"ratings": rated[:1000], "n": 100, "by": "rating"}),
        "90,000 unknown fields": json.dumps({str(at): 1 for at in range(90_000)}, separators=(",", ":")),
        "330,000 empty lists": '{"ratings": [' + ",".join(["[]"] * 330_000) + "]}",
        "ids of equal hashes": json.dumps({"ratings": [], "exclude": equal}),
    }


def status_of(server, method, path, body=None, headers=JSON):
    """Send one request with these bytes as its body; return the status."""
    connection = http.client.HTTPConnection(server.address, timeout=120)
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    finally:
        connection.close()


def busy_visitor(url, n_items):
    """Store as many ratings and dismissed items of a visitor as are kept; return the headers with the cookie."""
    store = Store(url)
    choice = np.random.default_rng(1).permutation(n_items).tolist()
    store.visitor_rate_many("busy", {item: 1 + item % 5 for item in choice[:5000]})
    for item in choice[5000 : 5000 + MAX_DISMISSED]:
        store.dismiss("busy", item)
    cookie = Sessions(store, None)._signer(VISITOR).dumps("busy")
    store.close()
    return {"Cookie": f"{VISITOR}={cookie}"}


def raw(server, data, seconds=30):
    """Send bytes until the service closes the connection; return how many it took."""
    host, port = server.address.rsplit(":", 1)
    taken, stop = 0, time.monotonic() + seconds
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        try:
            for start in range(0, len(data), 65_536):
                connection.sendall(data[start : start + 65_536])
                taken += 65_536
                if time.monotonic() > stop:
                    break
        except OSError:
            pass
    return taken


def longest_wait(server, work):
    """Return the longest answer time of `/health/live` in seconds, while something else runs."""
    thread, longest = threading.Thread(target=work), 0.0
    thread.start()
    while thread.is_alive():
        start = time.monotonic()
        server.ask("GET", "/health/live")
        longest = max(longest, time.monotonic() - start)
    thread.join()
    return longest


def run(n_items, folder):
    """Send each request once after a first one; return the figures.

    The answer to the header is the longest wait of others for `/health/live` in seconds, that to the rest the status.
    """
    store = Store(f"sqlite:///{folder}/store.db").upgrade()
    store.import_data(reelated.read(random_ratings(n_items), scale=(1, 5, 1), duplicates="last"), "random")
    refit(store, Versions(folder / "models"))
    url, told = str(store.url), {}
    store.close()
    server = Measured(url, folder / "models", "--refit-after", 10**9)

    def measured(name, work):
        before = server.cpu
        answer = work()
        told[name] = {"answer": answer, "cpu s": round(server.cpu - before, 2)}

    try:
        server.ask("POST", "/api/recommendations", {"ratings": [{"item_id": 1, "rating": 5}], "by": "rating"})
        for name, body in bodies().items():
            measured(name, lambda body=body: status_of(server, "POST", "/api/recommendations", body))
        visitor = busy_visitor(url, n_items)
        for path in ("/", "/ratings", "/list?n=100", "/list?n=100&by=rating", "/taste"):
            status_of(server, "GET", path, headers=visitor)  # the first request may compile
            measured(f"{path} of a visitor", lambda path=path: status_of(server, "GET", path, headers=visitor))
        measured("search with 200 characters", lambda: status_of(server, "GET", "/search?query=" + "star+wars+" * 20))
        head = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 100_000_000
        measured("a header of 100 MB", lambda: longest_wait(server, lambda: raw(server, head)))
    finally:
        server.stop()
    return told


def main():
    """Read the options, measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=10_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(run(given.items, Path(folder)), indent=1))


if __name__ == "__main__":
    main()
