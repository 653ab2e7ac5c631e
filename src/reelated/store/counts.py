"""`Counts`: what a page shows of many ratings at once: how a movie was rated, who rates most, tastes by genre."""

from typing import Any, NamedTuple

import sqlalchemy as sa

from reelated.store.movies import Movies
from reelated.store.tables import genres, movies, ratings, users


class GenreTaste(NamedTuple):
    """How movies of one genre were rated.

    Attributes
    ----------
    genre : str
        Its name.
    n_ratings : int
        How many ratings movies of it have.
    mean : float
        Their mean.
    """

    genre: str
    n_ratings: int
    mean: float


class Counts(Movies):
    """Ratings counted."""

    def histogram(self, movie_id: Any) -> dict[float, int]:
        """Return how many users gave a movie each rating, the lowest first.

        Parameters
        ----------
        movie_id : int or str
            Which.

        Returns
        -------
        dict of float to int
        """
        which = sa.select(movies.c.movie_key).where(movies.c.movie_id == self._text("movie", movie_id))
        query = sa.select(ratings.c.rating, sa.func.count()).where(ratings.c.movie_key == which.scalar_subquery())
        with self._reading() as connection:
            found = connection.execute(query.group_by(ratings.c.rating).order_by(ratings.c.rating)).all()
        return {float(rating): count for rating, count in found}

    def tastes(self, user_id: Any = None) -> list[GenreTaste]:
        """Return how movies of each genre were rated, the genre with most ratings first.

        Parameters
        ----------
        user_id : int or str, optional
            By whom; by default by everybody.

        Returns
        -------
        list of GenreTaste
        """
        many = sa.func.count()
        query = sa.select(genres.c.genre, many, sa.func.avg(ratings.c.rating)).select_from(
            genres.join(ratings, genres.c.movie_key == ratings.c.movie_key)
        )
        if user_id is not None:
            who = sa.select(users.c.user_key).where(users.c.user_id == self._text("user", user_id))
            query = query.where(ratings.c.user_key == who.scalar_subquery())
        with self._reading() as connection:
            found = connection.execute(query.group_by(genres.c.genre).order_by(many.desc(), genres.c.genre)).all()
        return [GenreTaste(genre, count, float(mean)) for genre, count, mean in found]

    def most_active(self, n: int = 10) -> list[tuple[Any, int]]:
        """Return the users who rated most, with how many movies they rated.

        Parameters
        ----------
        n : int, default 10
            How many users.

        Returns
        -------
        list of (int or str, int)
        """
        many = sa.func.count()
        query = sa.select(users.c.user_id, many).select_from(users.join(ratings)).group_by(users.c.user_id)
        with self._reading() as connection:
            found = connection.execute(query.order_by(many.desc(), users.c.user_id).limit(n)).all()
        return [(self.as_id("user", user_id), count) for user_id, count in found]
