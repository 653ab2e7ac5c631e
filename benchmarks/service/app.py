"""The service with one more route, for all to stand beside: it reads the same profile and returns constant bytes."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from reelated.web import ServiceOptions, schemas, server
from reelated.web.api import UserId

CONSTANT = b'{"recommendations":[' + b'"constant",' * 500 + b'null],"short":null}'


def app():
    """Make the application of one worker."""
    made = server.app()
    store, router = made.state.service.store, APIRouter()

    @router.get("/constant/{user_id}")
    def constant(user_id: UserId, asked: Annotated[schemas.ListParams, Query()]) -> Response:
        store.profile(store.parse("user", user_id))
        return Response(CONSTANT, media_type="application/json")

    made.include_router(router)
    return made


if __name__ == "__main__":  # it never refits by itself
    options = replace(ServiceOptions.from_environment(), refit_after=10**9, refit_every=10**6)
    bound = server.bind(options.host, 0)
    server.run(options, bound, workers=1, say=lambda line: print(line, flush=True), app_factory="service.app:app")
