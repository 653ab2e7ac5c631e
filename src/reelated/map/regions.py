"""Labels of a map: group names where the groups are densest, and titles that do not overlap."""

import unicodedata
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from reelated.map.groups import Groups
from reelated.map.layout import Places

HOME = 0.07
"""The radius of an item's neighbourhood, as a share of the width of the map."""
FEWEST = 8
"""A group with fewer items in its densest neighbourhood gets no name on the map."""


class Box(NamedTuple):
    """A rectangle in the picture."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Return whether two boxes overlap."""
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


def homes(places: Places, groups: Groups) -> dict[int, int]:
    """Return for each group the item at its centre, where it is both frequent and dominant; some groups have none."""
    if not len(places):
        return {}
    around = cKDTree(places).query_ball_point(places, HOME * float(np.ptp(places, axis=0).max()) or 1.0)
    found = {}
    for group in range(len(groups.names)):
        members = np.flatnonzero(groups.of == group)
        counts = np.array([np.count_nonzero(groups.of[around[at]] == group) for at in members], np.float64)
        if counts.max(initial=0) >= FEWEST:
            share = counts / [len(around[at]) for at in members]
            found[group] = int(members[np.argmax(counts * share)])
    return found


def width_of(text: str, size: float) -> float:
    """Estimate the width of a text in a common sans-serif font, rather too large than too small."""
    return size * sum(_width(sign) for sign in text)


def _width(sign: str) -> float:
    if unicodedata.east_asian_width(sign) in "WF":
        return 1.05
    if unicodedata.combining(sign):
        return 0.0
    return 0.95 if sign in "MWmw@%" else 0.35 if sign in " ijlItfr.,:;'’!()[]|-" else 0.72 if sign.isupper() else 0.6


class Wanted(NamedTuple):
    """A label to place beside a dot."""

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


def labels(wanted: list[Wanted], taken: list[Box], room: Box) -> list[Label]:
    """Place labels right or left of their dots, in order of priority; those that would overlap are left out."""
    taken, found = list(taken), []
    for text, x, y, radius, size in wanted:
        gap, width = radius + 3, width_of(text, size)
        for left, anchor, at in ((x + gap, "start", x + gap), (x - gap - width, "end", x - gap)):
            box = Box(left, y - 0.7 * size, left + width, y + 0.7 * size)
            if box.within(room) and not any(map(box.meets, taken)):
                taken.append(box)
                found.append(Label(text, at, y + 0.35 * size, anchor, size))
                break
    return found
