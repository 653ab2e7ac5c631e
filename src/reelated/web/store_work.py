"""`StoreWork`: threads for work that needs the store, so that a store that blocks leaves threads for all other work."""

from collections.abc import Awaitable, Callable
from functools import partial, wraps
from typing import Any

from anyio import CapacityLimiter, WouldBlock, fail_after
from anyio.to_thread import run_sync

from reelated.store import StoreUnavailable

THREADS = 16
"""Requests that may use the store at the same time; the pool has 40 threads."""
WAIT = 2.0
"""Longest wait for one of them, in seconds."""
LOCK_TIMEOUT = 1.0
"""Longest wait of a request for a lock of the database, in seconds."""


class StoreWork:
    """Runs handlers in at most `THREADS` threads; a request that gets none in time is answered with 503."""

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
            self.limiter.acquire_on_behalf_of_nowait(borrower)  # saves a turn of the event loop if a thread is free
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
