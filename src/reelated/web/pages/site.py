"""`Site`: sessions, form checks and rendering shared by all pages."""

from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from reelated.errors import InputError, plural_of, with_article
from reelated.web.metrics import Metrics
from reelated.web.options import ServiceOptions
from reelated.web.pages.drawing import Drawing
from reelated.web.pages.sessions import Session, Sessions, is_from_here
from reelated.web.pages.stars import Steps
from reelated.web.service import Service

NAVIGATION = (
    ("/", "Rate"),
    ("/list", "Your list"),
    ("/ratings", "Your stars"),
    ("/map", "Map"),
    ("/users", "Users"),
    ("/how", "How it works"),
)
"""Pages in menu order; a page that is not registered is left out."""
_WITHOUT_STARS = {"Rate": "Start", "Your stars": "What you have"}
"""Menu labels for implicit feedback."""
MOST_FIELDS = 100
FOR_OPERATORS = ("/users",)
HEADINGS = {
    401: "This is for operators",
    403: "This may not be done from here",
    404: "There is nothing here",
    405: "This cannot be done here",
    413: "That is too much at once",
    422: "This cannot be used",
    500: "Something went wrong here",
    503: "One moment, please",
}

_WORDS = {
    "Search by title with find('…').": "Search for its title.",
    "Look for it by title, or add it first.": "Search for its title.",
    "For a newcomer pass ratings={item_id: rating}.": "Check the id.",
    "See /openapi.json for all there is.": "Check the address.",
}
"""Replacements for sentences of error messages that address programmers."""


class Visit(NamedTuple):
    """One request to a page, with its session and form fields."""

    request: Request
    session: Session
    form: dict[str, str]

    @property
    def query(self) -> dict[str, str]:
        """The query parameters; the last of several with the same name."""
        return dict(self.request.query_params)

    @property
    def path(self) -> dict[str, str]:
        """The path parameters."""
        return dict(self.request.path_params)


Handler = Callable[[Visit], Response]


class Site:
    """The pages of one service."""

    def __init__(self, service: Service, options: ServiceOptions, metrics: Metrics) -> None:
        self.service = service
        self.store = service.store
        self.options = options
        self.metrics = metrics
        self.sessions = Sessions(service.store, options.api_key)
        self.drawing = Drawing()
        self.paths: set[str] = set()
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/static/{version}/{name}", self._static, response_model=None)

    def add(self, method: str, path: str, handler: Handler, *, operator: bool = False) -> None:
        """Register a handler for a route; with `operator` the route needs an operator session."""

        async def answer(request: Request) -> Response:
            form = read_form(await request.body())
            # Handlers block on the store and the model, so they run in the thread pool.
            return await run_sync(self._answer, handler, request, form, operator)

        self.paths.add(path)
        self.router.add_api_route(path, answer, methods=[method], response_model=None)

    def _answer(self, handler: Handler, request: Request, form: dict[str, str], operator: bool) -> Response:
        session = self.sessions.of(request)
        if request.method == "POST" and not is_from_here(request, session, form.get("token", "")):
            raise HTTPException(403, "This form is too old or comes from another site. Reload the page and try again.")
        if operator and not session.is_operator:
            return RedirectResponse("/sign-in?" + urlencode({"back": address_of(request)}), 303)
        if self.service.is_ready:
            self.service.current()  # refreshes the hidden items of `served`
        response = handler(Visit(request, session, form))
        if session.is_new:
            self.sessions.renew(request, response, session)
        return response

    def draw(self, visit: Visit, name: str, **told: Any) -> Response:
        """Render a page."""
        noun = self.service.noun
        told |= {"noun": noun, "nouns": plural_of(noun), "a_noun": with_article(noun)}
        told |= {"steps": Steps.of(self.store.scale, self.service.feedback), "address": address_of(visit.request)}
        return self._drawn(name, visit.request, visit.session, 200, told)

    def problem(self, request: Request, status: int, detail: str) -> Response:
        """Render an error page, without access to the store: the store may be the problem."""
        for words, here in _WORDS.items():
            detail = detail.replace(words, here)
        told = {"heading": HEADINGS.get(status, "This went wrong"), "detail": detail, "retry": status >= 500}
        return self._drawn("problem", request, None, status, told)

    def _drawn(
        self, name: str, request: Request, session: Session | None, status: int, told: dict[str, Any]
    ) -> Response:
        may = session is not None and session.is_operator
        implicit = self.service.feedback == "implicit"
        menu = [
            (to, _WITHOUT_STARS.get(label, label) if implicit else label)
            for to, label in NAVIGATION
            if to in self.paths and (may or to not in FOR_OPERATORS)
        ]
        told |= {"session": session, "menu": menu, "here": request.scope["path"], "predicts": self.service.predicts}
        return self.drawing.page(name, status, told)

    async def _static(self, version: str, name: str) -> Response:
        found = self.drawing.static.answer(version, name)
        if found is None:
            raise HTTPException(404, "There is no such file.")
        return found


def read_form(body: bytes) -> dict[str, str]:
    """Parse a form; the last of several fields with the same name counts."""
    try:
        return dict(parse_qsl(body.decode(errors="replace"), max_num_fields=MOST_FIELDS))
    except ValueError:
        raise InputError(f"The form has too many fields: expected {MOST_FIELDS} at the most.") from None


def address_of(request: Request) -> str:
    """Return the path and query string of a request."""
    query = request.scope["query_string"].decode("ascii", "replace")
    return str(request.scope["path"]) + (f"?{query}" if query else "")


def go(to: str, default: str = "/") -> Response:
    """Redirect to a local address; any other address is replaced by `default` (open redirect)."""
    is_ours = to.startswith("/") and not to.startswith("//") and "\\" not in to and to.isprintable()
    return RedirectResponse(to if is_ours else default, 303)
