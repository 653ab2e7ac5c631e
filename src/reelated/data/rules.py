"""The validation rules: functions from the tables of a source to issues."""

import re
from collections.abc import Iterator

import polars as pl

from reelated.data.context import INFINITE, MISSING, OFF_SCALE, PAIR, ValidationContext
from reelated.data.event_rules import event_issues
from reelated.data.heuristics import implausible_times, outlier_ratings, swapped_ids
from reelated.data.report import Severity, ValidationIssue
from reelated.data.suspicions import suspicions
from reelated.errors import Advice, plural, shorten


def rating_issues(context: ValidationContext) -> Iterator[ValidationIssue]:
    yield from _invalid_rows(context)
    if context.valid.is_empty():
        yield ValidationIssue("no_ratings", "error", 1, "There are no ratings.", "stops here.")
        return
    for note in context.tables.notes:
        yield ValidationIssue("assumed", "note", 1, f"{_capitalised(note)}.", "applies this.")
    yield from _suspicions(context)
    if context.is_events:
        for rule in (event_issues, _mixed_ids, swapped_ids, implausible_times):
            yield from rule(context)
        return
    rules = (_repeated_ratings, _scale, _mixed_ids, _little_information, _no_variety)
    for rule in (*rules, swapped_ids, outlier_ratings, implausible_times):
        yield from rule(context)


def _capitalised(sentence: str) -> str:
    """Capitalise a sentence, unless it begins with the name of a file."""
    return sentence if re.match(r"\S+[._]\S*:", sentence) else sentence[0].upper() + sentence[1:]


def _suspicions(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield warnings for values that may mean something else."""
    advice = {
        "sentinel": Advice.SENTINEL,
        "row_numbers": Advice.KEEPS_COLUMNS,
        "one_genre": Advice.ONE_GENRE,
        "lost_digits": "takes them as text; export the ids as text.",
    }
    found = suspicions(context.valid, context.tables.side_tables.get("items"), context.scale)
    for code, message, count, _ in found:
        yield ValidationIssue(code, "warning", count, f"{_capitalised(message)}.", advice[code])


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
    """Yield a note if the scale is only observed, or a warning for ratings between its steps."""
    if context.scale is None:
        message = "No scale is given: it runs from the lowest to the highest observed rating."
        action = Advice.OBSERVES_SCALE
        yield ValidationIssue("observed_scale", "note", 1, message, action)
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
    if context.valid["rating"].n_unique() == 1:  # `_no_variety` reports this once for the whole table
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


def _no_variety(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield warnings for a single rating value, a single user or a single item."""
    valid = context.valid
    if valid["rating"].n_unique() == 1 and len(valid) > 1:
        message = f"Every rating is {valid['rating'][0]:g}: the ratings do not show which items users like."
        yield ValidationIssue("one_value", "warning", len(valid), message, "keeps them; predicts no ratings.")
    for kind in ("user", "item"):
        if valid[f"{kind}_id"].n_unique() == 1:
            message = f"There is only one {kind}: a model cannot learn from differences between {kind}s."
            yield ValidationIssue(f"one_{kind}", "warning", 1, message, "keeps all of it.")


def side_table_issues(context: ValidationContext) -> Iterator[ValidationIssue]:
    """Yield the issues of the tables of items and users."""
    if context.valid.is_empty():
        return
    for kind in ("items", "users"):
        if kind in context.tables.side_tables and (reason := context.mismatch(kind)):
            message = reason.removeprefix("ratings: ")
            yield ValidationIssue(f"unreadable_{kind}", "error", 1, message, "stops here.")
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
