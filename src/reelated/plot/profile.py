"""The profile of one user: their ratings compared with those of all users."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated.errors import UnknownId, plural, plural_of, shorten
from reelated.plot.canvas import Colours, drawing, figure_of, number, say_instead, wrapped
from reelated.plot.distribution import kept_ratings, levels, shares, star_bars
from reelated.ratings import Ratings
from reelated.recommender import Recommender

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GENRES = 10
"""The maximum number of genres; those that the user rated most are shown."""


class Taste(NamedTuple):
    """A genre: the user's number of ratings and mean rating, and the mean rating of all users."""

    genre: str
    n_ratings: int
    mean: float
    everyone: float


def user(rec: Recommender, user_id: Any, *, dark: bool = False) -> "Figure":
    """Plot a user's ratings by value, by genre and by decade, compared with those of all users.

    The plot is personal data: show it only to the user.

    Parameters
    ----------
    rec : Recommender
        A recommender fitted to ratings, or saved with them.
    user_id : int or str
        A user of the data, who is also one of "everyone".
    dark : bool, default False
        Whether to draw on a dark background.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        No such user, no ratings kept, or Matplotlib is not installed.
    """
    found = kept_ratings(rec)
    items, given = _row(found, user_id)
    mean, everyone = (number(float(values.mean(dtype=np.float64))) for values in (given, found.matrix.data))
    with drawing(dark) as colours:
        rated = f"{plural(len(given), 'rating')}, {mean} on average; everyone {everyone}"
        figure = figure_of(10.5, 4.2, f"User {shorten(user_id, 40)}: {rated}")
        stars, genres, decades = figure.subplots(1, 3, width_ratios=(1, 1.25, 1))
        _stars(stars, found, given, colours)
        _genres(genres, tastes(found, items, given, rec.catalogue_.genres), rec.noun_, colours)
        _decades(decades, found, items, rec, colours)
        handles = [*stars.containers[:1], stars.lines[0]]
        labels = ["this user", "everyone"]
        figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False, labelcolor=colours.ink)
    return figure


def _row(found: Ratings, user_id: Any) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    try:
        return found.row(found.user_ids.index_of(user_id))
    except UnknownId:
        raise UnknownId(f"No ratings for user_id {shorten(user_id)}. This picture is of users in the data.") from None


def tastes(
    found: Ratings, items: npt.NDArray[np.int32], given: npt.NDArray[np.float32], genres: Sequence[tuple[str, ...]]
) -> list[Taste]:
    """Return the genres that a user rated most, with the mean rating of the user and of all users."""
    n_items = len(genres)
    sums = np.bincount(found.matrix.indices, found.matrix.data, n_items)
    counts = np.bincount(found.matrix.indices, minlength=n_items)
    members: dict[str, list[int]] = {}
    for item, names in enumerate(genres):
        for genre in names:
            members.setdefault(genre, []).append(item)
    told = []
    for genre, held in members.items():
        mine = given[np.isin(items, held)]
        if len(mine):
            everyone = float(sums[held].sum() / counts[held].sum())
            told.append(Taste(genre, len(mine), float(mine.mean(dtype=np.float64)), everyone))
    return sorted(told, key=lambda taste: (-taste.n_ratings, taste.genre))[:GENRES]


def _marks(axes: "Axes", x: Any, y: Any, colours: Colours) -> None:
    """Mark the numbers of all users with hollow rings, which differ from the user's in shape too."""
    axes.plot(x, y, "o", markersize=6, markerfacecolor=colours.ground, markeredgecolor=colours.other, mew=1.6,
              clip_on=False)  # fmt: skip


def _stars(axes: "Axes", found: Ratings, given: npt.NDArray[np.float32], colours: Colours) -> None:
    middles = star_bars(axes, found, given, colours)
    for text in list(axes.texts):
        text.remove()  # with the marks of all users the heights are compared, so numbers are not needed
    _marks(axes, middles, shares(found.matrix.data, middles, levels(found)[1]), colours)
    _share_axis(axes)
    axes.set_title("How they rate")
    axes.set_xlabel("rating")


def _share_axis(axes: "Axes") -> None:
    """Format an axis of shares, with a few grid lines."""
    from matplotlib.ticker import AutoLocator, PercentFormatter

    axes.yaxis.set_major_locator(AutoLocator())
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %", decimals=0))
    axes.set_ylim(bottom=0)
    axes.tick_params(axis="x", pad=8)  # a ring at 0 reaches below the axis
    axes.grid(axis="y", color=axes.spines["bottom"].get_edgecolor(), linewidth=0.5)


def _genres(axes: "Axes", told: list[Taste], noun: str, colours: Colours) -> None:
    """Plot the mean rating of the user and of all users for each genre, joined by a line."""
    axes.set_title("What they like, by genre")
    if not told:
        return say_instead(axes, f"No genres are known of these {plural_of(noun)}.", colours)
    rows = np.arange(len(told))
    mine, others = (np.array([getattr(taste, name) for taste in told]) for name in ("mean", "everyone"))
    axes.hlines(rows, np.minimum(mine, others), np.maximum(mine, others), color=colours.quiet, linewidth=1)
    axes.plot(mine, rows, "s", color=colours.main, markersize=7)
    _marks(axes, others, rows, colours)
    axes.set_yticks(rows, [f"{wrapped(taste.genre, 20, 1)}  {taste.n_ratings:,}" for taste in told])
    axes.set_ylim(len(told) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.tick_params(length=0)
    axes.tick_params(axis="y", labelcolor=colours.ink)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=colours.line, linewidth=0.5)
    axes.set_xlabel("mean rating; beside a genre: ratings by this user")
    return None


def by_decade(values: npt.NDArray[np.int32], years: Sequence[int | None]) -> dict[int, float]:
    """Return the share of each decade among rated items, items without a year left out."""
    known = np.array([-1 if year is None else year // 10 * 10 for year in years])[values]
    decades, counts = np.unique(known[known >= 0], return_counts=True)
    return {int(decade): float(count) / counts.sum() for decade, count in zip(decades, counts, strict=True)}


def _decades(axes: "Axes", found: Ratings, items: npt.NDArray[np.int32], rec: Recommender, colours: Colours) -> None:
    axes.set_title("What they rate, by decade")
    years, noun = rec.catalogue_.years, rec.noun_
    mine, everyone = by_decade(items, years), by_decade(found.matrix.indices, years)
    if not mine:
        return say_instead(axes, f"No years are known of these {plural_of(noun)}.", colours)
    decades = list(range(min(everyone), max(everyone) + 10, 10))
    axes.bar(decades, [mine.get(decade, 0.0) for decade in decades], 7.2, color=colours.main)
    _marks(axes, decades, [everyone.get(decade, 0.0) for decade in decades], colours)
    some = decades[:: -(-len(decades) // 5)]
    axes.set_xticks(some, [f"{decade}s" for decade in some])
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    _share_axis(axes)
    axes.set_xlabel(f"release of the {noun}")
    return None
