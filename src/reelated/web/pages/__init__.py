"""The HTML pages of the service."""

from reelated.web.metrics import Metrics
from reelated.web.options import ServiceOptions
from reelated.web.pages import about, api_docs, atlas, items, lists, people, rating
from reelated.web.pages.site import Site
from reelated.web.service import Service

__all__ = ["Site", "make_site"]


def make_site(service: Service, options: ServiceOptions, metrics: Metrics) -> Site:
    """Create the site with all pages; each module of this package registers its own."""
    site = Site(service, options, metrics)
    for pages in (rating, lists, items, people, atlas, about, api_docs):
        pages.add_to(site)
    return site
