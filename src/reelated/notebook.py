"""Tables as HTML for notebooks: escaped, in the colours of the page, with numbers to the right."""

from collections.abc import Iterable, Sequence
from html import escape

_NUMBER = "0123456789.,+-−–% "


def html_table(heading: str, columns: Sequence[str], rows: Iterable[Sequence[str]], notes: Iterable[str] = ()) -> str:
    """Return a table with a heading above it and notes below it; columns of numbers are right-aligned."""
    cells = [list(row) for row in rows]
    right = [all(set(text) <= set(_NUMBER) for text in column) for column in zip(*cells, strict=True)]
    sides = ["right" if number else "left" for number in right] or ["left"] * len(columns)
    head = _row("th", columns, sides)
    body = "".join(_row("td", row, sides) for row in cells)
    tail = "".join(f"<p>{escape(note)}</p>" for note in notes)
    return f"<p>{escape(heading)}</p><table>{head}{body}</table>{tail}"


def _row(tag: str, cells: Sequence[str], sides: Sequence[str]) -> str:
    inner = (f'<{tag} style="text-align:{side}">{_cell(text)}</{tag}>' for text, side in zip(cells, sides, strict=True))
    return f"<tr>{''.join(inner)}</tr>"


class Bar(str):
    """The text of a cell that is drawn as a bar; `share` is its length, from −1 to 1."""

    share: float

    def __new__(cls, share: float) -> "Bar":
        """Make a bar, whose text is empty."""
        bar = super().__new__(cls, "")
        bar.share = share
        return bar


def _cell(text: str) -> str:
    if not isinstance(text, Bar):
        return escape(text)
    # in the colour of the text, so that it is visible in light and dark; a negative bar is an outline
    fill = "background:currentColor" if text.share > 0 else "border:1px solid currentColor;box-sizing:border-box"
    style = f"display:inline-block;height:.7em;width:{abs(text.share) * 8:.2f}em;opacity:.6;{fill}"
    return f'<span style="{style}"></span>'
