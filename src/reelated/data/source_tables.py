"""The tables of a source: ratings, items, users, links and tags."""

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import polars as pl

from reelated.data.files import Files, find_files
from reelated.data.items import normalize_items, one_row_per_item, unnamed_columns
from reelated.data.movielens import SIDE_TABLES, n_known, read_side_table, with_linked_ids
from reelated.data.options import NO_OPTIONS, ReadOptions
from reelated.data.roles import column_names
from reelated.data.text_layout import ColumnSpec, ParseTrace, by_position
from reelated.data.text_parser import ID_COLUMNS
from reelated.errors import InputError, plural, shorten
from reelated.ratings import Dataset, FrameLike
from reelated.ratings.columns import RATING_ALIASES, ColumnNames, match_columns, named, plain, with_own_names
from reelated.ratings.dataset import table_verb
from reelated.ratings.frames import as_polars


@dataclass
class ErrorCollector:
    """Records an unreadable table as an error, and lets reading continue without the table."""

    invalid: str = "error"  # the caller's option; reading the table itself always drops invalid rows
    traces: dict[str, ParseTrace] = field(default_factory=dict)
    errors: dict[str, InputError] = field(default_factory=dict)
    left_out: dict[str, InputError] = field(default_factory=dict)

    @contextmanager
    def collect(self, kind: str) -> Iterator[ParseTrace]:
        """Yield a trace for one kind of table; record the error that ends the reading."""
        try:
            yield self.trace(kind)
        except InputError as error:
            self.errors[kind] = error

    def trace(self, kind: str) -> ParseTrace:
        return self.traces.setdefault(kind, ParseTrace())


def _without_repeats(table: pl.DataFrame, id_: str) -> tuple[pl.DataFrame, list[str]]:
    """Drop rows with a repeated id if they are few; if they are many, it is another kind of table."""
    table = table.unique(maintain_order=True)
    repeated = ~table[id_].is_first_distinct()
    if not repeated.any() or 10 * int(repeated.sum()) > len(table) + 10:
        return table, []
    note = (
        f"dropped {plural(int(repeated.sum()), 'row')} with a repeated {id_}, such as {table.filter(repeated)[id_][0]}"
    )
    return table.filter(~repeated), [note]


@dataclass
class SourceTables:
    """Contents of a source: ratings in Reelated's columns, the other tables, and notes on changes."""

    ratings: pl.DataFrame
    name: str = "ratings"
    scale: tuple[float, float, float] | None = None
    side_tables: dict[str, FrameLike] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    collector: ErrorCollector | None = None
    options: ReadOptions = NO_OPTIONS
    noun: str = "item"
    names: tuple[str, ...] = ()  # of all columns of the table of ratings
    matched: Mapping[str, str] = field(default_factory=dict)  # Reelated's name → the name in that table
    verb: str = ""

    @property
    def own(self) -> dict[str, str]:
        """The columns of ids: Reelated's name → the name in the table of ratings."""
        return {ours: theirs for ours, theirs in self.matched.items() if ours in ID_COLUMNS}

    def describe_columns(self, names: tuple[str, ...], columns: ColumnNames) -> None:
        """Record the columns of the table of ratings: their names, their meaning, and a verb for the users' actions."""
        self.names, self.matched = names, match_columns(names, RATING_ALIASES, by_position(columns, names))
        self.verb = table_verb(names, by_position(columns, names), self.ratings)

    def release_ratings(self) -> pl.DataFrame:
        """Return the ratings and keep no reference, so that the caller can free their memory."""
        ratings, self.ratings = self.ratings, self.ratings.clear()
        return ratings

    def add(self, kind: str, table: FrameLike) -> None:
        """Add a given table of items or users from a frame or a file."""
        with self.collecting(kind) as trace:
            if isinstance(table, (str, os.PathLike)):
                files = find_files(table, ColumnSpec(*SIDE_TABLES[kind], self._columns_of(kind), self.options))
                self.add_file(kind, files, self.options, trace)
            else:
                self._store(kind, *self._normalized(kind, as_polars(table, kind)), label=kind)

    def _columns_of(self, kind: str) -> ColumnNames:
        return self.options.item_columns if kind == "items" else None

    def _normalized(self, kind: str, frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
        """Normalise a frame like a file with the same contents."""
        aliases, required = SIDE_TABLES[kind]
        aliases, columns = with_own_names(aliases, self.own), self._columns_of(kind)
        unnamed = unnamed_columns(frame.columns, aliases, columns) if kind == "items" else {}
        table = named(frame, aliases | unnamed, columns, required)
        return normalize_items(table, unnamed.keys()) if kind == "items" else (table, [])

    def collecting(self, kind: str) -> AbstractContextManager[ParseTrace | None]:
        """Return the context for reading a table: that of the error collector, or a null context."""
        return self.collector.collect(kind) if self.collector else nullcontext()

    def add_beside(self, kind: str, files: Files) -> None:
        """Add a table from the folder of the ratings; a table that cannot be used is left out with a note."""
        name = PurePosixPath(files.roles[kind]).name
        trace = self.collector.trace(kind) if self.collector else None
        try:
            try:
                self.add_file(kind, files, self.options, trace, beside=True)
                self.check(kind)
            except InputError:
                if self.options.invalid == "drop":
                    raise
                self.add_file(kind, files, self.options._replace(invalid="drop"), trace, beside=True)
                self.check(kind)
        except InputError as error:
            self.side_tables.pop(kind, None)
            if self.collector:
                self.collector.left_out[kind] = error
            else:
                self.notes.append(f"left out {name}: {str(error).removeprefix(f'{name}: ').rstrip('.')}")

    def check(self, kind: str) -> None:
        """Raise `InputError` if a table of items or users does not fit the ratings; one rating is tried."""
        first = self.ratings.select(ID_COLUMNS).drop_nulls()[:1]
        if kind in ("items", "users") and len(first):
            Dataset.from_frames(first.with_columns(rating=1.0), **{kind: self.side_tables[kind]})

    def add_file(
        self, kind: str, files: Files, options: ReadOptions, trace: ParseTrace | None, beside: bool = False
    ) -> None:
        """Add a table from its file; integer ids become text where the ids of the ratings are text."""
        path = files.roles[kind if kind in files.roles else "ratings"]
        name = PurePosixPath(path).name
        table, notes = read_side_table(kind, name, files.read(path), options, trace, self.own)
        rated = self.ratings["item_id"]
        if kind == "items" and n_known(table, rated) == 0 and not (options.item_columns or {}).get("item_id"):
            for other in self._other_ids(files, path):
                named_ids = options._replace(item_columns={**(options.item_columns or {}), "item_id": other})
                again, more = read_side_table(kind, name, files.read(path), named_ids, trace, self.own)
                if n_known(again, rated) > n_known(table, rated):
                    table, notes = again, [*more, f"took {other} for item_id, because it has the ids of the ratings"]
        if kind == "items" and "links" in self.side_tables:
            table, more = with_linked_ids(table, as_polars(self.side_tables["links"]), rated)
            notes = [*notes, *more]
        self._store(kind, table, notes, name, beside)

    def _other_ids(self, files: Files, path: str) -> list[str]:
        """List the columns of a catalogue that may be the ids of items."""
        names = column_names(files.container, path, ColumnSpec(*SIDE_TABLES["items"], None, self.options))
        return [name for name in names if plain(name) in SIDE_TABLES["items"][0]["item_id"]]

    def _store(self, kind: str, table: pl.DataFrame, notes: list[str], label: str, beside: bool = False) -> None:
        """Convert the ids of a table to the type of those in the ratings, drop repeated ids, and store the table."""
        table, more = self._with_integers(table)
        as_text = [id_ for id_ in ID_COLUMNS if id_ in table.columns and self.ratings[id_].dtype == pl.String]
        table = table.with_columns(pl.col(id_).cast(pl.String) for id_ in as_text)
        invalid = self.collector.invalid if self.collector else self.options.invalid
        if kind in ("items", "users") and (beside or invalid == "drop"):
            table, repeated = _without_repeats(table, f"{kind[:-1]}_id")
            more += repeated
        self.side_tables[kind] = table
        self.notes += [f"{label}: {note}" for note in notes + more]

    def _with_integers(self, table: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
        """If the ratings have integer ids, leave out the rows with text ids, unless none would remain."""
        notes = []
        for id_ in ID_COLUMNS:
            if id_ in table.columns and table[id_].dtype == pl.String and self.ratings[id_].dtype == pl.Int64:
                whole = table[id_].str.contains(r"^-?\d{1,18}$").fill_null(False)
                padded = table[id_].str.contains(r"^-?0\d").fill_null(False)
                if whole.all() and padded.any():
                    notes.append(
                        f"read {id_} as whole numbers, as in the ratings, such as {table.filter(padded)[id_][0]}"
                    )
                if not whole.all() and whole.any():
                    n_rows, example = plural(int((~whole).sum()), "row"), shorten(table.filter(~whole)[id_][0])
                    notes.append(f"left out {n_rows} without an integer {id_}, such as {example}")
                if whole.any():
                    table = table.filter(whole).with_columns(pl.col(id_).cast(pl.Int64))
        return table, notes

    def add_merged(self, table: pl.DataFrame) -> None:
        """Add the items of a table of ratings that also has titles or genres."""
        try:
            table, notes = one_row_per_item(table)
            table, more = normalize_items(table)
        except (InputError, pl.exceptions.PolarsError):
            return
        self.notes += [*notes, *more]
        if table.width > 1:
            self.side_tables["items"] = table
            found = ", ".join(name for name in ("title", "year", "genres") if name in table.columns)
            self.notes.append(f"took {found} of the items from the table of ratings")
