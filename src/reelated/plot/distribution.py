"""The distribution of ratings over the scale and over the items."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reelated.errors import InputError, plural, plural_of
from reelated.plot.canvas import Colours, check_fitted, drawing, figure_of, number
from reelated.ratings import Dataset, FrameLike, Ratings
from reelated.recommender import Recommender

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
MOST_BARS = 21
"""More distinct ratings than this are grouped into bins."""


def ratings(source: Recommender | Dataset | Ratings | FrameLike, *, dark: bool = False) -> "Figure":
    """Plot the frequency of each rating, and the long tail: how few items hold most ratings.

    Parameters
    ----------
    source : Recommender, Dataset, Ratings or table
        The ratings; a recommender must have been saved with them.
    dark : bool, default False
        Whether to draw on a dark background.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        There are no ratings, or Matplotlib is not installed.
    """
    name, noun, found = _ratings_of(source)
    with drawing(dark) as colours:
        figure = figure_of(9, 3.9, f"{name}: {plural(len(found), 'rating')} by {plural(len(found.user_ids), 'user')}")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
        _stars(left, found, colours)
        _tail(right, found, noun, colours)
    return figure


def _ratings_of(source: Recommender | Dataset | Ratings | FrameLike) -> tuple[str, str, Ratings]:
    """Return the name of the data, what an item is called, and the ratings."""
    if isinstance(source, Recommender):
        found = kept_ratings(source)
        return source.name_, source.noun_, found
    if isinstance(source, Ratings):
        return "Ratings", "item", source
    data = source if isinstance(source, Dataset) else Dataset.from_frames(source)
    return data.name, data.noun, data.ratings


def kept_ratings(rec: Recommender) -> Ratings:
    """Return the ratings of a fitted recommender, or raise `InputError`."""
    if (kept := check_fitted(rec).ratings_) is None:
        raise InputError("This model was saved without ratings, which this picture needs: save it with ratings=True.")
    return kept


def levels(found: Ratings) -> tuple[Floats, float]:
    """Return the centres of the bars (the scale's values, the observed ones, or bins) and their distance."""
    seen = np.unique(found.matrix.data).astype(np.float64)
    low, high, step = found.scale
    if len(seen) > MOST_BARS:
        width = (seen[-1] - seen[0]) / 20
        return seen[0] + width * (np.arange(20) + 0.5), width
    n_steps = (high - low) / step
    if n_steps <= MOST_BARS - 1 and abs(n_steps - round(n_steps)) < 1e-6:
        every = low + step * np.arange(round(n_steps) + 1)
        if np.isclose(seen[:, None], every, atol=step / 100).any(axis=1).all():
            return every.astype(np.float64), step
    return seen, float(np.diff(seen).min()) if len(seen) > 1 else 1.0


def shares(values: npt.NDArray[np.float32], middles: Floats, width: float) -> Floats:
    """Return the share of the ratings in each bar."""
    nearest = np.searchsorted((middles[1:] + middles[:-1]) / 2, values)
    return np.bincount(nearest, minlength=len(middles)) / len(values)


def star_bars(axes: "Axes", found: Ratings, values: npt.NDArray[np.float32], colours: Colours) -> Floats:
    """Plot the share of each rating as bars; return the centres of the bars."""
    middles, width = levels(found)
    height = shares(values, middles, width)
    axes.bar(middles, height, width * 0.72, color=colours.main)
    few, size = len(middles) <= 11, 9 if len(middles) <= 7 else 7
    for at, share in zip(zip(middles, height, strict=True), height, strict=True) if few else ():
        axes.annotate(
            percent(share), at, (0, 3), textcoords="offset points", ha="center", color=colours.ink, fontsize=size
        )
    if few:
        axes.set_xticks(middles, [number(x, "g") for x in middles])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    axes.margins(y=0.12)
    if (missing := 5 - len(middles)) > 0:  # few bars would become as wide as the plot
        axes.set_xlim(middles[0] - width * (missing + 1) / 2, middles[-1] + width * (missing + 1) / 2)
    return middles


def percent(share: float) -> str:
    """Format a share: `27 %`, and `<1 %` for less."""
    return "" if share == 0 else "<1 %" if share < 0.01 else f"{share:.0%}".replace("%", " %")


def _stars(axes: "Axes", found: Ratings, colours: Colours) -> None:
    star_bars(axes, found, found.matrix.data, colours)
    mean = float(found.matrix.data.mean(dtype=np.float64))
    axes.set_title(f"How users rate: {number(mean)} on average")
    axes.set_xlabel("rating")


def _tail(axes: "Axes", found: Ratings, noun: str, colours: Colours) -> None:
    """Plot the number of ratings of each item in descending order, and mark half of all ratings."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    counts = np.sort(np.bincount(found.matrix.indices, minlength=len(found.item_ids)))[::-1]
    half = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2)) + 1
    edges = np.arange(len(counts) + 1)
    axes.stairs(counts, edges, fill=True, color=colours.main, alpha=0.45, linewidth=0)
    axes.stairs(counts[:half], edges[: half + 1], fill=True, color=colours.main, linewidth=0)
    hold = "holds" if half == 1 else "hold"
    axes.set_title(f"The long tail: {half:,} of {plural(len(counts), noun)} {hold} half of all ratings")
    axes.set_xlabel(f"{plural_of(noun)}, the most rated first")
    axes.set_ylabel(f"ratings per {noun}")
    axes.set_xlim(0, len(counts))
    axes.set_ylim(0, max(counts[0] * 1.06, counts[half - 1] * 1.42))  # space for the label below
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], integer=True))
        axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    place, align = ((18, 26), "left") if half < 0.7 * len(counts) else ((-18, 26), "right")
    axes.annotate("half of\nall ratings", (half, counts[half - 1]), place, textcoords="offset points", ha=align,
                  color=colours.ink, arrowprops={"arrowstyle": "-", "color": colours.quiet, "shrinkB": 0})  # fmt: skip
