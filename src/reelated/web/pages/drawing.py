"""How pages are drawn: the templates, the files that go with them, and what templates may call."""

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

SAFE = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "same-origin",  # with less a browser would hide where a form comes from
}
KEEP = "public, max-age=31536000, immutable"


class Static:
    """Style, scripts and pictures, at addresses that change when any of them does, so that browsers may keep them."""

    def __init__(self) -> None:
        folder = files("reelated.web") / "static"
        self.files = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
        self.version = hashlib.sha256(b"".join(self.files[name] for name in sorted(self.files))).hexdigest()[:12]

    def address(self, name: str) -> str:
        """Return where a file is."""
        return f"/static/{self.version}/{name}"

    def answer(self, version: str, name: str) -> Response | None:
        """Return a file, if there is such a one."""
        if version != self.version or name not in self.files:
            return None
        kind = mimetypes.guess_type(name)[0] or "application/octet-stream"
        return Response(self.files[name], media_type=kind, headers={"Cache-Control": KEEP})


class Drawing:
    """Draws pages."""

    def __init__(self) -> None:
        self.static = Static()
        self.templates = Environment(
            loader=PackageLoader("reelated.web"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.globals.update(static=self.static.address, plural=plural, release=__version__)
        self.templates.filters.update(number="{:g}".format, address=quote_id, on_scale=on_scale)

    def page(self, name: str, status: int, told: dict[str, Any]) -> Response:
        """Draw one page."""
        return HTMLResponse(self.templates.get_template(f"{name}.html.j2").render(told), status, SAFE)


def quote_id(value: Any) -> str:
    """Return an id as a part of an address."""
    return quote(str(value), safe="")


def on_scale(rating: float, scale: Scale) -> float:
    """Return where on a scale from 0 to 100 a rating is."""
    return round(100 * (rating - scale.low) / (scale.high - scale.low or 1), 1)
