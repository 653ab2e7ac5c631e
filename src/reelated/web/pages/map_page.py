"""The map page: a map of all items, and the most similar items of a selected one."""

from starlette.responses import Response

from reelated.web.api import cached_response
from reelated.web.pages.list_page import dismissed_items, is_known, known_ratings, visitor_profile
from reelated.web.pages.rating_pages import search_results
from reelated.web.pages.site import PageRequest, Site

N_HIGHLIGHTED = 30
"""Number of the visitor's recommendations highlighted on the map."""
N_NEIGHBORS = 10
SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""The content security policy of the SVG, which has inline styles and no scripts."""


def show(site: Site, request: PageRequest) -> Response:
    """Show the map with the visitor's ratings and the selected item."""
    site.service.map_data()  # raises `NoMap`; the script fetches the map itself from the API
    rec, profile = site.service.served.recommender, visitor_profile(site, request)
    ratings, selected = known_ratings(rec, profile), None
    excluded = dismissed_items(rec, profile) or None
    highlighted = rec.recommend(ratings=ratings, n=N_HIGHLIGHTED, exclude=excluded) if ratings else ()
    if request.query.get("item"):
        selected = site.service.item(site.store.parse("item", request.query["item"]))
    in_model = selected and is_known(rec, selected.item_id)
    return site.render(
        request,
        "map",
        profile=profile,
        ratings={str(item_id): rating for item_id, rating in ratings.items()},
        highlighted=[str(row.item_id) for row in highlighted],
        selected=selected,
        neighbors=rec.similar(selected.item_id, n=N_NEIGHBORS) if selected and in_model else (),
        **search_results(site, request),
    )


def svg(site: Site, request: PageRequest) -> Response:
    """Return the map as an SVG, for browsers without scripts."""
    data = site.service.map_data()
    return cached_response(request.http, data.etag, *data.svg, "image/svg+xml", {"Content-Security-Policy": SVG_POLICY})
