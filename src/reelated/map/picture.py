"""The map as a self-contained SVG: light or dark by the viewer's setting, titles as tooltips."""

from collections.abc import Callable
from html import escape
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated.errors import plural
from reelated.map.groups import Color, Groups, groups_of
from reelated.map.item_map import ItemMap
from reelated.map.layout import Places, has_place
from reelated.map.regions import Box, Wanted, homes, labels, width_of
from reelated.recommender import Recommender
from reelated.recommender.rows import cut, printable, with_year

WIDTH, LEFT, TOP, MARGIN = 1200, 190.0, 92.0, 24.0
"""Sizes of the picture; the legend is left of the items, the heading above."""
LOWEST, HIGHEST = 300.0, 900.0
"""The range of the height of the area with the items; it is as high as they need."""
LONGEST, CONSIDERED, LARGE = 40, 400, 60
"""The maximum length of a title, the most rated items considered for one, and how many titles are large."""
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
GROUNDS = (("#ffffff", "#1f2328", "#59636e"), ("#0d1117", "#e6edf3", "#9aa4ae"))
"""Background, text and secondary text, light and dark."""
Floats = npt.NDArray[np.float64]


def palette(groups: Groups) -> list[tuple[str, str]]:
    """Return the colours of groups, light and dark; the latest decade is the brightest."""
    if groups.by == "genres":
        return list(GENRES[: len(groups.names)])
    return list(DECADES[len(DECADES) - len(groups.names) :])


def framed(places: Places) -> tuple[Places, Box]:
    """Scale positions to the picture; return them and the area that they need."""
    width = WIDTH - LEFT - MARGIN
    low, high = (places.min(axis=0), places.max(axis=0)) if len(places) else (np.zeros(2), np.zeros(2))
    wide, tall = np.maximum(high - low, 1e-9)
    height = min(max(width * tall / wide, LOWEST), HIGHEST) if len(places) > 1 else LOWEST
    room = Box(LEFT, TOP, LEFT + width, TOP + height)
    scale = min(width / wide, height / tall) if len(places) > 1 else 1.0
    return (places - (low + high) / 2) * scale + [(room.left + room.right) / 2, (room.top + room.bottom) / 2], room


def radii_of(counts: npt.NDArray[Any], area: float) -> npt.NDArray[np.float64]:
    """Return the radius of every dot, larger with more ratings; together the dots leave space for titles."""
    even = min(22.0, float(np.sqrt(area / max(len(counts), 1))))
    return even * (0.1 + 0.32 * np.sqrt(counts / max(counts.max(initial=1), 1)))


class Drawn(NamedTuple):
    """The items of a picture, the most rated first, so that no dot hides a smaller one."""

    item_ids: list[Any]
    titles: list[str]
    years: list[int | None]
    xy: Places
    radii: Floats
    groups: Groups
    room: Box


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
        Returns the URL that the dot of an item id links to.

    Returns
    -------
    str
    """
    drawn = _drawn(rec, item_map, color)
    height = drawn.room.bottom + MARGIN
    legend, taken = _legend(drawn.groups)
    names = _homes(drawn, taken)
    groups, heading = drawn.groups, f"{cut(rec.name_, 60)}: a map of {plural(len(drawn.titles), rec.noun_)}"
    told = "Near ones are alike to the model. Size: number of ratings." + f" Colour: {color[:-1]}." * bool(groups.names)
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}">',
            f"<title>{_safe(heading)}</title>",
            f"<style>{_style(groups)}</style>",
            f'<rect class="ground" width="{WIDTH}" height="{height:.0f}"/>',
            _text(MARGIN, 42, heading, "heading"),
            _text(MARGIN, 66, told, "quiet"),
            *legend,
            *_dots(drawn, link),
            *names,
            *_titles(drawn, taken),
            "</svg>\n",
        ]
    )


def _drawn(rec: Recommender, item_map: ItemMap, color: Color) -> Drawn:
    """Return the items that have a position, as drawn."""
    catalogue, places = rec.catalogue_, item_map.places_of(rec.item_ids)
    here = catalogue.by_popularity[has_place(places)[catalogue.by_popularity]]
    groups, (xy, room) = groups_of(catalogue, color), framed(places[here])
    return Drawn(
        rec.item_ids.take(here).to_list(),
        [catalogue.titles[at] for at in here],
        [catalogue.years[at] for at in here],
        xy,
        radii_of(catalogue.counts[here], 0.6 * (room.right - room.left) * (room.bottom - room.top)),
        groups._replace(of=groups.of[here]),
        room,
    )


def _style(groups: Groups) -> str:
    """Return the CSS with light and dark colours; the viewer's setting selects."""
    sets = []
    for ground, (paper, ink, quiet) in enumerate(GROUNDS):
        pairs = [*enumerate(palette(groups)), ("o", OTHER)]
        dots = [f".c{kind}{{fill:{pair[ground]}}}" for kind, pair in pairs]
        sets.append(f".ground{{fill:{paper}}}text{{fill:{ink};stroke:{paper}}}.quiet{{fill:{quiet}}}" + "".join(dots))
    return (
        "text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif;paint-order:stroke;"
        "stroke-width:3px;stroke-linejoin:round}circle{fill-opacity:.82}.small{font-size:11px}.heading{font-size:22px;font-weight:600}"
        ".home{font-size:17px;font-weight:700;letter-spacing:2px}"
        f"{sets[0]}@media(prefers-color-scheme:dark){{{sets[1]}}}"
    )


def _dots(drawn: Drawn, link: Callable[[Any], str] | None) -> list[str]:
    """Draw the items as dots with tooltips."""
    found = []
    for at, (item_id, (x, y), radius) in enumerate(zip(drawn.item_ids, drawn.xy, drawn.radii, strict=True)):
        title = _safe(with_year(drawn.titles[at], drawn.years[at]))
        kind = drawn.groups.of[at] if drawn.groups.of[at] >= 0 else "o"
        dot = f'<circle class="c{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}"><title>{title}</title></circle>'
        found.append(f'<a href="{_safe(link(item_id))}">{dot}</a>' if link else dot)
    return found


def _homes(drawn: Drawn, taken: list[Box]) -> list[str]:
    """Write the names of groups where they are most frequent, if space allows, and add their boxes to `taken`."""
    texts: list[str] = []
    for group, at in homes(drawn.xy, drawn.groups).items():
        name = cut(drawn.groups.names[group], 20).upper()
        width = width_of(name, 19) + 2 * len(name)
        x = min(max(drawn.xy[at][0], width / 2 + 8), WIDTH - width / 2 - 8)
        y = drawn.xy[at][1]
        box = Box(x - width / 2, y - 12, x + width / 2, y + 12)
        if not any(box.meets(other) for other in taken):
            taken.append(box)
            texts.append(_text(x, y + 6, name, f"home c{group}", "middle"))
    return texts


def _titles(drawn: Drawn, taken: list[Box]) -> list[str]:
    """Write the titles of the most rated items that have space, the first ones larger."""
    room = Box(8, TOP - 16, WIDTH - 8, drawn.room.bottom + 16)
    wanted = [
        Wanted(cut(title, LONGEST), x, y, radius, 13.0 if at < LARGE else 11.0)
        for at, (title, (x, y), radius) in enumerate(zip(drawn.titles, drawn.xy, drawn.radii, strict=True))
    ]
    found = labels(wanted[:CONSIDERED], taken, room)
    return [_text(label.x, label.y, label.text, "" if label.size == 13 else "small", label.anchor) for label in found]


def _legend(groups: Groups) -> tuple[list[str], list[Box]]:
    """Draw the legend; return its boxes too."""
    kinds, found, taken = [(str(at), name) for at, name in enumerate(groups.names)], [], []
    for row, (kind, name) in enumerate([*kinds, ("o", "other")] if kinds and (groups.of < 0).any() else kinds):
        y, text = TOP + 16 + 23 * row, cut(name, 20)
        found.append(f'<circle class="c{kind}" cx="{MARGIN + 6:.0f}" cy="{y:.0f}" r="6"/>')
        found.append(_text(MARGIN + 22, y + 4.5, text))
        taken.append(Box(MARGIN, y - 8, MARGIN + 24 + width_of(text, 13), y + 9))
    return found, taken


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    """Return an SVG text element, its content escaped."""
    told = (f' class="{kind}"' if kind else "") + (f' text-anchor="{anchor}"' if anchor != "start" else "")
    return f'<text x="{x:.1f}" y="{y:.1f}"{told}>{_safe(text)}</text>'


def _safe(text: str) -> str:
    return escape(printable(text))
