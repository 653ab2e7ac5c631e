"""The visitor's list: recommendations with intervals, reasons and counterfactuals."""

from functools import lru_cache, partial
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.responses import Response

from reelated.errors import InputError, check_choice, shorten
from reelated.recommender import ItemRow, Prediction, Recommender
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.query import Query
from reelated.recommender.rows import Short, with_year
from reelated.store import UserRating
from reelated.web.api import as_years, split
from reelated.web.pages.site import Site, Visit, go
from reelated.web.pages.sums import Sum, add_up

STEP, MOST = 10, 100
LIKE_IT = 10
"""Number of similar items that are left out with a dismissed item."""


def add_to(site: Site) -> None:
    """Register these pages."""
    site.add("GET", "/list", partial(show, site))
    site.add("POST", "/dismiss", partial(dismiss, site))


class Taste(NamedTuple):
    """A visitor's ratings, the newest first, the same by item, and the dismissed items."""

    rated: list[UserRating]
    ratings: dict[Any, float]
    dismissed: list[Any]


class Row(NamedTuple):
    """One recommended item with its prediction and explanation."""

    item: ItemRow
    sure: Prediction | None  # None if the model predicts no ratings
    sum: Sum | None  # None if the item only fills up the list


class Listed(NamedTuple):
    """A list of recommendations, with the reason if it is short."""

    rows: list[Row]
    short: Short | None


class Asked(NamedTuple):
    """The query parameters of the list page."""

    genres: str = ""
    years: str = ""
    by: Any = "score"
    n: int = STEP
    without: str = ""
    of: str = ""

    def address(self, **changes: Any) -> str:
        """Return the address of the list with changed parameters; defaults are omitted."""
        told = self._asdict() | changes
        kept = {name: value for name, value in told.items() if value != self._field_defaults[name]}
        return "/list" + (f"?{urlencode(kept)}" if kept else "")


class Fall(NamedTuple):
    """The rank of an item with and without one rating; None means unranked."""

    title: str
    without: str
    rank: int | None
    new_rank: int | None


# ---------------------------------------------------------------------------------------------------------- the page
def show(site: Site, visit: Visit) -> Response:
    """Show the visitor's list."""
    asked, taste = asked_of(visit), taste_of(site, visit)
    rec = site.service.served.recommender
    without = site.store.parse("item", asked.without) if asked.without else None
    genres, decades = facets(rec.catalogue_)
    return site.draw(
        visit,
        "list",
        asked=asked,
        taste=taste,
        listed=make_list(rec, taste, asked, without),
        genres=genres,
        decades=decades,
        fall=fall_of(rec, taste, without, site.store.parse("item", asked.of), asked.by) if asked.of else None,
        dismissed=[(item_id, title_of(rec, item_id)) for item_id in taste.dismissed],
        most=MOST,
        step=STEP,
    )


def asked_of(visit: Visit) -> Asked:
    """Parse the query parameters of the list page."""
    told = {name: value for name, value in visit.query.items() if name in Asked._fields and value}
    check_choice("by", told.get("by", "score"), ("score", "rating"))
    n = check_count("n", told.pop("n", str(STEP)), MOST)
    return Asked(**told, n=n)


def check_count(name: str, text: str, most: int) -> int:
    """Parse a count from 1 to `most`."""
    if text.isdecimal() and len(text) < 6 and 1 <= int(text) <= most:
        return int(text)
    raise InputError(f"{name}={shorten(text)}: expected a number from 1 to {most}.")


@lru_cache(maxsize=2)
def facets(catalogue: Catalogue) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the genres, and the decades as pairs of filter value and label."""
    genres = sorted({genre for have in catalogue.genres for genre in have})
    begins = sorted({year // 10 * 10 for year in catalogue.years if year is not None}, reverse=True)
    return genres, [(f"{year}-{year + 9}", f"{year}s") for year in begins if year >= 0]


def dismiss(site: Site, visit: Visit) -> Response:
    """Dismiss an item for the visitor, or restore it."""
    item_id = site.store.parse("item", visit.form.get("item_id", ""))
    site.store.dismiss(visit.session.visitor_id, item_id, back="again" in visit.form)
    response = go(visit.form.get("back", ""), "/list")
    site.sessions.renew(visit.request, response, visit.session)
    return response


# ---------------------------------------------------------------------------------------------------------- the list
def taste_of(site: Site, visit: Visit) -> Taste:
    """Read the ratings and dismissed items of the visitor."""
    rated = site.store.visitor_ratings(visit.session.visitor_id)
    dismissed = site.store.dismissed(visit.session.visitor_id)
    return Taste(rated, {row.item_id: row.rating for row in rated}, dismissed)


def make_list(rec: Recommender, taste: Taste, asked: Asked | None = None, without: Any = None) -> Listed:
    """Return the visitor's list, optionally without one of their ratings (counterfactual)."""
    asked = asked or Asked()
    query = rec.new_user(known(rec, taste, without))
    left_out = dismissed_of(rec, taste)
    if without is not None and is_known(rec, without):
        left_out.add(without)
    found = rec.recommend(
        ratings=query,
        n=asked.n,
        by=asked.by,
        genres=split(asked.genres) or None,
        years=as_years(asked.years or None),
        exclude=left_out or None,
    )
    return Listed([_row(rec, query, item, asked.by) for item in found], found.short)


def _row(rec: Recommender, query: Query, item: ItemRow, by: Any) -> Row:
    sure = None if rec.models_.rater is None else rec.predict(None, item.item_id, ratings=query)
    if item.source == "popular":
        return Row(item, sure, None)
    return Row(item, sure, add_up(rec.explain(None, item.item_id, ratings=query, by=by, ranks=False)))


def is_known(rec: Recommender, item_id: Any) -> bool:
    """Return whether the model knows an item; items added after the fit are unknown."""
    return rec.item_ids.find(item_id) is not None


def known(rec: Recommender, taste: Taste, without: Any = None) -> dict[Any, float]:
    """Return the ratings of known items, clipped to the model's scale: the store's scale may be wider by now."""
    low, high, _ = rec.scale_
    return {
        item_id: min(max(rating, low), high)
        for item_id, rating in taste.ratings.items()
        if item_id != without and is_known(rec, item_id)
    }


def dismissed_of(rec: Recommender, taste: Taste) -> set[Any]:
    """Return the dismissed items and the items most similar to them."""
    dismissed = {item_id for item_id in taste.dismissed if is_known(rec, item_id)}
    return dismissed | {row.item_id for item_id in dismissed for row in rec.similar(item_id, n=LIKE_IT)}


def fall_of(rec: Recommender, taste: Taste, without: Any, item_id: Any, by: Any) -> Fall:
    """Return the rank of an item among all unrated ones, with and without one rating."""
    before, after = known(rec, taste), known(rec, taste, without)
    ranks = [rec.explain(None, item_id, ratings=given, by=by).rank for given in (before, after)]
    return Fall(title_of(rec, item_id), title_of(rec, without), *ranks)


def title_of(rec: Recommender, item_id: Any) -> str:
    """Return the title of an item with its year, or its id if the model does not know it."""
    at = rec.item_ids.find(item_id)
    return str(item_id) if at is None else with_year(rec.catalogue_.titles[at], rec.catalogue_.years[at])
