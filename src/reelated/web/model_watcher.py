"""`ModelWatcher`: a background thread that loads new model versions and starts refits."""

import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress

from reelated.errors import library_errors
from reelated.refit import Version
from reelated.store import StoreInfo, StoreUnavailable
from reelated.web.pages.sessions import LIFETIMES, VISITOR
from reelated.web.service import Service
from reelated.web.service_options import ServiceOptions

log = logging.getLogger("reelated.web")
THREADS = ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
"""Environment variables that limit the threads of a refit."""
RETRY = 60.0
"""Seconds to wait before a damaged model is loaded again, or a crashed refit is retried."""


def refit_environment(**variables: str) -> dict[str, str]:
    """Return the environment of a refit: the service's environment without the key, and these variables."""
    return {name: value for name, value in os.environ.items() if name != "REELATED_API_KEY"} | variables


def start_refit(**variables: str) -> "subprocess.Popen[bytes]":
    """Start a refit as a process with idle priority and these environment variables, such as `REELATED_STORE`."""
    half_of_cores = str(max(1, (os.cpu_count() or 1) // 2))
    environment = refit_environment(**variables, **dict.fromkeys(THREADS, half_of_cores))
    process = subprocess.Popen([sys.executable, "-m", "reelated.refit"], env=environment)
    # The parent sets the priority: a call in the child would miss the threads that its imports have started.
    with suppress(ProcessLookupError):  # the refit may have ended already
        os.setpriority(os.PRIO_PROCESS, process.pid, 19)
        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
    return process


class ModelWatcher:
    """Polls for a new model version, due refits and expired visitors."""

    def __init__(self, service: Service, options: ServiceOptions) -> None:
        self.service = service
        self.options = options
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="model-watcher", daemon=True)
        self._refit: subprocess.Popen[bytes] | None = None
        self._last_try = -1, -1
        self._next_cleanup = 0.0
        self._damaged: Version | None = None
        self._next_load = self._next_refit = 0.0

    def start(self) -> None:
        """Finish an interrupted switch, load the current model, if any, and start the thread."""
        self.service.versions.repair()
        self._poll()
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and terminate a running refit; a later refit replaces it."""
        self._stopped.set()
        self._thread.join()
        if self._refit is not None and self._refit.poll() is None:
            self._refit.terminate()
            self._refit.wait()

    def _run(self) -> None:
        while not self._stopped.wait(self.options.poll):
            self._poll()

    def _poll(self) -> None:
        """Run one round; log an error and retry in the next round."""
        for step in (self.service.flush, self._load_current, self._clean_up_if_due, self._refit_if_due):
            try:
                step()
            except StoreUnavailable as error:
                log.error("model watcher: %s", error)
                return
            except library_errors() as error:  # the next step may help: a refit replaces a damaged model
                log.error("model watcher: %s: %s", type(error).__name__, error)

    def _load_current(self) -> None:
        """Load the current model; if it is damaged, load the last good one and request a refit."""
        version = self.service.versions.current()
        if version is not None and version == self._damaged and time.monotonic() < self._next_load:
            return
        try:
            self.service.load_current()
            self._damaged = None
        except StoreUnavailable:
            raise
        except library_errors() as error:
            if self.service.versions.current() != version:
                return  # a refit has replaced it and removed its files; the next round loads the new one
            log.error("the model cannot be served: %s: %s", type(error).__name__, error)
            self._damaged, self._next_load = version, time.monotonic() + RETRY
            self.service.request_refit()
            if not self.service.is_ready:
                self.service.load_fallback()

    def _clean_up_if_due(self) -> None:
        """Delete visitors with expired cookies, once an hour."""
        if time.monotonic() >= self._next_cleanup:
            self._next_cleanup = time.monotonic() + 3600
            before = int(time.time()) - LIFETIMES[VISITOR]
            self.service.store.forget_visitors_before(before, learned=self.options.learn_from_visitors)

    def _refit_if_due(self) -> None:
        """Start a refit if one is due or requested and none is running."""
        if self._refit is not None:
            if (exit_code := self._refit.poll()) is None:
                return
            self._refit = None
            if exit_code:
                log.error("the refit died with exit code %d", exit_code)
                self._last_try, self._next_refit = (-1, -1), time.monotonic() + RETRY
                self.service.versions.repair()
            if last := self.service.versions.last_attempt():
                log.info("refit %s: %s", last.outcome, last.why)
        if time.monotonic() < self._next_refit:
            return
        about, version = self.service.store.about(), self.service.versions.current()
        requested = self.service.refit_requested.is_set() and not self.service.versions.is_refitting()
        if requested or self._is_due(about):
            self.service.refit_requested.clear()
            self._last_try = about.changes, about.forgotten
            log.info("starting a refit" if version else "fitting the first model")
            self._refit = start_refit(
                REELATED_STORE=self.service.store.url.render_as_string(hide_password=False),
                REELATED_MODELS=str(self.service.versions.folder),
                REELATED_INSTEAD_OF=str(version.number if version else 0),
                REELATED_LEARN_FROM_VISITORS=str(self.options.learn_from_visitors),
            )

    def _is_due(self, about: StoreInfo) -> bool:
        """Return whether a refit is due: after enough changes, after `refit_every` hours, or after an erasure."""
        tried_changes, current = self._last_try[0], self.service.versions.current()
        if current is None:
            return about.changes > max(tried_changes, 0)
        latest = self.service.versions.all()[0]
        # There are fewer changes than at the fit, so the store was restored from a backup.
        is_outdated = about.forgotten > current.forgotten or about.changes < latest.changes
        if is_outdated and (about.changes, about.forgotten) != self._last_try:
            return True
        # Count from the last attempt too, so that a model that was rejected or rolled back is not refitted at once.
        new = about.changes - max(latest.changes, tried_changes)
        hours = (time.time() - latest.made_at) / 3600
        # A small model is refitted when its data has doubled: a new store would wait a long time for `refit_after`
        # changes.
        enough = min(self.options.refit_after, latest.ratings)
        return new >= enough or (new > 0 and hours >= self.options.refit_every)
