"""`check`: validate a source of ratings before a model is fitted."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from reelated.data.checkup import REJECTS, SEVERITIES, Bin, Checkup, Finding
from reelated.data.findings import Case, in_known, in_ratings
from reelated.data.layout import Trace
from reelated.data.lines import lines_of
from reelated.data.reading import Witness, find_tables
from reelated.data.shape import shape_findings
from reelated.errors import InputError, InputTypeError, check_choice, plural
from reelated.ratings import FrameLike
from reelated.ratings.dataset import Duplicates, Invalid, check_scale, observed_scale

_FEW_VALUES = 12  # distinct ratings that get a bar each in the histogram
_REFUSED = {
    "bad_line": ("does not have the fields that it should have", "do not have the fields that they should have"),
    "missing_field": ("has no user, item or rating", "have no user, item or rating"),
    "unreadable_field": ("has a field that cannot be read", "have a field that cannot be read"),
}


def check(
    source: Any,
    *,
    items: FrameLike | None = None,
    users: FrameLike | None = None,
    columns: Mapping[str, str | None] | None = None,
    scale: tuple[float, float, float] | None = None,
    duplicates: Duplicates = "last",
    invalid: Invalid = "error",
    name: str | None = None,
) -> Checkup:
    """Validate a source of ratings: list every problem, and what `read` does about each.

    Parameters
    ----------
    source : str, Path or frame
        As for `read`: a folder, a zip, a file, a name, or a frame.
    items, users : frame, str or Path, optional
        Item and user attributes, in place of the tables beside the ratings.
    columns : mapping of str to str, optional
        Reelated's name → the table's name, such as `{"user_id": "who"}`; `{"rating": None}` if there are no ratings.
    scale : (low, high, step), optional
        The rating scale; by default that of the edition, else the observed one.
    duplicates : {"last", "first", "mean", "error"}, default "last"
        How to resolve several ratings of one item by one user.
    invalid : {"error", "drop"}, default "error"
        Whether rows that are not valid ratings stop reading or are dropped.
    name : str, optional
        Name of the data; by default the edition or the file.

    Returns
    -------
    Checkup
        Its `usable` says whether `read` with the same options returns data.

    Raises
    ------
    InputError
        The source does not exist, or an argument is invalid. Problems *in* the source become findings.

    Examples
    --------
    >>> import reelated
    >>> checkup = reelated.check({"user": [1, 1, 2], "item": [10, 20, 20], "stars": [4, 5, 3]})
    >>> checkup.usable, checkup.n_ratings, checkup.density
    (True, 3, 0.75)
    """
    check_choice("duplicates", duplicates, ("last", "first", "mean", "error"))
    check_choice("invalid", invalid, ("error", "drop"))
    wanted = None if scale is None else check_scale(scale)
    given = {kind: table for kind, table in (("items", items), ("users", users)) if table is not None}
    witness = Witness()
    try:
        # "drop" collects every bad line instead of stopping at the first
        found = find_tables(source, columns, "drop", given, witness)
    except InputError as error:
        if not _is_there(source):
            raise  # a missing source is the caller's mistake, not a finding
        return _unread(source, name, error, witness, invalid)
    known_scale = wanted or (check_scale(found.scale) if found.scale else None)
    case = Case.of(found, known_scale, duplicates, invalid, columns)
    return _checked(case, name or found.name, witness)


def _is_there(source: Any) -> bool:
    """Return whether the source exists, readable or not."""
    if isinstance(source, (str, os.PathLike)):
        text = os.fspath(source)
        return bool(text) and "\0" not in text and Path(text).expanduser().exists()
    return isinstance(source, Mapping) or hasattr(source, "columns")


def _unread(source: Any, name: str | None, error: InputError, witness: Witness, invalid: str) -> Checkup:
    """Return the `Checkup` of a source without a readable ratings table."""
    own = Path(source).name if isinstance(source, (str, os.PathLike)) else "ratings"
    trace = witness.traces.get("ratings", Trace())
    code = "mixed_types" if isinstance(error, InputTypeError) else "unreadable"
    stop = Finding(code, "error", 1, str(error), "stops here.", file=trace.label or None)
    refused = list(_refused_lines(witness, invalid))
    findings = _sorted([*refused, stop, *shape_findings(source, trace)])
    rejects, count = _rejects(witness), len(trace.refused)
    return Checkup(name or own, False, count, count, findings=findings, rejects=rejects)


def _checked(case: Case, name: str, witness: Witness) -> Checkup:
    """Return the `Checkup` of a readable ratings table."""
    sound, trace = case.sound, witness.traces.get("ratings", Trace())
    findings = [
        *_refused_lines(witness, case.invalid),
        *_unread_tables(witness),
        *in_ratings(case),
        *in_known(case),
        *shape_findings(None, trace),
    ]
    placed = _sorted(_placed(findings, trace))
    n_users, n_items = sound["user_id"].n_unique(), sound["item_id"].n_unique()
    values = sound["rating"].to_numpy()
    return Checkup(
        name=name,
        usable=all(finding.severity != "error" for finding in placed),
        n_rows=len(case.rows) + len(trace.refused),
        n_refused=len(case.rows) - len(sound) + len(trace.refused),
        n_ratings=case.n_pairs,
        n_users=n_users,
        n_items=n_items,
        density=case.n_pairs / (n_users * n_items) if case.n_pairs else 0.0,
        scale=(case.scale or observed_scale(values)) if len(values) else None,
        histogram=histogram(values),
        findings=placed,
        rejects=pl.concat([_rejects(witness), _rejected_rows(case, trace)]),
    )


def histogram(values: "np.ndarray[Any, Any]") -> tuple[Bin, ...]:
    """Count ratings by value, or in ten bins if there are many distinct values."""
    seen, counts = np.unique(values, return_counts=True)
    if len(seen) <= _FEW_VALUES:
        return tuple(Bin(float(value), float(value), int(n)) for value, n in zip(seen, counts, strict=True))
    counts, edges = np.histogram(values.astype(np.float64), bins=10)
    return tuple(Bin(float(a), float(b), int(n)) for a, b, n in zip(edges[:-1], edges[1:], counts, strict=True))


def _refused_lines(witness: Witness, invalid: str) -> Iterator[Finding]:
    """Yield one finding for each kind of fault in the lines of a file."""
    reading = "drops them." if invalid == "drop" else "stops at the first; invalid='drop' drops them."
    for trace in witness.traces.values():
        for code, (one, many) in _REFUSED.items():
            bad = [row for row in trace.refused if row.code == code]
            if bad:
                told = f"{plural(len(bad), 'row')} of {trace.label} {one if len(bad) == 1 else many}."
                severity = SEVERITIES[invalid == "drop"]
                why = bad[0].why.partition(": ")[2]
                yield Finding(code, severity, len(bad), told, reading, why, trace.label, bad[0].line)


def _unread_tables(witness: Witness) -> Iterator[Finding]:
    for kind, error in witness.errors.items():
        yield Finding(f"unreadable_{kind}", "error", 1, str(error), "stops here.")


def _placed(findings: list[Finding], trace: Trace) -> list[Finding]:
    """Replace row numbers by file and line where the source has lines."""
    rows = {finding.row - 1 for finding in findings if finding.row}
    lines = lines_of(trace, rows) if rows else {}
    return [
        replace(finding, file=trace.label, line=lines[finding.row - 1], row=None)
        if finding.row and finding.row - 1 in lines
        else finding
        for finding in findings
    ]


def _sorted(findings: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))


def _rejects(witness: Witness) -> pl.DataFrame:
    """Return the rejected lines of all files."""
    rows = [
        (trace.label, row.line, None, row.why.partition(": ")[2], row.row)
        for trace in witness.traces.values()
        for row in trace.refused
    ]
    return pl.DataFrame(rows, schema=REJECTS, orient="row")


def _rejected_rows(case: Case, trace: Trace) -> pl.DataFrame:
    """Return the rows that parsed but are not valid ratings."""
    bad = case.rows.filter(pl.col("fault") != "")
    lines = lines_of(trace, set(bad["row"].to_list())) if len(bad) else {}
    rows = [
        (
            trace.label or None,
            lines.get(row["row"]),
            None if lines else row["row"] + 1,
            row["fault"],
            case.shown(row),
        )
        for row in bad.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=REJECTS, orient="row")
