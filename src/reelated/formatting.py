"""How values are shown: the text of titles and cells, and tables as HTML for notebooks."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any
from unicodedata import category

_JOINERS = "\u200c\u200d"  # part of words in Persian and Hindi, and of emoji
_NUMBER = "0123456789.,+-−–% "


def with_year(title: str, year: int | None) -> str:
    """Return `Fargo (1996)`; a long title is truncated."""
    title = cut(title, 120)
    return title if year is None else f"{title} ({year})"


def cut(text: str, width: int) -> str:
    """Truncate a text to at most `width` characters."""
    return text if len(text) <= width else text[: width - 1] + "…"


def printable(text: str) -> str:
    """Replace control characters, which could break a line or send commands to a terminal."""
    return text if text.isprintable() else "".join(char if _is_harmless(char) else "?" for char in text)


def _is_harmless(char: str) -> bool:
    return char.isprintable() or char in _JOINERS or category(char) == "Zs"  # "Zs": spaces, such as U+3000 in Japanese


def cell_text(value: Any) -> str:
    """Format a value for a cell of a table."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.2f}" if abs(value) >= 1 else f"{value:.3f}"
    return printable(cut(", ".join(value) if isinstance(value, tuple) else str(value), 48))


def html_table(
    heading: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    notes: Iterable[str] = (),
    empty: str = "(none)",
) -> str:
    """Return a table with a heading above it and notes below it; columns of numbers are right-aligned."""
    cells = [list(row) for row in rows]
    right = [all(set(text) <= set(_NUMBER) for text in column) for column in zip(*cells, strict=True)]
    sides = ["right" if number else "left" for number in right]
    body = "".join(_row("td", row, sides) for row in cells)
    table = f"<table>{_row('th', columns, sides)}{body}</table>" if cells else f"<p>{escape(empty)}</p>"
    tail = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f"<p>{escape(heading)}</p>{table}{tail}"


def _row(tag: str, cells: Sequence[str], sides: Sequence[str]) -> str:
    inner = (f'<{tag} style="text-align:{side}">{_cell(text)}</{tag}>' for text, side in zip(cells, sides, strict=True))
    return f"<tr>{''.join(inner)}</tr>"


class Bar(str):
    """The text of a cell that is drawn as a bar; `share` is its length, from −1 to 1."""

    share: float

    def __new__(cls, share: float) -> "Bar":
        """Create a bar; its text is empty."""
        bar = super().__new__(cls, "")
        bar.share = share
        return bar


def _cell(text: str) -> str:
    if not isinstance(text, Bar):
        return escape(text)
    # the colour of the text is visible in light and dark mode; a negative bar is an outline
    fill = "background:currentColor" if text.share > 0 else "border:1px solid currentColor;box-sizing:border-box"
    style = f"display:inline-block;height:.7em;width:{abs(text.share) * 8:.2f}em;opacity:.6;{fill}"
    return f'<span style="{style}"></span>'


def split_list(text: str | None) -> list[str]:
    """Split text at commas and strip blanks."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
