"""The distribution of ratings over the scale and over the items."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from reelated.errors import no_users, plural, plural_of
from reelated.plot.canvas import Colours, check_fitted, drawing, new_figure, number
from reelated.ratings import Dataset, FrameLike, Ratings
from reelated.recommender import Recommender

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = npt.NDArray[np.float64]
MAX_BARS = 21
"""More distinct ratings than this are grouped into bins."""


def ratings(source: Recommender | Dataset | Ratings | FrameLike, *, dark: bool = False) -> "Figure":
    """Plot the frequency of each rating, and the long tail: how many items account for half of all ratings.

    Parameters
    ----------
    source : Recommender, Dataset, Ratings or table
        The ratings; a recommender must have been saved with them.
    dark : bool, default False
        Whether to draw on a dark background.

    Raises
    ------
    InputError
        There are no ratings, or Matplotlib is not installed.
    """
    name, noun, data = _ratings_of(source)
    with drawing(dark) as colours:
        figure = new_figure(9, 3.9, f"{name}: {plural(len(data), 'rating')} by {plural(len(data.user_ids), 'user')}")
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
        _rating_shares(left, data, colours)
        _tail(right, data, noun, colours)
    return figure


def _ratings_of(source: Recommender | Dataset | Ratings | FrameLike) -> tuple[str, str, Ratings]:
    """Return the name of the data, the noun and the ratings."""
    if isinstance(source, Recommender):
        return source.name_, source.noun_, ratings_of(source)
    if isinstance(source, Ratings):
        return "Ratings", "item", source
    data = source if isinstance(source, Dataset) else Dataset.from_frames(source)
    return data.name, data.noun, data.ratings


def ratings_of(rec: Recommender) -> Ratings:
    """Return the ratings of a fitted recommender, or raise `InputError`."""
    if (data := check_fitted(rec).ratings_) is None:
        raise no_users()
    return data


def levels(data: Ratings) -> tuple[Floats, float]:
    """Return the centres of the bars (values of the scale, observed values, or bins) and their spacing."""
    observed = np.unique(data.matrix.data).astype(np.float64)
    low, high, step = data.scale
    if len(observed) > MAX_BARS:
        width = (observed[-1] - observed[0]) / 20
        return observed[0] + width * (np.arange(20) + 0.5), width
    n_steps = (high - low) / step
    if n_steps <= MAX_BARS - 1 and abs(n_steps - round(n_steps)) < 1e-6:
        values = low + step * np.arange(round(n_steps) + 1)
        if np.isclose(observed[:, None], values, atol=step / 100).any(axis=1).all():
            return values.astype(np.float64), step
    return observed, float(np.diff(observed).min()) if len(observed) > 1 else 1.0


def shares(values: npt.NDArray[np.float32], centres: Floats) -> Floats:
    """Return the share of the ratings in each bar."""
    nearest = np.searchsorted((centres[1:] + centres[:-1]) / 2, values)
    return np.bincount(nearest, minlength=len(centres)) / len(values)


def rating_bars(axes: "Axes", data: Ratings, values: npt.NDArray[np.float32], colours: Colours) -> Floats:
    """Plot the share of each rating as bars; return the centres of the bars."""
    centres, width = levels(data)
    heights = shares(values, centres)
    axes.bar(centres, heights, width * 0.72, color=colours.main)
    few, size = len(centres) <= 11, 9 if len(centres) <= 7 else 7
    for centre, share in zip(centres, heights, strict=True) if few else ():
        axes.annotate(
            percent(share),
            (centre, share),
            (0, 3),
            textcoords="offset points",
            ha="center",
            color=colours.ink,
            fontsize=size,
        )
    if few:
        axes.set_xticks(centres, [number(x, "g") for x in centres])
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    axes.margins(y=0.12)
    if (missing := 5 - len(centres)) > 0:  # few bars would become as wide as the plot
        axes.set_xlim(centres[0] - width * (missing + 1) / 2, centres[-1] + width * (missing + 1) / 2)
    return centres


def percent(share: float) -> str:
    """Format a share: `27 %`, and `<1 %` for less."""
    return "" if share == 0 else "<1 %" if share < 0.01 else f"{share:.0%}".replace("%", " %")


def _rating_shares(axes: "Axes", data: Ratings, colours: Colours) -> None:
    rating_bars(axes, data, data.matrix.data, colours)
    mean = float(data.matrix.data.mean(dtype=np.float64))
    axes.set_title(f"How users rate: {number(mean)} on average")
    axes.set_xlabel("rating")


def _tail(axes: "Axes", data: Ratings, noun: str, colours: Colours) -> None:
    """Plot the number of ratings of each item in descending order, and mark half of all ratings."""
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    counts = np.sort(np.bincount(data.matrix.indices, minlength=len(data.item_ids)))[::-1]
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
