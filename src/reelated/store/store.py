"""`Store`: all parts of the store in one class, and statistics of the ratings by item, genre and user."""

from typing import Any, NamedTuple

import sqlalchemy as sa

from reelated.store.import_export import ImportExport
from reelated.store.schema import genres, items, ratings, users
from reelated.store.user_queries import UserQueries
from reelated.store.visitors import VisitorQueries

DAY = 86_400


class GenreTaste(NamedTuple):
    """Number and mean of the ratings of one genre."""

    genre: str
    n_ratings: int
    mean: float  # mean of these ratings


ItemCount = tuple[Any, str, int]
"""Id, title and number of ratings of an item."""


class Store(UserQueries, VisitorQueries, ImportExport):
    """Users, items and ratings in SQLite or PostgreSQL.

    An id of the wrong type, an invalid value or a rating that is not on the scale raises `InputError`; an unknown user
    or item raises `UnknownId`. A change is durable when the method returns.

    Parameters
    ----------
    url : str, optional
        `sqlite:///path/to/store.db` or `postgresql://user:password@host/database`; by default a SQLite file in the
        user's data folder. `upgrade` creates the tables or migrates them.
    lock_timeout : float, default 30.0
        Seconds to wait for a lock of the database; then the call raises `StoreUnavailable`.

    Examples
    --------
    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> store = Store(f"sqlite:///{folder.name}/store.db").upgrade()
    >>> store.put_item("alien", "Alien", 1979, ["Horror"])
    True
    >>> store.rate("ann", "alien", 5)
    >>> store.ratings_of("ann")
    [UserRating(item_id='alien', title='Alien', year=1979, rating=5.0, timestamp=...)]
    >>> store.close(); folder.cleanup()
    """

    def histogram(self, item_id: Any) -> dict[float, int]:
        """Return how many users gave an item each rating, in ascending order of the rating."""
        item_key = self._select_key("item", item_id).scalar_subquery()
        query = sa.select(ratings.c.rating, sa.func.count()).where(ratings.c.item_key == item_key)
        with self._reading() as connection:
            rows = connection.execute(query.group_by(ratings.c.rating).order_by(ratings.c.rating)).all()
        return {float(rating): count for rating, count in rows}

    def mean_rating_by_genre(self, user_id: Any = None) -> list[GenreTaste]:
        """Return number and mean of ratings by genre, the most rated genre first; by default for all users."""
        count = sa.func.count()
        query = sa.select(genres.c.genre, count, sa.func.avg(ratings.c.rating)).select_from(
            genres.join(ratings, genres.c.item_key == ratings.c.item_key)
        )
        if user_id is not None:
            query = query.where(ratings.c.user_key == self._select_key("user", user_id).scalar_subquery())
        with self._reading() as connection:
            rows = connection.execute(query.group_by(genres.c.genre).order_by(count.desc(), genres.c.genre)).all()
        return [GenreTaste(genre, n_ratings, float(mean)) for genre, n_ratings, mean in rows]

    def ratings_per_day(self, until: int, days: int = 14) -> list[tuple[int, int]]:
        """Return the last days (UTC), as seconds since 1970, and the number of stored ratings of each day."""
        last, day = until // DAY, ratings.c.rated_at // sa.literal_column(str(DAY), sa.BigInteger)
        query = sa.select(day, sa.func.count()).where(ratings.c.rated_at >= (last - days + 1) * DAY).group_by(day)
        with self._reading() as connection:
            counts = {int(number): count for number, count in connection.execute(query)}
        return [(number * DAY, counts.get(number, 0)) for number in range(last - days + 1, last + 1)]

    def items_by_ratings(self, n: int = 5) -> tuple[list[ItemCount], list[ItemCount]]:
        """Return the items with the most and with the fewest ratings; hidden items are excluded.

        All ratings are read once, by the index of their items.
        """
        counts = sa.select(ratings.c.item_key, sa.func.count().label("n")).group_by(ratings.c.item_key).subquery()
        count, key = sa.func.coalesce(counts.c.n, 0), items.c.item_key
        orders = [(count.desc(), key), (count, key)]
        ranks = [sa.func.row_number().over(order_by=order).label(f"rank_{i}") for i, order in enumerate(orders)]
        ranked = (
            sa.select(items.c.item_id, items.c.title, count.label("n"), *ranks)
            .select_from(items.outerjoin(counts))
            .where(~items.c.hidden)
            .subquery()
        )
        query = sa.select(ranked).where((ranked.c.rank_0 <= n) | (ranked.c.rank_1 <= n))
        with self._reading() as connection:
            rows = connection.execute(query).all()
        most, fewest = (
            [(self.as_id("item", row[0]), row[1], row[2]) for row in sorted(rows, key=lambda row: row[rank])[:n]]
            for rank in (3, 4)
        )
        return most, fewest

    def most_active(self, n: int = 10) -> list[tuple[Any, int]]:
        """Return the users with the most ratings, and how many each has."""
        return self._users_by_ratings(n, sa.true(), at_least=1)

    def users_like(self, text: str, n: int = 10) -> list[tuple[Any, int]]:
        """Return users whose id contains a text, and how many ratings each has; those with the most ratings first."""
        return self._users_by_ratings(n, users.c.user_id.contains(text.replace("\0", "\ufffd"), autoescape=True))

    def _users_by_ratings(self, n: int, where: Any, at_least: int = 0) -> list[tuple[Any, int]]:
        count = sa.func.count(ratings.c.item_key)
        query = sa.select(users.c.user_id, count).select_from(users.outerjoin(ratings)).where(where)
        query = (
            query.group_by(users.c.user_id).having(count >= at_least).order_by(count.desc(), users.c.user_id).limit(n)
        )
        with self._reading() as connection:
            return [(self.as_id("user", user_id), n_ratings) for user_id, n_ratings in connection.execute(query)]
