"""The map page: all items on a plane, and the most similar items of a selected one."""

from functools import partial
from typing import Any

from starlette.responses import Response

from reelated.web.api import kept
from reelated.web.pages.lists import dismissed_of, known, taste_of
from reelated.web.pages.rating import found
from reelated.web.pages.site import Site, Visit

GLOWING = 30
"""Number of the visitor's recommendations highlighted on the map."""
NEAR = 10
STYLED = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""The content security policy of the SVG, which has inline styles and no scripts."""


def add_to(site: Site) -> None:
    """Register these pages."""
    site.add("GET", "/map", partial(show, site))
    site.add("GET", "/map.svg", partial(picture, site))


def show(site: Site, visit: Visit) -> Response:
    """Show the map with the visitor's ratings and the selected item."""
    site.service.chart()  # raises `NoMap`; the script fetches the map itself from the API
    rec, taste = site.service.served.recommender, taste_of(site, visit)
    ratings, chosen = known(rec, taste), None
    glowing = rec.recommend(ratings=ratings, n=GLOWING, exclude=dismissed_of(rec, taste) or None) if ratings else ()
    if visit.query.get("item"):
        chosen = site.service.item(site.store.parse("item", visit.query["item"]))
    return site.draw(
        visit,
        "map",
        taste=taste,
        stars={str(item_id): rating for item_id, rating in ratings.items()},
        glowing=[str(row.item_id) for row in glowing],
        chosen=chosen,
        near=_near(site, chosen.item_id) if chosen else (),
        **found(site, visit),
    )


def _near(site: Site, item_id: Any) -> Any:
    """Return the most similar items; none if the model does not know the item yet."""
    rec = site.service.served.recommender
    return () if rec.item_ids.find(item_id) is None else rec.similar(item_id, n=NEAR)


def picture(site: Site, visit: Visit) -> Response:
    """Return the map as an SVG, for browsers without scripts."""
    chart = site.service.chart()
    return kept(visit.request, chart.tag, *chart.svg, "image/svg+xml", {"Content-Security-Policy": STYLED})
