"""Line-by-line parser for text tables: slow and exact, for files in which polars finds something odd."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import polars as pl

from reelated.data.layout import Layout, Refused, Trace, Want, is_number, split
from reelated.errors import InputError, plural, shorten

IDS = ("user_id", "item_id")
LONGEST_ID = 1000
LONGEST_FIELD = 131_072


class Span(NamedTuple):
    """Lines and bytes of a row, and the state of its quotes.

    None: no quotes. "": well formed. "stray": a quote is not closed, or text follows the closing one. "doubtful": a
    field over several lines may be rows.
    """

    first: int
    last: int
    start: int
    end: int
    quotes: str | None


class Row(NamedTuple):
    """A row: its lines, its fields (None if one is too long), and the state of its quotes, as in `Span`."""

    first: int
    last: int
    fields: list[str] | None
    quotes: str | None


@dataclass
class LineCounts:
    """Counts of lines by kind, so that missing rows are detected."""

    rows: int = 0
    joined: int = 0
    first_joined: int = 0
    stray: int = 0
    first_stray: int = 0
    doubtful: bool = False

    def add(self, row: "Span | Row") -> None:
        """Count one row."""
        self.rows += 1
        if row.last > row.first:
            self.joined, self.first_joined = self.joined + row.last - row.first, self.first_joined or row.first + 1
            self.doubtful |= row.quotes == "doubtful"
        if row.quotes == "stray":
            self.stray, self.first_stray = self.stray + 1, self.first_stray or row.first

    def notes(self, n_lines: int, every: bool) -> Iterator[str]:
        """Yield a note for each kind of line that is not a row of its own.

        `n_lines` counts the lines after the header without the rejected ones. Line breaks within quotes are no fault
        unless an unclosed quote may have caused them; `every` reports them, too.
        """
        if blank := n_lines - self.rows - self.joined:
            yield f"skipped {plural(blank, 'blank line')}"
        if self.joined and (every or self.doubtful):
            joined = f"joined {plural(self.joined, 'line')} to the quoted field that begins before"
            yield f"{joined}, the first is line {self.first_joined}"
        if self.stray:
            yield f"found {plural(self.stray, 'line')} with a stray quote, the first is line {self.first_stray}"


def count_rows(text: bytes, layout: Layout) -> LineCounts:
    """Count the rows of a text without parsing their fields."""
    counts = LineCounts()
    for span in _spans(text, layout):
        counts.add(span)
    return counts


def count_lines(text: bytes, layout: Layout) -> int:
    """Return the number of lines after the header."""
    return text.count(b"\n") + (not text.endswith(b"\n")) - layout.skip


def read_lines(
    label: str, text: bytes, layout: Layout, found: dict[str, str], want: Want
) -> tuple[pl.DataFrame, list[str]]:
    """Return the wanted columns as text; raise at the first bad row, or drop bad rows with a note."""
    places = {ours: layout.names.index(theirs) for ours, theirs in found.items()}
    kept: dict[str, list[str]] = {name: [] for name in found}
    numbers: list[str] | None = None
    dropped, example, counts = 0, "", LineCounts()
    for row in rows(text, layout):
        if numbers is None and row.fields and len(row.fields) == len(layout.names):
            numbers = numeric({name: row.fields[place] for name, place in places.items()})
        code, fault = _fault(row, layout, places, want, numbers or ())
        if not code:
            counts.add(row)
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
    notes = [f"dropped {plural(dropped, 'bad line')}, the first is {example}"] * bool(dropped and not want.trace)
    return table, notes + list(counts.notes(count_lines(text, layout) - dropped, every=bool(want.trace)))


def numeric(example: dict[str, str]) -> list[str]:
    """Return the columns that must be numeric: ratings, and timestamps unless the first one is a date."""
    times = "timestamp" in example and is_number(example["timestamp"])
    return ["rating"] * ("rating" in example) + ["timestamp"] * times


def rows(text: bytes, layout: Layout) -> Iterator[Row]:
    """Yield the rows of a text without blank lines."""
    separator, width = layout.separator, len(layout.names)
    for first, last, start, end, quotes in _spans(text, layout):
        line = text[start:end].decode().rstrip("\r\n")
        fields = line.split(separator) if quotes is None else split(line, separator)
        if quotes == "stray" and len(fields) != width:
            fields = line.split(separator)
        too_long = end - start > LONGEST_FIELD and max(map(len, fields)) > LONGEST_FIELD
        yield Row(first, last, None if too_long else fields, quotes)


def _spans(text: bytes, layout: Layout) -> Iterator[Span]:
    """Yield the lines and bytes of each row without blank lines."""
    quoted, start, number = layout.quoted and b'"' in text, 0, layout.skip + 1
    for _ in range(layout.skip):
        start = _end(text, start)
    while start < len(text):
        end, last = _end(text, start), number
        if quoted and text.find(b'"', start, end) >= 0:
            end, quotes = _quoted(text, start, end, layout)
            last += text.count(b"\n", start, end - 1)
            yield Span(number, last, start, end, quotes)
        elif text[start:end].strip(b" \r\n"):
            yield Span(number, last, start, end, None)
        start, number = end, last + 1


def _end(text: bytes, start: int) -> int:
    """Return the start of the next line."""
    return text.find(b"\n", start) + 1 or len(text)


def _quoted(text: bytes, start: int, end: int, layout: Layout) -> tuple[int, str]:
    """Return the end of a row with quotes, and the state of the quotes.

    RFC 4180 allows line breaks in a quoted field. A quote that is never closed looks the same up to the next quote of
    the file, so a multi-line field must be closed properly, leave a row of the right width, and hold no rows itself.
    """
    record = _record(layout.separator).match(text, start)
    if record and record.end() <= end:
        return end, ""
    if record and _record(layout.separator, len(layout.names)).fullmatch(record[0]):
        quotes = _held(record[0], layout)
        if quotes != "rows":
            return record.end(), quotes
    return end, "stray"


@cache
def _record(separator: str, width: int | None = None) -> re.Pattern[bytes]:
    """Compile the pattern of a row by RFC 4180 with its line end; quotes inside an unquoted field are text."""
    # possessive quantifiers (`*+`) never backtrack: the time stays linear in the length of the text
    more = b"*+" if width is None else b"{%d}" % (width - 1)
    field = rb'(?:"[^"]*+(?:""[^"]*+)*+"|(?!")[^%s\n]*+)' % separator.encode()
    return re.compile(rb"%s(?:[%s]%s)%s\r*(?:\n|\Z)" % (field, separator.encode(), field, more))


@cache
def _wide(separator: str, width: int) -> re.Pattern[bytes]:
    """Compile the pattern that starts a further line with enough separators for a row."""
    return re.compile(rb"[\r\n](?:[^%s\r\n]*+[%s]){%d}" % (separator.encode(), separator.encode(), width - 1))


def _held(record: bytes, layout: Layout) -> str:
    """Classify the lines within quotes: "rows", "doubtful" rows, or "" for text.

    A row has as many fields as the table has columns, and numbers where the row with the opening quote has numbers.
    """
    separator, width = layout.separator, len(layout.names)
    if not _wide(separator, width).search(record):  # the fast path of nearly all text
        return ""
    first, *others = record.replace(b"\r", b"\n").rstrip(b"\n").split(b"\n")
    begins = first.decode().split(separator)
    opens = max(at for at, field in enumerate(begins) if field.startswith('"'))
    known = width if len(begins) == width else opens
    numbers = [at for at in range(known) if at != opens and is_number(begins[at].strip('"'))]
    doubtful = False
    for place, line in enumerate(others, 1):
        fields = split(line.decode(), separator)
        if len(fields) != width:
            continue
        telling = [at for at in numbers if at < opens or place < len(others)]  # the rest follows the closing quote
        if telling and all(is_number(fields[at].strip('"')) for at in telling):
            return "rows"
        doubtful |= not telling and known == width
    return "doubtful" if doubtful else ""


def lines_of(trace: Trace, places: Collection[int]) -> dict[int, int]:
    """Return position → first line for rows of a table, by their positions among the kept rows."""
    layout, last = trace.layout, max(places, default=-1)
    if layout is None:
        return {}
    refused = {row.line for row in trace.refused}
    kept = (row.first for row in rows(trace.text, layout) if row.first not in refused)
    return {place: line for place, line in zip(range(last + 1), kept, strict=False) if place in places}


def _fault(row: Row, layout: Layout, places: dict[str, int], want: Want, numbers: Sequence[str]) -> tuple[str, str]:
    """Return the code and the description of a row's fault; two empty strings if it has none."""
    if row.fields is None:
        return "bad_line", f"line {row.first}: a field of more than 131,072 characters; is a quote left open?"
    shown = shorten(layout.separator.join(row.fields))
    if len(row.fields) != len(layout.names):
        found = f"{plural(len(row.fields), 'field')} where {len(layout.names)} are expected"
        return "bad_line", f"line {row.first}: {found}: {shown}"
    opened = [at for name, at in places.items() if name in want.required and row.fields[at].startswith('"')]
    if row.quotes == "stray" and opened:
        found = f"{plural(min(opened) + 1, 'field')} where {len(layout.names)} are expected, for a quote is not closed"
        return "bad_line", f"line {row.first}: {found}: {shown}"
    for name, place in places.items():
        field = row.fields[place].strip()
        why = _wrong(name, field, name in want.required, name in numbers)
        if why:
            return "unreadable_field" if field else "missing_field", f"line {row.first}: {why} in {shown}"
    return "", ""


def _wrong(name: str, field: str, required: bool, number: bool) -> str:
    """Return what is wrong with a field; empty if nothing."""
    if not field:
        return f"no {name}" if required else ""
    if name in IDS and (len(field.encode()) > LONGEST_ID or "\0" in field):
        return f"{name}={shorten(field)}, expected an id of at most {LONGEST_ID:,} characters and without NUL,"
    if number and not is_number(field):
        comma = " with a point, not a comma," if is_number(field.replace(",", ".")) else ","
        return f"{name}={shorten(field)}, expected a finite number{comma}"
    return ""
