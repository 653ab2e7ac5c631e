"""Checks of a request before its body is parsed: the API key, and the shape of the JSON."""

import hmac
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import HTTPException
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from reelated.errors import InputError

MAX_ENTRIES = 45_000
"""Maximum number of fields, list elements, lists and objects in a body: 10,000 ratings with user, item and rating."""
MAX_ENTRIES_WITHOUT_KEY = 20_000
MAX_DEPTH = 20
# possessive quantifiers and an optional end make the time linear for every input
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"?', re.DOTALL)


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
    """A route that checks the key and the shape of a body first: parsing costs more than either."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of FastAPI behind the checks."""
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
