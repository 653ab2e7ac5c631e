"""Does it stay in service? Mixed load while the store is locked, models are damaged, and the service is restarted.

From the folder `benchmarks`: `python -m service.chaos [--minutes 30] [--store URL]`; without a URL on a SQLite file.
Every few seconds one of these happens, at random. A status that the API does not document, or a connection that fails
although no restart is under way, is a fault; exit code 1 if there was one, or if the service is not ready in the end.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import reelated
from reelated.refit import Versions, refit
from reelated.store import Store
from service.locks import locked
from service.process import Server

CLIENTS = 4
PAUSE = 0.02
DOCUMENTED = {200, 202, 204, 404, 503}
NEW_USER = {"ratings": [{"item_id": item, "rating": 4} for item in range(1, 21)]}


class Chaos:
    """The service with its clients, and what happens to it."""

    def __init__(self, url, folder, seed):
        self.url, self.versions, self.choice = url, Versions(folder / "models"), random.Random(seed)
        self.log = folder / "log"
        self.counts, self.happened, self.faults = Counter(), Counter(), []
        self.memory, self.descriptors = [], []
        self.restarts, self.is_restarting, self.stop = 0, False, threading.Event()
        self.server = self._started()

    def _started(self):
        return Server(self.url, self.versions.folder, "--refit-after", 200, log=self.log)

    # ------------------------------------------------------------------------------------------------------- requests
    def ask(self, who):
        """Send requests until the end."""
        choice = random.Random(who)
        while not self.stop.is_set():
            method, path, body = request(choice)
            before, was_restarting = self.restarts, self.is_restarting
            status, answer = self.server.ask(method, path, body)
            is_excused = was_restarting or self.is_restarting or self.restarts != before
            self.counts[status] += 1
            if status not in DOCUMENTED and not (status is None and is_excused):
                self.faults.append(f"{method} {path}: {status} {answer}")
            time.sleep(PAUSE)

    # -------------------------------------------------------------------------------------------------------- accidents
    def lock(self):
        """Lock the store for some seconds."""
        with locked(self.url):
            time.sleep(self.choice.uniform(0.5, 4.0))

    def damage(self):
        """Change a byte of the current model."""
        version = self.versions.current()
        files = [path for path in self.versions.folder.glob(f"{version.number:06}.model/*") if path.stat().st_size]
        path = self.choice.choice(sorted(files))
        content = bytearray(path.read_bytes())
        content[self.choice.randrange(len(content))] ^= self.choice.randrange(1, 256)
        other = path.with_name(f".{path.name}")  # in place, it would change the arrays that are mapped
        other.write_bytes(content)
        other.replace(path)

    def damage_and_restart(self):
        """Change a byte of the current model, which the next start has to notice."""
        self.damage()
        self.restart()

    def restart(self):
        """Stop the service and start it."""
        self._replace(lambda: self.server.stop())

    def kill(self):
        """Kill the service and start it."""
        self._replace(lambda: self.server.kill())

    def refit(self):
        """Ask for a refit."""
        self.server.ask("POST", "/api/refit")

    def erase(self):
        """Erase a user, after which no earlier model may be served."""
        self.server.ask("DELETE", f"/api/users/{self.choice.randrange(1, 600)}")

    def _replace(self, end):
        self.is_restarting = True
        end()
        self.server = self._started()
        self.restarts += 1
        self.is_restarting = False

    # ------------------------------------------------------------------------------------------------------------- run
    def run(self, seconds):
        """Let it happen for so long; return what was seen."""
        threads = [threading.Thread(target=self.ask, args=(who,)) for who in range(CLIENTS)]
        for thread in threads:
            thread.start()
        accidents = [self.lock, self.damage, self.damage_and_restart, self.restart, self.kill, self.refit, self.erase]
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                accident = self.choice.choice(accidents)
                accident()
                self.happened[accident.__name__] += 1
                self._measure()
                time.sleep(self.choice.uniform(0.5, 5.0))
        finally:
            self.stop.set()
            for thread in threads:
                thread.join()
        ready = self._wait_until_ready()
        code = self.server.stop()
        return {
            "minutes": round(seconds / 60, 1),
            "requests": {str(status): count for status, count in self.counts.most_common()},
            "happened": dict(self.happened),
            "faults": self.faults[:20],
            "tracebacks": self.log.read_text().count("Traceback"),
            "ready in the end": ready,
            "exit": code,
            "most MB": max(self.memory),
            "last MB": self.memory[-1],
            "most descriptors": max(self.descriptors),
        }

    def _measure(self):
        process = Path(f"/proc/{self.server.process.pid}")
        size = next(line for line in (process / "status").read_text().splitlines() if line.startswith("VmRSS"))
        self.memory.append(round(int(size.split()[1]) / 1024))
        self.descriptors.append(len(list((process / "fd").iterdir())))

    def _wait_until_ready(self):
        end = time.monotonic() + 300
        while time.monotonic() < end:
            if self.server.ask("GET", "/health/ready")[0] == 200:
                return True
            time.sleep(0.2)
        return False


def request(choice):
    """Return a request of the mix."""
    user, item = choice.randrange(1, 700), choice.randrange(1, 491)
    kinds = [
        ("GET", f"/api/users/{user}/recommendations", None),
        ("PUT", f"/api/users/{user}/ratings/{item}", {"rating": choice.randrange(1, 6)}),
        ("GET", f"/api/users/{user}/ratings", None),
        ("GET", f"/api/items/{item}/similar", None),
        ("GET", f"/api/items/{item}/audience", None),
        ("GET", "/api/items?query=the&n=5", None),
        ("POST", "/api/recommendations", NEW_USER),
        ("GET", "/health/live", None),
        ("GET", "/health/ready", None),
    ]
    return choice.choice(kinds)


def main():
    """Read the options, and exit with 1 for a fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--store")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        store = Store(given.store or f"sqlite:///{folder}/store.db").upgrade()
        store.import_data(reelated.read("sample"), "sample")
        refit(store, Versions(folder / "models"))
        store.close()
        chaos = Chaos(store.url.render_as_string(hide_password=False), folder, given.seed)
        told = chaos.run(60 * given.minutes)
    print(json.dumps(told, indent=1))
    sys.exit(bool(told["faults"]) or not told["ready in the end"])


if __name__ == "__main__":
    main()
