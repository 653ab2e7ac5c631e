"""A worker process as the driver sees it: questions go in, answers come back, threads are pinned."""

import json
import os
import subprocess
import tempfile
import threading
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
LIMIT = 3600
"""Seconds after which a question is given up."""
VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "LK_NUM_THREADS",
    "IRSPACK_NUM_THREADS_DEFAULT",
)
"""What the libraries read the number of threads from."""


class Failed(Exception):
    """A contender could not do what it was asked."""


class Process:
    """A script that answers lines of JSON; one works at a time."""

    def __init__(self, python: Path, script: str, threads: int, *arguments: str, cold: bool = False) -> None:
        self._log = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115
        self._cache = tempfile.TemporaryDirectory() if cold else None
        environment = os.environ | dict.fromkeys(VARIABLES, str(threads)) | {"PYTHONWARNINGS": "ignore"}
        if self._cache is not None:  # so that the first call compiles
            environment["NUMBA_CACHE_DIR"] = self._cache.name
        with cores(threads):
            self._process = subprocess.Popen(
                [str(python), str(HERE / script), *arguments, str(threads)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, env=environment,
            )  # fmt: skip

    def ask(self, question: str, **details: Any) -> dict[str, Any]:
        """Ask and wait for the answer; raise `Failed` with the reason where there is none."""
        timer = threading.Timer(LIMIT, self._process.kill)
        timer.start()
        try:
            self._process.stdin.write(json.dumps({"do": question, **details}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        finally:
            timer.cancel()
        if not line:
            raise Failed(f"ended in {question!r} with {self._process.wait()}: {self._last_words()}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(answer["error"][:300])
        return answer

    @property
    def alive(self) -> bool:
        """Whether it can be asked more."""
        return self._process.poll() is None

    def _last_words(self) -> str:
        self._log.seek(0)
        return (self._log.read().strip().splitlines() or ["no message"])[-1][:200]

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.stdout.close()
        self._log.close()
        if self._cache is not None:
            self._cache.cleanup()


class cores:  # noqa: N801
    """Within it, processes start on this many cores only, where the system can."""

    def __init__(self, threads: int) -> None:
        self._before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
        self._threads = threads

    def __enter__(self) -> None:
        if self._before is not None:
            os.sched_setaffinity(0, sorted(self._before)[: self._threads])

    def __exit__(self, *_: object) -> None:
        if self._before is not None:
            os.sched_setaffinity(0, self._before)
