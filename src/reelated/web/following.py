"""`Follower`: a background thread that loads new model versions and starts refits."""

import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress

from reelated.store import StoreInfo
from reelated.web.options import ServiceOptions
from reelated.web.pages.sessions import LASTS, VISITOR
from reelated.web.service import Service

log = logging.getLogger("reelated.web")


def threads() -> dict[str, str]:
    """Return environment variables that limit a refit to half of the cores."""
    names = ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    return dict.fromkeys(names, str(max(1, (os.cpu_count() or 1) // 2)))


def start_refit(**told: str) -> "subprocess.Popen[bytes]":
    """Start a refit as an idle-priority process; `told` are environment variables such as `REELATED_STORE`."""
    process = subprocess.Popen([sys.executable, "-m", "reelated.refit"], env=os.environ | told | threads())
    # The parent sets the priority: a call in the child would miss the threads that its imports have started.
    with suppress(ProcessLookupError):  # it may have ended already
        os.setpriority(os.PRIO_PROCESS, process.pid, 19)
        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
    return process


class Follower:
    """Polls for a new model version, due refits and expired visitors."""

    def __init__(self, service: Service, options: ServiceOptions) -> None:
        self.service = service
        self.options = options
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._refit: subprocess.Popen[bytes] | None = None
        self._tried = -1, -1
        self._tidy_at = 0.0

    def start(self) -> None:
        """Load the current model, if any, and start the thread."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread and terminate a running refit; a later one replaces it."""
        self._stopped.set()
        self._thread.join()
        if self._refit is not None and self._refit.poll() is None:
            self._refit.terminate()
            self._refit.wait()

    def _run(self) -> None:
        while not self._stopped.wait(self.options.poll):
            self._look()

    def _look(self) -> None:
        """Run one round; log an error and retry in the next round."""
        try:
            self.service.flush()
            self.service.follow()
            self._tidy_if_due()
            self._refit_if_due()
        except Exception as error:
            log.error("following the model: %s", error)

    def _tidy_if_due(self) -> None:
        """Delete visitors with expired cookies, once an hour."""
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + 3600
            before = int(time.time()) - LASTS[VISITOR]
            self.service.store.forget_visitors_before(before, learned=self.options.learn_from_visitors)

    def _refit_if_due(self) -> None:
        """Start a refit if one is due or requested and none is running."""
        if self._refit is not None:
            if self._refit.poll() is None:
                return
            self._refit = None
            if last := self.service.versions.last_attempt():
                log.info("refit %s: %s", last.outcome, last.why)
        about, version = self.service.store.about(), self.service.versions.current()
        asked = self.service.refit_asked.is_set() and not self.service.versions.is_refitting()
        if asked or self._is_due(about):
            self.service.refit_asked.clear()
            self._tried = about.changes, about.forgotten
            log.info("refit starts" if version else "fitting the first model")
            self._refit = start_refit(
                REELATED_STORE=self.service.store.url.render_as_string(hide_password=False),
                REELATED_MODELS=str(self.service.versions.folder),
                REELATED_INSTEAD_OF=str(version.number if version else 0),
                REELATED_LEARN_FROM_VISITORS=str(self.options.learn_from_visitors),
            )

    def _is_due(self, about: StoreInfo) -> bool:
        """Return whether a refit is due: after enough changes, after `refit_every` hours, or after an erasure."""
        tried = self._tried[0]
        if self.service.versions.current() is None:
            return about.changes > max(tried, 0)
        latest = self.service.versions.all()[0]
        is_other = about.forgotten > latest.forgotten or about.changes < latest.changes  # restored backup
        if is_other and (about.changes, about.forgotten) != self._tried:
            return True
        # Count from the last attempt too, so that a model that was rejected or rolled back is not refitted at once.
        new = about.changes - max(latest.changes, tried)
        hours = (time.time() - latest.made_at) / 3600
        # A small model is refitted when its data has doubled: a new store would wait long for `refit_after` changes.
        enough = min(self.options.refit_after, latest.ratings)
        return new >= enough or (new > 0 and hours >= self.options.refit_every)
