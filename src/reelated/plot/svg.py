"""A small SVG writer: elements with escaped text and coordinates of one decimal."""

from html import escape

from reelated.recommender.rows import printable


def element(tag: str, *content: str, **attributes: float | str) -> str:
    """Return an SVG element; `content` is markup, the trailing `_` of `class_` is dropped, other `_` become `-`."""
    pairs = (
        f' {name.rstrip("_").replace("_", "-")}="{_value(value)}"' for name, value in attributes.items() if value != ""
    )
    start = f"<{tag}{''.join(pairs)}"
    return f"{start}>{''.join(content)}</{tag}>" if content else f"{start}/>"


def text(x: float, y: float, content: str, class_: str = "", anchor: str = "start") -> str:
    """Return a text element, its content escaped."""
    return element("text", safe(content), x=x, y=y, class_=class_, text_anchor="" if anchor == "start" else anchor)


def circle(x: float, y: float, radius: float, class_: str, tooltip: str | None = None) -> str:
    title = [] if tooltip is None else [element("title", safe(tooltip))]
    return element("circle", *title, class_=class_, cx=x, cy=y, r=radius)


def safe(content: str) -> str:
    """Escape a text for SVG; control characters become `?`."""
    return escape(printable(content))


def _value(value: float | str) -> str:
    if isinstance(value, str):
        return safe(value)
    return f"{value:.1f}" if isinstance(value, float) else str(value)
