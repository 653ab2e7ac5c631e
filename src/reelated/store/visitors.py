"""`Visitors`: anonymous visitors of the web page; their data is kept apart from users and erased on request."""

import secrets
import time
from typing import Any

import sqlalchemy as sa

from reelated.store.items import Items
from reelated.store.people import Rated
from reelated.store.tables import dismissed, facts, items, visitor_ratings, visitors

MOST_RATINGS = 5000  # only the latest ratings of a visitor count


class Visitors(Items):
    """Queries and changes of visitors."""

    def secret(self) -> str:
        """Return the signing key of the web page, created once and shared by all workers."""
        wanted = sa.select(facts.c.value).where(facts.c.name == "secret")
        with self._reading() as connection:
            known = connection.scalar(wanted)
        if known is None:
            with self._writing() as connection:
                row = {"name": "secret", "value": secrets.token_urlsafe(48)}
                connection.execute(self._insert(facts).on_conflict_do_nothing(), row)
                known = connection.scalar(wanted)
        return str(known)

    def visitor_ratings(self, visitor_id: str) -> list[Rated]:
        """Return a visitor's ratings, newest first.

        Parameters
        ----------
        visitor_id : str
            Id of the visitor.

        Returns
        -------
        list of Rated
        """
        table = visitor_ratings.c
        query = sa.select(items.c.item_id, items.c.title, items.c.year, table.rating, table.rated_at)
        query = query.select_from(visitor_ratings.join(visitors).join(items)).where(visitors.c.visitor_id == visitor_id)
        with self._reading() as connection:
            rows = connection.execute(query.order_by(table.rated_at.desc(), table.item_key).limit(MOST_RATINGS)).all()
        return [Rated(self.as_id("item", row[0]), *row[1:]) for row in rows]

    def visitor_rate(self, visitor_id: str, item_id: Any, rating: float | None) -> None:
        """Store or remove a visitor's rating; the change is durable when this returns.

        Parameters
        ----------
        visitor_id : str
            Id of the visitor.
        item_id : int or str
            Id of the item.
        rating : float or None
            Rating on the scale of the store; None removes the rating.

        Raises
        ------
        UnknownId
            The store has no such item.
        InputError
            The rating is off the scale.
        """
        value = None if rating is None else self.check_rating("rating", rating)
        row = {} if value is None else {"rating": value}
        self._mark(visitor_ratings, visitor_id, item_id, row, keep=value is not None)

    def dismissed(self, visitor_id: str) -> list[Any]:
        """Return the items that a visitor dismissed.

        Parameters
        ----------
        visitor_id : str
            Id of the visitor.

        Returns
        -------
        list of int or str
        """
        query = sa.select(items.c.item_id).select_from(dismissed.join(visitors).join(items))
        query = query.where(visitors.c.visitor_id == visitor_id).order_by(items.c.item_key)
        with self._reading() as connection:
            return [self.as_id("item", text) for text in connection.scalars(query)]

    def dismiss(self, visitor_id: str, item_id: Any, *, back: bool = False) -> None:
        """Record that a visitor wants fewer items like this one.

        Parameters
        ----------
        visitor_id : str
            Id of the visitor.
        item_id : int or str
            Id of the item.
        back : bool, default False
            Whether to undo the dismissal.

        Raises
        ------
        UnknownId
            The store has no such item.
        """
        self._mark(dismissed, visitor_id, item_id, {}, keep=not back)

    def _mark(self, table: sa.Table, visitor_id: str, item_id: Any, row: dict[str, Any], *, keep: bool) -> None:
        """Insert or remove the row of a visitor and an item."""
        text, now = self._text("item", item_id), int(time.time())
        with self._writing() as connection:
            self._settle(connection)
            item_key = self._item_keys(connection, {text: item_id})[text]
            here = self._insert(visitors).values(visitor_id=visitor_id, seen_at=now)
            here = here.on_conflict_do_update(index_elements=["visitor_id"], set_={"seen_at": now})
            key = connection.scalar(here.returning(visitors.c.visitor_key))
            whose = {"visitor_key": key, "item_key": item_key}
            if not keep:
                connection.execute(sa.delete(table).where(*(table.c[name] == at for name, at in whose.items())))
            elif row:
                latest = connection.scalar(sa.select(sa.func.max(table.c.rated_at)).where(table.c.visitor_key == key))
                row["rated_at"] = max(now, (latest or 0) + 1)  # ratings within one second keep their order
                connection.execute(self._replacing(self._insert(table), list(row)), whose | row)
            else:
                connection.execute(self._insert(table).on_conflict_do_nothing(), whose)

    def forget_visitor(self, visitor_id: str, *, learned: bool = False) -> int:
        """Erase all data of a visitor.

        Parameters
        ----------
        visitor_id : str
            Id of the visitor.
        learned : bool, default False
            Whether a model may be fitted to these ratings, so that a refit is due.

        Returns
        -------
        int
            Number of ratings removed.
        """
        return self._forget_visitors(visitors.c.visitor_id == visitor_id, learned)

    def forget_visitors_before(self, seconds: int, *, learned: bool = False) -> int:
        """Erase the visitors without activity since a point in time.

        Parameters
        ----------
        seconds : int
            The point in time, in seconds since 1970.
        learned : bool, default False
            Whether a model may be fitted to these ratings, so that a refit is due.

        Returns
        -------
        int
            Number of ratings removed.
        """
        return self._forget_visitors(visitors.c.seen_at < seconds, learned)

    def _forget_visitors(self, who: Any, learned: bool) -> int:
        keys = sa.select(visitors.c.visitor_key).where(who)
        with self._writing() as connection:
            gone = connection.execute(sa.delete(visitor_ratings).where(visitor_ratings.c.visitor_key.in_(keys)))
            connection.execute(sa.delete(dismissed).where(dismissed.c.visitor_key.in_(keys)))
            connection.execute(sa.delete(visitors).where(who))
            if learned and gone.rowcount:
                self._add_to(connection, "forgotten", 1)
                self._add_to(connection, "changes", gone.rowcount)
        self._overwrite_journal()
        return int(gone.rowcount)
