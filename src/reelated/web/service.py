"""`Service`: the store and the served model behind the API and the pages; independent of HTTP."""

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
from reelated.map import ItemMap
from reelated.models.contracts import By
from reelated.ratings import NO_TIME, Feedback
from reelated.recommender import Answers, ItemRow, Prediction, Recommender, SimilarRow, UserRow, Why
from reelated.recommender.query import Query
from reelated.refit import Version, Versions
from reelated.store import Profile, Store, StoredItem, StoreInfo, StoreUnavailable
from reelated.web.chart import Chart
from reelated.web.wall import most_telling

log = logging.getLogger("reelated.web")
PAUSE = 5.0
"""Seconds to wait after a failed query for hidden items, so that an outage does not slow every request."""


class NoModel(RuntimeError):
    """No model has been fitted yet."""


class NoMap(NoModel):
    """No map has been drawn yet."""


class Served(NamedTuple):
    """A loaded version of the model."""

    version: Version
    recommender: Recommender
    items: npt.NDArray[np.int32]
    """Item index in the model by the store's key; −1 if the model does not know the item."""
    telling: npt.NDArray[np.int64]
    """Item indices for the elicitation of a new user, the most informative first."""
    hidden: frozenset[int] = frozenset()
    """The store's keys of the hidden items."""

    @property
    def to_rate(self) -> npt.NDArray[np.int64]:
        """The items of `telling` that are not hidden."""
        return self.telling[self.recommender.catalogue_.shown[self.telling]]

    def hiding(self, hidden: frozenset[int]) -> "Served":
        """Return a shallow copy with exactly these items hidden from lists and search."""
        recommender = copy(self.recommender)
        items = self.items[[key for key in hidden if key < len(self.items)]]
        recommender.catalogue_ = recommender.catalogue_.hiding(items[items >= 0])
        return self._replace(recommender=recommender, hidden=hidden)


class Found(NamedTuple):
    """One item found by title."""

    item_id: Any
    title: str
    year: int | None
    genres: tuple[str, ...]


class Service:
    """Combines the store with the served model."""

    def __init__(self, store: Store, versions: Versions) -> None:
        self.store = store
        self.versions = versions
        self._served: Served | None = None
        self._everybody: tuple[Version, StoreInfo, Recommender] | None = None
        self._tastes: tuple[Version, dict[str, float]] | None = None
        self._one_at_a_time = threading.Lock()  # two threads would both read all ratings
        self._counting = threading.Lock()
        self._switching = threading.Lock()
        self._ask_hidden_at = 0.0
        self.refit_asked = threading.Event()
        self._changes = 0
        self._chart: tuple[Any, Chart] | None = None

    # ------------------------------------------------------------------------------------------ the model
    @property
    def served(self) -> Served:
        """The served version; raises `NoModel` before the first fit."""
        if self._served is None:
            raise NoModel("There is no model yet. It is fitted when there are ratings; try again in a moment.")
        return self._served

    @property
    def is_ready(self) -> bool:
        """Whether a model is loaded."""
        return self._served is not None

    @property
    def predicts(self) -> bool:
        """Whether the model predicts ratings; true while there is no model."""
        return self._served is None or self._served.recommender.models_.rater is not None

    @property
    def feedback(self) -> Feedback:
        """Explicit or implicit feedback; explicit while there is no model."""
        return "explicit" if self._served is None else self._served.recommender.feedback_

    @property
    def noun(self) -> str:
        """What an item is called on the pages."""
        return self.store.noun if self._served is None else self._served.recommender.noun_

    def current(self) -> Served:
        """Return the served model without the items that are hidden now, by whichever worker.

        While the store is unavailable, the last known set of hidden items applies.
        """
        self.served  # noqa: B018  # raises `NoModel` before the store is asked
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
        """Load the current version if it differs from the served one; return whether it did."""
        wanted = self.versions.current()
        if wanted is None or (self._served is not None and self._served.version == wanted):
            return False
        recommender = self.versions.load(wanted)
        keys = self.store.all_item_keys()
        items = np.full(max((key for key, _ in keys), default=0) + 1, -1, np.int32)
        ids = pl.Series([self.store.as_id("item", text) for _, text in keys], dtype=recommender.item_ids.values.dtype)
        items[[key for key, _ in keys]] = recommender.item_ids.indices_of(ids)
        made = Served(wanted, recommender, items, most_telling(recommender))
        _warm(recommender)  # before the switch, so that requests go on with the old model meanwhile
        made = made.hiding(self.store.hidden_keys())
        with self._switching:
            self._served = made
        log.info("model version %d is served", wanted.number)
        return True

    def _query(self, served: Served, profile: Profile) -> Query:
        """Return a profile's ratings of known items."""
        keys = profile.item_keys
        items = served.items[keys[keys < len(served.items)]]
        kept = np.flatnonzero(items >= 0)
        kept = kept[np.argsort(items[kept])]
        times = profile.times[kept]
        known_times = None if (times == NO_TIME).any() else times
        return served.recommender.query(items[kept], profile.ratings[kept], known_times, profile.user_id)

    # ------------------------------------------------------------------------------------------- answers
    def recommend(self, user_id: Any, **asked: Any) -> Answers[ItemRow]:
        """Recommend items to a user."""
        served, profile = self.current(), self.store.profile(user_id)
        return served.recommender.recommend(ratings=self._query(served, profile), **asked)

    def recommend_newcomer(self, ratings: Mapping[Any, float], **asked: Any) -> Answers[ItemRow]:
        """Recommend items to a new user; this works during an outage of the store."""
        return self.current().recommender.recommend(ratings=ratings, **asked)

    def find(self, text: str, n: int) -> list[Found]:
        """Find items by title, typos allowed; items that the model does not know come first."""
        rec = self.current().recommender
        new = [item for item in self.store.find_items(text[:100], n=n) if rec.item_ids.find(item.item_id) is None]
        found = [Found(row.item_id, row.title, row.year, row.genres) for row in new]
        return (found + [Found(row.item_id, row.title, row.year, row.genres) for row in rec.find(text, n=n)])[:n]

    def similar(self, item_id: Any, n: int) -> Answers[SimilarRow]:
        """Return the most similar items; this works during an outage of the store."""
        return self._current_with(item_id).recommender.similar(item_id, n=n)

    def predict(self, user_id: Any, item_id: Any) -> tuple[Prediction, Why]:
        """Return a user's predicted rating of an item and its explanation."""
        served, profile = self._current_with(item_id), self.store.profile(user_id)
        rec, ratings = served.recommender, self._query(served, profile)
        return rec.predict(None, item_id, ratings=ratings), rec.explain(None, item_id, ratings=ratings, by="rating")

    def chart(self) -> Chart:
        """Return the latest map; the map of an earlier version is used until the next one is drawn."""
        served, file = self.current(), self.versions.map_file
        try:
            told = file.stat()
        except FileNotFoundError:
            how = "" if find_spec("openTSNE") else " where this is installed: pip install '.[map]'"
            raise NoMap(f"There is no map yet. It is drawn after a refit{how}.") from None
        key = served.version.number, served.hidden, told.st_mtime_ns, told.st_size
        if self._chart is None or self._chart[0] != key:
            self._chart = key, Chart(served.recommender, ItemMap.load(file))
        return self._chart[1]

    def audience(self, item_id: Any, n: int, by: Any = None) -> Answers[UserRow]:
        """Return the users with the highest score for an item they have not rated.

        Audience scores are cached until 1 % of the ratings have changed; users who rated the item since then, or were
        erased, are excluded at once.
        """
        served = self._current_with(item_id)
        about = self.store.about()
        with self._one_at_a_time:
            everybody = self._read_everybody(served, about)
        rated = self.store.raters(item_id)
        # Ask for as many more users as have rated the item since the cache was filled: they are dropped below.
        found = everybody.audience(item_id, n=n + len(rated - _raters(everybody, item_id)), by=by)
        here = self.store.known_users([row.user_id for row in found])
        rows = [row for row in found if row.user_id not in rated and row.user_id in here][:n]
        numbered = [replace(row, rank=rank) for rank, row in enumerate(rows, 1)]
        short = found.short._replace(wanted=n, got=len(rows)) if found.short and len(rows) < n else None
        return Answers(numbered, found.heading, UserRow, short)

    def _read_everybody(self, served: Served, about: StoreInfo) -> Recommender:
        """Return the model with the ratings of all users, cached until 1 % of the ratings have changed.

        An erased user invalidates the cache too: a new user may have the same id.
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
        """Return the mean rating of all users by genre, cached per model version."""
        version = self.served.version
        if self._tastes is None or self._tastes[0] != version:
            self._tastes = version, {taste.genre: taste.mean for taste in self.store.mean_rating_by_genre()}
        return self._tastes[1]

    def _current_with(self, item_id: Any) -> Served:
        """Return the served model; raise `UnknownId` if it does not know the item or the item is hidden."""
        served = self.current()
        item = served.recommender.item_ids.find(item_id)
        if item is None:
            self.item(item_id)  # raises its own error if the store does not know the item either
            raise UnknownId(f"item_id={shorten(item_id)}: the model does not know this item until the next refit.")
        if not served.recommender.catalogue_.shown[item]:
            raise _hidden(item_id)
        return served

    def item(self, item_id: Any) -> StoredItem:
        """Return an item of the store; raise `UnknownId` if it is hidden."""
        item = self.store.item(item_id)
        if self.store.is_hidden(item_id):
            raise _hidden(item_id)
        return item

    # -------------------------------------------------------------------------------------------- writing
    def ask_refit(self) -> bool:
        """Request a refit, which starts when none is running; return whether one is running now."""
        self.refit_asked.set()
        return self.versions.is_refitting()

    def count(self, changes: int) -> None:
        """Count changed ratings in memory until `flush`."""
        with self._counting:
            self._changes += changes

    def flush(self) -> None:
        """Add the counted changes to the counter in the store."""
        with self._counting:
            changes, self._changes = self._changes, 0
        try:
            if changes:
                self.store.count(changes)
        except BaseException:
            self.count(changes)
            raise


def _hidden(item_id: Any) -> UnknownId:
    return UnknownId(f"item_id={shorten(item_id)}: this item is hidden.")


def _raters(everybody: Recommender, item_id: Any) -> set[Any]:
    """Return the users who had rated an item when the cache was filled."""
    matrix, item = everybody.kept_ratings("item_id").matrix, everybody.item_ids.index_of(item_id)
    rows = np.searchsorted(matrix.indptr, np.flatnonzero(matrix.indices == item), side="right") - 1
    return set(everybody.user_ids.take(rows).to_list())


def _warm(recommender: Recommender) -> None:
    """Call each method once, so that no request waits for numba to load or compile a kernel."""
    item_id = recommender.item_ids[0]
    ratings = {item_id: recommender.scale_.high}
    numbers: tuple[By, ...] = ("score",) if recommender.models_.rater is None else ("score", "rating")
    for by in numbers:
        recommender.recommend(ratings=ratings, by=by)
    try:
        recommender.explain(None, item_id, ratings=ratings, by=numbers[-1])
        if "rating" in numbers:
            recommender.predict(None, item_id, ratings=ratings)
    except InputError:  # a model of one item has no explanations
        log.debug("nothing to explain")
