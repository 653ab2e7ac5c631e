"""`HiddenItems`: the hidden items in memory, so that no request depends on the store for them."""

import logging
import threading
import time
from collections.abc import Callable

from reelated.store import StoreUnavailable

log = logging.getLogger("reelated.web")
WAIT = 0.25
"""Longest wait of a request for the store, in seconds; the next requests do not wait until the store answers."""
RETRY = 5.0
"""Seconds until the next query after a failed one."""


class HiddenItems:
    """Reads the hidden items in a separate thread; concurrent requests share one query."""

    def __init__(self, read: Callable[[], frozenset[int]]) -> None:
        self.keys: frozenset[int] = frozenset()
        self._read = read
        self._changed = threading.Condition()
        self._asked = self._answered = 0
        self._is_late = False
        self._next_query = 0.0
        self._thread: threading.Thread | None = None

    def latest(self) -> frozenset[int]:
        """Return the hidden items as of now, or the last known ones if the store does not answer in time."""
        with self._changed:
            if self._is_late or time.monotonic() < self._next_query:
                return self.keys
            if self._thread is None:  # a daemon: a store that never answers must not hold up the end of the process
                self._thread = threading.Thread(target=self._run, name="hidden-items", daemon=True)
                self._thread.start()
            self._asked += 1
            ticket = self._asked
            self._changed.notify_all()
            self._is_late = not self._changed.wait_for(lambda: self._answered >= ticket, WAIT)
            return self.keys

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._asked > self._answered)
                ticket = self._asked  # a query that starts now answers all requests so far
            keys = self._query()
            with self._changed:
                if keys is None:
                    self._next_query = time.monotonic() + RETRY
                else:
                    self.keys = keys
                self._answered, self._is_late = ticket, False
                self._changed.notify_all()

    def _query(self) -> frozenset[int] | None:
        """Return the hidden items, or None if the store fails."""
        try:
            return self._read()
        except StoreUnavailable:
            return None
        except Exception:
            log.exception("hidden items")
            return None
