"""The map: all movies as one picture to walk about in; for each of them, those that are most like it."""

from functools import partial
from typing import Any

from starlette.responses import Response

from reelated.web.api import kept
from reelated.web.pages.lists import aside_of, known, taste_of
from reelated.web.pages.rating import found
from reelated.web.pages.site import Site, Visit

GLOWING = 30
"""So many movies of the visitor's list glow."""
NEAR = 10
STYLED = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
"""The picture brings its style along; nothing else may act in it."""


def add_to(site: Site) -> None:
    """Add this page to the others."""
    site.add("GET", "/map", partial(show, site))
    site.add("GET", "/map.svg", partial(picture, site))


def show(site: Site, visit: Visit) -> Response:
    """Show the map with the visitor's stars on it, and the movie that was chosen."""
    site.service.chart()
    rec, taste = site.service.served.recommender, taste_of(site, visit)
    ratings, chosen = known(rec, taste), None
    glowing = rec.recommend(ratings=ratings, n=GLOWING, exclude=aside_of(rec, taste) or None) if ratings else ()
    if visit.query.get("movie"):
        chosen = site.service.movie(site.store.parse("movie", visit.query["movie"]))
    return site.draw(
        visit,
        "map",
        taste=taste,
        stars={str(movie_id): rating for movie_id, rating in ratings.items()},
        glowing=[str(row.movie_id) for row in glowing],
        chosen=chosen,
        near=_near(site, chosen.movie_id) if chosen else (),
        **found(site, visit),
    )


def _near(site: Site, movie_id: Any) -> Any:
    """Return the movies most like one; none where the model does not know it yet."""
    rec = site.service.served.recommender
    return () if rec.movie_ids.find(movie_id) is None else rec.similar(movie_id, n=NEAR)


def picture(site: Site, visit: Visit) -> Response:
    """Give the map as a picture, for who has no scripts."""
    chart = site.service.chart()
    return kept(visit.request, chart.tag, *chart.svg, "image/svg+xml", {"Content-Security-Policy": STYLED})
