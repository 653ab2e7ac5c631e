"""Validation rules for ratings that were read: functions from tables to findings."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import polars as pl

from reelated.data.checkup import Finding, Severity
from reelated.data.reading import Found
from reelated.data.suspicions import out_of_time, strays, swapped, swapped_times
from reelated.errors import InputError, plural, shorten
from reelated.ratings import Dataset, Scale
from reelated.ratings.frames import ITEM_ALIASES, USER_ALIASES, as_polars, named
from reelated.ratings.ids import as_ids

_NULL, _INFINITE, _OFF = "without a user, an item or a rating", "a rating that is not finite", "a rating off the scale"


@dataclass(frozen=True, eq=False)
class Case:
    """Validation context: the rows with the fault of each, the other tables, and the options of `read`."""

    rows: pl.DataFrame
    found: Found
    scale: Scale | None
    duplicates: str
    invalid: str
    columns: Mapping[str, str | None]

    @classmethod
    def of(
        cls, found: Found, scale: Scale | None, duplicates: str, invalid: str, columns: Mapping[str, str | None] | None
    ) -> "Case":
        """Add a number and the fault, if any, to each row."""
        rating = pl.col("rating")
        nothing = pl.any_horizontal(pl.col("user_id", "item_id", "rating").is_null())
        off = pl.lit(False) if scale is None else ~rating.is_between(scale.low, scale.high)
        judged = pl.when(nothing).then(pl.lit(_NULL)).when(rating.is_infinite()).then(pl.lit(_INFINITE))
        fault = judged.when(off).then(pl.lit(_OFF)).otherwise(pl.lit(""))
        rows = found.ratings.with_row_index("row").with_columns(fault=fault)
        return cls(rows, found, scale, duplicates, invalid, columns or {})

    @cached_property
    def sound(self) -> pl.DataFrame:
        """The rows that are valid ratings."""
        return self.rows.filter(pl.col("fault") == "")

    @cached_property
    def n_pairs(self) -> int:
        """Number of distinct user–item pairs."""
        return int(self.sound.select(pl.struct("user_id", "item_id").n_unique()).item()) if len(self.sound) else 0

    @cached_property
    def known(self) -> dict[str, pl.Series]:
        """Ids in the item and user tables, as far as they can be read."""
        aliases = {"items": ITEM_ALIASES, "users": USER_ALIASES}
        found = {}
        for kind, names in aliases.items():
            if kind in self.found.known and not self.mismatch(kind):
                id_ = f"{kind[:-1]}_id"
                table = named(as_polars(self.found.known[kind], kind), names, required=(id_,))
                found[kind] = as_ids(table[id_], kind[:-1]).drop_nulls().alias(id_)
        return found

    def mismatch(self, kind: str) -> str:
        """Return why the item or user table does not fit the ratings; empty if it fits."""
        # one rating is enough to check the table and the types of its ids
        ids = {name: self.sound[name].unique()[:1] for name in ("user_id", "item_id")}
        try:
            Dataset.from_frames({**ids, "rating": [1.0]}, **{kind: self.found.known[kind]})
        except InputError as error:
            return str(error)
        return ""

    def shown(self, row: dict[str, Any]) -> str:
        """Format a row for a message."""
        names = ("user_id", "item_id", "rating", "timestamp")
        return ", ".join(f"{name}={shorten(row[name])}" for name in names if name in row)

    def finding(self, code: str, severity: Severity, bad: pl.DataFrame, sentence: str, reading: str) -> Finding:
        """Build a finding from the rows concerned; the first is the example."""
        first = bad.row(0, named=True)
        return Finding(code, severity, len(bad), sentence, reading, self.shown(first), row=first["row"] + 1)


def in_ratings(case: Case) -> Iterator[Finding]:
    """Yield the findings about the ratings."""
    yield from _refused(case)
    if case.sound.is_empty():
        yield Finding("no_ratings", "error", 1, "There is no rating at all.", "stops here.")
        return
    for note in case.found.notes:
        yield Finding("assumed", "note", 1, f"{note[0].upper()}{note[1:]}.", "has done so.")
    for look in (_repeated, _on_scale, _mixed_ids, _of_users, _few):
        yield from look(case)
    yield from swapped(case.sound, case.known, case.columns)
    yield from swapped_times(case.sound)
    yield from (case.finding(*told) for told in (*strays(case.sound, case.scale), *out_of_time(case.sound)))


def _refused(case: Case) -> Iterator[Finding]:
    """Yield findings for rows that parsed but are not valid ratings."""
    severity: Severity = "warning" if case.invalid == "drop" else "error"
    reading = "drops them." if case.invalid == "drop" else "stops at the first; invalid='drop' drops them."
    off = f"{_OFF}, which is {case.scale}"
    for code, fault, words in (
        ("missing_field", _NULL, _NULL),
        ("unreadable_field", _INFINITE, f"with {_INFINITE}"),
        ("off_scale", _OFF, f"with {off}"),
    ):
        bad = case.rows.filter(pl.col("fault") == fault)
        if len(bad):
            yield case.finding(code, severity, bad, f"{plural(len(bad), 'row')} {words}.", reading)


def _repeated(case: Case) -> Iterator[Finding]:
    """Yield a finding for repeated ratings of an item by the same user."""
    again = len(case.sound) - case.n_pairs
    if not again:
        return
    pair = ["user_id", "item_id"]
    several = case.sound.filter(pl.struct(pair).is_duplicated())
    unlike = several.group_by(pair).agg(pl.col("rating").n_unique())["rating"]
    differ = f"{plural(int((unlike > 1).sum()), 'pair')} of user and item with different ratings"
    second = several.filter(~pl.struct(pair).is_first_distinct()).row(0, named=True)
    told = f"{plural(again, 'repeated rating')} of an item by the same user; {differ}."
    stops = case.duplicates == "error"
    reading = "stops here; duplicates='last', 'first' or 'mean' goes on." if stops else f"keeps the {case.duplicates}."
    place = second["row"] + 1
    yield Finding(
        "repeated_rating", "error" if stops else "warning", again, told, reading, case.shown(second), row=place
    )


def _on_scale(case: Case) -> Iterator[Finding]:
    """Yield a note if the scale is only observed, or a warning for ratings between its steps."""
    if case.scale is None:
        told = "No scale is given, so the lowest and highest rating seen are taken for its ends."
        yield Finding("observed_scale", "note", 1, told, "does so; scale=(low, high, step) says otherwise.")
        return
    low, _, step = case.scale
    steps = (pl.col("rating").cast(pl.Float64) - low) / step
    between = case.sound.filter((steps - steps.round()).abs() > 1e-4)
    if len(between):
        told = f"{plural(len(between), 'rating')} between the steps of the scale, {case.scale}."
        yield case.finding("between_steps", "warning", between, told, "keeps them as they are.")


def _mixed_ids(case: Case) -> Iterator[Finding]:
    """Yield a finding for each id column that mixes integers and text."""
    for name in ("user_id", "item_id"):
        ids = case.sound[name].unique()
        if ids.dtype != pl.String:
            continue
        whole = pl.col(name).cast(pl.Int64, strict=False).cast(pl.String).eq_missing(pl.col(name))
        n_whole = int(ids.to_frame().select(whole.sum()).item())
        fewer = min(n_whole, len(ids) - n_whole)
        if fewer:
            which = whole if n_whole <= len(ids) - n_whole else ~whole
            told = (
                f"The column {name} mixes {plural(n_whole, 'whole number')} with {plural(len(ids) - n_whole, 'text')}. "
                "A few among many of the other kind are often a slip, such as a total at the end or a shifted column."
            )
            bad = case.sound.filter(which)
            first = bad.row(0, named=True)
            severity: Severity = "warning" if fewer * 10 <= len(ids) else "note"
            reading = "takes all of them as text."
            yield Finding("mixed_ids", severity, fewer, told, reading, case.shown(first), row=first["row"] + 1)


def _of_users(case: Case) -> Iterator[Finding]:
    """Yield notes on users and items with little information."""
    rating = pl.col("rating")
    people = case.sound.group_by("user_id").agg(n=pl.len(), same=rating.min() == rating.max()).sort("user_id")
    once, alike = people.filter(pl.col("n") == 1), people.filter((pl.col("n") > 1) & pl.col("same"))
    if case.sound["rating"].n_unique() == 1:  # `_few` reports this once for the whole table
        alike = alike.clear()
    for code, some, words, reading in (
        ("single_rating", once, "with one rating", "keeps them; one rating says little of a taste."),
        ("all_alike", alike, "whose ratings are all the same", "keeps them; they show no preference."),
    ):
        if len(some):
            example = f"user_id={shorten(some['user_id'][0])}"
            yield Finding(code, "note", len(some), f"{plural(len(some), 'user')} {words}.", reading, example)
    items = case.sound.group_by("item_id").len().filter(pl.col("len") == 1).sort("item_id")
    if len(items):
        told = f"{plural(len(items), 'item')} with one rating."
        reading = "keeps them; their similarities rest on one user."
        yield Finding("rated_once", "note", len(items), told, reading, f"item_id={shorten(items['item_id'][0])}")


def _few(case: Case) -> Iterator[Finding]:
    """Yield warnings for a single rating value, a single user or a single item."""
    if case.sound["rating"].n_unique() == 1 and len(case.sound) > 1:
        told = f"Every rating is {case.sound['rating'][0]:g}: they say who knows what, and nothing of who likes what."
        yield Finding("one_value", "warning", len(case.sound), told, "keeps them; predicts no ratings.")
    for name in ("user", "item"):
        if case.sound[f"{name}_id"].n_unique() == 1:
            told = f"There is one {name} only: nothing can be learnt from how {name}s differ."
            yield Finding(f"one_{name}", "warning", 1, told, "keeps all of it.")


def in_known(case: Case) -> Iterator[Finding]:
    """Yield the findings about the item and user tables."""
    if case.sound.is_empty():
        return
    for kind in ("items", "users"):
        if kind in case.found.known and (why := case.mismatch(kind)):
            yield Finding(f"unreadable_{kind}", "error", 1, why.removeprefix("ratings: "), "stops here.")
    for kind, ids in case.known.items():
        yield from _compared(kind, ids, case.sound[f"{kind[:-1]}_id"])


def _compared(kind: str, known: pl.Series, rated: pl.Series) -> Iterator[Finding]:
    """Yield findings for ids that only one of two tables contains."""
    one, there = kind[:-1], rated.unique().sort()
    unknown = there.filter(~there.is_in(known.implode()))
    if len(unknown):
        of = int(rated.is_in(unknown.implode()).sum())
        told = f"{plural(of, 'rating')} of {plural(len(unknown), one)} not in the table of {kind}."
        if one == "user":
            told = f"{plural(of, 'rating')} by {plural(len(unknown), one)} not in the table of {kind}."
        reading = "keeps them, with the id for a title." if one == "item" else "keeps them."
        yield Finding(f"unknown_{one}", "warning", of, told, reading, f"{one}_id={shorten(unknown[0])}")
    silent = known.filter(~known.is_in(there.implode())).sort()
    if len(silent):
        told = f"{plural(len(silent), one)} without ratings."
        reading = "keeps them; only their genres and year can speak for them." if one == "item" else "keeps them."
        yield Finding(f"unrated_{one}" if one == "item" else "silent_user", "note", len(silent), told, reading,
                      f"{one}_id={shorten(silent[0])}")  # fmt: skip
