"""The pages for operators: the state of the service, and each user's recommendations, ratings and genres."""

import time
from functools import lru_cache
from typing import Any

from starlette.responses import Response

from reelated.errors import InputError
from reelated.store import Store
from reelated.web.pages.list_page import parse_count
from reelated.web.pages.renderer import quote_id
from reelated.web.pages.site import PageRequest, Site, redirect

PAGE_SIZE, N_ACTIVE, MAX_GENRES, N_VERSIONS, N_ITEMS = 50, 24, 12, 8, 5


def choose(site: Site, request: PageRequest) -> Response:
    """Show the state of the service and a search for users; redirect to a user whose id was searched for."""
    user_id, status, found = request.query.get("user_id", "").strip(), 200, []
    if user_id:
        try:
            site.store.ratings_of(site.store.parse("user", user_id), n=1)
        except InputError:
            found = site.store.users_like(user_id, N_ACTIVE)
            status = 200 if found else 404
        else:
            return redirect(f"/users/{quote_id(user_id)}")
    service, served = site.service, site.service.served.version if site.service.is_ready else None
    about, size = site.store.about(), site.store.size()
    return site.render(
        request,
        "users",
        status,
        asked=user_id,
        found=found,
        **statistics(site.store, tuple(size.values()), site.store.hidden_keys(), int(time.time()) // 60),
        size=size,
        n_visitors=site.store.n_visitors(),
        n_changes=max(about.changes - served.changes, 0) if served else about.changes,
        refit_after=min(site.options.refit_after, served.ratings) if served else 1,
        refit_every=site.options.refit_every,
        is_refitting=service.versions.is_refitting() or service.refit_requested.is_set(),
        last=service.versions.last_attempt(),
        versions=service.versions.all()[:N_VERSIONS],
        served=served,
        next_=service.versions.current(),
        may_serve={version.number for version in service.versions.fallbacks(about.forgotten)},
    )


@lru_cache(maxsize=1)
def statistics(store: Store, size: tuple[int, ...], hidden: frozenset[int], minute: int) -> dict[str, Any]:
    """Count the ratings by user, item and day: three passes, once a minute or when the size of the store changes."""
    days = store.ratings_per_day(60 * minute)
    most, fewest = store.items_by_ratings(N_ITEMS)
    return {
        "active": store.most_active(N_ACTIVE),
        "days": days,
        "busiest": max(count for _, count in days),
        "most": most,
        "fewest": fewest,
    }


def refit(site: Site, request: PageRequest) -> Response:
    site.service.request_refit()
    return redirect("/users")


def serve_version(site: Site, request: PageRequest) -> Response:
    """Serve an earlier version of the model, unless it was fitted to users who have been erased since."""
    number = parse_count("version", request.form.get("version", ""), 99_999)
    site.service.versions.switch(number, site.store.about().forgotten)
    return redirect("/users#model")


def show(site: Site, request: PageRequest) -> Response:
    user_id = site.store.parse("user", request.path["user_id"])
    page = parse_count("page", request.query.get("page", "1"), 99_999)
    rated = site.store.ratings_of(user_id, start=(page - 1) * PAGE_SIZE, n=PAGE_SIZE + 1)
    means = site.service.mean_rating_by_genre()
    genres = [(row, means[row.genre]) for row in site.store.mean_rating_by_genre(user_id) if row.genre in means]
    return site.render(
        request,
        "user",
        user_id=user_id,
        rated=rated[:PAGE_SIZE],
        page=page,
        more=len(rated) > PAGE_SIZE,
        genres=genres[:MAX_GENRES],
        listed=site.service.recommend(user_id, n=10),
    )
