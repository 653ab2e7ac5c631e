"""`create_app`: the service as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from anyio.to_thread import run_sync
from fastapi import FastAPI

from reelated._version import __version__
from reelated.refit import Versions, models_folder
from reelated.store import Store
from reelated.web.api import Api
from reelated.web.errors import add_error_handlers
from reelated.web.metrics import Metrics
from reelated.web.model_watcher import ModelWatcher
from reelated.web.pages import create_site
from reelated.web.security import SecurityMiddleware
from reelated.web.service import Service
from reelated.web.service_options import ServiceOptions
from reelated.web.store_work import LOCK_TIMEOUT, StoreWork


def create_app(options: ServiceOptions | None = None) -> FastAPI:
    """Create the application; the schema of the store must be up to date (`Store.upgrade`)."""
    options = options or ServiceOptions.from_environment()
    store = Store(options.store, lock_timeout=LOCK_TIMEOUT)
    service, metrics, work = Service(store, Versions(options.models or models_folder(store))), Metrics(), StoreWork()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        watcher = ModelWatcher(service, options)
        await run_sync(watcher.start)
        yield
        await run_sync(watcher.stop)
        store.close()

    app = FastAPI(
        title="Reelated",
        version=__version__,
        description="Recommendations with explanations. New ratings take effect at once.",
        lifespan=lifespan,
        docs_url=None,  # FastAPI's page loads scripts from a CDN
        redoc_url=None,
        redirect_slashes=False,  # the redirect would name the host that the client sent
    )
    app.state.service = service
    app.include_router(Api(service, metrics, work, options.api_key).router)
    app.state.site = create_site(service, options, work)
    app.include_router(app.state.site.router)
    add_error_handlers(app)
    app.add_middleware(SecurityMiddleware, options=options, metrics=metrics)
    _shorten_descriptions(app)
    return app


def _shorten_descriptions(app: FastAPI) -> None:
    """Reduce the schema descriptions in the OpenAPI document to their first paragraph."""
    full = app.openapi

    def openapi() -> dict[str, Any]:
        document = full()
        for schema in document["components"]["schemas"].values():
            if "description" in schema:
                schema["description"] = schema["description"].split("\n\n")[0]
        return document

    app.openapi = openapi  # type: ignore[method-assign]
