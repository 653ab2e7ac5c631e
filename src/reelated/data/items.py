"""Tables of items of any origin: display titles, years, lists of genres, dates and pictures."""

import ast
import html
import json
import re
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any

import polars as pl

from reelated.errors import InputError, plural, shorten
from reelated.ratings.columns import (
    ITEM_ALIASES,
    RATING_ALIASES,
    Aliases,
    ColumnNames,
    check_attributes,
    image_addresses,
    match_columns,
)
from reelated.ratings.times import as_seconds

_ARTICLES = (
    "The|A|An"  # English
    "|Le|La|Les|L'|Un|Une"  # French
    "|El|Los|Las|Una"  # Spanish
    "|Il|Lo|I|Gli|Uno"  # Italian
    "|Der|Die|Das|Ein|Eine"  # German
    "|O|Os|As|Um|Uma"  # Portuguese
    "|De|Het|Een"  # Dutch
    "|Den|Det|En|Ett|Et"  # Danish, Norwegian, Swedish
    "|Az|Egy|Al|Els"  # Hungarian, Arabic, Catalan
)
_YEAR = re.compile(r"\s*\((\d{4})(?:\s*[-–—]\s*(?:\d{4})?)?\)\s*(\([A-Z]{1,3}\))?\s*$")
_TRAILING_ARTICLE = re.compile(rf"(^|\()(a\.k\.a\.\s+)?([^()]+?),\s+({_ARTICLES})\s*(?=$|\(|\))")
# placeholders for an unknown genre, which are not kept as genres
NO_GENRE = ("", "unknown", "(no genres listed)", r"\n", "nan", "none", "null", "n/a")
_SET = ("1", "1.0", "true")
_FLAGS = (*_SET, "0", "0.0", "false", "")
MERGED_ALIASES: Aliases = {
    "item_id": RATING_ALIASES["item_id"],
    "title": tuple(name for name in ITEM_ALIASES["title"] if name != "name"),
    "year": ITEM_ALIASES["year"],
    "genres": ("genres", "genre"),
}
"""The item columns of a table of ratings, without "name", which may be the name of a user."""


def normalize_items(table: pl.DataFrame, unnamed: Collection[str] = ()) -> tuple[pl.DataFrame, list[str]]:
    """Normalise an item table of any origin: display titles, years, lists of genres and dates."""
    table, notes = _with_indicators(table, unnamed)
    check_attributes(table)
    table = table.with_columns(
        pl.col(pl.Categorical, pl.Enum).cast(pl.String), pl.col(pl.Float32, pl.Float64).fill_nan(None)
    )
    if "genres" in table.columns:
        genres, more = _parse_genres(table["genres"])
        table, notes = table.with_columns(genres), notes + more
    if "image" in table.columns:
        images, n_ignored = image_addresses(table["image"])
        table = table.with_columns(images)
        notes += [f"ignored {plural(n_ignored, 'picture')} without a URL that begins with https://"] * bool(n_ignored)
    return _parse_dates(_parse_titles(table)), notes


def unnamed_columns(names: Collection[str], aliases: Aliases, columns: ColumnNames) -> dict[str, tuple[str, ...]]:
    """In a catalogue without genres, return aliases of the columns without a known meaning: they may be genres."""
    matched = match_columns(names, aliases, columns)
    known = {*matched.values(), *RATING_ALIASES}
    free = [name for name in names if name not in known and not re.match("(is|has)[_A-Z]", name)]
    return {} if "genres" in matched or (columns or {}).get("genres", "") is None else dict.fromkeys(free, ())


def _with_indicators(table: pl.DataFrame, names: Collection[str]) -> tuple[pl.DataFrame, list[str]]:
    """Read three or more columns of 0 and 1 as genres, and leave out all columns without a known meaning."""
    texts = table.select(
        column.cast(pl.String).str.strip_chars().str.to_lowercase()
        for column in table.select(names)
        if column.dtype.is_numeric() or column.dtype in (pl.String, pl.Boolean)
    )
    flags = [
        flag.name for flag in texts if flag.is_in(_FLAGS).fill_null(True).all() and flag.drop_nulls().n_unique() > 1
    ]
    table = table.drop(names)
    if len(flags) < 3:
        return table, []
    chosen = [pl.when(pl.col(name).is_in(_SET)).then(pl.lit(name)) for name in flags]
    genres = texts.select(genres=pl.concat_list(chosen).list.drop_nulls()).to_series()
    return table.with_columns(genres), [f"took {len(flags)} columns of 0 and 1 for genres, such as {shorten(flags[0])}"]


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
    if 2 * sum(map(has_year, titles)) <= len(titles):
        shown = {title: move_article(html.unescape(title)) for title in titles.unique()}
        return table.with_columns(pl.Series("title", [shown.get(title) for title in table["title"]], dtype=pl.String))
    parts = [(None, None) if title is None else split_title(title) for title in table["title"]]
    years = pl.Series("year", [year for _, year in parts], dtype=pl.Int32)
    return table.with_columns(
        pl.Series("title", [title for title, _ in parts], dtype=pl.String),
        table["year"].fill_null(years) if has_years else years,
    )


def _parse_genres(column: pl.Series) -> tuple[pl.Series, list[str]]:
    """Return lists of different genres, empty where unknown; the whole column decides the separator."""
    notes: list[str] = []
    if not isinstance(column.dtype, pl.List):
        column, notes = _split_genres([html.unescape(cell or "").strip() for cell in column.cast(pl.String)])
    elif isinstance(inner := column.dtype.inner, pl.Struct) and "name" in [field.name for field in inner.fields]:
        column = column.list.eval(pl.element().struct.field("name"))
    while isinstance(column.dtype, pl.List) and isinstance(column.dtype.inner, pl.List):  # as in Amazon's metadata
        column = column.list.eval(pl.element().explode())
    if column.dtype.is_nested() and column.dtype.inner.is_nested():  # type: ignore[attr-defined]
        raise InputError(f"genres is a column of type {column.dtype}: expected text or lists of text.")
    genre = pl.element().str.strip_chars()
    is_genre = genre.is_not_null() & ~genre.str.to_lowercase().is_in(NO_GENRE)
    different = genre.filter(is_genre).unique(maintain_order=True)
    return column.cast(pl.List(pl.String)).fill_null([]).list.eval(different).alias("genres"), notes


def _split_genres(cells: list[str]) -> tuple[pl.Series, list[str]]:
    """Return lists of genres, and a note on the separator unless it is a bar."""
    brackets = {cell for cell in cells if re.fullmatch(r"\[.*]|\(.*\)|{.*}", cell) and cell.lower() not in NO_GENRE}
    plain = [cell for cell in cells if cell not in brackets]
    separator, example = next(((mark, cell) for mark in "|;,/" for cell in plain if mark in cell), ("|", ""))
    lists = [_parse_list(cell) if cell in brackets else cell.split(separator) for cell in cells]
    notes = [f"split genres at {separator!r}, as in {shorten(example)}"] * (separator != "|")
    notes += ["read genres as lists in brackets"] * bool(brackets)
    return pl.Series(lists, dtype=pl.List(pl.String)), notes


def _parse_list(cell: str) -> list[str]:
    """Parse a list of genres in the notation of JSON, Python, NumPy or PostgreSQL; an object gives its name."""
    values: Any = None
    # Python would join adjacent strings, as NumPy prints them, into one
    for parse in (json.loads, ast.literal_eval) if not re.search(r"""['"]\s+['"]""", cell) else ():
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            values = parse(cell) if values is None else values
    if values is None:
        quoted = re.findall(r"""(?<!\w)(['"])(.*?)\1""", cell)
        return [text for _, text in quoted] or cell.strip("[](){} ").split(",")
    return list(_names_in(values))


def _names_in(values: Any) -> Iterator[str]:
    """Yield the texts in nested lists; an object yields its name, its only text, or its values."""
    if isinstance(values, dict):
        texts = [text for text in values.values() if isinstance(text, str)]
        yield from [str(values["name"])] if "name" in values else texts
    elif isinstance(values, (list, tuple, set)):
        for value in sorted(values, key=str) if isinstance(values, set) else values:
            yield from _names_in(value)
    elif values is not None:
        yield str(values)


def _parse_dates(table: pl.DataFrame) -> pl.DataFrame:
    """Parse release dates in any notation if nearly all can be read; they fill in missing years."""
    if "release_date" not in table.columns:
        return table
    dates = table["release_date"]
    if dates.dtype == pl.String:
        try:
            converted = as_seconds(dates)
        except InputError:  # it is unknown whether the day or the month comes first
            return table
        if converted.unreadable is not None and 10 * int(converted.unreadable.sum()) > len(dates):
            return table
        dates = pl.from_epoch(converted.values, "s").cast(pl.Date).alias("release_date")
    if dates.dtype not in (pl.Date, pl.Datetime):
        return table
    years = table["year"] if "year" in table.columns else pl.Series("year", [None] * len(table), dtype=pl.Int32)
    return table.with_columns(dates, years.cast(pl.Int32, strict=False).fill_null(dates.dt.year()).alias("year"))


def merged_columns(names: tuple[str, ...], own: str) -> bool:
    """Return whether a table of ratings also has titles or genres of items; `own` is the name of its item ids."""
    attributes = {ours: MERGED_ALIASES[ours] for ours in ("title", "genres")}
    return bool(match_columns([name for name in names if name != own], attributes))


def one_row_per_item(table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return one row per item of a merged table, without columns that differ within items."""
    notes = []
    names = [name for name in table.columns if name != "item_id"]
    repeated = table.filter(pl.col("item_id").is_duplicated())  # an item with one row cannot differ
    n_values = repeated.group_by("item_id").agg(pl.col(names).drop_nulls().n_unique())
    for name in names:
        n_mixed = int((n_values[name] > 1).sum())
        if 2 * n_mixed > len(n_values):
            table = table.drop(name)
            notes.append(f"left out {name}, which differs between ratings of one item")
        elif n_mixed:
            notes.append(f"took the first {name} of {plural(n_mixed, 'item')} with several")
    rest = [name for name in table.columns if name != "item_id"]
    return table.group_by("item_id", maintain_order=True).agg(pl.col(rest).drop_nulls().first()), notes


# ----------------------------------------------------------------------------------------------------------- titles
def split_title(catalogue_title: str) -> tuple[str, int | None]:
    """Return the display title and the year of a catalogue title; if it has several years, the first.

    Examples
    --------
    >>> split_title("City of Lost Children, The (Cité des enfants perdus, La) (1995)")
    ('The City of Lost Children (La Cité des enfants perdus)', 1995)
    >>> split_title("Enfer, L' (1994)"), split_title("unknown")
    (("L'Enfer", 1994), ('unknown', None))
    """
    title = html.unescape(catalogue_title).strip()
    year = _YEAR.search(title)
    if year and year.start():
        title = f"{title[: year.start()]} {year[2] or ''}".strip()
    return move_article(title), int(year[1]) if year else None


def move_article(title: str) -> str:
    """Return a title with its article in front: `Matrix, The` → `The Matrix`."""
    return _TRAILING_ARTICLE.sub(_move_article, title.strip()).replace(" )", ")")


def has_year(catalogue_title: str) -> bool:
    """Return whether a title ends with a year in brackets, as in MovieLens."""
    return _YEAR.search(catalogue_title) is not None


def _move_article(match: re.Match[str]) -> str:
    opening, prefix, title, article = match.groups()
    space = "" if article.endswith("'") else " "
    after = " " if match.end() < len(match.string) and match.string[match.end()] == "(" else ""
    return f"{opening}{prefix or ''}{article}{space}{title}{after}"
