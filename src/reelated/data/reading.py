"""`read`: the entry point for every source of ratings."""

import os
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from reelated.data.layout import RATINGS, Trace, about
from reelated.data.lines import IDS
from reelated.data.movielens import (
    as_catalogue,
    edition,
    is_movielens,
    layout_of,
    read_items,
    read_links,
    read_tags,
    read_users,
    with_links,
)
from reelated.data.source import Files, find_files, is_sample
from reelated.data.tables import read_table
from reelated.errors import DataWarning, InputError, check_choice, shorten
from reelated.ratings import Dataset, FrameLike
from reelated.ratings.dataset import Duplicates, Invalid
from reelated.ratings.frames import ITEM_ALIASES, USER_ALIASES, as_polars, named, rating_columns, with_own_names

SAMPLE_NAME = "Reelated sample (simulated ratings)"


def read(
    source: Any,
    *,
    items: FrameLike | None = None,
    users: FrameLike | None = None,
    columns: Mapping[str, str | None] | None = None,
    scale: tuple[float, float, float] | None = None,
    duplicates: Duplicates = "last",
    invalid: Invalid = "error",
    name: str | None = None,
    noun: str | None = None,
) -> Dataset:
    """Read ratings, and the attributes of items and users where available.

    Parameters
    ----------
    source : str, Path or frame
        A folder, a zip or a file; or a name: `"sample"`, or an edition in the cache such as `"ml-100k"`; or a polars
        or pandas frame, an Arrow table or a mapping of columns. An existing path takes precedence over a name.
    items, users : frame, str or Path, optional
        Item and user attributes, in place of the tables beside the ratings.
    columns : mapping of str to str, optional
        Reelated's name → the table's name, such as `{"user_id": "who"}`; `{"rating": None}` if there are no ratings.
        The names of ids apply to the item and user tables, too.
    scale : (low, high, step), optional
        The rating scale; by default that of the edition, else the observed one.
    duplicates : {"last", "first", "mean", "error"}, default "last"
        How to resolve several ratings of one item by one user.
    invalid : {"error", "drop"}, default "error"
        Whether rows that are not valid ratings stop reading or are dropped.
    name : str, optional
        Name of the data in messages; by default the edition or the file.
    noun : str, optional
        What an item is called in headings, such as "book"; by default "movie" for MovieLens and the sample, and "item"
        otherwise.

    Returns
    -------
    Dataset

    Raises
    ------
    InputError
        The source does not exist or cannot be read, or a row is invalid; the message names file and line.

    Examples
    --------
    >>> read({"user": [1, 1, 2], "item": [10, 20, 20], "stars": [4, 5, 3]}, name="three ratings")
    three ratings: 3 ratings by 2 users of 2 items, 3 to 5 in steps of 1
    """
    check_choice("invalid", invalid, ("error", "drop"))
    given = {kind: table for kind, table in (("items", items), ("users", users)) if table is not None}
    found = find_tables(source, columns, invalid, given)
    name = name or found.name
    with about(name) if isinstance(source, (str, os.PathLike)) else nullcontext():
        data = Dataset.from_frames(
            found.ratings,
            found.known.get("items"),
            found.known.get("users"),
            scale=scale or found.scale,
            duplicates=duplicates,
            invalid=invalid,
            name=name,
            noun=found.noun if noun is None else noun,
        )
    for note in found.notes:
        warnings.warn(f"{name}: {note}", DataWarning, stacklevel=2)
    data = replace(data, notes=(*found.notes, *data.notes))
    return data.with_tags(found.known["tags"]) if "tags" in found.known else data


@dataclass
class Witness:
    """Collector of errors: it records an unreadable table, and reading continues without the table."""

    traces: dict[str, Trace] = field(default_factory=dict)
    errors: dict[str, InputError] = field(default_factory=dict)

    @contextmanager
    def watching(self, kind: str) -> Iterator[Trace]:
        """Yield a trace for one kind of table; record the error that ends the reading."""
        try:
            yield self.traces.setdefault(kind, Trace())
        except InputError as error:
            self.errors[kind] = error


@dataclass
class Found:
    """Contents of a source: ratings in Reelated's columns, the other tables, and notes on changes."""

    ratings: pl.DataFrame
    name: str = "ratings"
    scale: tuple[float, float, float] | None = None
    known: dict[str, FrameLike] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    witness: Witness | None = None
    columns: Mapping[str, str | None] | None = None
    noun: str = "item"

    def take(self, kind: str, given: FrameLike, invalid: str) -> None:
        """Add a table of items, users, links or tags from a frame or a file."""
        with self.watched(kind) as trace:
            if isinstance(given, (str, os.PathLike)):
                self.read(kind, find_files(Path(given)), invalid, trace)
            else:
                self.known[kind] = self._as_read(kind, as_polars(given, kind))

    def _as_read(self, kind: str, frame: pl.DataFrame) -> pl.DataFrame:
        """Normalise a frame like a file with the same contents."""
        if kind != "items":
            return named(frame, with_own_names(USER_ALIASES, self.columns), required=("user_id",))
        table = named(frame, with_own_names(ITEM_ALIASES, self.columns), required=("item_id",))
        table, notes = as_catalogue(table)
        self.notes += [f"{kind}: {note}" for note in notes]
        return table

    def watched(self, kind: str) -> AbstractContextManager[Trace | None]:
        """Return the context for reading a table: that of the error collector, or a null context."""
        return self.witness.watching(kind) if self.witness else nullcontext()

    def read(self, kind: str, files: Files, invalid: str, trace: Trace | None = None) -> None:
        """Read a table from its file; integer ids become text where the ids of the ratings are text."""
        inside = files.roles[kind if kind in files.roles else "ratings"]
        name = PurePosixPath(inside).name
        table, notes = _READERS[kind](name, files.read(inside), invalid, trace, self.columns)
        text = [id_ for id_ in IDS if id_ in table.columns and self.ratings[id_].dtype == pl.String]
        self.known[kind] = table.with_columns(pl.col(id_).cast(pl.String) for id_ in text)
        self.notes += [f"{name}: {note}" for note in notes]


_READERS: dict[str, Callable[..., tuple[pl.DataFrame, list[str]]]] = {
    "items": read_items,
    "users": read_users,
    "links": read_links,
    "tags": read_tags,
}


def find_tables(
    source: Any,
    columns: Mapping[str, str | None] | None,
    invalid: str,
    given: Mapping[str, FrameLike],
    witness: Witness | None = None,
) -> Found:
    """Read all tables of a source; the given tables replace its own."""
    found = _find(source, columns, invalid, given.keys(), witness)
    for kind, table in given.items():
        found.take(kind, table, invalid)
    return found


def _find(
    source: Any, columns: Mapping[str, str | None] | None, invalid: str, given: Collection[str], witness: Witness | None
) -> Found:
    """Read all tables of a source except the kinds that are given separately."""
    if not isinstance(source, (str, os.PathLike)):
        return Found(rating_columns(source, columns), witness=witness, columns=columns)
    if is_sample(source):
        if columns:
            raise InputError(f"columns={shorten(dict(columns))}: the sample's columns are known. Leave them out.")
        from reelated.data.sample import simulate

        made = simulate()
        known = {"items": made.items, "users": made.users}
        return Found(made.ratings, SAMPLE_NAME, (1, 5, 1), known, witness=witness, noun="movie")
    files = find_files(source)
    trace = witness.traces.setdefault("ratings", Trace()) if witness else None
    ratings, notes = _read_ratings(files, columns, invalid, trace)
    name, scale = edition(files, ratings)
    noun = "movie" if is_movielens(files) else "item"
    found = Found(ratings, name or _own_name(files), scale, notes=notes, witness=witness, columns=columns, noun=noun)
    for kind in _READERS:
        if kind in files.roles and kind not in given:
            with found.watched(kind) as trace:
                found.read(kind, files, invalid, trace)
    if "links" in found.known:
        with found.watched("links"):
            found.known["items"] = with_links(found.known.get("items"), found.known.pop("links"))
    return found


def _read_ratings(
    files: Files, columns: Mapping[str, str | None] | None, invalid: str, trace: Trace | None
) -> tuple[pl.DataFrame, list[str]]:
    """Read the ratings of a folder, zip or file in Reelated's columns and types."""
    inside = files.roles["ratings"]
    name, data = PurePosixPath(inside).name, files.read(inside)
    unrated = columns is not None and columns.get("rating", "") is None
    required = tuple(name for name in RATINGS.required if name != "rating" or not unrated)
    want = RATINGS._replace(columns=columns, required=required, invalid=invalid, trace=trace)
    table, notes = read_table(name, data, want, layout_of(name, data))
    with about(name):
        return rating_columns(table, None if "rating" in table.columns else {"rating": None}), notes


def _own_name(files: Files) -> str:
    """Name the data after its file; the README identifies a sample that was written to a folder."""
    about_it = files.read(files.roles["about"])[:4096] if "about" in files.roles else b""
    return SAMPLE_NAME if b"Reelated" in about_it and b"simulated" in about_it else files.name
