"""`VisitorQueries`: anonymous visitors of the web page; their data is kept apart from users and erased on request."""

import secrets
import time
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from reelated.errors import InputError
from reelated.store.item_queries import ItemQueries
from reelated.store.records import UserRating
from reelated.store.schema import dismissed, facts, items, visitor_ratings, visitors

MAX_RATINGS = 1000  # only the latest ratings count: anyone can be a visitor, and each rating takes time
MAX_DISMISSED = 200
_ENDED = "ended session "


class VisitorQueries(ItemQueries):
    """Queries and changes of visitors."""

    def secret(self) -> str:
        """Return the signing key of the web page, created once and shared by all workers."""
        query = sa.select(facts.c.value).where(facts.c.name == "secret")
        with self._reading() as connection:
            secret = connection.scalar(query)
        if secret is None:
            with self._writing() as connection:
                row = {"name": "secret", "value": secrets.token_urlsafe(48)}
                connection.execute(self._insert(facts).on_conflict_do_nothing(), row)
                secret = connection.scalar(query)
        return str(secret)

    def end_session(self, session_id: str, expires: int) -> None:
        """Record that a session has ended before its cookie expires."""
        ended = facts.c.name.startswith(_ENDED)
        with self._writing() as connection:
            expired = sa.cast(facts.c.value, sa.BigInteger) < int(time.time())
            connection.execute(sa.delete(facts).where(ended, sa.case((ended, expired), else_=False)))
            row = {"name": _ENDED + session_id, "value": str(expires)}
            connection.execute(self._insert(facts).on_conflict_do_nothing(), row)

    def is_session_ended(self, session_id: str) -> bool:
        """Return whether `end_session` was called for a session."""
        query = sa.select(facts.c.value).where(facts.c.name == _ENDED + session_id)
        with self._reading() as connection:
            return connection.scalar(query) is not None

    def n_visitors(self) -> int:
        """Return the number of visitors with stored data."""
        with self._reading() as connection:
            return int(connection.scalar(sa.select(sa.func.count()).select_from(visitors)) or 0)

    def visitor_ratings(self, visitor_id: str) -> list[UserRating]:
        """Return a visitor's ratings, newest first."""
        table = visitor_ratings.c
        query = sa.select(items.c.item_id, items.c.title, items.c.year, table.rating, table.rated_at)
        query = query.select_from(visitor_ratings.join(visitors).join(items)).where(visitors.c.visitor_id == visitor_id)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(table.rated_at.desc(), table.item_key).limit(MAX_RATINGS)).all()
        return [UserRating(self.as_id("item", row[0]), *row[1:]) for row in rows]

    def visitor_rate(self, visitor_id: str, item_id: Any, rating: float | None) -> None:
        """Store a visitor's rating; None removes it."""
        row = {} if rating is None else {"rating": self.check_rating("rating", rating)}
        self._set_row(visitor_ratings, visitor_id, item_id, row, remove=rating is None)

    def visitor_rate_many(self, visitor_id: str, ratings: Mapping[Any, float]) -> None:
        """Store many ratings of a visitor, all or none; the last one counts as the latest."""
        values = [self.check_rating("rating", rating) for rating in ratings.values()]
        texts = {self._id_text("item", item_id): item_id for item_id in ratings}
        if not values:
            return
        with self._writing() as connection:
            self._ensure_meta(connection)
            keys = self._item_keys(connection, texts)
            visitor_key, first = self._visit(connection, visitor_id)
            rows = [
                {"visitor_key": visitor_key, "item_key": keys[text], "rating": rating, "rated_at": first + place}
                for place, (text, rating) in enumerate(zip(texts, values, strict=True), 1 - len(values))
            ]
            connection.execute(self._upsert(self._insert(visitor_ratings), ["rating", "rated_at"]), rows)

    def dismissed(self, visitor_id: str) -> list[Any]:
        query = sa.select(items.c.item_id).select_from(dismissed.join(visitors).join(items))
        query = query.where(visitors.c.visitor_id == visitor_id).order_by(items.c.item_key)
        with self._reading() as connection:
            return [self.as_id("item", text) for text in connection.scalars(query)]

    def dismiss(self, visitor_id: str, item_id: Any, *, back: bool = False) -> None:
        """Record that a visitor wants fewer items like this one."""
        if not back and len(self.dismissed(visitor_id)) >= MAX_DISMISSED:
            raise InputError(f"{MAX_DISMISSED} items are dismissed already. Take one back first.")
        self._set_row(dismissed, visitor_id, item_id, {}, remove=back)

    def _set_row(self, table: sa.Table, visitor_id: str, item_id: Any, row: dict[str, Any], *, remove: bool) -> None:
        """Upsert or remove the row of a visitor and an item."""
        with self._writing() as connection:
            self._ensure_meta(connection)
            item_key = self._item_key(connection, item_id)
            visitor_key, row_time = self._visit(connection, visitor_id)
            keys = {"visitor_key": visitor_key, "item_key": item_key}
            if remove:
                connection.execute(sa.delete(table).where(*(table.c[name] == key for name, key in keys.items())))
            elif row:
                row["rated_at"] = row_time
                connection.execute(self._upsert(self._insert(table), list(row)), keys | row)
            else:
                connection.execute(self._insert(table).on_conflict_do_nothing(), keys)

    def _visit(self, connection: sa.Connection, visitor_id: str) -> tuple[int, int]:
        """Add a visitor, or record the visit; return the key, and a time later than all earlier ratings."""
        now = int(time.time())
        visit = self._insert(visitors).values(visitor_id=visitor_id, seen_at=now)
        visit = visit.on_conflict_do_update(index_elements=["visitor_id"], set_={"seen_at": now})
        key: Any = connection.scalar(visit.returning(visitors.c.visitor_key))
        latest = sa.select(sa.func.max(visitor_ratings.c.rated_at)).where(visitor_ratings.c.visitor_key == key)
        return key, max(now, (connection.scalar(latest) or 0) + 1)  # ascending times keep the order of ratings

    def forget_visitor(self, visitor_id: str, *, learned: bool = False) -> int:
        """Erase all data of a visitor, and return the number of ratings removed."""
        return self._forget_visitors(visitors.c.visitor_id == visitor_id, learned)

    def forget_visitors_before(self, seconds: int, *, learned: bool = False) -> int:
        """Erase the visitors without activity since a point in time, and return the number of ratings removed."""
        return self._forget_visitors(visitors.c.seen_at < seconds, learned)

    def _forget_visitors(self, where: Any, learned: bool) -> int:
        keys = sa.select(visitors.c.visitor_key).where(where)
        with self._reading() as connection:  # anybody can request this: lock for known visitors only
            if connection.scalar(keys.limit(1)) is None:
                return 0
        with self._writing() as connection:
            delete = sa.delete(visitor_ratings).where(visitor_ratings.c.visitor_key.in_(keys))
            n_removed = int(connection.execute(delete).rowcount)
            connection.execute(sa.delete(dismissed).where(dismissed.c.visitor_key.in_(keys)))
            connection.execute(sa.delete(visitors).where(where))
            if learned and n_removed:
                # not added to `forgotten`: anyone can be a visitor, and erasures must not start one refit after another
                self._ensure_meta(connection)
                self._increment(connection, "visitors_forgotten", 1)
                self._increment(connection, "visitor_changes", n_removed)
        self.overwrite_journal()
        return n_removed
