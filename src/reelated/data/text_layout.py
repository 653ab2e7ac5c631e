"""The layout of a text table, detected from its first lines, and the columns to read."""

import csv
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import polars as pl

from reelated.errors import InputError, shorten
from reelated.ratings.frames import RATING_ALIASES, named

SEPARATORS = ("::", "\t", ",", ";", "|")
DEFAULT_NAMES = ("user_id", "item_id", "rating", "timestamp")
"""The names of the first columns of a file without a header."""
_HEAD_BYTES = 65536  # separator and column names must appear within


class TextLayout(NamedTuple):
    """Layout of a text file: separator, column names, quoting, and the lines before the first row."""

    separator: str
    names: tuple[str, ...]
    quoted: bool = True
    skip: int = 0


class RejectedRow(NamedTuple):
    """A rejected row: its line, the code and the description of the fault, and the text."""

    line: int
    code: str
    reason: str
    text: str


@dataclass
class ParseTrace:
    """Record of how a text table was read: file, text, layout and rejected rows."""

    label: str = ""
    text: bytes = b""
    layout: TextLayout | None = None
    rejected: list[RejectedRow] = field(default_factory=list)


class ColumnSpec(NamedTuple):
    """The columns to read: aliases, required columns, the caller's names, and options."""

    aliases: Mapping[str, tuple[str, ...]]
    required: tuple[str, ...]
    columns: Mapping[str, str | None] | None = None
    invalid: str = "error"
    trace: ParseTrace | None = None

    def match(self, names: tuple[str, ...]) -> dict[str, str]:
        """Return Reelated's name → the table's name for the columns to read."""
        header = pl.DataFrame({name: [name] for name in names})
        return named(header, self.aliases, self.columns, self.required).row(0, named=True)


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
            f"{label}, line 1: longer than {_HEAD_BYTES:,} characters. Expected a table with a row a line."
        )
    # not splitlines(), which also splits at other characters: line numbers count "\n"
    head = [line.rstrip("\r") for line in start.decode(errors="replace").split("\n")[:20]]
    n_blank = next((number for number, line in enumerate(head) if line.strip()), None)
    if n_blank is None:
        raise InputError(f"{label} is empty. Expected a table with a row for each rating.")
    lines = [line for line in head[n_blank:] if line.strip()]
    separator = max(SEPARATORS, key=lambda candidate: _agreement(lines, candidate))
    first = tuple(field.strip() for field in split_line(lines[0], separator))
    if len(first) < 2:
        raise InputError(
            f"{label}, line {n_blank + 1}: one field only, {shorten(lines[0])}. Expected user, item and rating, "
            "separated by tabs, commas, semicolons, bars or '::'."
        )
    if not _is_rating(first, spec):
        return TextLayout(separator, _check_names(label, first), separator != "::", n_blank + 1), []
    names = tuple(_positional_name(column) for column in range(len(first)))
    shown = ", ".join(name.removesuffix("_id") for name in names[: len(DEFAULT_NAMES)])
    note = f"no line with column names: the columns are taken as {shown}"
    return TextLayout(separator, names, separator != "::", n_blank), [note]


def _agreement(lines: list[str], separator: str) -> tuple[int, int]:
    """Return how many of the first lines have as many fields as the first one, and that number of fields."""
    widths = [len(split_line(line, separator)) for line in lines]
    return (widths.count(widths[0]) if widths[0] > 1 else 0, widths[0])


def _is_rating(first: tuple[str, ...], spec: ColumnSpec) -> bool:
    """Return whether the first line is already a rating: numbers, and no known column name."""
    if "rating" not in spec.aliases or set(first) & set((spec.columns or {}).values()):
        return False
    numeric = is_number(first[2]) if len(first) > 2 else all(map(is_number, first))
    return numeric and not named(pl.DataFrame({name: [name] for name in first}), spec.aliases).columns


def _positional_name(column: int) -> str:
    return DEFAULT_NAMES[column] if column < len(DEFAULT_NAMES) else f"column {column + 1}"


def _check_names(label: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Name empty columns by position; reject duplicate names."""
    for column, name in enumerate(names):
        if name and name in names[:column]:
            raise InputError(f"{label} has more than one column {shorten(name)}: rename or leave out all but one.")
    return tuple(name or f"column {column + 1}" for column, name in enumerate(names))


def split_line(line: str, separator: str) -> list[str]:
    """Split a line into its fields."""
    if separator == "::":
        return line.split(separator)
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return [line]


def is_number(text: str) -> bool:
    """Return whether a text is a finite number."""
    try:
        # float() accepts underscores, as in "1_000"
        return "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False
