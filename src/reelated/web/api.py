"""The HTTP API: each handler parses the request, calls the service, and returns JSON."""

import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Body, Depends, HTTPException, Path, Query, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from reelated.errors import InputError, shorten
from reelated.recommender import Answers
from reelated.web import bodies
from reelated.web.metrics import Metrics
from reelated.web.problems import DESCRIBED
from reelated.web.service import Service

UserId = Annotated[str, Path(description="A user's id.", examples=["300"])]
ItemId = Annotated[str, Path(description="An item's id.", examples=["50"])]
_bearer = HTTPBearer(auto_error=False, description="The key of REELATED_API_KEY, where the service has one.")


def as_json(value: Any, status: int = 200) -> Response:
    """Return a JSON response; `json` handles what orjson refuses, such as integers beyond 64 bits."""
    try:
        body = orjson.dumps(value)
    except orjson.JSONEncodeError:
        body = json.dumps(value, default=asdict).encode()
    return Response(body, status, media_type="application/json")


def as_list(answers: Answers[Any], **more: Any) -> Response:
    """Return a list, with the reason if it is shorter than requested."""
    short = None if answers.short is None else answers.short._asdict()
    return as_json({"recommendations": list(answers), "short": short} | more)


def check_key(key: str | None) -> Callable[..., Any]:
    """Return a dependency that requires the API key; without a key it allows every request."""

    async def check(shown: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> None:
        if key is not None:
            given = shown.credentials if shown else ""
            if not hmac.compare_digest(given.encode(errors="replace"), key.encode()):
                wanted = "This needs the key of the service. Send it as: Authorization: Bearer KEY"
                raise HTTPException(401, wanted, {"WWW-Authenticate": "Bearer"})

    return check


class Api:
    """The routes and handlers of one service."""

    def __init__(self, service: Service, metrics: Metrics, key: str | None) -> None:
        self.service = service
        self.store = service.store
        self.metrics = metrics
        self.router = APIRouter(responses=DESCRIBED)
        keyed = [Depends(check_key(key))]
        for method, path, handler, model, needs_key in self._routes():
            self.router.add_api_route(
                path,
                handler,
                methods=[method],
                response_model=model,
                status_code={None: 204, bodies.RefitOut: 202}.get(model, 200),
                response_class=PlainTextResponse if model is str else JSONResponse,
                dependencies=keyed if needs_key else None,
                summary=(handler.__doc__ or "").split("\n")[0],
                description=handler.__doc__ or "",
            )

    def _routes(self) -> list[tuple[str, str, Callable[..., Any], Any, bool]]:
        """Return method, path, handler, response model, and whether the route needs the key."""
        user, item = "/api/users/{user_id}", "/api/items/{item_id}"
        return [
            ("GET", f"{user}/recommendations", self.recommendations, bodies.Recommendations, True),
            ("GET", f"{user}/predictions/{{item_id}}", self.prediction, bodies.PredictionOut, True),
            ("GET", f"{user}/ratings", self.ratings, bodies.RatingsOut, True),
            ("PUT", f"{user}/ratings/{{item_id}}", self.rate, bodies.RatingOut, True),
            ("DELETE", f"{user}/ratings/{{item_id}}", self.unrate, None, True),
            ("DELETE", user, self.forget, None, True),
            ("POST", "/api/ratings", self.rate_many, bodies.Kept, True),
            ("POST", "/api/recommendations", self.newcomer, bodies.NewUserRecommendations, False),
            ("GET", "/api/items", self.items, bodies.ItemsOut, False),
            ("GET", item, self.item, bodies.ItemOut, False),
            ("PUT", item, self.put_item, bodies.ItemOut, True),
            ("PUT", f"{item}/hidden", self.hide, None, True),
            ("DELETE", f"{item}/hidden", self.show, None, True),
            ("GET", f"{item}/similar", self.similar, bodies.SimilarItems, False),
            ("GET", f"{item}/audience", self.audience, bodies.Audience, True),
            ("GET", "/api/map", self.map, bodies.MapOut, False),
            ("GET", "/api/model", self.model, bodies.ModelOut, False),
            ("POST", "/api/refit", self.refit, bodies.RefitOut, True),
            ("GET", "/health/live", self.live, bodies.Health, False),
            ("GET", "/health/ready", self.ready, bodies.Health, False),
            ("GET", "/metrics", self.show_metrics, str, True),
        ]

    # ------------------------------------------------------------------------------------------ for users
    def recommendations(self, user_id: UserId, asked: Annotated[bodies.Asked, Query()]) -> Response:
        """Recommend items to a user. Their latest ratings are included."""
        who = self.store.parse("user", user_id)
        return as_list(self.service.recommend(who, n=asked.n, by=asked.by, **self._filters(asked)))

    def prediction(self, user_id: UserId, item_id: ItemId) -> Response:
        """Predict a user's rating of an item and explain it. The user's own rating of the item is not used."""
        prediction, why = self.service.predict(self.store.parse("user", user_id), self.store.parse("item", item_id))
        reasons, others = why.contributions[:3], why.contributions[3:]
        rest = sum(reason.contribution for reason in others)
        parts = {"base": why.base, "reasons": reasons, "other": rest, "clip": why.clip}
        return as_json(asdict(prediction) | parts)

    def ratings(self, user_id: UserId, asked: Annotated[bodies.Page, Query()]) -> Response:
        """List a user's ratings, the newest first."""
        start = (asked.page - 1) * asked.n
        rows = self.store.ratings_of(self.store.parse("user", user_id), start=start, n=asked.n + 1)
        told = [row._asdict() for row in rows[: asked.n]]
        return as_json({"ratings": told, "page": asked.page, "more": len(rows) > asked.n})

    def rate(self, user_id: UserId, item_id: ItemId, given: Annotated[bodies.Rating, Body()]) -> Response:
        """Store a user's rating of an item. It is durable when the response arrives; an unknown user is added."""
        user, item = self.store.parse("user", user_id), self.store.parse("item", item_id)
        self.store.rate(user, item, given.rating)
        self._count(1)
        return as_json({"user_id": user, "item_id": item, "rating": given.rating})

    def unrate(self, user_id: UserId, item_id: ItemId) -> Response:
        """Delete a user's rating of an item."""
        self.store.unrate(self.store.parse("user", user_id), self.store.parse("item", item_id))
        self._count(1)
        return Response(status_code=204)

    def rate_many(self, given: Annotated[bodies.RatingsIn, Body()]) -> Response:
        """Store ratings of several users, all or none. The last of repeated ratings counts."""
        kept = self.store.rate_many((row.user_id, row.item_id, row.rating) for row in given.ratings)
        self._count(kept)
        return as_json({"kept": kept})

    def forget(self, user_id: UserId) -> Response:
        """Erase a user and all their ratings.

        The user has no list and is in no audience at once. A refit starts within seconds and replaces every model
        that was fitted to their ratings.
        """
        self.store.forget(self.store.parse("user", user_id))
        return Response(status_code=204)

    def newcomer(self, given: Annotated[bodies.Newcomer, Body()]) -> Response:
        """Recommend items to a new user from ratings in the request. Nothing is stored.

        Rated items that the model does not know are ignored and listed under `unknown`. Without any usable rating the
        list consists of popular items.
        """
        ratings = {row.item_id: row.rating for row in given.ratings}
        filters = {"genres": given.genres, "years": given.years, "exclude": given.exclude}
        answers = self.service.recommend_newcomer(ratings, n=given.n, by=given.by, **filters)
        return as_list(answers, unknown=list(answers.unknown))

    # ------------------------------------------------------------------------------------------ of items
    def items(self, asked: Annotated[bodies.Search, Query()]) -> Response:
        """Find items by a part of the title, ignoring case and accents."""
        start = (asked.page - 1) * asked.n
        found = self.store.find_items(asked.query, genres=split(asked.genres), start=start, n=asked.n + 1)
        told = [item._asdict() for item in found[: asked.n]]
        return as_json({"items": told, "page": asked.page, "more": len(found) > asked.n})

    def item(self, item_id: ItemId) -> Response:
        """Return one item."""
        return as_json(self.service.item(self.store.parse("item", item_id))._asdict())

    def put_item(self, item_id: ItemId, given: Annotated[bodies.ItemIn, Body()]) -> Response:
        """Add an item, or change the given fields. It can be found and rated at once.

        A new item needs a title; it is recommended after the next refit.
        """
        known = self.store.parse("item", item_id)
        self.store.put_item(known, **given.model_dump(exclude_unset=True))
        return as_json(self.store.item(known)._asdict())

    def hide(self, item_id: ItemId) -> Response:
        """Hide an item from all lists and searches at once. Its ratings are kept."""
        self.store.set_hidden(self.store.parse("item", item_id), True)
        return Response(status_code=204)

    def show(self, item_id: ItemId) -> Response:
        """Show a hidden item again at once."""
        self.store.set_hidden(self.store.parse("item", item_id), False)
        return Response(status_code=204)

    def similar(self, item_id: ItemId, n: Annotated[bodies.N, Query()] = 10) -> Response:
        """List the items most similar to an item."""
        return as_list(self.service.similar(self.service.served.recommender.item_ids.parse(item_id), n))

    def audience(
        self, item_id: ItemId, n: Annotated[bodies.N, Query()] = 10, by: Annotated[bodies.AudienceBy, Query()] = None
    ) -> Response:
        """List the users with the highest scores for an item they have not rated, without reasons."""
        return as_list(self.service.audience(self.store.parse("item", item_id), n, by))

    def map(self, request: Request) -> Response:
        """Return the map: coordinates of every item as columns of equal length, the most rated item first."""
        chart = self.service.chart()
        return kept(request, chart.tag, *chart.json, "application/json")

    # ----------------------------------------------------------------------------------------- of service
    def model(self) -> Response:
        """Return the served model: parameters, data, age, and accuracy at the time of the fit."""
        version, rec = self.service.served[:2]
        last = self.service.versions.last_attempt()
        told = asdict(version) | {
            "version": version.number,
            "age_seconds": max(int(time.time()) - version.made_at, 0),
            "scale": list(rec.scale_),
            "ranker": rec.models_.ranker and settings_of(rec.models_.ranker),
            "rater": rec.models_.rater and settings_of(rec.models_.rater),
            "last_refit": last and asdict(last),
        }
        return as_json({name: told[name] for name in bodies.ModelOut.model_fields})

    def refit(self) -> Response:
        """Start a refit within seconds.

        If a refit is running, the new one starts after it. `version` and `last_refit` of `/api/model` change when it
        is done.
        """
        return as_json({"running": self.service.ask_refit()}, 202)

    def live(self) -> Response:
        """Report that the process is alive."""
        return as_json({"status": "ok"})

    def ready(self) -> Response:
        """Report whether a model is loaded and the store answers."""
        self.service.served  # noqa: B018
        self.store.about()
        return as_json({"status": "ok"})

    def show_metrics(self) -> Response:
        """Return the Prometheus metrics."""
        return Response(self.metrics.text(self.service), media_type="text/plain; version=0.0.4; charset=utf-8")

    def _count(self, changes: int) -> None:
        self.service.count(changes)
        self.metrics.ratings.inc(changes)

    def _filters(self, asked: bodies.Asked) -> dict[str, Any]:
        """Parse the filters of a query string."""
        left_out = [self.store.parse("item", text) for text in split(asked.exclude)]
        return {"genres": split(asked.genres) or None, "years": as_years(asked.years), "exclude": left_out or None}


def kept(
    request: Request, tag: str, body: bytes, packed: bytes, kind: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a cacheable response; answer 304 if the ETag matches."""
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding", **(headers or {})}
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=kind)
    return Response(body, headers=headers, media_type=kind)


def settings_of(model: Any) -> dict[str, Any]:
    """Return the name and the parameters of a model."""
    return {"model": type(model).__name__, **model.get_params()}


def split(text: str | None) -> list[str]:
    """Split at commas and strip blanks."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]


def as_years(text: str | None) -> tuple[int, int] | None:
    """Parse `1994` or `1990-1999`."""
    if text is None:
        return None
    first, dash, last = text.partition("-")
    if not all(part.isdecimal() and len(part) < 6 for part in (first, last if dash else first)):
        raise InputError(f"years={shorten(text)}: expected a year or two, such as 1990-1999.")
    return int(first), int(last if dash else first)
