"""The commands of the web service and its store: import, export, forget, refit, models, serve."""

import logging
import os
import re
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelated.cli.progress import working
from reelated.cli.registry import PlainGroup, StrictCommand, app, command
from reelated.cli.shared_options import READING, Form, Rejects, Source, as_scale, with_shared
from reelated.cli.show import console, print_json, print_note
from reelated.cli.sources import Options, check_source, read_source
from reelated.errors import DataWarning, InputError, not_installed, plural

if TYPE_CHECKING:
    from reelated.refit import RefitResult, Versions
    from reelated.store import Store

StoreUrl = Annotated[
    str | None, typer.Option("--store", envvar="REELATED_STORE", help="The store: sqlite:///FILE or postgresql://…")
]
Models = Annotated[
    Path | None, typer.Option("--models", envvar="REELATED_MODELS", help="The folder of the models.", metavar="DIR")
]
RefitAfter = Annotated[
    int,
    typer.Option(envvar="REELATED_REFIT_AFTER", min=1, metavar="<int>", help="Refit after this many changed ratings."),
]
RefitEvery = Annotated[
    float,
    typer.Option(envvar="REELATED_REFIT_EVERY", min=0, help="Refit after this many hours if any rating has changed."),
]
Proxy = Annotated[
    bool, typer.Option("--proxy", envvar="REELATED_PROXY", help="Trust the headers of a proxy on this machine.")
]
ImageOrigin = Annotated[
    str | None,
    typer.Option(envvar="REELATED_IMAGE_ORIGIN", metavar="URL", help="The origin of the items' pictures: https://…"),
]
WithVisitors = Annotated[
    bool,
    typer.Option(
        "--learn-from-visitors",
        envvar="REELATED_LEARN_FROM_VISITORS",
        help="Include the visitors of the web page in fits.",
    ),
]
AsBefore = Annotated[
    bool | None,
    typer.Option(
        "--learn-from-visitors/--no-learn-from-visitors",
        envvar="REELATED_LEARN_FROM_VISITORS",
        help="Include the visitors of the web page in the fit, or not; by default as in the served model.",
    ),
]
log = logging.getLogger("reelated.web")


@command("Serve", "reelated serve --data sample")
def serve(
    store: StoreUrl = None,
    models: Models = None,
    data: Annotated[
        str | None, typer.Option("--data", envvar="REELATED_DATA", help="Fill an empty store with this SOURCE first.")
    ] = None,
    host: Annotated[str, typer.Option(envvar="REELATED_HOST", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="REELATED_PORT", min=0, max=65535, help="0 picks any free port.")] = 8000,
    workers: Annotated[
        int, typer.Option(envvar="REELATED_WORKERS", min=1, metavar="<int>", help="Number of worker processes.")
    ] = 1,
    proxy: Proxy = False,
    refit_after: RefitAfter = 1000,
    refit_every: RefitEvery = 24,
    learn_from_visitors: WithVisitors = False,
    image_origin: ImageOrigin = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the pages in a browser.")] = False,
) -> None:
    """Serve the pages and the HTTP API.

    Each rating is stored durably and counts in the next list.
    """
    with ExitStack() as stack:
        with open_store(store, create=True) as opened:
            import logging.config

            from reelated.web import ServiceOptions
            from reelated.web.server import LOGGING, bind, run

            # these two settings have no command-line option
            environment = {name: os.environ.get(name, "") for name in ("REELATED_API_KEY", "REELATED_POLL")}
            given: dict[str, Any] = {"host": host, "proxy": proxy, "image_origin": image_origin}
            given |= {
                "refit_after": refit_after,
                "refit_every": refit_every,
                "learn_from_visitors": learn_from_visitors,
            }
            given |= {"models": str(versions_of(opened, models).folder)}
            given |= {"store": opened.url.render_as_string(hide_password=False)}
            options = replace(ServiceOptions.from_environment(environment), **given)
            bound = stack.enter_context(bind(host, port))  # before the fit, which can take minutes
            logging.config.dictConfig(LOGGING)
            prepare(opened, models, data, with_visitors=learn_from_visitors)
        run(options, bound, workers=workers, say=partial(announce, opens=open_))


def open_store(url: str | None, *, create: bool = False) -> AbstractContextManager["Store"]:
    """Check the address of a store, and return the context that opens it; a new file only with `create`."""
    try:
        from reelated.store import Store
    except ModuleNotFoundError:
        raise not_installed("The service", "web") from None
    store = Store(url)
    file = Path(store.url.database or "").expanduser()
    if not create and store.url.get_backend_name() == "sqlite" and not file.exists():
        raise InputError("there is no such file.", parameter="store", value=file, remedy="Name an existing store.")
    return _upgraded(store)


@contextmanager
def _upgraded(store: "Store") -> Iterator["Store"]:
    """Open a store with its schema upgraded; turn an unavailable store into an `InputError`."""
    from reelated.store import StoreUnavailable

    try:
        yield store.upgrade()
    except StoreUnavailable as error:
        raise InputError(str(error)) from None
    finally:
        store.close()


def versions_of(store: "Store", models: Path | None) -> "Versions":
    from reelated.refit import Versions, models_folder

    return Versions(models or models_folder(store))


def import_source(opening: AbstractContextManager["Store"], source: str, options: Options) -> None:
    """Read a source, then open the store and import it, with a progress bar; print the report."""
    from reelated.data import fingerprint
    from reelated.store import is_export, read_export

    # The key identifies this import: an interrupted one with the same key is resumed.
    extras = [fingerprint(options.reading[name]) for name in ("items", "users") if name in options.reading]
    key = " ".join([fingerprint(source), repr(sorted(options.reading.items())), *extras])
    with working("Importing") as progress:
        if is_export(source) and options == Options():
            export = read_export(source)
            with opening as store:
                report = store.import_export(export, key, progress=progress)
        else:
            data = read_source(source, options)
            with opening as store:
                report = store.import_data(data, key, progress=progress)
    console().print(str(report), markup=False)


@command("Serve", "reelated import sample", "import")
@with_shared(READING)
def import_(
    source: Source,
    options: Options,
    store: StoreUrl = None,
    rejects: Rejects = None,
    items_only: Annotated[
        bool, typer.Option("--items-only", help="SOURCE is a table of items, without ratings.")
    ] = False,
) -> None:
    """Import ratings and items into the store of the service.

    An interrupted import resumes where it stopped.
    """
    opening = open_store(store, create=True)
    if rejects is not None and not items_only:
        from reelated.cli.batch import write_rejects

        write_rejects(check_source(source, options).rejects, source, rejects)
    (_import_items if items_only else import_source)(opening, source, options)
    if store is None:
        from reelated.store import default_url

        say(f"The store is {default_url()}.")


def _import_items(opening: AbstractContextManager["Store"], source: str, options: Options) -> None:
    """Import a table of items, and print how many there are."""
    from reelated.data import read_items

    names = ("item_columns", "invalid", "encoding")
    reading = {name: value for name, value in options.reading.items() if name in names}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        table = read_items(source, **reading)
    for warning in caught:
        print_note(str(warning.message))
    with opening as store:
        n_items = store.import_items(table, noun=options.reading.get("noun", "item"))
    verb = "is" if n_items == 1 else "are"
    console().print(f"{plural(n_items, 'item')} of {source} {verb} in the store.", markup=False)


_store = typer.Typer(cls=PlainGroup, no_args_is_help=True)
app.add_typer(
    _store,
    name="store",
    help="Settings of the store.",
    rich_help_panel="Serve",
    epilog="Example: reelated store scale 1,5,0.5",
)
_NEGATIVE = {"ignore_unknown_options": True}  # so that a scale such as -10,10,1 is not read as an option


@_store.command(cls=StrictCommand, epilog="Example: reelated store scale 1,5,0.5", context_settings=_NEGATIVE)
def scale(
    scale: Annotated[
        str | None, typer.Argument(help="low,high,step, such as 1,5,0.5; omit it to show the scale.", metavar="SCALE")
    ] = None,
    store: StoreUrl = None,
) -> None:
    """Show or set the rating scale of the store."""
    new_scale = as_scale(scale)
    with open_store(store, create=new_scale is not None) as opened:
        if new_scale is not None:
            opened.set_scale(*new_scale)
        about = opened.about()
    origin = "observed" if about.scale_observed else "given"
    console().print(f"The scale of the store is {about.scale} ({origin}).", markup=False)


@command("Serve", "reelated export my-data")
def export(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.", metavar="DIR")], store: StoreUrl = None
) -> None:
    """Export the store as tables; import restores it exactly.

    Every other command accepts the tables as SOURCE.
    """
    with open_store(store) as opened:
        export = opened.export()
    export.write(folder)
    counts = f"{plural(len(export.ratings), 'rating')}, {plural(len(export.items), export.info.noun)}"
    console().print(f"{counts}, {plural(len(export.users), 'user')} written to {folder}.", markup=False)


@command("Serve", "reelated forget 300 301")
def forget(
    users: Annotated[list[str], typer.Argument(help="User ids.", metavar="USER")],
    store: StoreUrl = None,
    models: Models = None,
    now: Annotated[bool, typer.Option("--refit", help="Refit now instead of leaving it to the service.")] = False,
    learn_from_visitors: AsBefore = None,
) -> None:
    """Erase users and their ratings.

    The next refit removes every model that was fitted to their ratings.
    """
    with open_store(store) as opened:
        n_removed = opened.forget(*(opened.parse("user", user) for user in users))
        subject = f"User {users[0]}" if len(users) == 1 else f"{len(set(users))} users"
        say(f"{subject} and {plural(n_removed, 'rating')} are removed from the store.")
        if not opened.journal_is_clean:
            say("Another program is reading the store: the journal contains their data until that program is done.")
            say("A running service then removes the data; without one, the last program to close the store does.")
        versions = versions_of(opened, models)
        if versions.current() is None:
            return
        if not now:
            say("The next refit removes the models fitted to them. A running service starts it within seconds.")
            say("Without a running service, run: reelated refit")
            return
        attempt = refit_now(opened, versions, "Refitting without them", learn_from_visitors)
        if attempt is None:
            say("Another process is refitting. The refit after it removes the models fitted to them.")
        elif attempt.outcome == "switched":
            say("Every model fitted to them is removed.")
        else:
            say(f"The models fitted to them are kept for now: {attempt.why}")


def refit_now(store: "Store", versions: "Versions", label: str, with_visitors: bool | None) -> "RefitResult | None":
    """Refit in this process with a progress bar."""
    from reelated.refit import refit

    store.release_visitor_changes()  # the refit removes models with erased visitors, too
    with working(label):
        return refit(store, versions, with_visitors=with_visitors)


@command("Serve", "reelated refit", "refit")
def refit_(store: StoreUrl = None, models: Models = None, learn_from_visitors: AsBefore = None) -> None:
    """Fit a model to the store now.

    A running service serves the model within seconds.
    """
    with open_store(store) as opened:
        attempt = refit_now(opened, versions_of(opened, models), "Refitting", learn_from_visitors)
    if attempt is None:
        raise InputError("Another process is refitting. Try again when it is done.")
    if attempt.outcome != "switched":
        raise InputError(f"The new model is not served. {attempt.why}")
    say(attempt.why)


@command("Serve", "reelated models")
@with_shared({}, "json")
def models(
    store: StoreUrl = None,
    models: Models = None,
    use: Annotated[
        int | None, typer.Option("--use", min=1, metavar="<int>", help="Serve this version from now on.")
    ] = None,
    form: Form = "table",
) -> None:
    """List the model versions of the service, or switch to one."""
    with open_store(store) as opened:
        versions = versions_of(opened, models)
        if use is not None:
            versions.switch(use, opened.about().forgotten)
        current, known = versions.current(), versions.all()
    rows = [
        {"version": v.number, "served": v == current, "made_at": v.made_at, "ratings": v.ratings, "items": v.items}
        | {"accuracy": v.accuracy}
        for v in known
    ]
    if form == "json":
        return print_json(rows)
    out = console()
    for row, version in zip(rows, known, strict=True):
        when = datetime.fromtimestamp(version.made_at, UTC).strftime("%Y-%m-%d %H:%M")
        size = f"{plural(version.ratings, 'rating')} of {plural(version.items, 'item')}"
        error = f", RMSE {version.accuracy['rmse']:.3f}" if version.accuracy else ""
        served = "  served" if row["served"] else ""
        out.print(f"{version.number:>6}  {when}  {size}{error}{served}", markup=False)
    if not known:
        out.print("There is no model yet. Fit one with: reelated refit", markup=False)
    return None


def announce(line: str, *, opens: bool) -> None:
    """Print the address of the service, and open it in a browser once the service answers."""
    say(line)
    if opens and (address := re.search(r"http://\S+", line)):
        import webbrowser

        host = re.sub(r"//(0\.0\.0\.0|\[::\])", "//127.0.0.1", address[0])
        timer = threading.Timer(1.0, webbrowser.open, [host])  # the server starts after this call
        timer.daemon = True
        timer.start()


def say(line: str) -> None:
    """Print a line without wrapping or markup."""
    console().print(line, markup=False, soft_wrap=True)


def prepare(store: "Store", models: Path | None, data: str | None, *, with_visitors: bool = False) -> None:
    """Import `data` into an empty store, fit the first model, and draw the map if an interrupted refit left none."""
    from reelated.refit.refitting import draw_map

    if data is not None and store.is_empty():
        import_source(nullcontext(store), data, Options())
    elif data is not None:
        say("The store is not empty: --data is ignored.")
    versions = versions_of(store, models)
    versions.repair()
    current = versions.first_good(store.about().forgotten)
    if current is None and store.size()["ratings"]:
        log.info("fitting the first model")
        attempt = refit_now(store, versions, "Fitting", with_visitors)
        if attempt is not None and attempt.outcome != "switched":
            raise InputError(f"The first model cannot be fitted. {attempt.why}")
    elif current and not versions.map_file.exists():
        draw_map(versions, current)
