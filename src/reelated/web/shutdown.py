"""`DrainingServer`: answers the requests that were sent before it was asked to stop.

Closing a socket resets the connections that wait in it to be accepted, and a connection with unread bytes. So the
server accepts and reads what the kernel holds before it closes anything.
"""

import asyncio
import select
import socket
import time

import uvicorn
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

from reelated.web.http_parser import LimitedProtocol

ACCEPTING = 10.0
"""Seconds for connections that wait to be accepted; a busy site always has new ones."""
IDLE = 0.25
"""Seconds for a request that is on its way on a kept connection."""
RECEIVING = 5.0
"""Seconds without a byte until a request that was sent in part is given up."""
LONGEST = 30.0
"""Seconds after which nothing more is read."""


class DrainingServer(uvicorn.Server):
    """A server whose shutdown loses no request that was sent."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, read what was sent, and answer it; uvicorn then waits for the answers."""
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
        """Return the open connections; their answers ask the clients to close them."""
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
    """The parent of the workers, which closes its own socket first: connections would wait in it for ever."""

    def terminate_all(self) -> None:
        for listening in self.sockets:
            listening.close()
        super().terminate_all()
