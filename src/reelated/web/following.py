"""`Follower`: a thread beside the requests that follows the current version of the model, and starts refits."""

import logging
import os
import subprocess
import sys
import threading
import time
from contextlib import suppress

from reelated.store import About
from reelated.web.options import ServiceOptions
from reelated.web.pages.sessions import LASTS, VISITOR
from reelated.web.service import Service

log = logging.getLogger("reelated.web")


def threads() -> dict[str, str]:
    """Return the variables that hold a refit to half of the cores."""
    names = ("NUMBA_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
    return dict.fromkeys(names, str(max(1, (os.cpu_count() or 1) // 2)))


def start_refit(**told: str) -> "subprocess.Popen[bytes]":
    """Start a refit as a process that gives way to all others; `told` are variables such as `REELATED_STORE`."""
    process = subprocess.Popen([sys.executable, "-m", "reelated.refit"], env=os.environ | told | threads())
    with suppress(ProcessLookupError):  # from here: what it sets itself would not hold for threads that it has by then
        os.setpriority(os.PRIO_PROCESS, process.pid, 19)
        if hasattr(os, "SCHED_IDLE"):
            os.sched_setscheduler(process.pid, os.SCHED_IDLE, os.sched_param(0))
    return process


class Follower:
    """Looks every few seconds what there is to do for the model."""

    def __init__(self, service: Service, options: ServiceOptions) -> None:
        self.service = service
        self.options = options
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="follower", daemon=True)
        self._refit: subprocess.Popen[bytes] | None = None
        self._tried = -1, -1
        self._tidy_at = 0.0

    def start(self) -> None:
        """Open the current model, if there is one, and begin to look."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """Come to an end, and end a refit that is under way: it is made again later."""
        self._stopped.set()
        self._thread.join()
        if self._refit is not None and self._refit.poll() is None:
            self._refit.terminate()
            self._refit.wait()

    def _run(self) -> None:
        while not self._stopped.wait(self.options.poll):
            self._look()

    def _look(self) -> None:
        """Do what there is to do; what goes wrong is told and tried again the next time."""
        try:
            self.service.flush()
            self.service.follow()
            self._tidy_if_due()
            self._refit_if_due()
        except Exception as error:
            log.error("following the model: %s", error)

    def _tidy_if_due(self) -> None:
        """Once an hour remove the visitors whose cookies have expired."""
        if time.monotonic() >= self._tidy_at:
            self._tidy_at = time.monotonic() + 3600
            before = int(time.time()) - LASTS[VISITOR]
            self.service.store.forget_visitors_before(before, learned=self.options.learn_from_visitors)

    def _refit_if_due(self) -> None:
        """Start a refit where it is time for one and none is under way."""
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

    def _is_due(self, about: About) -> bool:
        """Say whether a refit is due: after as many changes as there were ratings, `refit_after` at the most.

        What was refused, or gone back from, is made again after as many changes.
        """
        tried = self._tried[0]
        if self.service.versions.current() is None:
            return about.changes > max(tried, 0)
        latest = self.service.versions.all()[0]
        is_other = about.forgotten > latest.forgotten or about.changes < latest.changes  # a store that was restored
        if is_other and (about.changes, about.forgotten) != self._tried:
            return True
        new = about.changes - max(latest.changes, tried)
        hours = (time.time() - latest.made_at) / 3600
        enough = min(self.options.refit_after, latest.ratings)
        return new >= enough or (new > 0 and hours >= self.options.refit_every)
