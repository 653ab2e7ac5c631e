"""`reelated plot` and `reelated map`: pictures as files."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text

from reelated import plot
from reelated.cli.progress import errors, working
from reelated.cli.shared_options import Kind, as_user
from reelated.cli.show import print_about, print_note, print_notes
from reelated.cli.sources import Options, find_item, is_model, open_source, read_source
from reelated.formatting import printable
from reelated.map import ItemMap
from reelated.map import draw as draw_map
from reelated.map.labels import Color
from reelated.plot.saving import FontWarning, write_image
from reelated.recommender import Recommender

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SUBJECT_OPTIONS = {"ratings": "", "similarity": "--item", "neighborhood": "--item", "user": "--user"}
"""Kind of plot → the option that selects its subject."""


def check_usage(kind: Kind, items: list[str] | None, user: str | None, n: int | None) -> None:
    """Refuse options that a kind of plot does not take, and a kind without its required option."""
    given = {"--item": bool(items), "--user": user is not None}
    required = _SUBJECT_OPTIONS[kind]
    if required and not given[required]:
        raise typer.BadParameter(f"got no {required}: a plot of the kind {kind} requires it.")
    given["-n"] = n is not None and required != "--item"
    if extra := [name for name, is_given in given.items() if is_given and name != required]:
        raise typer.BadParameter(f"{extra[0]} does not go with {kind}.")
    if len(items or ()) > 1 and (kind == "neighborhood" or n is not None):
        what = "a neighborhood plot takes one item" if kind == "neighborhood" else "-n goes with one item"
        raise typer.BadParameter(f"got --item more than once: {what}.")


def draw(
    source: str, options: Options, kind: Kind, items: list[str] | None, user: str | None, **style: Any
) -> "Figure":
    """Open the source and draw the plot; a plot of ratings needs no fit."""
    if kind == "ratings" and not is_model(source):
        data = read_source(source, options)
        for note in data.notes:
            print_note(note)
        errors.print(Text(printable(repr(data)), style="dim"), soft_wrap=True)
        return plot.ratings(data, **style)
    rec = open_source(source, options)
    print_notes(rec)
    print_about(rec)
    return _draw_fitted(rec, kind, items or [], user, style)


def write(figure: "Figure", output: Path) -> None:
    """Write the figure; print a note for each character that no font has."""
    with warnings.catch_warnings(record=True, category=FontWarning) as caught:
        warnings.simplefilter("always", FontWarning)
        plot.save(figure, output)
    for warning in caught:
        print_note(str(warning.message))


def _draw_fitted(rec: Recommender, kind: Kind, items: list[str], user: str | None, style: dict[str, Any]) -> "Figure":
    item_ids = [find_item(rec, item) for item in items]
    if kind == "similarity":
        return plot.similarity(rec, item_ids, **style)
    if kind == "neighborhood":
        return plot.neighborhood(rec, item_ids[0], **style)
    return plot.ratings(rec, **style) if kind == "ratings" else plot.user(rec, as_user(rec, user), **style)


def write_map(rec: Recommender, output: Path, color: Color) -> None:
    """Compute the layout and write the SVG."""
    with working("Drawing"):
        write_image(output, draw_map(rec, ItemMap.of(rec), color=color).encode())
