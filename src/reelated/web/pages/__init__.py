"""The HTML pages of the service."""

from reelated.web.pages import (
    about,
    api_docs,
    import_page,
    item_page,
    list_page,
    map_page,
    rating_pages,
    taste_page,
    user_pages,
)
from reelated.web.pages.site import Site
from reelated.web.service import Service
from reelated.web.service_options import ServiceOptions
from reelated.web.store_work import StoreWork

__all__ = ["Site", "create_site"]
ROUTES = {
    "GET /": rating_pages.start, "GET /search": rating_pages.search, "GET /ratings": rating_pages.ratings,
    "POST /rate": rating_pages.rate,
    "GET /list": list_page.show, "POST /dismiss": list_page.dismiss, "GET /items/{item_id}": item_page.show,
    "GET /map": map_page.show, "GET /map.svg": map_page.svg,
    "GET /taste": taste_page.show, "GET /shared": taste_page.shared, "GET /shared.png": taste_page.picture,
    "GET /my-data": taste_page.download, "GET /import": import_page.form, "POST /import": import_page.upload,
    "GET /how": about.how_it_works, "POST /erase": about.erase, "GET /sign-in": about.sign_in_form,
    "POST /sign-in": about.sign_in, "POST /sign-out": about.sign_out, "GET /docs": api_docs.show,
}  # fmt: skip
OPERATOR_ROUTES = {
    "GET /users": user_pages.choose, "GET /users/{user_id}": user_pages.show,
    "POST /refit": user_pages.refit, "POST /serve-version": user_pages.serve_version,
}  # fmt: skip
"""Pages that need an operator session."""


def create_site(service: Service, options: ServiceOptions, work: StoreWork) -> Site:
    """Create the site with all pages."""
    site = Site(service, options, work)
    for routes, operator in ((ROUTES, False), (OPERATOR_ROUTES, True)):
        for route, handler in routes.items():
            method, path = route.split()
            site.add(method, path, handler, operator=operator)
    return site
