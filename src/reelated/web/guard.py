"""ASGI middleware: access checks, body size limit, request ids, security headers, logging and timing."""

import logging
import re
import time
import uuid
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reelated.web.metrics import Metrics
from reelated.web.options import LOOPBACK, ServiceOptions
from reelated.web.problems import defect, shown

log = logging.getLogger("reelated.web")
LARGEST_BODY = 1_000_000
_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_SAFE = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Refuses forbidden requests, and logs and times all others."""

    def __init__(self, app: ASGIApp, options: ServiceOptions, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics
        self.is_open = options.api_key is None
        self.proxy = options.proxy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = scope["method"]
        if method == "HEAD":  # routes are registered for GET alone; `send_on` drops the body
            scope = {**scope, "method": "GET"}
        start, headers = time.perf_counter(), Headers(scope=scope)
        given = headers.get("x-request-id", "")
        request_id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        status = 0

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                told = MutableHeaders(scope=message)
                for name, value in (_SAFE | {"X-Request-ID": request_id}).items():
                    told.setdefault(name, value)
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._pass(scope, receive, send_on, headers)
        except Exception:
            log.exception("defect", extra={"request_id": request_id})
            if not status:
                await defect(Request(scope))(scope, receive, send_on)
        finally:
            self._tell(scope, method, request_id, status, time.perf_counter() - start)

    async def _pass(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        """Pass a request to the application, or refuse it."""
        if refusal := self._refusal(headers):
            await shown(Request(scope), 403, refusal)(scope, receive, send)
            return
        body = await _read_body(receive, headers) if scope["method"] not in ("GET", "HEAD", "DELETE") else b""
        if body is None:
            told = f"The body is larger than {LARGEST_BODY:,} bytes. Send less at a time."
            await shown(Request(scope), 413, told, {"Connection": "close"})(scope, receive, send)
            return
        await self.app(scope, _giving(body, receive), send)

    def _refusal(self, headers: Headers) -> str | None:
        """Return why a request is refused, or None."""
        # Without a key only this machine may ask. The checks of Host and Origin stop DNS rebinding and pages of other
        # sites; forwarded headers show a proxy, behind which every client looks local.
        if not self.is_open:
            return None
        if not _is_here(f"//{headers.get('host', '')}"):
            return "This service is for this machine alone: ask it as 127.0.0.1 or localhost."
        if "origin" in headers and not _is_here(headers["origin"]):
            return "This service is for this machine alone, not for pages from elsewhere."
        if any(name == "forwarded" or name.startswith("x-forwarded") or name == "x-real-ip" for name in headers):
            return "This service is for this machine alone and not behind a proxy. Set REELATED_API_KEY for that."
        return None

    def _tell(self, scope: Scope, method: str, request_id: str, status: int, seconds: float) -> None:
        """Log and count a request by its route template, because paths contain user ids."""
        route: Any = scope.get("route")
        told = getattr(route, "path", "none")
        method = method if told != "none" else "any"  # a client can invent methods, and each would be a new series
        self.metrics.requests.labels(method, told, str(status)).observe(seconds)
        line = {"request_id": request_id, "method": method, "route": told, "status": status}
        log.info("request", extra=line | {"ms": round(seconds * 1000, 2)})


def _is_here(address: str) -> bool:
    """Return whether an address names this machine."""
    try:
        return urlsplit(address).hostname in LOOPBACK
    except ValueError:
        return False


async def _read_body(receive: Receive, headers: Headers) -> bytes | None:
    """Return the body, or None once it exceeds the limit; the rest is not read."""
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 12 or int(length) > LARGEST_BODY:
        return None
    body = bytearray()  # a chunked body has no length header, so it is counted as it arrives
    while True:
        message = await receive()
        body += message.get("body", b"")
        if len(body) > LARGEST_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _giving(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that replays a body, and then waits for the disconnect."""
    given = False

    async def give() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give
