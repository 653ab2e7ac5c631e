"""Validate a Spark table of ratings, rename its columns, and count the ratings of every item."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pyspark.sql import functions as sql

from reelated.errors import InputError, plural, shorten
from reelated.ratings import Ids, Scale
from reelated.ratings.columns import RATING_ALIASES, named
from reelated.ratings.dataset import check_scale, observed_scale
from reelated.spark.tasks import Batches, ParquetFiles, parquet_files

Columns = Mapping[str, str | None] | None
INTEGER_TYPES = ("tinyint", "smallint", "int", "bigint")
INCOMPLETE = "without a user, an item or a finite rating"
REMEDY = "Fix the data, or filter such rows out with ratings_df.where(…)."


class RatedItems(NamedTuple):
    """All rated items in ascending order of their ids; they fit into the memory of one machine."""

    ids: Ids
    counts: npt.NDArray[np.int64]  # number of ratings of each item
    sums: npt.NDArray[np.float64]  # sum of its ratings
    scale: Scale
    low: float  # lowest observed rating
    high: float  # highest observed rating

    @property
    def order(self) -> npt.NDArray[np.int32]:
        """Item indices by descending popularity."""
        return np.argsort(-self.counts, kind="stable").astype(np.int32)

    @property
    def n_ratings(self) -> int:
        """Number of ratings, including repeated ones."""
        return int(self.counts.sum())


def rating_table(ratings: Any, columns: Columns = None, *, times: bool = False) -> Any:
    """Select and cast the columns `user_id item_id rating`; `times` adds `timestamp` and `order` if present."""
    if not hasattr(ratings, "mapInArrow"):
        raise InputError(
            f"ratings of type {type(ratings).__name__}: expected a Spark DataFrame, such as spark.read.parquet(path)."
        )
    sources, types = _source_columns(ratings, columns), dict(ratings.dtypes)
    selected = [_id_column(name, sources[name], types[sources[name]]) for name in ("user_id", "item_id")]
    if _is_unrated(columns):
        selected.append(sql.lit(1.0).cast("float").alias("rating"))
    else:
        selected.append(_number_column("rating", sources["rating"], types[sources["rating"]], "float"))
    if times:
        present = [name for name in ("timestamp", "order") if name in sources]
        selected.extend(_time_column(name, sources[name], types[sources[name]]) for name in present)
    return ratings.select(*selected)


def rating_files(ratings: Any, columns: Columns, n_tasks: int) -> ParquetFiles | None:
    """Return the files of a table of ratings, if the tasks can read them without Spark."""
    if _is_unrated(columns):
        return None
    sources, types = _source_columns(ratings, columns), dict(ratings.dtypes)
    ids = {name: pa.string() if types[sources[name]] == "string" else pa.int64() for name in ("user_id", "item_id")}
    schema = pa.schema(ids | {"rating": pa.float32()})
    return parquet_files(ratings, tuple(sources[name] for name in schema.names), schema, n_tasks)


def _source_columns(ratings: Any, columns: Columns) -> dict[str, str]:
    """Return the names of the columns in the table by our names."""
    required = ("user_id", "item_id") if _is_unrated(columns) else ("user_id", "item_id", "rating")
    names = pl.DataFrame({name: [name] for name in ratings.columns})
    return named(names, RATING_ALIASES, columns, required).row(0, named=True)


def _is_unrated(columns: Columns) -> bool:
    return columns is not None and columns.get("rating", "") is None


def _column(name: str) -> Any:
    return sql.col("`" + name.replace("`", "``") + "`")


def _id_column(name: str, source: str, sql_type: str) -> Any:
    if sql_type not in (*INTEGER_TYPES, "string"):
        raise InputError(f"{name} is a column of type {sql_type}: expected integers or text. Cast it before.")
    return _column(source).cast("string" if sql_type == "string" else "bigint").alias(name)


def _number_column(name: str, source: str, sql_type: str, target_type: str) -> Any:
    if sql_type not in (*INTEGER_TYPES, "float", "double") and not sql_type.startswith("decimal"):
        raise InputError(f"{name} is a column of type {sql_type}: expected numbers. Cast it before.")
    return _column(source).cast(target_type).alias(name)


def _time_column(name: str, source: str, sql_type: str) -> Any:
    """Return Unix times in seconds, or positions in a history."""
    if sql_type in ("timestamp", "date"):
        return _column(source).cast("timestamp").cast("bigint").alias(name)
    return _number_column(name, source, sql_type, "bigint")


def count_ratings(scale: Scale | None, batches: Batches) -> Iterator[pl.DataFrame]:
    """Task: count the ratings by item, value and fault, as Spark does for tables that are not files."""
    rating = pl.col("rating").cast(pl.Float64)
    incomplete = pl.any_horizontal(pl.col("user_id", "item_id").is_null(), ~rating.is_finite().fill_null(False))
    off_scale = pl.lit(False) if scale is None else ~rating.is_between(scale.low, scale.high)
    fault = pl.when(incomplete).then(1).when(off_scale).then(2).otherwise(0)
    for batch in batches:
        yield pl.DataFrame(batch).group_by("item_id", rating, fault=fault).len("n")


def scan_items(
    table: Any, scale: tuple[float, float, float] | None = None, files: ParquetFiles | None = None
) -> RatedItems:
    """Validate all ratings in one scan; count and sum the ratings of each item."""
    given, rating = None if scale is None else check_scale(scale), sql.col("rating")
    item_type = dict(table.dtypes)["item_id"]
    flagged = _with_faults(table, given)
    keys = "item_id", "rating", "fault"
    if files is None:
        groups = flagged.groupBy(*keys).agg(sql.count(sql.lit(1)).alias("n")).persist()
    else:
        schema = f"item_id {'long' if item_type == 'bigint' else item_type}, rating double, fault int, n long"
        parts = files.map(partial(count_ratings, given), schema)
        groups = parts.groupBy(*keys).agg(sql.sum("n").alias("n")).persist()
    try:
        _check_faults(groups, flagged, given)
        totals = groups.groupBy("item_id").agg(sql.sum("n"), sql.sum(sql.col("n") * rating.cast("double")))
        item_ids, counts, sums = zip(*totals.collect(), strict=True)
        observed = np.array(sorted(row[0] for row in groups.select("rating").distinct().collect()), np.float32)
    finally:
        groups.unpersist()
    ids = pl.Series("item_id", item_ids, pl.Int64 if item_type == "bigint" else pl.String)
    items = pl.DataFrame({"item_id": ids, "n": counts, "sum": sums}).sort("item_id")
    numbers = items["n"].to_numpy().astype(np.int64), items["sum"].to_numpy().astype(np.float64)
    scale = given or observed_scale(observed)
    return RatedItems(Ids(items["item_id"], "item"), *numbers, scale, float(observed[0]), float(observed[-1]))


def _with_faults(table: Any, scale: Scale | None) -> Any:
    """Add a column `fault`: 1 for incomplete rows, 2 for ratings off the scale, otherwise 0."""
    incomplete = is_incomplete()
    off_scale = sql.lit(False) if scale is None else ~incomplete & ~sql.col("rating").between(scale.low, scale.high)
    return table.withColumn("fault", sql.when(incomplete, 1).when(off_scale, 2).otherwise(0))


def is_incomplete() -> Any:
    """Return the condition for rows without a user, an item or a finite rating."""
    rating = sql.col("rating")
    missing = sql.col("user_id").isNull() | sql.col("item_id").isNull() | rating.isNull()
    return missing | sql.isnan(rating) | (sql.abs(rating) == float("inf"))


def _check_faults(groups: Any, flagged: Any, scale: Scale | None) -> None:
    """Raise `InputError` if rows cannot be used, with their number and an example."""
    faults = dict(groups.groupBy("fault").agg(sql.sum("n")).collect())
    if not faults:
        raise InputError("ratings: no ratings. Expected a table with at least one row of user, item and rating.")
    for fault, reason in ((1, INCOMPLETE), (2, f"with a rating off the scale ({scale})")):
        if fault in faults:
            row = flagged.where(sql.col("fault") == fault).drop("fault").first().asDict()
            example = ", ".join(f"{name}={shorten(value)}" for name, value in row.items())
            raise InputError(f"{plural(faults[fault], 'row')} {reason}, for example {example}. {REMEDY}")
