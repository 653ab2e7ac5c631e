"""Groups and labels of a map: a genre or decade for each item, group names where they are densest, and titles."""

import unicodedata
from collections import Counter
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from reelated.errors import check_choice
from reelated.map.item_map import Places
from reelated.recommender.catalogue import Catalogue

Color = Literal["genres", "decades"]
MAX_GROUPS = 10
"""The maximum number of distinguishable colours."""
NEIGHBORHOOD = 0.07
"""The radius of an item's neighbourhood, as a share of the width of the map."""
MIN_GROUP_ITEMS = 8
"""A group with fewer items in its densest neighbourhood gets no name on the map."""


class Groups(NamedTuple):
    """The colour groups of items, by genre or decade."""

    by: Color
    names: tuple[str, ...]  # genres with the most items first, or decades in order
    of: npt.NDArray[np.int64]  # the group of each item, −1 for none


def groups_of(catalogue: Catalogue, by: Color = "genres") -> Groups:
    """Assign every item to one group; an item with several coloured genres gets the rarest."""
    if check_choice("color", by, ("genres", "decades")) == "decades":
        return _decades(catalogue.years)
    return _genres(catalogue.genres)


def _genres(genres: list[tuple[str, ...]]) -> Groups:
    members = Counter(genre for names in genres for genre in names)
    # the rarest genre of an item is the most specific
    rarest = Counter(min(names, key=lambda genre: (members[genre], genre)) for names in genres if names)
    coloured = sorted(rarest, key=lambda genre: (-rarest[genre], genre))[:MAX_GROUPS]
    groups = tuple(sorted(coloured, key=lambda genre: (-members[genre], genre)))
    index_of = {genre: index for index, genre in enumerate(groups)}
    of = [max((index_of.get(genre, -1) for genre in names), default=-1) for names in genres]
    return Groups("genres", groups, np.array(of, np.int64))


def _decades(years: list[int | None]) -> Groups:
    """Group by the last ten decades; earlier years belong to the first of them."""
    known = sorted({year // 10 * 10 for year in years if year is not None})[-MAX_GROUPS:]
    earlier = any(year is not None and year < known[0] for year in years)
    names = [f"{decade}s" for decade in known]
    if earlier:
        names[0] = f"before {known[0] + 10}"
    of = [-1 if year is None else max(0, int(np.searchsorted(known, year, side="right")) - 1) for year in years]
    return Groups("decades", tuple(names), np.array(of, np.int64))


class Box(NamedTuple):
    """A rectangle in the picture."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: "Box") -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def within(self, other: "Box") -> bool:
        """Return whether this box lies inside another."""
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.top <= self.top
            and self.bottom <= other.bottom
        )


def group_centres(places: Places, groups: Groups) -> dict[int, int]:
    """Return for each group an item around which the group is frequent and dominant; some groups have none."""
    if not len(places):
        return {}
    around = cKDTree(places).query_ball_point(places, NEIGHBORHOOD * float(np.ptp(places, axis=0).max()) or 1.0)
    centres = {}
    for group in range(len(groups.names)):
        members = np.flatnonzero(groups.of == group)
        counts = np.array([np.count_nonzero(groups.of[around[item]] == group) for item in members], np.float64)
        if counts.max(initial=0) >= MIN_GROUP_ITEMS:
            share = counts / [len(around[item]) for item in members]
            centres[group] = int(members[np.argmax(counts * share)])
    return centres


def text_width(text: str, size: float) -> float:
    """Estimate the width of a text in a common sans-serif font; it is more likely too large than too small."""
    return size * sum(map(_width, text))


def _width(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.05
    if unicodedata.combining(character):
        return 0.0
    if character in "MWmw@%":
        return 0.95
    if character in " ijlItfr.,:;'’!()[]|-":
        return 0.35
    return 0.72 if character.isupper() else 0.6


class LabelRequest(NamedTuple):
    """A label to place next to a dot."""

    text: str
    x: float
    y: float
    radius: float
    size: float


class Label(NamedTuple):
    """A placed label, which overlaps no other."""

    text: str
    x: float
    y: float
    anchor: str
    size: float


def place_labels(requests: list[LabelRequest], taken: list[Box], area: Box) -> list[Label]:
    """Place labels right or left of their dots, in order of priority; those that would overlap are left out."""
    taken, labels = list(taken), []
    for text, x, y, radius, size in requests:
        gap, width = radius + 3, text_width(text, size)
        for left, anchor, position in ((x + gap, "start", x + gap), (x - gap - width, "end", x - gap)):
            box = Box(left, y - 0.7 * size, left + width, y + 0.7 * size)
            if box.within(area) and not any(map(box.overlaps, taken)):
                taken.append(box)
                labels.append(Label(text, position, y + 0.35 * size, anchor, size))
                break
    return labels
