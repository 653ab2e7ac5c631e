"""The user pages for operators: recommendations, ratings, and mean ratings by genre."""

from functools import partial
from typing import NamedTuple

from starlette.responses import Response

from reelated.store import GenreTaste
from reelated.web.pages.drawing import quote_id
from reelated.web.pages.lists import check_count
from reelated.web.pages.site import Site, Visit, go

ROWS, ACTIVE, GENRES = 50, 24, 12


def add_to(site: Site) -> None:
    """Register these pages."""
    site.add("GET", "/users", partial(choose, site), operator=True)
    site.add("GET", "/users/{user_id}", partial(show, site), operator=True)


class Against(NamedTuple):
    """The mean rating of a genre by one user and by all users."""

    mine: GenreTaste
    everybody: float


def choose(site: Site, visit: Visit) -> Response:
    """Show the form to choose a user, or redirect to the chosen one."""
    if user_id := visit.query.get("user_id", "").strip():
        site.store.ratings_of(site.store.parse("user", user_id), n=1)
        return go(f"/users/{quote_id(user_id)}")
    return site.draw(visit, "users", active=site.store.most_active(ACTIVE))


def show(site: Site, visit: Visit) -> Response:
    """Show one user."""
    user_id = site.store.parse("user", visit.path["user_id"])
    page = check_count("page", visit.query.get("page", "1"), 99_999)
    rated = site.store.ratings_of(user_id, start=(page - 1) * ROWS, n=ROWS + 1)
    means, tastes = site.service.everybodys_tastes(), site.store.mean_rating_by_genre(user_id)
    return site.draw(
        visit,
        "user",
        user_id=user_id,
        rated=rated[:ROWS],
        page=page,
        more=len(rated) > ROWS,
        tastes=[Against(one, means[one.genre]) for one in tastes if one.genre in means][:GENRES],
        listed=site.service.recommend(user_id, n=10),
    )
