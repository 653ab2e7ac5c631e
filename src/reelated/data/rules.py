"""The validation rules: functions from the tables of a source to issues."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import polars as pl

from reelated.data.context import INFINITE, MISSING, OFF_SCALE, PAIR, ValidationContext
from reelated.data.heuristics import implausible_times, outlier_ratings, suspicions, swapped_ids
from reelated.data.report import Severity, ValidationIssue
from reelated.errors import Advice, plural, shorten

SESSION_PAUSE = 1800
"""Seconds without an event of a user after which a new session begins."""
_HEAVY_RATIO, _HEAVY_EVENTS = 10, 500  # as a multiple of the 99th percentile of the events per user, and the minimum


def rating_issues(context: ValidationContext) -> Iterator[ValidationIssue]:
    yield from _invalid_rows(context)
    if context.valid.is_empty():
        yield ValidationIssue("no_ratings", "error", 1, "There are no ratings.", "stops here.")
        return
    for note in context.tables.notes:
        yield ValidationIssue("assumed", "note", 1, f"{_capitalised(note)}.", "applies this.")
    for issue in suspicions(context.valid, context.tables.side_tables.get("items"), context.scale):
        yield replace(issue, message=f"{_capitalised(issue.message)}.")
    for rule in (*(_EVENT_RULES if context.is_events else _RATING_RULES), implausible_times):
        yield from rule(context)


def _capitalised(sentence: str) -> str:
    """Capitalise a sentence, unless it begins with the name of a file."""
    return sentence if re.match(r"\S+[._]\S*:", sentence) else sentence[0].upper() + sentence[1:]


def _invalid_rows(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield issues for rows that parsed but are not valid ratings."""
    severity, action = invalid_action(context.invalid)
    for code, fault, description in (
        ("missing_field", MISSING, MISSING),
        ("unreadable_field", INFINITE, f"with {INFINITE}"),
        ("off_scale", OFF_SCALE, f"with {OFF_SCALE}, which is {context.scale}"),
    ):
        rows = context.rows.filter(pl.col("fault") == fault)
        if len(rows):
            yield context.issue(code, severity, rows, f"{plural(len(rows), 'row')} {description}.", action)


def invalid_action(invalid: str) -> tuple[Severity, str]:
    """Return the severity of an invalid row, and what `read` does about it."""
    if invalid == "drop":
        return "warning", "drops them."
    return "error", Advice.STOPS_AT_ROWS


def _repeated_ratings(context: ValidationContext) -> Iterator[ValidationIssue]:
    n_repeated = len(context.valid) - context.n_pairs
    if not n_repeated:
        return
    repeated = context.valid.filter(pl.struct(PAIR).is_duplicated())
    n_values = repeated.group_by(PAIR).agg(pl.col("rating").n_unique())["rating"]
    different = f"{plural(int((n_values > 1).sum()), 'pair')} of user and item with different ratings"
    message = f"{plural(n_repeated, 'repeated rating')} of an item by the same user; {different}."
    severity: Severity = "warning"
    action = f"keeps the {context.duplicates}."
    if context.duplicates == "error":
        severity, action = "error", Advice.STOPS_AT_DUPLICATES
    later = repeated.filter(~pl.struct(PAIR).is_first_distinct())
    yield context.issue("repeated_rating", severity, later, message, action)


def _scale(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield a note if the scale is only the observed range, and a warning for ratings between its steps."""
    if context.scale is None:
        message = "No scale is given: it runs from the lowest to the highest observed rating."
        yield ValidationIssue("observed_scale", "note", 1, message, Advice.OBSERVES_SCALE)
        return
    low, _, step = context.scale
    steps = (pl.col("rating").cast(pl.Float64) - low) / step
    between = context.valid.filter((steps - steps.round()).abs() > 1e-4)
    if len(between):
        message = f"{plural(len(between), 'rating')} between the steps of the scale, {context.scale}."
        yield context.issue("between_steps", "warning", between, message, "keeps them as they are.")


def _mixed_ids(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield an issue for each id column that mixes integers and text."""
    for name in PAIR:
        ids = context.valid[name].unique()
        if ids.dtype != pl.String:
            continue
        is_integer = pl.col(name).cast(pl.Int64, strict=False).cast(pl.String).eq_missing(pl.col(name))
        n_integers = int(ids.to_frame().select(is_integer.sum()).item())
        n_texts = len(ids) - n_integers
        n_rarer = min(n_integers, n_texts)
        if n_rarer:
            message = (
                f"The column {name} mixes {plural(n_integers, 'whole number')} with {plural(n_texts, 'text')}. "
                "A few values of the other kind are often a mistake, such as a total at the end or a shifted column."
            )
            rows = context.valid.filter(is_integer if n_integers <= n_texts else ~is_integer)
            severity: Severity = "warning" if n_rarer * 10 <= len(ids) else "note"
            yield context.issue("mixed_ids", severity, rows, message, "takes all of them as text.", n_rarer)


def _little_information(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield notes on users and items with little information."""
    rating = pl.col("rating")
    users = context.valid.group_by("user_id").agg(n=pl.len(), same=rating.min() == rating.max()).sort("user_id")
    items = context.valid.group_by("item_id").agg(n=pl.len()).sort("item_id")
    constant = users.filter((pl.col("n") > 1) & pl.col("same"))
    if context.valid["rating"].n_unique() == 1:  # `_one_value` reports this once for the whole table
        constant = constant.clear()
    once = pl.col("n") == 1
    for code, table, description, action in (
        ("single_rating", users.filter(once), "with one rating", "keeps them; one rating gives little information."),
        ("all_alike", constant, "whose ratings are all the same", "keeps them; they show no preference."),
        ("rated_once", items.filter(once), "with one rating", "keeps them; their similarities are based on one user."),
    ):
        if len(table):
            name = table.columns[0]
            message = f"{plural(len(table), name[:4])} {description}."
            yield ValidationIssue(code, "note", len(table), message, action, f"{name}={shorten(table[name][0])}")


def _one_value(context: ValidationContext) -> Iterator[ValidationIssue]:
    if context.kind == "constant":
        message = f"Every rating is {context.valid['rating'][0]:g}: the ratings do not show which items users like."
        yield ValidationIssue("one_value", "warning", len(context.valid), message, "keeps them; predicts no ratings.")


def _one_user_or_item(context: ValidationContext) -> Iterator[ValidationIssue]:
    for kind in ("user", "item"):
        if context.valid[f"{kind}_id"].n_unique() == 1:
            message = f"There is only one {kind}: a model cannot learn from differences between {kind}s."
            yield ValidationIssue(f"one_{kind}", "warning", 1, message, "keeps all of it.")


# ---------------------------------------------------------------------------------------------------------- events
def _kind(context: ValidationContext) -> Iterator[ValidationIssue]:
    kind = "The rows hold counts or weights" if context.kind == "counts" else "Each row is one event"
    message = f"{kind}, not a rating: no rating is predicted."
    yield ValidationIssue("events", "note", len(context.valid), message, Advice.SUMS_EVENTS)


def _not_positive(context: ValidationContext) -> Iterator[ValidationIssue]:
    zero = context.valid.filter(pl.col("rating") == 0)
    below = context.valid.filter(pl.col("rating") < 0)
    if len(zero):
        yield context.issue("zero_weight", "note", zero, f"{plural(len(zero), 'event')} of weight 0.", "ignores them.")
    if len(below):
        message = f"{plural(len(below), 'event')} with a weight below 0: the user is not interested in the item."
        yield context.issue("not_interested", "note", below, message, "keeps them; the items are not recommended.")
    if len(zero) + len(below) == len(context.valid):
        yield ValidationIssue("no_ratings", "error", 1, "No event has a weight above 0.", "stops here.")


def _repeats(context: ValidationContext) -> Iterator[ValidationIssue]:
    if n_repeated := len(context.valid) - context.n_pairs:
        later = context.valid.filter(~pl.struct(PAIR).is_first_distinct())
        message = f"{plural(n_repeated, 'repeated event')} of a user with the same item."
        yield context.issue("repeated_event", "note", later, message, "sums their weights.")


def _heavy_users(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield a warning for users with far more events than the others: they may be bots."""
    users = context.valid.group_by("user_id").len("n").sort("n", "user_id", descending=[True, False])
    usual = users["n"].median() if len(users) < 100 else users["n"].quantile(0.99, "nearest")
    heavy = users.filter((pl.col("n") >= _HEAVY_EVENTS) & (pl.col("n") > _HEAVY_RATIO * pl.lit(usual)))
    if len(heavy):
        share = heavy["n"].sum() / len(context.valid)
        message = (
            f"{plural(len(heavy), 'user')} with more than {_HEAVY_RATIO} times the events of nearly all others, "
            f"{share:.1%} of all events; they may be bots."
        )
        example = f"user_id={shorten(heavy['user_id'][0])}, {heavy['n'][0]:,} events"
        yield ValidationIssue("heavy_user", "warning", len(heavy), message, "keeps them.", example)


def _single_events(context: ValidationContext) -> Iterator[ValidationIssue]:
    for code, one, others, action in (
        ("single_event", "user_id", "item_id", "keeps them; one item gives little information."),
        ("one_user_item", "item_id", "user_id", "keeps them; their similarities are based on one user."),
    ):
        counts = context.valid.group_by(one).agg(pl.col(others).n_unique().alias("n"), row=pl.col("row").min())
        single = counts.filter(pl.col("n") == 1).sort(one)
        if len(single):
            message = f"{plural(len(single), one[:4])} with one {others[:4]}."
            yield ValidationIssue(code, "note", len(single), message, action, f"{one}={shorten(single[one][0])}")


def _time_span(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield a note on the time span and the number of sessions."""
    if "timestamp" not in context.valid.columns:
        return
    times = context.valid.select("user_id", "timestamp").drop_nulls().sort("user_id", "timestamp")
    if times.is_empty():
        return
    pause = (pl.col("timestamp") - pl.col("timestamp").shift()) > SESSION_PAUSE
    starts = (pl.col("user_id") != pl.col("user_id").shift()) | pause
    n_sessions = int(times.select(starts.fill_null(True).sum()).item())
    first, last = (_day(int(end)) for end in (times["timestamp"].min(), times["timestamp"].max()))  # type: ignore[arg-type]
    message = (
        f"Events from {first} to {last}, in {plural(n_sessions, 'session')} of {len(times) / n_sessions:.1f} events on "
        f"average; a session ends after {SESSION_PAUSE // 60} minutes without an event."
    )
    yield ValidationIssue("time_span", "note", n_sessions, message, "uses the order of the events of a user.")


def _day(seconds: int) -> str:
    """Return a date, or the number itself if it is not a plausible time."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return str(seconds)


_RATING_RULES = (
    *(_repeated_ratings, _scale, _mixed_ids, _little_information, _one_value, _one_user_or_item, swapped_ids),
    outlier_ratings,
)
_EVENT_RULES = (
    *(_kind, _not_positive, _repeats, _heavy_users, _single_events, _one_user_or_item, _time_span, _mixed_ids),
    swapped_ids,
)


def side_table_issues(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield the issues of the tables of items and users."""
    if context.valid.is_empty():
        return
    for kind in ("items", "users"):
        if kind in context.tables.side_tables and (error := context.mismatch(kind)):
            yield ValidationIssue(f"unreadable_{kind}", "error", 1, str(error), "stops here.", error=error)
    for kind, ids in context.known_ids.items():
        yield from _unmatched_ids(kind[:-1], ids, context.valid[f"{kind[:-1]}_id"])


def _unmatched_ids(kind: str, known: pl.Series, rated: pl.Series) -> Iterator[ValidationIssue]:
    """Yield issues for ids that only one of two tables contains."""
    ids = rated.unique().sort()
    is_item = kind == "item"
    unknown = ids.filter(~ids.is_in(known.implode()))
    if len(unknown):
        count = int(rated.is_in(unknown.implode()).sum())
        message = (
            f"{plural(count, 'rating')} {'of' if is_item else 'by'} {plural(len(unknown), kind)} not in the table of "
            f"{kind}s."
        )
        action = "keeps them; the id is the title." if is_item else "keeps them."
        example = f"{kind}_id={shorten(unknown[0])}"
        yield ValidationIssue(f"unknown_{kind}", "warning", count, message, action, example)
    unrated = known.filter(~known.is_in(ids.implode())).sort()
    if len(unrated):
        message = f"{plural(len(unrated), kind)} without ratings."
        action = "keeps them; only their genres and year are used." if is_item else "keeps them."
        code = "unrated_item" if is_item else "silent_user"
        yield ValidationIssue(code, "note", len(unrated), message, action, f"{kind}_id={shorten(unrated[0])}")
