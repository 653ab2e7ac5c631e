"""The neighbourhood of an item as a small graph."""

from typing import TYPE_CHECKING, Any

import numpy as np

from reelated.errors import InputError, check_integer
from reelated.formatting import with_year
from reelated.plot.canvas import Colours, check_fitted, drawing, footnote, new_figure, number, wrapped
from reelated.recommender import Recommender, SimilarRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_NEIGHBORS = 30
"""The maximum number of neighbours of a readable graph."""


def neighborhood(rec: Recommender, item_id: Any, *, n: int = 10, dark: bool = False) -> "Figure":
    """Plot an item with its nearest neighbours, and join neighbours that are close to each other.

    Parameters
    ----------
    rec : Recommender
        A fitted recommender; it may have been saved without ratings.
    item_id : int or str
        The item in the middle.
    n : int, default 10
        The number of neighbours, 30 at most. Thin lines join two of them if one is among the `n` nearest of the other.
    dark : bool, default False
        Whether to draw on a dark background.

    Raises
    ------
    InputError
        No such item, too many neighbours, or Matplotlib is not installed.
    """
    if check_integer("n", n, 1) > MAX_NEIGHBORS:
        raise InputError(f"expected at most {MAX_NEIGHBORS} neighbours.", parameter="n", value=n)
    rows, catalogue = list(check_fitted(rec).similar(item_id, n=n)), rec.catalogue_
    places, title = positions(len(rows)), catalogue.title(catalogue.index_of(item_id))
    with drawing(dark) as colours:
        figure = new_figure(9, max(3.6, 1.6 + 0.33 * len(rows)), f"The neighbourhood of {title}")
        axes = figure.subplots()
        axes.set_axis_off()
        axes.set(xlim=(-3.4, 3.4), ylim=(-1.12, 1.12))
        _links(axes, places, _close_pairs(rec, rows, n), colours)
        _spokes(axes, places, rows, colours)
        _nodes(axes, places, rows, colours)
        _middle(axes, title, bool(rows), colours)
        footnote(
            figure,
            "Numbers: rank; then similarity and users who rated both. Thin lines: close to each other too.",
            colours,
        )
    return figure


def positions(n: int) -> np.ndarray:
    """Return positions on an oval, clockwise from the upper right, at heights where no labels overlap."""
    right = (n + 1) // 2
    heights = [np.linspace(1, -1, side) if side > 1 else np.zeros(side) for side in (right, n - right)]
    x = [1.35 * np.sqrt(1 - (0.86 * y) ** 2) for y in heights]
    return np.vstack([np.column_stack([x[0], heights[0]]), np.column_stack([-x[1], heights[1]])[::-1]])


def _close_pairs(rec: Recommender, rows: list[SimilarRow], n: int) -> list[tuple[int, int]]:
    """Return the pairs of neighbours in which one is among the `n` nearest of the other."""
    index_of = {row.item_id: index for index, row in enumerate(rows)}
    pairs = {(index, index_of[other.item_id]) for item_id, index in index_of.items()
             for other in rec.similar(item_id, n=n) if other.item_id in index_of}  # fmt: skip
    return sorted({(min(pair), max(pair)) for pair in pairs})


def _links(axes: "Axes", places: np.ndarray, pairs: list[tuple[int, int]], colours: Colours) -> None:
    from matplotlib.collections import LineCollection

    axes.add_collection(LineCollection([places[list(pair)] for pair in pairs], colors=colours.line, linewidths=0.8))


def _spokes(axes: "Axes", places: np.ndarray, rows: list[SimilarRow], colours: Colours) -> None:
    """Connect the item in the middle to each neighbour; the line is thicker for a higher similarity."""
    largest = max((abs(row.similarity) for row in rows), default=1.0) or 1.0
    for (x, y), row in zip(places, rows, strict=True):
        width, style = 0.6 + 4.4 * abs(row.similarity) / largest, "-" if row.similarity >= 0 else ":"
        axes.plot([0, x], [0, y], style, color=colours.main, linewidth=width, alpha=0.75, solid_capstyle="butt")


def _nodes(axes: "Axes", places: np.ndarray, rows: list[SimilarRow], colours: Colours) -> None:
    """Draw each neighbour with its rank, its title, its similarity and the number of common raters."""
    axes.scatter(
        places[:, 0], places[:, 1], s=210, color=colours.ground, edgecolors=colours.main, linewidths=1.4, zorder=3
    )
    for (x, y), row in zip(places, rows, strict=True):
        side = 1 if x > 0 else -1
        align = "left" if side > 0 else "right"
        axes.annotate(f"{row.rank}", (x, y), ha="center", va="center_baseline", fontsize=8, zorder=4)
        title = wrapped(with_year(row.title, row.year), 36, 2)
        details = f"{number(row.similarity)} · {row.common_raters:,} in common"
        label: dict[str, Any] = {"textcoords": "offset points", "ha": align}
        axes.annotate(title, (x, y), (side * 12, 1), va="bottom", **label)
        axes.annotate(details, (x, y), (side * 12, -1), va="top", fontsize=8, color=colours.quiet, **label)


def _middle(axes: "Axes", title: str, linked: bool, colours: Colours) -> None:
    text = wrapped(title, 18, 4) + ("" if linked else "\n\nNothing is linked to it.")
    box = {"boxstyle": "round,pad=0.5", "facecolor": colours.ground, "edgecolor": colours.main, "linewidth": 1.8}
    axes.text(0, 0, text, ha="center", va="center", fontweight="bold", bbox=box, zorder=5)
