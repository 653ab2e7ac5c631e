"""`Counts`: aggregate statistics of ratings by item, genre and user."""

from typing import Any, NamedTuple

import sqlalchemy as sa

from reelated.store.items import Items
from reelated.store.tables import genres, items, ratings, users


class GenreTaste(NamedTuple):
    """Number and mean of the ratings of one genre.

    Attributes
    ----------
    genre : str
        Name of the genre.
    n_ratings : int
        Number of ratings of items of the genre.
    mean : float
        Mean of these ratings.
    """

    genre: str
    n_ratings: int
    mean: float


class Counts(Items):
    """Aggregate statistics of ratings."""

    def histogram(self, item_id: Any) -> dict[float, int]:
        """Return how many users gave an item each rating, in ascending order of the rating.

        Parameters
        ----------
        item_id : int or str
            Id of the item.

        Returns
        -------
        dict of float to int
        """
        which = sa.select(items.c.item_key).where(items.c.item_id == self._text("item", item_id))
        query = sa.select(ratings.c.rating, sa.func.count()).where(ratings.c.item_key == which.scalar_subquery())
        with self._reading() as connection:
            found = connection.execute(query.group_by(ratings.c.rating).order_by(ratings.c.rating)).all()
        return {float(rating): count for rating, count in found}

    def tastes(self, user_id: Any = None) -> list[GenreTaste]:
        """Return number and mean of ratings by genre, the genre with most ratings first.

        Parameters
        ----------
        user_id : int or str, optional
            Id of the user; by default all users.

        Returns
        -------
        list of GenreTaste
        """
        many = sa.func.count()
        query = sa.select(genres.c.genre, many, sa.func.avg(ratings.c.rating)).select_from(
            genres.join(ratings, genres.c.item_key == ratings.c.item_key)
        )
        if user_id is not None:
            who = sa.select(users.c.user_key).where(users.c.user_id == self._text("user", user_id))
            query = query.where(ratings.c.user_key == who.scalar_subquery())
        with self._reading() as connection:
            found = connection.execute(query.group_by(genres.c.genre).order_by(many.desc(), genres.c.genre)).all()
        return [GenreTaste(genre, count, float(mean)) for genre, count, mean in found]

    def most_active(self, n: int = 10) -> list[tuple[Any, int]]:
        """Return the users with most ratings, and how many each has.

        Parameters
        ----------
        n : int, default 10
            Number of users.

        Returns
        -------
        list of (int or str, int)
        """
        many = sa.func.count()
        query = sa.select(users.c.user_id, many).select_from(users.join(ratings)).group_by(users.c.user_id)
        with self._reading() as connection:
            found = connection.execute(query.order_by(many.desc(), users.c.user_id).limit(n)).all()
        return [(self.as_id("user", user_id), count) for user_id, count in found]
