"""The "How it works" page, erasure of visitor data, and operator sign-in and sign-out."""

import time

from starlette.responses import Response

from reelated.errors import plural
from reelated.web.pages.sessions import LIFETIMES, VISITOR
from reelated.web.pages.site import PageRequest, Site, redirect


def how_it_works(site: Site, request: PageRequest) -> Response:
    """Show the served model, its accuracy, and the data stored about the visitor."""
    served = site.service.served if site.service.is_ready else None
    return site.render(
        request,
        "how",
        version=served and served.version,
        age=served and ago(time.time() - served.version.made_at),
        n_rated=len(site.store.visitor_ratings(request.session.visitor_id)),
        n_dismissed=len(site.store.dismissed(request.session.visitor_id)),
        days=LIFETIMES[VISITOR] // 86400,
        learns=site.options.learn_from_visitors,
        erased="erased" in request.query,
    )


def ago(seconds: float) -> str:
    """Format an age, such as "3 hours ago"."""
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return f"{plural(int(seconds // size), name)} ago"
    return "less than a minute ago"


def erase(site: Site, request: PageRequest) -> Response:
    """Erase the visitor's data and delete their cookie."""
    site.store.forget_visitor(request.session.visitor_id, learned=site.options.learn_from_visitors)
    response = redirect("/how?erased")
    site.sessions.delete(response, VISITOR)
    return response


def sign_in_form(site: Site, request: PageRequest) -> Response:
    if request.session.is_operator:
        return redirect(request.query.get("back", "/users"))
    return site.render(request, "sign_in", back=request.query.get("back", "/users"), wrong=False)


def sign_in(site: Site, request: PageRequest) -> Response:
    """Sign in an operator with the API key."""
    if not site.sessions.is_key(request.form.get("key", "")):
        return site.render(request, "sign_in", 401, back=request.form.get("back", ""), wrong=True)
    response = redirect(request.form.get("back", ""), "/users")
    site.sessions.sign_in(request.http, response)
    return response


def sign_out(site: Site, request: PageRequest) -> Response:
    response = redirect("/")
    site.sessions.sign_out(request.http, response)
    return response
