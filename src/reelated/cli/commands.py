"""The commands: each reads its options, makes one call, and prints the result."""

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import reelated
from reelated.cli import service_commands
from reelated.cli.batch import check_output, write_batch
from reelated.cli.check_command import Rejects, check_source, print_report, write_rejects
from reelated.cli.cluster import Engine
from reelated.cli.shared_options import (
    AudienceBy,
    By,
    Color,
    Exclude,
    Form,
    Genres,
    Goal,
    Highest,
    Item,
    Items,
    Kind,
    N,
    OptionalItem,
    Rate,
    RatingsFile,
    Source,
    Target,
    TunedModel,
    User,
    Years,
    as_filters,
    as_own_ratings,
    as_ratings,
    as_user,
    with_fitting,
    with_json,
    with_options,
    with_reading,
    with_recommender,
    with_source,
)
from reelated.cli.show import (
    console,
    print_about,
    print_answers,
    print_audiences,
    print_notes,
    print_prediction,
    print_why,
)
from reelated.cli.sources import Options, find_item, fit_source, open_source
from reelated.errors import plural, plural_of, show_bytes
from reelated.recommender import Recommender


def plain_types(params: list[Any]) -> list[Any]:
    """Show no type in the help of flags, and the type of a repeatable option like that of any other."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
        elif getattr(param, "multiple", False) and param.metavar is None:
            param.metavar = "<str>"
    return params


class PlainGroup(TyperGroup):
    """The group of all commands, with the same help as a command."""

    def get_params(self, ctx: Any) -> list[Any]:
        return plain_types(super().get_params(ctx))


app = typer.Typer(
    name="reelated",
    cls=PlainGroup,
    help="Compute explained recommendations from a file of ratings.",
    epilog="Start with: reelated demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(show: bool) -> None:
    if show:
        typer.echo(f"reelated {reelated.__version__}")
        raise typer.Exit


# A command imports the package that it needs when it runs: all of them take longer than most commands.
def _check_picture(output: Path) -> Path:
    from reelated.cli.plot import check_picture

    return check_picture(output)


def _check_map(output: Path) -> Path:
    from reelated.cli.map import check_map

    return check_map(output)


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command(epilog="Example: reelated recommend sample --user 300 --genres Comedy,Drama --years 1990-1999")
@with_recommender("user", "item", "rate", "ratings_file", "users")
def recommend(
    rec: Recommender,
    user: User = None,
    item: Items = None,
    rate: Rate = None,
    ratings_file: RatingsFile = None,
    highest: Highest = None,
    users: str | None = None,
    n: N = 10,
    by: By = None,
    genres: Genres = None,
    years: Years = None,
    exclude: Exclude = None,
    why: Annotated[bool, typer.Option("--why", help="Show the contributions to each score.")] = False,
    form: Form = "table",
) -> None:
    """Recommend items to users, or users for an item.

    Several users: --users 1,2,3, or a file with one id in each line or a column user_id.
    """
    filters = as_filters(rec, genres, years, exclude)
    if users is not None:
        from reelated.cli.several import as_users, print_lists

        return print_lists(rec.recommend_batch(n, by=by, users=as_users(rec, users), **filters), rec.noun_, form)
    if item is not None and (rec.is_events or len(item) > 1):
        items = [find_item(rec, text) for text in item]
        return print_answers(rec.recommend(items=items, n=n, by=by, **filters), form, why=why)
    if item is not None:
        if any(value is not None for value in filters.values()):
            raise typer.BadParameter("--genres, --years and --exclude cannot be used with --item, which lists users.")
        return _audience(rec, item[0], n, by, form)
    query = _user_or_ratings(rec, user, rate, ratings_file, highest)
    print_answers(rec.recommend(**query, n=n, by=by, **filters), form, why=why)
    return None


@app.command(epilog='Example: reelated audience sample --item "Star Wars"')
@with_recommender()
def audience(
    rec: Recommender,
    item: Annotated[
        list[str],
        typer.Option("--item", "--movie", help="An item id or title; title:300 forces the title. Repeatable."),
    ],
    n: N = 10,
    by: AudienceBy = None,
    per_user: Annotated[
        int | None,
        typer.Option(
            "--per-user", min=1, metavar="<int>", help="With several items: maximum number of lists per user."
        ),
    ] = None,
    form: Form = "table",
) -> None:
    """List the best users for an item.

    Only users who have not rated the item are listed.
    """
    if len(item) == 1:
        return _audience(rec, item[0], n, by, form)
    item_ids = [find_item(rec, text) for text in item]
    print_audiences(rec.audience_batch(item_ids, n=n, by=by, per_user=per_user), rec.noun_, form)
    return None


def _audience(rec: Recommender, item: str, n: int, by: AudienceBy, form: Form) -> None:
    item_id = find_item(rec, item)
    similar = f"reelated similar SOURCE --item {shlex.quote(str(item_id))}"
    unknown = "do not have it" if rec.is_events else "have not rated it"
    hint = f"These are users who {unknown}. For {plural_of(rec.noun_)} like it: {similar}"
    print_answers(rec.audience(item_id, n=n, by=by), form, hint=hint)


@app.command(epilog='Example: reelated similar sample --item "Star Wars"')
@with_recommender()
def similar(
    rec: Recommender,
    item: Item,
    n: N = 10,
    genres: Genres = None,
    years: Years = None,
    exclude: Exclude = None,
    form: Form = "table",
) -> None:
    """List the items most similar to an item."""
    print_answers(rec.similar(find_item(rec, item), n=n, **as_filters(rec, genres, years, exclude)), form)


@app.command(epilog="Example: reelated predict sample --user 300 --item Fargo")
@with_recommender("user", "rate", "ratings_file", "pairs")
def predict(
    rec: Recommender,
    item: OptionalItem = None,
    user: User = None,
    rate: Rate = None,
    ratings_file: RatingsFile = None,
    highest: Highest = None,
    pairs: Annotated[str | None, typer.Option(help="A table of pairs of user_id and item_id.")] = None,
    form: Form = "table",
) -> None:
    """Predict the rating of an item, or those of a table of pairs."""
    if (item is None) == (pairs is None):
        raise typer.BadParameter(f"got {'neither' if item is None else 'both'}: expected --item or --pairs.")
    if pairs is not None:
        from reelated.cli.several import print_table, read_pairs

        return print_table(rec.predict_batch(read_pairs(rec, pairs)), form)
    query = _user_or_ratings(rec, user, rate, ratings_file, highest)
    print_prediction(rec.predict(**query, item_id=find_item(rec, item or "")), rec.noun_, form)
    return None


@app.command(epilog="Example: reelated explain sample --user 300 --item Fargo --by rating")
@with_recommender("user", "rate", forms=("json",))
def explain(
    rec: Recommender,
    item: Item,
    user: User = None,
    rate: Rate = None,
    by: By = None,
    form: Form = "table",
) -> None:
    """Show the parts of a score or of a predicted rating."""
    print_why(rec.explain(**_user_or_ratings(rec, user, rate), item_id=find_item(rec, item), by=by), rec.noun_, form)


def _user_or_ratings(
    rec: Recommender, user: str | None, rate: list[str] | None, file: str | None = None, highest: float | None = None
) -> dict[str, Any]:
    ratings = as_ratings(rec, rate) if file is None else as_own_ratings(rec, file, highest)
    return {"user_id": as_user(rec, user), "ratings": ratings}


@app.command(epilog="Example: reelated find sample 'star wasr'")
@with_recommender()
def find(
    rec: Recommender,
    text: Annotated[str, typer.Argument(help="A title or a part of one; typos are tolerated.", metavar="TEXT")],
    n: N = 10,
    form: Form = "table",
) -> None:
    """Find items by title."""
    print_answers(rec.find(text, n=n), form)


@app.command(epilog="Example: reelated fit ml-100k -o my.model")
@with_options
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
    from reelated.cli.sources import plan_source

    if engine is not None and (plan or output is not None):
        return _fit_on_cluster(source, options, None if plan else output, engine)
    if plan:
        data, needed = plan_source(source, options)
        return console().print(
            f"{data!r}\nThe fit may need up to {show_bytes(needed)} in addition to the data.", markup=False
        )
    if output is None:
        raise typer.BadParameter("got no -o: expected a folder for the model, such as -o my.model.")
    rec = fit_source(source, options)
    rec.save(output, ratings=ratings)
    size = sum(file.stat().st_size for file in output.iterdir())
    console().print(f"{rec!r}\nSaved to {output} ({show_bytes(size)}).", markup=False)
    new_user = f"--item {rec.item_ids[0]}" if rec.is_events else f"--rate {rec.item_ids[0]}={rec.scale_.high:g}"
    query = f"--user {rec.user_ids[0]}" if ratings else new_user
    console().print(f"Next: reelated recommend {output} {query}", markup=False)
    return None


def _fit_on_cluster(source: str, options: Options, output: Path | None, engine: str) -> None:
    from reelated.cli.cluster import fit_on_cluster

    estimate = fit_on_cluster(source, options, output, engine)
    if output is None:
        return console().print(estimate, markup=False)
    rec = Recommender.load(output)
    console().print(f"{rec!r}\nSaved to {output}.", markup=False)
    example = f"{rec.item_ids[0]}={rec.scale_.high:g}"
    console().print(f"Next: reelated recommend {output} --rate {example}", markup=False)
    return None


@app.command(epilog="Example: reelated batch ml-100k -o top10.parquet")
@with_options
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
        return console().print(f"{rows:,} rows written to {output}.", markup=False)
    if ratings is not None:
        raise typer.BadParameter("--ratings requires --engine; without it, SOURCE contains the ratings.")
    check_output(output)
    rec = open_source(source, options)
    print_notes(rec)
    print_about(rec)
    with working("Recommending") as progress:
        tables = rec.recommend_batch(n, by=by, **as_filters(rec, genres, years, exclude), progress=progress)
        rows = write_batch(tables, output)
    console().print(f"{rows:,} rows written to {output}.", markup=False)
    return None


@app.command(epilog="Example: reelated plot sample neighborhood --item 'Star Wars' -o star-wars.svg")
@with_options
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
    dark: Annotated[bool, typer.Option("--dark", help="Draw light on dark.")] = False,
) -> None:
    """Draw a plot to a file: ratings, similarity, neighborhood or user.

    Show the plot of a user to that user only.
    """
    from reelated.cli.plot import check_usage, draw, write

    check_usage(kind, item, user, n)
    style: dict[str, Any] = {"dark": dark} | ({} if n is None else {"n": n})
    write(draw(source, options, kind, item, user, **style), output)
    console().print(f"Written to {output}.", markup=False)


@app.command("map", epilog="Example: reelated map sample -o map.svg")
@with_recommender()
def map_(
    rec: Recommender,
    output: Annotated[Path, typer.Option("-o", "--output", callback=_check_map, help="An .svg file.")],
    color: Annotated[Color, typer.Option(help="Colour the dots by genres or decades.")] = "genres",
) -> None:
    """Draw all items as an SVG picture, similar items close together."""
    from reelated.cli.map import write_map

    write_map(rec, output, color)
    console().print(f"{plural(len(rec.item_ids), rec.noun_)} drawn to {output}.", markup=False)


@app.command(epilog="Example: reelated check sample")
@with_reading
def check(
    source: Source,
    options: Options,
    rejects: Rejects = None,
    form: Form = "table",
) -> None:
    """List the problems of a table before a fit.

    The report says how reading handles each problem.
    """
    report = check_source(source, options)
    if rejects is not None:
        write_rejects(report.rejects, source, rejects)
    print_report(report, form)
    if not report.usable:
        raise typer.Exit(1)


@app.command(epilog="Example: reelated evaluate sample --split last")
@with_fitting
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
            "With --protocol: the folder of the published split's files, or a file of it."
        ),
    ] = None,
    n: Annotated[int | None, typer.Option("-n", "--n", min=1, metavar="<int>", help="Length of the lists, 10.")] = None,
    target: Annotated[Target, typer.Option(help="What is ranked: items for users, or users for items.")] = "items",
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the hold-out split.")] = 0,
    report: Annotated[
        Path | None,
        typer.Option(help="Write a report to this .html file, with two reference models."),
    ] = None,
    form: Form = "table",
) -> None:
    """Measure a model: hide ratings, fit to the rest, and compare."""
    from reelated.cli import calibration
    from reelated.cli.evaluate import EvaluationOptions, evaluate_source, print_evaluation

    evaluation = EvaluationOptions(protocol, split, n, target, seed)
    if protocol == calibration.NAME and report is None:
        calibration.print_new_users(source, options, evaluation, form)
    else:
        print_evaluation(evaluate_source(source, options, evaluation, report), options, evaluation, form)


@app.command(epilog="Example: reelated tune sample --trials 5")
@with_reading
def tune(
    source: Source,
    options: Options,
    goal: Annotated[Goal | None, typer.Option("--for", help="liked and any: lists; rating: predictions.")] = None,
    model: Annotated[TunedModel | None, typer.Option(help="The model to tune.")] = None,
    minutes: Annotated[float, typer.Option(min=0, help="Time budget in minutes.")] = 5.0,
    trials: Annotated[int | None, typer.Option(min=1, metavar="<int>", help="Maximum number of trials.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the hold-out split and the search.")] = 0,
    form: Form = "table",
) -> None:
    """Search settings on a part of the ratings, and print the best."""
    from reelated.cli.tune import print_tuning, tune_source

    given = {"model": model, "minutes": minutes, "trials": trials, "seed": seed}
    print_tuning(tune_source(source, options, goal, **given), source, form)


@app.command(epilog="Example: reelated sample my-sample")
def sample(folder: Annotated[Path, typer.Argument(help="A new or empty folder.", metavar="DIR")]) -> None:
    """Write the bundled sample to a folder.

    The files have the layout of MovieLens 100K; the ratings are simulated.
    """
    from reelated.data.sample import write_sample

    files = write_sample(folder)
    console().print(f"{len(files)} files written to {folder}. The ratings and the users are simulated.", markup=False)
    console().print(f"Next: reelated recommend {folder} --user 300", markup=False)


@app.command(epilog="Example: reelated fetch ml-100k")
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
    console().print(f"{name} is at {path}.\nNext: reelated recommend {name} --user 1", markup=False)


service_commands.register(app, with_source, with_json)


class StrictCommand(TyperCommand):
    """A command that refuses a single-valued option given twice; Click would use the last value silently."""

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, whose types the help shows only where a value is needed."""
        return plain_types(super().get_params(ctx))

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words of the usage line, without the braces that Typer puts around required arguments."""
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the arguments, and refuse repeated options."""
        *_, options = self.make_parser(ctx).parse_args(args=list(args))
        for option in self.params:
            single_valued = not getattr(option, "multiple", True) and not getattr(option, "is_flag", True)
            if single_valued and (times := options.count(option)) > 1:
                raise typer.BadParameter(f"got {option.opts[-1]} {times} times: expected it once.")
        return super().parse_args(ctx, args)


@app.command(epilog="Example: reelated demo")
def demo() -> None:
    """Show the main commands on the bundled sample."""
    from reelated.cli.demo import run_demo

    run_demo()


PANELS = {
    "Start": ("demo", "sample", "fetch", "check"),
    "Ask": ("recommend", "audience", "similar", "predict", "explain", "find"),
    "Look": ("map", "plot"),
    "Measure": ("evaluate", "tune"),
    "Save": ("fit", "batch"),
    "Serve": ("serve", "import", "export", "forget", "refit", "models"),
}
"""The commands in the order of the help."""


def arrange_help() -> None:
    """Put the commands into panels, in their order."""
    by_name = {
        command.name or getattr(command.callback, "__name__", ""): command for command in app.registered_commands
    }
    app.registered_commands.clear()
    for panel, names in PANELS.items():
        for name in names:
            command = by_name.pop(name)
            command.cls, command.rich_help_panel = StrictCommand, panel
            app.registered_commands.append(command)
    assert not by_name, f"no panel has {sorted(by_name)}"


arrange_help()
