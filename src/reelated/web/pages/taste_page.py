"""The visitor's taste profile as a page, as a link with the ratings, and as a picture; the download of all data."""

import json
import time
from dataclasses import asdict
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import Response

from reelated.recommender.query import query_of_ratings
from reelated.web.pages.list_page import (
    ListQuery,
    VisitorProfile,
    known_ratings,
    title_of,
    visitor_list,
    visitor_profile,
)
from reelated.web.pages.site import PageRequest, Site
from reelated.web.pages.taste import examples, pack, taste_of, unpack

N_LISTED = 5
PICTURE_CACHE = {"Cache-Control": "private, max-age=3600"}


def show(site: Site, request: PageRequest) -> Response:
    """Show the taste profile of the visitor, with the link."""
    profile = visitor_profile(site, request)
    text = pack(profile.ratings) if profile.ratings else ""
    return _page(site, request, profile, text, own=True)


def shared(site: Site, request: PageRequest) -> Response:
    """Show the taste profile of the ratings in a link; nothing is stored, and the link is not logged."""
    text = request.query.get("r", "")
    return _page(site, request, VisitorProfile([], unpack(text), []), text, own=False)


def _page(site: Site, request: PageRequest, profile: VisitorProfile, text: str, *, own: bool) -> Response:
    rec = site.service.served.recommender
    ratings = known_ratings(rec, profile)
    name = next((name for name, packed in examples(rec) if packed == text), None)
    return site.render(
        request,
        "taste",
        own=own,
        name=name,
        n_rated=len(ratings),
        link=f"/shared?r={text}" if text else "",
        base=str(request.http.base_url).rstrip("/"),
        has_picture=_can_draw(),
        taste=taste_of(rec, query_of_ratings(ratings, rec)) if ratings else None,
        listed=visitor_list(rec, profile, ListQuery(n=N_LISTED)).rows if ratings else [],
    )


@lru_cache(maxsize=1)
def _can_draw() -> bool:
    """Return whether Matplotlib, which draws the picture, is installed."""
    return find_spec("matplotlib") is not None


def picture(site: Site, request: PageRequest) -> Response:
    """Return the picture of a shared taste profile, which messengers show beside the link."""
    if not _can_draw():
        raise HTTPException(404, "This service draws no pictures, because Matplotlib is not installed.")
    from reelated.web.pages.taste_picture import draw

    rec = site.service.served.recommender
    ratings = known_ratings(rec, VisitorProfile([], unpack(request.query.get("r", "")), []))
    image = draw(taste_of(rec, query_of_ratings(ratings, rec)), len(ratings), site.service.noun)
    return Response(image, media_type="image/png", headers=PICTURE_CACHE)


def download(site: Site, request: PageRequest) -> Response:
    """Return all data about the visitor as a JSON file."""
    profile = visitor_profile(site, request)
    data: dict[str, Any] = {"ratings": [_as_dict(row) for row in profile.rated]}
    if profile.dismissed:
        rec = site.service.served.recommender
        data["less_like"] = [{"item_id": item_id, "title": title_of(rec, item_id)} for item_id in profile.dismissed]
    headers = {"Content-Disposition": 'attachment; filename="reelated.json"'}
    return Response(json.dumps(data, indent=2), media_type="application/json", headers=headers)


def _as_dict(row: Any) -> dict[str, Any]:
    fields: dict[str, Any] = asdict(row)
    seconds = fields.pop("timestamp")
    return fields | {"time": None if seconds is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))}
