"""What is known of the movies of a model: titles, filters, search."""

import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.errors import InputError, UnknownId, check_choice, check_integer, shorten
from reelated.ratings import Ids
from reelated.recommender.answers import Answers, Match, with_year


ARTICLE = re.compile(r"^(the|a|an)\s+", re.IGNORECASE)


class Catalogue:
    """All known movies, and which of them are columns of the model.

    Parameters
    ----------
    movies : polars.DataFrame
        `movie_id title year genres …`, one row per known movie, by ascending id.
    movie_ids : Ids
        The rated movies, the model's columns.
    counts : ndarray of int, shape (len(movie_ids),)
        How many people rated each.
    """

    def __init__(self, movies: pl.DataFrame, movie_ids: Ids, counts: npt.NDArray[np.int64]) -> None:
        self.movies = movies
        self.movie_ids = movie_ids
        self.counts = counts
        known = movies.join(pl.DataFrame({"movie_id": movie_ids.values}), on="movie_id", how="semi").sort("movie_id")
        self.titles: list[str] = known["title"].to_list()
        self.years: list[int | None] = known["year"].to_list()
        self.genres: list[tuple[str, ...]] = [tuple(genres) for genres in known["genres"].to_list()]
        self.by_popularity = np.lexsort((np.arange(len(counts)), -counts))

    def facts(self, index: int) -> dict[str, Any]:
        """Return `movie_id title year genres` of a column of the model."""
        return {
            "movie_id": self.movie_ids[index],
            "title": self.titles[index],
            "year": self.years[index],
            "genres": self.genres[index],
        }

    def title(self, index: int) -> str:
        """Return a title with its year: `Fargo (1996)`."""
        return with_year(self.titles[index], self.years[index])

    def index_of(self, movie_id: object) -> int:
        """Return the column of a movie.

        Raises
        ------
        UnknownId
            The movie is unknown, or known but rated by nobody when the model was fitted.
        """
        if self.movie_ids.find(movie_id) is None and self.is_unrated(movie_id):
            raise UnknownId(
                f"movie_id={shorten(movie_id)}: nobody had rated this movie when the model was fitted. "
                "Fit again when it has ratings."
            )
        try:
            return self.movie_ids.index_of(movie_id)
        except UnknownId as error:
            raise UnknownId(f"{error} Search by title with find('…').") from None

    def is_unrated(self, movie_id: object) -> bool:
        """Say whether a movie is known but no column of the model."""
        if type(movie_id).__name__ != self.movie_ids.type_name or movie_id in self.movie_ids:
            return False
        return bool((self.movies["movie_id"] == movie_id).any())

    def allowed(
        self,
        genres: str | Iterable[str] | None = None,
        years: int | tuple[int, int] | None = None,
        exclude: Iterable[Any] | None = None,
    ) -> npt.NDArray[np.bool_]:
        """Return which columns pass the filters: any of the genres, a year within, not excluded."""
        mask = np.ones(len(self.titles), np.bool_)
        if genres is not None:
            wanted = self.check_genres(genres)
            mask &= np.array([not wanted.isdisjoint(have) for have in self.genres], np.bool_)
        if years is not None:
            low, high = check_years(years)
            mask &= np.array([year is not None and low <= year <= high for year in self.years], np.bool_)
        for movie_id in check_list("exclude", exclude or ()):
            if not self.is_unrated(movie_id):
                mask[self.index_of(movie_id)] = False
        return mask

    def check_genres(self, genres: str | Iterable[str]) -> set[str]:
        """Return genres as the catalogue spells them, whatever the caller's case."""
        known = {genre.casefold(): genre for have in self.genres for genre in have}
        if not known:
            raise InputError(f"genres={shorten(genres)}: nothing is known of this data's genres. Give a movies table.")
        wanted = check_list("genres", genres)
        spelled = {genre: known.get(str(genre).casefold(), genre) for genre in wanted}
        return {check_choice("genres", name, sorted(known.values())) for name in spelled.values()}

    def find(self, text: str, n: int = 10) -> Answers[Match]:
        """Return the movies whose titles are most like a text, the more rated first among equals."""
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"text={shorten(text)}: expected a part of a title.")
        n = check_integer("n", n, 1)
        likeness = self._likeness(text[:200])
        order = np.lexsort((np.arange(len(likeness)), -self.counts, -likeness))[:n]
        rows = [
            Match(**self.facts(i), match=float(likeness[i]), n_ratings=int(self.counts[i]))
            for i in map(int, order)
            if likeness[i] >= 55
        ]
        return Answers(rows, f"Movies with a title like {shorten(text)}", Match)

    def _likeness(self, text: str) -> npt.NDArray[np.float64]:
        """Return from 0 to 100 how like a text each title is, with or without its year; 100 is the title itself."""
        from rapidfuzz import fuzz, process, utils

        bare = [ARTICLE.sub("", title) for title in self.titles]
        forms = [*self.titles, *bare, *(self.title(i) for i in range(len(self.titles)))]
        whole, part = (
            process.cdist([text], forms, scorer=scorer, processor=utils.default_process).reshape(3, -1).max(axis=0)
            for scorer in (fuzz.ratio, fuzz.WRatio)
        )
        return np.round((whole.astype(np.float64) + part) / 2, 1)


def check_years(years: Any) -> tuple[int, int]:
    """Return `(first, last)` from a year or a pair of years."""
    pair = (years, years) if isinstance(years, (int, np.integer)) and not isinstance(years, bool) else years
    try:
        low, high = (int(check_integer("years", year, -10_000)) for year in pair)
    except (TypeError, ValueError):
        raise InputError(f"years={shorten(years)}: expected a year or a pair such as (1990, 1999).") from None
    if low > high:
        raise InputError(f"years={shorten(years)}: expected the earlier year first.")
    return low, high


def check_list(name: str, values: Any) -> list[Any]:
    """Return a list of one or several values; a text or an integer alone is a list of one."""
    if isinstance(values, (str, int)):
        return [values]
    try:
        return list(values)
    except TypeError:
        raise InputError(f"{name}={shorten(values)}: expected a list.") from None
