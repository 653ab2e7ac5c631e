"""The service: an HTTP API over a store and a model that follows it."""

from reelated.web.app import create_app
from reelated.web.options import ServiceOptions

__all__ = ["ServiceOptions", "create_app"]
