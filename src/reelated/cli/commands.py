"""The commands, in the order of the help: each reads its options, makes one call, and prints the result.

A command imports its package when it runs: importing all packages takes longer than most commands.
"""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from reelated.cli import ask, service_commands
from reelated.cli.registry import app, command
from reelated.cli.shared_options import (
    FITTING,
    READING,
    By,
    Color,
    Engine,
    Exclude,
    Form,
    Genres,
    Goal,
    Kind,
    N,
    Rejects,
    Source,
    Target,
    TunedModel,
    User,
    Years,
    as_filters,
    with_recommender,
    with_shared,
)
from reelated.cli.show import console, print_about, print_answers, print_json, print_notes
from reelated.cli.sources import Options, check_source, find_item, fit_source, open_source, read_source
from reelated.errors import import_optional, plural, show_bytes
from reelated.formatting import printable

if TYPE_CHECKING:
    from reelated.recommender import Recommender

__all__ = ["app", "ask", "service_commands"]


@command("Start", "reelated demo")
def demo() -> None:
    """Show the main commands on the bundled sample."""
    rec, out = open_source("sample", Options()), console()
    print_about(rec)
    out.print()
    print_answers(recommended := rec.recommend(user_id=300), "table")
    out.print()
    item_id = find_item(rec, "Star Wars")
    print_answers(rec.audience(item_id), "table", hint="These are users who have not rated it.")
    out.print()
    print_answers(rec.similar(item_id), "table")
    out.print("\n[bold]Try next[/]")
    is_found = Path(sys.argv[0]).stem != "reelated" or shutil.which("reelated")
    name = "reelated" if is_found else shlex.quote(os.path.relpath(sys.argv[0]))
    for line in (
        f"{name} explain sample --user 300 --item {shlex.quote(recommended[0].title)}",
        f"{name} recommend sample --rate 'Alien=5' --rate 'Notting Hill=2'",
        f"{name} fetch ml-100k && {name} recommend ml-100k --user 196",
    ):
        out.print(f"  {line}", markup=False)


@command("Start", "reelated sample my-sample")
def sample(folder: Annotated[Path, typer.Argument(help="A new or empty folder.", metavar="DIR")]) -> None:
    """Write the bundled sample to a folder.

    The files have the layout of MovieLens 100K; the ratings are simulated.
    """
    from reelated.data.sample import write_sample

    files = write_sample(folder)
    console().print(f"{len(files)} files written to {folder}. The ratings and the users are simulated.", markup=False)
    _print_next(folder, "--user", "300")


@command("Start", "reelated fetch ml-100k")
def fetch(
    name: Annotated[
        str, typer.Argument(help="ml-100k, ml-1m, ml-10m, ml-20m, ml-25m, ml-32m or ml-latest-small.", metavar="NAME")
    ],
    from_file: Annotated[
        Path | None, typer.Option("--from", help="Read this archive instead of downloading it.")
    ] = None,
) -> None:
    """Download an edition of MovieLens into the cache."""
    from reelated.data import fetch as fetch_edition

    path = fetch_edition(name, from_file=from_file, say=lambda line: console().print(line, markup=False))
    console().print(f"{name} is at {path}.", markup=False)
    _print_next(name, "--user", "1")


@command("Start", "reelated check sample")
@with_shared(READING, "json")
def check(source: Source, options: Options, rejects: Rejects = None, form: Form = "table") -> None:
    """List the problems of a table before a fit.

    The report says how reading handles each problem.
    """
    from reelated.cli.batch import write_rejects
    from reelated.cli.words import TERMINAL

    report, out = check_source(source, options), console()
    if rejects is not None:
        write_rejects(report.rejects, source, rejects)
    if form == "json":
        print_json([report.to_dict()])
    for line in report.to_text(out.width, TERMINAL).split("\n") if form == "table" else ():
        styled = Text(printable(line))
        for severity, style in (("error", "bold red"), ("warning", "yellow"), ("note", "cyan")):
            styled.highlight_regex(rf"^{severity}:", style)
        out.print(styled, soft_wrap=True)
    if not report.usable:
        raise typer.Exit(1)


def _check_picture(output: Path) -> Path:
    """Return the output path, or raise an `InputError` if it cannot be written or Matplotlib is missing."""
    from reelated.plot.saving import check_path

    import_optional("matplotlib", "plot")
    return check_path(output)


def _check_map(output: Path) -> Path:
    """Return the output path, or raise an `InputError` if it cannot be written or openTSNE is missing."""
    from reelated.plot.saving import check_path

    import_optional("openTSNE", "map")
    return check_path(output, (".svg",))


@command("Look", "reelated map sample -o map.svg", "map")
@with_recommender()
def map_(
    rec: "Recommender",
    output: Annotated[Path, typer.Option("-o", "--output", callback=_check_map, help="An .svg file.")],
    color: Annotated[Color, typer.Option(help="Colour the dots by genres or decades.")] = "genres",
) -> None:
    """Draw all items as an SVG picture, with similar items close together."""
    from reelated.cli.pictures import write_map

    write_map(rec, output, color)
    console().print(f"{plural(len(rec.item_ids), rec.noun_)} drawn to {output}.", markup=False)


@command("Look", "reelated plot sample neighborhood --item 'Star Wars' -o star-wars.svg")
@with_shared(READING | FITTING)
def plot(
    source: Source,
    kind: Annotated[Kind, typer.Argument(help="The kind of plot.", metavar="KIND")],
    options: Options,
    output: Annotated[Path, typer.Option("-o", "--output", callback=_check_picture, help="A .png or .svg file.")],
    item: Annotated[
        list[str] | None, typer.Option("--item", "--movie", help="An item id or title. Repeatable.")
    ] = None,
    user: User = None,
    n: Annotated[int | None, typer.Option("-n", "--n", min=1, metavar="<int>", help="Number of items, 10.")] = None,
    dark: Annotated[bool, typer.Option("--dark", help="Use light colours on a dark background.")] = False,
) -> None:
    """Draw a plot to a file: ratings, similarity, neighborhood or user.

    The plot of a user is personal data: show it to that user only.
    """
    from reelated.cli.pictures import check_usage, draw, write

    check_usage(kind, item, user, n)
    style: dict[str, Any] = {"dark": dark} | ({} if n is None else {"n": n})
    write(draw(source, options, kind, item, user, **style), output)
    console().print(f"Written to {output}.", markup=False)


@command("Measure", "reelated evaluate sample --split last")
@with_shared(READING | FITTING, "json")
def evaluate(
    source: Source,
    options: Options,
    protocol: Annotated[
        str | None, typer.Option(help="A published evaluation protocol, such as ml100k-microsoft; or new-users.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="How ratings are hidden: within-users (the default), within-items, last, time, random, new-users. "
            "With --protocol: the folder of the published split's files, or one of the files."
        ),
    ] = None,
    n: Annotated[int | None, typer.Option("-n", "--n", min=1, metavar="<int>", help="Length of the lists, 10.")] = None,
    target: Annotated[Target, typer.Option(help="What is ranked: items for users, or users for items.")] = "items",
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the hold-out split.")] = 0,
    report: Annotated[
        Path | None, typer.Option(help="Write a report to this .html file, with two reference models.")
    ] = None,
    form: Form = "table",
) -> None:
    """Measure a model: hide ratings, fit to the rest, and compare."""
    from reelated.cli.evaluate import NEW_USERS, EvaluationOptions, evaluate_source, print_evaluation, print_new_users

    evaluation = EvaluationOptions(protocol, split, n, target, seed)
    if protocol == NEW_USERS and report is None:
        print_new_users(source, options, evaluation, form)
    else:
        print_evaluation(evaluate_source(source, options, evaluation, report), options, evaluation, form)


@command("Measure", "reelated tune sample --trials 5")
@with_shared(READING, "json")
def tune(
    source: Source,
    options: Options,
    goal: Annotated[
        Goal | None, typer.Option("--for", help="Optimise lists (liked or any) or predicted ratings (rating).")
    ] = None,
    model: Annotated[TunedModel | None, typer.Option(help="The model to tune.")] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Time budget in minutes.")] = 5.0,
    trials: Annotated[int | None, typer.Option(min=1, metavar="<int>", help="Maximum number of trials.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the hold-out split and the search.")] = 0,
    form: Form = "table",
) -> None:
    """Search for settings on a part of the ratings, and print the best."""
    from reelated.cli.evaluate import print_tuning, tune_source

    given = {"model": model, "minutes": minutes, "trials": trials, "seed": seed}
    print_tuning(tune_source(source, options, goal, **given), source, form)


@command("Save", "reelated fit ml-100k -o my.model")
@with_shared(READING | FITTING)
def fit(
    source: Source,
    options: Options,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="The folder to save the model in.")] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Only estimate the memory that the fit needs.")] = False,
    ratings: Annotated[
        bool,
        typer.Option(
            "--ratings/--no-ratings", help="Save the ratings with the model; without them, it serves only new users."
        ),
    ] = True,
    engine: Engine = None,
) -> None:
    """Fit a model and save it as a folder.

    Every other command accepts the folder as SOURCE.
    """
    if engine is not None and (plan or output is not None):
        return _fit_on_cluster(source, options, None if plan else output, engine)
    if plan:
        data = read_source(source, options)
        needed = show_bytes(options.recommender().plan(data))
        return console().print(f"{data!r}\nThe fit may need up to {needed} in addition to the data.", markup=False)
    if output is None:
        raise typer.BadParameter("got no -o: expected a folder for the model, such as -o my.model.")
    rec = fit_source(source, options)
    rec.save(output, ratings=ratings)
    size = sum(file.stat().st_size for file in output.iterdir())
    console().print(f"{rec!r}\nSaved to {output} ({show_bytes(size)}).", markup=False)
    new_user = ("--item", f"{rec.item_ids[0]}") if rec.is_events else ("--rate", _highest_rating(rec))
    _print_next(output, *(("--user", f"{rec.user_ids[0]}") if ratings else new_user))
    return None


def _highest_rating(rec: "Recommender") -> str:
    return f"{rec.item_ids[0]}={rec.scale_.high:g}"


def _print_next(*arguments: object) -> None:
    """Print a command that can be copied to a shell."""
    console().print(f"Next: reelated recommend {shlex.join(map(str, arguments))}", markup=False, soft_wrap=True)


def _fit_on_cluster(source: str, options: Options, output: Path | None, engine: str) -> None:
    import reelated
    from reelated.cli.cluster import fit_on_cluster

    estimate = fit_on_cluster(source, options, output, engine)
    if output is None:
        return console().print(estimate, markup=False)
    rec = reelated.Recommender.load(output)
    console().print(f"{rec!r}\nSaved to {output}.", markup=False)
    _print_next(output, "--rate", _highest_rating(rec))
    return None


@command("Save", "reelated batch ml-100k -o top10.parquet")
@with_shared(READING | FITTING)
def batch(
    source: Source,
    options: Options,
    output: Annotated[Path, typer.Option("-o", "--output", help="A .parquet or .csv file.")],
    n: N = 10,
    by: By = None,
    genres: Genres = None,
    years: Years = None,
    exclude: Exclude = None,
    engine: Engine = None,
    ratings: Annotated[str | None, typer.Option(help="With --engine: the table of ratings; SOURCE is a model.")] = None,
) -> None:
    """Write the lists of all users to a file.

    An existing file is replaced.
    """
    from reelated.cli.progress import working

    if engine is not None:
        from reelated.cli.cluster import batch_on_cluster

        rows = batch_on_cluster(source, ratings, output, engine, options, n=n, by=by, filters=(genres, years, exclude))
        return console().print(f"{plural(rows, 'row')} written to {output}.", markup=False)
    if ratings is not None:
        raise typer.BadParameter("--ratings requires --engine; without it, SOURCE contains the ratings.")
    from reelated.cli.batch import check_output, write_batch

    check_output(output)
    rec = open_source(source, options)
    print_notes(rec)
    print_about(rec)
    with working("Recommending") as progress:
        tables = rec.recommend_batch(n, by=by, **as_filters(rec, genres, years, exclude), progress=progress)
        rows = write_batch(tables, output)
    console().print(f"{plural(rows, 'row')} written to {output}.", markup=False)
    return None
