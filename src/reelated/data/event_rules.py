"""The validation rules of events: their kind, repeats, heavy users, sessions and the time span."""

from collections.abc import Iterator
from datetime import UTC, datetime

import polars as pl

from reelated.data.context import PAIR, ValidationContext
from reelated.data.report import ValidationIssue
from reelated.errors import Advice, plural, shorten

SESSION_PAUSE = 1800
"""Seconds without an event of a user after which a new session begins."""
_HEAVY_RATIO, _HEAVY_EVENTS = 10, 500  # times the 99th percentile of the events of a user, and the minimum
_KINDS = {"counts": "The rows hold counts or weights", "events": "Each row is one event"}


def event_issues(context: ValidationContext) -> Iterator[ValidationIssue]:
    yield from _kind(context)
    for rule in (_not_positive, _repeats, _heavy_users, _one_user, _time_span):
        yield from rule(context)


def _kind(context: ValidationContext) -> Iterator[ValidationIssue]:
    message = f"{_KINDS[context.kind]}, not a rating: no rating is predicted."
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
    """Yield a warning for users with far more events than the others, which may be bots."""
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


def _one_user(context: ValidationContext) -> Iterator[ValidationIssue]:
    for code, one, others, action in (
        ("single_event", "user_id", "item_id", "keeps them; one item gives little information."),
        ("one_user_item", "item_id", "user_id", "keeps them; their similarities are based on one user."),
    ):
        counts = context.valid.group_by(one).agg(pl.col(others).n_unique().alias("n"), row=pl.col("row").min())
        single = counts.filter(pl.col("n") == 1).sort(one)
        if len(single):
            message = f"{plural(len(single), one[:4])} with one {others[:4]}."
            yield ValidationIssue(code, "note", len(single), message, action, f"{one}={shorten(single[one][0])}")
    for kind in ("user", "item"):
        if context.valid[f"{kind}_id"].n_unique() == 1:
            message = f"There is only one {kind}: a model cannot learn from differences between {kind}s."
            yield ValidationIssue(f"one_{kind}", "warning", 1, message, "keeps all of it.")


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
    """Return a date, or the number itself if it is no plausible time."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return str(seconds)
