"""Python objects, pandas columns and records → polars columns; values without a polars type raise `InputError`."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import polars as pl
import scipy.sparse as sp

from reelated.errors import InputError, InputTypeError, shorten
from reelated.ratings.columns import RATING_ALIASES, match_columns

POSITIONAL = ("user_id", "item_id", "rating", "timestamp")
"""The columns of a table without column names."""


def as_series(name: str, values: Any) -> pl.Series:
    """Convert a pandas column, an array or a list to a polars column; reject mixed types."""
    if isinstance(values, pl.Series) or hasattr(values, "to_pylist"):  # columns of polars and Arrow have types
        return without_objects(pl.Series(name, values))
    if hasattr(values, "to_numpy"):
        values = _from_pandas(values)
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    if kind == "c":
        raise InputError(f"Column {name!r} holds complex numbers: expected real numbers, dates or text.")
    if kind == "f" and values.dtype.itemsize > 8:
        values = values.astype(np.float64)
    if kind == "M":
        values = values.astype("datetime64[us]")  # polars has no type for seconds
    try:
        column = pl.Series(name, list(map(_simple, values)) if kind in ("", "O") else values, strict=True)
    except (TypeError, ValueError, OverflowError, pl.exceptions.PolarsError):
        if not _all_numbers(values):
            raise _mixed(name, values) from None
        column = pl.Series(name, [None if value is None else float(value) for value in values])
    if column.dtype == pl.Object:
        raise _mixed(name, values)
    return column


def without_objects(column: pl.Series) -> pl.Series:
    """Convert a polars column of Python objects, or of UUIDs in 16 bytes, to a native type."""
    if column.dtype == pl.Object:
        return as_series(column.name, column.to_list())
    if column.dtype == pl.Binary and column.len() and (column.bin.size() == 16).fill_null(True).all():
        return pl.Series(column.name, [None if value is None else str(UUID(bytes=value)) for value in column])
    return column


def _from_pandas(values: Any) -> Any:
    """Return a pandas column as an array of numbers, times or objects, with None for what is missing."""
    kind = values.dtype.kind
    if type(values.dtype).__name__ == "PeriodDtype":
        values, kind = values.dt.to_timestamp(), "M"
    if getattr(values.dtype, "tz", None) is not None:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    elif kind not in "iufbMc" or (kind in "iufb" and not isinstance(values.dtype, np.dtype)):
        values = values.astype(object).where(values.notna(), None)
    return values.to_numpy()


def _simple(value: Any) -> Any:
    """Return a value that polars knows: text for a UUID, a list for a set, a datetime for a time of pandas."""
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(map(str, value))
    if isinstance(value, (tuple, np.ndarray)):
        return list(value)
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "to_timestamp") and hasattr(value, "freq"):  # a period of pandas
        value = value.to_timestamp()
    if type(value).__name__ in ("NaTType", "NAType"):
        return None
    return value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value


def _mixed(name: str, values: Any) -> InputError:
    """Return the error for a column of mixed or unknown types."""
    by_type = {type(value).__name__: value for value in values if value is not None}
    if len(by_type) == 1:
        kind, value = by_type.popitem()
        example = shorten(value, 20)
        return InputTypeError(f"Column {name!r} holds {kind}, such as {example}: expected numbers, dates or text.")
    examples = " and ".join(f"{shorten(value, 20)} ({kind})" for kind, value in sorted(by_type.items())[:2])
    return InputTypeError(
        f"Column {name!r} mixes types: {examples}. Make it one type, for example all integers or all text."
    )


def _all_numbers(values: Any) -> bool:
    """Return whether a list such as `[4, 4.5, None]` converts to floats without loss."""
    numbers = (value for value in values if value is not None)
    # a float64 holds every integer up to 2⁵³
    return all(type(value) in (float, Decimal) or (type(value) is int and abs(value) <= 2**53) for value in numbers)


def from_sparse(what: str, matrix: Any, user_ids: Any = None, item_ids: Any = None) -> pl.DataFrame:
    """Return one row per stored entry of a sparse users × items matrix; without ids, row and column numbers."""
    entries = sp.coo_array(matrix)
    if entries.ndim != 2:
        raise InputError(f"{what} is a sparse array of {entries.ndim} dimension(s): expected users × items.")
    columns = []
    for name, ids, index, size in (
        ("user_id", user_ids, entries.row, entries.shape[0]),
        ("item_id", item_ids, entries.col, entries.shape[1]),
    ):
        known = as_series(name, np.arange(size) if ids is None else ids)
        if len(known) != size:
            raise InputError(f"{what}: {len(known):,} ids for {size:,} {name[:4]}s of the matrix.")
        columns.append(known.gather(index.astype(np.int64)))
    return pl.DataFrame([*columns, as_series("rating", entries.data)])


def from_nested(table: Mapping[Any, Mapping[Any, Any]]) -> Any:
    """Return the rows of `{user: {item: rating}}`, or the columns of `{column: {row: value}}` as pandas writes them."""
    if len(match_columns([str(name) for name in table], RATING_ALIASES)) < 2:
        return [(user, item, rating) for user, rated in table.items() for item, rating in rated.items()]
    rows = list(dict.fromkeys(row for values in table.values() for row in values))
    return {name: [values.get(row) for row in rows] for name, values in table.items()}


def from_records(what: str, rows: Sequence[Any]) -> list[tuple[str, Iterable[Any]]]:
    """Return named columns of a list of dicts, or of tuples in the order user, item, rating, timestamp."""
    if all(isinstance(row, Mapping) for row in rows):
        names = list(dict.fromkeys(str(name) for row in rows for name in row))
        return [(name, [row.get(name) for row in rows]) for name in names]
    widths = {len(row) if isinstance(row, (tuple, list, np.ndarray)) else 0 for row in rows}
    if len(widths) != 1 or not 2 <= (width := widths.pop()) <= len(POSITIONAL):
        dense = "For a matrix of users × items: read(scipy.sparse.csr_array(matrix))."
        raise InputTypeError(
            "expected a list of dicts, or of tuples (user, item, rating) of one length.",
            parameter=what,
            value=rows,
            remedy=dense if isinstance(rows[0], np.ndarray) else "",
        )
    return [(name, [row[at] for row in rows]) for at, name in enumerate(POSITIONAL[:width])]
