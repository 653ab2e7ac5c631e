"""What looks odd and may be right all the same: each suspicion says why it is one, and none of them stops anything."""

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
_ENOUGH = 100  # ratings, before anything is said of the rhythm in which people rate
_RHYTHM = 20


def strays(sound: pl.DataFrame, scale: Scale | None) -> Iterator[Told]:
    """Yield the ratings that lie far from nearly all others, where no scale says that they may."""
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
    """Yield times that nobody can have rated at."""
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
    """Return from when until when, in seconds since 1970, people can have rated."""
    first, last = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (_FIRST_YEAR, _next_year() + 1))
    return first, last


def swapped_times(sound: pl.DataFrame) -> Iterator[Finding]:
    """Yield the suspicion that ratings stand in the column of times, and times in that of ratings."""
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
    """Yield the suspicion that the columns of users and movies have changed places, with the reasons for it."""
    reasons = [why for why in (_by_names(columns), _by_tables(sound, known), _by_rhythm(sound)) if why]
    if reasons:
        told = f"The columns of users and movies may have changed places: {'; and '.join(reasons)}."
        reading = "takes them as they are; columns={'user_id': …, 'movie_id': …} says which is which."
        yield Finding("swapped_columns", "warning", len(sound), told, reading)


def _by_names(columns: Mapping[str, str | None]) -> str:
    """Say so if a column chosen for one of the two has a usual name of the other."""
    for ours, other in (("user_id", "movie_id"), ("movie_id", "user_id")):
        theirs = columns.get(ours) or ""
        if plain(theirs) in (plain(other), *RATING_ALIASES[other]):
            return f"the column {theirs!r} is taken for {ours}"
    return ""


def _by_tables(sound: pl.DataFrame, known: Mapping[str, pl.Series]) -> str:
    """Say so if the ids are found in the tables of movies and users only the other way round."""
    ids = {name: sound[name].unique() for name in ("user_id", "movie_id")}
    as_is = {name: _missing(ids[name], known.get(f"{name[:-3]}s")) for name in ids}
    other = {"user_id": _missing(ids["user_id"], known.get("movies")),
             "movie_id": _missing(ids["movie_id"], known.get("users"))}  # fmt: skip
    lost, found = sum(as_is.values()), sum(other.values())
    if 20 * lost > len(ids["user_id"]) + len(ids["movie_id"]) and found * 10 <= lost:
        return f"{lost:,} ids are missing in the tables of movies and users, and {found:,} the other way round"
    return ""


def _missing(ids: pl.Series, known: pl.Series | None) -> int:
    """Count the ids that a table does not have."""
    if known is None:
        return 0
    return len(ids) if ids.dtype != known.dtype else int((~ids.is_in(known.implode())).sum())


def _by_rhythm(sound: pl.DataFrame) -> str:
    """Say so if it is movies that are rated in one sitting: people rate one movie after another."""
    if "timestamp" not in sound.columns or len(sound) < _ENOUGH:
        return ""
    user, movie = (_pause(sound, name) for name in ("user_id", "movie_id"))
    if user is None or movie is None or user < 3600 or movie * _RHYTHM > user:
        return ""
    return (
        f"between two ratings of one movie half the pauses are at most {_said(movie)}, between two by one user "
        f"{_said(user)}, and it is people who rate many movies in one sitting"
    )


def _pause(sound: pl.DataFrame, name: str) -> float | None:
    """Return the median time between one rating and the next of the same user or movie."""
    table = sound.select(name, "timestamp").drop_nulls().sort(name, "timestamp")
    pauses = table.select(pl.col("timestamp").diff().filter(pl.col(name) == pl.col(name).shift()))["timestamp"]
    return float(pauses.median()) if len(pauses) else None  # type: ignore[arg-type]


def _said(seconds: float) -> str:
    """Say a time as people do."""
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return plural(round(seconds / size), unit)
    return plural(round(seconds), "second")
