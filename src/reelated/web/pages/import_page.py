"""Import of the visitor's ratings from a file of their own."""

import math
from typing import Any, NamedTuple

from starlette.responses import Response

from reelated.data import read_own_ratings
from reelated.errors import Advice, InputError
from reelated.ratings import Scale
from reelated.store.visitors import MAX_RATINGS
from reelated.web.errors import PAGES
from reelated.web.pages.rating_input import RatingInput
from reelated.web.pages.site import PageRequest, Site
from reelated.web.pages.uploads import table_of

_COLUMNS = "Expected the columns title, year and rating."
WORDING = PAGES._replace(advice={advice: _COLUMNS if "columns=" in advice else "" for advice in Advice})
"""The wording of advice on this page, which has no options for reading tables."""
MAX_LISTED = 500
"""Maximum number of unmatched titles that are listed."""


class Imported(NamedTuple):
    """The ratings stored by an import."""

    n_stored: int
    unmatched: tuple[str, ...]
    is_rounded: bool
    n_left_out: int


def form(site: Site, request: PageRequest) -> Response:
    return _page(site, request)


def upload(site: Site, request: PageRequest) -> Response:
    """Store the ratings of a file, and list what was not found."""
    try:
        imported = _store(site, request)
    except InputError as error:
        return _page(site, request, 422, problem=error.render(WORDING))
    response = _page(site, request, imported=imported)
    site.sessions.renew(request.http, response, request.session)
    return response


def _store(site: Site, request: PageRequest) -> Imported:
    if RatingInput.of(site.store.info.scale, site.service.feedback).single:
        raise InputError("There are no ratings here, so none can be imported.")
    text, is_newest_first = table_of(request.file)
    own = read_own_ratings(text, site.service.served.recommender)
    scale = site.store.info.scale
    given = {item_id: on_step(rating, scale) for item_id, rating in own.ratings.items()}
    if is_newest_first:
        given = dict(reversed(given.items()))
    latest = dict(list(given.items())[-MAX_RATINGS:])
    site.store.visitor_rate_many(request.session.visitor_id, latest)
    if latest and site.options.learn_from_visitors:
        site.service.count(len(latest), by_visitors=True)
    return Imported(len(latest), own.unmatched, given != own.ratings, len(given) - len(latest))


def on_step(rating: float, scale: Scale) -> float:
    """Round a rating to the steps of a scale, halves up."""
    low, high, step = scale
    rounded = low + math.floor((rating - low) / step + 0.5) * step if step > 0 else rating
    return min(max(round(rounded, 6), low), high)


def _page(site: Site, request: PageRequest, status: int = 200, **context: Any) -> Response:
    context = {"imported": None, "problem": "", "max_listed": MAX_LISTED} | context
    return site.render(request, "import", status, **context)
