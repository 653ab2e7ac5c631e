"""Rendering: templates, static files, and the functions available in templates."""

import gzip
import hashlib
import mimetypes
import time
from importlib.resources import files
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, Response

from reelated._version import __version__
from reelated.errors import plural
from reelated.formatting import cut
from reelated.map.picture import GENRES, OTHER
from reelated.ratings import Scale
from reelated.recommender.title_search import main_title

PAGE_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "private, no-cache",  # unlike `no-store`, this lets the back button show the page at once
    "Vary": "Accept-Encoding",
    "Referrer-Policy": "same-origin",  # with `no-referrer`, browsers send `Origin: null` with forms
}
_OVERRIDES = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
GZIPPED = {"Content-Encoding": "gzip"}
CACHE_FOREVER = "public, max-age=31536000, immutable"


class Static:
    """Static files at URLs that contain a hash of the content, so that browsers may cache them forever."""

    def __init__(self) -> None:
        folder = files("reelated.web") / "static"
        self.files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
        self.files["page.css"] += genre_colors().encode()
        self.gzipped = {name: gzip.compress(content, 9, mtime=0) for name, content in self.files.items()}
        self.version = hashlib.sha256(b"".join(self.files[name] for name in sorted(self.files))).hexdigest()[:12]

    def address(self, name: str) -> str:
        return f"/static/{self.version}/{name}"

    def respond(self, version: str, name: str, gzipped: bool) -> Response | None:
        """Return a file, or None if the name or the version is unknown."""
        if version != self.version or name not in self.files:
            return None
        media_type = mimetypes.guess_type(name)[0] or "application/octet-stream"
        headers = {"Cache-Control": CACHE_FOREVER, "Vary": "Accept-Encoding"} | (GZIPPED if gzipped else {})
        return Response((self.gzipped if gzipped else self.files)[name], media_type=media_type, headers=headers)


def genre_colors() -> str:
    """Return the colours of the map's genres as CSS, for light and for dark."""
    colors = [*enumerate(GENRES), (-1, OTHER)]
    rules = ["".join(f".genre{index}{{--genre:{pair[scheme]}}}" for index, pair in colors) for scheme in (0, 1)]
    return f"{rules[0]}@media(prefers-color-scheme:dark){{{rules[1]}}}"


class Renderer:
    """Renders pages with Jinja."""

    def __init__(self, image_origin: str | None = None) -> None:
        self.static = Static()
        policy = PAGE_HEADERS["Content-Security-Policy"]
        if image_origin:
            policy = policy.replace("img-src 'self'", f"img-src 'self' {image_origin}")
        self.headers = PAGE_HEADERS | {"Content-Security-Policy": policy}
        self.templates = Environment(
            loader=PackageLoader("reelated.web"),
            autoescape=True,
            undefined=StrictUndefined,  # a misspelt variable is an error, not an empty string
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=without_overrides,
        )
        self.templates.globals.update(
            static=self.static.address, plural=plural, release=__version__, image_origin=image_origin
        )
        self.templates.filters.update(
            number="{:g}".format,
            address=quote_id,
            on_scale=on_scale,
            date=date_of,
            main_title=short_title,
            full_title=main_title,
        )

    def page(self, template: str, status: int, context: dict[str, Any], gzipped: bool) -> Response:
        html = self.templates.get_template(f"{template}.html.j2").render(context)
        if not gzipped:
            return HTMLResponse(html, status, self.headers)
        return HTMLResponse(gzip.compress(html.encode(), 5), status, self.headers | GZIPPED)


def without_overrides(value: Any) -> Any:
    """Drop the characters that reorder the text after them (bidirectional overrides); no title needs them."""
    return value.translate(_OVERRIDES) if isinstance(value, str) else value


def short_title(title: str) -> str:
    """Return the main title, truncated; the page of the item shows it in full."""
    return cut(main_title(title), 120)


def date_of(seconds: float) -> str:
    """Format a time in UTC, such as 2026-11-29 14:05."""
    return time.strftime("%Y-%m-%d %H:%M", time.gmtime(seconds))


def quote_id(value: Any) -> str:
    """Quote an id as a path segment."""
    return quote(str(value), safe="")


def on_scale(rating: float, scale: Scale) -> float:
    """Return the position of a rating on its scale, from 0 to 100."""
    return round(100 * (rating - scale.low) / (scale.high - scale.low or 1), 1)
