"""`Taste`: a comparison of a set of ratings with those of all users, and a link that contains the ratings."""

import base64
import binascii
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from reelated.errors import InputError
from reelated.formatting import with_year
from reelated.recommender import Recommender
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.query import Query

MAX_GENRES, MAX_TELLING = 10, 6
MAX_SHARED = 150
"""Ratings in a link, the latest ones: browsers and messengers cut longer links."""
MAX_TEXT, MAX_JSON = 4_000, 40_000
MIN_EXAMPLE, MAX_EXAMPLE = 4, 6
EXAMPLES = (
    ("a horror fan", ("Horror",), None),
    ("a parent", ("Children's", "Children", "Family", "Animation"), None),
    ("a student of the nineties", (), (1990, 1999)),
)
"""Example visitors: name, genres and years."""


class Share(NamedTuple):
    """The share of a genre or decade in some ratings and in all ratings, in per cent."""

    name: str
    own: float
    all: float
    mean: float | None  # the owner's mean rating; None for implicit feedback


class Telling(NamedTuple):
    """A rated item, with the rating that the other ratings predict."""

    item_id: Any
    title: str
    rating: float
    expected: float


class Taste(NamedTuple):
    """The taste profile of a set of ratings."""

    genres: list[Share]
    decades: list[Share]
    telling: list[Telling]  # the largest difference first


def taste_of(rec: Recommender, query: Query) -> Taste:
    """Compare the ratings of a user with those of all users."""
    items, ratings = query.row.indices, query.row.data
    names = _names(rec.catalogue_)
    all_genres, all_decades = _shares(rec.catalogue_)
    groups = zip(("genres", "decades"), (all_genres, all_decades), strict=True)
    genres, decades = (_compare(items, ratings, names[kind], everyone) for kind, everyone in groups)
    genres.sort(key=lambda share: (-abs(share.own - share.all), share.name))
    return Taste(genres[:MAX_GENRES], sorted(decades), _telling(rec, query))


@lru_cache(maxsize=2)
def _names(catalogue: Catalogue) -> dict[str, list[tuple[str, ...]]]:
    """Return the genres and the decade of each item."""
    decades: list[tuple[str, ...]] = [() if year is None else (f"{year // 10 * 10}s",) for year in catalogue.years]
    return {"genres": catalogue.genres, "decades": decades}


@lru_cache(maxsize=2)
def _shares(catalogue: Catalogue) -> tuple[dict[str, float], dict[str, float]]:
    """Return the share of each genre and decade in the ratings of all users, in per cent."""
    genres: Counter[str] = Counter()
    decades: Counter[str] = Counter()
    names = _names(catalogue)
    for counter, of in ((genres, names["genres"]), (decades, names["decades"])):
        for names_of_item, count in zip(of, catalogue.counts.tolist(), strict=True):
            counter.update(dict.fromkeys(names_of_item, count))
    total = max(int(catalogue.counts.sum()), 1)
    return tuple({name: 100 * n / total for name, n in counter.items()} for counter in (genres, decades))  # type: ignore[return-value]


def _compare(items: Any, ratings: Any, names: list[tuple[str, ...]], everyone: Mapping[str, float]) -> list[Share]:
    values: dict[str, list[float]] = {}
    for item, rating in zip(items.tolist(), ratings.tolist(), strict=True):
        for name in names[item]:
            values.setdefault(name, []).append(rating)
    n = max(len(items), 1)
    return [
        Share(name, 100 * len(own) / n, everyone.get(name, 0.0), sum(own) / len(own)) for name, own in values.items()
    ]


def _telling(rec: Recommender, query: Query) -> list[Telling]:
    """Return the items whose rating differs most from what the other ratings predict."""
    items = query.row.indices
    if rec.models_.rater is None or len(items) < 2:
        return []
    expected = rec.engine.numbers(query.rows, np.zeros(len(items), np.int32), items, "rating").ratings
    largest = np.argsort(-np.abs(query.row.data - expected), kind="stable")[:MAX_TELLING]
    catalogue = rec.catalogue_
    return [
        Telling(
            rec.item_ids[item],
            with_year(catalogue.titles[item], catalogue.years[item]),
            float(query.row.data[at]),
            float(expected[at]),
        )
        for at, item in zip(largest.tolist(), items[largest].tolist(), strict=True)
    ]


def pack(ratings: Mapping[Any, float]) -> str:
    """Return ratings as the text of a link."""
    pairs = json.dumps(list(ratings.items())[:MAX_SHARED], separators=(",", ":"))
    return base64.urlsafe_b64encode(zlib.compress(pairs.encode(), 9)).decode().rstrip("=")


def unpack(text: str) -> dict[Any, float]:
    """Return the ratings in the text of a link, or raise `InputError`."""
    try:
        if len(text) > MAX_TEXT:
            raise ValueError("too long")
        packed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        pairs = json.loads(zlib.decompressobj().decompress(packed, MAX_JSON))
        ratings = {item_id: float(rating) for item_id, rating in pairs}
        if not 0 < len(ratings) <= MAX_SHARED or not all(type(item_id) in (int, str) for item_id in ratings):
            raise ValueError("no ratings, or more than a link holds")
    except (ValueError, TypeError, zlib.error, binascii.Error, RecursionError):
        raise InputError("This link is damaged: it does not hold any ratings.") from None
    return ratings


@lru_cache(maxsize=2)
def _examples(catalogue: Catalogue, high: float) -> tuple[tuple[str, str], ...]:
    return tuple(_examples_of(catalogue, high))


def _examples_of(catalogue: Catalogue, high: float) -> Iterator[tuple[str, str]]:
    """Yield the name and the packed ratings of each example: the best-known items of its genres and years."""
    for name, genres, years in EXAMPLES:
        found = []
        for item in catalogue.by_popularity.tolist():
            year = catalogue.years[item]
            fits_years = years is None or (year is not None and years[0] <= year <= years[1])
            if catalogue.shown[item] and fits_years and (not genres or set(genres) & set(catalogue.genres[item])):
                found.append(catalogue.item_ids[item])
            if len(found) == MAX_EXAMPLE:
                break
        if len(found) >= MIN_EXAMPLE:
            yield name, pack(dict.fromkeys(found, high))


def examples(rec: Recommender) -> tuple[tuple[str, str], ...]:
    """Return the examples that are possible with this data, as pairs of name and packed ratings."""
    return _examples(rec.catalogue_, rec.scale_.high)
