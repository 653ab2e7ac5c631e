"""Readers for tables of any kind into polars columns with Reelated's names.

polars reads text fast. If it finds something odd, the line-by-line parser reads the text again, so that the message can
name the line. A result of polars is trusted only if its number of rows agrees with a separate count.
"""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import polars as pl

from reelated.data.containers import HEAD_BYTES, container_of
from reelated.data.json_reader import is_json, read_json
from reelated.data.layouts import MIN_WIDTH, is_item_lists, matrix_width, read_item_lists, unpivot
from reelated.data.nested import unnested_frame
from reelated.data.roles import ratings_in
from reelated.data.text_forms import arrange_text, as_utf8
from reelated.data.text_layout import RATING_SPEC, ColumnSpec, RejectedRow, TextLayout, by_position, prefix_errors
from reelated.data.text_parser import ID_COLUMNS, rows_at
from reelated.data.text_reader import read_text
from reelated.data.unpack import POLARS_ERRORS, check_rows, compression, decompress, quiet_panics
from reelated.errors import Advice, InputError, plural, shorten
from reelated.ratings.columns import RATING_ALIASES, match_columns, named
from reelated.ratings.frames import RatingTable, convert_ratings, read_whole_ids, required_columns

_MISSING_COLUMNS = (Advice.NAME_COLUMNS, Advice.NAME_RATING, Advice.OWN_RATINGS)  # remedies
_BINARY = (b"PAR1", b"ARROW1", b"\xff\xff\xff\xff")


class Located(NamedTuple):
    """The text of a table with the rejected rows, from which the line of a row is found."""

    text: bytes
    layout: TextLayout
    rejected: list[RejectedRow]


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
    if compression(data) or data.startswith((b"PK\x03\x04", b"SQLite format 3\0", b"\xd0\xcf\x11\xe0")):
        container = container_of(label, data)
        if container is None:
            return read_table(label, decompress(label, data), spec, layout)
        member = ratings_in(label, container, spec)
        return read_table(f"{label}, {member}", container.read(member), spec, layout)
    if not data:
        raise InputError(f"{label} is empty. Expected a table with a row for each rating.")
    if data.startswith(_BINARY):
        return read_frame(label, _read_binary(label, data), spec)
    text, notes = as_utf8(label, data, spec.options.encoding)
    notes = [] if layout else notes  # known layouts have a fixed encoding
    if spec.trace:
        spec.trace.label, spec.trace.text = label, text
    if layout is None and is_json(text[:HEAD_BYTES]):
        return _read_rows(label, read_json(label, text, spec), spec, notes)
    if layout is None and spec.is_ratings and is_item_lists(label, text[:HEAD_BYTES]):
        return _read_rows(label, read_item_lists(label, text, spec.options.invalid), spec, notes)
    forms: list[str] = []
    if layout is None:
        text, layout, forms = arrange_text(label, text, spec)
    if spec.trace:
        spec.trace.text, spec.trace.layout = text, layout
    may_be_encoded = bool(notes) and not "".join(layout.names).isascii()
    with _suggest(may_be_encoded, Advice.ENCODING, " The text is not UTF-8."):
        table, more = _read_layout(label, text, layout, spec)
    return table, notes + forms + more


@contextmanager
def _suggest(is_likely: bool, remedy: str, reason: str = "") -> Iterator[None]:
    """Suggest another option if columns are missing and it is the likely remedy."""
    try:
        yield
    except InputError as error:
        if not is_likely or error.remedy not in _MISSING_COLUMNS:
            raise
        raise error.replace(expected=error.expected + reason, remedy=remedy) from None


def _read_layout(label: str, text: bytes, layout: TextLayout, spec: ColumnSpec) -> tuple[pl.DataFrame, list[str]]:
    wide = spec.is_ratings and spec.options.layout == "wide"
    with prefix_errors(label):
        columns = dict(zip(layout.names, layout.names, strict=True)) if wide else _match(text, layout, spec)
    if spec.trace:
        spec.trace.columns = columns
    if "rating" not in columns:
        spec = spec._replace(required=tuple(name for name in spec.required if name != "rating"))
    inner = spec._replace(required=()) if wide else spec
    table, rejected, notes = read_text(text, layout, columns, inner)
    if table.is_empty() and rejected:
        _report(label, rejected, spec)
        raise _no_usable_row(label, rejected, spec)
    _check_rows(label, table)
    if wide:
        _report(label, rejected, spec)
        with prefix_errors(label):
            table, shape = unpivot(_with_ids(table, list(layout.names[:1]))[0], spec.columns)
            more, changes = _as_ratings(label, _with_ids(table)[0], spec._replace(columns=None), None)
        return more, notes + shape + changes
    table, changes = _with_ids(table)
    if columns.get("genres", "").endswith("_seq"):  # RecBole separates them by spaces
        table = table.with_columns(pl.col("genres").str.replace_all(" ", "|"))
    if not spec.is_ratings:
        return table, notes + _report(label, rejected, spec) + changes
    lists = [name for name in layout.names if name.endswith("_seq") and name not in columns.values()]
    notes += [f"did not read the lists in {', '.join(map(repr, lists))}"] * bool(lists)
    with prefix_errors(label):
        try:
            table, conversions = _as_ratings(label, table, spec, Located(text, layout, rejected), columns)
        except InputError:
            if spec.options.invalid == "error" and rejected:
                _report(label, rejected, spec)
            raise
    return table, notes + changes + conversions


def _match(text: bytes, layout: TextLayout, spec: ColumnSpec) -> dict[str, str]:
    """Return the columns to read; for a matrix, the error names the option `layout`."""
    rows = [row.fields or [] for row in rows_at(text, layout, (), range(8)).values()] if spec.is_ratings else []
    with _suggest(matrix_width(layout.names, rows) >= MIN_WIDTH, Advice.WIDE):
        return _with_required(spec, layout, rows).match(layout.names)


def _with_required(spec: ColumnSpec, layout: TextLayout, rows: list[list[str]]) -> ColumnSpec:
    """Return the spec with its required columns: a rating too, unless the options or the first rows indicate events."""
    if not spec.is_ratings or spec.required != RATING_SPEC.required:
        return spec
    names, options = layout.names, spec.options
    sample = {name: [row[at] for row in rows if at < len(row)] for at, name in enumerate(names)}
    columns = by_position(spec.columns, names)
    return spec._replace(required=required_columns(names, columns, options.feedback, options.events, sample))


def read_frame(label: str, frame: pl.DataFrame, spec: ColumnSpec) -> tuple[pl.DataFrame, list[str]]:
    """Read the wanted columns of a frame; return them with notes."""
    notes: list[str] = []
    _check_rows(label, frame)
    with prefix_errors(label):
        if not spec.is_ratings:
            return named(frame, spec.aliases, spec.columns, spec.required), notes
        if spec.options.layout == "wide":
            frame, notes = unpivot(frame, spec.columns)
            frame, spec = _with_ids(frame)[0], spec._replace(columns=None)
        else:
            frame, notes = unnested_frame(frame, by_position(spec.columns, tuple(frame.columns)))
        rows = [["" if value is None else str(value) for value in row] for row in frame.head(8).rows()]
        with _suggest(matrix_width(frame.columns, rows) >= MIN_WIDTH, Advice.WIDE):
            table, more = _as_ratings(label, frame, spec, None)
            table, changes = _with_stripped_ids(table)
    return table, notes + changes + _whole_floats(frame, spec) + more


def _with_stripped_ids(table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Strip spaces around text ids, as in a file; an empty id is missing. Numbers and text keep their types."""
    text = [name for name in ID_COLUMNS if table[name].dtype == pl.String]
    stripped = table.with_columns(pl.col(name).str.strip_chars().replace("", None) for name in text)
    changed = [name for name in text if not table[name].equals(stripped[name])]
    return stripped, [f"removed the spaces around {' and '.join(changed)}"] * bool(changed)


def _whole_floats(frame: pl.DataFrame, spec: ColumnSpec) -> list[str]:
    """Return a note for each id column of a frame that holds floats."""
    given = by_position(spec.columns, tuple(frame.columns))
    names = match_columns(frame.columns, {id_: RATING_ALIASES[id_] for id_ in ID_COLUMNS}, given)
    floats = {id_: frame[names[id_]] for id_ in ID_COLUMNS if frame[names[id_]].dtype.is_float()}
    examples = {id_: column.drop_nans().drop_nulls() for id_, column in floats.items()}
    return [
        f"read {id_} as whole numbers, such as {column[0]} as {column[0]:.0f}"
        for id_, column in examples.items()
        if len(column)
    ]


def _as_ratings(
    label: str, table: pl.DataFrame, spec: ColumnSpec, located: Located | None, names: dict[str, str] | None = None
) -> tuple[pl.DataFrame, list[str]]:
    """Convert ratings and times; reject rows with unreadable values, and leave out rows that the map drops."""
    options = spec.options
    columns = by_position(spec.columns, tuple(table.columns))
    if located is not None:
        columns = {"rating": None} if "rating" not in table.columns else {}
    kind = options.feedback, options.events
    ratings = convert_ratings(table, columns, options.mapping, options.dates, names, *kind, options.layout is None)
    if located is None and options.invalid == "error":
        ratings.check()
    rejected, left_out = _rejected_rows(ratings, located), ratings.left_out(options.mapping)
    if left_out is not None and located is not None and spec.trace:
        bad_lines = {row.line for row in located.rejected}
        skipped = rows_at(located.text, located.layout, bad_lines, set(left_out.arg_true()))
        spec.trace.skipped |= {row.first for row in skipped.values()}
    remedy = next((each.remedy for each in ratings.faults.values()), Advice.DROP_LINES)
    remedy = Advice.DROP_LINES if located and remedy == Advice.DROP_ROWS else remedy
    notes = _report(label, rejected, spec, remedy) + ratings.notes
    if left_out is not None:
        notes.append(f"left out {plural(int(left_out.sum()), 'row')} that the map gives no rating")
    result = ratings.table
    if left_out is not None or ratings.faults:
        masks = [mask for mask in (ratings.unreadable if ratings.faults else None, left_out) if mask is not None]
        result = result.filter(~masks[0] if len(masks) == 1 else ~(masks[0] | masks[1]))
    if result.is_empty() and rejected:
        raise _no_usable_row(label, rejected, spec)
    return result, notes


def _rejected_rows(ratings: RatingTable, located: Located | None) -> list[RejectedRow]:
    """Return the rows that the parser has rejected, and those with values that cannot be read."""
    rejected = list(located.rejected) if located else []
    if not ratings.faults:
        return rejected
    if located is not None:
        return rejected + _rejected_values(ratings, ratings.unreadable, located)
    at = ratings.unreadable.arg_true()
    reason = f"row {at[0] + 1}: {', '.join(ratings.fault_of(int(at[0]))[1:])}"
    return [RejectedRow(0, "unreadable_field", reason, "")] * len(at)


def _rejected_values(ratings: RatingTable, unreadable: pl.Series, located: Located) -> list[RejectedRow]:
    """Return the rows with values that cannot be read, with their lines."""
    at = set(unreadable.arg_true().to_list())
    rows = rows_at(located.text, located.layout, {row.line for row in located.rejected}, at)
    rejected = []
    for position, row in rows.items():
        text = located.layout.separator.join(row.fields or ())
        _, value, expected = ratings.fault_of(position)
        rejected.append(RejectedRow(row.first, "unreadable_field", f"{value}, {expected}, in {shorten(text)}", text))
    return rejected


def _report(label: str, rejected: list[RejectedRow], spec: ColumnSpec, remedy: str = Advice.DROP_LINES) -> list[str]:
    """Raise `InputError` for rejected rows if `invalid` is "error"; else add them to the trace or return a note."""
    if not rejected:
        return []
    first, fault = _first_fault(rejected)
    if spec.options.invalid == "error":
        if first.code != "unreadable_field" or "expected an id" in first.reason:
            remedy = Advice.DROP_LINES
        raise InputError(f"{label}, {fault}.", remedy=remedy)
    if spec.trace:
        spec.trace.rejected.extend(sorted(rejected, key=lambda row: row.line))
        return []
    n_lines = sum(row.n_lines for row in rejected)
    return [f"dropped {plural(n_lines, 'bad line' if first.line else 'bad row')}, the first is {fault}"]


def _first_fault(rejected: list[RejectedRow]) -> tuple[RejectedRow, str]:
    first = min(rejected, key=lambda row: row.line)
    return first, f"line {first.line}: {first.reason}" if first.line else first.reason


def _no_usable_row(label: str, rejected: list[RejectedRow], spec: ColumnSpec) -> InputError:
    reason = "" if spec.trace else f" The first is {_first_fault(rejected)[1]}."  # a trace has all reasons
    return InputError(f"No row of {label} can be used.{reason}")


def _read_rows(
    label: str, rows: tuple[pl.DataFrame, list[RejectedRow], list[str]], spec: ColumnSpec, notes: list[str]
) -> tuple[pl.DataFrame, list[str]]:
    """Read the rows of a text as a frame; its bad lines are rejected rows."""
    frame, rejected, more = rows
    dropped = _report(label, rejected, spec)
    table, conversions = read_frame(label, frame, spec)
    return table, notes + more + dropped + conversions


def _check_rows(label: str, table: pl.DataFrame) -> None:
    if table.is_empty():
        raise InputError(f"{label} holds no rows. Expected one for each rating.")


def _read_binary(label: str, data: bytes) -> pl.DataFrame:
    """Read a Parquet or Arrow file."""
    kind = "Parquet" if data.startswith(b"PAR1") else "Arrow"
    try:
        with quiet_panics():
            if kind == "Arrow" and not data.startswith(b"ARROW1"):
                return pl.read_ipc_stream(io.BytesIO(data))
            lazy = (pl.scan_parquet if kind == "Parquet" else pl.scan_ipc)(io.BytesIO(data))
            # a compressed file of equal values is tiny, but unpacks to any size
            check_rows(label, lazy.select(pl.len()).collect().item(), lazy.collect_schema().dtypes())
            return (pl.read_parquet if kind == "Parquet" else pl.read_ipc)(io.BytesIO(data))
    except (*POLARS_ERRORS, OSError):
        raise InputError(f"{label}: the {kind} file is damaged or cut short. Get it again.") from None


def _with_ids(table: pl.DataFrame, ids: list[str] | None = None) -> tuple[pl.DataFrame, list[str]]:
    """Strip spaces around fields; convert ids to integers if no id changes."""
    text = [name for name in table.columns if table[name].dtype == pl.String]
    if not text:
        return table, []
    stripped = table.with_columns(pl.col(name).str.strip_chars() for name in text)
    chosen = [name for name in ids or ID_COLUMNS if name in text]
    changed = [name for name in chosen if not table[name].equals(stripped[name])]
    notes = [f"removed the spaces around {' and '.join(changed)}"] * bool(changed)
    for name in chosen:
        if stripped[name].str.starts_with('="').any():  # a formula, with which a spreadsheet keeps leading zeros
            stripped = stripped.with_columns(pl.col(name).str.replace(r'^="(.*)"$', "$1"))
            notes.append(f'read {name} such as ="{stripped[name][0]}" without the signs of a formula')
        values, note = read_whole_ids(stripped[name])
        stripped, notes = stripped.with_columns(values), [*notes, note] if note else notes
    return stripped, notes
