"""Detection of tables that are not a list of ratings: a matrix with a column per item, or a transposed table."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from reelated.data.containers import HEAD_BYTES
from reelated.data.json_reader import is_json
from reelated.data.report import ValidationIssue
from reelated.data.text_layout import RATING_SPEC, SEPARATORS, ParseTrace, is_number, split_line
from reelated.data.text_parser import iter_rows
from reelated.data.wide import MIN_WIDTH, matrix_width
from reelated.errors import Advice, InputError
from reelated.ratings.columns import ITEM_ALIASES, RATING_ALIASES, plain
from reelated.ratings.frames import as_polars

_N_ROWS = 8
_EXPECTED = "Expected one row for each rating, with a user, an item and a rating"


def shape_issues(source: Any, trace: ParseTrace) -> Iterator[ValidationIssue]:
    """Yield a warning if a table looks like a matrix or looks transposed."""
    names, rows = _first_rows(source, trace)
    first_fields = {plain(text) for text in (*names[:1], *(row[0] for row in rows if row))}
    roles = {name for name in RATING_SPEC.required if {plain(name), *RATING_ALIASES[name]} & first_fields}
    if len(roles) > 1 and len(rows) < _N_ROWS:
        message = (
            f"The table seems to be transposed: the first fields of its rows are {', '.join(sorted(roles))}. "
            f"{_EXPECTED}."
        )
        action = "cannot transpose it; do so first, for example with polars: frame.transpose()."
        yield ValidationIssue("transposed", "warning", 1, message, action)
    elif (width := matrix_width(names, rows)) >= MIN_WIDTH:
        index = "user_id" if _has_no_header(names) else names[0][:60]
        by_item = plain(index) in (plain("item_id"), *RATING_ALIASES["item_id"])
        row, column = ("item", "user") if by_item else ("user", "item")
        message = (
            f"The table seems to be a matrix, a row for each {row} and a column for each {column}: {width:,} of its "
            f"columns have unknown names and contain only numbers. {_EXPECTED}."
        )
        action = Advice.STOPS_AT_MATRIX
        yield ValidationIssue("matrix", "warning", width, message, action)


def unused_column_issues(names: Sequence[str], matched: Mapping[str, str]) -> Iterator[ValidationIssue]:
    """Yield a note with the columns of a table without ratings that are not read: one may hold ratings in words."""
    attributes = (name for aliases in ITEM_ALIASES.values() for name in aliases)
    known = {*map(plain, matched.values()), *attributes, *ITEM_ALIASES}
    unused = [name for name in names if plain(name) not in known]
    if unused and "rating" not in matched:
        message = f"No column is recognised as ratings. Not used: {_listed(unused)}."
        yield ValidationIssue("unused_columns", "note", len(unused), message, Advice.SKIPS_COLUMNS)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:5])) + ", …" * (len(names) > 5)


def _first_rows(source: Any, trace: ParseTrace) -> tuple[Sequence[str], list[list[str]]]:
    """Return the names and the first rows of a table as text."""
    if trace.layout is not None:
        first = islice(iter_rows(trace.text, trace.layout), _N_ROWS)
        return trace.layout.names, [row.fields for row in first if row.fields]
    if trace.text and not is_json(trace.text[:HEAD_BYTES]):
        lines = trace.text[:HEAD_BYTES].decode(errors="replace").splitlines()[:_N_ROWS]
        rows = [max((split_line(line, separator) for separator in SEPARATORS), key=len) for line in lines]
        return rows[0] if rows else (), rows[1:]
    with suppress(InputError):
        if isinstance(source, Mapping) or hasattr(source, "columns"):
            head = as_polars(source).head(_N_ROWS)
            return head.columns, [["" if value is None else str(value) for value in row] for row in head.rows()]
    return (), []


def _has_no_header(names: Sequence[str]) -> bool:
    """Return whether the names are the numbers of a file without a header."""
    return bool(names) and all(is_number(name) or name.startswith("column ") for name in names)
