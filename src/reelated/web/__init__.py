"""The web service: an HTTP API and pages over a store and the current model."""

from reelated.web.app import create_app
from reelated.web.service_options import ServiceOptions

__all__ = ["ServiceOptions", "create_app"]
