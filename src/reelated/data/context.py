"""The input of the validation rules: the tables of a source, the error of each row, and the options of `read`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from reelated.data.report import Severity, ValidationIssue
from reelated.data.source_tables import SourceTables
from reelated.errors import InputError, shorten
from reelated.ratings import Scale
from reelated.ratings.columns import ITEM_ALIASES, USER_ALIASES, named
from reelated.ratings.events import summed
from reelated.ratings.frames import as_polars
from reelated.ratings.ids import as_ids

MISSING = "without a user, an item or a rating"
INFINITE = "a rating that is not finite"
OFF_SCALE = "a rating outside the scale"
PAIR = ("user_id", "item_id")


@dataclass(frozen=True, eq=False)
class ValidationContext:
    """The tables of a source, the options of `read`, and values that several rules need."""

    tables: SourceTables
    scale: Scale | None
    duplicates: str
    invalid: str
    columns: Mapping[str, str | None]

    @cached_property
    def rows(self) -> pl.DataFrame:
        """The ratings with the number and the error of each row; the error of a valid row is empty."""
        rating = pl.col("rating")
        missing = pl.any_horizontal(pl.col(*PAIR, "rating").is_null())
        on_scale = pl.lit(True) if self.scale is None else self.scale.covers(rating)
        fault = pl.when(missing).then(pl.lit(MISSING)).when(rating.is_infinite()).then(pl.lit(INFINITE))
        return self.tables.ratings.with_row_index("row").with_columns(
            fault=fault.when(~on_scale).then(pl.lit(OFF_SCALE)).otherwise(pl.lit(""))
        )

    @property
    def is_events(self) -> bool:
        """Whether the table holds events instead of ratings."""
        return "event" in self.tables.ratings.columns

    @cached_property
    def kind(self) -> str:
        """What the table holds: "events", "counts", "constant" (all ratings are equal) or "ratings"."""
        one_valued = self.valid["rating"].n_unique() <= 1
        if not self.is_events:
            return "constant" if one_valued and len(self.valid) > 1 else "ratings"
        has_types = self.valid["event"].null_count() < len(self.valid)
        return "events" if one_valued or has_types else "counts"

    @cached_property
    def valid(self) -> pl.DataFrame:
        """The rows that are valid ratings."""
        return self.rows.filter(pl.col("fault") == "")

    @cached_property
    def n_pairs(self) -> int:
        """Number of distinct user–item pairs."""
        return int(self.valid.select(pl.struct(PAIR).n_unique()).item()) if len(self.valid) else 0

    @cached_property
    def n_ratings(self) -> int:
        """Number of pairs that `read` keeps: it leaves out pairs whose events have weight 0."""
        if not self.is_events or (self.valid["rating"] > 0).all():
            return self.n_pairs
        return len(summed(self.valid.with_columns(key=pl.struct(PAIR)))[0])

    @cached_property
    def known_ids(self) -> dict[str, pl.Series]:
        """The ids in the tables of items and users, if they can be read."""
        known = {}
        for kind, aliases in (("items", ITEM_ALIASES), ("users", USER_ALIASES)):
            if kind in self.tables.side_tables and not self.mismatch(kind):
                name = f"{kind[:-1]}_id"
                table = named(as_polars(self.tables.side_tables[kind], kind), aliases, required=(name,))
                known[kind] = as_ids(table[name], kind[:-1]).drop_nulls().alias(name)
        return known

    def mismatch(self, kind: str) -> InputError | None:
        """Return why the table of items or users does not fit the ratings, or None."""
        try:
            self.tables.check(kind)
        except InputError as error:
            return error.replace(where="")
        return None

    def issue(
        self, code: str, severity: Severity, rows: pl.DataFrame, message: str, action: str, count: int | None = None
    ) -> ValidationIssue:
        """Build an issue from the affected rows; the first is the example."""
        first = rows.row(0, named=True)
        count = len(rows) if count is None else count
        return ValidationIssue(code, severity, count, message, action, format_row(first), row=first["row"] + 1)


def format_row(row: dict[str, Any]) -> str:
    """Format a row of ratings for a message."""
    names = {name: name for name in (*PAIR, "rating", "timestamp")}
    if "event" in row:
        names |= {"rating": "weight"} | ({} if row["event"] is None else {"event": "event"})
    return ", ".join(f"{shown}={shorten(row[name])}" for name, shown in names.items() if name in row)
