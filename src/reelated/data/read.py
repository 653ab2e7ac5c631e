"""`read`: the entry point for every source of ratings."""

import os
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import polars as pl

from reelated.data.files import Files, find_files, is_sample
from reelated.data.movielens import (
    SIDE_TABLES,
    ColumnNames,
    edition,
    is_movielens,
    layout_of,
    normalize_items,
    read_side_table,
    with_links,
)
from reelated.data.table_reader import read_table
from reelated.data.text_layout import RATING_SPEC, ParseTrace, prefix_errors
from reelated.data.text_parser import ID_COLUMNS
from reelated.errors import DataWarning, InputError, check_choice
from reelated.ratings import Dataset, FrameLike
from reelated.ratings.dataset import Duplicates, Invalid
from reelated.ratings.frames import as_polars, named, rating_columns, with_own_names

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
        Item and user attributes, in place of the tables in the folder of the ratings.
    columns : mapping of str to str, optional
        Reelated's name → the table's name, such as `{"user_id": "who"}`; `{"rating": None}` if there are no ratings.
        The names of ids apply to the item and user tables, too.
    scale : (low, high, step), optional
        The rating scale; by default that of the edition, else the observed one.
    duplicates : {"last", "first", "mean", "error"}, default "last"
        How to resolve several ratings of one item by one user; "last" and "first" go by time where it is known, else
        by row.
    invalid : {"error", "drop"}, default "error"
        Whether invalid rows stop reading or are dropped: rows without a user, item or rating, or with a rating outside
        the given scale.
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
    tables = read_tables(source, columns, invalid, items, users)
    name = name or tables.name
    with prefix_errors(name) if isinstance(source, (str, os.PathLike)) else nullcontext():
        data = Dataset.from_frames(
            tables.ratings,
            tables.side_tables.get("items"),
            tables.side_tables.get("users"),
            scale=scale or tables.scale,
            duplicates=duplicates,
            invalid=invalid,
            name=name,
            noun=tables.noun if noun is None else noun,
        )
    for note in tables.notes:
        warnings.warn(f"{name}: {note}", DataWarning, stacklevel=2)
    return replace(data, notes=(*tables.notes, *data.notes), tags=tables.side_tables.get("tags"))


@dataclass
class ErrorCollector:
    """Collector of errors: it records an unreadable table, and reading continues without the table."""

    traces: dict[str, ParseTrace] = field(default_factory=dict)
    errors: dict[str, InputError] = field(default_factory=dict)

    @contextmanager
    def collect(self, kind: str) -> Iterator[ParseTrace]:
        """Yield a trace for one kind of table; record the error that ends the reading."""
        try:
            yield self.trace(kind)
        except InputError as error:
            self.errors[kind] = error

    def trace(self, kind: str) -> ParseTrace:
        """Return the trace for one kind of table."""
        return self.traces.setdefault(kind, ParseTrace())


@dataclass
class SourceTables:
    """Contents of a source: ratings in Reelated's columns, the other tables, and notes on changes."""

    ratings: pl.DataFrame
    name: str = "ratings"
    scale: tuple[float, float, float] | None = None
    side_tables: dict[str, FrameLike] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    collector: ErrorCollector | None = None
    columns: ColumnNames = None
    noun: str = "item"

    def add(self, kind: str, table: FrameLike, invalid: str) -> None:
        """Add a table of items or users from a frame or a file."""
        with self.collecting(kind) as trace:
            if isinstance(table, (str, os.PathLike)):
                self.add_file(kind, find_files(Path(table)), invalid, trace)
            else:
                self.side_tables[kind] = self._normalized(kind, as_polars(table, kind))

    def _normalized(self, kind: str, frame: pl.DataFrame) -> pl.DataFrame:
        """Normalise a frame like a file with the same contents."""
        aliases, required = SIDE_TABLES[kind]
        table = named(frame, with_own_names(aliases, self.columns), required=required)
        if kind == "items":
            table, notes = normalize_items(table)
            self.notes += [f"{kind}: {note}" for note in notes]
        return table

    def collecting(self, kind: str) -> AbstractContextManager[ParseTrace | None]:
        """Return the context for reading a table: that of the error collector, or a null context."""
        return self.collector.collect(kind) if self.collector else nullcontext()

    def add_file(self, kind: str, files: Files, invalid: str, trace: ParseTrace | None) -> None:
        """Add a table from its file; integer ids become text where the ids of the ratings are text."""
        path = files.roles[kind if kind in files.roles else "ratings"]
        name = PurePosixPath(path).name
        table, notes = read_side_table(kind, name, files.read(path), invalid, trace, self.columns)
        as_text = [id_ for id_ in ID_COLUMNS if id_ in table.columns and self.ratings[id_].dtype == pl.String]
        self.side_tables[kind] = table.with_columns(pl.col(id_).cast(pl.String) for id_ in as_text)
        self.notes += [f"{name}: {note}" for note in notes]


def read_tables(
    source: Any,
    columns: ColumnNames = None,
    invalid: str = "error",
    items: FrameLike | None = None,
    users: FrameLike | None = None,
    collector: ErrorCollector | None = None,
) -> SourceTables:
    """Read all tables of a source; the given tables of items and users replace its own."""
    given = {kind: table for kind, table in (("items", items), ("users", users)) if table is not None}
    tables = _read_source(source, columns, invalid, given.keys(), collector)
    for kind, table in given.items():
        tables.add(kind, table, invalid)
    return tables


def _read_source(
    source: Any, columns: ColumnNames, invalid: str, given: Collection[str], collector: ErrorCollector | None
) -> SourceTables:
    """Read all tables of a source except the kinds that are given separately."""
    if not isinstance(source, (str, os.PathLike)):
        return SourceTables(rating_columns(source, columns), collector=collector, columns=columns)
    if is_sample(source):
        if columns:
            raise InputError(
                "the sample's columns are known.", parameter="columns", value=dict(columns), remedy="Leave them out."
            )
        from reelated.data.sample import simulate

        sample = simulate()
        side_tables = {"items": sample.items, "users": sample.users}
        return SourceTables(sample.ratings, SAMPLE_NAME, (1, 5, 1), side_tables, collector=collector, noun="movie")
    files = find_files(source)
    ratings, notes = _read_ratings(files, columns, invalid, collector.trace("ratings") if collector else None)
    name, scale = edition(files, ratings)
    noun = "movie" if is_movielens(files) else "item"
    name = name or _default_name(files)
    tables = SourceTables(ratings, name, scale, notes=notes, collector=collector, columns=columns, noun=noun)
    for kind in SIDE_TABLES:
        if kind in files.roles and kind not in given:
            with tables.collecting(kind) as trace:
                tables.add_file(kind, files, invalid, trace)
    if "links" in tables.side_tables:
        with tables.collecting("links"):
            links = tables.side_tables.pop("links")
            tables.side_tables["items"] = with_links(tables.side_tables.get("items"), links)
    return tables


def _read_ratings(
    files: Files, columns: ColumnNames, invalid: str, trace: ParseTrace | None
) -> tuple[pl.DataFrame, list[str]]:
    """Read the ratings of a folder, zip or file in Reelated's columns and types."""
    path = files.roles["ratings"]
    name, data = PurePosixPath(path).name, files.read(path)
    without_ratings = columns is not None and columns.get("rating", "") is None
    required = tuple(name for name in RATING_SPEC.required if name != "rating" or not without_ratings)
    spec = RATING_SPEC._replace(columns=columns, required=required, invalid=invalid, trace=trace)
    table, notes = read_table(name, data, spec, layout_of(name, data))
    with prefix_errors(name):
        return rating_columns(table, None if "rating" in table.columns else {"rating": None}), notes


def _default_name(files: Files) -> str:
    """Name the data after its file; the README identifies a sample that was written to a folder."""
    readme = files.read(files.roles["about"])[:4096] if "about" in files.roles else b""
    return SAMPLE_NAME if b"Reelated" in readme and b"simulated" in readme else files.name
