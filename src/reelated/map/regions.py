"""What is written on a map: the names of groups where they are at home, and titles that do not meet."""

import unicodedata
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from reelated.map.groups import Groups
from reelated.map.layout import Places

HOME = 0.07
"""How far around a movie its neighbourhood reaches, as a share of the map's width."""
FEWEST = 8
"""A group with fewer movies than this in its densest place is at home nowhere."""


class Box(NamedTuple):
    """A piece of the picture, from its left upper to its right lower corner."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Say whether two pieces overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def within(self, other: "Box") -> bool:
        """Say whether this lies in another piece."""
        return (
            other.left <= self.left
            and self.right <= other.right
            and other.top <= self.top
            and self.bottom <= other.bottom
        )


def homes(places: Places, groups: Groups) -> dict[int, int]:
    """Return for each group that is at home somewhere the movie in the middle of it: where most around are of it."""
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
    """Return how wide a text will be in a common sans-serif font of a size; rather too much than too little."""
    return size * sum(_width(sign) for sign in text)


def _width(sign: str) -> float:
    if unicodedata.east_asian_width(sign) in "WF":
        return 1.05
    if unicodedata.combining(sign):
        return 0.0
    return 0.95 if sign in "MWmw@%" else 0.35 if sign in " ijlItfr.,:;'’!()[]|-" else 0.72 if sign.isupper() else 0.6


class Wanted(NamedTuple):
    """A text beside a dot."""

    text: str
    x: float
    y: float
    radius: float
    size: float


class Label(NamedTuple):
    """A text where it does not meet another."""

    text: str
    x: float
    y: float
    anchor: str
    size: float


def labels(wanted: list[Wanted], taken: list[Box], room: Box) -> list[Label]:
    """Place texts right or left of their dots, the first first; what would meet another text is left out."""
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
