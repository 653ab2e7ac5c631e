"""A text table line by line in Python: slow and sure, for the files in which polars finds something odd."""

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import polars as pl

from reelated.data.layout import Layout, Refused, Trace, Want, is_number
from reelated.errors import InputError, plural, shorten

IDS = ("user_id", "movie_id")
LONGEST_ID = 1000


class Row(NamedTuple):
    """The fields of a row, None where there is no end to one, and the lines it spans."""

    first: int
    last: int
    fields: list[str] | None


def read_lines(
    label: str, text: bytes, layout: Layout, found: dict[str, str], want: Want
) -> tuple[pl.DataFrame, list[str]]:
    """Return the wanted columns as text; raise at the first bad row, or drop all of them and say so."""
    places = {ours: layout.names.index(theirs) for ours, theirs in found.items()}
    kept: dict[str, list[str]] = {name: [] for name in found}
    numbers: list[str] | None = None
    dropped, example = 0, ""
    for row in rows(text, layout):
        if numbers is None and row.fields and len(row.fields) == len(layout.names):
            numbers = numeric({name: row.fields[place] for name, place in places.items()})
        code, fault = _fault(row, layout, places, want, numbers or ())
        if not code:
            for name, place in places.items():
                kept[name].append(row.fields[place])  # type: ignore[index]
        elif want.invalid == "error":
            raise InputError(f"{label}, {fault}. Mend the line, or drop such lines with invalid='drop'.")
        else:
            dropped, example = dropped + row.last - row.first + 1, example or fault
            if want.trace:
                want.trace.refused.append(Refused(row.first, code, fault, layout.separator.join(row.fields or ())))
    table = pl.DataFrame(kept, schema=dict.fromkeys(found, pl.String))
    table = table.with_columns(pl.col(name).replace("", None) for name in found if name not in want.required)
    return table, [f"dropped {plural(dropped, 'bad line')}, the first is {example}"] * bool(dropped and not want.trace)


def numeric(example: dict[str, str]) -> list[str]:
    """Name the columns that must be numbers: ratings, and times unless the first of them is a date."""
    times = "timestamp" in example and is_number(example["timestamp"])
    return ["rating"] * ("rating" in example) + ["timestamp"] * times


def rows(text: bytes, layout: Layout) -> Iterator[Row]:
    """Yield the rows of a text; blank lines are none."""
    lines = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
    for _ in range(layout.skip):
        next(lines, None)
    if layout.separator == "::":
        for number, line in enumerate(lines, layout.skip + 1):
            if line.strip():
                yield Row(number, number, line.rstrip("\r\n").split("::"))
        return
    quote = '"' if layout.quoted else None
    reader = csv.reader(lines, delimiter=layout.separator, quotechar=quote, quoting=csv.QUOTE_MINIMAL if quote else 3)
    while True:
        first = layout.skip + reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error:  # a field above the csv module's limit of 131,072 characters
            yield Row(first, layout.skip + reader.line_num, None)
        else:
            if fields:
                yield Row(first, layout.skip + reader.line_num, fields)


def lines_of(trace: Trace, places: Collection[int]) -> dict[int, int]:
    """Return the lines on which some rows of a table begin, by their places among the rows that were kept."""
    layout, last = trace.layout, max(places, default=-1)
    if layout is None:
        return {}
    refused = {row.line for row in trace.refused}
    kept = (row.first for row in rows(trace.text, layout) if row.first not in refused)
    return {place: line for place, line in zip(range(last + 1), kept, strict=False) if place in places}


def _fault(row: Row, layout: Layout, places: dict[str, int], want: Want, numbers: Sequence[str]) -> tuple[str, str]:
    """Say what kind of fault a row has, and in words what it is and on which line; two empty texts if none."""
    if row.fields is None:
        return "bad_line", f"line {row.first}: a field of more than 131,072 characters; is a quote left open?"
    shown = shorten(layout.separator.join(row.fields))
    if len(row.fields) != len(layout.names):
        found = f"{plural(len(row.fields), 'field')} where {len(layout.names)} are expected"
        return "bad_line", f"line {row.first}: {found}: {shown}"
    for name, place in places.items():
        field = row.fields[place].strip()
        why = _wrong(name, field, name in want.required, name in numbers)
        if why:
            return "unreadable_field" if field else "missing_field", f"line {row.first}: {why} in {shown}"
    return "", ""


def _wrong(name: str, field: str, required: bool, number: bool) -> str:
    """Say what is wrong with a field, if anything."""
    if not field:
        return f"no {name}" if required else ""
    if name in IDS and (len(field.encode()) > LONGEST_ID or "\0" in field):
        return f"{name}={shorten(field)}, expected an id of at most {LONGEST_ID:,} characters and without NUL,"
    if number and not is_number(field):
        comma = " with a point, not a comma," if is_number(field.replace(",", ".")) else ","
        return f"{name}={shorten(field)}, expected a finite number{comma}"
    return ""
