"""Heuristics for data that looks odd but may be right: each issue gives its reason, and none stops reading."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import polars as pl

from reelated.data.context import PAIR, ValidationContext
from reelated.data.report import ValidationIssue
from reelated.errors import Advice, plural
from reelated.ratings.columns import RATING_ALIASES, plain

_UNITS = {"milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
_FIRST_YEAR = 1990
_MIN_RATINGS = 100  # minimum number of ratings for comparing the pauses between them
_PAUSE_RATIO = 20  # swapped columns are suspected if the pauses of users are this many times those of items


def outlier_ratings(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield a warning for ratings far from nearly all others, if no scale is given."""
    rating = context.valid["rating"].cast(pl.Float64)
    low, high = rating.quantile(0.01, "nearest"), rating.quantile(0.99, "nearest")
    if context.scale is not None or len(rating) < 20 or low is None or high is None or low == high:
        return
    span = high - low
    outliers = context.valid.filter(~rating.is_between(low - span, high + span))
    if len(outliers):
        message = (
            f"{plural(len(outliers), 'rating')} far from the others, 98 % of which lie from {low:g} to {high:g}. "
            "Unless they are counts, this may be a mistake, and it widens the scale."
        )
        action = Advice.KEEPS_OUTLIERS
        yield context.issue("stray_rating", "warning", outliers, message, action)


def implausible_times(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield a warning for implausible timestamps, with the unit in which most of them would be plausible."""
    if "timestamp" not in context.valid.columns:
        return
    next_year = datetime.now(UTC).year + 1
    first, last = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (_FIRST_YEAR, next_year + 1))
    yield from _future_times(context, last)
    odd = context.valid.filter(~pl.col("timestamp").is_between(first, last, closed="left"))
    if odd.is_empty():
        return
    message = f"{plural(len(odd), 'time')} before {_FIRST_YEAR} or after {next_year}, read as seconds since 1970."
    for unit, size in _UNITS.items():
        if 2 * int((odd["timestamp"] // size).is_between(first, last).sum()) > len(odd):
            message += f" As {unit} most of them would be plausible: divide them by {size:,}."
    yield context.issue("odd_time", "warning", odd, message, "keeps them; only their order within a user counts.")


def _future_times(context: ValidationContext, last: int) -> Iterator[ValidationIssue]:
    """Yield a warning for times after tomorrow and before `last`."""
    tomorrow = int(datetime.now(UTC).timestamp()) + 86_400
    future = context.valid.filter(pl.col("timestamp").is_between(tomorrow, last, closed="left"))
    if len(future):
        message = f"{plural(len(future), 'time')} in the future."
        action = "keeps them; only their order within a user counts."
        yield context.issue("future_time", "warning", future, message, action)


def swapped_ids(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield a warning, with reasons, if the user and item columns seem to be swapped."""
    valid = context.valid
    evidence = (_by_names(context.columns), _by_tables(valid, context.known_ids), _by_pauses(valid))
    if reasons := [reason for reason in evidence if reason]:
        message = f"The columns of users and items seem to be swapped: {'; and '.join(reasons)}."
        action = Advice.KEEPS_COLUMNS
        yield ValidationIssue("swapped_columns", "warning", len(valid), message, action)


def _by_names(columns: Mapping[str, str | None]) -> str:
    """Return a reason if a chosen column has a usual name of the other one."""
    for ours, other in (PAIR, PAIR[::-1]):
        theirs = str(columns.get(ours) or "")
        if plain(theirs) in (plain(other), *RATING_ALIASES[other]):
            return f"the column {theirs!r} is taken for {ours}"
    return ""


def _by_tables(valid: pl.DataFrame, known: Mapping[str, pl.Series]) -> str:
    """Return a reason if the ids match the item and user tables only when swapped."""
    users, items = (valid[name].unique() for name in PAIR)
    known_users, known_items = known.get("users"), known.get("items")
    n_missing = _count_missing(users, known_users) + _count_missing(items, known_items)
    n_swapped = _count_missing(users, known_items) + _count_missing(items, known_users)
    if 20 * n_missing > len(users) + len(items) and n_swapped * 10 <= n_missing:
        return f"{n_missing:,} ids are missing in the tables of items and users, and {n_swapped:,} after a swap"
    return ""


def _count_missing(ids: pl.Series, known: pl.Series | None) -> int:
    """Count the ids that a table lacks."""
    if known is None:
        return 0
    return len(ids) if ids.dtype != known.dtype else int((~ids.is_in(known.implode())).sum())


def _by_pauses(valid: pl.DataFrame) -> str:
    """Return a reason if the items seem to have sessions, as users have: one row shortly after another."""
    if "timestamp" not in valid.columns or len(valid) < _MIN_RATINGS:
        return ""
    user, item = (_median_pause(valid, name) for name in PAIR)
    if user is None or item is None or user < 3600 or item * _PAUSE_RATIO > user:
        return ""
    return (
        f"the median pause between two rows of the same item is {_format_duration(item)}, and between two of the same "
        f"user {_format_duration(user)}, although most users turn to several items in one session"
    )


def _median_pause(valid: pl.DataFrame, name: str) -> float | None:
    """Return the median time in seconds between consecutive ratings of the same user or item."""
    table = valid.select(name, "timestamp").drop_nulls().sort(name, "timestamp")
    pauses = table.select(pl.col("timestamp").diff().filter(pl.col(name) == pl.col(name).shift()))["timestamp"]
    return float(pauses.median()) if len(pauses) else None  # type: ignore[arg-type]


def _format_duration(seconds: float) -> str:
    """Format a duration in its largest unit."""
    for size, unit in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            return plural(round(seconds / size), unit)
    return plural(round(seconds), "second")
