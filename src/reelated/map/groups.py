"""Colour groups of a map: each item gets one genre, or its decade."""

from collections import Counter
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated.errors import check_choice
from reelated.recommender.catalogue import Catalogue

Color = Literal["genres", "decades"]
MAX_GROUPS = 10
"""The maximum number of distinguishable colours."""


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
