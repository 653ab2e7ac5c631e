"""The start page, the search, and the visitor's ratings."""

from functools import lru_cache
from typing import Any

from starlette.responses import Response

from reelated.errors import InputError
from reelated.map.labels import Groups, groups_of
from reelated.recommender.catalogue import Catalogue
from reelated.web.pages.list_page import parse_count, visitor_list, visitor_profile
from reelated.web.pages.site import PageRequest, Site, redirect
from reelated.web.pages.taste import examples

N_TILES = 12
MAX_HITS = 8
ENOUGH = 15
"""With this number of ratings, the precision for held-out users is well above that of popular items."""


def start(site: Site, request: PageRequest) -> Response:
    """Show items to rate beside the visitor's current list."""
    rec, profile = site.service.served.recommender, visitor_profile(site, request)
    page = parse_count("page", request.query.get("page", "1"), 40)
    unrated = [item for item in site.service.served.items_to_rate.tolist() if rec.item_ids[item] not in profile.ratings]
    first = (page - 1) * N_TILES
    shown = unrated[first : first + N_TILES]
    return site.render(
        request,
        "start",
        tiles=[rec.catalogue_.row(item) for item in shown],
        images=site.images_of(rec.item_ids[item] for item in shown),
        colors=[genre_groups(rec.catalogue_).of[item] for item in shown],
        colored=genre_groups(rec.catalogue_).names,
        enough=ENOUGH,
        examples=examples(rec),
        page=page,
        more=len(unrated) > first + N_TILES,
        profile=profile,
        latest=profile.rated[0] if profile.rated else None,
        listed=visitor_list(rec, profile),
        **search_results(site, request),
    )


@lru_cache(maxsize=2)
def genre_groups(catalogue: Catalogue) -> Groups:
    """Return the genres with a colour on the map, and for each item the genre that determines its colour."""
    return groups_of(catalogue)


def search(site: Site, request: PageRequest) -> Response:
    """Show the items found by title."""
    return site.render(request, "search", profile=visitor_profile(site, request), **search_results(site, request))


def search_results(site: Site, request: PageRequest) -> dict[str, Any]:
    """Return the search query and the items it finds, as template variables."""
    query = request.query.get("query", "").strip()
    return {"query": query, "matches": site.service.find(query, MAX_HITS) if query else None}


def ratings(site: Site, request: PageRequest) -> Response:
    """Show the visitor's ratings, the newest first."""
    return site.render(request, "ratings", profile=visitor_profile(site, request))


def rate(site: Site, request: PageRequest) -> Response:
    """Store or delete a rating of the visitor, and redirect to the page with the form."""
    rating = request.form.get("rating", "")
    item_id = site.store.parse("item", request.form.get("item_id", ""))
    site.store.visitor_rate(request.session.visitor_id, item_id, parse_rating(rating) if rating else None)
    if site.options.learn_from_visitors:
        site.service.count(1, by_visitors=True)
    response = redirect(request.form.get("back", ""))
    site.sessions.renew(request.http, response, request.session)
    return response


def parse_rating(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InputError("expected a number.", parameter="rating", value=text) from None
