"""A self-contained HTML report: tables with confidence intervals, charts and notes."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from reelated._version import __version__
from reelated.atomic import atomic_write
from reelated.errors import InputError, import_optional
from reelated.evaluation.charts import Axes, Point, bars, calibration, scatter
from reelated.evaluation.protocols.protocol import Protocol
from reelated.evaluation.result import Evaluation, MetricRow
from reelated.evaluation.scoring import RELEVANCE

METRICS = {
    "ndcg": ("nDCG", "hits, weighted by rank; 1 is the best possible list"),
    "map": ("MAP", "how early and how completely the hidden entries are listed"),
    "precision": ("Precision", "the share of places that hold a hit"),
    "recall": ("Recall", "the share of the hidden entries that are listed"),
    "recall_capped": ("Recall, capped", "recall, divided by the highest recall that the list can reach"),
    "mrr": ("MRR", "1 / rank of the first hit"),
    "hit_rate": ("Hit rate", "the share of lists with at least one hit"),
    "rmse": ("RMSE", "typical error of a predicted rating; large errors count more; lower is better"),
    "mae": ("MAE", "mean error of a predicted rating; lower is better"),
    "interval_coverage": ("In the 80 % interval", "the share of hidden ratings inside their interval; 0.80 is best"),
    "coverage": ("Coverage", "the share of the catalogue that is on at least one list"),
    "novelty": ("Novelty, bits", "half of all users rated an entry of 1 bit, one in a thousand one of 10 bits"),
    "top10_share": ("Share of the ten most listed", "their share of all places; 1 means the same ten on all lists"),
}
"""Display name and meaning of each metric."""
MODEL_CLASSES = ("first", "second", "third")
"""The CSS class of each model."""
Rows = dict[tuple[str, str | None], MetricRow]


def write_report(results: Mapping[str, Evaluation], path: str | Path, protocol: Protocol | None = None) -> Path:
    """Write a self-contained HTML report on one model, with other models for comparison.

    Parameters
    ----------
    results : mapping of str to Evaluation
        Model name → its evaluation, all on the same split. The first is the subject of the report; there may be two
        others.
    path : str or Path
        An `.html` file; an existing one is replaced atomically.
    protocol : Protocol, optional
        The protocol of the evaluations; the report adds its published figures.

    Raises
    ------
    InputError
        There are no results or too many, the path is not an `.html` file in an existing folder, or Jinja is not
        installed.
    """
    path = check_report(Path(path))
    if not 1 <= len(results) <= len(MODEL_CLASSES):
        raise InputError(f"results of {len(results)} models: expected one to {len(MODEL_CLASSES)}.")
    with atomic_write(path) as temporary:
        temporary.write_text(render(results, protocol), encoding="utf-8")
    return path


def check_report(path: Path) -> Path:
    """Return the path if it is an `.html` file in an existing folder and Jinja is installed, else raise."""
    import_optional("jinja2", "evaluate", "Jinja")
    if path.suffix not in (".html", ".htm") or path.is_dir() or not path.parent.is_dir():
        raise InputError("expected an .html file in a folder that exists.", parameter="report", value=str(path))
    return path


def render(results: Mapping[str, Evaluation], protocol: Protocol | None = None) -> str:
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    template = Path(__file__).with_name("report.html.j2").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(template)
    rows = {name: {(row.measure, row.relevance): row for row in result.rows()} for name, result in results.items()}
    name, first = next(iter(results.items()))
    return page.render(
        title=f"How good is “{name}”? {first.data}",
        how=first.how[0].upper() + first.how[1:],
        counts=_counts(first),
        summary=list(_summary(first, rows[name])),
        models=list(results),
        entities=_entities(first),
        target=first.target,
        liked=first.liked,
        n=_n(first),
        relevance=_relevance(first),
        predicts=first.predicts_ratings,
        lists=_list_metrics(rows, _relevance(first)),
        others=_other_metrics(rows),
        published=None if protocol is None else _published(protocol, name, first),
        charts={key: Markup(svg) for key, svg in _charts(first, rows).items()},
        calibration=_calibration_rows(first) if first.predicts_ratings else [],
        notes=list(_notes(results, rows[name])),
        version=__version__,
        date=datetime.now(UTC).date(),
    )


def _n(result: Evaluation) -> int:
    """Return the length of the longest lists measured."""
    names = [values.measure for values in result.parts[0].metrics]
    return max(int(name.partition("@")[2]) for name in names if "@" in name)


def _relevance(result: Evaluation) -> tuple[str, ...]:
    """Return the kinds of relevance measured: both, or "any" alone if all ratings are equal."""
    return RELEVANCE if result.liked is not None else RELEVANCE[:1]


def _entities(result: Evaluation) -> str:
    return "users" if result.target == "items" else "items"


def _counts(result: Evaluation) -> str:
    hidden = sum(int(each.weights.sum()) for part in result.parts for each in part.metrics if each.measure == "rmse")
    n_lists = sum(len(part.entities) for part in result.parts)
    return f"{f'{hidden:,} hidden ratings; ' if hidden else ''}lists for {n_lists:,} {_entities(result)}."


def _summary(result: Evaluation, rows: Rows) -> Any:
    """Yield the most important numbers as sentences."""
    n = _n(result)
    any_, liked = (rows[f"precision@{n}", of].value if of in _relevance(result) else None for of in RELEVANCE)
    if any_ is not None:
        entries, hit = (
            ("items listed for a user", "that the user rated")
            if result.target == "items"
            else ("users listed for an item", "who rated it")
        )
        liked_hits = "" if liked is None else f"; {n * liked:.1f} if only liked items count"
        yield f"Of {n} {entries}, on average {n * any_:.1f} are among those hidden {hit}{liked_hits}."
    if (errors := rows.get(("mae", None))) is not None and errors.value is not None:
        yield f"A predicted rating is off by {errors.value:.2f} on average."
    if (coverage := rows.get(("coverage", None))) is not None and coverage.value is not None:
        yield f"{coverage.value:.0%} of the {result.target} are on at least one list."


def _notes(results: Mapping[str, Evaluation], rows: Rows) -> Any:
    """Yield sentences on left-out users, substituted values, settings and fit times."""
    first = next(iter(results.values()))
    n, entities = _n(first), _entities(first)
    for relevance, of in (("any", "hidden rating"), ("liked", "hidden rating that counts as liked")):
        if (row := rows.get((f"ndcg@{n}", relevance))) is not None and row.left_out:
            total = row.entities + row.left_out
            yield f"{row.left_out:,} of {total:,} {entities} have no list or no {of}; these means leave them out."
    yield from first.notes
    yield from (f"“{name}” is {result.settings}." for name, result in results.items() if result.settings)
    yield from (f"A fit of “{name}” took {result.seconds:.1f} seconds." for name, result in results.items())
    yield "An unrated item may still be a good recommendation; hits favour popular items."


def _cell(row: MetricRow | None) -> dict[str, str]:
    if row is None or row.value is None:
        return {"value": "–", "range": ""}
    return {"value": f"{row.value:.3f}", "range": "" if row.low is None else f"{row.low:.3f}–{row.high:.3f}"}


def _heading(measure: str) -> dict[str, str]:
    name, separator, n = measure.partition("@")
    return {"name": METRICS[name][0] + separator + n, "meaning": METRICS[name][1]}


def _list_metrics(rows: Mapping[str, Rows], relevances: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return the table rows of the list metrics, with one cell for each model and kind of relevance."""
    models = list(rows.values())
    return [
        {**_heading(measure), "cells": [_cell(by_key.get((measure, of))) for by_key in models for of in relevances]}
        for measure, relevance in models[0]
        if relevance == "any"
    ]


def _other_metrics(rows: Mapping[str, Rows]) -> list[dict[str, Any]]:
    """Return the table rows of all other metrics, with one cell for each model."""
    first = next(iter(rows.values()))
    return [
        {**_heading(measure), "cells": [_cell(by_key.get((measure, None))) for by_key in rows.values()]}
        for measure in METRICS
        if (measure, None) in first
    ]


def _published(protocol: Protocol, name: str, result: Evaluation) -> dict[str, Any]:
    """Return the published figures, followed by those of the evaluations."""
    rows: list[dict[str, Any]] = [
        {"model": row.model, "note": row.note, "ours": False, "cells": [_figure(value, "g") for value in row.values]}
        for row in protocol.published
    ]
    ours = [_figure(value, ".4f") for value in protocol.row(result)]
    rows.append({"model": f"Reelated: {name}", "note": "measured here", "ours": True, "cells": ours})
    facts = {"definition": protocol.definition, "source": protocol.source, "columns": list(protocol.columns)}
    return facts | {"rows": rows}


def _figure(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}"


def _calibration_rows(result: Evaluation) -> list[dict[str, str]]:
    return [
        {"predicted": f"{row['predicted']:.2f}", "rated": f"{row['rated']:.2f}", "pairs": f"{row['pairs']:,}"}
        for row in _error_bins(result, "predicted").iter_rows(named=True)
    ]


def _error_bins(result: Evaluation, of: str) -> pl.DataFrame:
    """Return one kind of error bins, without bins of fewer than five pairs (unless all are that small)."""
    table = result.errors().filter(pl.col("of") == of)
    return table.filter(pl.col("pairs") >= min(5, table["pairs"].max()))  # type: ignore[type-var]


def _charts(first: Evaluation, rows: Mapping[str, Rows]) -> dict[str, str]:
    charts = {}
    for of in ("item", "user"):
        table = first.groups().filter(pl.col("of") == of)
        has_hits = first.liked is None and any(table["recall"])
        charts[f"recall_{of}"] = _bars(table, "recall", f"interactions of the {of}") if has_hits else ""
    if first.predicts_ratings:
        charts |= {of: _bars(_error_bins(first, of), "rmse", f"ratings of the {of}") for of in ("item", "user")}
        charts["calibration"] = _calibration(first)
    accuracy = f"ndcg@{_n(first)}", _relevance(first)[-1]
    y_name = f"nDCG@{_n(first)}{', liked' if accuracy[1] == 'liked' else ''}"
    for measure, label in (("coverage", "coverage"), ("novelty", "novelty, bits")):
        points = [
            Point(x.value, y.value, model, css_class, 7.0)
            for (model, by_key), css_class in zip(rows.items(), MODEL_CLASSES, strict=False)
            if (x := by_key.get((measure, None))) is not None and x.value is not None
            if (y := by_key[accuracy]).value is not None
        ]
        charts[measure] = ""
        if points:
            x_max, y_max = (1.25 * max(getattr(point, axis) for point in points) or 1.0 for axis in ("x", "y"))
            x_max = min(x_max, 1) if measure == "coverage" else x_max
            charts[measure] = scatter(Axes(label, y_name, (0, x_max), (0, y_max)), points)
    return charts


def _bars(table: pl.DataFrame, measure: str, x_name: str) -> str:
    """Draw a metric by the number of known ratings or interactions."""
    lows = [int(low) for low in table["low"]]
    spans = map(_span, lows, [*lows[1:], None])
    points = [Point(at, value, span) for at, (value, span) in enumerate(zip(table[measure], spans, strict=True))]
    return bars("RMSE" if measure == "rmse" else measure, x_name, points)


def _span(low: int, next_low: int | None) -> str:
    """Name a bin: `0`, `3–9`, `1000+`."""
    if next_low is None:
        return f"{low:,}+"
    return f"{low:,}" if next_low - low <= 1 else f"{low:,}–{next_low - 1:,}"


def _calibration(result: Evaluation) -> str:
    """Draw the mean rating given against the predicted rating."""
    table = _error_bins(result, "predicted")
    both = [*table["predicted"], *table["rated"]]
    margin = 0.05 * (max(both) - min(both)) or 0.5
    scale = min(both) - margin, max(both) + margin
    max_pairs, points = max(table["pairs"]), []
    for row in table.iter_rows(named=True):
        label = f"predicted {row['predicted']:.2f}, given {row['rated']:.2f}: {row['pairs']:,}"
        size = 3 + 9 * math.sqrt(row["pairs"] / max_pairs)
        points.append(Point(row["predicted"], row["rated"], label, size=size))
    return calibration(Axes("predicted rating", "mean rating given", scale, scale), points)
