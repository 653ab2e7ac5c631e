"""`Site`: sessions, form checks and rendering shared by all pages."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from reelated.errors import InputError, plural_of
from reelated.web.pages.rating_input import RatingInput
from reelated.web.pages.renderer import Renderer
from reelated.web.pages.sessions import Session, Sessions, is_same_site
from reelated.web.pages.uploads import MAX_FIELDS, Form, read_multipart
from reelated.web.service import Service
from reelated.web.service_options import ServiceOptions
from reelated.web.store_work import StoreWork

NAVIGATION = (
    ("/", "Rate"),
    ("/list", "Your list"),
    ("/ratings", "Your stars"),
    ("/taste", "Your taste"),
    ("/map", "Map"),
    ("/users", "Users"),
    ("/how", "How it works"),
)
"""Pages in menu order."""
_IMPLICIT_LABELS = {"Rate": "Start", "Your stars": "What you have"}
"""Menu labels for implicit feedback."""
FOR_OPERATORS = ("/users",)
HEADINGS = {
    401: "Wrong key",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    413: "Too much data",
    422: "Invalid input",
    500: "Something went wrong",
    503: "Not ready yet",
}


EXPIRED = "This form has expired or comes from another site. Reload the page and try again."
NO_COOKIES = "Your browser sent no cookie with this form. Allow cookies for this site, reload the page and try again."


class PageRequest(NamedTuple):
    """One request to a page, with its session and form fields."""

    http: Request
    session: Session
    form: dict[str, str]
    file: bytes = b""

    @property
    def query(self) -> dict[str, str]:
        """The query parameters; the last of several with the same name."""
        return dict(self.http.query_params)

    @property
    def path(self) -> dict[str, str]:
        return dict(self.http.path_params)


Handler = Callable[["Site", PageRequest], Response]


class Site:
    """The pages of one service."""

    def __init__(self, service: Service, options: ServiceOptions, work: StoreWork) -> None:
        self.service = service
        self.store = service.store
        self.options = options
        self.work = work
        self.sessions = Sessions(service.store, options.api_key)
        self.renderer = Renderer(options.image_origin)
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route("/static/{version}/{name}", self._static, response_model=None)

    def add(self, method: str, path: str, handler: Handler, *, operator: bool = False) -> None:
        """Register a handler for a route; with `operator` the route needs an operator session."""

        async def handle(request: Request) -> Response:
            form = read_form(await request.body(), request.headers.get("content-type", ""))
            return await self.work.run(self._handle, handler, request, form, operator)

        self.router.add_api_route(path, handle, methods=[method], response_model=None)

    def _handle(self, handler: Handler, request: Request, form: Form, operator: bool) -> Response:
        session = self.sessions.of(request)
        if request.method == "POST" and not is_same_site(request, session, form.fields.get("token", "")):
            raise HTTPException(403, NO_COOKIES if session.is_new else EXPIRED)
        if operator and not session.is_operator:
            return RedirectResponse("/sign-in?" + urlencode({"back": address_of(request)}), 303)
        if self.service.is_ready:
            self.service.current()  # refreshes the hidden items of `served`
        response = handler(self, PageRequest(request, session, *form))
        if operator:
            response.headers["Cache-Control"] = "no-store"  # nothing remains after signing out
        if session.is_new:
            self.sessions.renew(request, response, session)
        return response

    def images_of(self, item_ids: Iterable[Any]) -> dict[Any, str]:
        """Return the URLs of the pictures that the content security policy allows."""
        if (origin := self.options.image_origin) is None:
            return {}
        images = self.store.images_of(item_ids)
        return {item_id: image for item_id, image in images.items() if image.lower().startswith(f"{origin.lower()}/")}

    def render(self, request: PageRequest, template: str, status: int = 200, **context: Any) -> Response:
        noun = self.service.noun
        context |= {"noun": noun, "nouns": plural_of(noun), "a_noun": with_article(noun)}
        info = self.store.info
        feedback = "implicit" if info.is_events else self.service.feedback
        context |= {"rating_input": RatingInput.of(info.scale, feedback, info.verb)}
        context |= {"address": address_of(request.http)}
        return self._render(template, request.http, request.session, status, context)

    def error_page(self, request: Request, status: int, detail: str) -> Response:
        """Render an error page without access to the store, because the store may be the cause."""
        context = {"heading": HEADINGS.get(status, "Something went wrong"), "detail": detail, "retry": status >= 500}
        return self._render("error", request, self.sessions.for_menu(request), status, context)

    def _render(
        self, template: str, request: Request, session: Session | None, status: int, context: dict[str, Any]
    ) -> Response:
        is_operator = session is not None and session.is_operator
        implicit = self.service.feedback == "implicit"
        menu = [
            (path, _IMPLICIT_LABELS.get(label, label) if implicit else label)
            for path, label in NAVIGATION
            if is_operator or path not in FOR_OPERATORS
        ]
        context |= {"session": session, "menu": menu, "path": request.scope["path"], "predicts": self.service.predicts}
        return self.renderer.page(template, status, context, accepts_gzip(request))

    async def _static(self, request: Request, version: str, name: str) -> Response:
        response = self.renderer.static.respond(version, name, accepts_gzip(request))
        if response is None:
            raise HTTPException(404, "There is no such file.")
        return response


def accepts_gzip(request: Request) -> bool:
    return "gzip" in request.headers.get("accept-encoding", "")


def read_form(body: bytes, content_type: str) -> Form:
    """Parse a form; the last of several fields with the same name counts."""
    if content_type.startswith("multipart/form-data"):
        return read_multipart(body, content_type)
    try:
        return Form(dict(parse_qsl(body.decode(errors="replace"), max_num_fields=MAX_FIELDS)))
    except ValueError:
        raise InputError(f"The form has too many fields: expected at most {MAX_FIELDS}.") from None


def address_of(request: Request) -> str:
    """Return the path and query string of a request."""
    query = request.scope["query_string"].decode("ascii", "replace")
    return str(request.scope["path"]) + (f"?{query}" if query else "")


def redirect(to: str, default: str = "/") -> Response:
    """Redirect to a local URL; any other URL is replaced by `default` to prevent open redirects."""
    is_local = to.startswith("/") and not to.startswith("//") and "\\" not in to and to.isprintable()
    return RedirectResponse(to if is_local else default, 303)


def with_article(noun: str) -> str:
    """Return a noun with its indefinite article: `a movie`, `an item`."""
    return f"{'an' if noun[0].lower() in 'aeiou' else 'a'} {noun}"
