"""Prometheus metrics."""

import os
import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from reelated.web.service import Service

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """The metrics of one worker; with several workers, their files are aggregated."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self.registry = registry
        self.requests = Histogram(
            "reelated_request_seconds",
            "Duration of requests in seconds, by route and status.",
            ["method", "route", "status"],
            registry=registry,
            buckets=BUCKETS,
        )
        self.ratings = Counter("reelated_ratings_changed", "Ratings added, changed or deleted.", registry=registry)

    def text(self, service: Service) -> bytes:
        """Return all metrics in the Prometheus text format."""
        registry = self.registry
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry) + generate_latest(_model_registry(service))


def _model_registry(service: Service) -> CollectorRegistry:
    """Return gauges of the current model and its refits."""
    # A new registry each time: these values are read from disk and not counted by this worker.
    registry = CollectorRegistry()
    version = service.versions.current()
    gauges = {
        "version": ("Version of the model.", version.number if version else 0),
        "age_seconds": ("Age of the model in seconds.", max(time.time() - version.made_at, 0) if version else 0),
        "ratings": ("Number of ratings that the model was fitted to.", version.ratings if version else 0),
        "items": ("Number of items in the model.", version.items if version else 0),
    }
    for name, (help_, value) in gauges.items():
        Gauge(f"reelated_model_{name}", help_, registry=registry).set(value)
    refits = Gauge("reelated_refits", "Refits, by outcome.", ["outcome"], registry=registry)
    last = service.versions.last_attempt()
    for outcome in ("switched", "refused", "failed"):
        refits.labels(outcome).set(last.counts.get(outcome, 0) if last else 0)
    return registry
