"""The HTTP API: each handler parses the request, calls the service, and returns JSON."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Depends, Path, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from reelated.errors import InputError
from reelated.formatting import split_list
from reelated.recommender import Recommendations
from reelated.recommender.catalogue import parse_years
from reelated.store import Event, StoredItem
from reelated.web import schemas
from reelated.web.errors import ERROR_RESPONSES
from reelated.web.metrics import Metrics
from reelated.web.security import ApiKey, GuardedRoute
from reelated.web.service import Service
from reelated.web.store_work import StoreWork

UserId = Annotated[str, Path(description="A user's id.", examples=["300"])]
ItemId = Annotated[str, Path(description="An item's id.", examples=["50"])]
MAX_CELLS = 100_000
"""Maximum of a new user's ratings × rows of the list, because the explanation of a row has a part for each rating."""


def json_response(value: Any, status: int = 200) -> Response:
    """Return a JSON response; `json` handles what orjson refuses, such as integers beyond 64 bits."""
    try:
        body = orjson.dumps(value)
    except orjson.JSONEncodeError:
        body = json.dumps(value, default=asdict).encode()
    return Response(body, status, media_type="application/json")


def list_response(answers: Recommendations[Any], **extra: Any) -> Response:
    """Return a list, with the reason if it is shorter than requested."""
    short = None if answers.short is None else answers.short._asdict()
    return json_response({"recommendations": list(answers), "short": short} | extra)


def page_response(field: str, rows: list[Any], params: schemas.PageParams) -> Response:
    """Return one page of rows; the row beyond `params.n`, if any, shows that there are more."""
    return json_response({field: rows[: params.n], "page": params.page, "more": len(rows) > params.n})


class Api:
    """The routes and handlers of one service."""

    def __init__(self, service: Service, metrics: Metrics, work: StoreWork, key: str | None) -> None:
        self.service = service
        self.store = service.store
        self.metrics = metrics
        self.router = APIRouter(responses=ERROR_RESPONSES, route_class=GuardedRoute)
        check = [Depends(ApiKey(key))]
        # these must answer while the store does not
        without_store = (self.recommend_to_new_user, self.similar, self.map, self.model, self.show_metrics, self.live)
        for method, path, handler, model, needs_key in self._routes():
            self.router.add_api_route(
                path,
                handler if handler in without_store else work.wrap(handler),
                methods=[method],
                response_model=model,
                status_code={None: 204, schemas.RefitOut: 202}.get(model, 200),
                response_class=PlainTextResponse if model is str else JSONResponse,
                dependencies=check if needs_key else None,
                summary=(handler.__doc__ or "").split("\n")[0],
                description=handler.__doc__ or "",
            )

    def _routes(self) -> list[tuple[str, str, Callable[..., Any], Any, bool]]:
        """Return method, path, handler, response model, and whether the route needs the key."""
        user, item = "/api/users/{user_id}", "/api/items/{item_id}"
        return [
            ("GET", f"{user}/recommendations", self.recommendations, schemas.RecommendationsOut, True),
            ("GET", f"{user}/predictions/{{item_id}}", self.prediction, schemas.PredictionOut, True),
            ("GET", f"{user}/ratings", self.ratings, schemas.RatingsOut, True),
            ("PUT", f"{user}/ratings/{{item_id}}", self.rate, schemas.RatingOut, True),
            ("DELETE", f"{user}/ratings/{{item_id}}", self.unrate, None, True),
            ("DELETE", user, self.forget, None, True),
            ("POST", "/api/ratings", self.rate_many, schemas.StoredCountOut, True),
            ("POST", "/api/events", self.add_events, schemas.StoredCountOut, True),
            ("POST", "/api/recommendations", self.recommend_to_new_user, schemas.NewUserRecommendationsOut, False),
            ("GET", "/api/items", self.items, schemas.ItemsOut, False),
            ("GET", item, self.item, StoredItem, False),
            ("PUT", item, self.put_item, StoredItem, True),
            ("PUT", f"{item}/hidden", self.hide, None, True),
            ("DELETE", f"{item}/hidden", self.show, None, True),
            ("GET", f"{item}/similar", self.similar, schemas.SimilarItemsOut, False),
            ("GET", f"{item}/audience", self.audience, schemas.AudienceOut, True),
            ("GET", "/api/map", self.map, schemas.MapOut, False),
            ("GET", "/api/model", self.model, schemas.ModelOut, False),
            ("POST", "/api/refit", self.refit, schemas.RefitOut, True),
            ("GET", "/health/live", self.live, schemas.HealthOut, False),
            ("GET", "/health/ready", self.ready, schemas.HealthOut, False),
            ("GET", "/metrics", self.show_metrics, str, True),
        ]

    def recommendations(self, user_id: UserId, params: Annotated[schemas.ListParams, Query()]) -> Response:
        """Recommend items to a user. Their latest ratings are included."""
        user = self.store.parse("user", user_id)
        return list_response(
            self.service.recommend(user, n=params.n, by=params.by, **filters(params, partial(self.store.parse, "item")))
        )

    def prediction(self, user_id: UserId, item_id: ItemId) -> Response:
        """Predict a user's rating of an item and explain it. The user's own rating of the item is not used."""
        user, item = self.store.parse("user", user_id), self.store.parse("item", item_id)
        prediction, explanation = self.service.predict(user, item)
        reasons = explanation.contributions[:3]
        other = explanation.other(reasons)
        parts = {"base": explanation.base, "reasons": reasons, "other": other, "clip": explanation.clip}
        return json_response(asdict(prediction) | parts)

    def ratings(self, user_id: UserId, params: Annotated[schemas.PageParams, Query()]) -> Response:
        """List a user's ratings, the newest first."""
        start = (params.page - 1) * params.n
        rows = self.store.ratings_of(self.store.parse("user", user_id), start=start, n=params.n + 1)
        return page_response("ratings", rows, params)

    def rate(self, user_id: UserId, item_id: ItemId, body: Annotated[schemas.RatingIn, Body()]) -> Response:
        """Store a user's rating of an item. It is durable once the response arrives. An unknown user is added."""
        user, item = self.store.parse("user", user_id), self.store.parse("item", item_id)
        self.store.rate(user, item, body.rating, timestamp=body.timestamp)
        self._count(1)
        return json_response({"user_id": user, "item_id": item, "rating": body.rating})

    def unrate(self, user_id: UserId, item_id: ItemId) -> Response:
        """Delete a user's rating of an item."""
        self.store.unrate(self.store.parse("user", user_id), self.store.parse("item", item_id))
        self._count(1)
        return Response(status_code=204)

    def rate_many(self, body: Annotated[schemas.RatingsIn, Body()]) -> Response:
        """Store ratings of several users, all or none. If a rating is repeated, the last one counts."""
        n_stored = self.store.rate_many((row.user_id, row.item_id, row.rating, row.timestamp) for row in body.ratings)
        self._count(n_stored)
        return json_response({"kept": n_stored})

    def add_events(self, body: Annotated[schemas.EventsIn, Body()]) -> Response:
        """Store events of several users, all or none; the weights of a user's events with an item are summed.

        The store must hold events. A weight below 0 means that the user is not interested in the item.
        """
        n_stored = self.store.add_events(Event(**dict(row)) for row in body.events)
        self._count(n_stored)
        return json_response({"kept": n_stored})

    def forget(self, user_id: UserId) -> Response:
        """Erase a user and all their ratings.

        The user disappears from lists and audiences at once. A refit starts within seconds and replaces every model
        that was fitted to their ratings.
        """
        self.store.forget(self.store.parse("user", user_id))
        return Response(status_code=204)

    def recommend_to_new_user(self, body: Annotated[schemas.NewUserIn, Body()]) -> Response:
        """Recommend items to a new user from ratings or items in the request. Nothing is stored.

        Rated items that the model does not know are ignored and listed under `unknown`. Without any usable rating the
        list consists of popular items.
        """
        rated, items = body.ratings or [], body.items or []
        if (body.ratings is None) == (body.items is None):
            raise InputError("Give one of ratings and items.")
        if body.n * (n_rated := len(rated) + len(items)) > MAX_CELLS:
            most = max(MAX_CELLS // n_rated, 1)
            raise InputError(f"expected {most} or less with {n_rated:,} ratings.", parameter="n", value=body.n)
        ratings = None if body.ratings is None else {row.item_id: row.rating for row in rated}
        filters: dict[str, Any] = {"genres": body.genres, "years": body.years, "exclude": body.exclude}
        answers = self.service.recommend_to_new_user(ratings, items=body.items, n=body.n, by=body.by, **filters)
        return list_response(answers, unknown=list(answers.unknown))

    def items(self, params: Annotated[schemas.SearchParams, Query()]) -> Response:
        """Find items by words of the title; typos are allowed.

        With genres, and before the first model, the items whose title contains the query are listed.
        """
        start, genres = (params.page - 1) * params.n, split_list(params.genres)
        if params.query.strip() and not genres and self.service.is_ready:
            return page_response("items", self.service.search(params.query, start, params.n + 1), params)
        rows = self.store.find_items(params.query, genres=genres, start=start, n=params.n + 1)
        return page_response("items", rows, params)

    def item(self, item_id: ItemId) -> Response:
        """Return one item."""
        return json_response(self.service.item(self.store.parse("item", item_id)))

    def put_item(self, item_id: ItemId, body: Annotated[schemas.ItemIn, Body()]) -> Response:
        """Add an item, or change the given fields. It can be found and rated at once.

        A new item needs a title; it is recommended after the next refit.
        """
        item = self.store.parse("item", item_id)
        self.store.put_item(item, **body.model_dump(exclude_unset=True))
        return json_response(self.store.item(item))

    def hide(self, item_id: ItemId) -> Response:
        """Hide an item from all lists and searches at once. Its ratings are kept."""
        self.store.set_hidden(self.store.parse("item", item_id), True)
        return Response(status_code=204)

    def show(self, item_id: ItemId) -> Response:
        """Show a hidden item again at once."""
        self.store.set_hidden(self.store.parse("item", item_id), False)
        return Response(status_code=204)

    def similar(self, item_id: ItemId, params: Annotated[schemas.FilterParams, Query()]) -> Response:
        """List the items most similar to an item."""
        parse = self.service.served.recommender.item_ids.parse  # works during an outage of the store
        return list_response(self.service.similar(parse(item_id), n=params.n, **filters(params, parse)))

    def audience(
        self, item_id: ItemId, n: Annotated[schemas.N, Query()] = 10, by: Annotated[schemas.AudienceBy, Query()] = None
    ) -> Response:
        """List the users with the highest scores for an item they have not rated, without reasons."""
        return list_response(self.service.audience(self.store.parse("item", item_id), n, by))

    def map(self, request: Request) -> Response:
        """Return the map: coordinates of every item as columns of equal length, the most rated item first."""
        data = self.service.map_data()
        return cached_response(request, data.etag, *data.json, "application/json")

    def model(self) -> Response:
        """Return the served model: parameters, data, age, and accuracy at the time of the fit."""
        version, rec = self.service.served[:2]
        last = self.service.versions.last_attempt()
        fields = asdict(version) | {
            "version": version.number,
            "age_seconds": max(int(time.time()) - version.made_at, 0),
            "scale": list(rec.scale_),
            "ranker": rec.models_.ranker and describe_model(rec.models_.ranker),
            "rater": rec.models_.rater and describe_model(rec.models_.rater),
            "last_refit": last and asdict(last),
        }
        return json_response({name: fields[name] for name in schemas.ModelOut.model_fields})

    def refit(self) -> Response:
        """Request a refit, which starts within seconds.

        If a refit is running, the new one starts after it. `version` and `last_refit` of `/api/model` change when it
        is done.
        """
        return json_response({"running": self.service.request_refit()}, 202)

    async def live(self) -> Response:  # async: it needs no thread, which a busy service may not have
        """Report that the process is alive."""
        return json_response({"status": "ok"})

    def ready(self) -> Response:
        """Report whether a model is loaded, the store answers, and its disk has room."""
        self.service.served  # noqa: B018
        self.store.about()
        self.store.check_room()
        return json_response({"status": "ok"})

    def show_metrics(self) -> Response:
        """Return the Prometheus metrics."""
        return Response(self.metrics.text(self.service), media_type="text/plain; version=0.0.4; charset=utf-8")

    def _count(self, changes: int) -> None:
        self.service.count(changes)
        self.metrics.ratings.inc(changes)


def filters(params: schemas.FilterParams, parse: Callable[[str], Any]) -> dict[str, Any]:
    """Parse the filters of a query string; `parse` converts the id of an item."""
    excluded = [parse(text) for text in split_list(params.exclude)]
    return {
        "genres": split_list(params.genres) or None,
        "years": parse_years(params.years),
        "exclude": excluded or None,
    }


def cached_response(
    request: Request, etag: str, body: bytes, gzipped: bytes, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a cacheable response; answer 304 if the ETag matches."""
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding", **(headers or {})}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(gzipped, headers=headers | {"Content-Encoding": "gzip"}, media_type=media_type)
    return Response(body, headers=headers, media_type=media_type)


def describe_model(model: Any) -> dict[str, Any]:
    """Return the name and the parameters of a model."""
    return {"model": type(model).__name__, **model.get_params()}
