"""`People`: users and their ratings; an accepted rating is durable."""

import json
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from reelated.errors import UnknownId, shorten
from reelated.ratings import NO_TIME
from reelated.store.database import Ready, in_parts
from reelated.store.items import Items
from reelated.store.tables import items, ratings, users


class Profile(NamedTuple):
    """A user's ratings as arrays, with the database keys of the items.

    Attributes
    ----------
    user_id : int or str
        Id of the user.
    item_keys : ndarray of int64
        Database keys of the items, ascending.
    ratings : ndarray of float32
        Rating of each item.
    times : ndarray of int64
        Position of each rating in the user's history, else seconds since 1970; `NO_TIME` where unknown. Only the
        order matters.
    """

    user_id: Any
    item_keys: npt.NDArray[np.int64]
    ratings: npt.NDArray[np.float32]
    times: npt.NDArray[np.int64]


class Rated(NamedTuple):
    """A rating of a user, with the title of the item.

    Attributes
    ----------
    item_id : int or str
        Id of the item.
    title, year
        Attributes in the catalogue; `year` may be None.
    rating : float
        The user's rating.
    timestamp : int or None
        Seconds since 1970; None if unknown.
    """

    item_id: Any
    title: str
    year: int | None
    rating: float
    timestamp: int | None


def _rated() -> sa.Select[Any]:
    """Select a user's ratings, newest first."""
    newest = (sa.nulls_last(ratings.c.rated_at.desc()), sa.nulls_last(ratings.c.position.desc()), ratings.c.item_key)
    return (
        sa.select(items.c.item_id, items.c.title, items.c.year, ratings.c.rating, ratings.c.rated_at)
        .join(items, items.c.item_key == ratings.c.item_key)
        .where(ratings.c.user_key == sa.bindparam("key"))
        .order_by(*newest)
        .limit(sa.bindparam("n"))
        .offset(sa.bindparam("start"))
    )


_RATED = _rated()


def _profile_statement(dialect: str) -> sa.Select[Any]:
    """Select a user's ratings as three lists in a single row.

    The SQLite driver releases the GIL for every row, and while other threads run it waits to get it back.
    """
    gathered = sa.func.json_group_array if dialect == "sqlite" else sa.func.array_agg
    time_ = sa.func.coalesce(ratings.c.position, ratings.c.rated_at)
    return (
        sa.select(*(gathered(column) for column in (ratings.c.item_key, ratings.c.rating, time_)))
        .select_from(users.outerjoin(ratings, users.c.user_key == ratings.c.user_key))
        .where(users.c.user_id == sa.bindparam("user"))
    )


class People(Items):
    """Queries and changes of users and their ratings."""

    def __init__(self, url: str | None = None) -> None:
        super().__init__(url)
        self._rating = self._rating_statement()
        self._rate = Ready(self._rating, self.engine, keep=self.dialect == "sqlite")
        self._profile = Ready(_profile_statement(self.dialect), self.engine)

    def close(self) -> None:
        """Close all connections."""
        self._rate.close()
        super().close()

    # ------------------------------------------------------------------------------------------- ratings
    def _rating_statement(self) -> Any:
        """Return the upsert of a rating by a known user of a known item, as a single statement."""
        given = (sa.bindparam("rating", type_=sa.REAL), sa.bindparam("rated_at", type_=sa.BigInteger), sa.null())
        found = (
            sa.select(users.c.user_key, items.c.item_key, *given)
            .select_from(users.join(items, sa.true()))
            .where(users.c.user_id == sa.bindparam("user"), items.c.item_id == sa.bindparam("item"))
        )
        columns = ["user_key", "item_key", "rating", "rated_at", "position"]
        into = self._insert(ratings).from_select(columns, found)
        return self._replacing(into, ("rating", "rated_at", "position"))

    def rate(self, user_id: Any, item_id: Any, rating: float) -> None:
        """Store a rating, and add the user if new; the rating is durable when this returns.

        Parameters
        ----------
        user_id, item_id : int or str
            Ids of the user and the item.
        rating : float
            Rating on the scale of the store.

        Raises
        ------
        UnknownId
            The store has no such item.
        InputError
            The rating is off the scale, or an id is invalid.
        """
        given: dict[str, Any] = {
            "user": self._text("user", user_id),
            "item": self._text("item", item_id),
            "rating": self.check_rating("rating", rating),
            "rated_at": int(time.time()),
        }
        # fast path of one statement, which changes no row if the user or the item is unknown
        with self._turn:
            if self._rate(**given) > 0:
                return
        with self._writing() as connection:
            self._settle(connection)
            self._item_keys(connection, {given["item"]: item_id})
            connection.execute(self._insert(users).on_conflict_do_nothing(), {"user_id": given["user"]})
            connection.execute(self._rating, given)

    def rate_many(self, rows: Iterable[tuple[Any, Any, float]]) -> int:
        """Store many ratings, all or none; of several by one user of one item the last counts.

        Parameters
        ----------
        rows : iterable of (user id, item id, rating)
            New users are added.

        Returns
        -------
        int
            Number of ratings stored.

        Raises
        ------
        UnknownId
            The store has no such item.
        InputError
            A rating is off the scale, or an id is invalid.
        """
        now = int(time.time())
        kept: dict[tuple[str, str], float] = {}
        named: dict[str, Any] = {}
        for at, (user_id, item_id, rating) in enumerate(rows):
            user, item = self._text("user", user_id), self._text("item", item_id)
            named.setdefault(item, item_id)
            kept[user, item] = self.check_rating(f"ratings[{at}].rating", rating)
        if not kept:
            return 0
        with self._writing() as connection:
            self._settle(connection)
            keys = self._item_keys(connection, named)
            people = sorted({user for user, _ in kept})
            connection.execute(self._insert(users).on_conflict_do_nothing(), [{"user_id": user} for user in people])
            mine = dict(in_parts(connection, sa.select(users.c.user_id, users.c.user_key), users.c.user_id, people))
            values = [
                {"user_key": mine[user], "item_key": keys[item], "rating": rating, "rated_at": now, "position": None}
                for (user, item), rating in sorted(kept.items())
            ]
            connection.execute(self._replacing(self._insert(ratings), ("rating", "rated_at", "position")), values)
        return len(kept)

    def unrate(self, user_id: Any, item_id: Any) -> None:
        """Remove a rating.

        Parameters
        ----------
        user_id, item_id : int or str
            Ids of the user and the item.

        Raises
        ------
        UnknownId
            The rating does not exist.
        """
        user = sa.select(users.c.user_key).where(users.c.user_id == self._text("user", user_id)).scalar_subquery()
        item = sa.select(items.c.item_key).where(items.c.item_id == self._text("item", item_id))
        with self._writing() as connection:
            gone = sa.delete(ratings).where(ratings.c.user_key == user, ratings.c.item_key == item.scalar_subquery())
            if not connection.execute(gone).rowcount:
                who, what = f"user_id {shorten(user_id)}", f"item_id {shorten(item_id)}"
                raise UnknownId(f"No rating by {who} of {what}. See the user's ratings.")

    def profile(self, user_id: Any) -> Profile:
        """Return a user's ratings as arrays.

        Parameters
        ----------
        user_id : int or str
            Id of the user.

        Returns
        -------
        Profile

        Raises
        ------
        UnknownId
            The store has no such user.
        """
        (lists,) = self._profile(user=self._text("user", user_id))
        keys, values, times = map(json.loads, lists) if self.dialect == "sqlite" else (part or [] for part in lists)
        if not keys:
            raise UnknownId(
                f"No ratings for user_id {shorten(user_id)}. For a newcomer pass ratings={{item_id: rating}}."
            )
        if keys == [None]:  # a known user without ratings
            keys, values, times = [], [], []
        at = np.array([NO_TIME if time is None else time for time in times], np.int64)
        found = np.array(keys, np.int64)
        order = np.argsort(found)
        return Profile(user_id, found[order], np.array(values, np.float32)[order], at[order])

    def ratings_of(self, user_id: Any, *, start: int = 0, n: int = 50) -> list[Rated]:
        """Return a user's ratings, newest first.

        Parameters
        ----------
        user_id : int or str
            Id of the user.
        start : int, default 0
            Number of results to skip.
        n : int, default 50
            Maximum number of results.

        Returns
        -------
        list of Rated

        Raises
        ------
        UnknownId
            The store has no such user.
        """
        user = sa.select(users.c.user_key).where(users.c.user_id == self._text("user", user_id))
        with self._reading() as connection:
            key = connection.scalar(user)
            if key is None:
                raise UnknownId(f"No ratings for user_id {shorten(user_id)}. Check the id.")
            rows = connection.execute(_RATED, {"key": key, "start": start, "n": n}).all()
        return [Rated(self.as_id("item", row[0]), *row[1:]) for row in rows]

    def raters(self, item_id: Any) -> set[Any]:
        """Return the users who rated an item.

        Parameters
        ----------
        item_id : int or str
            Id of the item.

        Returns
        -------
        set

        Raises
        ------
        UnknownId
            The store has no such item.
        """
        text = self._text("item", item_id)
        with self._reading() as connection:
            key = self._item_keys(connection, {text: item_id})[text]
            who = sa.select(users.c.user_id).join(ratings, ratings.c.user_key == users.c.user_key)
            found = connection.scalars(who.where(ratings.c.item_key == key)).all()
        return {self.as_id("user", user_id) for user_id in found}

    def known_users(self, user_ids: Iterable[Any]) -> set[Any]:
        """Return which of the given users are in the store.

        Parameters
        ----------
        user_ids : iterable of int or str
            Ids to look up.

        Returns
        -------
        set
        """
        texts = [self._text("user", user_id) for user_id in user_ids]
        with self._reading() as connection:
            found = list(in_parts(connection, sa.select(users.c.user_id), users.c.user_id, texts))
        return {self.as_id("user", row[0]) for row in found}

    def forget(self, *user_ids: Any) -> int:
        """Erase users and all their ratings; erase none if one of them is unknown.

        Parameters
        ----------
        *user_ids : int or str
            Ids of the users.

        Returns
        -------
        int
            Number of ratings removed.

        Raises
        ------
        UnknownId
            One of the users is not in the store.
        """
        named = {self._text("user", user_id): user_id for user_id in user_ids}
        gone = 0
        with self._writing() as connection:
            query = sa.select(users.c.user_id, users.c.user_key)
            keys = dict(in_parts(connection, query, users.c.user_id, list(named)))
            for text, user_id in named.items():
                if text not in keys:
                    raise UnknownId(f"No ratings for user_id {shorten(user_id)}. Nothing was removed.")
                gone += connection.execute(sa.delete(ratings).where(ratings.c.user_key == keys[text])).rowcount
                connection.execute(sa.delete(users).where(users.c.user_key == keys[text]))
            self._add_to(connection, "forgotten", len(named))
            self._add_to(connection, "changes", gone)
        self._overwrite_journal()
        return int(gone)
