"""Work that needs the store: a store that blocks or does not answer must not stop all other work."""

import logging
import threading
import time
from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any

from anyio import CapacityLimiter, WouldBlock, fail_after
from anyio.to_thread import run_sync

from reelated.store import StoreUnavailable

log = logging.getLogger("reelated.web")
THREADS = 16
"""Requests that may use the store at the same time; the pool has 40 threads."""
WAIT = 2.0
"""Maximum wait for one of these threads, in seconds."""
LOCK_TIMEOUT = 1.0
"""Longest wait of a request for a lock of the database, in seconds."""
QUERY_WAIT = 0.25
"""Longest wait for the hidden items, in seconds; the next requests do not wait until the store answers."""
RETRY = 5.0
"""Seconds until the next query of the hidden items after a failed one."""


class StoreWork:
    """Runs handlers in at most `THREADS` threads; a request that gets no thread in time is answered with 503."""

    def __init__(self) -> None:
        self.limiter = CapacityLimiter(THREADS)

    def wrap(self, handler: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        """Return an async handler with the same signature."""

        @wraps(handler)
        async def handle(*args: Any, **params: Any) -> Any:
            return await self.run(handler, *args, **params)

        return handle

    async def run(self, work: Callable[..., Any], *args: Any, **params: Any) -> Any:
        """Call a blocking function in a thread."""
        borrower = object()
        try:
            self.limiter.acquire_on_behalf_of_nowait(borrower)  # a free thread saves a turn of the event loop
        except WouldBlock:
            await self._wait(borrower)
        try:
            return await run_sync(partial(work, *args, **params))
        finally:
            self.limiter.release_on_behalf_of(borrower)

    async def _wait(self, borrower: object) -> None:
        """Wait for a thread that is free."""
        try:
            with fail_after(WAIT):
                await self.limiter.acquire_on_behalf_of(borrower)
        except TimeoutError:
            raise StoreUnavailable("All threads wait for the store.") from None


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
            if self._thread is None:  # a daemon: a store that never answers must not delay the end of the process
                self._thread = threading.Thread(target=self._run, name="hidden-items", daemon=True)
                self._thread.start()
            self._asked += 1
            ticket = self._asked
            self._changed.notify_all()
            self._is_late = not self._changed.wait_for(lambda: self._answered >= ticket, QUERY_WAIT)
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
