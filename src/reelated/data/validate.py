"""`validate`: check a source of ratings before a model is fitted."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from reelated.data.context import ValidationContext, format_row
from reelated.data.heuristics import shape_issues, unused_column_issues
from reelated.data.options import ReadOptions, check_options
from reelated.data.read import read_tables
from reelated.data.report import REJECTS, SEVERITIES, Bin, ValidationIssue, ValidationReport
from reelated.data.rules import invalid_action, rating_issues, side_table_issues
from reelated.data.source_tables import ErrorCollector
from reelated.data.text_layout import ParseTrace
from reelated.data.text_parser import line_numbers
from reelated.errors import InputError, InputTypeError, check_choice, check_noun, plural
from reelated.ratings import Feedback, FrameLike
from reelated.ratings.dataset import Duplicates, Invalid, check_scale, observed_scale

_MAX_BARS = 12  # distinct ratings that get a bar each in the histogram
_LINE_FAULTS = {
    "bad_line": ("does not have the fields that it should have", "do not have the fields that they should have"),
    "missing_field": ("has no user, item or rating", "have no user, item or rating"),
    "unreadable_field": ("has a field that cannot be read", "have a field that cannot be read"),
}


def validate(
    source: Any,
    *,
    items: FrameLike | None = None,
    users: FrameLike | None = None,
    columns: Mapping[str, str | None] | None = None,
    item_columns: Mapping[str, str | None] | None = None,
    scale: tuple[float, float, float] | None = None,
    duplicates: Duplicates = "last",
    invalid: Invalid = "error",
    map: Mapping[Any, float | None] | None = None,  # noqa: A002
    encoding: str | None = None,
    dates: str | None = None,
    layout: str | None = None,
    feedback: Feedback | None = None,
    events: Mapping[str, float] | None = None,
    name: str | None = None,
    noun: str | None = None,
) -> ValidationReport:
    """Validate a source of ratings: list every problem, and what `read` does about each.

    Parameters
    ----------
    source, items, users, columns, item_columns, scale, duplicates, invalid, map, encoding, dates, layout, feedback, \
events, name, noun
        As for `read`.

    Returns
    -------
    ValidationReport
        Its `usable` says whether `read` with the same options returns data.

    Raises
    ------
    InputError
        The source does not exist, or an argument is invalid. Problems *in* the source become issues.

    Examples
    --------
    >>> import reelated
    >>> report = reelated.validate({"user": [1, 1, 2], "item": [10, 20, 20], "stars": [4, 5, 3]})
    >>> report.usable, report.n_ratings, report.density
    (True, 3, 0.75)
    """
    check_choice("duplicates", duplicates, ("last", "first", "mean", "error"))
    given = ReadOptions(columns, item_columns, invalid, map, encoding, dates, layout, feedback, events)
    options = check_options(given)
    given_scale = None if scale is None else check_scale(scale)
    given_noun = None if noun is None else check_noun(noun)
    collector = ErrorCollector(invalid)
    try:
        # "drop" collects every bad line instead of stopping at the first
        tables = read_tables(source, options._replace(invalid="drop"), items, users, collector)
    except InputError as error:
        if not _source_exists(source):
            raise  # a missing source is a mistake of the caller, not an issue in the data
        return _unreadable_report(source, name, error, collector, invalid)
    known_scale = given_scale or (check_scale(tables.scale) if tables.scale else None)
    context = ValidationContext(tables, known_scale, duplicates, invalid, columns or {})
    return _readable_report(context, name or tables.name, given_noun or tables.noun, collector)


def _source_exists(source: Any) -> bool:
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        return bool(text) and "\0" not in text and Path(text).expanduser().exists()
    return isinstance(source, (Mapping, list, tuple)) or hasattr(source, "columns")


def _unreadable_report(
    source: Any, name: str | None, error: InputError, collector: ErrorCollector, invalid: str
) -> ValidationReport:
    """Return the report of a source without a readable ratings table."""
    file_name = Path(source).absolute().name if isinstance(source, (str, os.PathLike)) else "ratings"
    trace = collector.trace("ratings")
    code = "mixed_types" if isinstance(error, InputTypeError) else "unreadable"
    fatal = ValidationIssue(code, "error", 1, str(error), "stops here.", file=trace.label or None, error=error)
    issues = _by_severity([*_reading_issues(collector, invalid), fatal, *shape_issues(source, trace)])
    n_rows = len(trace.rejected)
    return ValidationReport(name or file_name, False, n_rows, n_rows, issues=issues, rejects=_rejected_lines(collector))


def _readable_report(context: ValidationContext, name: str, noun: str, collector: ErrorCollector) -> ValidationReport:
    """Return the report of a readable ratings table."""
    valid, trace = context.valid, collector.trace("ratings")
    issues = [
        *_reading_issues(collector, context.invalid),
        *rating_issues(context),
        *side_table_issues(context),
        *(() if context.tables.options.layout == "wide" else shape_issues(None, trace)),
        *(unused_column_issues(context.tables.names, context.tables.matched) if context.is_events else ()),
    ]
    n_users, n_items = valid["user_id"].n_unique(), valid["item_id"].n_unique()
    values = valid["rating"].to_numpy()
    return ValidationReport(
        name=name,
        noun=noun,
        usable=all(issue.severity != "error" for issue in issues),
        n_rows=len(context.rows) + len(trace.rejected),
        n_refused=len(context.rows) - len(valid) + len(trace.rejected),
        n_ratings=context.n_ratings,
        n_users=n_users,
        n_items=n_items,
        density=context.n_ratings / (n_users * n_items) if context.n_ratings else 0.0,
        scale=(context.scale or observed_scale(values)) if len(values) and not context.is_events else None,
        kind=context.kind,
        histogram=histogram(values),
        issues=_by_severity(_with_line_numbers(issues, trace)),
        rejects=pl.concat([_rejected_lines(collector), _rejected_rows(context, trace)]),
    )


def histogram(values: "np.ndarray[Any, Any]") -> tuple[Bin, ...]:
    """Count ratings by value, or in ten bins if there are many distinct values."""
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) <= _MAX_BARS:
        return tuple(Bin(float(value), float(value), int(n)) for value, n in zip(distinct, counts, strict=True))
    counts, edges = np.histogram(values.astype(np.float64), bins=10)
    return tuple(Bin(float(a), float(b), int(n)) for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True))


def _reading_issues(collector: ErrorCollector, invalid: str) -> Iterator[ValidationIssue]:
    """Yield one issue for each kind of error in the lines of a file, and for each unreadable table of attributes."""
    for kind, trace in collector.traces.items():
        severity, action = invalid_action(invalid if kind == "ratings" or kind in collector.errors else "drop")
        for code, (singular, several) in _LINE_FAULTS.items():
            rows = [row for row in trace.rejected if row.code == code]
            if rows:
                fault = singular if len(rows) == 1 else several
                message = f"{plural(len(rows), 'row')} of {trace.label or 'the table'} {fault}."
                first = rows[0]
                yield ValidationIssue(code, severity, len(rows), message, action, first.reason, trace.label, first.line)
    for kind, error in collector.errors.items():
        yield ValidationIssue(f"unreadable_{kind}", "error", 1, str(error), "stops here.", error=error)
    for kind, error in collector.left_out.items():
        yield ValidationIssue(f"unreadable_{kind}", "warning", 1, str(error), "leaves the table out.", error=error)


def _with_line_numbers(issues: list[ValidationIssue], trace: ParseTrace) -> list[ValidationIssue]:
    """Replace row numbers by file and line if the source has lines."""
    rows = {issue.row - 1 for issue in issues if issue.row}
    lines = line_numbers(trace, rows)
    return [
        replace(issue, file=trace.label, line=lines[issue.row - 1], row=None)
        if issue.row and issue.row - 1 in lines
        else issue
        for issue in issues
    ]


def _by_severity(issues: list[ValidationIssue]) -> tuple[ValidationIssue, ...]:
    return tuple(sorted(issues, key=lambda issue: SEVERITIES.index(issue.severity)))


def _rejected_lines(collector: ErrorCollector) -> pl.DataFrame:
    rows = [
        (trace.label, row.line, None, row.reason, row.text)
        for trace in collector.traces.values()
        for row in trace.rejected
    ]
    return pl.DataFrame(rows, schema=REJECTS, orient="row")


def _rejected_rows(context: ValidationContext, trace: ParseTrace) -> pl.DataFrame:
    """Return the rows that parsed but are not valid ratings."""
    invalid = context.rows.filter(pl.col("fault") != "")
    lines = line_numbers(trace, set(invalid["row"].to_list()))
    rows = [
        (trace.label or None, lines.get(row["row"]), None if lines else row["row"] + 1, row["fault"], format_row(row))
        for row in invalid.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=REJECTS, orient="row")
