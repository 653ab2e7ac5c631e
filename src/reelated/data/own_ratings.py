"""`read_own_ratings`: one person's ratings from the export of a rating site, matched to the items of a model."""

import os
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import polars as pl

from reelated.data.containers import Container, Single, clear_errors, container_of
from reelated.data.files import find_files
from reelated.data.items import split_title
from reelated.data.roles import column_names, ratings_in
from reelated.data.table_reader import read_table
from reelated.data.text_layout import ColumnSpec
from reelated.errors import Advice, InputError, check_number, plural, shorten
from reelated.ratings import Scale
from reelated.ratings.columns import ITEM_ALIASES, RATING_ALIASES, Aliases, ColumnNames, named, plain
from reelated.ratings.frames import as_polars
from reelated.ratings.values import as_numbers
from reelated.recommender import Recommender
from reelated.recommender.title_search import forms_of, words_of

_ALIASES: Aliases = {
    "rating": ("yourrating", "myrating", *RATING_ALIASES["rating"]),
    "imdb_id": ("const", "imdbid", "tconst"),
    "isbn": ("isbn13", "isbn"),
    "item_id": ITEM_ALIASES["item_id"],
    "title": ITEM_ALIASES["title"],
    "other_title": ("originaltitle",),
    "year": ("originalpublicationyear", *ITEM_ALIASES["year"], "yearpublished"),
}
_SITES = {"letterboxduri": ("Letterboxd", 5.0), "const": ("IMDb", 10.0), "bookshelves": ("Goodreads", 5.0)}
"""A column that occurs only in the export of one site → the site and its highest rating."""
_MAX_YEARS = 1  # two catalogues may differ by this number of years


class OwnRatings(NamedTuple):
    """The ratings of one person, matched to the items of a model.

    Attributes
    ----------
    ratings : dict
        Item id → rating on the scale of the model, for `Recommender.recommend(ratings=…)`.
    unmatched : tuple of str
        Title and year, or the id, of each rated item that the model does not have.
    notes : tuple of str
        Notes on what was assumed or left out.
    """

    ratings: dict[Any, float]
    unmatched: tuple[str, ...]
    notes: tuple[str, ...]


def read_own_ratings(
    source: Any, rec: Recommender, *, columns: ColumnNames = None, highest: float | None = None
) -> OwnRatings:
    """Read the ratings of a new user, and match them to the items of a model by id, or by title and year.

    Parameters
    ----------
    source : str, Path, bytes or frame
        An export from Letterboxd, IMDb or Goodreads, or any table of ids or titles (and years) with ratings; the
        content of such a file as bytes, for example from an upload; or a frame.
    rec : Recommender
        A fitted recommender.
    columns : mapping of str to str, optional
        Names of the columns `rating item_id imdb_id isbn title year`, if they are not recognised.
    highest : float, optional
        The highest possible rating in the source, such as 10; ratings are scaled by it. By default that of the site
        for an export of Letterboxd, IMDb or Goodreads, and otherwise that of the model.

    Raises
    ------
    InputError
        The table cannot be read, has neither ids nor titles, or a rating is above the scale.

    Examples
    --------
    >>> import reelated
    >>> rec = reelated.Recommender().fit(reelated.read("sample"))
    >>> own = read_own_ratings({"Title": ["Alien", "No Such Title"], "Rating": [4, 5]}, rec)
    >>> rec.catalogue_.title(rec.item_ids.find(next(iter(own.ratings)))), own.unmatched
    ('Alien (1979)', ('No Such Title',))
    """
    table, names, notes = _read(source, columns)
    if not {"item_id", "imdb_id", "isbn", "title"} & set(table.columns):
        raise InputError(
            f"No column with ids or titles among {', '.join(map(shorten, names))}.", remedy=Advice.OWN_COLUMNS
        )
    site, known = next((_SITES[plain(name)] for name in names if plain(name) in _SITES), ("", None))
    table, more = _rated(table, site)
    scaled, scale_notes = _scaled(table["rating"], rec.scale_, highest or known)
    items, ratings, unmatched = _Items(rec), {}, []
    for row, rating in zip(table.iter_rows(named=True), scaled, strict=True):
        column = items.find(row)
        if column is None:
            unmatched.append(_label(row))
        else:
            ratings[rec.item_ids[column]] = rating
    found = f"{len(table) - len(unmatched):,} of {plural(len(table), 'rated item')} found"
    return OwnRatings(ratings, tuple(unmatched), (*notes, *more, *scale_notes, f"{site or 'ratings'}: {found}"))


def _read(source: Any, columns: ColumnNames) -> tuple[pl.DataFrame, tuple[str, ...], list[str]]:
    """Return the requested columns, the names of all columns, and notes."""
    spec = ColumnSpec(_ALIASES, ("rating",), columns)
    container: Container
    if isinstance(source, bytes):
        container = container_of("ratings", source) or Single("ratings", None, source)
        with clear_errors("ratings"):
            name = "ratings" if isinstance(container, Single) else ratings_in("ratings", container, spec)
    elif isinstance(source, (str, os.PathLike)):
        files = find_files(source, spec)
        container, name = files.container, files.roles["ratings"]
    else:
        frame = as_polars(source)
        return named(frame, spec.aliases, spec.columns, spec.required), tuple(frame.columns), []
    table, notes = read_table(PurePosixPath(name).name, container.read(name), spec)
    return table, column_names(container, name, spec), notes


def _rated(table: pl.DataFrame, site: str) -> tuple[pl.DataFrame, list[str]]:
    """Return the rows with a rating, as numbers."""
    converted = as_numbers(table["rating"])
    if converted.unreadable is not None and converted.unreadable.any():
        at = int(converted.unreadable.arg_true()[0])
        raise InputError(f"row {at + 1}: rating={shorten(table['rating'][at])}, {converted.expected}.")
    missing = converted.values.is_null()
    if site == "Goodreads":  # where 0 means that a book is not rated
        missing |= (converted.values == 0).fill_null(False)
    notes = [f"left out {plural(int(missing.sum()), 'row')} without a rating"] * bool(missing.any())
    rated = table.with_columns(converted.values.cast(pl.Float64).alias("rating")).filter(~missing)
    if rated.is_empty():
        raise InputError("the table holds no ratings.")
    return rated, [*converted.notes, *notes]


def _scaled(ratings: pl.Series, scale: Scale, highest: float | None) -> tuple[list[float], list[str]]:
    """Return ratings on the scale of the model, and a note if they are changed."""
    if highest is not None:
        check_number("highest", highest, 1e-9)
    top = highest or scale.high
    values = ratings.to_list()
    if max(values) > top:
        raise InputError(f"rating={max(values):g}, above the highest rating, {top:g}.", remedy=Advice.HIGHEST_RATING)
    scaled = [min(max(value * scale.high / top, scale.low), scale.high) for value in values]
    notes = [f"took ratings of up to {top:g} for the scale {scale.low:g} to {scale.high:g}"] * (scaled != values)
    return scaled, notes


class _Items:
    """The items of a model by id and by title."""

    def __init__(self, rec: Recommender) -> None:
        self.catalogue = rec.catalogue_
        self.by_title: dict[tuple[str, ...], list[int]] = {}
        for column, title in enumerate(self.catalogue.titles):
            for key in _keys(title):
                self.by_title.setdefault(key, []).append(column)
        items = rec.catalogue_.items
        known = items.select("item_id", "imdb_id").rows() if "imdb_id" in items.columns else []
        self.by_imdb = {_imdb_number(imdb): rec.item_ids.find(item) for item, imdb in known if imdb is not None}

    def find(self, row: dict[str, Any]) -> int | None:
        """Return the column of an item by its IMDb id, by its ISBN or id if the title agrees, or by title."""
        column = self.by_imdb.get(_imdb_number(row.get("imdb_id")))
        if column is not None:
            return column
        title, year = split_title(str(row.get("title") or row.get("item_id") or ""))
        year = _as_year(row.get("year")) or year
        for value in (row.get("isbn"), row.get("item_id")):
            column = self.catalogue.item_ids.find(self._id(value))
            if column is not None and (not row.get("title") or column in self._with_title(title)):
                return column
        other = str(row.get("other_title") or "")
        return self._by_title(title, year) if self._with_title(title) else self._by_title(other, year)

    def _id(self, value: Any) -> Any:
        """Return an id as in the data; spreadsheets write an ISBN as `="0439023483"`."""
        return self.catalogue.item_ids.parse(str(value).strip('="')) if value is not None else None

    def _with_title(self, title: str) -> list[int]:
        return next((self.by_title[key] for key in _keys(title) if key in self.by_title), [])

    def _by_title(self, title: str, year: int | None) -> int | None:
        """Return the only column with this title and a year that differs by at most one; None if there are several."""
        columns = list(dict.fromkeys(self._with_title(title)))
        years = {column: self.catalogue.years[column] for column in columns}
        if year is not None:
            exact = [column for column in columns if years[column] == year]
            columns = exact or [column for column in columns if abs((years[column] or year) - year) <= _MAX_YEARS]
        return columns[0] if len(columns) == 1 else None


def _keys(title: str) -> Iterator[tuple[str, ...]]:
    """Yield the words, without articles, of a title, of its part outside brackets, and of the text in brackets."""
    for form in forms_of(title):
        words = words_of(form)
        yield tuple(words[1:] if words[0] in ("the", "a", "an") and len(words) > 1 else words)


def _imdb_number(value: Any) -> str:
    """Return the digits of an IMDb id: `tt0114709`, `0114709` and `114709` are the same."""
    return str(value or "").removeprefix("tt").lstrip("0") or "none"


def _as_year(value: Any) -> int | None:
    try:
        return int(float(value))
    except (TypeError, ValueError):
        return None


def _label(row: dict[str, Any]) -> str:
    """Return title and year of an item, or its id."""
    title = row.get("title") or row.get("item_id") or row.get("imdb_id") or row.get("isbn")
    return f"{title} ({year})" if (year := _as_year(row.get("year"))) else str(title)
