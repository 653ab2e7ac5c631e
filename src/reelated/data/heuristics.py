"""Heuristics for tables that look odd but may be correct: each states its reason, and none stops reading."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import polars as pl

from reelated.data.containers import HEAD_BYTES
from reelated.data.context import PAIR, ValidationContext
from reelated.data.json_reader import is_json
from reelated.data.layouts import MIN_WIDTH, matrix_width
from reelated.data.report import ValidationIssue
from reelated.data.text_layout import RATING_SPEC, SEPARATORS, ParseTrace, is_number, split_line
from reelated.data.text_parser import iter_rows
from reelated.errors import Advice, InputError, plural
from reelated.ratings.columns import ITEM_ALIASES, RATING_ALIASES, plain
from reelated.ratings.frames import as_polars

_KEEPS_TIMES = "keeps them; only their order within a user counts."
_FIRST_YEAR = 1990
_MIN_RATINGS = 100  # minimum number of ratings for a comparison of the pauses between them
_PAUSE_RATIO = 20  # swapped columns are suspected if the pauses of users are this many times those of items
_MIN_ROWS = 20
_MIN_SHARE = 0.02  # minimum distance of a sentinel from all other ratings
_MIN_ZEROS = 0.2  # minimum share of zeros that suggests missing ratings; fewer may be ratings on a scale from 0
_HIGH_SENTINELS = (99.0, 999.0, 9999.0)
_N_ROWS = 8
_EXPECTED = "Expected one row for each rating, with a user, an item and a rating"


# ------------------------------------------------------------------------------------------------- values and ids
def suspicions(ratings: pl.DataFrame, items: Any, scale: Any) -> list[ValidationIssue]:
    """Return a warning for each kind of value that may have another meaning, such as a missing rating."""
    found = [] if scale is not None or "event" in ratings.columns else [_sentinel(ratings["rating"].drop_nulls())]
    found += [_odd_ids(ratings[name]) for name in ("user_id", "item_id")]
    if isinstance(items, pl.DataFrame) and "genres" in items.columns:
        found.append(_one_genre(items))
    return [issue for issue in found if issue is not None]


def _sentinel(rating: pl.Series) -> ValidationIssue | None:
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
    message = f"{plural(count, 'rating')} of {value:g} stand apart and may mean that there is no rating"
    return ValidationIssue("sentinel", "warning", count, message, Advice.SENTINEL)


def _odd_ids(ids: pl.Series) -> ValidationIssue | None:
    """Return a suspicion if the ids look like row numbers, or if ids are in scientific notation."""
    if ids.dtype == pl.String:
        lost = ids.str.contains(r"^\d(?:[.,]\d+)?[eE]\+\d+$").fill_null(False)
        if 2 * int(lost.sum()) <= len(ids):
            return None
        message = f"{ids.name} such as {ids.filter(lost)[0]!r} have lost digits, as in a spreadsheet"
        return ValidationIssue(
            "lost_digits", "warning", int(lost.sum()), message, "takes them as text; export the ids as text."
        )
    if ids.dtype != pl.Int64 or len(ids) < _MIN_ROWS:
        return None
    # a few rows are enough to rule this out in nearly all tables
    if not all((rows.diff().drop_nulls() == 1).all() for rows in (ids[:_MIN_ROWS], ids)):
        return None
    message = f"{ids.name} rises by 1 from row to row, as row numbers do"
    return ValidationIssue("row_numbers", "warning", len(ids), message, Advice.KEEPS_COLUMNS)


def _one_genre(items: pl.DataFrame) -> ValidationIssue | None:
    """Return a suspicion if nearly every item has its own single genre, as with an unknown separator."""
    if items["genres"].dtype != pl.List(pl.String):
        return None
    lists = items.filter(pl.col("genres").list.len() > 0)["genres"]
    if len(lists) < _MIN_ROWS // 2 or (lists.list.len() > 1).any():
        return None
    n_genres = lists.explode().n_unique()
    if n_genres < 5 or 2 * n_genres < len(lists):
        return None
    message = f"{len(lists):,} items have one genre each, and {n_genres:,} genres differ: the column may not hold lists"
    return ValidationIssue("one_genre", "warning", len(lists), message, Advice.ONE_GENRE)


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
            "Unless these values are counts, they may be mistakes, and they widen the scale."
        )
        yield context.issue("stray_rating", "warning", outliers, message, Advice.KEEPS_OUTLIERS)


def implausible_times(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield a warning for implausible timestamps."""
    if "timestamp" not in context.valid.columns:
        return
    next_year = datetime.now(UTC).year + 1
    first, last = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (_FIRST_YEAR, next_year + 1))
    yield from _future_times(context, last)
    odd = context.valid.filter(~pl.col("timestamp").is_between(first, last, closed="left"))
    if odd.is_empty():
        return
    message = f"{plural(len(odd), 'time')} before {_FIRST_YEAR} or after {next_year}, read as seconds since 1970."
    yield context.issue("odd_time", "warning", odd, message, _KEEPS_TIMES)


def _future_times(context: ValidationContext, last: int) -> Iterator[ValidationIssue]:
    """Yield a warning for times after tomorrow and before `last`."""
    tomorrow = int(datetime.now(UTC).timestamp()) + 86_400
    future = context.valid.filter(pl.col("timestamp").is_between(tomorrow, last, closed="left"))
    if len(future):
        yield context.issue(
            "future_time", "warning", future, f"{plural(len(future), 'time')} in the future.", _KEEPS_TIMES
        )


def swapped_ids(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield a warning, with reasons, if the user and item columns seem to be swapped."""
    valid = context.valid
    evidence = (_by_names(context.columns), _by_tables(valid, context.known_ids), _by_pauses(valid))
    if reasons := [reason for reason in evidence if reason]:
        message = f"The columns of users and items seem to be swapped: {'; and '.join(reasons)}."
        yield ValidationIssue("swapped_columns", "warning", len(valid), message, Advice.KEEPS_COLUMNS)


def _by_names(columns: Mapping[str, str | None]) -> str:
    """Return a reason if the column of users has a usual name for items, or the reverse."""
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
    """Return a reason if the rows of an item, like those of a user, come in sessions: at short intervals."""
    if "timestamp" not in valid.columns or len(valid) < _MIN_RATINGS:
        return ""
    user, item = (_median_pause(valid, name) for name in PAIR)
    if user is None or item is None or user < 3600 or item * _PAUSE_RATIO > user:
        return ""
    return (
        f"the median pause between two rows of the same item is {_format_duration(item)}, and between two of the same "
        f"user {_format_duration(user)}, although most users have several items in one session"
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


# ----------------------------------------------------------------------------------------------------------- shape
def shape_issues(source: Any, trace: ParseTrace) -> Iterator[ValidationIssue]:
    """Yield a warning if a table looks like a matrix or looks transposed."""
    names, rows = _first_rows(source, trace)
    first_fields = {plain(text) for text in (*names[:1], *(row[0] for row in rows if row))}
    roles = sorted(name for name in RATING_SPEC.required if {plain(name), *RATING_ALIASES[name]} & first_fields)
    if len(roles) > 1 and len(rows) < _N_ROWS:
        message = f"The table seems to be transposed: the first fields of its rows are {', '.join(roles)}. {_EXPECTED}."
        action = "cannot transpose it; do so first, for example with polars: frame.transpose()."
        yield ValidationIssue("transposed", "warning", 1, message, action)
    elif (width := matrix_width(names, rows)) >= MIN_WIDTH:
        index = "user_id" if _has_no_header(names) else names[0][:60]
        by_item = plain(index) in (plain("item_id"), *RATING_ALIASES["item_id"])
        row, column = ("item", "user") if by_item else ("user", "item")
        message = (
            f"The table seems to be a matrix, a row for each {row} and a column for each {column}: {width:,} of its "
            f"columns have unknown names and contain only numbers. {_EXPECTED}."
        )
        yield ValidationIssue("matrix", "warning", width, message, Advice.STOPS_AT_MATRIX)


def unused_column_issues(names: Sequence[str], matched: Mapping[str, str]) -> Iterator[ValidationIssue]:
    """For a table without ratings, yield a note with the unread columns: one may hold ratings as words."""
    attributes = (name for aliases in ITEM_ALIASES.values() for name in aliases)
    known = {*map(plain, matched.values()), *attributes, *ITEM_ALIASES}
    unused = [name for name in names if plain(name) not in known]
    if unused and "rating" not in matched:
        listed = ", ".join(map(repr, unused[:5])) + ", …" * (len(unused) > 5)
        message = f"No column is recognised as ratings. Not used: {listed}."
        yield ValidationIssue("unused_columns", "note", len(unused), message, Advice.SKIPS_COLUMNS)


def _first_rows(source: Any, trace: ParseTrace) -> tuple[Sequence[str], list[list[str]]]:
    """Return the names and the first rows of a table as text."""
    if trace.layout is not None:
        first = islice(iter_rows(trace.text, trace.layout), _N_ROWS)
        return trace.layout.names, [row.fields for row in first if row.fields]
    if trace.text and not is_json(trace.text[:HEAD_BYTES]):
        lines = trace.text[:HEAD_BYTES].decode(errors="replace").splitlines()[:_N_ROWS]
        rows = [max((split_line(line, separator) for separator in SEPARATORS), key=len) for line in lines]
        return rows[0] if rows else (), rows[1:]
    with suppress(InputError):
        if isinstance(source, Mapping) or hasattr(source, "columns"):
            head = as_polars(source).head(_N_ROWS)
            return head.columns, [["" if value is None else str(value) for value in row] for row in head.rows()]
    return (), []


def _has_no_header(names: Sequence[str]) -> bool:
    """Return whether the column names are numbers, as in a file without a header."""
    return bool(names) and all(is_number(name) or name.startswith("column ") for name in names)
