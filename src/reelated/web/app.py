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
from reelated.web.following import Follower
from reelated.web.guard import Guard
from reelated.web.metrics import Metrics
from reelated.web.options import ServiceOptions
from reelated.web.pages import make_site
from reelated.web.problems import handle_problems
from reelated.web.service import Service


def create_app(options: ServiceOptions | None = None) -> FastAPI:
    """Create the application; the schema of the store must be up to date (`Store.upgrade`)."""
    options = options or ServiceOptions.from_environment()
    store = Store(options.store)
    service, metrics = Service(store, Versions(options.models or models_folder(store))), Metrics()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        follower = Follower(service, options)
        await run_sync(follower.start)
        yield
        await run_sync(follower.stop)
        store.close()

    app = FastAPI(
        title="Reelated",
        version=__version__,
        description="Explained recommendations from ratings that arrive all day.",
        lifespan=lifespan,
        docs_url=None,  # its page loads scripts from a CDN
        redoc_url=None,
    )
    app.state.service = service
    app.include_router(Api(service, metrics, options.api_key).router)
    app.state.site = make_site(service, options, metrics)
    app.include_router(app.state.site.router)
    handle_problems(app)
    app.add_middleware(Guard, options=options, metrics=metrics)
    _describe(app)
    return app


def _describe(app: FastAPI) -> None:
    """Reduce the schema descriptions in the OpenAPI document to their first paragraph."""
    described = app.openapi

    def openapi() -> dict[str, Any]:
        made = described()
        for schema in made["components"]["schemas"].values():
            if "description" in schema:
                schema["description"] = schema["description"].split("\n\n")[0]
        return made

    app.openapi = openapi  # type: ignore[method-assign]
