"""Detection of tables that are no list of ratings: a matrix with a column per item, or a transposed table."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from reelated.data.checkup import Finding
from reelated.data.layout import HEADLESS, RATINGS, SEPARATORS, Trace, is_number, split
from reelated.data.lines import rows
from reelated.errors import InputError
from reelated.ratings.frames import RATING_ALIASES, as_polars, plain

_WIDE = 5  # numeric columns with unknown names, from which a table counts as a matrix
_LINES = 8
_EXPECTED = "Expected one row for each rating, with a user, an item and a rating"


def shape_findings(source: Any, trace: Trace) -> Iterator[Finding]:
    """Yield a warning if a table looks like a matrix or looks transposed.

    `source` is a frame that could not be read, or None; `trace` records the reading of a text file.
    """
    names, lines = _start(source, trace)
    labels = [plain(text) for text in (*names[:1], *(line[0] for line in lines if line))]
    roles = {ours for ours in ("user_id", "item_id", "rating") if {plain(ours), *RATING_ALIASES[ours]} & {*labels}}
    if len(roles) > 1 and len(lines) < _LINES:
        told = (
            f"The table seems to lie on its side: the first fields of its rows are {', '.join(sorted(roles))}. "
            f"{_EXPECTED}."
        )
        turned = "cannot turn it; do so first, for example with polars: frame.transpose()."
        yield Finding("transposed", "warning", 1, told, turned)
    elif (width := _width(names, lines)) >= _WIDE:
        first = "user_id" if _headless(names) else names[0][:60]
        by_item = plain(first) in (plain("item_id"), *RATING_ALIASES["item_id"])
        row, column = ("item", "user") if by_item else ("user", "item")
        told = (
            f"The table seems to be a matrix, a row for each {row} and a column for each {column}: {width:,} of its "
            f"columns have no name that is known and hold numbers or nothing. {_EXPECTED}."
        )
        reading = f"cannot turn it; do so first, for example with polars: frame.unpivot(index={first!r})."
        yield Finding("matrix", "warning", width, told, reading)


def _start(source: Any, trace: Trace) -> tuple[Sequence[str], list[list[str]]]:
    """Return the names and the first rows of a table as text."""
    if trace.layout is not None:
        fields = [row.fields for row in islice(rows(trace.text, trace.layout), _LINES) if row.fields]
        return trace.layout.names, fields
    if trace.text:
        lines = trace.text[:65536].decode(errors="replace").splitlines()[:_LINES]
        parts = [max((split(line, separator) for separator in SEPARATORS), key=len) for line in lines]
        return parts[0] if parts else (), parts[1:]
    with suppress(InputError):
        if isinstance(source, Mapping) or hasattr(source, "columns"):
            head = as_polars(source).head(_LINES)
            return head.columns, [["" if value is None else str(value) for value in row] for row in head.rows()]
    return (), []


def _width(names: Sequence[str], lines: list[list[str]]) -> int:
    """Count the numeric columns with unknown names; 0 if users, items and ratings have known names."""
    known = {plain(ours): ours for ours in RATING_ALIASES}
    known |= {alias: ours for ours, aliases in RATING_ALIASES.items() for alias in aliases}
    headless = _headless(names)
    if not headless and {*RATINGS.required} <= {known.get(plain(name)) for name in names}:
        return 0
    others = [at for at, name in enumerate(names) if headless or plain(name) not in known]
    return sum(bool(lines) and all(_numeric(line, at) for line in lines) for at in others)


def _headless(names: Sequence[str]) -> bool:
    """Return whether the names are the defaults for a file without a header."""
    return tuple(names[: len(HEADLESS)]) == HEADLESS and any(name.startswith("column ") for name in names)


def _numeric(line: list[str], at: int) -> bool:
    field = line[at].strip() if at < len(line) else ""
    return not field or is_number(field)
