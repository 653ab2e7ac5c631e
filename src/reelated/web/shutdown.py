"""`LimitedProtocol`, uvicorn's HTTP parser with a limit on headers, and `DrainingServer`, which loses no request.

Closing a socket resets the connections that wait in it to be accepted, and a connection with unread bytes. So the
server first accepts the waiting connections and reads their requests. It answers every request that was sent before it
stops.
"""

import asyncio
import fcntl
import select
import socket
import struct
import termios
import time
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

MAX_HEAD = 65_536
"""Maximum number of bytes of a head (the URL and all headers), and of the trailers after a body."""
ACCEPTING = 10.0
"""Maximum time in seconds to accept waiting connections; a busy site always has new ones."""
IDLE = 0.25
"""Time in seconds to wait for a request that is on its way on a kept-alive connection."""
RECEIVING = 5.0
"""Time in seconds without a received byte after which an incomplete request is abandoned."""
LONGEST = 30.0
"""Time in seconds after which nothing more is read."""


class LimitedProtocol(HttpToolsProtocol):
    """Closes a connection whose URL, headers or trailers are too long; the parser itself has no limit."""

    def __init__(self, *args: Any, **params: Any) -> None:
        super().__init__(*args, **params)
        self._unfinished = 0

    @property
    def has_part_of_head(self) -> bool:
        """Whether the URL, the headers or the trailers of a request have arrived in part."""
        return self._unfinished > 0

    @property
    def has_unread(self) -> bool:
        """Whether bytes of this connection are unread in the kernel; closing it would then reset it."""
        file = self.transport.get_extra_info("socket").fileno()
        return struct.unpack("i", fcntl.ioctl(file, termios.FIONREAD, bytes(4)))[0] > 0

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection, unless the next request has come in at the same time."""
        if not self.transport.is_closing() and not self.has_unread:
            self.transport.close()

    def data_received(self, data: bytes) -> None:
        """Parse a part of the stream."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        self._unfinished += len(data)
        if self._is_complete:
            self._unfinished, self._is_complete = 0, False
        elif self._unfinished > MAX_HEAD:
            self.send_400_response(f"The URL and the headers are larger than {MAX_HEAD} bytes.")

    _is_complete = False

    def on_headers_complete(self) -> None:
        """Start a request."""
        self._is_complete = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body, whose size the application limits."""
        self._is_complete = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._is_complete = True
        super().on_message_complete()


class DrainingServer(uvicorn.Server):
    """A server whose shutdown loses no request that was sent."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept the waiting connections and read all requests; uvicorn then waits for the responses."""
        await self._accept_waiting(sockets or [])
        await self._receive_sent()
        await super().shutdown(sockets)

    async def _accept_waiting(self, sockets: list[socket.socket]) -> None:
        """Accept the connections in the queues of the kernel, and close the sockets."""
        waiting, stop = select.poll(), time.monotonic() + ACCEPTING
        for listening in sockets:
            waiting.register(listening, select.POLLIN)
        while waiting.poll(0) and time.monotonic() < stop:
            await asyncio.sleep(0.001)
        for server in self.servers:
            server.close()

    async def _receive_sent(self) -> None:
        """Wait until every request has arrived completely; close connections on which that takes too long."""
        now = time.monotonic()
        idle_until, give_up, stop = now + IDLE, now + RECEIVING, now + LONGEST
        while not self.force_exit:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            receiving = [each for each in self._connections() if _is_receiving(each)]
            if any(each.has_unread for each in receiving):  # the process is busy
                give_up = now + RECEIVING
            if now >= idle_until and (not receiving or now >= min(give_up, stop)):
                for each in receiving:
                    each.transport.close()
                return

    def _connections(self) -> list[LimitedProtocol]:
        """Return the open connections; their responses ask the clients to close them."""
        connections = [each for each in self.server_state.connections if isinstance(each, LimitedProtocol)]
        for each in connections:
            if each.cycle is not None and not each.pipeline:
                each.cycle.keep_alive = False
        return connections


def _is_receiving(connection: LimitedProtocol) -> bool:
    """Return whether bytes of a connection are unread, or a request on it is not complete."""
    if connection.transport.is_closing():
        return False
    cycle = connection.cycle
    is_incomplete = cycle is not None and cycle.more_body and not cycle.response_complete
    return connection.has_part_of_head or is_incomplete or connection.has_unread


class Worker(Process):
    """A worker process with a `DrainingServer`."""

    @property
    def server(self) -> uvicorn.Server:
        """The server, which is created in the worker."""
        if self._server is None:
            self._server = DrainingServer(self.config)
        return self._server


class Workers(Multiprocess):
    """The parent of the workers, which closes its own socket first: connections would wait in it forever."""

    def terminate_all(self) -> None:
        for listening in self.sockets:
            listening.close()
        super().terminate_all()
