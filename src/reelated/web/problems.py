"""Error responses: one sentence in HTTP terms, without internal details."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reelated.errors import InputError, UnknownId, shorten
from reelated.store import StoreUnavailable
from reelated.web.bodies import Problem
from reelated.web.service import NoModel

log = logging.getLogger("reelated.web")
RETRY_AFTER = {"Retry-After": "5"}
_WORDS = {
    r"For a newcomer pass ratings=\{item_id: rating\}": "For a newcomer: POST /api/recommendations",
    r"Search by title with find\('…'\)": "Search by title: GET /api/items?query=…",
    r"Look for it by title, or add it first": "Find it: GET /api/items?query=…. Or add it: PUT /api/items/{item_id}",
    r"See the user's ratings": "See them: GET /api/users/{user_id}/ratings",
}
DESCRIBED: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "No such request can be read."},
    401: {"model": Problem, "description": "The key is missing or wrong."},
    403: {"model": Problem, "description": "Asked from where one may not ask."},
    404: {"model": Problem, "description": "No such user or item."},
    405: {"model": Problem, "description": "Nothing of the kind can be done here."},
    413: {"model": Problem, "description": "The body is too large."},
    422: {"model": Problem, "description": "A value cannot be used."},
    503: {"model": Problem, "description": "The store or the model is not there now; try again later."},
}
"""The error responses of every route in the OpenAPI document."""


def answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as JSON; ASCII escapes make lone surrogates in ids safe."""
    for pattern, words in _WORDS.items():
        detail = re.sub(pattern, words, detail)
    return Response(json.dumps({"detail": detail}), status, headers, "application/json")


def shown(request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as a page if the client accepts HTML outside the API, else as JSON."""
    is_page = not request.scope["path"].startswith(("/api", "/health", "/metrics", "/openapi.json", "/static"))
    if is_page and "text/html" in request.headers.get("accept", ""):
        response: Response = request.app.state.site.problem(request, status, detail)
        response.headers.update(headers or {})
        return response
    return answer(status, detail, headers)


def handle_problems(app: FastAPI) -> None:
    """Register the error handlers."""
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    for kind in (InputError, StoreUnavailable, NoModel):
        app.add_exception_handler(kind, _told)


async def _told(request: Request, error: Exception) -> Response:
    if isinstance(error, InputError):
        return shown(request, 404 if isinstance(error, UnknownId) else 422, str(error))
    if isinstance(error, StoreUnavailable):
        log.error("store unavailable: %s", error)
        return shown(request, 503, "The store does not answer now. Try again in a moment.", RETRY_AFTER)
    return shown(request, 503, str(error), RETRY_AFTER)


async def _invalid(request: Request, error: Exception) -> Response:
    errors: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
    first = errors[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or "body"
    if first["type"] == "json_invalid":
        return answer(422, f"The body is no JSON ({first['ctx']['error']}). Expected an object.")
    if isinstance(first.get("input"), bytes):
        return answer(422, "The body is not JSON. Send an object with the header Content-Type: application/json.")
    wanted = first["msg"][:1].lower() + first["msg"][1:]
    got = "" if first["type"] == "missing" else f"={shorten(first.get('input'))}"
    return answer(422, f"{place}{got}: {wanted}.")


async def _refused(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    detail = str(error.detail)
    if error.status_code == 404 and detail == "Not Found":
        detail = "There is nothing at this address. See /openapi.json for all there is."
    return shown(request, error.status_code, detail, error.headers)


def defect(request: Request) -> Response:
    """Return the response to an unexpected exception."""
    told = "Something went wrong here, not in your request. The log has it under this X-Request-ID."
    return shown(request, 500, told)
