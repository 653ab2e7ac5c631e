"""`reelated tune`: search hyperparameters, and print the code that uses the best."""

import shlex
from typing import Any, Literal

from rich.text import Text

from reelated.cli.progress import working
from reelated.cli.show import console, print_json
from reelated.cli.sources import Options, read_source
from reelated.evaluation import Tuning, tune
from reelated.evaluation.tuning import check_optuna
from reelated.recommender.rows import printable

Goal = Literal["any", "liked", "rating"]
TunedModel = Literal["ease", "bpmf", "item-knn"]


def tune_source(source: str, options: Options, goal: Goal, **given: Any) -> Tuning:
    """Read a source and search hyperparameters on its data."""
    check_optuna()
    data = read_source(source, options)
    with working("Trying settings") as move:
        return tune(data, goal, **given, progress=lambda done, best: move(done))


def print_tuning(found: Tuning, source: str, form: str) -> None:
    """Print the code that uses the best settings, or a JSON array with one object."""
    told = {name: getattr(found, name) for name in ("model", "goal", "measure", "settings", "value", "default")}
    if form == "json":
        return print_json([{**told, "trials": len(found.trials), "python": found.python, "terminal": found.terminal}])
    out = console()
    tried = f"{found.measure}: {found.value:.4f} with the best of {len(found.trials):,} settings of {found.model}"
    out.print(Text(f"{tried}, {found.default:.4f} with the defaults.", style="bold"))
    if not found.settings:
        return out.print("Nothing was better than the defaults: keep them.")
    out.print(Text(f"Python:   {printable(found.python)}"), soft_wrap=True)
    if found.terminal is None:
        out.print("The terminal sets the ranking model alone.")
    else:
        out.print(
            Text(f"Terminal: reelated recommend {shlex.quote(printable(source))} {found.terminal}"), soft_wrap=True
        )
    hint = "The figure is of the ratings that the settings were chosen by: measure on others with reelated evaluate."
    return out.print(Text(hint, style="dim"), soft_wrap=True)
