"""The similarities of chosen items as a heat map with numbers."""

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from reelated.errors import InputError, check_integer, plural_of
from reelated.plot.canvas import Colours, check_fitted, drawing, footnote, new_figure, number, widest, wrapped
from reelated.recommender import Recommender
from reelated.recommender.catalogue import check_list

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ITEMS = 25
"""The maximum number of items of a readable heat map."""
CELL = 0.48
"""The side of a cell, in inches."""


def similarity(rec: Recommender, item_ids: Any | Iterable[Any], *, n: int = 10, dark: bool = False) -> "Figure":
    """Plot the ranker's similarities between items, each pair once.

    Parameters
    ----------
    rec : Recommender
        A fitted recommender; it may have been saved without ratings.
    item_ids : int, str or iterable of them
        The items, in the order of the plot; for a single item, its nearest neighbours are added.
    n : int, default 10
        The number of items in the plot if `item_ids` is a single id.
    dark : bool, default False
        Whether to draw on a dark background.

    Raises
    ------
    InputError
        No such item, fewer than 2 or more than 25 items, or Matplotlib is not installed.
    """
    items = _items(check_fitted(rec), check_list("item_ids", item_ids), check_integer("n", n, 2))
    titles = [wrapped(rec.catalogue_.title(item), 46, 2) for item in items]
    with drawing(dark) as colours:
        size, left = CELL * len(items), widest(titles) + 0.6
        width, height = max(5.6, left + size - CELL + 0.2), size + 1.2
        figure = new_figure(width, height, f"Similarity of these {plural_of(rec.noun_)}")
        figure.set_layout_engine("none")  # all sizes are known
        axes = figure.add_axes((left / width, 0.55 / height, (size - CELL) / width, size / height))
        _cells(axes, similarities(rec, items), colours)
        axes.set_yticks(range(len(items)), titles)
        for row in range(len(items)):
            axes.annotate(f"{row + 1}", (-0.5, row), (-6, 0), textcoords="offset points", ha="right", va="center")
        axes.set_xticks(range(len(items) - 1), [f"{column}" for column in range(1, len(items))])
        axes.tick_params(length=0, labelcolor=colours.ink)
        axes.tick_params(axis="y", pad=24)
        axes.spines[:].set_visible(False)
        footnote(figure, "Similarity. –: neither is among the neighbours that the model keeps of the other.", colours)
    return figure


def _items(rec: Recommender, item_ids: list[Any], n: int) -> list[int]:
    """Return the columns of distinct items; for a single item, add its nearest neighbours."""
    if n > MAX_ITEMS:
        raise InputError(f"expected from 2 to {MAX_ITEMS} items.", parameter="n", value=n)
    index_of = rec.catalogue_.index_of
    items = list(dict.fromkeys(map(index_of, item_ids)))
    if len(items) == 1:
        items += [index_of(row.item_id) for row in rec.similar(item_ids[0], n=n - 1)]
        if len(items) == 1:
            raise InputError(
                "nothing is linked to this item.", parameter="item_ids", value=item_ids[0], remedy="Give several."
            )
    if not 2 <= len(items) <= MAX_ITEMS:
        raise InputError(f"got {len(items)}, expected from 2 to {MAX_ITEMS} items.", parameter="item_ids")
    return items


def similarities(rec: Recommender, items: list[int]) -> npt.NDArray[np.float64]:
    """Return the similarity of every pair if either keeps the other as a neighbour, else NaN."""
    values, matrix = np.full((len(items),) * 2, np.nan), rec.models_.linear.item_weights_
    row_of = {item: row for row, item in enumerate(items)}
    for item, row in row_of.items():
        part = slice(*matrix.indptr[item : item + 2])
        for other, value in zip(matrix.indices[part], matrix.data[part], strict=True):
            if (column := row_of.get(int(other))) is not None:
                values[row, column] = values[column, row] = value
    return values


def _cells(axes: "Axes", values: npt.NDArray[np.float64], colours: Colours) -> None:
    """Colour the cells below the diagonal and write the numbers into them."""
    from matplotlib.colors import LinearSegmentedColormap

    scale = LinearSegmentedColormap.from_list("alike", [colours.other, colours.ground, colours.main])
    below = np.where(np.tri(len(values), k=-1, dtype=bool), values, np.nan)
    limit = float(np.nanmax(np.abs(below), initial=1e-9))
    axes.imshow(np.ma.masked_invalid(below), scale, vmin=-limit, vmax=limit, aspect="equal")
    for row, column in itertools.combinations(range(len(values) - 1, -1, -1), 2):
        value = float(below[row, column])
        text = "–" if np.isnan(value) else number(value)
        colour = colours.quiet if np.isnan(value) else _readable(scale(0.5 + value / limit / 2), colours)
        axes.text(column, row, text, ha="center", va="center", fontsize=8, color=colour)
    axes.set_xlim(-0.5, len(values) - 1.5)
    axes.set_ylim(len(values) - 0.5, -0.5)


def _readable(background: tuple[float, ...], colours: Colours) -> str:
    """Return the text colour with the higher contrast to a background (WCAG contrast ratio)."""
    from matplotlib.colors import to_rgb

    def luminance(colour: tuple[float, ...]) -> float:
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]]
        return 0.05 + 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    def contrast(name: str) -> float:
        return max(luminance(to_rgb(name)), luminance(background)) / min(luminance(to_rgb(name)), luminance(background))

    return max(colours.ink, colours.ground, key=contrast)
