"""The fast reader of delimited text: polars, checked by a separate count of the rows."""

import re

import polars as pl

from reelated.data.text_layout import ColumnSpec, TextLayout
from reelated.data.text_parser import (
    ID_COLUMNS,
    MAX_FIELD_LENGTH,
    MAX_ID_BYTES,
    ParsedText,
    count_lines,
    count_rows,
    read_lines,
)
from reelated.data.unpack import POLARS_ERRORS

_UNIT_SEPARATOR = "\x1f"  # replaces `::` for polars, which accepts only a separator of one byte
_BESIDE_COMMAS = (";", "\t")
_THOUSANDS = re.compile(rb"\.(?<=\d\.)\d{3}[;\t\r\n]")  # begins with the dot, to search fast
"""In files from countries with a decimal comma, 1.234 may be a thousand: the whole column decides."""
_INTEGER_COLUMNS = ("user_id", "item_id", "timestamp", "order")


def read_text(text: bytes, layout: TextLayout, columns: dict[str, str], spec: ColumnSpec) -> ParsedText:
    """Read text with the fastest reader that accounts for every row."""
    lines = _scan(text, layout)
    try:
        table = _read_numbers(lines, text, layout, columns)
        if table is None:
            table = _read_strings(lines, layout, columns, spec)
    except POLARS_ERRORS:
        table = None
    if table is not None:
        n_lines = count_lines(text, layout)
        if len(table) == n_lines:
            return ParsedText(table, [], [])
        counts = count_rows(text, layout)  # line breaks in fields, or an unclosed quote that hides rows
        if len(table) == counts.rows and not counts.stray:
            return ParsedText(table, [], list(counts.notes(n_lines, every=bool(spec.trace))))
    return read_lines(text, layout, columns, spec)


def _scan(text: bytes, layout: TextLayout) -> pl.LazyFrame:
    """Return a lazy polars scan of a text, all columns as strings."""
    two_bytes = layout.separator == "::"
    return pl.scan_csv(
        text.replace(b"::", _UNIT_SEPARATOR.encode()) if two_bytes else text,
        has_header=False,
        skip_lines=layout.skip,
        separator=_UNIT_SEPARATOR if two_bytes else layout.separator,
        quote_char='"' if layout.quoted else None,
        comment_prefix=layout.comment or None,
        schema=dict.fromkeys(layout.names, pl.String()),
    )


def _read_numbers(lines: pl.LazyFrame, text: bytes, layout: TextLayout, columns: dict[str, str]) -> pl.DataFrame | None:
    """Read a numeric table in one streaming pass without holding its text; None if any field is not a number."""
    if not {"rating"} <= columns.keys() <= {"rating", *_INTEGER_COLUMNS}:
        return None
    if layout.separator in _BESIDE_COMMAS and _THOUSANDS.search(text):
        return None
    fields = {ours: pl.col(theirs) for ours, theirs in columns.items()}
    integers = {ours: fields[ours].cast(pl.Int64, strict=False) for ours in _INTEGER_COLUMNS if ours in columns}
    rating = fields["rating"].cast(pl.Float32, strict=False)
    # ids must survive the round trip: "007" is text
    unchanged = [integer.cast(pl.String) == fields[ours] for ours, integer in integers.items()]
    complete = pl.col(layout.names[-1]).is_not_null()  # an empty last field looks like a missing field
    table = lines.select(
        *(integer.alias(ours) for ours, integer in integers.items()),
        rating.alias("rating"),
        pl.all_horizontal(*unchanged, rating.is_finite(), complete).fill_null(False).alias("valid"),
    ).collect(engine="streaming")
    return table.drop("valid") if table["valid"].all() else None


def _read_strings(
    lines: pl.LazyFrame, layout: TextLayout, columns: dict[str, str], spec: ColumnSpec
) -> pl.DataFrame | None:
    """Read the wanted columns as text; None if a row looks odd."""
    last = " last"
    selected = [pl.col(theirs).alias(ours) for ours, theirs in columns.items()]
    table = lines.select(*selected, pl.col(layout.names[-1]).alias(last)).collect()
    odd = [_is_odd(name, name in spec.required) for name in columns]
    any_odd = table.select(pl.any_horizontal(pl.col(last).is_null(), *odd).any()).item()
    return None if table.is_empty() or any_odd else table.drop(last)


def _is_odd(name: str, required: bool) -> pl.Expr:
    """Return the rows with a field that the line-by-line parser must check."""
    field = pl.col(name).str.strip_chars()
    odd = [field.str.len_bytes() > MAX_FIELD_LENGTH]
    if required:
        odd.append(field.is_null() | (field == ""))
    if name in ID_COLUMNS:
        odd.append((field.str.len_bytes() > MAX_ID_BYTES) | field.str.contains("\0", literal=True))
    return pl.any_horizontal(odd)
