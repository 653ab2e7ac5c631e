"""`ItemMap`: the position of every item of a model; it can be saved, and the next map starts from it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from reelated.errors import InputError, library_errors
from reelated.map.embedding import Places, lay_out
from reelated.plot.saving import atomic_write
from reelated.ratings import Ids
from reelated.recommender import Recommender


@dataclass(frozen=True)
class ItemMap:
    """The positions of items on a plane.

    Attributes
    ----------
    item_ids : Ids
        The items, ascending.
    places : ndarray of float64, shape (n_items, 2)
        The position of each; only relative distances have a meaning.
    """

    item_ids: Ids
    places: Places

    @classmethod
    def of(cls, rec: Recommender, start: "ItemMap | None" = None, *, seed: int = 0) -> "ItemMap":
        """Lay out the items of a fitted recommender by the similarities behind its lists.

        Parameters
        ----------
        rec : Recommender
            A fitted recommender.
        start : ItemMap, optional
            An earlier map; its items stay near their positions, so that users find them again.
        seed : int, default 0
            The random seed of a first map.

        Raises
        ------
        InputError
            The recommender is not fitted, or openTSNE is not installed.
        """
        item_ids = rec.item_ids
        known = start.places_of(item_ids) if start is not None else None
        return cls(item_ids, lay_out(rec.models_.linear.item_weights_, known, seed=seed))

    def places_of(self, item_ids: Ids) -> Places:
        """Return the positions of some items.

        Parameters
        ----------
        item_ids : Ids
            Any items.

        Returns
        -------
        ndarray of float64, shape (len(item_ids), 2)
            NaN for items that are not on this map.
        """
        places = np.full((len(item_ids), 2), np.nan)
        if item_ids.type_name == self.item_ids.type_name:
            indices = self.item_ids.indices_of(item_ids.values)
            places[indices >= 0] = self.places[indices[indices >= 0]]
        return places

    def save(self, path: str | Path) -> None:
        """Write the map as an Arrow table `item_id x y`; an existing file is replaced atomically.

        Parameters
        ----------
        path : str or Path
            The file.
        """
        x, y = self.places.T.astype(np.float32)
        with atomic_write(Path(path)) as temporary:
            pl.DataFrame({"item_id": self.item_ids.values, "x": x, "y": y}).write_ipc(temporary)

    @classmethod
    def load(cls, path: str | Path) -> "ItemMap":
        """Read a map.

        Parameters
        ----------
        path : str or Path
            A file written by `save`.

        Raises
        ------
        InputError
            The file is missing or damaged.
        """
        try:
            table = pl.read_ipc(path)
            ids, places = table["item_id"], table.select("x", "y").to_numpy().astype(np.float64)
            valid_ids = ids.dtype in (pl.Int64, pl.String) and ids.is_sorted() and ids.n_unique() == len(ids)
            if not valid_ids or ids.null_count() or not np.isfinite(places).all():
                raise ValueError("unexpected content")
        except library_errors() as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{path} is not a map, or is damaged ({reason}). Draw it again.") from None
        return cls(Ids(ids, "item"), places)
