"""The start page, the search, and the visitor's ratings."""

from functools import partial
from typing import Any

from starlette.responses import Response

from reelated.errors import InputError, shorten
from reelated.web.pages.lists import check_count, make_list, taste_of
from reelated.web.pages.site import Site, Visit, go

TILES = 12
MOST_FOUND = 8


def add_to(site: Site) -> None:
    """Register these pages."""
    site.add("GET", "/", partial(start, site))
    site.add("GET", "/search", partial(search, site))
    site.add("GET", "/ratings", partial(ratings, site))
    site.add("POST", "/rate", partial(rate, site))


def start(site: Site, visit: Visit) -> Response:
    """Show items to rate beside the visitor's current list."""
    rec, taste = site.service.served.recommender, taste_of(site, visit)
    wall = check_count("wall", visit.query.get("wall", "1"), 40)
    left = [item for item in site.service.served.to_rate.tolist() if rec.item_ids[item] not in taste.ratings]
    first = (wall - 1) * TILES
    return site.draw(
        visit,
        "start",
        tiles=[rec.catalogue_.row(item) for item in left[first : first + TILES]],
        wall=wall,
        more=len(left) > first + TILES,
        taste=taste,
        latest=taste.rated[0] if taste.rated else None,
        listed=make_list(rec, taste),
        **found(site, visit),
    )


def search(site: Site, visit: Visit) -> Response:
    """Show the items found by title."""
    return site.draw(visit, "search", taste=taste_of(site, visit), **found(site, visit))


def found(site: Site, visit: Visit) -> dict[str, Any]:
    """Return the query and its matches."""
    query = visit.query.get("query", "").strip()
    return {"query": query, "matches": site.service.find(query, MOST_FOUND) if query else None}


def ratings(site: Site, visit: Visit) -> Response:
    """Show the visitor's ratings, the newest first."""
    return site.draw(visit, "ratings", taste=taste_of(site, visit))


def rate(site: Site, visit: Visit) -> Response:
    """Store or delete a rating of the visitor, and redirect to the page with the form."""
    told = visit.form.get("rating", "")
    item_id = site.store.parse("item", visit.form.get("item_id", ""))
    site.store.visitor_rate(visit.session.visitor_id, item_id, as_rating(told) if told else None)
    if site.options.learn_from_visitors:
        site.service.count(1)
    response = go(visit.form.get("back", ""))
    site.sessions.renew(visit.request, response, visit.session)
    return response


def as_rating(text: str) -> float:
    """Parse the rating of a form."""
    try:
        return float(text)
    except ValueError:
        raise InputError(f"rating={shorten(text)}: expected a number.") from None
