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


def create_site(service: Service, options: ServiceOptions, work: StoreWork) -> Site:
    """Create the site with all pages; each module of this package registers its own."""
    site = Site(service, options, work)
    for pages in (rating_pages, list_page, item_page, user_pages, map_page, taste_page, import_page, about, api_docs):
        pages.register(site)
    return site
