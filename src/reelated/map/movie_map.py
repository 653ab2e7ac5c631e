"""`MovieMap`: where every movie of a model lies, to be kept and to start the next one from."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from reelated.errors import InputError
from reelated.map.layout import Places, lay_out
from reelated.ratings import Ids
from reelated.recommender import Recommender


@dataclass(frozen=True)
class MovieMap:
    """Movies and their places on a plane.

    Attributes
    ----------
    movie_ids : Ids
        The movies, ascending.
    places : ndarray of float64, shape (n_movies, 2)
        Where each lies; only distances beside one another mean something.
    """

    movie_ids: Ids
    places: Places

    @classmethod
    def of(cls, rec: Recommender, start: "MovieMap | None" = None, *, seed: int = 0) -> "MovieMap":
        """Lay out the movies of a fitted recommender by the similarities that its lists rest on.

        Parameters
        ----------
        rec : Recommender
            Fitted.
        start : MovieMap, optional
            An earlier map: movies stay near where they were, so that people find them again.
        seed : int, default 0
            Of a first map; with the same seed it is the same.

        Returns
        -------
        MovieMap

        Raises
        ------
        InputError
            The recommender is not fitted, or openTSNE is not installed.
        """
        movie_ids = rec.movie_ids
        known = start.places_of(movie_ids) if start is not None else None
        return cls(movie_ids, lay_out(rec.models_.ranker_or_rater.similarity_, known, seed=seed))

    def places_of(self, movie_ids: Ids) -> Places:
        """Return the places of some movies.

        Parameters
        ----------
        movie_ids : Ids
            Any movies.

        Returns
        -------
        ndarray of float64, shape (len(movie_ids), 2)
            NaN for movies that are not on this map.
        """
        found = np.full((len(movie_ids), 2), np.nan)
        if movie_ids.type_name == self.movie_ids.type_name:
            at = self.movie_ids.indices_of(movie_ids.values)
            found[at >= 0] = self.places[at[at >= 0]]
        return found

    def save(self, path: str | Path) -> None:
        """Write the map as one Arrow table `movie_id x y`; one already there is replaced whole.

        Parameters
        ----------
        path : str or Path
            The file.
        """
        file = Path(path)
        beside = file.with_name(f".{file.name}-{os.getpid()}")
        x, y = self.places.T.astype(np.float32)
        try:
            pl.DataFrame({"movie_id": self.movie_ids.values, "x": x, "y": y}).write_ipc(beside)
            beside.replace(file)
        finally:
            beside.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | Path) -> "MovieMap":
        """Read a map.

        Parameters
        ----------
        path : str or Path
            A file that `save` wrote.

        Returns
        -------
        MovieMap

        Raises
        ------
        InputError
            There is none, or it is damaged.
        """
        try:
            table = pl.read_ipc(path)
            ids, places = table["movie_id"], table.select("x", "y").to_numpy().astype(np.float64)
            whole = ids.dtype in (pl.Int64, pl.String) and ids.is_sorted() and ids.n_unique() == len(ids)
            if not whole or ids.null_count() or not np.isfinite(places).all():
                raise ValueError("something else than expected")
        except (OSError, ValueError, pl.exceptions.PolarsError) as error:
            why = str(error).splitlines()[0]
            raise InputError(f"{path} is no map, or a damaged one ({why}). Draw it again.") from None
        return cls(Ids(ids, "movie"), places)
