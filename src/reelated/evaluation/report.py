"""A self-contained HTML report: tables with confidence intervals, charts and notes."""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from reelated._version import __version__
from reelated.errors import InputError, not_installed
from reelated.evaluation.charts import Axes, Point, against_diagonal, bars, scatter
from reelated.evaluation.evaluation import Evaluation, Measure
from reelated.evaluation.protocols.protocol import Protocol

MEANINGS = {
    "ndcg": ("nDCG", "hits, the first places counting most; 1 is the best possible list"),
    "map": ("MAP", "how early and how completely the hidden is found"),
    "precision": ("Precision", "the share of the places that hold a hit"),
    "recall": ("Recall", "the share of what was hidden that is listed"),
    "recall_capped": ("Recall, capped", "the same, of what could be listed"),
    "mrr": ("MRR", "1 / the place of the first hit"),
    "hit_rate": ("Hit rate", "the share with at least one hit"),
    "rmse": ("RMSE", "typical error of a predicted rating; large errors count more; less is better"),
    "mae": ("MAE", "mean error of a predicted rating; less is better"),
    "in_interval": (
        "In the 80 % interval",
        "the share of hidden ratings between the two that were told; 0.80 is right",
    ),
    "coverage": ("Coverage", "the share of the catalogue that stands on at least one list"),
    "novelty": ("Novelty", "in bits: 1 was rated by half of all users, 10 by one in a thousand"),
    "concentration": (
        "Places of the ten most listed",
        "the share of all places; 1 would be the same ten for everybody",
    ),
}
"""Display name of each metric, and its meaning in plain words."""
BOTH = ("any", "liked")
KINDS = ("first", "second", "third")
_AUDIENCE = ("users listed for an item", "who rated it")
Rows = dict[tuple[str, str | None], Measure]


def write_report(results: Mapping[str, Evaluation], path: str | Path, protocol: Protocol | None = None) -> Path:
    """Write a self-contained HTML report on one model, with other models for comparison.

    Parameters
    ----------
    results : mapping of str to Evaluation
        Model name → its evaluation, all on the same split. The first is the subject of the report; at most two others.
    path : str or Path
        An `.html` file; an existing one is replaced atomically.
    protocol : Protocol, optional
        The protocol that they were measured with; the report adds its published figures.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        There are no results or too many, the path is not an `.html` file in an existing folder, or Jinja is not
        installed.
    """
    path = check_report(Path(path))
    if not 1 <= len(results) <= len(KINDS):
        raise InputError(f"results of {len(results)} models: expected one to {len(KINDS)}.")
    # written beside and renamed: a reader never sees half a page
    beside = path.with_name(f".{path.name}-{os.getpid()}")
    try:
        beside.write_text(render(results, protocol), encoding="utf-8")
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def check_report(path: Path) -> Path:
    """Return the path if it is an `.html` file in an existing folder and Jinja is installed, else raise."""
    try:
        import jinja2  # noqa: F401
    except ImportError:
        raise not_installed("Jinja", "evaluate") from None
    if path.suffix not in (".html", ".htm") or path.is_dir() or not path.parent.is_dir():
        raise InputError(f"report={str(path)!r}: expected an .html file in a folder that exists.")
    return path


def render(results: Mapping[str, Evaluation], protocol: Protocol | None = None) -> str:
    """Render the report as HTML."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    template = Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(template)
    told = {name: {(row.measure, row.relevance): row for row in one.rows()} for name, one in results.items()}
    name, first = next(iter(results.items()))
    charts = _charts(name, first, told)
    return page.render(
        title=f"How good is “{name}”? {first.data}",
        how=first.how[0].upper() + first.how[1:],
        counts=_counts(first),
        summary=list(_summary(first, told[name])),
        models=list(results),
        units="users" if first.ask == "items" else "items",
        partners=first.ask,
        liked=first.liked,
        n=_n(first),
        relevance=_relevance(first),
        predicts=_predicts(first),
        lists=_lists(told, _relevance(first)),
        others=_others(told),
        published=None if protocol is None else _published(protocol, name, first),
        charts={key: Markup(svg) for key, svg in charts.items()},
        calibration=_calibration(first) if _predicts(first) else [],
        notes=list(_notes(results, told[name])),
        version=__version__,
    )


# ------------------------------------------------------------------------------------------------------------- text
def _n(result: Evaluation) -> int:
    """Return the length of the longest lists measured."""
    return max(int(one.measure.partition("@")[2]) for one in result.parts[0].measured if "@" in one.measure)


def _relevance(result: Evaluation) -> tuple[str, ...]:
    """Return the kinds of relevance measured: both, or "any" alone where all ratings are equal."""
    return BOTH if result.liked is not None else BOTH[:1]


def _predicts(result: Evaluation) -> bool:
    return ("rmse", None) in result._names


def _counts(result: Evaluation) -> str:
    hidden = sum(int(one.weights.sum()) for part in result.parts for one in part.measured if one.measure == "rmse")
    units = sum(len(part.units) for part in result.parts)
    what = "users" if result.ask == "items" else "items"
    return f"{f'{hidden:,} hidden ratings; ' if hidden else ''}{units:,} {what} asked about."


def _summary(result: Evaluation, rows: Rows) -> Any:
    """Yield the most important numbers as sentences."""
    n = _n(result)
    any_, liked = (rows[f"precision@{n}", of].value if of in _relevance(result) else None for of in BOTH)
    if any_ is not None:
        who, hit = ("items listed for a user", "that the user rated") if result.ask == "items" else _AUDIENCE
        more = "" if liked is None else f"; {n * liked:.1f} where only what was liked counts"
        yield f"Of {n} {who}, on average {n * any_:.1f} are among those hidden {hit}{more}."
    if (errors := rows.get(("mae", None))) is not None and errors.value is not None:
        yield f"A predicted rating is off by {errors.value:.2f} on average."
    if (spread := rows.get(("coverage", None))) is not None and spread.value is not None:
        of = "the items" if result.ask == "items" else "the users"
        yield f"{spread.value:.0%} of {of} stand on at least one list."


def _notes(results: Mapping[str, Evaluation], rows: Rows) -> Any:
    """Yield sentences on left-out units, substituted values and fit times."""
    first = next(iter(results.values()))
    n, what = _n(first), "users" if first.ask == "items" else "items"
    for relevance, of in (("any", "a hidden rating"), ("liked", "a hidden rating that counts as liked")):
        if (row := rows.get((f"ndcg@{n}", relevance))) is not None and row.left_out:
            every = row.units + row.left_out
            yield f"{row.left_out:,} of {every:,} {what} have no list or not {of}; they are left out of these means."
    yield from first.notes
    yield from (f"A fit of “{name}” took {one.seconds:.1f} seconds." for name, one in results.items())
    yield "An item that was not rated may still be the right one; hits reward what many rate anyway."


# ------------------------------------------------------------------------------------------------------------ tables
def _cell(row: Measure | None) -> dict[str, str]:
    if row is None or row.value is None:
        return {"value": "–", "range": ""}
    return {"value": f"{row.value:.3f}", "range": "" if row.low is None else f"{row.low:.3f}–{row.high:.3f}"}


def _named(measure: str) -> dict[str, str]:
    name, at, n = measure.partition("@")
    return {"name": MEANINGS[name][0] + at + n, "meaning": MEANINGS[name][1]}


def _lists(told: Mapping[str, Rows], relevances: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the table rows of the list metrics, with one cell for each model and kind of relevance."""
    first = next(iter(told.values()))
    return [
        {**_named(measure), "cells": [_cell(rows.get((measure, of))) for rows in told.values() for of in relevances]}
        for measure, relevance in first
        if relevance == "any"
    ]


def _others(told: Mapping[str, Rows]) -> list[dict[str, Any]]:
    """Return the table rows of all other metrics, with one cell for each model."""
    first = next(iter(told.values()))
    return [
        {**_named(measure), "cells": [_cell(rows.get((measure, None))) for rows in told.values()]}
        for measure in MEANINGS
        if (measure, None) in first
    ]


def _published(protocol: Protocol, name: str, result: Evaluation) -> dict[str, Any]:
    """Return the published figures, followed by ours."""
    rows: list[dict[str, Any]] = [
        {"model": one.model, "note": one.note, "ours": False, "cells": [_figure(value) for value in one.values]}
        for one in protocol.published
    ]
    ours = ["–" if value is None else f"{value:.4f}" for value in protocol.row(result)]
    rows.append({"model": f"Reelated: {name}", "note": "measured here", "ours": True, "cells": ours})
    return {
        "definition": protocol.definition, "source": protocol.source, "columns": list(protocol.columns), "rows": rows,
    }  # fmt: skip


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"


def _calibration(result: Evaluation) -> list[dict[str, str]]:
    return [
        {"predicted": f"{row['predicted']:.2f}", "rated": f"{row['rated']:.2f}", "pairs": f"{row['pairs']:,}"}
        for row in _of(result, "predicted").iter_rows(named=True)
    ]


# ------------------------------------------------------------------------------------------------------------ charts
def _of(result: Evaluation, what: str) -> pl.DataFrame:
    """Return one kind of error bins, without those of fewer than five pairs (unless all are that small)."""
    table = result.errors().filter(pl.col("of") == what)
    return table.filter(pl.col("pairs") >= min(5, table["pairs"].max()))  # type: ignore[type-var]


def _charts(name: str, first: Evaluation, told: Mapping[str, Rows]) -> dict[str, str]:
    drawn: dict[str, str] = {}
    if _predicts(first):
        drawn = {what: _error_bars(first, what) for what in ("item", "user")}
        drawn["calibration"] = _calibrated(first)
    accuracy = f"ndcg@{_n(first)}", _relevance(first)[-1]
    height = f"nDCG@{_n(first)}{', liked' if accuracy[1] == 'liked' else ''}"
    for key, measure, label in (
        ("spread", "coverage", "coverage"),
        ("novelty", "novelty", "novelty, bits"),
    ):
        points = [
            Point(rows[measure, None].value, rows[accuracy].value, model, kind, 7)  # type: ignore[arg-type]
            for (model, rows), kind in zip(told.items(), KINDS, strict=False)
            if (measure, None) in rows and rows[measure, None].value is not None and rows[accuracy].value is not None
        ]
        drawn[key] = ""
        if points:
            highest = [1.25 * max(getattr(point, axis) for point in points) or 1.0 for axis in ("x", "y")]
            across = (0, min(highest[0], 1) if key == "spread" else highest[0])
            drawn[key] = scatter(Axes(label, height, across, (0, highest[1])), points)
    return drawn


def _error_bars(result: Evaluation, what: str) -> str:
    """Draw the errors by the number of known ratings."""
    table = _of(result, what)
    lows = [int(low) for low in table["low"]]
    points = [
        Point(at, rmse, _span(low, lows[at + 1] if at + 1 < len(lows) else None))
        for at, (low, rmse) in enumerate(zip(lows, table["rmse"], strict=True))
    ]
    of = "ratings of the item" if what == "item" else "ratings of the user"
    return bars("RMSE", of, points)


def _span(low: int, after: int | None) -> str:
    """Name a bin: `0`, `3–9`, `1000+`."""
    if after is None:
        return f"{low:,}+"
    return f"{low:,}" if after - low <= 1 else f"{low:,}–{after - 1:,}"


def _calibrated(result: Evaluation) -> str:
    """Draw the mean rating given against the predicted rating."""
    table = _of(result, "predicted")
    both = [*table["predicted"], *table["rated"]]
    margin = 0.05 * (max(both) - min(both)) or 0.5
    scale = min(both) - margin, max(both) + margin
    most, points = max(table["pairs"]), []
    for row in table.iter_rows(named=True):
        said = f"predicted {row['predicted']:.2f}, given {row['rated']:.2f}: {row['pairs']:,}"
        points.append(Point(row["predicted"], row["rated"], said, size=3 + 9 * math.sqrt(row["pairs"] / most)))
    return against_diagonal(Axes("predicted rating", "mean rating given", scale, scale), points)
