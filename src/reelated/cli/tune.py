"""`reelated tune`: search hyperparameters, and print the code that uses the best."""

import shlex
from typing import Any

from rich.text import Text

from reelated.cli.progress import working
from reelated.cli.shared_options import Goal
from reelated.cli.show import TableColumn, console, print_json, table_of
from reelated.cli.sources import Options, read_source
from reelated.evaluation import Tuning, tune
from reelated.evaluation.tuning import check_optuna
from reelated.recommender.rows import cell_text, printable

MAX_SHOWN = 8
"""Trials shown."""


def tune_source(source: str, options: Options, goal: Goal | None, **search: Any) -> Tuning:
    """Read a source and search hyperparameters on its data."""
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
