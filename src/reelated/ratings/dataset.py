"""`Dataset`: ratings with attributes of items and users; it validates tables and reports every change."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import polars as pl
import scipy.sparse as sp

from reelated.errors import DataWarning, InputError, check_choice, check_noun, check_number, plural, shorten
from reelated.ratings.frames import (
    ITEM_ALIASES,
    RATING_ALIASES,
    USER_ALIASES,
    FrameLike,
    as_polars,
    named,
    rating_columns,
)
from reelated.ratings.ids import Ids, as_ids
from reelated.ratings.matrix import NO_TIME, Ratings, Scale, as_decimals

NO_TITLE = "Item "
"""The title of an item without one is this and its id; for text ids it is the id alone."""
Duplicates = Literal["last", "first", "mean", "error"]
Invalid = Literal["error", "drop"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Ratings, with the attributes of items and users where available.

    Attributes
    ----------
    ratings : Ratings
        The ratings.
    items : polars.DataFrame
        One row per known item, rated or not, by ascending `item_id`: `item_id`, `title`, `year`, `genres` (list),
        and where known `release_date`, `imdb_id`, `tmdb_id`.
    users : polars.DataFrame
        One row per known user: `user_id`, and where known `age`, `gender`, `occupation`, `zip_code`.
    tags : polars.DataFrame or None
        Free tags, if the data has any: `user_id`, `item_id`, `tag`, `timestamp`.
    name : str
        The name of the data, such as `MovieLens 100K`.
    notes : tuple of str
        What reading changed, one sentence each.
    noun : str
        What an item is called in headings, such as "movie".
    """

    ratings: Ratings
    items: pl.DataFrame
    users: pl.DataFrame
    tags: pl.DataFrame | None = None
    name: str = "ratings"
    notes: tuple[str, ...] = ()
    noun: str = "item"

    def __repr__(self) -> str:
        return f"{self.name}: {len(self.ratings):,} ratings by {len(self.ratings.user_ids):,} users of " + (
            f"{plural(len(self.ratings.item_ids), self.noun)}, {self.ratings.scale}"
        )

    @classmethod
    def from_frames(
        cls,
        ratings: FrameLike,
        items: FrameLike | None = None,
        users: FrameLike | None = None,
        *,
        columns: Mapping[str, str | None] | None = None,
        scale: tuple[float, float, float] | None = None,
        duplicates: Duplicates = "last",
        invalid: Invalid = "error",
        name: str = "ratings",
        noun: str = "item",
    ) -> "Dataset":
        """Build a data set from tables.

        Parameters
        ----------
        ratings : polars or pandas DataFrame, Arrow table or mapping of columns
            One row per rating; columns are found by common names (`userId`, `item_id`, `stars`, …) or by `columns`.
        items, users : the same, optional
            Attributes of items and users: `item_id title year genres …`, `user_id age gender occupation zip_code`.
        columns : mapping of str to str, optional
            Our name → the table's name, such as `{"user_id": "who"}`; `{"rating": None}` for a table without ratings.
        scale : (low, high, step), optional
            The rating scale; by default the observed one.
        duplicates : {"last", "first", "mean", "error"}, default "last"
            Treatment of several ratings of one item by the same user; "last" and "first" go by time where it is known,
            else by row.
        invalid : {"error", "drop"}, default "error"
            Treatment of rows without a user, item or rating, or with a rating outside the given scale.
        name : str, default "ratings"
            The name of the data in messages.
        noun : str, default "item"
            What an item is called in headings, such as "book".

        Returns
        -------
        Dataset

        Raises
        ------
        InputError
            A column is missing or of the wrong type, the table is empty, or a row is invalid.

        Examples
        --------
        >>> data = Dataset.from_frames({"user": [1, 1, 2], "item": [10, 20, 20], "stars": [4, 5, 3]})
        >>> data
        ratings: 3 ratings by 2 users of 2 items, 3 to 5 in steps of 1
        """
        check_choice("duplicates", duplicates, ("last", "first", "mean", "error"))
        check_choice("invalid", invalid, ("error", "drop"))
        wanted = None if scale is None else check_scale(scale)
        table = rating_columns(ratings, columns)
        table, dropped = _without_invalid(table, wanted, invalid)
        if table.is_empty():
            raise InputError(f"{name}: no ratings. Expected a table with at least one row of user, item and rating.")
        user_ids, item_ids = (Ids(table[f"{kind}_id"].unique().sort(), kind) for kind in ("user", "item"))
        table, merged = _without_duplicates(_numbered(table, user_ids, item_ids), duplicates, item_ids, user_ids)
        notes = tuple(note for note in (dropped, merged) if note)
        for note in notes:
            warnings.warn(f"{name}: {note}", DataWarning, stacklevel=2)
        made = _as_ratings(table, user_ids, item_ids, wanted)
        return cls(
            made, item_table(items, item_ids), _users(users, user_ids), name=name, notes=notes, noun=check_noun(noun)
        )

    def with_tags(self, tags: pl.DataFrame) -> "Dataset":
        """Return a copy of the data set with free tags.

        Parameters
        ----------
        tags : polars.DataFrame
            `user_id`, `item_id`, `tag`, `timestamp`.

        Returns
        -------
        Dataset
        """
        return replace(self, tags=tags)


def as_dataset(data: Dataset | FrameLike) -> Dataset:
    """Return a data set unchanged, or build one from a table of ratings."""
    return data if isinstance(data, Dataset) else Dataset.from_frames(data)


def check_scale(scale: Any) -> Scale:
    """Return `(low, high, step)` as a `Scale`, or raise `InputError`."""
    try:
        low, high, step = scale
    except (TypeError, ValueError):
        raise InputError(f"scale={shorten(scale)}: expected (low, high, step), such as (1, 5, 1).") from None
    low, high = check_number("scale low", low), check_number("scale high", high)
    step = check_number("scale step", step)
    if low > high or not 0 < step <= (high - low or step):  # a scale of one value, such as likes, accepts any step
        raise InputError(f"scale={shorten(scale)}: expected low < high and a step between 0 and their difference.")
    return Scale(low, high, step)


def _without_invalid(table: pl.DataFrame, scale: Scale | None, invalid: Invalid) -> tuple[pl.DataFrame, str]:
    """Reject or drop invalid rows; return a note with their number and the first of them."""
    nothing = pl.any_horizontal(pl.col("user_id", "item_id", "rating").is_null(), pl.col("rating").is_infinite())
    within = pl.lit(True) if scale is None else pl.col("rating").is_between(scale.low, scale.high)
    faults = table.select(nothing=nothing.fill_null(True), off=~within.fill_null(True))
    faults = faults.with_columns(off=pl.col("off") & ~pl.col("nothing"))
    reasons = {"nothing": "without a user, an item or a finite rating", "off": f"with a rating off the scale ({scale})"}
    notes = []
    for fault, why in reasons.items():
        if not (bad := faults[fault]).any():
            continue
        first = int(bad.arg_true()[0])
        row = f"the first is row {first + 1}: {_shown(table.row(first, named=True))}"
        found = f"{plural(int(bad.sum()), 'row')} {why}, {row}"
        if invalid == "error":
            raise InputError(f"{found}. Mend the data, or drop such rows with invalid='drop'.")
        notes.append(f"dropped {found}")
    return (table.filter(~faults["nothing"] & ~faults["off"]) if notes else table), "; ".join(notes)


def _shown(row: dict[str, Any]) -> str:
    return ", ".join(f"{name}={shorten(row[name])}" for name in ("user_id", "item_id", "rating"))


def _numbered(table: pl.DataFrame, user_ids: Ids, item_ids: Ids) -> pl.DataFrame:
    """Add one `key` per user and item, and sort by it; the sort is stable."""
    users = user_ids.indices_of(table["user_id"]).astype(np.int64)
    key = users * len(item_ids) + item_ids.indices_of(table["item_id"])
    return table.drop("user_id", "item_id").with_columns(key=key).sort("key", maintain_order=True)


def _without_duplicates(
    table: pl.DataFrame, duplicates: Duplicates, item_ids: Ids, user_ids: Ids
) -> tuple[pl.DataFrame, str]:
    """Keep one rating per user and item; return a note with the number of merged ratings."""
    again = np.flatnonzero(np.diff(table["key"].to_numpy()) == 0)
    if len(again) == 0:
        return table, ""
    user, item = divmod(int(table["key"][int(again[0])]), len(item_ids))
    found = f"{plural(len(again), 'repeated rating')} of an item by the same user"
    example = f"user_id={shorten(user_ids[user])}, item_id={shorten(item_ids[item])}"
    if duplicates == "error":
        raise InputError(f"{found}, for example {example}. Choose duplicates='last', 'first' or 'mean'.")
    times = [name for name in ("timestamp", "order") if name in table.columns]
    table = table.sort("key", *times, maintain_order=True, nulls_last=False)
    if duplicates == "mean":
        latest = [pl.col(name).last() for name in times]
        kept = table.group_by("key", maintain_order=True).agg(pl.col("rating").mean(), *latest)
    else:
        kept = table.unique("key", keep=duplicates, maintain_order=True)
    return kept, f"{found} (for example {example}): kept the {duplicates}"


def _as_ratings(table: pl.DataFrame, user_ids: Ids, item_ids: Ids, scale: Scale | None) -> Ratings:
    """Build the matrix from a table sorted by key, without duplicates."""
    key = table["key"].to_numpy()
    users, items = np.divmod(key, len(item_ids))
    indptr = np.searchsorted(users, np.arange(len(user_ids) + 1))
    data = table["rating"].cast(pl.Float32).to_numpy()
    index = np.int32 if len(key) < 2**31 else np.int64
    shape = (len(user_ids), len(item_ids))
    matrix = sp.csr_array((data, items.astype(index), indptr.astype(index)), shape=shape)
    matrix.has_canonical_format = True
    times = table["timestamp"] if "timestamp" in table.columns else pl.Series([None])
    stamps = times.fill_null(NO_TIME).to_numpy() if times.null_count() < len(times) else None
    order = table["order"].fill_null(-1).to_numpy() if "order" in table.columns else None
    return Ratings(user_ids, item_ids, matrix, scale or observed_scale(data), stamps, order, scale is None)


def observed_scale(values: np.ndarray) -> Scale:
    """Return the lowest and highest observed rating, and the smallest step between observed ratings."""
    seen = as_decimals(np.unique(values))
    step = as_decimals(np.diff(seen).min().astype(np.float32)) if len(seen) > 1 else 1.0
    return Scale(float(seen[0]), float(seen[-1]), float(step))


def item_table(frame: FrameLike | None, item_ids: Ids) -> pl.DataFrame:
    """Convert a table of items to our columns and types, with a row for every rated item."""
    table = _known(frame, "items", ITEM_ALIASES, item_ids)
    if "title" not in table.columns:
        table = table.with_columns(title=pl.lit(None, pl.String))
    genres = table["genres"] if "genres" in table.columns else pl.Series("genres", [None] * len(table), dtype=pl.String)
    if genres.dtype == pl.String:
        genres = genres.str.split("|").list.eval(pl.element().filter(pl.element() != ""))
    titles = pl.col("title").cast(pl.String)
    titles = pl.when(titles.str.strip_chars() != "").then(titles)
    year = table["year"] if "year" in table.columns else pl.Series("year", [None] * len(table))
    prefix = pl.lit("" if item_ids.type_name == "str" else NO_TITLE)  # a text id is readable by itself
    return table.with_columns(
        titles.fill_null(pl.concat_str(prefix, pl.col("item_id").cast(pl.String))),
        year.cast(pl.Int32, strict=False).alias("year"),
        genres.fill_null([]).cast(pl.List(pl.String)).alias("genres"),
    ).select("item_id", "title", "year", "genres", pl.exclude("item_id", "title", "year", "genres"))


def _users(frame: FrameLike | None, user_ids: Ids) -> pl.DataFrame:
    """Convert a table of users to our columns, with a row for every user with ratings."""
    return _known(frame, "users", USER_ALIASES, user_ids)


def _known(frame: FrameLike | None, what: str, aliases: Mapping[str, tuple[str, ...]], ids: Ids) -> pl.DataFrame:
    """Return one row per id of the ratings or of the table, by ascending id."""
    name = f"{ids.kind}_id"
    everyone = pl.DataFrame({name: ids.values})
    if frame is None:
        return everyone
    table = named(as_polars(frame, what), aliases, required=(name,))
    table = table.with_columns(as_ids(table[name], ids.kind).alias(name)).drop_nulls(name)
    if table[name].dtype != ids.values.dtype:
        here = "int" if table[name].dtype == pl.Int64 else "str"
        raise InputError(
            f"{name} is of type {ids.type_name} in the ratings and of type {here} in the table of {what}: "
            "make them the same."
        )
    if table[name].is_duplicated().any():
        twice = table.filter(table[name].is_duplicated())[name]
        raise InputError(f"{name}={shorten(twice[0])} stands more than once in the table of {what}.")
    rest = everyone.join(table, on=name, how="anti")
    return pl.concat([table, rest], how="diagonal").sort(name)


__all__ = ["RATING_ALIASES", "Dataset", "as_dataset", "check_scale", "observed_scale"]
