"""Line-by-line parser for text tables: slow and exact, for files in which polars finds something odd."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import polars as pl

from reelated.data.text_layout import ColumnSpec, ParseTrace, RejectedRow, TextLayout, is_number, split_line
from reelated.errors import plural, shorten

ID_COLUMNS = ("user_id", "item_id")
MAX_ID_BYTES = 1000
MAX_FIELD_LENGTH = 131_072


class RowSpan(NamedTuple):
    """Lines and bytes of a row, and the state of its quotes.

    None: no quotes. "": well formed. "stray": a quote is not closed, or text follows the closing one. "doubtful": a
    field over several lines may be rows.
    """

    first: int
    last: int
    start: int
    end: int
    quotes: str | None


class TextRow(NamedTuple):
    """A row: its lines, its fields (None if one is too long), and the state of its quotes, as in `RowSpan`."""

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

    def add(self, row: "RowSpan | TextRow") -> None:
        self.rows += 1
        if row.last > row.first:
            self.joined, self.first_joined = self.joined + row.last - row.first, self.first_joined or row.first + 1
            self.doubtful |= row.quotes == "doubtful"
        if row.quotes == "stray":
            self.stray, self.first_stray = self.stray + 1, self.first_stray or row.first

    def notes(self, n_lines: int, every: bool) -> Iterator[str]:
        """Yield a note for each kind of line that is not a row of its own.

        `n_lines` counts the lines after the header without the rejected ones. Line breaks within quotes are reported
        only if an unclosed quote may have caused them; `every` reports all.
        """
        if blank := n_lines - self.rows - self.joined:
            yield f"skipped {plural(blank, 'blank line')}"
        if self.joined and (every or self.doubtful):
            joined = f"joined {plural(self.joined, 'line')} to the quoted field that begins before"
            yield f"{joined}, the first is line {self.first_joined}"
        if self.stray:
            yield f"found {plural(self.stray, 'line')} with a stray quote, the first is line {self.first_stray}"


def count_rows(text: bytes, layout: TextLayout) -> LineCounts:
    """Count the rows of a text without parsing their fields."""
    counts = LineCounts()
    for span in _row_spans(text, layout):
        counts.add(span)
    return counts


def count_lines(text: bytes, layout: TextLayout) -> int:
    """Return the number of lines after the header, without comments."""
    n_lines = text.count(b"\n") + (not text.endswith(b"\n")) - layout.skip
    if not layout.comment:
        return n_lines
    start = 0
    for _ in range(layout.skip):
        start = _next_line(text, start)
    return (
        n_lines
        - text.count(b"\n" + layout.comment.encode(), max(start - 1, 0))
        - (not start and text.startswith(layout.comment.encode()))
    )


class ParsedText(NamedTuple):
    """The wanted columns as text, the rejected rows, and notes on lines that are not rows."""

    table: pl.DataFrame
    rejected: list[RejectedRow]
    notes: list[str]


def read_lines(text: bytes, layout: TextLayout, columns: dict[str, str], spec: ColumnSpec) -> ParsedText:
    """Return the wanted columns as text and the bad rows; stop at the first bad row unless such rows are dropped."""
    positions = {ours: layout.names.index(theirs) for ours, theirs in columns.items()}
    values: dict[str, list[str]] = {name: [] for name in columns}
    rejected, n_rejected, counts = [], 0, LineCounts()
    for row in iter_rows(text, layout):
        code, reason = _row_fault(row, layout, positions, spec)
        if not code:
            counts.add(row)
            for name, position in positions.items():
                values[name].append(row.fields[position])  # type: ignore[index]
            continue
        n_lines = row.last - row.first + 1
        rejected.append(RejectedRow(row.first, code, reason, layout.separator.join(row.fields or ()), n_lines))
        n_rejected += n_lines
        if spec.options.invalid == "error":
            break
    table = pl.DataFrame(values, schema=dict.fromkeys(columns, pl.String))
    table = table.with_columns(pl.col(name).replace("", None) for name in columns if name not in spec.required)
    notes = list(counts.notes(count_lines(text, layout) - n_rejected, every=bool(spec.trace)))
    return ParsedText(table, rejected, notes)


def iter_rows(text: bytes, layout: TextLayout) -> Iterator[TextRow]:
    """Yield the rows of a text without blank lines."""
    separator, width = layout.separator, len(layout.names)
    for first, last, start, end, quotes in _row_spans(text, layout):
        line = text[start:end].decode().rstrip("\r\n")
        fields = line.split(separator) if quotes is None else split_line(line, separator)
        if quotes == "stray" and len(fields) != width:
            fields = line.split(separator)
        too_long = end - start > MAX_FIELD_LENGTH and max(map(len, fields)) > MAX_FIELD_LENGTH
        yield TextRow(first, last, None if too_long else fields, quotes)


def _row_spans(text: bytes, layout: TextLayout) -> Iterator[RowSpan]:
    """Yield the lines and bytes of each row without blank lines."""
    quoted, start, number = layout.quoted and b'"' in text, 0, layout.skip + 1
    for _ in range(layout.skip):
        start = _next_line(text, start)
    comment = layout.comment.encode()
    while start < len(text):
        end, last = _next_line(text, start), number
        if comment and text.startswith(comment, start):
            pass
        elif quoted and text.find(b'"', start, end) >= 0:
            end, quotes = _quoted_row_end(text, start, end, layout)
            last += text.count(b"\n", start, end - 1)
            yield RowSpan(number, last, start, end, quotes)
        elif text[start:end].strip(b" \r\n"):
            yield RowSpan(number, last, start, end, None)
        start, number = end, last + 1


def _next_line(text: bytes, start: int) -> int:
    return text.find(b"\n", start) + 1 or len(text)


def _quoted_row_end(text: bytes, start: int, end: int, layout: TextLayout) -> tuple[int, str]:
    """Return the end of a row with quotes, and the state of the quotes.

    RFC 4180 allows line breaks in a quoted field. A quote that is never closed looks the same up to the next quote in
    the file. A multi-line field must therefore be closed properly, leave a row of the right width, and hold no rows
    itself.
    """
    record = row_pattern(layout.separator).match(text, start)
    if record and record.end() <= end:
        return end, ""
    if record and row_pattern(layout.separator, len(layout.names)).fullmatch(record[0]):
        quotes = _classify_quoted_lines(record[0], layout)
        if quotes != "rows":
            return record.end(), quotes
    return end, "stray"


@cache
def row_pattern(separator: str, width: int | None = None) -> re.Pattern[bytes]:
    """Compile the pattern of a row by RFC 4180 with its line end; quotes inside an unquoted field are text."""
    # possessive quantifiers (`*+`) never backtrack: the time stays linear in the length of the text
    more = b"*+" if width is None else b"{%d}" % (width - 1)
    mark = re.escape(separator.encode())
    field = rb'(?:"[^"]*+(?:""[^"]*+)*+"|(?!")[^%s\n]*+)' % mark
    return re.compile(rb"%s(?:[%s]%s)%s\r*(?:\n|\Z)" % (field, mark, field, more))


@cache
def _wide_line_pattern(separator: str, width: int) -> re.Pattern[bytes]:
    """Compile the pattern of a line break that is followed by a line with enough separators for a row."""
    mark = re.escape(separator.encode())
    return re.compile(rb"[\r\n](?:[^%s\r\n]*+[%s]){%d}" % (mark, mark, width - 1))


def _classify_quoted_lines(record: bytes, layout: TextLayout) -> str:
    """Return "rows" if the lines within quotes are rows, "doubtful" if they may be, and "" for text."""
    separator, width = layout.separator, len(layout.names)
    if not _wide_line_pattern(separator, width).search(record):  # the fast path of nearly all text
        return ""
    first, *others = record.replace(b"\r", b"\n").rstrip(b"\n").split(b"\n")
    opening = first.decode().split(separator)
    quoted = max(column for column, field in enumerate(opening) if field.startswith('"'))
    n_known = width if len(opening) == width else quoted
    others_known = [column for column in range(n_known) if column != quoted]
    numbers = [column for column in others_known if not (text := opening[column].strip(' "')) or is_number(text)]
    doubtful = False
    for number, line in enumerate(others, 1):
        fields = split_line(line.decode(), separator)
        if len(fields) != width:
            continue
        # in the last line, the columns after the closing quote are ambiguous
        compared = [column for column in numbers if column < quoted or number < len(others)]
        if compared and all(is_number(fields[column].strip('"')) for column in compared):
            return "rows"
        doubtful |= not compared and n_known == width
    return "doubtful" if doubtful else ""


def line_numbers(trace: ParseTrace, positions: Collection[int]) -> dict[int, int]:
    """Return position → first line, for positions among the accepted rows."""
    if trace.layout is None:
        return {}
    left_out = {row.line for row in trace.rejected} | trace.skipped
    return {at: row.first for at, row in rows_at(trace.text, trace.layout, left_out, positions).items()}


def rows_at(
    text: bytes, layout: TextLayout, left_out: Collection[int], positions: Collection[int]
) -> dict[int, TextRow]:
    """Return position → row for positions among the rows that do not begin in the lines `left_out`."""
    rows = (row for row in iter_rows(text, layout) if row.first not in left_out)
    stop = max(positions, default=-1) + 1
    return {position: row for position, row in zip(range(stop), rows, strict=False) if position in positions}


def _row_fault(row: TextRow, layout: TextLayout, positions: dict[str, int], spec: ColumnSpec) -> tuple[str, str]:
    """Return the code and the description of a row's error, or two empty strings."""
    if row.fields is None:
        return "bad_line", f"a field of more than {MAX_FIELD_LENGTH:,} characters; is a quote left open?"
    shown = shorten(layout.separator.join(row.fields))
    n_fields, expected = len(row.fields), f"where {len(layout.names)} are expected"
    if n_fields != len(layout.names):
        return "bad_line", f"{plural(n_fields, 'field')} {expected}: {shown}"
    opened = [column for name, column in positions.items() if name in spec.required and row.fields[column][:1] == '"']
    if row.quotes == "stray" and opened:
        return "bad_line", f"{plural(min(opened) + 1, 'field')} {expected}, because a quote is not closed: {shown}"
    for name, column in positions.items():
        field = row.fields[column].strip()
        if reason := _field_fault(name, field, name in spec.required):
            return "unreadable_field" if field else "missing_field", f"{reason} in {shown}"
    return "", ""


def _field_fault(name: str, field: str, required: bool) -> str:
    """Return the error in a field, or an empty string. Numbers and times are checked by column."""
    if not field:
        return f"no {name}" if required else ""
    if name in ID_COLUMNS and (len(field.encode()) > MAX_ID_BYTES or "\0" in field):
        return f"{name}={shorten(field)}, expected an id of at most {MAX_ID_BYTES:,} characters and without NUL,"
    return ""
