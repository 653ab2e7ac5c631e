"""The catalogue of a model: attributes of items, filters and search by title."""

from collections.abc import Iterable
from copy import copy
from difflib import get_close_matches
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.errors import Advice, InputError, InputTypeError, UnknownId, check_integer, plural_of, shorten
from reelated.formatting import with_year
from reelated.ratings import Ids
from reelated.recommender.recommendations import Recommendations
from reelated.recommender.rows import SearchHit
from reelated.recommender.title_search import TitleIndex


class Catalogue:
    """All known items, in ascending order of ids, and the subset of them that are columns of the model."""

    def __init__(self, items: pl.DataFrame, item_ids: Ids, counts: npt.NDArray[np.int64]) -> None:
        self.items = items
        self.known_ids = Ids(items["item_id"], "item")
        self.item_ids = item_ids
        self.counts = counts
        columns = items.join(pl.DataFrame({"item_id": item_ids.values}), on="item_id", how="semi").sort("item_id")
        self.ids: list[Any] = item_ids.values.to_list()
        self.titles: list[str] = columns["title"].to_list()
        self.years: list[int | None] = columns["year"].to_list()
        self.genres: list[tuple[str, ...]] = [tuple(genres) for genres in columns["genres"].to_list()]
        self._show(np.ones(len(counts), np.bool_))

    def _show(self, shown: npt.NDArray[np.bool_]) -> None:
        self.shown = shown
        order = np.lexsort((np.arange(len(shown)), -self.counts))
        self.by_popularity = order[shown[order]]

    def hiding(self, items: npt.NDArray[np.integer[Any]]) -> "Catalogue":
        """Return a copy of the catalogue that hides exactly these columns from lists and searches."""
        catalogue, shown = copy(self), np.ones(len(self.counts), np.bool_)
        shown[items] = False
        catalogue._show(shown)
        return catalogue

    def row(self, index: int) -> dict[str, Any]:
        """Return `item_id title year genres` of a column."""
        return {
            "item_id": self.ids[index],
            "title": self.titles[index],
            "year": self.years[index],
            "genres": self.genres[index],
        }

    def attributes(self) -> npt.NDArray[np.float64]:
        """Return genres, and linear B-splines of the year with knots at its quintiles; all values are from 0 to 1."""
        names = sorted({genre for have in self.genres for genre in have})
        columns = [[float(name in have) for have in self.genres] for name in names]
        years = np.array([np.nan if year is None else year for year in self.years])
        known = np.isfinite(years)
        if known.any():
            knots = np.unique(np.quantile(years[known], np.arange(6) / 5))
            splines = [np.interp(years, knots, unit) for unit in np.eye(len(knots))]
            columns.extend(np.where(known, spline, 0.0).tolist() for spline in splines)
        return np.array(columns, np.float64).reshape(-1, len(self.genres)).T

    def source(self, index: int, otherwise: str) -> str:
        """Return "side_info" for an item without ratings, and `otherwise` for any other item."""
        return otherwise if self.counts[index] else "side_info"

    def cold_start_note(self, index: int) -> str:
        """Return the note that a heading adds for an item without ratings."""
        return "" if self.counts[index] else ", from its genres and year alone"

    def title(self, index: int) -> str:
        """Return a title with its year, truncated for a heading: `Fargo (1996)`."""
        return with_year(self.titles[index], self.years[index])

    def indices_of(self, item_ids: Any) -> list[int]:
        """Return the columns of one or several items, or raise `InputError` for an empty list."""
        items = [self.index_of(item_id) for item_id in check_list("item_ids", item_ids)]
        if not items:
            raise InputError("expected one item or more.", parameter="item_ids", value=[])
        return items

    def column_of(self, item_id: object, where: str) -> int | None:
        """Return the column of an item, or None if it is not in the model; `where` names the argument in errors."""
        if type(item_id).__name__ == self.item_ids.type_name:
            return self.columns.get(item_id)
        try:
            return self.item_ids.index_of(item_id)
        except UnknownId:
            return None
        except InputTypeError as error:
            raise error.replace(where=where) from None

    def index_of(self, item_id: object) -> int:
        """Return the column of an item, or raise `UnknownId`."""
        if self.item_ids.find(item_id) is None and self.known_ids.find(item_id) is not None:
            raise UnknownId(
                "the item had no ratings when the model was fitted.",
                parameter="item_id",
                value=item_id,
                remedy="Fit again when it has ratings.",
            )
        try:
            return self.item_ids.index_of(item_id)
        except UnknownId as error:
            raise error.replace(remedy=Advice.FIND_TITLE) from None

    def allowed(
        self,
        genres: str | Iterable[str] | None = None,
        years: int | tuple[int, int] | None = None,
        exclude: Iterable[Any] | None = None,
    ) -> npt.NDArray[np.bool_]:
        """Return the mask of the columns that pass all filters and are not hidden; unknown genres match no item."""
        mask = self.shown
        if genres is not None:
            wanted, _ = self.split_genres(genres)
            mask = mask & np.array([not wanted.isdisjoint(have) for have in self.genres], np.bool_)
        if years is not None:
            low, high = check_years(years)
            mask = mask & np.array([year is not None and low <= year <= high for year in self.years], np.bool_)
        if exclude is not None:
            columns = [self.column_of(item_id, "exclude") for item_id in check_list("exclude", exclude)]
            mask = mask.copy()
            mask[[column for column in columns if column is not None]] = False
        return mask

    def split_genres(self, genres: str | Iterable[str]) -> tuple[set[str], list[str]]:
        """Return the known genres in the spelling of the catalogue, and the unknown ones."""
        wanted = check_list("genres", genres)
        known = {genre.casefold(): genre for have in self.genres for genre in have}
        if not wanted:
            raise InputError("expected one genre or more, or None for all.", parameter="genres", value=[])
        for genre in wanted:
            if not isinstance(genre, str):
                raise InputTypeError("expected text, such as 'Comedy'.", parameter="genres", value=genre)
        spelled = {known[genre.casefold()] for genre in wanted if genre.casefold() in known}
        return spelled, [genre for genre in wanted if genre.casefold() not in known]

    def has_unknown_genres(self, genres: str | Iterable[str] | None) -> bool:
        """Return whether no item has any of the genres."""
        return genres is not None and not self.split_genres(genres)[0]

    def genres_hint(self, genres: str | Iterable[str]) -> str:
        """Return a message about unknown genres with similar known ones; empty if all are known."""
        _, unknown = self.split_genres(genres)
        known = sorted({genre for have in self.genres for genre in have})
        if not unknown or not known:
            return "this data has no genres; a table of items can add them" if unknown else ""
        near = [match for genre in unknown for match in get_close_matches(genre[:60], known, n=1)]
        hint = f" Did you mean {' and '.join(map(repr, near))}?" if near else ""
        return f"no item has {' or '.join(map(shorten, unknown))}; known: {', '.join(known)}.{hint}"

    def find(
        self, text: str, n: int = 10, noun: str = "item", because: str = "because you rated"
    ) -> Recommendations[SearchHit]:
        """Return the items whose titles match a text best; ties are in descending order of the number of ratings."""
        if not isinstance(text, str) or not text.strip():
            raise InputError("expected a part of a title.", parameter="text", value=text)
        found = self.title_index.search(text, self.shown)
        rows = [
            SearchHit(**self.row(item), match=round(100 * match, 1), n_ratings=int(self.counts[item]))
            for item, match in zip(found.items[: check_integer("n", n, 1)].tolist(), found.match.tolist(), strict=False)
        ]
        heading = f"{plural_of(noun).capitalize()} with a title like {shorten(text)}"
        return Recommendations(rows, heading, SearchHit, None, because, noun=noun)

    @cached_property
    def columns(self) -> dict[Any, int]:
        """The column of each id; a new user may have thousands of ratings."""
        return {item_id: column for column, item_id in enumerate(self.ids)}

    @cached_property
    def title_index(self) -> TitleIndex:
        return TitleIndex(self.titles, self.years, self.counts)


def check_years(years: Any) -> tuple[int, int]:
    """Return `(first, last)` from a year or a pair of years."""
    pair = (years, years) if isinstance(years, (int, np.integer)) and not isinstance(years, bool) else years
    try:
        low, high = (int(check_integer("years", year, -10_000)) for year in pair)
    except (TypeError, ValueError):
        raise InputError("expected a year or a pair such as (1990, 1999).", parameter="years", value=years) from None
    if low > high:
        raise InputError("expected the earlier year first.", parameter="years", value=years)
    return low, high


def check_list(name: str, values: Any) -> list[Any]:
    """Return one or several values as a list, or raise `InputError`."""
    if isinstance(values, (str, Integral)):
        return [values]
    try:
        return list(values)
    except TypeError:
        raise InputError("expected a list.", parameter=name, value=values) from None


def parse_years(text: str | None) -> tuple[int, int] | None:
    """Parse `1994` or `1990-1999`."""
    if text is None:
        return None
    first, dash, last = text.partition("-")
    if not all(part.isdecimal() and len(part) < 6 for part in (first, last if dash else first)):
        raise InputError("expected a year or a range, such as 1990-1999.", parameter="years", value=text)
    years = int(first), int(last if dash else first)
    if years[0] > years[1]:
        raise InputError("expected the earlier year first.", parameter="years", value=text)
    return years
