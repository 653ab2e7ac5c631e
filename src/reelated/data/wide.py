"""Matrices with a row for each user and a column for each item → one row for each rating."""

from collections.abc import Sequence

import polars as pl

from reelated.data.text_layout import by_position, is_number
from reelated.errors import InputError, plural, shorten
from reelated.ratings.columns import ITEM_ALIASES, RATING_ALIASES, USER_ALIASES, ColumnNames, match_columns, plain
from reelated.ratings.values import as_numbers

MIN_WIDTH = 5
"""Minimum number of numeric columns with unknown names in a matrix."""
_TOTALS = (
    *("total", "totals", "grandtotal", "sum", "all", "gesamt", "gesamtergebnis", "summe", "totalgeneral", "totalgeral"),
    *("totale", "totalecomplessivo", "eindtotaal"),
)
_NO_RATING = 99.0  # in Jester, whose ratings go from -10 to 10


def unpivot(frame: pl.DataFrame, columns: ColumnNames) -> tuple[pl.DataFrame, list[str]]:
    """Return `user_id item_id rating` of a matrix, and a note on its shape; an empty cell is no rating."""
    if {"user_id", "item_id", "rating"} <= match_columns(frame.columns, RATING_ALIASES, columns).keys():
        raise InputError("the table has a column for user, item and rating each.", parameter="layout", value="wide")
    numbered = all(name.startswith("column ") for name in frame.columns)
    if numbered and not columns:
        return _without_names(frame)
    index = _index_of(frame.columns, columns)
    if index is None or frame.width < 2:
        raise InputError("layout='wide' needs a column with the users or items, and a column for each of the others.")
    ours, column = index
    other, known = ("item_id", USER_ALIASES) if ours == "user_id" else ("user_id", ITEM_ALIASES)
    attributes = match_columns([name for name in frame.columns if name != column], dict(list(known.items())[1:]))
    when = match_columns([name for name in frame.columns if name != column], {"timestamp": RATING_ALIASES["timestamp"]})
    attributes |= {
        ours: theirs
        for ours, theirs in when.items()
        if not _is_numeric(frame[theirs].drop_nulls()[:1].cast(pl.String).to_list(), 0)
    }
    frame, totals = _without_totals(frame, column)
    values = [name for name in frame.columns if name not in (column, *attributes.values())]
    kinds = {frame[name].dtype for name in values}
    text = any(kind == pl.String or not kind.is_numeric() for kind in kinds)
    cells = frame.with_columns(pl.col(values).cast(pl.String if text else pl.Float64, strict=False))
    table = cells.unpivot(values, index=column, variable_name=" column", value_name=" cell")
    table.columns = [ours, other, "rating"]
    notes = [
        f"read a matrix of {len(frame):,} {ours[:4]}s and {plural(len(values), other[:4])}; an empty cell is no rating"
    ]
    guessed = ours == "user_id" and not columns and column not in match_columns([column], RATING_ALIASES).values()
    notes += ["the rows were taken for users; the option columns names the items' column, such as item_id=1"] * guessed
    notes += [f"left out {', '.join(attributes.values())}: no {other[:4]}"] * bool(attributes) + totals
    rated = _filled(table)
    zeros = (as_numbers(rated["rating"]).values == 0).sum() if len(rated) == len(table) else 0
    notes += [f"no cell is empty, and {zeros:,} are 0, which may mean no rating: the option map drops them"] * bool(
        zeros
    )
    return rated, notes


def _without_totals(frame: pl.DataFrame, index: str) -> tuple[pl.DataFrame, list[str]]:
    """Leave out the last row and the last column if they hold totals, as in a pivot table."""
    rows = [f"row, {name!r}" for name in frame[index][-1:].cast(pl.String) if plain(name or "") in _TOTALS]
    column = [name for name in frame.columns[-1:] if plain(name) in _TOTALS]
    found = [*rows, *(f"column, {name!r}" for name in column)]
    note = f"left out the last {' and the last '.join(found)}: totals and no ratings"
    return frame.head(len(frame) - len(rows)).drop(column), [note] * bool(found)


def _index_of(names: Sequence[str], columns: ColumnNames) -> tuple[str, str] | None:
    """Return whether the rows of a matrix are users or items, and the name of the id column, by default the first."""
    for ours in ("user_id", "item_id"):
        if theirs := (by_position(columns, tuple(names)) or {}).get(ours):
            return (ours, theirs) if theirs in names else None
    if len(names) > 1 and "timestamp" in match_columns(names[:1], RATING_ALIASES):  # as in the answers to a form
        names = names[1:]
    first = match_columns(names[:1], RATING_ALIASES)
    found = first if {"user_id", "item_id"} & first.keys() else match_columns(names, {"user_id": ("user",)})
    return next(((ours, name) for ours, name in found.items()), ("user_id", names[0]) if names else None)


def _without_names(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return a matrix without names, with numbered users and items; remove Jester's counts and its sentinel 99."""
    cells = pl.DataFrame([_numeric(frame[name]) for name in frame.columns])
    first, values = frame.columns[0], cells.select(frame.columns[1:])
    rated = values.select(pl.sum_horizontal((pl.all() != _NO_RATING).cast(pl.Int64))).to_series()
    notes = []
    if (cells[first] == rated).all():
        cells = values.select(pl.when(pl.all() != _NO_RATING).then(pl.all()))
        notes = ["read the layout of Jester: the first column counts the ratings of the row, and 99 is no rating"]
    cells = cells.rename({name: str(at) for at, name in enumerate(cells.columns, 1)})
    cells = cells.with_columns(user_id=pl.int_range(1, pl.len() + 1))
    table = cells.unpivot(index="user_id", variable_name="item_id", value_name="rating")
    table = table.with_columns(pl.col("item_id").cast(pl.Int64))
    size = f"{len(frame):,} users and {plural(cells.width - 1, 'item')}"
    return _filled(table), [*notes, f"read a matrix of {size} without names: rows and columns are numbered from 1"]


def _numeric(column: pl.Series) -> pl.Series:
    """Convert a column of cells to numbers, null where empty."""
    converted = as_numbers(column.set(column == "", None) if column.dtype == pl.String else column)
    if converted.unreadable is not None and converted.unreadable.any():
        at = int(converted.unreadable.arg_true()[0])
        raise InputError(f"row {at + 1}: {shorten(column[at])}, expected a number in each cell of the matrix.")
    return converted.values.cast(pl.Float64).round(4)


def _filled(table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with a rating."""
    rating = pl.col("rating")
    if table["rating"].dtype == pl.String:
        return table.filter(~rating.str.strip_chars().str.to_lowercase().is_in(["", "nan", "na", "null"]))
    return table.filter(rating.is_not_nan())


def matrix_width(names: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Count the numeric columns with unknown names; 0 for a table that has others or columns of users and items."""
    known = {alias: name for name, aliases in RATING_ALIASES.items() for alias in (plain(name), *aliases)}
    if {"user_id", "item_id"} <= {known.get(plain(name)) for name in names}:
        return 0
    words = [plain(name) for name in names]
    columns = [at for at, word in enumerate(words) if word not in known or words.count(word) > 1]  # `Rate [Up]`
    width = sum(bool(rows) and all(_is_numeric(row, at) for row in rows) for at in columns)
    return width if len(columns) - width <= 2 else 0


def _is_numeric(row: Sequence[str], column: int) -> bool:
    """Return whether a field is a number or empty."""
    field = row[column].strip() if column < len(row) else ""
    return not field or field.lower() in ("nan", "na", "none") or is_number(field)
