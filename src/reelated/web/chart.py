"""`Chart`: the map as it is sent, made once for every map and model."""

import gzip
import hashlib
from functools import cached_property
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson

from reelated.map import MovieMap, draw
from reelated.map.groups import Groups, groups_of
from reelated.map.layout import has_place
from reelated.map.picture import OTHER, palette
from reelated.map.regions import homes
from reelated.recommender import Recommender

SIDE = 10_000
"""Places are whole numbers from 0 to this, the longer side of the map in full."""


class Chart:
    """A map of the movies of a model."""

    def __init__(self, rec: Recommender, movie_map: MovieMap) -> None:
        self.rec = rec
        self.movie_map = movie_map

    @cached_property
    def columns(self) -> dict[str, Any]:
        """The movies that have a place, the most rated first, a column for each thing that is known of them."""
        catalogue, places = self.rec.catalogue_, self.movie_map.places_of(self.rec.movie_ids)
        here = catalogue.by_popularity[has_place(places)[catalogue.by_popularity]]
        low = places[here].min(axis=0, initial=np.inf)
        size = float((places[here] - low).max(initial=1e-9))
        x, y = np.rint((places[here] - low) * (SIDE / size)).astype(int).T.tolist()
        return {
            "movie_id": self.rec.movie_ids.take(here).to_list(),
            "title": [catalogue.titles[at] for at in here],
            "year": [catalogue.years[at] for at in here],
            "n_ratings": catalogue.counts[here].tolist(),
            "x": x,
            "y": y,
            **{by: _colours(groups_of(catalogue, by), here, places[here]) for by in ("genres", "decades")},
        }

    @cached_property
    def json(self) -> tuple[bytes, bytes]:
        """The columns as JSON, plain and packed."""
        return _packed(orjson.dumps(self.columns))

    @cached_property
    def svg(self) -> tuple[bytes, bytes]:
        """The picture, every movie a link to its page, plain and packed."""
        return _packed(draw(self.rec, self.movie_map, link=lambda id_: f"/movies/{quote(str(id_), safe='')}").encode())

    @cached_property
    def tag(self) -> str:
        """What is another when anything on the map is another."""
        return f'"{hashlib.sha256(self.json[0]).hexdigest()[:16]}"'


def _packed(body: bytes) -> tuple[bytes, bytes]:
    """Return a body, and the same for who takes gzip."""
    return body, gzip.compress(body, 6, mtime=0)


def _colours(groups: Groups, here: Any, places: Any) -> dict[str, Any]:
    """Return the group of every movie, and what is told of the groups; −1 is none, whose colours come last."""
    mine = groups._replace(of=groups.of[here])
    found = homes(places, mine)
    return {
        "names": groups.names,
        "colors": [*palette(groups), OTHER],
        "of": mine.of.tolist(),
        "homes": [found.get(group) for group in range(len(groups.names))],
    }
