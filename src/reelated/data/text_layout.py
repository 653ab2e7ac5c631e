"""The layout of a text table, detected from its first lines, and the columns to read."""

import csv
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from reelated.data.options import NO_OPTIONS, ReadOptions
from reelated.errors import Advice, InputError, plural, shorten
from reelated.ratings.columns import RATING_ALIASES, Aliases, ColumnNames, match_columns, named
from reelated.ratings.values import as_numbers

SEPARATORS = ("::", "\t", ",", ";", "|", "\x01", "~", "^")  # \x01 is the separator of Hive
DEFAULT_NAMES = ("user_id", "item_id", "rating", "timestamp")
"""The names of the first columns of a file without a header."""
MIN_TIME = 1e8
"""A third column of larger numbers is a time in seconds since 1970, not a rating."""
SPACES = (" ", "  ")
"""Separators: runs of spaces; and runs of two or more, as in tables with titles in fixed-width columns."""
COMMENTS = "#%"
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)  # fits 64 bits
_MIN_ROWS, _HIGHEST_RATING = 10, 100  # to distinguish ratings from the number of rows of a larger table
_FIRST_TIME = 10_000  # a smaller number is not a time but a rating, and the first column has row numbers
_HEAD_LINES = 40
_HEAD_BYTES = 65536  # number of bytes within which separator and column names must appear


class TextLayout(NamedTuple):
    """Layout of a text file: separator, column names, quoting, lines before the first row, and the sign of comments."""

    separator: str
    names: tuple[str, ...]
    quoted: bool = True
    skip: int = 0
    comment: str = ""
    header_in_comment: bool = False


class RejectedRow(NamedTuple):
    """A rejected row: its line, the code and the description of the error, and the text."""

    line: int
    code: str
    reason: str
    text: str
    n_lines: int = 1


@dataclass
class ParseTrace:
    """Record of how a text table was read: file, text, layout, columns, rejected rows, and lines that the map drops."""

    label: str = ""
    text: bytes = b""
    layout: TextLayout | None = None
    columns: dict[str, str] = field(default_factory=dict)  # Reelated's name → the table's
    rejected: list[RejectedRow] = field(default_factory=list)
    skipped: set[int] = field(default_factory=set)


class ColumnSpec(NamedTuple):
    """The columns to read: aliases, required columns, the caller's names, and options."""

    aliases: Aliases
    required: tuple[str, ...]
    columns: ColumnNames = None
    options: ReadOptions = NO_OPTIONS
    trace: ParseTrace | None = None

    @property
    def is_ratings(self) -> bool:
        return {"user_id", "rating"} <= self.aliases.keys()

    def match(self, names: tuple[str, ...]) -> dict[str, str]:
        """Return Reelated's name → the table's name for the columns to read."""
        header = pl.DataFrame({name: [name] for name in names})
        columns = by_position(self.columns, names)
        return named(header, self.aliases, columns, self.required).row(0, named=True)


def positions_in(columns: ColumnNames) -> dict[str, int]:
    """Return the columns that are given by their positions, from 1."""
    given = {ours: str(theirs) for ours, theirs in (columns or {}).items()}
    return {ours: int(text) for ours, text in given.items() if text.isascii() and text.isdigit()}


def by_position(columns: ColumnNames, names: tuple[str, ...]) -> ColumnNames:
    """Replace positions by the names of the columns there; a column with such a name takes precedence."""
    if columns is None:
        return None
    at = {ours: place for ours, place in positions_in(columns).items() if str(place) not in names}
    return {
        ours: names[at[ours] - 1] if 0 < at.get(ours, 0) <= len(names) else theirs for ours, theirs in columns.items()
    }


RATING_SPEC = ColumnSpec(RATING_ALIASES, ("user_id", "item_id", "rating"))


@contextmanager
def prefix_errors(label: str) -> Iterator[None]:
    """Add the name of the file to an `InputError` about its contents."""
    try:
        yield
    except InputError as error:
        raise error if error.parameter or str(error).startswith(label) else error.replace(where=label) from None


def detect_layout(label: str, text: bytes, spec: ColumnSpec) -> tuple[TextLayout, list[str]]:
    """Detect separator and column names from the first lines; return a note if there is no header."""
    start = text[:_HEAD_BYTES]
    if len(start) == _HEAD_BYTES and b"\n" not in start:
        raise InputError(
            f"{label}, line 1: longer than {_HEAD_BYTES:,} characters. Expected a table with one row per line."
        )
    # not splitlines(), which also splits at other characters: line numbers count "\n"
    head = [line.rstrip("\r") for line in start.decode(errors="replace").split("\n")[:_HEAD_LINES]]
    comment = next((line[0] for line in head if line.strip() and line[0] in COMMENTS), "")
    comment = comment if comment and next(line for line in head if line.strip())[0] == comment else ""
    above_table = (comment or "sep=", "sep=", "SEP=")  # Excel writes the separator above the table
    rows = [at for at, line in enumerate(head) if line.strip() and not line.startswith(above_table)]
    if not rows:
        raise InputError(f"{label} is empty. Expected a table with a row for each rating.")
    lines = [head[at] for at in rows]
    n_above = _lines_above(lines, text, rows[0], spec)
    notes = [f"skipped {plural(n_above, 'line')} above the table, such as {shorten(lines[0])}"] * bool(n_above)
    rows, lines = rows[n_above:], lines[n_above:]
    separator = _separator(lines)
    first = tuple(field.strip().strip('"') for field in split_line(lines[0], separator))
    if len(first) < 2:
        raise InputError(
            f"{label}, line {rows[0] + 1}: one field only, {shorten(lines[0])}. Expected user, item and rating, "
            "separated by tabs, commas, semicolons, bars, '::', '~', '^' or spaces."
        )
    layout = TextLayout(separator, first, separator not in ("::", *SPACES), rows[0] + 1, comment)
    above = head[rows[0] - 1][1:] if comment and rows[0] else ""
    names = tuple(field.strip() for field in split_line(above, separator))
    if len(names) == len(first) and len(match_columns(names, spec.aliases)) > 1:
        return layout._replace(names=_check_names(label, names, spec), skip=rows[0], header_in_comment=True), notes
    if not _has_no_header(first, spec):
        first, more = _with_column_without_name(first, [split_line(line, separator) for line in lines[1:]])
        layout = layout._replace(comment=comment or _repeated(text, lines[0]))
        return layout._replace(names=_check_names(label, first, spec)), notes + more
    names = _names_without_header(label, rows[0] + 1, lines[0], first, spec)
    shown = ", ".join(name.removesuffix("_id") for name in names[: len(DEFAULT_NAMES)])
    notes += [f"no line with column names: the columns are taken as {shown}"] * (names[0] in DEFAULT_NAMES)
    return layout._replace(names=names, skip=rows[0]), notes


def _lines_above(lines: list[str], text: bytes, n_blank: int, spec: ColumnSpec) -> int:
    """Return the number of lines above the one with the names of the columns, or above the first row."""
    required = {name: spec.aliases[name] for name in spec.required}
    for at, line in enumerate(lines):
        if len(match_columns([field.strip() for field in split_line(line, _separator(lines[at:]))], required)) > 1:
            return at
    return _lines_of_one_field(lines) or int(_is_size_line(lines, text.count(b"\n", 0, -1) + 1 - n_blank))


def _lines_of_one_field(lines: list[str]) -> int:
    """Return the number of lines above a table that have a single field that is not a number, such as a heading."""
    n_above = 0
    for separator in SEPARATORS if _separator(lines) not in SPACES else ():
        widths = [sum(map(bool, map(str.strip, split_line(line, separator)))) for line in lines]
        if 2 * sum(width > 1 for width in widths) > len(lines):  # most lines have this separator
            n_above = next(at for at, width in enumerate(widths) if width > 1)
            if not n_above or any(is_number(line.strip("".join(SEPARATORS) + ' "')) for line in lines[:n_above]):
                return 0
    return n_above


def _is_size_line(lines: list[str], n_lines: int) -> bool:
    """Return whether the first line, as in `2 20` or `2 20 3`, has the numbers of users, items and rows below.

    In a part of a larger table, the number of rows is that of the larger table, not a rating.
    """
    separator = _separator(lines[1:] or lines)
    sizes, *others = (split_line(line, separator) for line in lines)
    if not 2 <= len(sizes) <= 3 or not all(map(_WHOLE.fullmatch, sizes)):
        return False
    rows = [row for row in others if len(row) > 2 and all(map(_WHOLE.fullmatch, row[:2]))]
    n_users, n_items, *n_rows = map(int, sizes)
    if n_rows not in ([], [n_lines - 1]):
        highest = max((float(row[2]) if is_number(row[2]) else math.inf for row in rows), default=math.inf)
        if len(rows) < _MIN_ROWS or not max(n_users, n_items, 10 * highest) < n_rows[0] or highest > _HIGHEST_RATING:
            return False
    return 2 * len(rows) > len(others) and all(int(row[0]) <= n_users and int(row[1]) <= n_items for row in rows)


def _repeated(text: bytes, header: str) -> str:
    """Return the line of column names if it is repeated, as in a concatenation of files; otherwise nothing."""
    line = header.encode()
    n_again = text.count(b"\n" + line) if text.count(line) > 1 else 0
    whole = len(re.findall(rb"(?m)^" + re.escape(line) + rb"\r?$", text)) if n_again else 0
    return header if n_again and whole - text.startswith(line) == n_again else ""


def _separator(lines: list[str]) -> str:
    """Return the separator that splits most lines into the same number of fields; else runs of spaces."""
    separator = max(SEPARATORS, key=lambda candidate: _agreement(lines, candidate))
    if len(split_line(lines[0], separator)) > 1:
        return separator
    agreeing = {spaces: _agreeing_rows(lines, spaces) for spaces in SPACES}
    best = max(SPACES, key=lambda spaces: agreeing[spaces])
    return best if 2 * agreeing[best] > len(lines) - 1 else separator


def _agreeing_rows(lines: list[str], separator: str) -> int:
    """Count the rows with as many fields as the first line, or all with one more, as in tables that R writes."""
    first, *others = (len(split_line(line, separator)) for line in lines)
    return max(others.count(first), others.count(first + 1)) + (not others) if first > 1 else -1


def _with_column_without_name(first: tuple[str, ...], rows: list[list[str]]) -> tuple[tuple[str, ...], list[str]]:
    """Add a name if all rows have one more column: the row numbers of R, or an empty column at the end."""
    if not rows or any(len(row) != len(first) + 1 for row in rows):
        return first, []
    if not any(row[-1].strip() for row in rows):
        return (*first, ""), ["each row ends with a separator, unlike the line of column names"]
    numbers = [row[0].strip() for row in rows]
    if numbers not in ([str(at + start) for at in range(len(rows))] for start in (0, 1)):
        return first, []
    return ("", *first), ["the first column has no name, as in tables that R writes"]


def _agreement(lines: list[str], separator: str) -> tuple[int, int]:
    """Return the number of fields of the first line, and how many of the first lines have the same number."""
    widths = [len(split_line(line, separator)) for line in lines]
    return (widths.count(widths[0]) if widths[0] > 1 else 0, widths[0])


def _has_no_header(first: tuple[str, ...], spec: ColumnSpec) -> bool:
    """Return whether the first line is a row, not a header: it has no known name, and a field is a number."""
    given = set(map(str, (spec.columns or {}).values()))
    if set(first) & given - set(map(str, positions_in(spec.columns).values())) or match_columns(first, spec.aliases):
        return False
    if spec.options.layout == "wide":
        return is_number(first[0])
    positions = positions_in(spec.columns)
    if positions and len(positions) == sum(value is not None for value in (spec.columns or {}).values()):
        place = positions.get("rating", 0)
        return not 0 < place <= len(first) or _is_rating(first[place - 1], spec)
    return spec.is_ratings and any(map(is_number, first))


def _is_rating(text: str, spec: ColumnSpec) -> bool:
    unreadable = as_numbers(pl.Series("rating", [text]), spec.options.mapping).unreadable
    return unreadable is None or not unreadable[0]


def _names_without_header(
    label: str, number: int, line: str, first: tuple[str, ...], spec: ColumnSpec
) -> tuple[str, ...]:
    """Name the columns of a file without a header, or raise `InputError` if their order is unknown."""
    numbered = tuple(f"column {column + 1}" for column in range(len(first)))
    if positions_in(spec.columns) or spec.options.layout == "wide":
        return numbered
    if len(first) == 3 and is_number(first[2]) and float(first[2]) >= MIN_TIME:
        return ("user_id", "item_id", "timestamp")
    unlike = len(first) > 2 and not _is_rating(first[2], spec)
    unlike |= len(first) == 4 and is_number(first[3]) and 0 <= float(first[3]) < _FIRST_TIME
    if len(first) > len(DEFAULT_NAMES) or unlike:
        raise InputError(
            f"{label}, line {number}: no column names for {len(first)} columns, and which holds user, item and rating "
            f"is unknown: {shorten(line)}.",
            remedy=Advice.NAME_POSITIONS,
        )
    return DEFAULT_NAMES[: len(first)]


def _check_names(label: str, names: tuple[str, ...], spec: ColumnSpec) -> tuple[str, ...]:
    """Name a column by position if it has no name or repeats one that is not read; reject other repeated names."""
    read = {*match_columns(names, spec.aliases).values(), *map(str, (spec.columns or {}).values())}
    for column, name in enumerate(names):
        if name and name in names[:column] and (name in read or spec.options.layout == "wide"):
            raise InputError(f"{label} has more than one column {shorten(name)}: rename or leave out all but one.")
    return tuple(
        name if name and name not in names[:column] else f"column {column + 1}" for column, name in enumerate(names)
    )


def split_line(line: str, separator: str) -> list[str]:
    """Split a line into its fields."""
    if separator in SPACES:
        line = line.strip()
        if separator == "  ":
            return re.split(r"\s{2,}", line)
        return [field.strip('"') for field in re.findall(r'"[^"]*"|\S+', line)] if '"' in line else line.split()
    if separator == "::":
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return [line]


def is_number(text: str) -> bool:
    try:
        # float() accepts underscores, as in "1_000"
        return "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False
