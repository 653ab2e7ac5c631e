"""Options shared by several commands, and the parsing of their values."""

import inspect
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from reelated.cli.show import print_about, print_note, print_notes
from reelated.cli.sources import Options, RankerName, RaterName, find_item, open_source
from reelated.errors import InputError, UnknownId, shorten
from reelated.formatting import split_list

if TYPE_CHECKING:
    from reelated.ratings import Ids
    from reelated.recommender import Recommender

Source = Annotated[
    str,
    typer.Argument(
        help="A folder, zip or file with ratings, a saved model, or a name: sample, ml-100k, …", metavar="SOURCE"
    ),
]
N = Annotated[int, typer.Option("-n", "--n", min=1, metavar="<int>", help="Number of rows.")]
_BY = typer.Option("--by", help="The number that rows are sorted by.")
By = Annotated[Literal["score", "rating"] | None, _BY]
AudienceBy = Annotated[Literal["adjusted_score", "score", "rating"] | None, _BY]
Genres = Annotated[
    str | None, typer.Option("--genres", help="Only items of any of these genres, such as Comedy,Drama.")
]
Years = Annotated[str | None, typer.Option("--years", help="Only items from these years: 1994 or 1990-1999.")]
Exclude = Annotated[str | None, typer.Option("--exclude", help="Item ids to exclude, such as 1,2.")]
User = Annotated[str | None, typer.Option("--user", help="A user id.")]
_ITEM = typer.Option("--item", "--movie", help="An item id or title; title:300 forces the title.")
Item = Annotated[str, _ITEM]
OptionalItem = Annotated[str | None, _ITEM]
Items = Annotated[
    list[str] | None,
    typer.Option(
        "--item",
        "--movie",
        help="An item of a new user; if the data have ratings, a single item lists users for it. Repeatable.",
    ),
]
Rate = Annotated[list[str] | None, typer.Option("--rate", help="A new user's rating: 50=5 or 'Fargo=4'. Repeatable.")]
RatingsFile = Annotated[
    str | None,
    typer.Option("--ratings-file", help="A new user's ratings: from Letterboxd, IMDb or Goodreads, or a table."),
]
Highest = Annotated[
    float | None, typer.Option("--highest", help="The highest possible rating in --ratings-file, such as 10.")
]


def check_rejects(rejects: Path | None) -> Path | None:
    """Return the path for rejected rows, or raise an `InputError` if it cannot be written."""
    if rejects is not None and (rejects.is_dir() or not rejects.parent.is_dir()):
        raise InputError(f"--rejects {rejects}: expected a file in a folder that exists.")
    return rejects


Rejects = Annotated[
    Path | None, typer.Option("--rejects", callback=check_rejects, help="Write rejected rows to this CSV file.")
]
Engine = Annotated[
    str | None, typer.Option("--engine", help="Run on a Spark cluster: spark, or spark=MASTER such as spark=yarn.")
]
Kind = Literal["ratings", "similarity", "neighborhood", "user"]
Color = Literal["genres", "decades"]
Target = Literal["items", "users"]
Goal = Literal["any", "liked", "rating"]
TunedModel = Literal["ease", "bpmf", "item-knn"]
Form = Literal["table", "json", "csv"]
"""Output format, set with `--json` and `--csv`."""

_data, _model, _output = (
    partial(typer.Option, rich_help_panel=panel) for panel in ("Reading SOURCE", "Model", "Output format")
)
READING = {
    "columns": Annotated[str | None, _data(help="Column names or positions, such as user_id=customer,rating=3.")],
    "item_columns": Annotated[
        str | None, _data(help="Column names of the table of items, such as item_id=id,title=name.")
    ],
    "scale": Annotated[str | None, _data(help="The rating scale as low,high,step.")],
    "duplicates": Annotated[Literal["last", "first", "mean", "error"], _data(help="Handling of repeated ratings.")],
    "invalid": Annotated[Literal["error", "drop"], _data(help="Handling of unusable rows.")],
    "items": Annotated[str | None, _data(help="A table of items.")],
    "map": Annotated[str | None, _data(help="The rating of each value: like=1,dislike=0. 99= drops the rows with 99.")],
    "encoding": Annotated[str | None, _data(help="Text encoding, such as cp1251.")],
    "dates": Annotated[
        Literal["day-first", "month-first"] | None, _data(help="The order of day and month in dates such as 3/4/2020.")
    ],
    "layout": Annotated[Literal["long", "wide"] | None, _data(help="wide: the table is a matrix of users and items.")],
    "feedback": Annotated[
        Literal["explicit", "implicit"] | None, _data(help="Ratings, or events such as clicks and purchases.")
    ],
    "events": Annotated[str | None, _data(help="Weights of event types, such as view=1,cart=3,dislike=-1.")],
    "noun": Annotated[str | None, _data(help="The word for an item, such as book.")],
    "users": Annotated[str | None, _data(help="A table of users.")],
}
FITTING = {
    "preset": Annotated[Literal["default", "textbook"], _model(help="textbook: the textbook recipe.")],
    "ranker": Annotated[RankerName | None, _model(help="The model that computes scores.")],
    "rater": Annotated[RaterName | None, _model(help="The model that predicts ratings.")],
    "set": Annotated[
        list[str] | None,
        _model(
            "--set", help="A setting, such as n_neighbors=100, rater__n_factors=20, recency_half_life=none. Repeatable."
        ),
    ],
    "max_memory": Annotated[str | None, _model(help="Memory limit of the fit, such as 2GB.")],
}
_FORMS = {
    "json": Annotated[bool, _output("--json", help="Print one JSON array.")],
    "csv": Annotated[bool, _output("--csv", help="Print comma-separated rows.")],
}
_DEFAULTS = {"duplicates": "last", "invalid": "error", "preset": "default", "json": False, "csv": False}


def with_shared(options: dict[str, Any], *forms: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Replace `options` of a command with shared options, and `form` with the options of these output formats."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        if options:
            command = _expand_parameter(command, "options", options, as_options)
        return _expand_parameter(command, "form", {name: _FORMS[name] for name in forms}, as_form) if forms else command

    return decorate


def with_recommender(*one_of: str, forms: tuple[str, ...] = ("json", "csv")) -> Callable[..., Callable[..., None]]:
    """Replace `rec` of a command with SOURCE and the shared options, and `form` with the options in `forms`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters = [each for each in list(inspect.signature(command).parameters.values())[1:] if each.name != "users"]
        has_form = any(parameter.name == "form" for parameter in parameters)

        @wraps(command)
        def with_opened_source(*, source: str, options: Options, **values: Any) -> None:
            if "users" in one_of:  # with another option, `--users` is a table of users
                others = [name for name in one_of if name != "users" and values[name] is not None]
                values["users"] = None if others else options.reading.get("users")
                if not others:
                    own = {name: value for name, value in options.reading.items() if name != "users"}
                    options = replace(options, reading=own)
            check_one_of({name: values[name] for name in one_of})  # before the source is opened, which can take minutes
            rec = open_source(source, options)
            print_notes(rec)
            if values.get("form", "table") == "table":
                print_about(rec)
            command(rec, **values)

        kind = inspect.Parameter.KEYWORD_ONLY
        signature = [
            inspect.Parameter("source", kind, annotation=Source),
            *(parameter.replace(kind=kind) for parameter in parameters),
            inspect.Parameter("options", kind, annotation=Options),
        ]
        with_opened_source.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
        return with_shared(READING | FITTING, *(forms if has_form else ()))(with_opened_source)

    return decorate


def check_one_of(values: dict[str, Any]) -> None:
    """Refuse a call that does not have exactly one of the mutually exclusive options."""
    names = {name: f"--{name.replace('_', '-')}" for name in values}
    given = [names[name] for name, value in values.items() if value is not None]
    if values and len(given) != 1:
        got = " and ".join(given) or "none of them"
        raise typer.BadParameter(f"got {got}: expected one of {', '.join(names.values())}.")


def _expand_parameter(
    command: Callable[..., None], name: str, options: dict[str, Any], make: Callable[..., Any]
) -> Callable[..., None]:
    """Replace one parameter of a command with several options, from which `make` computes its value."""

    @wraps(command)
    def expanded(**values: Any) -> None:
        command(**{name: make(**{key: values.pop(key) for key in options})}, **values)

    own = inspect.signature(command).parameters.values()
    kind = inspect.Parameter.KEYWORD_ONLY
    shared = [
        inspect.Parameter(key, kind, default=_DEFAULTS.get(key), annotation=annotation)
        for key, annotation in options.items()
    ]
    parameters = [parameter.replace(kind=kind) for parameter in own if parameter.name != name] + shared
    expanded.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    expanded.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del expanded.__wrapped__
    return expanded


def as_options(**values: Any) -> Options:
    """Parse the values of the shared options."""
    parsed = {name: _PARSERS[name](values[name]) if name in _PARSERS else values[name] for name in READING}
    reading = {name: value for name, value in parsed.items() if value and value != _DEFAULTS.get(name)}
    fitting = {name: values[name] for name in FITTING if name in values and name != "set"}
    return Options(reading, settings=as_settings(values.get("set")), **fitting)


def as_columns(text: str | None, option: str = "--columns") -> dict[str, str | None]:
    """Parse `user_id=customer,rating=stars`; an empty name means that the column does not exist."""
    pairs = [pair.partition("=") for pair in split_list(text)]
    for name, equals, _ in pairs:
        if not equals:
            raise InputError(f"{option} {shorten(name)}: expected name=column, such as user_id=who.")
    aliases = {"user": "user_id", "item": "item_id", "movie": "item_id", "movie_id": "item_id"}
    return {aliases.get(name.strip(), name.strip()): column.strip() or None for name, _, column in pairs}


def as_numbers(text: str | None, option: str, form: str, *, may_be_empty: bool = False) -> dict[str, float | None]:
    """Parse `like=1,dislike=0`; with `may_be_empty` a number that is left out is None."""
    numbers: dict[str, float | None] = {}
    for pair in split_list(text):
        name, _, number = (part.strip() for part in pair.rpartition("="))
        try:
            numbers[name] = None if may_be_empty and not number else float(number)
        except ValueError:
            name = ""
        if not name:
            raise InputError(f"{option} {shorten(pair)}: expected {form}.")
    return numbers


def as_scale(text: str | None) -> tuple[float, ...] | None:
    """Parse `1,5,1`."""
    if text is None:
        return None
    try:
        low, high, step = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--scale {shorten(text)}: expected low,high,step, such as 1,5,1.") from None
    return low, high, step


_PARSERS: dict[str, Callable[[str | None], Any]] = {
    "columns": as_columns,
    "item_columns": partial(as_columns, option="--item-columns"),
    "scale": as_scale,
    "map": partial(as_numbers, option="--map", form="value=rating, such as like=1", may_be_empty=True),
    "events": partial(as_numbers, option="--events", form="type=weight, such as view=1"),
}


def as_settings(texts: list[str] | None) -> dict[str, Any]:
    """Parse `n_neighbors=100`, `positive_only=false`, `weighting=bm25`, `n_neighbors=none`."""
    settings = {}
    for text in texts or []:
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--set {shorten(text)}: expected name=value, such as n_neighbors=100.")
        settings[name.strip()] = as_value(value.strip())
    return settings


def as_value(text: str) -> Any:
    """Parse `100`, `0.5`, `true`, `none`; any other value stays text."""
    for read in (int, float):
        with suppress(ValueError):
            return read(text)
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def as_ratings(rec: "Recommender", texts: list[str] | None) -> dict[Any, float] | None:
    """Parse `50=5` and `Fargo=4`, split at the last `=`; unknown ids are skipped with a note."""
    if texts is None:
        return None
    ratings: dict[Any, float] = {}
    for text in texts:
        item, equals, rating = text.rpartition("=")
        try:
            value = float(rating) if equals and item else None
        except ValueError:
            value = None
        if value is None:
            raise InputError(f"--rate {shorten(text)}: expected item=rating, such as 50=5 or 'Fargo=4'.")
        if not rec.is_events and not rec.scale_.low <= value <= rec.scale_.high:
            raise InputError(
                f"--rate {shorten(text)}: expected a rating from {rec.scale_.low:g} to {rec.scale_.high:g}, the scale "
                "of this data."
            )
        item_id = rec.item_ids.parse(item)
        try:
            item_id = find_item(rec, item, "--rate")
        except UnknownId:
            if type(item_id).__name__ != rec.item_ids.type_name:  # a title, perhaps misspelt
                raise
        if item_id in rec.item_ids:
            ratings[item_id] = value
        else:
            print_note(f"--rate {text}: ignored, because the item is not in the model")
    return ratings


def as_own_ratings(rec: "Recommender", path: str, highest: float | None) -> dict[Any, float]:
    """Read a new user's ratings from a file; a note lists the items that are not in the data."""
    from reelated.data.own_ratings import read_own_ratings

    own = read_own_ratings(path, rec, highest=highest)
    for note in own.notes:
        print_note(note)
    if own.unmatched:
        print_note(f"not found: {'; '.join(own.unmatched)}")
    return own.ratings


def as_filters(rec: "Recommender", genres: str | None, years: str | None, exclude: str | None) -> dict[str, Any]:
    """Parse the filters of a list."""
    from reelated.recommender.catalogue import parse_years

    wanted, excluded = split_list(genres), [as_id(rec.item_ids, text, "exclude") for text in split_list(exclude)]
    if hint := rec.catalogue_.genres_hint(wanted) if wanted else "":
        print_note(f"--genres: {hint}")
    return {"genres": wanted or None, "years": parse_years(years), "exclude": excluded or None}


def as_form(json: bool, csv: bool = False) -> Form:
    """Return the output format for `--json` and `--csv`."""
    if json and csv:
        raise typer.BadParameter("got --json and --csv: expected one of them.")
    return "json" if json else "csv" if csv else "table"


def as_user(rec: "Recommender", text: str | None) -> Any:
    """Parse a user id as the type of the ids in the data."""
    if text is None or rec.ratings_ is None:  # the recommender raises a better error
        return text
    return as_id(rec.user_ids, text, "user")


def as_id(ids: "Ids", text: str, option: str) -> Any:
    """Parse an id as the type of the ids in the data, or raise `InputError`."""
    value = ids.parse(text)
    if type(value).__name__ == ids.type_name:
        return value
    raise InputError(
        f"--{option} {shorten(text)}: the {ids.kind} ids of this data are whole numbers, such as {ids[0]}."
    )
