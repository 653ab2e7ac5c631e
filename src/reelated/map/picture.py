"""The map as a self-contained SVG, with titles as tooltips; light or dark as set in the viewer's system."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated.errors import plural, plural_of
from reelated.formatting import cut, with_year
from reelated.map.item_map import ItemMap, Places, has_place
from reelated.map.labels import Box, Color, Groups, LabelRequest, group_centres, groups_of, place_labels, text_width
from reelated.plot import svg
from reelated.recommender import Recommender

WIDTH, LEFT, TOP, MARGIN = 1200, 190.0, 92.0, 24.0
"""Sizes of the picture; the legend is left of the items, the heading above."""
MIN_HEIGHT, MAX_HEIGHT = 300.0, 900.0
"""The minimum and maximum height of the area with the items; in between, the items determine its height."""
MAX_TITLE, N_CANDIDATES, N_LARGE = 40, 400, 60
"""The maximum length of a title, the number of most rated items that may get one, and how many titles are large."""
GENRES = (
    ("#4269d0", "#7b9bf0"), ("#e3874a", "#f0a36b"), ("#d0455c", "#f2798b"), ("#2a9d8f", "#5cc9bb"),
    ("#8456c6", "#b48cf0"), ("#a8740a", "#d9b44a"), ("#3a8f3a", "#74c476"), ("#d862a8", "#f194cb"),
    ("#7a5c45", "#b8957a"), ("#1f8fb8", "#62c4e8"),
)  # fmt: skip
DECADES = (
    ("#3b2f80", "#7468c8"), ("#5a3396", "#8f6ad6"), ("#7d349f", "#aa6cdc"), ("#9d3a9a", "#c56fd2"),
    ("#b8458b", "#dc78bd"), ("#cc5577", "#ec869f"), ("#da6862", "#f39a83"), ("#e07f4c", "#f6b06e"),
    ("#df9838", "#f7c861"), ("#cfae2a", "#f5e063"),
)  # fmt: skip
OTHER = ("#9aa4ae", "#6b757f")
SCHEMES = (("#ffffff", "#1f2328", "#59636e"), ("#0d1117", "#e6edf3", "#9aa4ae"))
"""Background, text and secondary text, light and dark."""
Floats = npt.NDArray[np.float64]


def palette(groups: Groups) -> list[tuple[str, str]]:
    """Return the colours of groups, light and dark; the latest decade is the brightest."""
    if groups.by == "genres":
        return list(GENRES[: len(groups.names)])
    return list(DECADES[len(DECADES) - len(groups.names) :])


def fit_to_frame(places: Places) -> tuple[Places, Box]:
    """Scale positions to the picture; return them and the area that they need."""
    width = WIDTH - LEFT - MARGIN
    low, high = (places.min(axis=0), places.max(axis=0)) if len(places) else (np.zeros(2), np.zeros(2))
    wide, tall = np.maximum(high - low, 1e-9)
    height = min(max(width * tall / wide, MIN_HEIGHT), MAX_HEIGHT) if len(places) > 1 else MIN_HEIGHT
    area = Box(LEFT, TOP, LEFT + width, TOP + height)
    scale = min(width / wide, height / tall) if len(places) > 1 else 1.0
    return (places - (low + high) / 2) * scale + [(area.left + area.right) / 2, (area.top + area.bottom) / 2], area


def dot_radii(counts: npt.NDArray[Any], area: float) -> npt.NDArray[np.float64]:
    """Return the radius of every dot, larger with more ratings; together the dots leave space for titles."""
    spacing = min(22.0, float(np.sqrt(area / max(len(counts), 1))))
    return spacing * (0.1 + 0.32 * np.sqrt(counts / max(counts.max(initial=1), 1)))


class Dots(NamedTuple):
    """The items of a picture, the most rated first, so that no dot hides a smaller one."""

    item_ids: list[Any]
    titles: list[str]
    years: list[int | None]
    xy: Places
    radii: Floats
    groups: Groups
    area: Box


def draw(
    rec: Recommender, item_map: ItemMap, *, color: Color = "genres", link: Callable[[Any], str] | None = None
) -> str:
    """Draw a map as a self-contained SVG.

    Parameters
    ----------
    rec : Recommender
        A fitted recommender; its items are drawn.
    item_map : ItemMap
        The positions; items that are not on the map are left out.
    color : {"genres", "decades"}, default "genres"
        What the dots are coloured by.
    link : callable, optional
        Returns the URL that the dot of an item links to, given the item id.
    """
    dots = _dots(rec, item_map, color)
    height = dots.area.bottom + MARGIN
    legend, taken = _legend(dots.groups)
    names = _group_names(dots, taken)
    heading = f"{cut(rec.name_, 60)}: a map of {plural(len(dots.titles), rec.noun_)}"
    caption = f"Nearby {plural_of(rec.noun_)} are similar. Size: number of ratings."
    caption += f" Colour: {color[:-1]}." * bool(dots.groups.names)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}">',
            svg.element("title", svg.safe(heading)),
            svg.element("style", _style(dots.groups)),
            svg.element("rect", class_="ground", width=WIDTH, height=f"{height:.0f}"),
            svg.text(MARGIN, 42.0, heading, "heading"),
            svg.text(MARGIN, 66.0, caption, "quiet"),
            *legend,
            *_circles(dots, link),
            *names,
            *_titles(dots, taken),
            "</svg>\n",
        ]
    )


def _dots(rec: Recommender, item_map: ItemMap, color: Color) -> Dots:
    catalogue, places = rec.catalogue_, item_map.places_of(rec.item_ids)
    items = catalogue.by_popularity[has_place(places)[catalogue.by_popularity]]
    groups, (xy, area) = groups_of(catalogue, color), fit_to_frame(places[items])
    return Dots(
        rec.item_ids.take(items).to_list(),
        [catalogue.titles[item] for item in items],
        [catalogue.years[item] for item in items],
        xy,
        dot_radii(catalogue.counts[items], 0.6 * (area.right - area.left) * (area.bottom - area.top)),
        groups._replace(of=groups.of[items]),
        area,
    )


def _style(groups: Groups) -> str:
    """Return the CSS with light and dark colours; the setting of the viewer's system selects one of the two."""
    rules = []
    for scheme, (paper, ink, quiet) in enumerate(SCHEMES):
        pairs = [*enumerate(palette(groups)), ("o", OTHER)]
        dots = [f".c{kind}{{fill:{pair[scheme]}}}" for kind, pair in pairs]
        rules.append(f".ground{{fill:{paper}}}text{{fill:{ink};stroke:{paper}}}.quiet{{fill:{quiet}}}" + "".join(dots))
    return (
        "text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;paint-order:stroke;"
        "stroke-width:3px;stroke-linejoin:round}circle{fill-opacity:.82}.small{font-size:11px}.heading{font-size:22px;font-weight:600}"
        ".home{font-size:17px;font-weight:700;letter-spacing:2px}"
        f"{rules[0]}@media(prefers-color-scheme:dark){{{rules[1]}}}"
    )


def _circles(dots: Dots, link: Callable[[Any], str] | None) -> list[str]:
    """Draw the items as dots with tooltips."""
    circles = []
    for row, (item_id, (x, y), radius) in enumerate(zip(dots.item_ids, dots.xy, dots.radii, strict=True)):
        group = dots.groups.of[row]
        circle = svg.circle(x, y, radius, _css_class(group), with_year(dots.titles[row], dots.years[row]))
        circles.append(svg.element("a", circle, href=link(item_id)) if link else circle)
    return circles


def _css_class(group: int) -> str:
    return f"c{group}" if group >= 0 else "co"


def _group_names(dots: Dots, taken: list[Box]) -> list[str]:
    """Write the names of groups at their densest places, if there is space, and add their boxes to `taken`."""
    texts: list[str] = []
    for group, item in group_centres(dots.xy, dots.groups).items():
        name = cut(dots.groups.names[group], 20).upper()
        width = text_width(name, 19) + 2 * len(name)
        x, y = dots.xy[item]
        x = min(max(x, width / 2 + 8), WIDTH - width / 2 - 8)
        box = Box(x - width / 2, y - 12, x + width / 2, y + 12)
        if not any(box.overlaps(other) for other in taken):
            taken.append(box)
            texts.append(svg.text(x, y + 6, name, f"home {_css_class(group)}", "middle"))
    return texts


def _titles(dots: Dots, taken: list[Box]) -> list[str]:
    """Write the titles of the most rated items if there is space, the first ones larger."""
    area = Box(8, TOP - 16, WIDTH - 8, dots.area.bottom + 16)
    rows = zip(dots.titles[:N_CANDIDATES], dots.xy, dots.radii, strict=False)
    requests = [
        LabelRequest(cut(title, MAX_TITLE), x, y, radius, 13.0 if rank < N_LARGE else 11.0)
        for rank, (title, (x, y), radius) in enumerate(rows)
    ]
    return [
        svg.text(label.x, label.y, label.text, "" if label.size == 13 else "small", label.anchor)
        for label in place_labels(requests, taken, area)
    ]


def _legend(groups: Groups) -> tuple[list[str], list[Box]]:
    """Draw the legend; return its boxes too."""
    entries, marks, taken = list(enumerate(groups.names)), [], []
    if entries and (groups.of < 0).any():
        entries.append((-1, "other"))
    for row, (group, name) in enumerate(entries):
        y, text = TOP + 16 + 23 * row, cut(name, 20)
        marks += [svg.circle(MARGIN + 6, y, 6, _css_class(group)), svg.text(MARGIN + 22, y + 4.5, text)]
        taken.append(Box(MARGIN, y - 8, MARGIN + 24 + text_width(text, 13), y + 9))
    return marks, taken
