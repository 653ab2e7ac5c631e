"""The visitor's list: recommendations with intervals, reasons and counterfactuals."""

from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from reelated.errors import InputError, check_choice
from reelated.formatting import split_list, with_year
from reelated.recommender import ItemRow, Prediction, Recommender
from reelated.recommender.catalogue import Catalogue, parse_years
from reelated.recommender.query import Query, query_of_ratings
from reelated.recommender.rows import Truncation
from reelated.store import UserRating
from reelated.web.pages.breakdown import Breakdown, break_down
from reelated.web.pages.site import PageRequest, Site, redirect

PAGE_SIZE, MAX_ROWS = 10, 100
MAX_CELLS = 20_000
"""Maximum of a visitor's ratings × rows of the list, because the explanation of a row has a part for each rating."""
N_DISMISSED_WITH = 10
"""Number of similar items that are excluded along with a dismissed item."""


class VisitorProfile(NamedTuple):
    """A visitor's ratings, the newest first, the same ratings by item, and the dismissed items."""

    rated: list[UserRating]
    ratings: dict[Any, float]
    dismissed: list[Any]


class ListRow(NamedTuple):
    """One recommended item with its prediction and explanation."""

    item: ItemRow
    prediction: Prediction | None  # None if the model does not predict ratings
    breakdown: Breakdown | None  # None for a popular item that fills a short list


class VisitorList(NamedTuple):
    """A list of recommendations, with the reason if it is short."""

    rows: list[ListRow]
    short: Truncation | None


class ListQuery(NamedTuple):
    """The query parameters of the list page."""

    genres: str = ""
    years: str = ""
    by: Any = "score"
    n: int = PAGE_SIZE
    without: str = ""
    of: str = ""

    def address(self, **changes: Any) -> str:
        """Return the URL of the list with changed parameters; defaults are omitted."""
        params = self._asdict() | changes
        params = {name: value for name, value in params.items() if value != self._field_defaults[name]}
        return "/list" + (f"?{urlencode(params)}" if params else "")


class RankChange(NamedTuple):
    """The rank of an item with and without one rating (counterfactual); None: not ranked."""

    title: str
    without: str
    rank: int | None
    new_rank: int | None


def show(site: Site, request: PageRequest) -> Response:
    """Show the visitor's list."""
    query, profile = parse_query(request), visitor_profile(site, request)
    max_rows = min(max(MAX_CELLS // max(len(profile.rated), 1), PAGE_SIZE), MAX_ROWS)
    query = query._replace(n=min(query.n, max_rows))
    rec = site.service.served.recommender
    without = site.store.parse("item", query.without) if query.without else None
    change = rank_change(rec, profile, without, site.store.parse("item", query.of), query.by) if query.of else None
    genres, decades = facets(rec.catalogue_)
    listed = visitor_list(rec, profile, query, without)
    return site.render(
        request,
        "list",
        query=query,
        profile=profile,
        listed=listed,
        best=max((row.item.score or 0.0 for row in listed.rows), default=0.0),
        genres=genres,
        decades=decades,
        rank_change=change,
        dismissed=[(item_id, title_of(rec, item_id)) for item_id in profile.dismissed],
        max_rows=max_rows,
        page_size=PAGE_SIZE,
    )


def parse_query(request: PageRequest) -> ListQuery:
    params = {name: value for name, value in request.query.items() if name in ListQuery._fields and value}
    check_choice("by", params.get("by", "score"), ("score", "rating"))
    n = parse_count("n", params.pop("n", str(PAGE_SIZE)), MAX_ROWS)
    return ListQuery(**params, n=n)


def parse_count(name: str, text: str, largest: int) -> int:
    """Parse an integer from 1 to `largest`."""
    if text.isdecimal() and len(text) < 6 and 1 <= int(text) <= largest:
        return int(text)
    raise InputError(f"expected a number from 1 to {largest}.", parameter=name, value=text)


@lru_cache(maxsize=2)
def facets(catalogue: Catalogue) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the genres, and the decades as pairs of filter value and label."""
    genres = sorted({genre for item_genres in catalogue.genres for genre in item_genres})
    decades = sorted({year // 10 * 10 for year in catalogue.years if year is not None}, reverse=True)
    return genres, [(f"{year}-{year + 9}", f"{year}s") for year in decades if year >= 0]


def dismiss(site: Site, request: PageRequest) -> Response:
    """Dismiss an item for the visitor, or restore it."""
    item_id = site.store.parse("item", request.form.get("item_id", ""))
    site.store.dismiss(request.session.visitor_id, item_id, back="again" in request.form)
    response = redirect(request.form.get("back", ""), "/list")
    site.sessions.renew(request.http, response, request.session)
    return response


def visitor_profile(site: Site, request: PageRequest) -> VisitorProfile:
    """Read the ratings and dismissed items of the visitor."""
    rated = site.store.visitor_ratings(request.session.visitor_id)
    dismissed = site.store.dismissed(request.session.visitor_id)
    return VisitorProfile(rated, {row.item_id: row.rating for row in rated}, dismissed)


def visitor_list(
    rec: Recommender, profile: VisitorProfile, query: ListQuery | None = None, without: Any = None
) -> VisitorList:
    """Return the visitor's list, optionally without one of their ratings (counterfactual)."""
    query = query or ListQuery()
    user = query_of_ratings(known_ratings(rec, profile, without), rec)
    excluded = dismissed_items(rec, profile)
    if without is not None and is_known(rec, without):
        excluded.add(without)
    answers = rec.recommend(
        ratings=user,
        n=query.n,
        by=query.by,
        genres=split_list(query.genres) or None,
        years=parse_years(query.years or None),
        exclude=excluded or None,
    )
    return VisitorList([_row(rec, user, item, query.by) for item in answers], answers.short)


def _row(rec: Recommender, user: Query, item: ItemRow, by: Any) -> ListRow:
    prediction = None if rec.models_.rater is None else rec.predict(None, item.item_id, ratings=user)
    if item.source == "popular":
        return ListRow(item, prediction, None)
    explanation = rec.explain(None, item.item_id, ratings=user, by=by, ranks=False)
    return ListRow(item, prediction, break_down(explanation))


def is_known(rec: Recommender, item_id: Any) -> bool:
    """Return whether the model knows an item; it does not know items added after the fit."""
    return rec.item_ids.find(item_id) is not None


def known_ratings(rec: Recommender, profile: VisitorProfile, without: Any = None) -> dict[Any, float]:
    """Return the ratings of items in the model, clipped to its scale: the store's scale may be wider by now."""
    low, high, _ = rec.scale_
    return {
        item_id: min(max(rating, low), high)
        for item_id, rating in profile.ratings.items()
        if item_id != without and is_known(rec, item_id)
    }


def dismissed_items(rec: Recommender, profile: VisitorProfile) -> set[Any]:
    """Return the dismissed items and the items most similar to them."""
    dismissed = {item_id for item_id in profile.dismissed if is_known(rec, item_id)}
    return dismissed | {row.item_id for item_id in dismissed for row in rec.similar(item_id, n=N_DISMISSED_WITH)}


def rank_change(rec: Recommender, profile: VisitorProfile, without: Any, item_id: Any, by: Any) -> RankChange:
    """Return the rank of an item among all unrated ones, with and without one rating."""
    before, after = known_ratings(rec, profile), known_ratings(rec, profile, without)
    ranks = [rec.explain(None, item_id, ratings=ratings, by=by).rank for ratings in (before, after)]
    return RankChange(title_of(rec, item_id), title_of(rec, without), *ranks)


def title_of(rec: Recommender, item_id: Any) -> str:
    """Return the title of an item with its year, or its id if the model does not know it."""
    item = rec.item_ids.find(item_id)
    return str(item_id) if item is None else with_year(rec.catalogue_.titles[item], rec.catalogue_.years[item])
