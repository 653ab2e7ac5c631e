"""Rendering: templates, static files, and the functions available in templates."""

import hashlib
import mimetypes
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from reelated._version import __version__
from reelated.errors import plural
from reelated.ratings import Scale

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",  # with `no-referrer`, browsers send `Origin: null` with forms
}
_OVERRIDES = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
CACHE_FOREVER = "public, max-age=31536000, immutable"


class Static:
    """Static files at addresses that contain a hash of the content, so that browsers may cache them for ever."""

    def __init__(self) -> None:
        folder = files("reelated.web") / "static"
        self.files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
        self.version = hashlib.sha256(b"".join(self.files[name] for name in sorted(self.files))).hexdigest()[:12]

    def address(self, name: str) -> str:
        """Return the address of a file."""
        return f"/static/{self.version}/{name}"

    def respond(self, version: str, name: str) -> Response | None:
        """Return a file, or None if the name or the version is unknown."""
        if version != self.version or name not in self.files:
            return None
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(self.files[name], media_type=media_type, headers={"Cache-Control": CACHE_FOREVER})


class Renderer:
    """Renders pages with Jinja."""

    def __init__(self) -> None:
        self.static = Static()
        self.templates = Environment(
            loader=PackageLoader("reelated.web"),
            autoescape=True,
            undefined=StrictUndefined,  # a misspelt variable is an error, not an empty string
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=without_overrides,
        )
        self.templates.globals.update(static=self.static.address, plural=plural, release=__version__)
        self.templates.filters.update(number="{:g}".format, address=quote_id, on_scale=on_scale)

    def page(self, template: str, status: int, context: dict[str, Any]) -> Response:
        """Render one page."""
        return HTMLResponse(self.templates.get_template(f"{template}.html.j2").render(context), status, PAGE_HEADERS)


def without_overrides(value: Any) -> Any:
    """Drop the characters of a text that reorder the text after them; no title needs them."""
    return value.translate(_OVERRIDES) if isinstance(value, str) else value


def quote_id(value: Any) -> str:
    """Quote an id as a path segment."""
    return quote(str(value), safe="")


def on_scale(rating: float, scale: Scale) -> float:
    """Return the position of a rating on its scale, from 0 to 100."""
    return round(100 * (rating - scale.low) / (scale.high - scale.low or 1), 1)
