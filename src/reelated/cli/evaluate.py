"""`reelated evaluate` and `reelated tune`: run an evaluation or a search, and print its result."""

import shlex
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rich.text import Text

from reelated.cli.progress import errors, working
from reelated.cli.show import TableColumn, console, print_json, table_of
from reelated.cli.sources import Options, read_source
from reelated.errors import InputError, check_choice, plural, shorten
from reelated.evaluation import PROTOCOLS, SPLITS, Evaluation, MetricRow, Protocol, Split, Tuning, evaluate, tune
from reelated.evaluation.evaluate import Target
from reelated.evaluation.new_users import DEFINITION, NewUserRow, evaluate_new_users
from reelated.evaluation.report import METRICS, check_report, write_report
from reelated.evaluation.tuning import Goal, check_optuna
from reelated.formatting import cell_text, printable
from reelated.models import Popularity
from reelated.recommender import Recommender, textbook

REFERENCE_MODELS: dict[str, Callable[[], Recommender]] = {
    "popularity": lambda: Recommender(Popularity(), rater=None),
    "textbook": textbook,
}
"""Reference models that a report shows for comparison."""
BOTH = ("any", "liked")
NEW_USERS = "new-users"
"""The protocol that measures the calibration of predicted ratings of new users."""
INTERVAL = "95 % interval"
MAX_SHOWN = 8
"""The maximum number of trials that are printed."""


class EvaluationOptions(NamedTuple):
    """The evaluation options of the command."""

    protocol: str | None
    split: str | None
    n: int | None
    target: Target
    seed: int


def evaluate_source(source: str, options: Options, evaluation: EvaluationOptions, report: Path | None) -> Evaluation:
    """Evaluate the chosen recommender; with `report`, evaluate the reference models too and write the report."""
    protocol = None if evaluation.protocol is None else protocol_of(options, evaluation)
    chosen = options.recommender()
    if options.ranker == "popularity" and options.rater is None:
        chosen.rater = None  # not the error of the default rater
    recommenders = {model_of(options): chosen}
    if report is not None:
        check_report(report)
        recommenders |= {name: make() for name, make in REFERENCE_MODELS.items() if name not in recommenders}
    split = _split_of(source, options, evaluation) if protocol is None else protocol.splits(source, evaluation.split)
    length = (10 if evaluation.n is None else evaluation.n) if protocol is None else protocol.n
    target = evaluation.target if protocol is None else protocol.target
    first = split if isinstance(split, Split) else split[0]
    if first.train.ratings.declared == "implicit" and len(recommenders) > 1:
        recommenders.pop("textbook", None)  # the recipe predicts ratings
    results = {}
    for name, recommender in recommenders.items():
        with working(f"Evaluating {name}") as progress:
            results[name] = evaluate(recommender, split, length, target=target, progress=progress)
    if report is not None:
        errors.print(Text(f"Report written to {write_report(results, report, protocol)}."), soft_wrap=True)
    return results[model_of(options)]


def protocol_of(options: Options, evaluation: EvaluationOptions) -> Protocol:
    """Return the chosen protocol; refuse options that the protocol fixes itself."""
    protocol = PROTOCOLS[check_choice("protocol", evaluation.protocol, PROTOCOLS)]
    if options.reading or evaluation.n is not None or evaluation.target != "items":
        raise InputError(
            f"--protocol {protocol.name}: it fixes how SOURCE is read, what is ranked and the length of the lists. "
            "Leave out -n, --target and the reading options."
        )
    return protocol


def _split_of(source: str, options: Options, evaluation: EvaluationOptions) -> Split | list[Split]:
    """Read a source and split it by the method of `--split`."""
    name = "within-users" if evaluation.split is None else evaluation.split
    if name not in SPLITS:
        raise InputError(f"--split {shorten(name)}: expected one of {', '.join(SPLITS)}; files go with --protocol.")
    seeded = {} if name in ("last", "time") else {"seed": evaluation.seed}
    return SPLITS[name](read_source(source, options), **seeded)


def model_of(options: Options) -> str:
    """Name the models and their settings in one line."""
    models = [model for model in (options.ranker, options.rater) if model is not None]
    settings = [f"{name}={value}" for name, value in options.settings.items()]
    return ", ".join([*(models or [options.preset]), *settings])


# --------------------------------------------------------------------------------------------------------- printing
def print_evaluation(result: Evaluation, options: Options, evaluation: EvaluationOptions, form: str) -> None:
    """Print the metrics as tables, or as a JSON array with one object."""
    rows, protocol = result.rows(), PROTOCOLS.get(evaluation.protocol or "")
    if form == "json":
        return print_json([as_dict(result, rows, model_of(options), protocol)])
    out = console()
    out.print(Text(printable(f"{model_of(options)} on {result.data}: {result.how}"), style="bold"))
    if protocol is None:
        what = "users" if result.target == "items" else "items"
        liked = "" if result.liked is None else f"Liked: {result.liked}. "
        out.print(Text(f"{liked}In brackets: {INTERVAL} over {what}.", style="dim"))
        out.print(table_of(_of_lists(rows), out.width))
        out.print()
        out.print(table_of(_others(rows), out.width))
        if result.liked is None:
            out.print()
            out.print(table_of(_groups(result), out.width))
    else:
        out.print(Text(protocol.definition, style="dim"))
        out.print(table_of(_published_columns(protocol, rows, model_of(options)), out.width))
        out.print(Text(f"Source: {protocol.source}", style="dim"))
    for note in (*left_out(rows, result.target), *result.notes):
        errors.print(Text(printable(f"note: {note}"), style="yellow"), soft_wrap=True)
    errors.print(Text(f"A fit took {result.seconds:.1f} s.", style="dim"))
    return None


def as_dict(result: Evaluation, rows: list[MetricRow], model: str, protocol: Protocol | None) -> dict[str, Any]:
    """Return the object that `--json` prints."""
    fields: dict[str, Any] = {"model": model}
    fields |= {name: getattr(result, name) for name in ("data", "how", "target", "liked")}
    fields |= {"notes": list(result.notes), "measures": [asdict(row) for row in rows]}
    fields |= {"groups": result.groups().to_dicts()}
    if protocol is not None:
        published = [
            {"model": row.model, **dict(zip(protocol.columns, row.values, strict=True)), "note": row.note}
            for row in protocol.published
        ]
        ours = dict(zip(protocol.columns, protocol.row(result), strict=True))
        about = {name: getattr(protocol, name) for name in ("name", "definition", "source")}
        fields["protocol"] = {**about, "ours": ours, "published": published}
    return fields


def left_out(rows: list[MetricRow], target: str) -> list[str]:
    """Return notes on users or items that are left out of the mean of a metric."""
    what = "user" if target == "items" else "item"
    first = {row.relevance: row for row in rows if row.measure.startswith("ndcg")}
    return [
        f"left out of the means for {of}: {plural(row.left_out, what)} of {row.entities + row.left_out:,}, "
        f"without a list or without a hidden {'liked ' * (relevance == 'liked')}rating."
        for relevance, of in (("any", "rated at all"), ("liked", "liked"))
        if (row := first.get(relevance)) is not None and row.left_out
    ]


def named(measure: str) -> str:
    """Format the name of a metric: `ndcg@10` → `nDCG@10`."""
    key, separator, n = measure.partition("@")
    name = METRICS[key][0]
    return (name if name[1].isupper() else name[0].lower() + name[1:]) + separator + n


def _of_lists(rows: list[MetricRow]) -> list[TableColumn]:
    """Return the columns of the ranking metrics: one for `any`, and one for `liked` if the data has ratings."""
    any_, liked = ([row for row in rows if row.relevance == of] for of in BOTH)
    columns = {"rated at all": any_, "liked": liked} if liked else {"hit": any_}
    return [
        TableColumn("metric of the recommended list", [named(row.measure) for row in any_], text=True),
        *(TableColumn(name, list(map(_with_interval, column))) for name, column in columns.items()),
    ]


def _others(rows: list[MetricRow]) -> list[TableColumn]:
    """Return the columns of the metrics without relevant items, such as RMSE and coverage."""
    order, shown = list(METRICS), {(row.measure, row.relevance) for row in rows}
    rest = sorted((row for row in rows if row.relevance is None), key=lambda row: order.index(row.measure))
    heading = "predicted ratings; lists as a whole" if ("rmse", None) in shown else "lists as a whole"
    return [
        TableColumn(heading, [named(row.measure) for row in rest], text=True),
        TableColumn("", [_with_interval(row) for row in rest]),
    ]


def _groups(result: Evaluation) -> list[TableColumn]:
    """Return the columns of recall by user activity and by item popularity."""
    rows = result.groups().to_dicts()
    ends = [
        after["low"] if after["of"] == row["of"] else None
        for row, after in zip(rows, [*rows[1:], rows[0]], strict=True)
    ]
    names = [f"{row['of']}s with {_span(row['low'], end)}" for row, end in zip(rows, ends, strict=True)]
    return [
        TableColumn("by interactions in training", names, text=True),
        TableColumn("recall", [f"{row['recall']:.4f}" for row in rows]),
        TableColumn("lists or hidden", [f"{row['n']:,}" for row in rows]),
    ]


def _span(low: int, end: int | None) -> str:
    """Name a bin: `0`, `3 to 9`, `1,000 or more`."""
    if end is None or end <= low:
        return f"{low:,} or more"
    return f"{low:,}" if end - low == 1 else f"{low:,} to {end - 1:,}"


def _published_columns(protocol: Protocol, rows: list[MetricRow], model: str) -> list[TableColumn]:
    """Return the published rows of a protocol with our row and its intervals below."""
    by_metric = {(row.measure, row.relevance): row for row in rows}
    ours = [by_metric.get(key, MetricRow(*key, None, None, None, 0, 0)) for key in protocol.columns.values()]
    published = protocol.published
    names = [*(other.model for other in published), f"Reelated: {model}", f"  {INTERVAL}"]
    notes = [*(other.note for other in published), "measured here", ""]
    numbers = []
    for k, (name, row) in enumerate(zip(protocol.columns, ours, strict=True)):
        values = ["–" if (value := other.values[k]) is None else f"{value:g}" for other in published]
        span = "–" if row.low is None else f"{row.low:.3f}–{row.high:.3f}"
        numbers.append(TableColumn(name, [*values, _value(row), span]))
    return [TableColumn("model", names, text=True), *numbers, TableColumn("note", notes, text=True)]


def _value(row: MetricRow) -> str:
    return "–" if row.value is None else f"{row.value:.4f}"


def _with_interval(row: MetricRow) -> str:
    return _value(row) if row.low is None else f"{_value(row)} ({row.low:.4f}–{row.high:.4f})"


def print_new_users(source: str, options: Options, evaluation: EvaluationOptions, form: str) -> None:
    """Run the protocol, and print its rows as a table or as JSON."""
    if evaluation.split is not None or evaluation.n is not None or evaluation.target != "items":
        raise InputError(
            f"--protocol {NEW_USERS}: it fixes the split and makes no lists. Leave out --split, -n and --target."
        )
    data, model = read_source(source, options), model_of(options)
    with working(f"Evaluating {model}") as progress:
        rows = evaluate_new_users(options.recommender(), data, seed=evaluation.seed, progress=progress)
    if form == "json":
        return print_json([{"model": model, "data": data.name, "rows": [row.to_dict() for row in rows]}])
    out = console()
    out.print(Text(printable(f"{model} on {data.name}: predicted ratings of new users"), style="bold"))
    out.print(Text(DEFINITION, style="dim"))
    out.print(table_of(_calibration_columns(rows), out.width))
    return None


def _calibration_columns(rows: list[NewUserRow]) -> list[TableColumn]:
    return [
        TableColumn("given", [str(row.n_given) for row in rows]),
        TableColumn("users", [f"{row.users:,}" for row in rows]),
        TableColumn("mean", [f"{row.mean:.2f}" for row in rows]),
        TableColumn("bias", [f"{row.bias:+.3f} ({row.bias_low:+.3f} to {row.bias_high:+.3f})" for row in rows]),
        TableColumn("per user", [f"{row.user_bias:+.3f}" for row in rows]),
        TableColumn("in the 80 % interval", [_coverage(row) for row in rows]),
        TableColumn("RMSE", [f"{row.rmse:.3f}" for row in rows]),
    ]


def _coverage(row: NewUserRow) -> str:
    if row.coverage is None or row.coverage_low is None or row.coverage_high is None:
        return "–"
    return f"{row.coverage:.1%} ({row.coverage_low:.1%} to {row.coverage_high:.1%})"


# ---------------------------------------------------------------------------------------------------------- tuning
def tune_source(source: str, options: Options, goal: Goal | None, **search: Any) -> Tuning:
    """Read a source and search for the best settings on its data."""
    check_optuna()
    data = read_source(source, options)
    with working("Trying settings") as update:
        return tune(data, goal, **search, progress=lambda done, best: update(done))


def _best_trials(tuning: Tuning) -> list[TableColumn]:
    trials = tuning.trials.sort("value", descending=tuning.goal != "rating", nulls_last=True).head(MAX_SHOWN)
    return [
        TableColumn(tuning.measure if name == "value" else name, [cell_text(value) for value in trials[name]])
        for name in ["value", *(name for name in trials.columns if name != "value")]
    ]


def print_tuning(tuning: Tuning, source: str, form: str) -> None:
    """Print the code that uses the best settings, or a JSON array with one object."""
    summary = {name: getattr(tuning, name) for name in ("model", "goal", "measure", "settings", "value", "default")}
    if form == "json":
        return print_json(
            [{**summary, "trials": len(tuning.trials), "python": tuning.python, "terminal": tuning.terminal}]
        )
    out = console()
    result = f"{tuning.measure}: {tuning.value:.4f} with the best of {len(tuning.trials):,} settings of {tuning.model}"
    out.print(Text(f"{result}, {tuning.default:.4f} with the defaults.", style="bold"))
    out.print(table_of(_best_trials(tuning), out.width))
    if not tuning.settings:
        return out.print("No trial was better than the defaults: keep them.")
    out.print(Text(f"Python:   {printable(tuning.python)}"), soft_wrap=True)
    command = f"Terminal: reelated recommend {shlex.quote(printable(source))} {tuning.terminal}"
    out.print(Text(command), soft_wrap=True)
    hint = "This metric is computed on the ratings used for tuning. For an unbiased estimate run: reelated evaluate"
    return out.print(Text(hint, style="dim"), soft_wrap=True)
