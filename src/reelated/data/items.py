"""Tables of items of any origin: display titles, years, lists of genres and dates."""

import ast
import html
import json
from contextlib import suppress
from typing import Any

import polars as pl

from reelated.data.titles import has_year, move_article, split_title
from reelated.errors import InputError, plural, shorten
from reelated.ratings.columns import ITEM_ALIASES, RATING_ALIASES, Aliases, check_attributes, match_columns

# placeholders for an unknown genre, which are no genres to filter by
NO_GENRE = ("unknown", "(no genres listed)")
MERGED_ALIASES: Aliases = {
    "item_id": RATING_ALIASES["item_id"],
    "title": tuple(name for name in ITEM_ALIASES["title"] if name != "name"),
    "year": ITEM_ALIASES["year"],
    "genres": ("genres", "genre"),
}
"""Columns of items in a table of ratings; fewer names are certain there, because "name" may be that of a user."""


def normalize_items(table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Normalise an item table of any origin: display titles, years, lists of genres and dates."""
    notes: list[str] = []
    check_attributes(table)
    if "genres" in table.columns:
        genres, notes = _parse_genres(table["genres"])
        table = table.with_columns(genres)
    return _parse_dates(_parse_titles(table)), notes


def _parse_titles(table: pl.DataFrame) -> pl.DataFrame:
    """Convert titles to display form; extract the year if most titles end with one, as in MovieLens."""
    has_years = "year" in table.columns
    if has_years:
        text = table["year"].cast(pl.String)
        year = text.cast(pl.Float64, strict=False).fill_null(text.str.extract(r"^\s*(\d{4})-").cast(pl.Float64))
        year = year.cast(pl.Int32, strict=False)
        table = table.with_columns(year.set((year == 0).fill_null(False), None).alias("year"))
    if "title" not in table.columns or table["title"].dtype != pl.String:
        return table
    titles = table["title"].drop_nulls()
    if has_years or 2 * sum(map(has_year, titles)) <= len(titles):
        shown = {title: move_article(html.unescape(title)) for title in titles.unique()}
        return table.with_columns(pl.Series("title", [shown.get(title) for title in table["title"]], dtype=pl.String))
    parts = [(None, None) if title is None else split_title(title) for title in table["title"]]
    return table.with_columns(
        pl.Series("title", [title for title, _ in parts], dtype=pl.String),
        pl.Series("year", [year for _, year in parts], dtype=pl.Int32),
    )


def _parse_genres(column: pl.Series) -> tuple[pl.Series, list[str]]:
    """Return lists of genres, empty where unknown; the whole column decides the separator."""
    notes: list[str] = []
    if not isinstance(column.dtype, pl.List):
        text = column.cast(pl.String)
        cells = [cell.strip() for cell in text.drop_nulls() if cell.strip()]
        separator, example = next(((mark, cell) for mark in "|;,/" for cell in cells if mark in cell), ("|", ""))
        if cells and all(cell.startswith("[") and cell.endswith("]") for cell in cells):
            notes = ["read genres as lists in brackets"]
            column = pl.Series([_parse_list(cell or "") for cell in text], dtype=pl.List(pl.String))
        else:
            notes = [f"split genres at {separator!r}, as in {shorten(example)}"] * (separator != "|")
            column = text.str.split(separator)
    elif isinstance(inner := column.dtype.inner, pl.Struct) and "name" in [field.name for field in inner.fields]:
        column = column.list.eval(pl.element().struct.field("name"))
    is_genre = pl.element().is_not_null() & ~pl.element().is_in(["", *NO_GENRE])
    while isinstance(column.dtype, pl.List) and isinstance(column.dtype.inner, pl.List):  # as in Amazon's metadata
        column = column.list.eval(pl.element().explode())
    if column.dtype.is_nested() and column.dtype.inner.is_nested():  # type: ignore[attr-defined]
        raise InputError(f"genres is a column of type {column.dtype}: expected text or lists of text.")
    lists = column.cast(pl.List(pl.String)).fill_null([])
    return lists.list.eval(pl.element().str.strip_chars()).list.eval(pl.element().filter(is_genre)).alias(
        "genres"
    ), notes


def _parse_list(cell: str) -> list[str]:
    """Parse a list of genres in JSON or Python notation; of objects, take the names."""
    values: Any = None
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            values = values if isinstance(values, list) else parse(cell)
    if not isinstance(values, list):
        return [part for part in cell.strip("[] ").split(",") if part]
    return [str(value.get("name", "") if isinstance(value, dict) else value) for value in values if value is not None]


def _parse_dates(table: pl.DataFrame) -> pl.DataFrame:
    """Parse release dates if all look like `01-Jan-1995`; they fill in missing years."""
    if "release_date" not in table.columns or table["release_date"].dtype != pl.String:
        return table
    dates = table["release_date"].str.to_date("%d-%b-%Y", strict=False)
    if dates.null_count() > table["release_date"].null_count():
        return table
    years = table["year"] if "year" in table.columns else pl.Series("year", [None] * len(table), dtype=pl.Int32)
    return table.with_columns(dates, years.fill_null(dates.dt.year()).alias("year"))


def merged_columns(names: tuple[str, ...], own: str) -> bool:
    """Return whether a table of ratings also has titles or genres of items; `own` is the name of its item ids."""
    found = match_columns([name for name in names if name != own], MERGED_ALIASES)
    return bool({"title", "genres"} & found.keys())


def one_row_per_item(table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return one row per item of a merged table; an attribute that differs within items is no attribute of items."""
    notes = []
    names = [name for name in table.columns if name != "item_id"]
    n_values = table.group_by("item_id").agg(pl.col(names).drop_nulls().n_unique())
    for name in names:
        n_mixed = int((n_values[name] > 1).sum())
        if 10 * n_mixed > len(n_values):
            table = table.drop(name)
            notes.append(f"left out {name}, which differs between ratings of one item")
        elif n_mixed:
            notes.append(f"took the first {name} of {plural(n_mixed, 'item')} with several")
    rest = [name for name in table.columns if name != "item_id"]
    return table.group_by("item_id", maintain_order=True).agg(pl.col(rest).drop_nulls().first()), notes
