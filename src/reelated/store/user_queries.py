"""`UserQueries`: users and their ratings; an accepted rating is durable."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import sqlalchemy as sa

from reelated.errors import Advice, InputError, UnknownId, shorten, unknown_user
from reelated.ratings import NO_TIME
from reelated.store.connection import LOCK_TIMEOUT, PreparedStatement, select_in
from reelated.store.item_queries import ItemQueries, as_list, hidden_statement
from reelated.store.records import Event, Profile, UserRating, check_time, event_weight
from reelated.store.schema import items, ratings, users

RATING_COLUMNS = ("rating", "rated_at", "position")
USER_KEYS = sa.select(users.c.user_id, users.c.user_key)
_RATINGS_OF_USER = (
    sa.select(items.c.item_id, items.c.title, items.c.year, ratings.c.rating, ratings.c.rated_at)
    .join(items, items.c.item_key == ratings.c.item_key)
    .where(ratings.c.user_key == sa.bindparam("key"))
    .order_by(sa.nulls_last(ratings.c.rated_at.desc()), sa.nulls_last(ratings.c.position.desc()), ratings.c.item_key)
    .limit(sa.bindparam("n"))
    .offset(sa.bindparam("start"))
)


def _profile_statement(dialect: str) -> sa.Select[Any]:
    """Select a user's key, the ratings as three lists, and the hidden items, in a single row."""
    time_ = sa.func.coalesce(ratings.c.position, ratings.c.rated_at)
    lists = (as_list(dialect, column) for column in (ratings.c.item_key, ratings.c.rating, time_))
    return (
        sa.select(sa.func.max(users.c.user_key), *lists, hidden_statement(dialect).scalar_subquery())
        .select_from(users.outerjoin(ratings, users.c.user_key == ratings.c.user_key))
        .where(users.c.user_id == sa.bindparam("user"))
    )


class UserQueries(ItemQueries):
    """Queries and changes of users and their ratings."""

    def __init__(self, url: str | None = None, *, lock_timeout: float = LOCK_TIMEOUT) -> None:
        super().__init__(url, lock_timeout=lock_timeout)
        self._rating_upsert = self._rating_statement()
        keep = self.dialect == "sqlite"
        self._rate = PreparedStatement(self._rating_upsert, self.engine, self._file.check, keep_connection=keep)
        self._profile = PreparedStatement(_profile_statement(self.dialect), self.engine, self._file.check)

    def close(self) -> None:
        self._rate.close()
        super().close()

    def _rating_statement(self) -> Any:
        """Return the upsert of a rating by a known user of a known item, as a single statement."""
        rating = (sa.bindparam("rating", type_=sa.REAL), sa.bindparam("rated_at", type_=sa.BigInteger), sa.null())
        row = (
            sa.select(users.c.user_key, items.c.item_key, *rating)
            .select_from(users.join(items, sa.true()))
            .where(users.c.user_id == sa.bindparam("user"), items.c.item_id == sa.bindparam("item"))
        )
        insert = self._insert(ratings).from_select(["user_key", "item_key", *RATING_COLUMNS], row)
        return self._upsert(insert, RATING_COLUMNS)

    def rate(self, user_id: Any, item_id: Any, rating: float, *, timestamp: int | None = None) -> None:
        """Store a rating, by default given now, and add the user if new."""
        parameters: dict[str, Any] = {
            "user": self._id_text("user", user_id),
            "item": self._id_text("item", item_id),
            "rating": self.check_rating("rating", rating),
            "rated_at": check_time("timestamp", timestamp),
        }
        # fast path of one statement, which changes no row if the user or the item is unknown
        with self._write_lock:
            if self._rate(**parameters) > 0:
                return
        with self._writing() as connection:
            self._ensure_meta(connection)
            self._item_keys(connection, {parameters["item"]: item_id})
            connection.execute(self._insert(users).on_conflict_do_nothing(), {"user_id": parameters["user"]})
            connection.execute(self._rating_upsert, parameters)

    def rate_many(self, rows: Iterable[tuple[Any, Any, float] | tuple[Any, Any, float, int | None]]) -> int:
        """Store many ratings, all or none, and return their number; the last of repeated ratings counts."""
        last_rating: dict[tuple[str, str], dict[str, Any]] = {}
        item_ids: dict[str, Any] = {}
        for index, (user_id, item_id, rating, *times) in enumerate(rows):
            user, item = self._id_text("user", user_id), self._id_text("item", item_id)
            item_ids.setdefault(item, item_id)
            last_rating[user, item] = {
                "user": user,
                "item": item,
                "rating": self.check_rating(f"ratings[{index}].rating", rating),
                "rated_at": check_time(f"ratings[{index}].timestamp", times[0] if times else None),
            }
        if not last_rating:
            return 0
        with self._writing() as connection:
            self._ensure_meta(connection)
            keyed = self._with_keys(connection, list(last_rating.values()), item_ids)
            connection.execute(self._upsert(self._insert(ratings), RATING_COLUMNS), keyed)
        return len(last_rating)

    def add_events(self, rows: Iterable[Event]) -> int:
        """Add events, all or none, and return their number; the weights of a user's events with an item are summed."""
        info, events = self.about(), [Event(*row) for row in rows]
        if not info.is_events and self.size()["ratings"]:
            raise InputError("The store holds ratings, not events. Post ratings, or use a store of its own.")
        values: list[dict[str, Any]] = [
            {
                "user": self._id_text("user", event.user_id),
                "item": self._id_text("item", event.item_id),
                "rating": event_weight(event, info.events, f"events[{at}]"),
                "rated_at": check_time(f"events[{at}].timestamp", event.timestamp),
                "position": None,
            }
            for at, event in enumerate(events)
        ]
        item_ids = {value["item"]: event.item_id for value, event in zip(values, events, strict=True)}
        values = [value for value in values if value["rating"]]
        if not values:
            return 0
        with self._writing() as connection:
            self._ensure_meta(connection)
            self._set_meta(connection, "feedback", "implicit")
            upsert = self._event_upsert(self._insert(ratings))
            for row in self._with_keys(connection, values, item_ids):
                connection.execute(upsert, row)
        self._info = None
        return len(values)

    def _with_keys(
        self, connection: sa.Connection, rows: list[dict[str, Any]], item_ids: Mapping[str, Any]
    ) -> list[dict[str, Any]]:
        """Add the users; return the rows with keys instead of ids, in the order of the table, to avoid deadlocks."""
        item_keys = self._item_keys(connection, item_ids)
        texts = sorted({row["user"] for row in rows})
        connection.execute(self._insert(users).on_conflict_do_nothing(), [{"user_id": text} for text in texts])
        user_keys = dict(select_in(connection, USER_KEYS, users.c.user_id, texts))
        keyed = [
            {"user_key": user_keys[row.pop("user")], "item_key": item_keys[row.pop("item")], **row} for row in rows
        ]
        return sorted(keyed, key=lambda row: (row["user_key"], row["item_key"]))

    def unrate(self, user_id: Any, item_id: Any) -> None:
        """Remove a rating; raise `UnknownId` if it does not exist."""
        user_key = self._select_key("user", user_id).scalar_subquery()
        item_key = self._select_key("item", item_id).scalar_subquery()
        delete = sa.delete(ratings).where(ratings.c.user_key == user_key, ratings.c.item_key == item_key)
        with self._writing() as connection:
            if not connection.execute(delete).rowcount:
                expected = f"no rating of item_id={shorten(item_id)} by this user."
                raise UnknownId(expected, parameter="user_id", value=user_id, remedy=Advice.LIST_RATINGS)

    def profile(self, user_id: Any) -> Profile:
        """Return a user's ratings as arrays."""
        ((user_key, *lists),) = self._profile(user=self._id_text("user", user_id))
        is_json = self.dialect == "sqlite"
        keys, values, times, hidden = map(json.loads, lists) if is_json else (part or [] for part in lists)
        if not keys:
            raise unknown_user(user_id, Advice.NEW_USER)
        if keys == [None]:  # a known user without ratings
            keys, values, times = [], [], []
        item_keys = np.array(keys, np.int64)
        timestamps = np.array([NO_TIME if time is None else time for time in times], np.int64)
        order = item_keys.argsort()
        stars = np.array(values, np.float32)[order]
        return Profile(user_id, user_key, item_keys[order], stars, timestamps[order], frozenset(hidden))

    def last_user_key(self) -> int:
        """Return the largest key of a user, which belongs to the user added last; 0 without users."""
        with self._reading() as connection:
            return int(connection.scalar(sa.select(sa.func.max(users.c.user_key))) or 0)

    def ratings_of(self, user_id: Any, *, start: int = 0, n: int = 50) -> list[UserRating]:
        """Return a user's ratings, newest first."""
        query = self._select_key("user", user_id)
        with self._reading() as connection:
            key = connection.scalar(query)
            if key is None:
                raise unknown_user(user_id, "Check the id.")
            rows = connection.execute(_RATINGS_OF_USER, {"key": key, "start": start, "n": n}).all()
        return [UserRating(self.as_id("item", row[0]), *row[1:]) for row in rows]

    def raters(self, item_id: Any) -> set[Any]:
        """Return the users who rated an item."""
        query = sa.select(users.c.user_id).join(ratings, ratings.c.user_key == users.c.user_key)
        with self._reading() as connection:
            key = self._item_key(connection, item_id)
            texts = connection.scalars(query.where(ratings.c.item_key == key)).all()
        return {self.as_id("user", text) for text in texts}

    def known_users(self, user_ids: Iterable[Any]) -> set[Any]:
        """Return which of the given users are in the store."""
        texts = [self._id_text("user", user_id) for user_id in user_ids]
        with self._reading() as connection:
            rows = list(select_in(connection, sa.select(users.c.user_id), users.c.user_id, texts))
        return {self.as_id("user", text) for (text,) in rows}

    def forget(self, *user_ids: Any) -> int:
        """Erase users and their ratings, and return the number of ratings; erase none if one user is unknown."""
        ids = {self._id_text("user", user_id): user_id for user_id in user_ids}
        n_removed = 0
        with self._writing() as connection:
            keys = dict(select_in(connection, USER_KEYS, users.c.user_id, list(ids)))
            for text, user_id in ids.items():
                if text not in keys:
                    raise unknown_user(user_id, "Nothing was removed.")
                n_removed += connection.execute(sa.delete(ratings).where(ratings.c.user_key == keys[text])).rowcount
                connection.execute(sa.delete(users).where(users.c.user_key == keys[text]))
            self._increment(connection, "forgotten", len(ids))
            self._increment(connection, "changes", n_removed)
        self.overwrite_journal()
        return int(n_removed)
