"""`Service`: answers the requests of the API and the pages from the store and the model; independent of HTTP."""

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

from reelated.errors import InputError, UnknownId, library_errors
from reelated.map import ItemMap
from reelated.models.contracts import By
from reelated.ratings import NO_TIME, Feedback
from reelated.recommender import Explanation, ItemRow, Prediction, Recommendations, Recommender, SimilarRow, UserRow
from reelated.recommender.elicitation import elicitation_order
from reelated.recommender.query import Query, query_of_profile
from reelated.refit import Version, Versions
from reelated.store import Profile, Store, StoredItem, StoreInfo
from reelated.web.map_data import MapData
from reelated.web.store_work import HiddenItems

log = logging.getLogger("reelated.web")
VISITORS_WAIT = 3600
"""Minimum age of a model in seconds before visitors' changes and erasures start a refit: anybody can cause them."""
MAX_SEARCH = 60
"""Number of characters of a search that count: the time of a search with typos is proportional to it."""


class NoModel(RuntimeError):
    """No model has been fitted yet."""


class NoMap(NoModel):
    """No map has been drawn yet."""


class ServedModel(NamedTuple):
    """A loaded version of the model."""

    version: Version
    recommender: Recommender
    items: npt.NDArray[np.int32]
    """Item index in the model by the store's key; −1 if the model does not know the item. The last element is −1."""
    elicitation: npt.NDArray[np.int64]
    """Item indices in the order in which new users are asked to rate them, the most informative first."""
    hidden: frozenset[int] = frozenset()
    """The store's keys of the hidden items."""

    @property
    def items_to_rate(self) -> npt.NDArray[np.int64]:
        """The items of `elicitation` that are not hidden."""
        return self.elicitation[self.recommender.catalogue_.shown[self.elicitation]]

    def with_hidden(self, hidden: frozenset[int]) -> "ServedModel":
        """Return a shallow copy with exactly these items hidden from lists and search."""
        recommender = copy(self.recommender)
        items = self.items[[key for key in hidden if key < len(self.items)]]
        recommender.catalogue_ = recommender.catalogue_.hiding(items[items >= 0])
        return self._replace(recommender=recommender, hidden=hidden)


class Service:
    """Answers requests with data from the store and the served model."""

    def __init__(self, store: Store, versions: Versions) -> None:
        self.store = store
        self.versions = versions
        self._served: ServedModel | None = None
        self._all_users: tuple[Version, StoreInfo, Recommender] | None = None
        self._genre_means: tuple[Version, dict[str, float]] | None = None
        self._map: tuple[Any, MapData] | None = None
        self._all_users_lock = threading.Lock()  # without it, two threads could read all ratings at the same time
        self._changes_lock = threading.Lock()
        self._switch_lock = threading.Lock()
        self._hidden_items = HiddenItems(lambda: self.store.hidden_keys())
        self.refit_requested = threading.Event()
        self._changes = {False: 0, True: 0}  # of users, of visitors
        self._erased = 0

    @property
    def served(self) -> ServedModel:
        """The served version; raises `NoModel` before the first fit."""
        if self._served is None:
            if self.store.is_empty():
                raise NoModel(
                    "There is no model yet, because there are no ratings. Import some: reelated import SOURCE"
                )
            raise NoModel("There is no model yet. It is fitted once there are ratings; try again in a moment.")
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
        """The word for an item on the pages."""
        return self.store.info.noun if self._served is None else self._served.recommender.noun_

    def current(self) -> ServedModel:
        """Return the served model without hidden items (the last known ones while the store does not answer)."""
        self.served  # noqa: B018  # raises `NoModel` before the store is queried
        return self._with_hidden(self._hidden_items.latest())

    def _with_hidden(self, hidden: frozenset[int]) -> ServedModel:
        """Return the served model with exactly these items hidden."""
        with self._switch_lock:
            if hidden != self.served.hidden:
                self._served = self.served.with_hidden(hidden)
            return self.served

    def load_current(self) -> bool:
        """Load the current version if it differs from the served one; return whether it did."""
        version = self.versions.current()
        if version is None or (self._served is not None and self._served.version == version):
            return False
        self._serve(version)
        return True

    def load_fallback(self) -> bool:
        """Load the last good version in place of a damaged one; return whether there is one."""
        for version in self.versions.fallbacks(self.store.about().forgotten):
            try:
                self._serve(version)
            except library_errors() as error:
                log.error("model version %d cannot be served: %s", version.number, error)
            else:
                return True
        return False

    def _serve(self, version: Version) -> None:
        """Load a version, call each method once, and serve it."""
        recommender = self.versions.load(version)
        keys = self.store.all_item_keys()
        items = np.full(max((key for key, _ in keys), default=0) + 2, -1, np.int32)
        ids = pl.Series([self.store.as_id("item", text) for _, text in keys], dtype=recommender.item_ids.values.dtype)
        items[[key for key, _ in keys]] = recommender.item_ids.indices_of(ids)
        loaded = ServedModel(version, recommender, items, elicitation_order(recommender))
        _warm_up(recommender)  # before the switch: until then, requests use the old model
        loaded = loaded.with_hidden(self._hidden_items.latest())
        with self._switch_lock:
            self._served = loaded
        log.info("serving model version %d", version.number)

    def _query(self, served: ServedModel, profile: Profile) -> Query:
        """Return a user's ratings of the items in the model."""
        items = served.items.take(profile.item_keys, mode="clip")  # also −1 for items added since the fit
        known = items.argsort()[np.count_nonzero(items < 0) :]
        times = profile.times[known]
        known_times = None if (times == NO_TIME).any() else times
        last = served.version.last_user_key
        return query_of_profile(
            items[known],
            profile.ratings[known],
            known_times,
            profile.user_id,
            served.recommender,
            is_new=last is not None and profile.user_key > last,
        )

    def recommend(self, user_id: Any, **params: Any) -> Recommendations[ItemRow]:
        self.served  # noqa: B018  # raises `NoModel` before the store is queried
        profile = self.store.profile(user_id)
        self._hidden_items.keys = profile.hidden  # in an outage, the last known hidden items
        served = self._with_hidden(profile.hidden)
        return served.recommender.recommend(ratings=self._query(served, profile), **params)

    def recommend_to_new_user(
        self, ratings: Mapping[Any, float] | None = None, **params: Any
    ) -> Recommendations[ItemRow]:
        """Recommend items to a new user; this works during an outage of the store."""
        return self.current().recommender.recommend(ratings=ratings, **params)

    def find(self, text: str, n: int) -> list[Any]:
        """Find items by title, typos allowed; items that the model does not know come first."""
        text = text[:MAX_SEARCH]
        rec = self.current().recommender
        new = [item for item in self.store.find_items(text, n=n) if rec.item_ids.find(item.item_id) is None]
        return [*new, *rec.find(text, n=n)][:n]

    def search(self, text: str, start: int, n: int) -> list[StoredItem]:
        """Return one page of the items found by title, with their current numbers of ratings."""
        return self.store.items_of(hit.item_id for hit in self.find(text, start + n)[start:])

    def similar(self, item_id: Any, **params: Any) -> Recommendations[SimilarRow]:
        """Return the most similar items; this works during an outage of the store."""
        served = self.current()
        self._check_known(served, item_id)
        return served.recommender.similar(item_id, **params)

    def predict(self, user_id: Any, item_id: Any) -> tuple[Prediction, Explanation]:
        """Return a user's predicted rating of an item and its explanation."""
        served, profile = self._current_knowing(item_id), self.store.profile(user_id)
        rec, ratings = served.recommender, self._query(served, profile)
        return rec.predict(None, item_id, ratings=ratings), rec.explain(None, item_id, ratings=ratings, by="rating")

    def map_data(self) -> MapData:
        """Return the latest map; until the next one is drawn, that is the map of an earlier version."""
        served, file = self.current(), self.versions.map_file
        try:
            stat = file.stat()
        except FileNotFoundError:
            condition = "" if find_spec("openTSNE") else " if the extra is installed: pip install '.[map]'"
            raise NoMap(f"There is no map yet. It is drawn after a refit{condition}.") from None
        key = served.version.number, served.hidden, stat.st_mtime_ns, stat.st_size
        if self._map is None or self._map[0] != key:
            self._map = key, MapData(served.recommender, ItemMap.load(file))
        return self._map[1]

    def audience(self, item_id: Any, n: int, by: Any = None) -> Recommendations[UserRow]:
        """Return the users with the highest (cached) scores for an item they have not rated."""
        served = self._current_knowing(item_id)
        about = self.store.about()
        with self._all_users_lock:
            all_users = self._load_all_users(served, about)
        raters = self.store.raters(item_id)
        # Request one more user for each rater that the cache does not know: raters are dropped below.
        audience = all_users.audience(item_id, n=n + len(raters - _cached_raters(all_users, item_id)), by=by)
        existing = self.store.known_users([row.user_id for row in audience])
        rows = [row for row in audience if row.user_id not in raters and row.user_id in existing][:n]
        ranked = [replace(row, rank=rank) for rank, row in enumerate(rows, 1)]
        short = audience.short._replace(wanted=n, got=len(rows)) if audience.short and len(rows) < n else None
        return Recommendations(ranked, audience.heading, UserRow, short)

    def _load_all_users(self, served: ServedModel, about: StoreInfo) -> Recommender:
        """Return the model with the ratings of all users, cached until 1 % of the ratings have changed."""
        cached, version = self._all_users, served.version
        if (
            cached is None
            or cached[0] != version
            or cached[1].forgotten != about.forgotten  # a new user may have the id of an erased one
            or about.changes > cached[1].changes + version.ratings // 100
        ):
            all_users = served.recommender.with_ratings(self.store.dataset()[0])
            self._all_users = cached = version, about, all_users
        return cached[2]

    def mean_rating_by_genre(self) -> dict[str, float]:
        """Return the mean rating of each genre by all users, cached per model version."""
        version = self.served.version
        if self._genre_means is None or self._genre_means[0] != version:
            self._genre_means = version, {row.genre: row.mean for row in self.store.mean_rating_by_genre()}
        return self._genre_means[1]

    def _current_knowing(self, item_id: Any) -> ServedModel:
        """Return the served model; raise `UnknownId` if it does not know the item or the item is hidden."""
        served = self.current()
        if served.recommender.item_ids.find(item_id) is None:
            self.item(item_id)  # raises its own error if the store does not know the item either
        self._check_known(served, item_id)
        return served

    def _check_known(self, served: ServedModel, item_id: Any) -> None:
        item = served.recommender.item_ids.find(item_id)
        if item is None:
            raise UnknownId(
                "the model does not know this item until the next refit.", parameter="item_id", value=item_id
            )
        if not served.recommender.catalogue_.shown[item]:
            raise _hidden(item_id)

    def item(self, item_id: Any) -> StoredItem:
        """Return an item of the store; raise `UnknownId` if it is hidden."""
        item = self.store.item(item_id)
        if self.store.is_hidden(item_id):
            raise _hidden(item_id)
        return item

    def request_refit(self) -> bool:
        """Request a refit, which starts when none is running; return whether one is running now."""
        self.refit_requested.set()
        return self.versions.is_refitting()

    def count(self, changes: int, *, by_visitors: bool = False) -> None:
        """Count changed ratings in memory until `flush`."""
        with self._changes_lock:
            self._changes[by_visitors] += changes

    def flush(self) -> None:
        """Add the counted changes to the counters in the store, and remove erased rows from its journal."""
        for by_visitors in (False, True):
            with self._changes_lock:
                changes, self._changes[by_visitors] = self._changes[by_visitors], 0
            try:
                if changes:
                    self.store.count(changes, by_visitors=by_visitors)
            except BaseException:
                self.count(changes, by_visitors=by_visitors)
                raise
        version = self.versions.current()
        is_old = version is None or time.time() - version.made_at >= VISITORS_WAIT
        if is_old and self.store.has_visitor_changes():
            self.store.release_visitor_changes()
        # another process may have erased users too, while this one kept the journal
        forgotten = self.store.about().forgotten
        if (forgotten != self._erased or not self.store.journal_is_clean) and self.store.overwrite_journal():
            self._erased = forgotten


def _hidden(item_id: Any) -> UnknownId:
    return UnknownId("this item is hidden.", parameter="item_id", value=item_id)


def _cached_raters(all_users: Recommender, item_id: Any) -> set[Any]:
    """Return the users who had rated an item when the cache was filled."""
    matrix, item = all_users.kept_ratings().matrix, all_users.item_ids.index_of(item_id)
    rows = np.searchsorted(matrix.indptr, np.flatnonzero(matrix.indices == item), side="right") - 1
    return set(all_users.user_ids.take(rows).to_list())


def _warm_up(recommender: Recommender) -> None:
    """Call each method once, so that no request waits for a kernel to be compiled or for the index of the titles."""
    item_id = recommender.item_ids[0]
    ratings = {item_id: recommender.scale_.high}
    numbers: tuple[By, ...] = ("score",) if recommender.models_.rater is None else ("score", "rating")
    for by in numbers:
        recommender.recommend(ratings=ratings, by=by)
    recommender.find("a", n=1)  # copies with hidden items share the index
    try:
        recommender.explain(None, item_id, ratings=ratings, by=numbers[-1])
        if "rating" in numbers:
            recommender.predict(None, item_id, ratings=ratings)
    except InputError:  # a model of one item has no explanations
        log.debug("no explanation to warm up")
