"""Error responses: one sentence in HTTP terms, without internal details."""

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from reelated.errors import NO_VALUE, Advice, InputError, UnknownId, Wording, shorten
from reelated.store import StoreUnavailable
from reelated.web.schemas import ErrorOut
from reelated.web.service import NoModel, Service

log = logging.getLogger("reelated.web")
RETRY_AFTER = {"Retry-After": "5"}
HTTP = Wording(
    advice={
        Advice.NEW_USER: "For a new user: POST /api/recommendations.",
        Advice.FIND_TITLE: "Search by title: GET /api/items?query=….",
        Advice.ADD_ITEM: "Find it: GET /api/items?query=…. Or add it: PUT /api/items/{item_id}.",
        Advice.LIST_RATINGS: "List them: GET /api/users/{user_id}/ratings.",
    }
)
"""The sentences of the API for advice."""
PAGES = Wording(
    parameters={
        "user_id": "User id ",
        "item_id": "Id ",
        "rating": "Rating ",
        "genres": "Genre ",
        "years": "Years ",
        "page": "Page ",
        "n": "Number of rows ",
        "by": "Order ",
    },
    advice={
        Advice.FIND_TITLE: "Search for its title.",
        Advice.ADD_ITEM: "Search for its title.",
        Advice.NEW_USER: "Check the id.",
        Advice.ADDRESSES: "Check the address.",
    },
)
"""How the pages write parameters and advice."""
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    400: {"model": ErrorOut, "description": "The request cannot be parsed."},
    401: {"model": ErrorOut, "description": "The key is missing or wrong."},
    403: {"model": ErrorOut, "description": "Origin not allowed."},
    404: {"model": ErrorOut, "description": "No such user or item."},
    405: {"model": ErrorOut, "description": "The method is not allowed here."},
    413: {"model": ErrorOut, "description": "The body is too large."},
    422: {"model": ErrorOut, "description": "A value is invalid."},
    503: {"model": ErrorOut, "description": "The store or the model is not available; try again later."},
}
"""The error responses of every route in the OpenAPI document."""
_ON_PAGES = {
    405: "This page does not accept such a request. Use the links and buttons of the pages.",
    500: "The fault is ours, not yours, and it is in our log. Try again in a moment.",
}
"""Texts of the pages in place of HTTP terms."""


def json_error(status: int, error: str | InputError, headers: Mapping[str, str] | None = None) -> Response:
    """Return an error as JSON; ASCII escapes make lone surrogates in ids safe."""
    body: dict[str, str] = {"detail": str(error)}
    if isinstance(error, InputError):
        fields = {"parameter": error.parameter, "expected": error.expected, "remedy": HTTP.advise(error.remedy)}
        body = {"detail": error.render(HTTP)} | {name: text for name, text in fields.items() if text}
    return Response(json.dumps(body), status, headers, "application/json")


def error_response(
    request: Request, status: int, error: str | InputError, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error as a page if the client accepts HTML outside the API, else as JSON."""
    is_page = not request.scope["path"].startswith(("/api", "/health", "/metrics", "/openapi.json", "/static"))
    if is_page and "text/html" in request.headers.get("accept", ""):
        site = request.app.state.site
        detail = _on_page(error, site.service) if isinstance(error, InputError) else _ON_PAGES.get(status, error)
        response: Response = site.error_page(request, status, detail)
        response.headers.update(headers or {})
        return response
    return json_error(status, error, headers)


def _on_page(error: InputError, service: Service) -> str:
    """Return an error as the pages phrase it, without the format of ids."""
    if isinstance(error, UnknownId) and error.remedy in ("Check the id.", Advice.ADD_ITEM):
        what = "user" if error.parameter == "user_id" else service.noun if service.is_ready else "item"
        return f"There is no {what} with the id {shorten(error.value)}."
    return error.render(PAGES)


def add_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(RequestValidationError, _handle_validation)
    app.add_exception_handler(HTTPException, _handle_http)
    for kind in (InputError, StoreUnavailable, NoModel):
        app.add_exception_handler(kind, _handle_known)


async def _handle_known(request: Request, error: Exception) -> Response:
    if isinstance(error, InputError):
        return error_response(request, 404 if isinstance(error, UnknownId) else 422, error)
    if isinstance(error, StoreUnavailable):
        log.error("store unavailable: %s", error)
        return error_response(request, 503, "The store is not available. Try again in a moment.", RETRY_AFTER)
    return error_response(request, 503, str(error), RETRY_AFTER)


async def _handle_validation(request: Request, error: Exception) -> Response:
    errors: Sequence[Any] = error.errors() if isinstance(error, RequestValidationError) else ()
    first = errors[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or "body"
    if first["type"] == "json_invalid":
        return json_error(422, f"The body is not valid JSON ({first['ctx']['error']}). Expected an object.")
    if isinstance(first.get("input"), bytes):
        return json_error(422, "The body is not JSON. Send an object with the header Content-Type: application/json.")
    expected = f"{first['msg'][:1].lower()}{first['msg'][1:]}."
    value = NO_VALUE if first["type"] == "missing" else first.get("input")
    return json_error(422, InputError(expected, parameter=field, value=value))


async def _handle_http(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    detail: str | InputError = str(error.detail)
    if error.status_code == 404 and detail == "Not Found":
        detail = UnknownId("There is nothing at this address.", remedy=Advice.ADDRESSES)
    return error_response(request, error.status_code, detail, error.headers)


def unexpected_error(request: Request) -> Response:
    detail = "The service failed; your request is not the cause. The log has the details under this X-Request-ID."
    return error_response(request, 500, detail)
