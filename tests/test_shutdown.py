"""Shutdown of the service: complete requests are answered, and incomplete ones delay it only briefly."""

import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest
import uvicorn
from starlette.applications import Starlette

from reelated.web import shutdown
from reelated.web.metrics import Metrics
from reelated.web.security import SecurityMiddleware
from reelated.web.service_options import ServiceOptions
from reelated.web.shutdown import LimitedProtocol
from service.process import Server

CLIENTS = 48
HALF = b"POST /rate HTTP/1.1\r\nHost: localhost\r\nContent-Length: 24\r\n\r\nrating=5&item_id=1"


def connected(address):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=60)


def put(user):
    """Return the bytes of a rating."""
    body = json.dumps({"rating": 4})
    head = f"PUT /api/users/{user}/ratings/50 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def status_of(connection):
    """Return the status of a response after which the connection is closed properly."""
    received = b""
    with connection:
        while part := connection.recv(65_536):
            received += part
    return received[9:12]


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone lists the processes of another one")
@pytest.mark.parametrize("workers", [1, 2])
def test_requests_that_wait_in_the_kernel_are_answered(tmp_path, stored_sample, workers):
    store, versions = stored_sample(tmp_path)
    server = Server(str(store.url), versions.folder, "--workers", workers, log=tmp_path / "log")
    processes = [server.process.pid, *children(server.process.pid)] if workers > 1 else [server.process.pid]
    kept = connected(server.address)  # a kept connection, on which the next request waits
    kept.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    received = b""
    while not received.endswith(b"}"):
        received += kept.recv(65_536)
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    connections = [kept, *(connected(server.address) for _ in range(CLIENTS))]
    for user, connection in enumerate(connections):
        connection.sendall(put(50_000 + user))
    os.kill(server.process.pid, signal.SIGTERM)
    for pid in processes:
        os.kill(pid, signal.SIGCONT)
    assert [status_of(connection) for connection in connections] == [b"200"] * (CLIENTS + 1)
    assert server.stop() == 0
    assert all(store.ratings_of(50_000 + user) for user in range(CLIENTS + 1))
    store.close()


def children(pid):
    """Return the processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def served(monkeypatch):
    """A small application behind the middleware, served in a thread: the server, its address, and the bodies it got."""
    bodies = []

    async def rate(request):
        bodies.append(await request.body())

    options = ServiceOptions()
    app = SecurityMiddleware(Starlette(), options, Metrics())
    app.app.add_route("/rate", rate, ["POST"])
    monkeypatch.setattr(shutdown, "RECEIVING", 0.3)
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=LimitedProtocol, log_config=None, lifespan="off", timeout_graceful_shutdown=300)
    server = shutdown.DrainingServer(config)
    thread = threading.Thread(target=server.run, args=([listening],))
    thread.start()
    address = "{}:{}".format(*listening.getsockname())
    yield server, thread, address, bodies
    server.should_exit = True
    thread.join()


@pytest.mark.parametrize("sent", [HALF, HALF[:30], HALF[:70]])
def test_a_request_that_was_sent_in_part_does_not_delay_the_end(served, sent):
    server, thread, address, bodies = served
    connection = connected(address)
    connection.sendall(sent)
    while not server.server_state.connections:
        pass
    server.should_exit = True
    thread.join(60)
    assert not thread.is_alive()
    assert connection.recv(65_536) == b""
    connection.close()
    assert bodies == []


def test_the_first_part_of_a_form_is_not_taken_for_the_form(served):
    server, _, address, bodies = served
    connection = connected(address)
    connection.sendall(HALF)
    while not server.server_state.tasks:
        pass
    connection.close()
    while server.server_state.tasks:
        time.sleep(0.01)
    assert bodies == []
