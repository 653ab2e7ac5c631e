"""The server: socket, worker processes, JSON logs and graceful shutdown."""

import ctypes
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from typing import Any

import orjson
import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import multiprocess

from reelated.errors import InputError
from reelated.web.app import create_app
from reelated.web.service_options import ServiceOptions
from reelated.web.shutdown import DrainingServer, LimitedProtocol, Worker, Workers

PR_SET_PDEATHSIG = 1
_STANDARD_FIELDS = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonLines(logging.Formatter):
    """Log formatter: one JSON object a line with time, level, message and the extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD_FIELDS}
        if record.exc_info:
            line["error"] = "".join(traceback.format_exception(*record.exc_info))
        return orjson.dumps(line, default=str).decode()


class PlainLines(logging.Formatter):
    """Log formatter for a terminal: the time, the message, and of a request the route, status and time."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = vars(record)
        text = record.getMessage()
        if "route" in fields:
            text = f"{fields['method']} {fields['route']} {fields['status']} ({fields['ms']:.0f} ms)"
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        return f"{clock} {level}{text}" + (f"\n{self.formatException(record.exc_info)}" if record.exc_info else "")


def formatter() -> logging.Formatter:
    """Return the log formatter: lines for people on a terminal, else JSON for programs."""
    return PlainLines() if sys.stderr.isatty() else JsonLines()


LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"lines": {"()": "reelated.web.server.formatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "lines"}},
    "loggers": {
        name: {"handlers": ["stderr"], "level": level, "propagate": False}
        for name, level in {"reelated": "INFO", "uvicorn": "INFO", "alembic": "WARNING"}.items()
    },
}


def app() -> FastAPI:
    """Create the application of a worker from the environment variables that `run` sets."""
    _end_with_parent()
    return create_app(ServiceOptions.from_environment())


def run(
    options: ServiceOptions,
    bound: socket.socket,
    *,
    workers: int,
    say: Callable[[str], None],
    app_factory: str = f"{__name__}:app",
) -> None:
    """Serve until a signal stops the process."""
    os.environ.update(options.to_environment())
    config = uvicorn.Config(
        app_factory,
        factory=True,
        workers=workers,
        http=LimitedProtocol,
        log_config=LOGGING,
        access_log=False,
        server_header=False,
        proxy_headers=options.proxy,
        timeout_graceful_shutdown=30,
        timeout_worker_healthcheck=120,  # a worker may start slowly on a busy machine
    )
    signal.signal(signal.SIGTERM, _exit)  # uvicorn finishes open requests and then raises the signal again
    with _listening(bound) as listening:
        host = f"[{options.host}]" if ":" in options.host else options.host
        say(f"Reelated is running at http://{host}:{listening.getsockname()[1]} (API reference: /docs).")
        if workers == 1:
            DrainingServer(config).run(sockets=[listening])
            return
        with tempfile.TemporaryDirectory(prefix="reelated-metrics-") as folder:
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder  # the workers share their metrics here
            multiprocess.Process = Worker  # type: ignore[misc]  # uvicorn creates its workers by this name
            Workers(config, sockets=[listening]).run()


def _end_with_parent() -> None:
    """Ask Linux to end a worker if the process that started it is killed; otherwise the worker would hold the port."""
    parent = multiprocessing.parent_process()
    if parent is None or sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent.pid:  # the parent ended before the call
        raise SystemExit(1)


def _exit(_signal: int, _frame: Any) -> None:
    raise SystemExit(0)


def bind(host: str, port: int) -> socket.socket:
    """Bind a port, or raise `InputError`. Connections are refused until `run` listens."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if bound.family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # `::` must not open IPv4 as well
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise _cannot_bind(host, port, error) from None
    return bound


def _listening(bound: socket.socket) -> socket.socket:
    """Start to listen, and make the socket inheritable by workers."""
    try:
        bound.listen()
    except OSError as error:  # SO_REUSEADDR lets another process bind the port too; the first to listen gets it
        host, port = bound.getsockname()[:2]
        bound.close()
        raise _cannot_bind(host, port, error) from None
    bound.set_inheritable(True)
    return bound


def _cannot_bind(host: str, port: int, error: OSError) -> InputError:
    return InputError(f"--host {host} --port {port}: {error.strerror or error}. Choose another.")
