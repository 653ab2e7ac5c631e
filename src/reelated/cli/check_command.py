"""`reelated check`: validate a source before a fit."""

import warnings
from pathlib import Path

import polars as pl
from rich.text import Text

from reelated.cli.show import console, print_json
from reelated.cli.sources import Options, is_model
from reelated.cli.words import TERMINAL
from reelated.data import ValidationReport, validate
from reelated.errors import DataWarning, InputError, shorten
from reelated.formatting import printable
from reelated.plot.saving import atomic_write

_STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def check_source(source: str, options: Options) -> ValidationReport:
    """Validate a source of ratings; a saved model is refused."""
    if is_model(source):
        raise InputError(f"SOURCE {shorten(source)}: expected ratings, and this is a saved model. Use it as it is.")
    with warnings.catch_warnings(category=DataWarning, action="ignore"):
        return validate(
            source, **{name: value for name, value in options.reading.items() if value is not None and name != "noun"}
        )


def print_report(report: ValidationReport, form: str) -> None:
    """Print the report as text, or as a JSON array with one object."""
    if form == "json":
        return print_json([report.to_dict()])
    out = console()
    for line in report.to_text(out.width, TERMINAL).split("\n"):
        styled = Text(printable(line))
        for severity, style in _STYLES.items():
            styled.highlight_regex(rf"^{severity}:", style)
        out.print(styled, soft_wrap=True)
    return None


def write_rejects(rows: pl.DataFrame, source: str, rejects: Path) -> None:
    """Write the rejected rows atomically; refuse to overwrite the source."""
    if Path(source).resolve() in (rejects.resolve(), rejects.parent.resolve()):
        raise InputError(f"--rejects {rejects}: this is SOURCE itself, or lies in it. Name another file.")
    with atomic_write(rejects) as temporary:
        rows.write_csv(temporary)
