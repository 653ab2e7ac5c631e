"""What a map is coloured by: every movie has one genre here, or one decade."""

from collections import Counter
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated.errors import check_choice
from reelated.recommender.catalogue import Catalogue

Color = Literal["genres", "decades"]
MOST = 10
"""Colours that can be told apart."""


class Groups(NamedTuple):
    """The groups that movies are coloured by, those with a colour of their own.

    Attributes
    ----------
    by : {"genres", "decades"}
        What they are.
    names : tuple of str
        Genres, that of the most movies first; or decades, the earliest first.
    of : ndarray of int64, shape (n_movies,)
        The number of each movie's group; −1: none of them.
    """

    by: Color
    names: tuple[str, ...]
    of: npt.NDArray[np.int64]


def groups_of(catalogue: Catalogue, by: Color = "genres") -> Groups:
    """Put every movie into one group.

    A movie of several genres is of the one that says most: the rarest of those with a colour.

    Parameters
    ----------
    catalogue : Catalogue
        What is known of the movies.
    by : {"genres", "decades"}, default "genres"
        What to colour by.

    Returns
    -------
    Groups
    """
    if check_choice("color", by, ("genres", "decades")) == "decades":
        return _decades(catalogue.years)
    return _genres(catalogue.genres)


def _genres(genres: list[tuple[str, ...]]) -> Groups:
    members = Counter(genre for have in genres for genre in have)
    rarest = Counter(min(have, key=lambda genre: (members[genre], genre)) for have in genres if have)
    told = sorted(rarest, key=lambda genre: (-rarest[genre], genre))[:MOST]  # with one colour each, they tell most
    names = tuple(sorted(told, key=lambda genre: (-members[genre], genre)))
    number = {genre: at for at, genre in enumerate(names)}
    return Groups(
        "genres",
        names,
        np.array([max((number.get(genre, -1) for genre in have), default=-1) for have in genres], np.int64),
    )


def _decades(years: list[int | None]) -> Groups:
    """Group by decades; what is earlier than the ten last ones is one group with the first of these."""
    known = sorted({year // 10 * 10 for year in years if year is not None})[-MOST:]
    earlier = any(year is not None and year < known[0] for year in years)
    names = [f"{decade}s" for decade in known]
    if earlier:
        names[0] = f"before {known[0] + 10}"
    of = [-1 if year is None else max(0, int(np.searchsorted(known, year, side="right")) - 1) for year in years]
    return Groups("decades", tuple(names), np.array(of, np.int64))
