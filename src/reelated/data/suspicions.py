"""Values in a table of ratings that may mean something else; each is a sentence for a note or an issue."""

from typing import Any, NamedTuple

import polars as pl

from reelated.errors import plural

_MIN_ROWS = 20
_MIN_SHARE = 0.02  # minimum distance of a sentinel from all other ratings
_MIN_ZEROS = 0.2  # a scale may begin at 0, so zeros must be frequent and far more frequent than any other rating
_HIGH_SENTINELS = (99.0, 999.0, 9999.0)


class Suspicion(NamedTuple):
    """A suspicion: its code, the message, the number of rows, and the value or column."""

    code: str
    message: str
    n_rows: int
    value: Any


def suspicions(ratings: pl.DataFrame, items: Any = None, scale: Any = None) -> list[Suspicion]:
    """Return the suspicious values in the tables of a source."""
    found = [] if scale is not None or "event" in ratings.columns else [_sentinel(ratings["rating"].drop_nulls())]
    found += [_odd_ids(ratings[name]) for name in ("user_id", "item_id")]
    if isinstance(items, pl.DataFrame) and "genres" in items.columns:
        found.append(_one_genre(items))
    return [suspicion for suspicion in found if suspicion is not None]


def _sentinel(rating: pl.Series) -> Suspicion | None:
    """Return the lowest or highest rating if it is frequent and far from the others."""
    if rating.is_empty() or (rating.min() > 0 and rating.max() not in _HIGH_SENTINELS):  # type: ignore[operator]
        return None
    counts = rating.value_counts().sort("rating")
    if len(rating) < _MIN_ROWS or len(counts) < 4:
        return None
    values, numbers = counts["rating"].to_list(), counts["count"].to_list()
    low, second, previous, high = values[0], values[1], values[-2], values[-1]
    below = low < 0 <= second and numbers[0] >= _MIN_SHARE * len(rating)
    zero = low == 0 and second >= 1 and numbers[0] >= _MIN_ZEROS * len(rating) and numbers[0] >= 1.5 * max(numbers[1:])
    above = high in _HIGH_SENTINELS and high - previous > previous - low
    if below or zero:
        value, count = low, numbers[0]
    elif above and numbers[-1] >= _MIN_SHARE * len(rating):
        value, count = high, numbers[-1]
    else:
        return None
    return Suspicion(
        "sentinel",
        f"{plural(count, 'rating')} of {value:g} stand apart and may mean that there is no rating",
        count,
        value,
    )


def _odd_ids(ids: pl.Series) -> Suspicion | None:
    """Return a suspicion if each row has the next number as its id, or if ids are in scientific notation."""
    if ids.dtype == pl.String:
        lost = ids.str.contains(r"^\d(?:[.,]\d+)?[eE]\+\d+$").fill_null(False)
        if 2 * int(lost.sum()) <= len(ids):
            return None
        message = f"{ids.name} such as {ids.filter(lost)[0]!r} have lost digits, as in a spreadsheet"
        return Suspicion("lost_digits", message, int(lost.sum()), ids.name)
    if ids.dtype != pl.Int64 or len(ids) < _MIN_ROWS:
        return None
    if not all(
        (rows.diff().drop_nulls() == 1).all() for rows in (ids[:_MIN_ROWS], ids)
    ):  # a few rows refute nearly all
        return None
    message = f"{ids.name} rises by 1 from row to row, as row numbers do"
    return Suspicion("row_numbers", message, len(ids), ids.name)


def _one_genre(items: pl.DataFrame) -> Suspicion | None:
    """Return a suspicion if nearly every item has its own single genre, as with an unknown separator."""
    if items["genres"].dtype != pl.List(pl.String):
        return None
    lists = items.filter(pl.col("genres").list.len() > 0)["genres"]
    if len(lists) < _MIN_ROWS // 2 or (lists.list.len() > 1).any():
        return None
    n_genres = lists.explode().n_unique()
    if n_genres < 5 or 2 * n_genres < len(lists):
        return None
    message = f"{len(lists):,} items have one genre each, and {n_genres:,} genres differ: the column may be no list"
    return Suspicion("one_genre", message, len(lists), "genres")
