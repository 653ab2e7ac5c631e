"""`read`: the entry point for every source of ratings."""

import os
import re
import warnings
from collections.abc import Collection, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import polars as pl

from reelated.cache import is_sample
from reelated.data.files import Files, find_files
from reelated.data.heuristics import suspicions
from reelated.data.items import MERGED_ALIASES, merged_columns
from reelated.data.movielens import SIDE_TABLES, edition, is_movielens, layout_of, with_links
from reelated.data.nested import unnested_frame
from reelated.data.options import NO_OPTIONS, ReadOptions, check_options
from reelated.data.roles import column_names
from reelated.data.source_tables import ErrorCollector, SourceTables
from reelated.data.table_reader import read_frame, read_table
from reelated.data.text_layout import RATING_SPEC, ColumnSpec, by_position, prefix_errors
from reelated.data.text_parser import ID_COLUMNS
from reelated.errors import DataWarning, InputError, plural, shorten
from reelated.parallel import check_not_forked
from reelated.ratings import Dataset, Feedback, FrameLike
from reelated.ratings.columns import named
from reelated.ratings.dataset import Duplicates, Invalid, TableOptions, dataset_of, item_table
from reelated.ratings.frames import as_polars
from reelated.ratings.ids import Ids, as_ids

SAMPLE_NAME = "Reelated sample (simulated ratings)"


def read(
    source: Any,
    *,
    items: FrameLike | None = None,
    users: FrameLike | None = None,
    columns: Mapping[str, str | None] | None = None,
    item_columns: Mapping[str, str | None] | None = None,
    scale: tuple[float, float, float] | None = None,
    duplicates: Duplicates = "last",
    invalid: Invalid = "error",
    map: Mapping[Any, float | None] | None = None,  # noqa: A002
    encoding: str | None = None,
    dates: str | None = None,
    layout: str | None = None,
    feedback: Feedback | None = None,
    events: Mapping[str, float] | None = None,
    name: str | None = None,
    noun: str | None = None,
) -> Dataset:
    """Read ratings or events, and the attributes of items and users where available.

    Parameters
    ----------
    source : str, Path or frame
        A folder, an archive or a file (delimited text, JSON, Parquet, Arrow, Excel, SQLite as `"file.db::table"`,
        compressed or not), a URL, or `"-"` for standard input; or a name: `"sample"`, or an edition in the cache
        such as `"ml-100k"`; or a polars or pandas frame, an Arrow table, a mapping of columns, a list of tuples or
        dicts, a SciPy sparse matrix, or `(matrix, user_ids, item_ids)`. An existing path takes precedence over a name.
    items, users : frame, str or Path, optional
        Item and user attributes, in place of the tables in the folder of the ratings.
    columns : mapping of str to str, optional
        Reelated's name → the table's name, or its position from 1, such as `{"user_id": "who"}`; `{"rating": None}`
        if there are no ratings. The names of id columns also apply to the item and user tables.
    item_columns : mapping of str to str, optional
        The same mapping for the table of items, such as `{"item_id": "id", "title": "name"}`.
    scale : (low, high, step), optional
        The rating scale; by default that of the edition, else the observed one.
    duplicates : {"last", "first", "mean", "error"}, default "last"
        How to resolve several ratings of one item by one user; "last" and "first" use the times if they are known, else
        the order of the rows.
    invalid : {"error", "drop"}, default "error"
        Whether invalid rows stop reading or are dropped: rows without a user, item or rating, or with a rating outside
        the given scale.
    map : mapping, optional
        Value in the table → rating, such as `{"like": 1, "dislike": 0}`; None drops the rows with the value.
    encoding : str, optional
        Encoding of text files, such as `"cp1251"`; by default UTF-8, and Windows-1252 for bytes that are not UTF-8.
    dates : {"day-first", "month-first"}, optional
        The order of day and month in dates such as 3/4/2020; by default the order of the other dates in the column.
    layout : {"long", "wide"}, optional
        "wide" reads a matrix with a row for each user and a column for each item; by default one row per rating.
        "long" also states that a field with several commas, such as a title, is one item.
    feedback : {"explicit", "implicit"}, optional
        Ratings, or events such as clicks, plays and purchases, whose weights are summed for each user and item. By
        default a table without a column of ratings, or with counts in it, holds events.
    events : mapping of str to float, optional
        Type of event → weight, such as `{"view": 1, "cart": 3}`; 0 ignores a type, below 0 means "not interested", and
        types that are not named are left out. By default 1 each, and -1 for types such as "dislike".
    name : str, optional
        Name of the data in messages; by default the edition or the file.
    noun : str, optional
        The word for an item in headings, such as "book"; by default "movie" for MovieLens and the sample, and "item"
        otherwise.

    Raises
    ------
    InputError
        The source does not exist or cannot be read, or a row is invalid; the message names file and line.

    Examples
    --------
    >>> read({"user": [1, 1, 2], "item": [10, 20, 20], "stars": [4, 5, 3]}, name="three ratings")
    three ratings: 3 ratings by 2 users of 2 items, 3 to 5 in steps of 1
    """
    given = ReadOptions(columns, item_columns, invalid, map, encoding, dates, layout, feedback, events)
    options = check_options(given)
    tables = read_tables(source, options, items, users)
    name = name or tables.name
    suspected = suspicions(tables.ratings, tables.side_tables.get("items"), scale or tables.scale)
    with prefix_errors(name) if isinstance(source, (str, os.PathLike)) else nullcontext():
        data = dataset_of(
            tables.release_ratings(),
            tables.side_tables.get("items"),
            tables.side_tables.get("users"),
            TableOptions(scale or tables.scale, duplicates, invalid, feedback),
            name=name,
            noun=tables.noun if noun is None else noun,
        )
    tables.notes += [f"{issue.message}; see reelated.validate" for issue in suspected]
    tables.notes += _foreign_items(tables, data.ratings.item_ids)
    for note in tables.notes:
        warnings.warn(f"{name}: {note}", DataWarning, stacklevel=2)
    notes = (*tables.notes, *data.notes)
    return replace(data, notes=notes, tags=tables.side_tables.get("tags"), verb=tables.verb, events=options.events)


def _foreign_items(tables: SourceTables, ids: Ids) -> list[str]:
    """Return a note if the table of items has no id of the ratings."""
    if "items" not in tables.side_tables:
        return []
    known = as_ids(as_polars(tables.side_tables["items"], "items")["item_id"], "item").drop_nulls()
    if not len(known) or (ids.indices_of(known) >= 0).any():
        return []
    example = f"such as {shorten(known[0])}; the ratings have ids such as {shorten(ids[0])}"
    return [f"no id of the table of items is in the ratings, {example}"]


def read_tables(
    source: Any,
    options: ReadOptions = NO_OPTIONS,
    items: FrameLike | None = None,
    users: FrameLike | None = None,
    collector: ErrorCollector | None = None,
) -> SourceTables:
    """Read all tables of a source; the given tables of items and users replace its own."""
    check_not_forked()
    given = {kind: table for kind, table in (("items", items), ("users", users)) if table is not None}
    tables = _read_source(source, options, given.keys(), collector)
    for kind, table in given.items():
        tables.add(kind, table)
    return tables


def read_items(
    source: Any,
    *,
    item_columns: Mapping[str, str | None] | None = None,
    invalid: Invalid = "error",
    encoding: str | None = None,
) -> pl.DataFrame:
    """Read a table of items alone, without ratings.

    Parameters
    ----------
    source : str, Path or frame
        A file, or a table in memory.
    item_columns, invalid, encoding
        As for `read`.

    Returns
    -------
    polars.DataFrame
        `item_id title year genres` (list), and where known `release_date imdb_id tmdb_id image`, by ascending id.

    Raises
    ------
    InputError
        The table cannot be read, or has no ids.

    Examples
    --------
    >>> read_items({"id": [2, 1], "name": ["Up (2009)", "Heat (1995)"]}).rows()
    [(1, 'Heat', 1995, []), (2, 'Up', 2009, [])]
    """
    options = check_options(ReadOptions(item_columns=item_columns, invalid=invalid, encoding=encoding))
    no_ratings = pl.DataFrame(schema={"user_id": pl.Null, "item_id": pl.Null, "rating": pl.Float32})
    tables = SourceTables(no_ratings, options=options)
    tables.add("items", source)
    for note in tables.notes:
        warnings.warn(note, DataWarning, stacklevel=2)
    items = tables.side_tables["items"]
    ids = as_ids(items["item_id"], "item").drop_nulls().unique().sort()
    if ids.is_empty():
        raise InputError("the table has no items.")
    return item_table(items, Ids(ids, "item"))


def _read_source(
    source: Any, options: ReadOptions, given: Collection[str], collector: ErrorCollector | None
) -> SourceTables:
    """Read all tables of a source except the kinds that are given separately."""
    spec = RATING_SPEC._replace(
        columns=options.columns, options=options, trace=collector.trace("ratings") if collector else None
    )
    if not isinstance(source, (str, os.PathLike)):
        return _read_frame(source, spec, given, collector)
    if is_sample(source):
        return _read_sample(options, collector)
    files = find_files(source, spec)
    ratings, notes = _read_ratings(files, spec)
    name, scale = edition(files, ratings)
    noun = "movie" if is_movielens(files) else "item"
    tables = SourceTables(ratings, name or _default_name(files), scale, {}, notes, collector, options, noun)
    names = column_names(files.container, files.roles["ratings"], spec)
    tables.describe_columns(names, spec.columns)
    if "event" in ratings.columns:
        tables.scale = None
    for kind in SIDE_TABLES:
        if kind in files.roles and kind not in given:
            tables.add_beside(kind, files)
    if "links" in tables.side_tables:
        with tables.collecting("links"):
            links = tables.side_tables.pop("links")
            tables.side_tables["items"] = with_links(tables.side_tables.get("items"), links)
    if files.left_out and not is_movielens(files):
        tables.notes.append(
            f"left out {', '.join(files.left_out)}: neither the ratings nor attributes of items or users"
        )
    if not {"items", *given} & tables.side_tables.keys() and "items" not in given:
        _add_merged(tables, files, names, spec)
    return tables


def _add_merged(tables: SourceTables, files: Files, names: tuple[str, ...], spec: ColumnSpec) -> None:
    """Add the items of a file of ratings that also has titles or genres."""
    own = tables.own.get("item_id", "")
    if not merged_columns(names, own) or spec.options.layout == "wide":
        return
    path = files.roles["ratings"]
    options = spec.options._replace(invalid="drop")
    merged = ColumnSpec(MERGED_ALIASES, ("item_id",), {"item_id": own}, options)
    try:
        table, _ = read_table(PurePosixPath(path).name, files.read(path), merged)
    except InputError:
        return
    if tables.ratings["item_id"].dtype == pl.String:
        table = table.with_columns(pl.col("item_id").cast(pl.String))
    tables.add_merged(table)


def _read_frame(
    source: Any, spec: ColumnSpec, given: Collection[str], collector: ErrorCollector | None
) -> SourceTables:
    """Read ratings, and items merged with them, from a table in memory."""
    frame = as_polars(source)
    frame, inner = unnested_frame(frame, by_position(spec.columns, tuple(frame.columns)))
    ratings, notes = read_frame("ratings", frame, spec)
    notes = inner + notes
    tables = SourceTables(ratings, notes=notes, collector=collector, options=spec.options)
    tables.describe_columns(tuple(frame.columns), spec.columns)
    own = tables.own.get("item_id", "")
    if "items" not in given and own and merged_columns(tuple(frame.columns), own):
        tables.add_merged(named(frame, MERGED_ALIASES, {"item_id": own}, ("item_id",)))
    return tables


def _read_sample(options: ReadOptions, collector: ErrorCollector | None) -> SourceTables:
    """Simulate the bundled sample."""
    if options.columns:
        raise InputError(
            "the sample's columns are known.",
            parameter="columns",
            value=dict(options.columns),
            remedy="Leave them out.",
        )
    from reelated.data.sample import simulate

    sample = simulate()
    side_tables = {"items": sample.items, "users": sample.users}
    return SourceTables(
        sample.ratings, SAMPLE_NAME, (1, 5, 1), side_tables, collector=collector, options=options, noun="movie"
    )


def _read_ratings(files: Files, spec: ColumnSpec) -> tuple[pl.DataFrame, list[str]]:
    """Read the ratings of a folder, archive or file in Reelated's columns and types; part files become one table."""
    tables: list[pl.DataFrame] = []
    notes: dict[str, list[str]] = {}  # further parts of the same table
    for path in (files.roles["ratings"], *files.parts):
        name, data = PurePosixPath(path).name, files.read(path)
        table, more = read_table(name, data, spec, None if spec.columns else layout_of(name, data))
        tables.append(table)
        for note in more:
            notes.setdefault(re.sub(r"\d+", "#", note), []).append(f"{name}: {note}" if files.parts else note)
    shown = [
        found[0] + f" (and so {plural(len(found) - 1, 'other part')})" * (len(found) > 1) for found in notes.values()
    ]
    if not files.parts:
        return tables[0], shown
    for id_ in ID_COLUMNS:
        if len({table[id_].dtype for table in tables}) > 1:
            tables = [table.with_columns(pl.col(id_).cast(pl.String)) for table in tables]
    return pl.concat(tables, how="diagonal"), [*shown, f"read {len(tables)} part files as one table"]


def _default_name(files: Files) -> str:
    """Return the name of the data, that of its file; a README identifies a sample that was written to a folder."""
    readme = files.read(files.roles["about"])[:4096] if "about" in files.roles else b""
    return SAMPLE_NAME if b"Reelated" in readme and b"simulated" in readme else files.name
