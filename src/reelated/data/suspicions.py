"""Heuristics for data that looks odd but may be right: each finding gives its reason, and none stops reading."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Literal, TypeAlias

import polars as pl

from reelated.data.checkup import Finding
from reelated.errors import plural
from reelated.ratings import Scale
from reelated.ratings.frames import RATING_ALIASES, plain

Told: TypeAlias = tuple[str, Literal["warning"], pl.DataFrame, str, str]
_UNITS = {"milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_FIRST_YEAR = 1990
_ENOUGH = 100  # minimum number of ratings for comparing the pauses between them
_RHYTHM = 20  # swapped columns are suspected if the pauses of users are this many times those of items


def strays(sound: pl.DataFrame, scale: Scale | None) -> Iterator[Told]:
    """Yield the ratings far from nearly all others, if no scale is given."""
    rating = sound["rating"].cast(pl.Float64)
    low, high = rating.quantile(0.01, "nearest"), rating.quantile(0.99, "nearest")
    if scale is not None or len(sound) < 20 or low is None or high is None or low == high:
        return
    span = high - low
    far = sound.filter(~rating.is_between(low - span, high + span))
    if len(far):
        told = (
            f"{plural(len(far), 'rating')} far from the others, 98 % of which lie from {low:g} to {high:g}. Unless "
            "they are counts, this may be a slip, and it stretches the scale."
        )
        yield "stray_rating", "warning", far, told, "keeps them; scale=(low, high, step) refuses what is off it."


def out_of_time(sound: pl.DataFrame) -> Iterator[Told]:
    """Yield implausible timestamps, with the unit in which most of them would be plausible."""
    if "timestamp" not in sound.columns:
        return
    first, last = _sensible_times()
    odd = sound.filter(~pl.col("timestamp").is_between(first, last, closed="left"))
    if odd.is_empty():
        return
    told = f"{plural(len(odd), 'time')} before {_FIRST_YEAR} or after {_next_year()}, read as seconds since 1970."
    for unit, size in _UNITS.items():
        if 2 * int((odd["timestamp"] // size).is_between(first, last).sum()) > len(odd):
            told += f" As {unit} most of them would be sensible: divide them by {size:,}."
    yield "odd_time", "warning", odd, told, "keeps them; only their order within a user counts."


def _sensible_times() -> tuple[int, int]:
    """Return the range of plausible timestamps, in seconds since 1970."""
    first, last = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (_FIRST_YEAR, _next_year() + 1))
    return first, last


def swapped_times(sound: pl.DataFrame) -> Iterator[Finding]:
    """Yield a warning if the rating and timestamp columns seem to be swapped."""
    if "timestamp" not in sound.columns:
        return
    first, last = _sensible_times()
    like_times = sound["rating"].is_between(first, last)
    like_ratings = sound["timestamp"].is_between(-1000, 1000)
    if len(sound) and bool(like_times.all()) and bool(like_ratings.all()):
        told = "The columns of ratings and times may have changed places: all ratings would be sensible times."
        reading = "takes them as they are; columns={'rating': …, 'timestamp': …} says which is which."
        yield Finding("swapped_columns", "warning", len(sound), told, reading)


def _next_year() -> int:
    return datetime.now(UTC).year + 1


def swapped(
    sound: pl.DataFrame, known: Mapping[str, pl.Series], columns: Mapping[str, str | None]
) -> Iterator[Finding]:
    """Yield a warning, with reasons, if the user and item columns seem to be swapped."""
    reasons = [why for why in (_by_names(columns), _by_tables(sound, known), _by_rhythm(sound)) if why]
    if reasons:
        told = f"The columns of users and items may have changed places: {'; and '.join(reasons)}."
        reading = "takes them as they are; columns={'user_id': …, 'item_id': …} says which is which."
        yield Finding("swapped_columns", "warning", len(sound), told, reading)


def _by_names(columns: Mapping[str, str | None]) -> str:
    """Return a reason if a chosen column has a usual name of the other one."""
    for ours, other in (("user_id", "item_id"), ("item_id", "user_id")):
        theirs = columns.get(ours) or ""
        if plain(theirs) in (plain(other), *RATING_ALIASES[other]):
            return f"the column {theirs!r} is taken for {ours}"
    return ""


def _by_tables(sound: pl.DataFrame, known: Mapping[str, pl.Series]) -> str:
    """Return a reason if the ids match the item and user tables only when swapped."""
    ids = {name: sound[name].unique() for name in ("user_id", "item_id")}
    as_is = {name: _missing(ids[name], known.get(f"{name[:-3]}s")) for name in ids}
    other = {"user_id": _missing(ids["user_id"], known.get("items")),
             "item_id": _missing(ids["item_id"], known.get("users"))}  # fmt: skip
    lost, found = sum(as_is.values()), sum(other.values())
    if 20 * lost > len(ids["user_id"]) + len(ids["item_id"]) and found * 10 <= lost:
        return f"{lost:,} ids are missing in the tables of items and users, and {found:,} the other way round"
    return ""


def _missing(ids: pl.Series, known: pl.Series | None) -> int:
    """Count the ids that a table lacks."""
    if known is None:
        return 0
    return len(ids) if ids.dtype != known.dtype else int((~ids.is_in(known.implode())).sum())


def _by_rhythm(sound: pl.DataFrame) -> str:
    """Return a reason if the items seem to rate in sessions: users rate one item after another."""
    if "timestamp" not in sound.columns or len(sound) < _ENOUGH:
        return ""
    user, item = (_pause(sound, name) for name in ("user_id", "item_id"))
    if user is None or item is None or user < 3600 or item * _RHYTHM > user:
        return ""
    return (
        f"between two ratings of one item half the pauses are at most {_said(item)}, between two by one user "
        f"{_said(user)}, and it is people who rate many items in one sitting"
    )


def _pause(sound: pl.DataFrame, name: str) -> float | None:
    """Return the median time in seconds between consecutive ratings of the same user or item."""
    table = sound.select(name, "timestamp").drop_nulls().sort(name, "timestamp")
    pauses = table.select(pl.col("timestamp").diff().filter(pl.col(name) == pl.col(name).shift()))["timestamp"]
    return float(pauses.median()) if len(pauses) else None  # type: ignore[arg-type]


def _said(seconds: float) -> str:
    """Format a duration in its largest unit."""
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return plural(round(seconds / size), unit)
    return plural(round(seconds), "second")
