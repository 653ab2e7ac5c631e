"""`LimitedProtocol`: uvicorn's fast HTTP parser with a limit on headers and addresses."""

import fcntl
import struct
import termios
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD = 65_536
"""Maximum number of bytes of a head: the address and all headers; or of the trailers after a body."""


class LimitedProtocol(HttpToolsProtocol):
    """Closes a connection whose address, headers or trailers are too long; the parser itself has no limit."""

    def __init__(self, *args: Any, **params: Any) -> None:
        super().__init__(*args, **params)
        self._unfinished = 0

    @property
    def has_part_of_head(self) -> bool:
        """Whether the address, the headers or the trailers of a request have arrived in part."""
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
            self.send_400_response(f"The address and the headers are larger than {MAX_HEAD} bytes.")

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
