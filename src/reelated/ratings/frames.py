"""Tables of any library → polars columns with fixed names: `user_id item_id rating timestamp order`."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import polars as pl

from reelated.errors import Advice, InputError, InputTypeError, plural, shorten
from reelated.ratings.ids import as_ids

FrameLike: TypeAlias = Any
"""A polars DataFrame or LazyFrame, a pandas DataFrame, a pyarrow Table, or a mapping of columns."""

RATING_ALIASES: dict[str, tuple[str, ...]] = {
    "user_id": ("userid", "user", "uid", "customerid", "customer", "memberid", "reviewerid", "useridx", "accountid"),
    "item_id": (
        "itemid", "item", "movieid", "movie", "iid", "productid", "product", "filmid", "film",
        "bookid", "isbn", "asin", "gameid", "artistid", "trackid", "jokeid",
    ),
    "rating": ("rating", "ratings", "score", "stars", "star", "value", "overall", "bookrating"),
    "timestamp": ("timestamp", "time", "ts", "date", "datetime", "unixtime", "unixreviewtime", "ratedat", "createdat"),
    "order": ("order", "chronorank", "rank", "sequence", "position"),
}  # fmt: skip
ITEM_ALIASES: dict[str, tuple[str, ...]] = {
    "item_id": RATING_ALIASES["item_id"],
    "title": ("title", "name", "movietitle", "booktitle", "productname", "itemname", "primarytitle"),
    "year": ("year", "releaseyear", "startyear", "yearofpublication"),
    "genres": ("genres", "genre", "categories", "category", "tags"),
    "release_date": ("releasedate", "released"),
    "imdb_id": ("imdbid", "imdb"),
    "tmdb_id": ("tmdbid", "tmdb"),
}
USER_ALIASES: dict[str, tuple[str, ...]] = {
    "user_id": RATING_ALIASES["user_id"],
    "age": ("age",),
    "gender": ("gender", "sex"),
    "occupation": ("occupation", "job"),
    "zip_code": ("zipcode", "zip", "postcode"),
}


def as_polars(frame: FrameLike, what: str = "ratings") -> pl.DataFrame:
    """Convert any table to a polars DataFrame, or raise `InputTypeError`."""
    if isinstance(frame, pl.LazyFrame):
        return frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame
    if hasattr(frame, "to_pydict") or (hasattr(frame, "__arrow_c_stream__") and not hasattr(frame, "iloc")):
        return pl.DataFrame(frame)
    if hasattr(frame, "iloc") and hasattr(frame, "columns"):  # pandas; converting column by column needs no pyarrow
        return _from_columns(
            what, [(str(name), frame.iloc[:, position]) for position, name in enumerate(frame.columns)]
        )
    if isinstance(frame, Mapping):
        return _from_columns(what, [(str(name), values) for name, values in frame.items()])
    raise InputTypeError(
        f"expected a polars or pandas DataFrame, an Arrow table or a mapping of columns, not {type(frame).__name__}.",
        parameter=what,
        value=frame,
        remedy="For a file or folder use reelated.read(path).",
    )


def _from_columns(what: str, columns: list[tuple[str, Any]]) -> pl.DataFrame:
    """Build a table from named columns, or report duplicate names or different lengths."""
    names = [name for name, _ in columns]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{what} has more than one column {repeated[0]!r}: rename or leave out all but one.")
    series = [_as_series(name, values) for name, values in columns]
    if len({len(column) for column in series}) > 1:
        lengths = ", ".join(f"{column.name!r} has {len(column):,}" for column in series)
        raise InputError(f"{what} has columns of different lengths: {lengths}. Expected as many values in each.")
    return pl.DataFrame(series)


def _as_series(name: str, values: Any) -> pl.Series:
    """Convert a pandas column, an array or a list to a polars column; reject mixed types."""
    if isinstance(values, pl.Series) or hasattr(values, "to_pylist"):  # polars and Arrow know their types
        return pl.Series(name, values)
    if hasattr(values, "to_numpy"):
        values = values.astype(object).where(values.notna(), None) if values.dtype.kind not in "iufbM" else values
        values = values.to_numpy()
    try:
        is_object = getattr(getattr(values, "dtype", None), "kind", "") == "O"
        return pl.Series(name, values.tolist() if is_object else values, strict=True)
    except (TypeError, pl.exceptions.PolarsError):
        if _all_numbers(values):
            return pl.Series(name, [None if value is None else float(value) for value in values])
        by_type = {type(value).__name__: value for value in values if value is not None}
        examples = " and ".join(f"{shorten(value, 20)} ({kind})" for kind, value in sorted(by_type.items())[:2])
        raise InputTypeError(
            f"Column {name!r} mixes types: {examples}. Make it one type, for example all integers or all text."
        ) from None


def _all_numbers(values: Any) -> bool:
    """Return whether a list such as `[4, 4.5, None]` converts to floats without loss."""
    numbers = (value for value in values if value is not None)
    # a float64 holds every integer up to 2⁵³
    return all(type(value) is float or (type(value) is int and abs(value) <= 2**53) for value in numbers)


def plain(name: str) -> str:
    """Normalise a column name as in the aliases, without case and punctuation: `Movie_ID` → `movieid`."""
    return "".join(character for character in name.lower() if character.isalnum())


def named(
    frame: pl.DataFrame,
    aliases: Mapping[str, tuple[str, ...]],
    columns: Mapping[str, str | None] | None = None,
    required: tuple[str, ...] = (),
) -> pl.DataFrame:
    """Select and rename columns given in `columns` (our name → the table's) or known by an alias (in `plain` spelling).

    In `columns`, None means that there is no such column. A missing `required` column raises `InputError`.
    """
    columns = dict(columns or {})
    shown = ", ".join(shorten(name) for name in frame.columns[:20]) + ", …" * (frame.width > 20) or "none"
    for ours, theirs in columns.items():
        if ours not in aliases:
            expected = f"no such column in Reelated: expected one of {', '.join(map(repr, aliases))}."
            raise InputError(expected, parameter="columns", value=theirs, key=ours)
        if theirs is not None and theirs not in frame.columns:
            expected = f"the table has no such column. Its columns: {shown}."
            raise InputError(expected, parameter="columns", value=theirs, key=ours)
    selected = {ours: theirs for ours, theirs in columns.items() if theirs is not None}
    for ours, others in aliases.items():
        spellings = (plain(ours), *others)
        free = [name for name in frame.columns if name not in selected.values() and plain(name) in spellings]
        if ours not in columns and free:
            selected[ours] = min(free, key=lambda name: spellings.index(plain(name)))
    missing = [name for name in required if name not in selected]
    if missing:
        raise InputError(
            f"No column for {' and '.join(missing)} among the table's columns {shown}.",
            remedy=_remedy(missing, aliases),
        )
    return frame.select(pl.col(theirs).alias(ours) for ours, theirs in selected.items())


def _remedy(missing: list[str], aliases: Mapping[str, tuple[str, ...]]) -> str:
    """Return the advice for missing columns; `columns` exists only for the table of ratings."""
    if "rating" not in aliases:
        return f"Rename the column that holds it to {missing[0]!r}."
    return Advice.NAME_RATING if "rating" in missing else Advice.NAME_COLUMNS


def with_own_names(
    aliases: Mapping[str, tuple[str, ...]], columns: Mapping[str, str | None] | None
) -> dict[str, tuple[str, ...]]:
    """Return the aliases with the names of the id columns in the table of ratings added."""
    own = {ours: (plain(theirs),) for ours, theirs in (columns or {}).items() if theirs and ours.endswith("_id")}
    return {ours: (*own.get(ours, ()), *others) for ours, others in aliases.items()}


def rating_columns(frame: FrameLike, columns: Mapping[str, str | None] | None = None) -> pl.DataFrame:
    """Return `user_id item_id rating [timestamp] [order]`, in our types, from any table of ratings.

    With `columns={"rating": None}`, for a table without ratings, every row gets the rating 1.
    """
    without_ratings = columns is not None and columns.get("rating", "") is None
    required = ("user_id", "item_id") if without_ratings else ("user_id", "item_id", "rating")
    table = named(as_polars(frame), RATING_ALIASES, columns, required)
    if "rating" not in table.columns:
        table = table.with_columns(rating=pl.lit(1.0, pl.Float32))
    table = table.with_columns(
        as_ids(table["user_id"], "user").alias("user_id"),
        as_ids(table["item_id"], "item").alias("item_id"),
        as_numbers(table["rating"]),
    )
    if "timestamp" in table.columns:
        table = table.with_columns(as_seconds(table["timestamp"]))
    if "order" in table.columns:
        table = table.with_columns(as_numbers(table["order"], pl.Float64).cast(pl.Int64, strict=False))
    return table.select(name for name in RATING_ALIASES if name in table.columns)


def as_numbers(column: pl.Series, dtype: Any = pl.Float32) -> pl.Series:
    """Convert a column of ratings to `dtype`, or report the first value that is not a number."""
    is_other = column.dtype.is_nested() or column.dtype.is_temporal()
    cast = column if is_other else column.cast(dtype, strict=False)
    unreadable = column.is_not_null() if is_other else cast.is_null() & column.is_not_null()
    if unreadable.any():
        row = int(unreadable.arg_true()[0])
        raise InputError(
            f"{column.name}={shorten(column[row])} in row {row + 1}: expected a number "
            f"({plural(int(unreadable.sum()), 'row')} like it)."
        )
    return cast.fill_nan(None)


def as_seconds(column: pl.Series) -> pl.Series:
    """Convert a column of times to whole seconds since 1970-01-01 UTC, null where unknown."""
    if column.dtype.is_temporal():
        if column.dtype not in (pl.Date, pl.Datetime):
            raise InputError(f"{column.name} is a column of type {column.dtype}: expected dates or seconds since 1970.")
        return column.cast(pl.Datetime("us")).dt.epoch("s")
    if column.dtype == pl.String:
        numbers = column.cast(pl.Float64, strict=False)
        if numbers.null_count() > column.null_count():
            return _parsed_times(column)
        column = numbers
    if column.dtype.is_float():
        column = column.fill_nan(None)
    return column.cast(pl.Int64, strict=False)


def _parsed_times(column: pl.Series) -> pl.Series:
    """Parse times written as text, or report one that cannot be parsed."""
    try:
        return column.str.to_datetime(time_unit="us").dt.epoch("s")
    except pl.exceptions.PolarsError:
        try:
            return column.str.to_date().cast(pl.Datetime("us")).dt.epoch("s")
        except pl.exceptions.PolarsError:
            raise InputError(
                f"{column.name}={shorten(column.drop_nulls()[0])}: expected seconds since 1970 or a date such as "
                "'1998-04-01 12:30:00'."
            ) from None


def read_ids(column: pl.Series) -> pl.Series:
    """Convert a text column to integers if every value stays the same (`007` would not)."""
    if column.dtype != pl.String:
        return column
    numbers = column.cast(pl.Int64, strict=False)
    return numbers if numbers.cast(pl.String).eq_missing(column).all() else column
