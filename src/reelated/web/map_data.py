"""`MapData`: the map as JSON and SVG, computed once per map and model."""

import gzip
import hashlib
from functools import cached_property
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson

from reelated.map import ItemMap, draw
from reelated.map.item_map import has_place
from reelated.map.labels import Groups, group_centres, groups_of
from reelated.map.picture import OTHER, palette
from reelated.recommender import Recommender
from reelated.recommender.title_search import main_title

SIDE = 10_000
"""Coordinates are integers from 0 to this; the longer side spans the range."""


class MapData:
    """The map of the items of a model, in the formats that the service sends."""

    def __init__(self, rec: Recommender, item_map: ItemMap) -> None:
        self.rec = rec
        self.item_map = item_map

    @cached_property
    def columns(self) -> dict[str, Any]:
        """The columns of all items with coordinates, the most rated item first."""
        catalogue, positions = self.rec.catalogue_, self.item_map.places_of(self.rec.item_ids)
        items = catalogue.by_popularity[has_place(positions)[catalogue.by_popularity]]
        positions = positions[items]
        low = positions.min(axis=0, initial=np.inf)
        size = float((positions - low).max(initial=1e-9))
        x, y = np.rint((positions - low) * (SIDE / size)).astype(int).T.tolist()
        return {
            "item_id": self.rec.item_ids.take(items).to_list(),
            "title": [main_title(catalogue.titles[item]) for item in items],
            "year": [catalogue.years[item] for item in items],
            "n_ratings": catalogue.counts[items].tolist(),
            "x": x,
            "y": y,
            **{by: _coloring(groups_of(catalogue, by), items, positions) for by in ("genres", "decades")},
        }

    @cached_property
    def json(self) -> tuple[bytes, bytes]:
        """The columns as JSON, plain and gzipped."""
        return _with_gzip(orjson.dumps(self.columns))

    @cached_property
    def svg(self) -> tuple[bytes, bytes]:
        """The SVG with a link to the page of each item, plain and gzipped."""
        return _with_gzip(draw(self.rec, self.item_map, link=lambda id_: f"/items/{quote(str(id_), safe='')}").encode())

    @cached_property
    def etag(self) -> str:
        """The ETag: a hash of the JSON."""
        return f'"{hashlib.sha256(self.json[0]).hexdigest()[:16]}"'


def _with_gzip(body: bytes) -> tuple[bytes, bytes]:
    """Return a body, plain and gzipped."""
    return body, gzip.compress(body, 6, mtime=0)  # with no timestamp, every worker sends the same bytes


def _coloring(groups: Groups, items: Any, positions: Any) -> dict[str, Any]:
    """Return the group of each item with names, colours and label places; group −1 has the last colour."""
    groups = groups._replace(of=groups.of[items])
    labels = group_centres(positions, groups)
    return {
        "names": groups.names,
        "colors": [*palette(groups), OTHER],
        "of": groups.of.tolist(),
        "homes": [labels.get(group) for group in range(len(groups.names))],
    }
