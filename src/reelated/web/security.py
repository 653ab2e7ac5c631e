"""Checks of a request: access, size and shape, the API key; request ids, security headers, logging and timing."""

import hmac
import logging
import re
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

from fastapi import HTTPException
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reelated.errors import InputError
from reelated.web.errors import error_response, unexpected_error
from reelated.web.metrics import Metrics
from reelated.web.service_options import LOOPBACK, ServiceOptions

log = logging.getLogger("reelated.web")
MAX_BODY = 1_000_000
CLIENT_CLOSED = 499  # the client closed the connection: the status that nginx logs
_REQUEST_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
MAX_ENTRIES = 45_000
"""Maximum number of fields, list elements, lists and objects in a body: 10,000 ratings with user, item and rating."""
MAX_ENTRIES_WITHOUT_KEY = 20_000
MAX_DEPTH = 20
# possessive quantifiers and an optional end make the time linear for every input
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


# -------------------------------------------------------------------------------------------------------- key and body
class ApiKey(HTTPBearer):
    """The dependency of routes that need the API key; without a key it allows every request."""

    def __init__(self, key: str | None) -> None:
        description = "The API key, if the service has one (REELATED_API_KEY)."
        super().__init__(scheme_name="HTTPBearer", description=description, auto_error=False)
        self.key = key

    async def __call__(self, request: HTTPConnection) -> HTTPAuthorizationCredentials | None:
        """Raise if a request has no key or a wrong one."""
        if self.key is None:
            return None
        sent = await super().__call__(request)
        if sent is None or not is_equal(sent.credentials, self.key):
            detail = "This request needs the API key. Send it as: Authorization: Bearer KEY"
            raise HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})
        return sent


def is_equal(text: str, secret: str) -> bool:
    """Return whether two texts are equal, in constant time."""
    return hmac.compare_digest(text.encode(errors="replace"), secret.encode())


class GuardedRoute(APIRoute):
    """A route that first checks the key and the shape of a body: parsing the body costs more than both checks."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return FastAPI's handler, called only after the checks."""
        parse_and_call = super().get_route_handler()
        limit = MAX_ENTRIES if self.dependencies else MAX_ENTRIES_WITHOUT_KEY

        async def handle(request: Request) -> Response:
            for check in self.dependencies:
                if check.dependency is not None:
                    await check.dependency(request)
            if self.body_field is not None:
                check_shape(await request.body(), limit)
            return await parse_and_call(request)

        return handle


def check_shape(body: bytes, max_entries: int) -> None:
    """Raise `InputError` if a JSON body has too many entries or is nested too deeply."""
    if _count_entries(body) <= MAX_DEPTH:
        return
    if body.count(b'"') > 4 * max_entries:
        raise _too_many(max_entries)
    skeleton = _STRING.sub(b"", body)  # separators and brackets within a string are text
    if _count_entries(skeleton) > max_entries:
        raise _too_many(max_entries)
    depth = 0
    for bracket in re.findall(rb"[\[\]{}]", skeleton):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            raise InputError(f"The body is nested more than {MAX_DEPTH} levels deep.")


def _count_entries(body: bytes) -> int:
    return body.count(b",") + body.count(b"[") + body.count(b"{")


def _too_many(max_entries: int) -> InputError:
    return InputError(f"The body has more than {max_entries:,} fields and list elements. Send less at a time.")


# ---------------------------------------------------------------------------------------------------------- middleware
class SecurityMiddleware:
    """Refuses forbidden requests; logs and times every request."""

    def __init__(self, app: ASGIApp, options: ServiceOptions, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics
        self.is_open = options.api_key is None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = scope["method"]
        if method == "HEAD":  # routes are registered for GET alone; `send_with_headers` drops the body
            scope = {**scope, "method": "GET"}
        start, headers = time.perf_counter(), Headers(scope=scope)
        sent_id = headers.get("x-request-id", "")
        request_id = sent_id if _REQUEST_ID.fullmatch(sent_id) else uuid.uuid4().hex
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                response_headers = MutableHeaders(scope=message)
                for name, value in (_HEADERS | {"X-Request-ID": request_id}).items():
                    response_headers.setdefault(name, value)
            elif method == "HEAD":
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._forward(scope, receive, send_with_headers, headers)
        except ClientDisconnect:
            status = status or CLIENT_CLOSED
        except Exception:
            log.exception("unexpected error", extra={"request_id": request_id})
            if not status:
                await unexpected_error(Request(scope))(scope, receive, send_with_headers)
        finally:
            self._log(scope, method, request_id, status, time.perf_counter() - start)

    async def _forward(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        """Forward a request to the application, or refuse it."""
        if refusal := self._refusal(headers):
            await error_response(Request(scope), 403, refusal)(scope, receive, send)
            return
        body = await _read_body(receive, headers) if scope["method"] not in ("GET", "HEAD", "DELETE") else b""
        if body is None:
            detail = f"The body is larger than {MAX_BODY:,} bytes. Send less at a time."
            await error_response(Request(scope), 413, detail, {"Connection": "close"})(scope, receive, send)
            return
        await self.app(scope, _replay(body, receive), send)

    def _refusal(self, headers: Headers) -> str | None:
        """Return why a request is refused, or None."""
        # Without a key the service accepts requests from this machine only. The check of Host stops DNS rebinding, that
        # of Origin pages of other sites and of other servers on this machine: a port is part of an origin. Forwarded
        # headers reveal a proxy, behind which every client looks local.
        if not self.is_open:
            return None
        if not _is_loopback(headers.get("host", "")):
            return "This service accepts requests from this machine only. Use the address 127.0.0.1 or localhost."
        if "origin" in headers and netloc(headers["origin"]) != headers["host"]:
            return "Without an API key, this service answers its own pages only, not those of other sites or ports."
        if any(name == "forwarded" or name.startswith("x-forwarded") or name == "x-real-ip" for name in headers):
            return "This service accepts requests from this machine only. Behind a proxy, it needs REELATED_API_KEY."
        return None

    def _log(self, scope: Scope, method: str, request_id: str, status: int, seconds: float) -> None:
        """Log and count a request by its route template, because paths contain user ids."""
        route: Any = scope.get("route")
        template = getattr(route, "path", "none")
        # A client can invent methods, and each would be a new time series.
        method = method if template != "none" else "any"
        self.metrics.requests.labels(method, template, str(status)).observe(seconds)
        fields = {"request_id": request_id, "method": method, "route": template, "status": status}
        log.info("request", extra=fields | {"ms": round(seconds * 1000, 2)})


def netloc(origin: str) -> str | None:
    """Return host and port of an origin, or None if the text is not an origin, such as `http://[`."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    """Return whether a `Host` header names this machine."""
    try:
        return urlsplit(f"//{host}").hostname in LOOPBACK
    except ValueError:
        return False


async def _read_body(receive: Receive, headers: Headers) -> bytes | None:
    """Return the body, or None once it exceeds the limit; the rest is not read."""
    length = headers.get("content-length", "0")
    if not length.isdecimal() or len(length) > 12 or int(length) > MAX_BODY:
        return None
    body = bytearray()  # a chunked body has no length header, so it is counted as it arrives
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect  # the first part of a form could be a valid form
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that replays a body, and then waits for the disconnect."""
    is_sent = False

    async def replay() -> Message:
        nonlocal is_sent
        if is_sent:
            return await receive()
        is_sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
