"""Requests over kept connections: as many as will go, or so many a second, and how long each took."""

import random
import socket
import threading
import time

CONNECTIONS = 4
KEPT = 3.0
"""Seconds for which an idle connection is kept; the service closes it after five."""


class Connection:
    """One kept connection, by hand: a client that does more would measure itself."""

    def __init__(self, address):
        self.host = address
        self._open()

    def _open(self):
        host, port = self.host.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.used = time.monotonic()

    def ask(self, method, path, body=b""):
        """Send one request, read its answer to the end, and return the status."""
        if time.monotonic() - self.used > KEPT:
            self.close()
            self._open()
        head = f"{method} {path} HTTP/1.1\r\nHost: {self.host}\r\nContent-Type: application/json\r\n"
        self.socket.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        got = b""
        while b"\r\n\r\n" not in got:
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionError("the service closed the connection")
            got += part
        head, _, rest = got.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        while len(rest) < length:
            rest += self.socket.recv(65536)
        self.used = time.monotonic()
        return int(head[9:12])

    def close(self):
        """Let go of it."""
        self.socket.close()


def at_most(address, requests, seconds):
    """Ask without a pause; return how many requests a second were answered."""
    counts = [0] * CONNECTIONS
    stop = time.perf_counter() + seconds

    def ask(who):
        connection, choice = Connection(address), random.Random(who)
        while time.perf_counter() < stop:
            expect(connection.ask(*requests(choice)))
            counts[who] += 1
        connection.close()

    start = time.perf_counter()
    _all(ask)
    return sum(counts) / (time.perf_counter() - start)


def at_rate(address, requests, seconds, rate):
    """Ask so often a second, however long answers take; return the times from when each was due, in seconds."""
    times = [[] for _ in range(CONNECTIONS)]
    pause, start = CONNECTIONS / rate, time.perf_counter()

    def ask(who):
        connection, choice = Connection(address), random.Random(who)
        due = start + pause * who / CONNECTIONS
        while due < start + seconds:
            if (wait := due - time.perf_counter()) > 0:
                time.sleep(wait)
            expect(connection.ask(*requests(choice)))
            times[who].append(time.perf_counter() - due)
            due += pause
        connection.close()

    _all(ask)
    return sorted(second for part in times for second in part)


def expect(status):
    """Raise where a request failed."""
    if not 200 <= status < 300:
        raise RuntimeError(f"answered with {status}")


def percentile(times, share):
    """Return the time below which a share of the requests was answered."""
    return times[min(int(len(times) * share), len(times) - 1)]


def _all(work):
    """Let one thread work for each connection, and raise what goes wrong in one."""
    errors = []

    def watched(who):
        try:
            work(who)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=watched, args=(who,)) for who in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
