"""Data frames read from the tables of the store, and rows to write there."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import sqlalchemy as sa

from reelated.errors import DataWarning
from reelated.ratings import NO_TIME, Dataset, Ratings
from reelated.ratings.matrix import as_decimals
from reelated.store.info import StoreInfo
from reelated.store.schema import metadata, visitor_ratings, visitors

ROWS_PER_CHUNK = 200_000
COLUMN_TYPES: dict[str, dict[str, Any]] = {
    "ratings": {
        "user_key": pl.Int64, "item_key": pl.Int64, "rating": pl.Float32, "rated_at": pl.Int64, "position": pl.Int64,
    },
    "users": {
        "user_key": pl.Int64, "user_id": pl.String, "age": pl.Int32, "gender": pl.String, "occupation": pl.String,
        "zip_code": pl.String,
    },
    "items": {
        "item_key": pl.Int64, "item_id": pl.String, "title": pl.String, "year": pl.Int32, "release_date": pl.String,
        "imdb_id": pl.String, "tmdb_id": pl.String, "image": pl.String, "hidden": pl.Boolean,
    },
    "genres": {"item_key": pl.Int64, "position": pl.Int32, "genre": pl.String},
}  # fmt: skip
RATING_ROW = tuple(COLUMN_TYPES["ratings"])
_REQUIRED_COLUMNS = ("user_id", "item_id", "rating", "hidden")
# negative keys do not collide with the keys of users
_VISITOR_TYPES = {"user_key": pl.Int64, "user_id": pl.String}
_VISITOR_RATINGS = [
    -visitor_ratings.c.visitor_key, visitor_ratings.c.item_key, visitor_ratings.c.rating, visitor_ratings.c.rated_at,
    sa.null(),
]  # fmt: skip


class RatingBatches:
    """The ratings of a data set in batches of whole users."""

    def __init__(self, data: Ratings, size: int) -> None:
        self.data = data
        self.size = size
        self.user_ids: list[Any] = data.user_ids.values.to_list()

    def ranges(self, start: int) -> Iterator[tuple[int, int]]:
        """Yield the range of users `(first, stop)` of each batch, from user `start` on."""
        indptr, n_users = self.data.matrix.indptr, len(self.user_ids)
        while start < n_users:
            stop = int(np.searchsorted(indptr, indptr[start] + self.size, side="left"))
            yield start, (start := min(max(stop, start + 1), n_users))

    def table(self, start: int, stop: int, user_keys: Any, item_keys: Any) -> pl.DataFrame:
        """Return the ratings of a range of users, with database keys in place of ids."""
        data, matrix = self.data, self.data.matrix
        first, last = matrix.indptr[[start, stop]]
        part = slice(first, last)
        unknown = np.full(last - first, NO_TIME)
        timestamps = unknown if data.timestamps is None else data.timestamps[part]
        positions = unknown if data.order is None else data.order[part]
        return pl.DataFrame(
            {
                "user_key": np.repeat(user_keys, np.diff(matrix.indptr[start : stop + 1])),
                "item_key": item_keys[matrix.indices[part]],
                "rating": as_decimals(matrix.data[part]),
                "rated_at": pl.Series(timestamps).replace(NO_TIME, None),
                "position": pl.Series(positions).replace([NO_TIME, -1], None),
            }
        )


def read_tables(connection: sa.Connection) -> dict[str, pl.DataFrame]:
    """Read the tables in `COLUMN_TYPES`, with database keys."""
    return {
        name: _read(connection, [metadata.tables[name].c[column] for column in types], types)
        for name, types in COLUMN_TYPES.items()
    }


def read_visitors(connection: sa.Connection, tables: dict[str, pl.DataFrame], id_type: str) -> dict[str, pl.DataFrame]:
    """Return the tables with the visitors added as users, under new ids of the same type as the user ids."""
    users = _read(connection, [-visitors.c.visitor_key, visitors.c.visitor_id], _VISITOR_TYPES)
    if id_type == "str":
        ids = pl.format("visitor {}", "user_id")
    else:
        highest = max(tables["users"]["user_id"].cast(pl.Int64).to_list(), default=0)
        ids = (highest - pl.col("user_key")).cast(pl.String)
    users = users.with_columns(ids.alias("user_id"))
    ratings = _read(connection, _VISITOR_RATINGS, COLUMN_TYPES["ratings"])
    return tables | {
        "users": pl.concat([tables["users"], users], how="diagonal"),
        "ratings": pl.concat([tables["ratings"], ratings]),
    }


def _read(connection: sa.Connection, columns: Sequence[Any], types: dict[str, Any]) -> pl.DataFrame:
    """Return these columns as a table, read in chunks."""
    rows = connection.execution_options(yield_per=ROWS_PER_CHUNK).execute(sa.select(*columns))
    parts = [pl.DataFrame(part, schema=types, orient="row") for part in rows.partitions()]
    return pl.concat(parts) if parts else pl.DataFrame(schema=types)


def _without_empty_columns(table: pl.DataFrame) -> pl.DataFrame:
    """Drop columns without values, except those that every table has."""
    return table.select(
        column for column in table if column.null_count() < len(table) or column.name in _REQUIRED_COLUMNS
    )


def frames_dataset(info: StoreInfo, ratings: pl.DataFrame, items: pl.DataFrame, users: pl.DataFrame) -> Dataset:
    """Return ratings, or the weights of events, with items and users as a data set."""
    if not info.is_events:
        return Dataset.from_frames(ratings, items, users, scale=info.scale, name=info.name, noun=info.noun)
    with warnings.catch_warnings(category=DataWarning, action="ignore"):  # "not interested" was reported at the import
        data = Dataset.from_frames(ratings, items, users, name=info.name, noun=info.noun, feedback="implicit")
    return replace(data, notes=(), verb=info.verb, events=info.events)


def as_frames(info: StoreInfo, tables: dict[str, pl.DataFrame]) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Join the tables by their keys into ratings, items and users; drop columns without values."""
    id_types: dict[str, Any] = {"int": pl.Int64, "str": pl.String}
    users = tables["users"].with_columns(pl.col("user_id").cast(id_types[info.user_id_type]))
    items = tables["items"].with_columns(pl.col("item_id").cast(id_types[info.item_id_type]))
    dates = items["release_date"].str.to_date(strict=False)
    if dates.null_count() == items["release_date"].null_count():
        items = items.with_columns(dates)
    by_item = tables["genres"].sort("item_key", "position").group_by("item_key", maintain_order=True)
    items = items.join(by_item.agg(genres=pl.col("genre")), on="item_key", how="left")
    ratings = tables["ratings"].join(users.select("user_key", "user_id"), on="user_key")
    ratings = ratings.join(items.select("item_key", "item_id"), on="item_key")
    ratings = ratings.select("user_id", "item_id", "rating", timestamp="rated_at", order="position")
    # ratings since the import have no position; their timestamps are larger than positions, so they sort last
    if ratings["order"].null_count() < len(ratings):
        ratings = ratings.with_columns(pl.coalesce("order", "timestamp"))
    frames = (ratings, items.drop("item_key"), users.drop("user_key"))
    ratings, items, users = map(_without_empty_columns, frames)
    return ratings, items, users
