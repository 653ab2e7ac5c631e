"""`Dataset`: ratings with attributes of items and users; building one validates tables and reports changes."""

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl

from reelated.errors import (
    Advice,
    DataWarning,
    InputError,
    check_choice,
    check_noun,
    check_number,
    plural,
    plural_of,
    shorten,
)
from reelated.formatting import html_table
from reelated.ratings.columns import (
    ITEM_ALIASES,
    RATING_ALIASES,
    USER_ALIASES,
    ColumnNames,
    check_attributes,
    image_addresses,
    match_columns,
    named,
)
from reelated.ratings.events import EventWeights, check_events, summed, verb_of
from reelated.ratings.frames import FrameLike, as_polars, convert_ratings
from reelated.ratings.ids import Ids, as_ids
from reelated.ratings.matrix import NO_TIME, Feedback, Ratings, Scale, as_decimals, canonical_csr

NO_TITLE = "Item "
"""An item without a title is shown as this word and its id, or as the id alone if ids are text."""
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
        and if known `release_date`, `imdb_id`, `tmdb_id`, `image` (a URL).
    users : polars.DataFrame
        One row per known user: `user_id`, and if known `age`, `gender`, `occupation`, `zip_code`.
    tags : polars.DataFrame or None
        Free tags, if the data has any: `user_id`, `item_id`, `tag`, `timestamp`.
    name : str
        The name of the data, such as `MovieLens 100K`.
    notes : tuple of str
        Changes made by reading, one sentence each.
    noun : str
        The word for an item in headings, such as "movie".
    verb : str
        The verb for the users' actions, such as "bought"; empty for ratings, and if it is not known.
    events : mapping of str to float, optional
        The weights of the types of events, if they were given.
    """

    ratings: Ratings
    items: pl.DataFrame
    users: pl.DataFrame
    tags: pl.DataFrame | None = None
    name: str = "ratings"
    notes: tuple[str, ...] = ()
    noun: str = "item"
    verb: str = ""
    events: EventWeights = None

    def __repr__(self) -> str:
        ratings = self.ratings
        size = f"{plural(len(ratings.user_ids), 'user')} of {plural(len(ratings.item_ids), self.noun)}"
        scale = "" if ratings.declared == "implicit" else f", {ratings.scale}"
        return f"{self.name}: {plural(len(ratings), ratings.word)} by {size}{scale}"

    def _repr_html_(self) -> str:
        ratings = self.ratings
        counts = np.bincount(ratings.matrix.indices, minlength=len(ratings.item_ids))
        most = np.argsort(-counts, kind="stable")[:5].tolist()
        titles = dict(zip(self.items["item_id"], self.items["title"], strict=True))
        rows = [(titles[ratings.item_ids[index]], f"{counts[index]:,}") for index in most]
        word = ratings.word
        most_used = f"most rated {plural_of(self.noun)}" if word == "rating" else f"most popular {plural_of(self.noun)}"
        return html_table(repr(self), (most_used, f"{word}s"), rows, self.notes)

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
        feedback: Feedback | None = None,
        events: EventWeights = None,
    ) -> "Dataset":
        """Build a data set from tables.

        Parameters
        ----------
        ratings : polars or pandas DataFrame, Arrow table or mapping of columns
            One row per rating or event; columns are found by common names (`userId`, `item_id`, `stars`, …) or by
            `columns`.
        items, users : the same, optional
            Attributes of items and users: `item_id title year genres …`, `user_id age gender occupation zip_code`.
        columns, scale, duplicates, invalid, name, noun, feedback, events
            As for `reelated.read`.

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
        check_choice("feedback", feedback, (None, "explicit", "implicit"))
        converted = convert_ratings(ratings, columns, feedback=feedback, events=check_events(events))
        converted.check()
        options = TableOptions(scale, duplicates, invalid, feedback)
        data = dataset_of(converted.table, items, users, options, name=name, noun=noun)
        for note in converted.notes:
            warnings.warn(f"{name}: {note}", DataWarning, stacklevel=2)
        verb = table_verb(as_polars(ratings).columns, columns, converted.table)
        return replace(data, notes=(*converted.notes, *data.notes), verb=verb, events=events)


class TableOptions(NamedTuple):
    """The options of `Dataset.from_frames` that apply to the rows of the table."""

    scale: tuple[float, float, float] | None = None
    duplicates: Duplicates = "last"
    invalid: Invalid = "error"
    feedback: Feedback | None = None


def dataset_of(
    table: pl.DataFrame,
    items: FrameLike | None,
    users: FrameLike | None,
    options: TableOptions,
    *,
    name: str,
    noun: str = "item",
) -> Dataset:
    """Build a data set from a table in our columns; a table with a column `event` holds events."""
    check_choice("duplicates", options.duplicates, ("last", "first", "mean", "error"))
    check_choice("invalid", options.invalid, ("error", "drop"))
    is_events = "event" in table.columns
    given_scale = None if options.scale is None else check_scale(options.scale)
    table, dropped = _without_invalid(table, None if is_events else given_scale, options.invalid)
    if table.is_empty():
        raise InputError(f"{name}: no ratings. Expected a table with at least one row of user, item and rating.")
    user_ids, item_ids = (Ids(table[f"{kind}_id"].unique().sort(), kind) for kind in ("user", "item"))
    keys = _keys_of(table, user_ids, item_ids)
    columns = table.drop("user_id", "item_id").with_columns(keys).get_columns()
    del table  # frees the ids before the sort, and holds only one column at a time twice
    if not keys.is_sorted():
        order = keys.to_frame().select(pl.arg_sort_by("key", maintain_order=True)).to_series()
        columns = [columns.pop(0).gather(order) for _ in range(len(columns))]
    table = pl.DataFrame(columns)
    if is_events and options.duplicates != "error":
        table, merged = summed(table)
        if not (table["rating"] > 0).any():
            raise InputError(f"{name}: no event has a weight above 0.", remedy="Give the types other weights.")
    else:
        table, note = _without_duplicates(table, options.duplicates, item_ids, user_ids)
        merged = [note]
    notes = tuple(note for note in (dropped, *merged) if note)
    for note in notes:
        warnings.warn(f"{name}: {note}", DataWarning, stacklevel=3)
    ratings = _as_ratings(table, user_ids, item_ids, given_scale)
    if is_events or options.feedback is not None:
        ratings = _declared(ratings, "implicit" if is_events else "explicit", given_scale)
    side_tables = item_table(items, item_ids), _side_table(users, "users", USER_ALIASES, user_ids)
    return Dataset(ratings, *side_tables, name=name, notes=notes, noun=check_noun(noun))


def _declared(ratings: Ratings, feedback: Feedback, scale: Scale | None) -> Ratings:
    """Return ratings with their kind of feedback; if weights of events differ, the scale is 0 to the median weight."""
    weights = ratings.matrix.data
    if feedback == "implicit" and scale is None and not ratings.is_one_valued:
        typical = float(as_decimals(np.median(weights[weights > 0])[None].astype(np.float32))[0])
        return replace(ratings, scale=Scale(0.0, typical, typical), declared=feedback)
    return replace(ratings, declared=feedback)


def table_verb(names: Collection[str], columns: ColumnNames, table: pl.DataFrame) -> str:
    """Return a verb for the users' actions from column names and event types; empty for ratings."""
    if "event" not in table.columns:
        return ""
    matched = match_columns(names, RATING_ALIASES, columns)
    types = table.filter(pl.col("rating") > 0)["event"].drop_nulls().unique()
    return verb_of(matched.get("item_id", ""), matched.get("weight"), types)


def as_dataset(data: Dataset | FrameLike) -> Dataset:
    """Return a data set unchanged, or build one from a table of ratings."""
    return data if isinstance(data, Dataset) else Dataset.from_frames(data)


def check_scale(scale: Any) -> Scale:
    """Return `(low, high, step)` as a `Scale`, or raise `InputError`."""
    try:
        low, high, step = scale
    except (TypeError, ValueError):
        raise InputError("expected (low, high, step), such as (1, 5, 1).", parameter="scale", value=scale) from None
    low, high = check_number("scale low", low), check_number("scale high", high)
    step = check_number("scale step", step)
    if low > high or not 0 < step <= (high - low or step):  # a scale of one value, such as likes, accepts any step
        raise InputError(
            "expected low < high and a step between 0 and their difference.", parameter="scale", value=scale
        )
    return Scale(low, high, step)


def _without_invalid(table: pl.DataFrame, scale: Scale | None, invalid: Invalid) -> tuple[pl.DataFrame, str]:
    """Reject or drop invalid rows; return a note with their number and the first of them."""
    rating = pl.col("rating")
    missing = pl.any_horizontal(pl.col("user_id", "item_id", "rating").is_null(), rating.is_infinite())
    on_scale = pl.lit(True) if scale is None else scale.covers(rating)
    faults = table.select(missing=missing.fill_null(True), off_scale=~on_scale.fill_null(True))
    faults = faults.with_columns(off_scale=pl.col("off_scale") & ~pl.col("missing"))
    reasons = {
        "missing": "without a user, an item or a finite rating",
        "off_scale": f"with a rating outside the scale ({scale})",
    }
    notes = []
    for fault, reason in reasons.items():
        if not (bad := faults[fault]).any():
            continue
        first = int(bad.arg_true()[0])
        row = table.row(first, named=True)
        example = ", ".join(f"{name}={shorten(row[name])}" for name in ("user_id", "item_id", "rating"))
        summary = f"{plural(int(bad.sum()), 'row')} {reason}, the first is row {first + 1}: {example}"
        if invalid == "error":
            raise InputError(f"{summary}.", remedy=Advice.DROP_ROWS)
        notes.append(f"dropped {summary}")
    return (table.filter(~faults["missing"] & ~faults["off_scale"]) if notes else table), "; ".join(notes)


def _keys_of(table: pl.DataFrame, user_ids: Ids, item_ids: Ids) -> pl.Series:
    """Return one `key` for each pair of user and item, which sorts by user and then by item."""
    keys = np.multiply(user_ids.indices_of(table["user_id"]), len(item_ids), dtype=np.int64)
    keys += item_ids.indices_of(table["item_id"])
    return pl.Series("key", keys)


def _without_duplicates(
    table: pl.DataFrame, duplicates: Duplicates, item_ids: Ids, user_ids: Ids
) -> tuple[pl.DataFrame, str]:
    """Keep one rating per user and item; return a note with the number of merged ratings."""
    key = table["key"].to_numpy()
    repeated = np.flatnonzero(key[1:] == key[:-1])
    if len(repeated) == 0:
        return table, ""
    user, item = divmod(int(table["key"][int(repeated[0])]), len(item_ids))
    summary = f"{plural(len(repeated), 'repeated rating')} of an item by the same user"
    example = f"user_id={shorten(user_ids[user])}, item_id={shorten(item_ids[item])}"
    if duplicates == "error":
        raise InputError(f"{summary}, for example {example}.", remedy=Advice.DUPLICATES)
    times = [name for name in ("timestamp", "order") if name in table.columns]
    table = table.sort("key", *times, maintain_order=True, nulls_last=False)
    if duplicates == "mean":
        latest = [pl.col(name).last() for name in times]
        table = table.group_by("key", maintain_order=True).agg(pl.col("rating").mean(), *latest)
    else:
        table = table.unique("key", keep=duplicates, maintain_order=True)
    return table, f"{summary} (for example {example}): kept the {duplicates}"


def _as_ratings(table: pl.DataFrame, user_ids: Ids, item_ids: Ids, scale: Scale | None) -> Ratings:
    """Build the matrix from a table sorted by key, without duplicates."""
    key = table["key"].to_numpy()
    indptr = np.searchsorted(key, np.arange(len(user_ids) + 1) * len(item_ids))
    data = table["rating"].cast(pl.Float32).to_numpy()
    index = np.int32 if len(key) < 2**31 else np.int64
    items = np.remainder(key, len(item_ids), out=np.empty(len(key), index), casting="unsafe")
    shape = (len(user_ids), len(item_ids))
    matrix = canonical_csr(data, items, indptr.astype(index), shape)
    times = table["timestamp"] if "timestamp" in table.columns else pl.Series([None])
    stamps = times.fill_null(NO_TIME).to_numpy() if times.null_count() < len(times) else None
    order = table["order"].fill_null(-1).to_numpy() if "order" in table.columns else None
    return Ratings(user_ids, item_ids, matrix, scale or observed_scale(data), stamps, order, scale is None)


def observed_scale(values: np.ndarray) -> Scale:
    """Return the lowest and highest observed rating, and the smallest step between observed ratings."""
    distinct = as_decimals(pl.Series(values).unique().sort().to_numpy())  # hashing is faster than the sort of np.unique
    step = as_decimals(np.diff(distinct).min().astype(np.float32)) if len(distinct) > 1 else 1.0
    return Scale(float(distinct[0]), float(distinct[-1]), float(step))


def item_table(frame: FrameLike | None, item_ids: Ids) -> pl.DataFrame:
    """Convert a table of items to our columns and types, with a row for every rated item."""
    table = _side_table(frame, "items", ITEM_ALIASES, item_ids)
    if "title" not in table.columns:
        table = table.with_columns(title=pl.lit(None, pl.String))
    if "image" in table.columns:
        images, _ = image_addresses(table["image"])
        table = table.drop("image") if images.null_count() == len(images) else table.with_columns(images)
    genres = table["genres"] if "genres" in table.columns else pl.Series("genres", [None] * len(table), dtype=pl.String)
    if genres.dtype == pl.String:
        genres = genres.str.split("|").list.eval(pl.element().filter(pl.element() != ""))
    titles = pl.col("title").cast(pl.String)
    titles = pl.when(titles.str.strip_chars() != "").then(titles)
    year = table["year"] if "year" in table.columns else pl.Series("year", [None] * len(table))
    prefix = pl.lit("" if item_ids.type_name == "str" else NO_TITLE)  # a text id is readable without a word before it
    return table.with_columns(
        titles.fill_null(pl.concat_str(prefix, pl.col("item_id").cast(pl.String))),
        year.cast(pl.Int32, strict=False).alias("year"),
        genres.fill_null([]).cast(pl.List(pl.String)).list.drop_nulls().alias("genres"),
    ).select("item_id", "title", "year", "genres", pl.exclude("item_id", "title", "year", "genres"))


def _side_table(frame: FrameLike | None, what: str, aliases: Mapping[str, tuple[str, ...]], ids: Ids) -> pl.DataFrame:
    """Return one row per id of the ratings or of the table, by ascending id."""
    name = f"{ids.kind}_id"
    rated = pl.DataFrame({name: ids.values})
    if frame is None:
        return rated
    table = named(as_polars(frame, what), aliases, required=(name,))
    check_attributes(table)
    table = table.with_columns(as_ids(table[name], ids.kind).alias(name)).drop_nulls(name).unique(maintain_order=True)
    if table[name].dtype != ids.values.dtype:
        type_name = "int" if table[name].dtype == pl.Int64 else "str"
        raise InputError(
            f"{name} is of type {ids.type_name} in the ratings and of type {type_name} in the table of {what}: "
            "make them the same."
        )
    repeated = table[name].filter(table[name].is_duplicated())
    if len(repeated):
        message = f"{name}={shorten(repeated[0])} occurs more than once in the table of {what}."
        raise InputError(message, remedy=Advice.DROP_ROWS)
    return pl.concat([table, rated.join(table, on=name, how="anti")], how="diagonal").sort(name)
