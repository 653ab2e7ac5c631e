"""Colour groups of a map: each item gets one genre, or its decade."""

from collections import Counter
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated.errors import check_choice
from reelated.recommender.catalogue import Catalogue

Color = Literal["genres", "decades"]
MOST = 10
"""The maximum number of distinguishable colours."""


class Groups(NamedTuple):
    """The colour groups of items, by genre or decade."""

    by: Color
    names: tuple[str, ...]  # genres with the most items first, or decades in order
    of: npt.NDArray[np.int64]  # the group of each item, −1 for none


def groups_of(catalogue: Catalogue, by: Color = "genres") -> Groups:
    """Assign every item to one group; of several genres with a colour, the rarest."""
    if check_choice("color", by, ("genres", "decades")) == "decades":
        return _decades(catalogue.years)
    return _genres(catalogue.genres)


def _genres(genres: list[tuple[str, ...]]) -> Groups:
    members = Counter(genre for have in genres for genre in have)
    rarest = Counter(min(have, key=lambda genre: (members[genre], genre)) for have in genres if have)
    told = sorted(rarest, key=lambda genre: (-rarest[genre], genre))[:MOST]  # rare genres say more
    names = tuple(sorted(told, key=lambda genre: (-members[genre], genre)))
    number = {genre: at for at, genre in enumerate(names)}
    return Groups(
        "genres",
        names,
        np.array([max((number.get(genre, -1) for genre in have), default=-1) for have in genres], np.int64),
    )


def _decades(years: list[int | None]) -> Groups:
    """Group by decades; everything before the last ten decades joins the first of these."""
    known = sorted({year // 10 * 10 for year in years if year is not None})[-MOST:]
    earlier = any(year is not None and year < known[0] for year in years)
    names = [f"{decade}s" for decade in known]
    if earlier:
        names[0] = f"before {known[0] + 10}"
    of = [-1 if year is None else max(0, int(np.searchsorted(known, year, side="right")) - 1) for year in years]
    return Groups("decades", tuple(names), np.array(of, np.int64))
