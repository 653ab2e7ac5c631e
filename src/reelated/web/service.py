"""`Service`: the store and the model that is served, and the answers of both together; nothing here knows HTTP."""

import logging
import threading
import time
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.errors import InputError, UnknownId, shorten
from reelated.map import MovieMap
from reelated.ratings import NO_TIME, Feedback
from reelated.recommender import Answers, MovieRow, Prediction, Recommender, SimilarRow, UserRow, Why
from reelated.recommender.lists import recency_of
from reelated.recommender.people import Person, one_row
from reelated.recommender.questions import By
from reelated.refit import Version, Versions
from reelated.store import About, Profile, Store, StoredMovie, StoreUnavailable
from reelated.web.chart import Chart
from reelated.web.wall import most_telling

log = logging.getLogger("reelated.web")
PAUSE = 5.0
"""Seconds until a store that did not answer is asked again which movies are hidden."""


class NoModel(RuntimeError):
    """There is no model to answer with yet."""


class NoMap(NoModel):
    """There is no map of the movies yet."""


class Served(NamedTuple):
    """A version of the model at work."""

    version: Version
    recommender: Recommender
    items: npt.NDArray[np.int32]
    """The column of the model by the store's key of a movie; −1 where it has none."""
    telling: npt.NDArray[np.int64]
    """The columns of the movies that a newcomer is asked about, the most telling first."""
    hidden: frozenset[int] = frozenset()
    """The store's keys of the movies that the recommender leaves out."""

    @property
    def to_rate(self) -> npt.NDArray[np.int64]:
        """Those of the most telling movies that are shown."""
        return self.telling[self.recommender.catalogue_.shown[self.telling]]

    def hiding(self, hidden: frozenset[int]) -> "Served":
        """Return the same model without these movies, and no others, in its lists and search."""
        recommender = copy(self.recommender)
        items = self.items[[key for key in hidden if key < len(self.items)]]
        recommender.catalogue_ = recommender.catalogue_.hiding(items[items >= 0])
        return self._replace(recommender=recommender, hidden=hidden)


class Found(NamedTuple):
    """One movie found by its title."""

    movie_id: Any
    title: str
    year: int | None
    genres: tuple[str, ...]


class Service:
    """Answers from what is in the store and the model that is served."""

    def __init__(self, store: Store, versions: Versions) -> None:
        self.store = store
        self.versions = versions
        self._served: Served | None = None
        self._everybody: tuple[Version, About, Recommender] | None = None
        self._tastes: tuple[Version, dict[str, float]] | None = None
        self._one_at_a_time = threading.Lock()
        self._counting = threading.Lock()
        self._switching = threading.Lock()
        self._ask_hidden_at = 0.0
        self.refit_asked = threading.Event()
        self._changes = 0
        self._chart: tuple[Any, Chart] | None = None

    # ------------------------------------------------------------------------------------------ the model
    @property
    def served(self) -> Served:
        """The version of the model at work."""
        if self._served is None:
            raise NoModel("There is no model yet. It is fitted when there are ratings; try again in a moment.")
        return self._served

    @property
    def is_ready(self) -> bool:
        """Whether there is a model."""
        return self._served is not None

    @property
    def predicts(self) -> bool:
        """Whether ratings are predicted, as they are unless a model says otherwise."""
        return self._served is None or self._served.recommender.models_.rater is not None

    @property
    def feedback(self) -> Feedback:
        """Whether people rate movies or only have them."""
        return "explicit" if self._served is None else self._served.recommender.feedback_

    def current(self) -> Served:
        """Return the model at work without the movies that are hidden now, whichever process hid them.

        While the store does not answer, those movies are left out that were hidden when it last did.
        """
        self.served  # noqa: B018
        if time.monotonic() >= self._ask_hidden_at:
            try:
                hidden = self.store.hidden_keys()
            except StoreUnavailable:
                self._ask_hidden_at = time.monotonic() + PAUSE
            else:
                with self._switching:
                    if hidden != self.served.hidden:
                        self._served = self.served.hiding(hidden)
                    return self.served
        return self.served

    def follow(self) -> bool:
        """Serve the version that is the current one, if it is another; say whether anything changed."""
        wanted = self.versions.current()
        if wanted is None or (self._served is not None and self._served.version == wanted):
            return False
        recommender = self.versions.load(wanted)
        keys = self.store.all_movie_keys()
        items = np.full(max((key for key, _ in keys), default=0) + 1, -1, np.int32)
        ids = pl.Series([self.store.as_id("movie", text) for _, text in keys], dtype=recommender.movie_ids.values.dtype)
        items[[key for key, _ in keys]] = recommender.movie_ids.indices_of(ids)
        made = Served(wanted, recommender, items, most_telling(recommender))
        _warm(recommender)
        made = made.hiding(self.store.hidden_keys())
        with self._switching:
            self._served = made
        log.info("model version %d is served", wanted.number)
        return True

    def _person(self, served: Served, profile: Profile) -> Any:
        """Return a user with the ratings of movies that the model knows, to be passed in the place of `ratings`."""
        keys = profile.movie_keys
        items = served.items[keys[keys < len(served.items)]]
        kept = np.flatnonzero(items >= 0)
        kept = kept[np.argsort(items[kept])]
        rec, times, weights = served.recommender, profile.times[kept], None
        if rec.half_life is not None and not (times == NO_TIME).any():
            weights = recency_of(times, rec.half_life, rec.long_term)
        return Person(one_row(items[kept], profile.ratings[kept], len(rec.movie_ids)), profile.user_id, weights)

    # ------------------------------------------------------------------------------------------- answers
    def recommend(self, user_id: Any, **asked: Any) -> Answers[MovieRow]:
        """Return movies for a user."""
        served, profile = self.current(), self.store.profile(user_id)
        return served.recommender.recommend(ratings=self._person(served, profile), **asked)

    def recommend_newcomer(self, ratings: Mapping[Any, float], **asked: Any) -> Answers[MovieRow]:
        """Return movies for someone who is not in the store; this works without the store."""
        return self.current().recommender.recommend(ratings=ratings, **asked)

    def find(self, text: str, n: int) -> list[Found]:
        """Return the movies whose titles are most like a text, typos forgiven; what is new stands before."""
        rec = self.current().recommender
        new = [movie for movie in self.store.find_movies(text[:100], n=n) if rec.movie_ids.find(movie.movie_id) is None]
        found = [Found(row.movie_id, row.title, row.year, row.genres) for row in new]
        return (found + [Found(row.movie_id, row.title, row.year, row.genres) for row in rec.find(text, n=n)])[:n]

    def similar(self, movie_id: Any, n: int) -> Answers[SimilarRow]:
        """Return the movies most like a movie; this works without the store."""
        return self._current_with(movie_id).recommender.similar(movie_id, n=n)

    def predict(self, user_id: Any, movie_id: Any) -> tuple[Prediction, Why]:
        """Return what a user would rate a movie, and why."""
        served, profile = self._current_with(movie_id), self.store.profile(user_id)
        rec, ratings = served.recommender, self._person(served, profile)
        return rec.predict(None, movie_id, ratings=ratings), rec.explain(None, movie_id, ratings=ratings, by="rating")

    def chart(self) -> Chart:
        """Return the latest map; one of an earlier version of the model holds until the next is laid out."""
        served, file = self.current(), self.versions.map_file
        try:
            told = file.stat()
        except FileNotFoundError:
            how = "" if find_spec("openTSNE") else " where this is installed: pip install '.[map]'"
            raise NoMap(f"There is no map yet. It is drawn after a refit{how}.") from None
        key = served.version.number, served.hidden, told.st_mtime_ns, told.st_size
        if self._chart is None or self._chart[0] != key:
            self._chart = key, Chart(served.recommender, MovieMap.load(file))
        return self._chart[1]

    def audience(self, movie_id: Any, n: int, by: Any = None) -> Answers[UserRow]:
        """Return the users who have not rated a movie and would want it most.

        Their scores are of the time when everybody's ratings were last read; who has rated it since, or is forgotten,
        is not listed.
        """
        served = self._current_with(movie_id)
        about = self.store.about()
        with self._one_at_a_time:
            everybody = self._read_everybody(served, about)
        rated = self.store.raters(movie_id)
        found = everybody.audience(movie_id, n=n + len(rated - _raters(everybody, movie_id)), by=by)
        here = self.store.known_users([row.user_id for row in found])
        rows = [row for row in found if row.user_id not in rated and row.user_id in here][:n]
        numbered = [replace(row, rank=rank) for rank, row in enumerate(rows, 1)]
        short = found.short._replace(wanted=n, got=len(rows)) if found.short and len(rows) < n else None
        return Answers(numbered, found.heading, UserRow, short)

    def _read_everybody(self, served: Served, about: About) -> Recommender:
        """Return the model with everybody's ratings.

        They are read again when the model or 1 % of the ratings is new, or a user was erased, who may be back under
        the same id.
        """
        held, version = self._everybody, served.version
        if (
            held is None
            or held[0] != version
            or held[1].forgotten != about.forgotten
            or about.changes > held[1].changes + version.ratings // 100
        ):
            everybody = served.recommender.with_ratings(self.store.dataset()[0])
            self._everybody = held = version, about, everybody
        return held[2]

    def everybodys_tastes(self) -> dict[str, float]:
        """Return everybody's mean rating by genre, as it was when this model began to be served."""
        version = self.served.version
        if self._tastes is None or self._tastes[0] != version:
            self._tastes = version, {taste.genre: taste.mean for taste in self.store.tastes()}
        return self._tastes[1]

    def _current_with(self, movie_id: Any) -> Served:
        """Return the model at work, or say that it does not know a movie until the next refit, or that it is hidden."""
        served = self.current()
        item = served.recommender.movie_ids.find(movie_id)
        if item is None:
            self.movie(movie_id)
            raise UnknownId(f"movie_id={shorten(movie_id)}: the model does not know this movie until the next refit.")
        if not served.recommender.catalogue_.shown[item]:
            raise _hidden(movie_id)
        return served

    def movie(self, movie_id: Any) -> StoredMovie:
        """Return a movie of the store that is not hidden."""
        movie = self.store.movie(movie_id)
        if self.store.is_hidden(movie_id):
            raise _hidden(movie_id)
        return movie

    # -------------------------------------------------------------------------------------------- writing
    def ask_refit(self) -> bool:
        """Let a refit start as soon as none is running; say whether one is running now."""
        self.refit_asked.set()
        return self.versions.is_refitting()

    def count(self, changes: int) -> None:
        """Remember how many ratings changed, until `flush`."""
        with self._counting:
            self._changes += changes

    def flush(self) -> None:
        """Add to the store's own count what came since the last time."""
        with self._counting:
            changes, self._changes = self._changes, 0
        try:
            if changes:
                self.store.count(changes)
        except BaseException:
            self.count(changes)
            raise


def _hidden(movie_id: Any) -> UnknownId:
    return UnknownId(f"movie_id={shorten(movie_id)}: this movie is hidden.")


def _raters(everybody: Recommender, movie_id: Any) -> set[Any]:
    """Return who had rated a movie when everybody's ratings were read."""
    matrix, item = everybody._kept("movie_id").matrix, everybody.movie_ids.index_of(movie_id)
    rows = np.searchsorted(matrix.indptr, np.flatnonzero(matrix.indices == item), side="right") - 1
    return set(everybody.user_ids.take(rows).to_list())


def _warm(recommender: Recommender) -> None:
    """Answer each kind of question once, so that no visitor waits for compiled code to be loaded."""
    movie_id = recommender.movie_ids[0]
    ratings = {movie_id: recommender.scale_.high}
    numbers: tuple[By, ...] = ("relevance",) if recommender.models_.rater is None else ("relevance", "rating")
    for by in numbers:
        recommender.recommend(ratings=ratings, by=by)
    try:
        recommender.explain(ratings=ratings, movie_id=movie_id, by=numbers[-1])
        if "rating" in numbers:
            recommender.predict(ratings=ratings, movie_id=movie_id)
    except InputError:  # a single movie explains nothing
        log.debug("nothing to explain")
