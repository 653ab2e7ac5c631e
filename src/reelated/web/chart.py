"""`Chart`: the map as JSON and SVG, computed once per map and model."""

import gzip
import hashlib
from functools import cached_property
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson

from reelated.map import ItemMap, draw
from reelated.map.embedding import has_place
from reelated.map.groups import Groups, groups_of
from reelated.map.labels import group_centres
from reelated.map.picture import OTHER, palette
from reelated.recommender import Recommender

SIDE = 10_000
"""Coordinates are integers from 0 to this; the longer side spans the range."""


class Chart:
    """The map of the items of a model."""

    def __init__(self, rec: Recommender, item_map: ItemMap) -> None:
        self.rec = rec
        self.item_map = item_map

    @cached_property
    def columns(self) -> dict[str, Any]:
        """The columns of all items with coordinates, the most rated item first."""
        catalogue, places = self.rec.catalogue_, self.item_map.places_of(self.rec.item_ids)
        here = catalogue.by_popularity[has_place(places)[catalogue.by_popularity]]
        low = places[here].min(axis=0, initial=np.inf)
        size = float((places[here] - low).max(initial=1e-9))
        x, y = np.rint((places[here] - low) * (SIDE / size)).astype(int).T.tolist()
        return {
            "item_id": self.rec.item_ids.take(here).to_list(),
            "title": [catalogue.titles[at] for at in here],
            "year": [catalogue.years[at] for at in here],
            "n_ratings": catalogue.counts[here].tolist(),
            "x": x,
            "y": y,
            **{by: _colours(groups_of(catalogue, by), here, places[here]) for by in ("genres", "decades")},
        }

    @cached_property
    def json(self) -> tuple[bytes, bytes]:
        """The columns as JSON, plain and gzipped."""
        return _packed(orjson.dumps(self.columns))

    @cached_property
    def svg(self) -> tuple[bytes, bytes]:
        """The SVG with a link to the page of each item, plain and gzipped."""
        return _packed(draw(self.rec, self.item_map, link=lambda id_: f"/items/{quote(str(id_), safe='')}").encode())

    @cached_property
    def tag(self) -> str:
        """The ETag: a hash of the JSON."""
        return f'"{hashlib.sha256(self.json[0]).hexdigest()[:16]}"'


def _packed(body: bytes) -> tuple[bytes, bytes]:
    """Return a body, plain and gzipped."""
    return body, gzip.compress(body, 6, mtime=0)  # without a time stamp every worker sends the same bytes


def _colours(groups: Groups, here: Any, places: Any) -> dict[str, Any]:
    """Return the group of each item with names, colours and label places; group −1 has the last colour."""
    mine = groups._replace(of=groups.of[here])
    found = group_centres(places, mine)
    return {
        "names": groups.names,
        "colors": [*palette(groups), OTHER],
        "of": mine.of.tolist(),
        "homes": [found.get(group) for group in range(len(groups.names))],
    }
