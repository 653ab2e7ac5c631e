"""The profile of one user: their ratings compared with those of all users."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated.errors import UnknownId, plural, plural_of, shorten, unknown_user
from reelated.plot.canvas import Colours, drawing, new_figure, number, placeholder, wrapped
from reelated.plot.distribution import rating_bars, ratings_of, shares
from reelated.ratings import Ratings
from reelated.recommender import Recommender

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_GENRES = 10
"""The maximum number of genres; the plot shows those that the user rated most often."""


class GenreMeans(NamedTuple):
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
        A user of the data, who is also included in "everyone".
    dark : bool, default False
        Whether to draw on a dark background.

    Raises
    ------
    InputError
        No such user, no ratings kept, or Matplotlib is not installed.
    """
    data = ratings_of(rec)
    items, values = _row(data, user_id)
    mean, everyone = (number(float(part.mean(dtype=np.float64))) for part in (values, data.matrix.data))
    with drawing(dark) as colours:
        rated = f"{plural(len(values), 'rating')}, {mean} on average; everyone {everyone}"
        figure = new_figure(10.5, 4.2, f"User {shorten(user_id, 40)}: {rated}")
        stars, genres, decades = figure.subplots(1, 3, width_ratios=(1, 1.25, 1))
        _rating_shares(stars, data, values, colours)
        _genres(genres, genre_means(data, items, values, rec.catalogue_.genres), rec.noun_, colours)
        _decades(decades, data, items, rec, colours)
        handles = [*stars.containers[:1], stars.lines[0]]
        labels = ["this user", "everyone"]
        figure.legend(handles, labels, loc="outside lower left", ncols=2, frameon=False, labelcolor=colours.ink)
    return figure


def _row(data: Ratings, user_id: Any) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    try:
        return data.row(data.user_ids.index_of(user_id))
    except UnknownId:
        raise unknown_user(user_id, "Only users in the data can be plotted.") from None


def genre_means(
    data: Ratings, items: npt.NDArray[np.int32], values: npt.NDArray[np.float32], genres: Sequence[tuple[str, ...]]
) -> list[GenreMeans]:
    """Return the genres that a user rated most, with the mean rating of the user and of all users."""
    n_items = len(genres)
    sums = np.bincount(data.matrix.indices, data.matrix.data, n_items)
    counts = np.bincount(data.matrix.indices, minlength=n_items)
    members: dict[str, list[int]] = {}
    for item, names in enumerate(genres):
        for genre in names:
            members.setdefault(genre, []).append(item)
    rows = []
    for genre, in_genre in members.items():
        rated = values[np.isin(items, in_genre)]
        if len(rated):
            everyone = float(sums[in_genre].sum() / counts[in_genre].sum())
            rows.append(GenreMeans(genre, len(rated), float(rated.mean(dtype=np.float64)), everyone))
    return sorted(rows, key=lambda row: (-row.n_ratings, row.genre))[:MAX_GENRES]


def _marks(axes: "Axes", x: Any, y: Any, colours: Colours) -> None:
    """Mark the values of all users with hollow rings, so that they also differ from the user's marks in shape."""
    axes.plot(x, y, "o", markersize=6, markerfacecolor=colours.ground, markeredgecolor=colours.other, mew=1.6,
              clip_on=False)  # fmt: skip


def _rating_shares(axes: "Axes", data: Ratings, values: npt.NDArray[np.float32], colours: Colours) -> None:
    centres = rating_bars(axes, data, values, colours)
    for text in list(axes.texts):
        text.remove()  # the marks of all users replace a scale
    _marks(axes, centres, shares(data.matrix.data, centres), colours)
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


def _genres(axes: "Axes", means: list[GenreMeans], noun: str, colours: Colours) -> None:
    """Plot the mean rating of the user and of all users for each genre, joined by a line."""
    axes.set_title("What they like, by genre")
    if not means:
        return placeholder(axes, f"No genres are known for these {plural_of(noun)}.", colours)
    rows = np.arange(len(means))
    own, others = (np.array([getattr(row, name) for row in means]) for name in ("mean", "everyone"))
    axes.hlines(rows, np.minimum(own, others), np.maximum(own, others), color=colours.quiet, linewidth=1)
    axes.plot(own, rows, "s", color=colours.main, markersize=7)
    _marks(axes, others, rows, colours)
    axes.set_yticks(rows, [f"{wrapped(row.genre, 20, 1)}  {row.n_ratings:,}" for row in means])
    axes.set_ylim(len(means) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.tick_params(length=0)
    axes.tick_params(axis="y", labelcolor=colours.ink)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=colours.line, linewidth=0.5)
    axes.set_xlabel("mean rating; after the genre: number of ratings by this user")
    return None


def decade_shares(items: npt.NDArray[np.int32], years: Sequence[int | None]) -> dict[int, float]:
    """Return the share of each decade among rated items, items without a year left out."""
    known = np.array([-1 if year is None else year // 10 * 10 for year in years])[items]
    decades, counts = np.unique(known[known >= 0], return_counts=True)
    return {int(decade): float(count) / counts.sum() for decade, count in zip(decades, counts, strict=True)}


def _decades(axes: "Axes", data: Ratings, items: npt.NDArray[np.int32], rec: Recommender, colours: Colours) -> None:
    axes.set_title("What they rate, by decade")
    years, noun = rec.catalogue_.years, rec.noun_
    own, everyone = decade_shares(items, years), decade_shares(data.matrix.indices, years)
    if not own:
        return placeholder(axes, f"No years are known for these {plural_of(noun)}.", colours)
    decades = list(range(min(everyone), max(everyone) + 10, 10))
    axes.bar(decades, [own.get(decade, 0.0) for decade in decades], 7.2, color=colours.main)
    _marks(axes, decades, [everyone.get(decade, 0.0) for decade in decades], colours)
    labelled = decades[:: -(-len(decades) // 5)]
    axes.set_xticks(labelled, [f"{decade}s" for decade in labelled])
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    _share_axis(axes)
    axes.set_xlabel(f"release of the {noun}")
    return None
