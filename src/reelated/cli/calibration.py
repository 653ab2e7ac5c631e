"""`reelated evaluate --protocol new-users`: the calibration of predicted ratings of new users."""

from rich.text import Text

from reelated.cli.evaluate import EvaluationOptions, model_of
from reelated.cli.progress import working
from reelated.cli.show import TableColumn, console, print_json, table_of
from reelated.cli.sources import Options, read_source
from reelated.errors import InputError
from reelated.evaluation.new_users import DEFINITION, NewUserRow, evaluate_new_users
from reelated.formatting import printable

NAME = "new-users"


def print_new_users(source: str, options: Options, evaluation: EvaluationOptions, form: str) -> None:
    """Run the protocol, and print its rows as a table or as JSON."""
    if evaluation.split is not None or evaluation.n is not None or evaluation.target != "items":
        raise InputError(
            f"--protocol {NAME}: it fixes the split and makes no lists. Leave out --split, -n and --target."
        )
    data, model = read_source(source, options), model_of(options)
    with working(f"Evaluating {model}") as progress:
        rows = evaluate_new_users(options.recommender(), data, seed=evaluation.seed, progress=progress)
    if form == "json":
        return print_json([{"model": model, "data": data.name, "rows": [row.to_dict() for row in rows]}])
    out = console()
    out.print(Text(printable(f"{model} on {data.name}: predicted ratings of new users"), style="bold"))
    out.print(Text(DEFINITION, style="dim"))
    out.print(table_of(_columns(rows), out.width))
    return None


def _columns(rows: list[NewUserRow]) -> list[TableColumn]:
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
