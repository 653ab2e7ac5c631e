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
HEADLESS = ("user_id", "item_id", "rating", "timestamp")
_HEAD = 65536  # bytes; separator and column names must appear within


class Layout(NamedTuple):
    """Layout of a text file: separator, column names, quoting, and the lines before the first row."""

    separator: str
    names: tuple[str, ...]
    quoted: bool = True
    skip: int = 0


class Refused(NamedTuple):
    """A rejected row: its line, the code of the fault, the fault in words, and the text."""

    line: int
    code: str
    why: str
    row: str


@dataclass
class Trace:
    """Record of how a text table was read: file, text, layout and rejected rows."""

    label: str = ""
    text: bytes = b""
    layout: Layout | None = None
    refused: list[Refused] = field(default_factory=list)


class Want(NamedTuple):
    """The columns to read: aliases, required columns, the caller's names, and options."""

    aliases: Mapping[str, tuple[str, ...]]
    required: tuple[str, ...]
    columns: Mapping[str, str | None] | None = None
    invalid: str = "error"
    trace: Trace | None = None

    def find(self, names: tuple[str, ...]) -> dict[str, str]:
        """Return Reelated's name → the table's name for the columns to read."""
        own_names = pl.DataFrame({name: [name] for name in names})
        return named(own_names, self.aliases, self.columns, self.required).row(0, named=True)


RATINGS = Want(RATING_ALIASES, ("user_id", "item_id", "rating"))


@contextmanager
def about(label: str) -> Iterator[None]:
    """Prefix an `InputError` from the block with the name of the file."""
    try:
        yield
    except InputError as error:
        raise error if str(error).startswith(label) else type(error)(f"{label}: {error}") from None


def recognise(label: str, text: bytes, want: Want) -> tuple[Layout, list[str]]:
    """Detect separator and column names from the first lines; return a note if there is no header."""
    start = text[:_HEAD]
    if len(start) == _HEAD and b"\n" not in start:
        raise InputError(f"{label}, line 1: longer than {_HEAD:,} characters. Expected a table with a row a line.")
    # not splitlines(), which also splits at other characters: line numbers count "\n"
    head = [line.rstrip("\r") for line in start.decode(errors="replace").split("\n")[:20]]
    blank = next((at for at, line in enumerate(head) if line.strip()), None)
    if blank is None:
        raise InputError(f"{label} is empty. Expected a table with a row for each rating.")
    lines = [line for line in head[blank:] if line.strip()]
    separator = max(SEPARATORS, key=lambda each: _agreement(lines, each))
    first = tuple(field.strip() for field in split(lines[0], separator))
    if len(first) < 2:
        raise InputError(
            f"{label}, line {blank + 1}: one field only, {shorten(lines[0])}. Expected user, item and rating, "
            "separated by tabs, commas, semicolons, bars or '::'."
        )
    if not _headless(first, want):
        return Layout(separator, _distinct(label, first), separator != "::", blank + 1), []
    names = HEADLESS[: len(first)] + tuple(f"column {at + 1}" for at in range(len(HEADLESS), len(first)))
    taken = ", ".join(name.removesuffix("_id") for name in names[: len(HEADLESS)])
    note = f"no line with column names: the columns are taken as {taken}"
    return Layout(separator, names, separator != "::", blank), [note]


def _agreement(lines: list[str], separator: str) -> tuple[int, int]:
    """Return how many of the first lines have as many fields as the first one, and that number of fields."""
    widths = [len(split(line, separator)) for line in lines]
    return (widths.count(widths[0]) if widths[0] > 1 else 0, widths[0])


def _headless(first: tuple[str, ...], want: Want) -> bool:
    """Return whether the first line is already a rating: numbers, and no known column name."""
    if "rating" not in want.aliases or set(first) & set((want.columns or {}).values()):
        return False
    numeric = is_number(first[2]) if len(first) > 2 else all(map(is_number, first))
    return numeric and not named(pl.DataFrame({name: [name] for name in first}), want.aliases).columns


def _distinct(label: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Name empty columns by position; reject duplicate names."""
    for at, name in enumerate(names):
        if name and name in names[:at]:
            raise InputError(f"{label} has more than one column {shorten(name)}: rename or leave out all but one.")
    return tuple(name or f"column {at + 1}" for at, name in enumerate(names))


def split(line: str, separator: str) -> list[str]:
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
