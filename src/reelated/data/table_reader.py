"""Readers for tables of any kind (delimited text, Parquet, Arrow) into polars columns with Reelated's names.

polars reads text fast. Only where it finds something odd does the line-by-line parser read again, so that the message
can name the line. A result of polars is trusted only if its number of rows agrees with a separate count.
"""

import gzip
import io
import zlib

import polars as pl

from reelated.data.text_layout import RATING_SPEC, ColumnSpec, TextLayout, detect_layout, prefix_errors
from reelated.data.text_parser import ID_COLUMNS, MAX_ID_BYTES, count_lines, count_rows, numeric_columns, read_lines
from reelated.errors import InputError
from reelated.ratings.frames import named, read_ids

_UNIT_SEPARATOR = "\x1f"  # replaces `::` for polars, which accepts only a separator of one byte
_INTEGER_COLUMNS = ("user_id", "item_id", "timestamp", "order")


def read_table(
    label: str, data: bytes, spec: ColumnSpec = RATING_SPEC, layout: TextLayout | None = None
) -> tuple[pl.DataFrame, list[str]]:
    r"""Read the wanted columns of a table; return them with notes on what was changed or assumed.

    Examples
    --------
    >>> table, notes = read_table("mine.csv", b"userId,movieId,rating\n7,007,4.5\n")
    >>> table.rows(), notes
    ([(7, '007', 4.5)], [])
    """
    if not data:
        raise InputError(f"{label} is empty. Expected a table with a row for each rating.")
    if data.startswith(b"\x1f\x8b"):
        return read_table(label, _gunzip(label, data), spec, layout)
    if data.startswith((b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")):
        return _check_rows(label, _read_binary(label, data, spec)), []
    text = _as_utf8(label, data)
    if spec.trace:
        spec.trace.label, spec.trace.text = label, text
    layout, assumed = (layout, []) if layout else detect_layout(label, text, spec)
    if spec.trace:
        spec.trace.layout = layout
    with prefix_errors(label):
        columns = spec.match(layout.names)
    table, notes = _read_text(label, text, layout, columns, spec)
    if table.is_empty() and spec.trace and spec.trace.rejected:
        raise InputError(f"No row of {label} can be used.")
    table, conversions = _convert(_check_rows(label, table))
    return table, assumed + notes + conversions


def _check_rows(label: str, table: pl.DataFrame) -> pl.DataFrame:
    if table.is_empty():
        raise InputError(f"{label} holds no rows. Expected one for each rating.")
    return table


def _gunzip(label: str, data: bytes) -> bytes:
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error):
        raise InputError(f"{label}: the gzip file is damaged or cut short. Get it again.") from None


def _read_binary(label: str, data: bytes, spec: ColumnSpec) -> pl.DataFrame:
    """Read the wanted columns of a Parquet or Arrow file."""
    kind = "Parquet" if data.startswith(b"PAR1") else "Arrow"
    read = pl.read_parquet if kind == "Parquet" else pl.read_ipc if data.startswith(b"ARROW1") else pl.read_ipc_stream
    try:
        table = read(io.BytesIO(data))
    except (pl.exceptions.PolarsError, OSError):
        raise InputError(f"{label}: the {kind} file is damaged or cut short. Get it again.") from None
    with prefix_errors(label):
        return named(table, spec.aliases, spec.columns, spec.required)


def _as_utf8(label: str, data: bytes) -> bytes:
    """Return text as UTF-8 without byte order mark and trailing blank lines; text that is not UTF-8 is Latin-1."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise InputError(f"{label} is UTF-16 text. Save it as UTF-8.")
    if b"\0" in data[:65536]:
        raise InputError(f"{label} holds NUL bytes. Expected text, Parquet or Arrow; if it is text, save it anew.")
    if data.startswith(b"\xef\xbb\xbf"):
        data = data[3:]
    if b"\r" in data and b"\n" not in data:  # line ends of classic Mac OS
        data = data.replace(b"\r", b"\n")
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            data = data.decode("latin-1").encode()
    return data.rstrip(b"\r\n") + b"\n" if data.endswith((b"\n\n", b"\n\r\n")) else data


def _read_text(
    label: str, text: bytes, layout: TextLayout, columns: dict[str, str], spec: ColumnSpec
) -> tuple[pl.DataFrame, list[str]]:
    """Read text with the fastest reader that accounts for every row."""
    lines = _scan(text, layout)
    try:
        table = _read_numbers(lines, layout, columns)
        if table is None:
            table = _read_strings(lines, layout, columns, spec)
    except pl.exceptions.PolarsError:
        table = None
    if table is not None:
        n_lines = count_lines(text, layout)
        if len(table) == n_lines:
            return table, []
        counts = count_rows(text, layout)  # line breaks in fields, or an open quote that swallows rows
        if len(table) == counts.rows and not counts.stray:
            return table, list(counts.notes(n_lines, every=bool(spec.trace)))
    return read_lines(label, text, layout, columns, spec)


def _scan(text: bytes, layout: TextLayout) -> pl.LazyFrame:
    """Return a lazy polars scan of a text, all columns as strings."""
    two_bytes = layout.separator == "::"
    return pl.scan_csv(
        text.replace(b"::", _UNIT_SEPARATOR.encode()) if two_bytes else text,
        has_header=False,
        skip_lines=layout.skip,
        separator=_UNIT_SEPARATOR if two_bytes else layout.separator,
        quote_char='"' if layout.quoted else None,
        schema=dict.fromkeys(layout.names, pl.String()),
    )


def _read_numbers(lines: pl.LazyFrame, layout: TextLayout, columns: dict[str, str]) -> pl.DataFrame | None:
    """Read a numeric table in one streaming pass without holding its text; None if any field is not a number."""
    if not {"rating"} <= columns.keys() <= {"rating", *_INTEGER_COLUMNS}:
        return None
    text = {ours: pl.col(theirs) for ours, theirs in columns.items()}
    integers = {ours: text[ours].cast(pl.Int64, strict=False) for ours in _INTEGER_COLUMNS if ours in columns}
    rating = text["rating"].cast(pl.Float32, strict=False)
    # ids must survive the round trip: "007" is text
    unchanged = [integer.cast(pl.String) == text[ours] for ours, integer in integers.items()]
    complete = pl.col(layout.names[-1]).is_not_null()  # an empty last field looks like a short line
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
    numbers = numeric_columns({name: value for name in columns for value in table[name].drop_nulls()[:1]})
    odd = [_is_odd(name, name in spec.required, name in numbers) for name in columns]
    any_odd = table.select(pl.any_horizontal(pl.col(last).is_null(), *odd).any()).item()
    return None if table.is_empty() or any_odd else table.drop(last)


def _is_odd(name: str, required: bool, number: bool) -> pl.Expr:
    """Return the rows with a field that breaks a rule of the line-by-line parser, for whole columns at once."""
    field = pl.col(name).str.strip_chars()
    odd = [pl.lit(False)]
    if required:
        odd.append(field.is_null() | (field == ""))
    if name in ID_COLUMNS:
        odd.append((field.str.len_bytes() > MAX_ID_BYTES) | field.str.contains("\0", literal=True))
    if number:
        odd.append(~field.cast(pl.Float64, strict=False).is_finite().fill_null(field.is_null()))
    return pl.any_horizontal(odd)


def _convert(table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Strip spaces around fields, convert ratings to numbers, and ids to integers if that changes none of them."""
    text = [name for name in table.columns if table[name].dtype == pl.String]
    stripped = table.with_columns(pl.col(name).str.strip_chars() for name in text)
    ids = [name for name in ID_COLUMNS if name in text]
    changed = [name for name in ids if not table[name].equals(stripped[name])]
    ratings = [pl.col("rating").cast(pl.Float32)] if "rating" in text else []
    stripped = stripped.with_columns(*(read_ids(stripped[name]) for name in ids), *ratings)
    return stripped, [f"removed the spaces around {' and '.join(changed)}"] * bool(changed)
