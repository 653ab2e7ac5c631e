"""The "How it works" page, erasure of visitor data, and operator sign-in and sign-out."""

import time
from functools import partial

from starlette.exceptions import HTTPException
from starlette.responses import Response

from reelated.web.pages.sessions import LASTS, VISITOR
from reelated.web.pages.site import Site, Visit, go


def add_to(site: Site) -> None:
    """Register these pages."""
    site.add("GET", "/how", partial(how, site))
    site.add("POST", "/erase", partial(erase, site))
    site.add("GET", "/sign-in", partial(ask_key, site))
    site.add("POST", "/sign-in", partial(sign_in, site))
    site.add("POST", "/sign-out", partial(sign_out, site))


def how(site: Site, visit: Visit) -> Response:
    """Show the served model, its accuracy, and the data stored about the visitor."""
    served = site.service.served if site.service.is_ready else None
    return site.draw(
        visit,
        "how",
        version=served and served.version,
        age=served and ago(time.time() - served.version.made_at),
        rated=len(site.store.visitor_ratings(visit.session.visitor_id)),
        dismissed=len(site.store.dismissed(visit.session.visitor_id)),
        days=LASTS[VISITOR] // 86400,
        learns=site.options.learn_from_visitors,
        erased="erased" in visit.query,
    )


def ago(seconds: float) -> str:
    """Format an age, such as "3 hours ago"."""
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'} ago"
    return "less than a minute ago"


def erase(site: Site, visit: Visit) -> Response:
    """Erase the visitor's data and delete their cookie."""
    site.store.forget_visitor(visit.session.visitor_id, learned=site.options.learn_from_visitors)
    response = go("/how?erased")
    site.sessions.sign_out(response, VISITOR)
    return response


def ask_key(site: Site, visit: Visit) -> Response:
    """Show the sign-in form."""
    if visit.session.is_operator:
        return go(visit.query.get("back", "/users"))
    return site.draw(visit, "sign_in", back=visit.query.get("back", "/users"))


def sign_in(site: Site, visit: Visit) -> Response:
    """Sign in an operator with the API key."""
    if not site.sessions.is_key(visit.form.get("key", "")):
        raise HTTPException(401, "That is not the key of this service. It is what REELATED_API_KEY holds.")
    response = go(visit.form.get("back", ""), "/users")
    site.sessions.sign_in(visit.request, response)
    return response


def sign_out(site: Site, visit: Visit) -> Response:
    """Sign out the operator."""
    response = go("/")
    site.sessions.sign_out(response)
    return response
