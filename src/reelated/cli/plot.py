"""`reelated plot`: draw ratings, items or one user to a file."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer
from rich.text import Text

from reelated import plot
from reelated.cli.options import as_user
from reelated.cli.progress import errors
from reelated.cli.show import print_about, print_notes
from reelated.cli.sources import Options, find_item, is_model, open_source, read_source
from reelated.plot.saving import FontWarning, check_matplotlib, check_path
from reelated.recommender import Recommender
from reelated.recommender.rows import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Kind = Literal["ratings", "similarity", "neighborhood", "user"]
_TAKES = {"ratings": "", "similarity": "--item", "neighborhood": "--item", "user": "--user"}
"""The option that selects the subject of each kind of plot."""


def check_picture(output: Path) -> Path:
    """Return the output path; raise an `InputError` if it cannot be written or Matplotlib is missing."""
    check_matplotlib()
    return check_path(output)


def check_usage(kind: Kind, items: list[str] | None, user: str | None, n: int | None) -> None:
    """Refuse options that a kind of plot does not take, and a kind without its required option."""
    given = {"--item": bool(items), "--user": user is not None}
    wanted = _TAKES[kind]
    if wanted and not given[wanted]:
        raise typer.BadParameter(f"got no {wanted}: a picture of the kind {kind} needs it.")
    given["-n"] = n is not None and wanted != "--item"
    if extra := [name for name, said in given.items() if said and name != wanted]:
        raise typer.BadParameter(f"{extra[0]} does not go with {kind}.")
    if len(items or ()) > 1 and (kind == "neighborhood" or n is not None):
        what = "a neighborhood is that of one item" if kind == "neighborhood" else "-n goes with one item"
        raise typer.BadParameter(f"got --item more than once: {what}.")


def draw(source: str, options: Options, kind: Kind, items: list[str] | None, user: str | None, **how: Any) -> "Figure":
    """Open the source and draw the plot; a plot of ratings needs no fit."""
    if kind == "ratings" and not is_model(source):
        data = read_source(source, options)
        for line in (*(f"note: {note}" for note in data.notes), repr(data)):
            errors.print(Text(printable(line), style="yellow" if line.startswith("note: ") else "dim"), soft_wrap=True)
        return plot.ratings(data, **how)
    rec = open_source(source, options)
    print_notes(rec)
    print_about(rec)
    return _draw_fitted(rec, kind, items or [], user, how)


def write(figure: "Figure", output: Path) -> None:
    """Write the figure; print a note for each character that no font has."""
    with warnings.catch_warnings(record=True, category=FontWarning) as caught:
        warnings.simplefilter("always", FontWarning)
        plot.save(figure, output)
    for warning in caught:
        errors.print(Text(printable(f"note: {warning.message}"), style="yellow"), soft_wrap=True)


def _draw_fitted(rec: Recommender, kind: Kind, items: list[str], user: str | None, how: dict[str, Any]) -> "Figure":
    item_ids = [find_item(rec, item) for item in items]
    if kind == "similarity":
        return plot.similarity(rec, item_ids, **how)
    if kind == "neighborhood":
        return plot.neighborhood(rec, item_ids[0], **how)
    return plot.ratings(rec, **how) if kind == "ratings" else plot.user(rec, as_user(rec, user), **how)
