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
from reelated.spark.tasks import (
    Batches,
    ParquetFiles,
    buckets_of,
    count_cores,
    map_partitions,
    parquet_files,
    partition_keys,
    rebatched,
    records,
)
from reelated.spark.user_rows import pack, unpack

Columns = Mapping[str, str | None] | None
INTEGER_TYPES = ("tinyint", "smallint", "int", "bigint")
INCOMPLETE = "without a user, an item or a finite rating"
REMEDY = "Fix the data, or filter such rows out with ratings_df.where(…)."


class RatedItems(NamedTuple):
    """All rated items in ascending order of their ids; they fit into the memory of one machine."""

    ids: Ids
    counts: npt.NDArray[np.int64]  # number of ratings of each item
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


def count_ratings(keys: npt.NDArray[np.int32], batches: Batches) -> Iterator[dict[str, list[Any]]]:
    """Task: count the ratings by item, rating and absence of a user, in cells of one bucket of items each."""
    counts = [count_groups(table) for table in rebatched(batches)]
    if counts:
        groups = pl.concat(counts).group_by("item_id", "rating", "anonymous").agg(pl.sum("n"))
        bucketed = groups.with_columns(bucket=buckets_of(groups["item_id"], len(keys)))
        for (bucket,), part in bucketed.partition_by("bucket", as_dict=True, include_key=False).items():
            yield {"bucket": [int(keys[bucket])], "body": [pack(part.to_arrow())]}


def count_groups(table: pa.Table) -> pl.DataFrame:
    """Count the rows of a table by item, rating and absence of a user."""
    # a group is one number: five times as fast as grouping by the columns
    table = table.combine_chunks()
    item, rating = (table[name].chunk(0).dictionary_encode("encode") for name in ("item_id", "rating"))
    item_code, rating_code = (column.indices.to_numpy().astype(np.int64) for column in (item, rating))
    n_ratings, anonymous = len(rating.dictionary), table["user_id"].is_null().to_numpy()
    groups, n = np.unique((item_code * n_ratings + rating_code) * 2 + anonymous, return_counts=True)
    columns = {
        "item_id": item.dictionary.take(pa.array(groups // 2 // n_ratings)),
        "rating": rating.dictionary.take(pa.array(groups // 2 % n_ratings)),
    }
    return pl.DataFrame(pa.table(columns)).with_columns(anonymous=groups % 2 == 1, n=n.astype(np.int64))


def sum_counts(scale: Scale | None, are_packed: bool, batches: Batches) -> Iterator[dict[str, list[Any]]]:
    """Task: sum the counts of a partition by item, and by rating and fault."""
    tables = (unpack(record["body"]) for record in records(batches)) if are_packed else batches
    if counts := [pl.DataFrame(table) for table in tables]:
        groups, rating = pl.concat(counts), pl.col("rating")
        incomplete = pl.any_horizontal("anonymous", pl.col("item_id").is_null(), ~rating.is_finite().fill_null(False))
        off_scale = pl.lit(False) if scale is None else ~scale.covers(rating)
        fault = pl.when(incomplete).then(1).when(off_scale).then(2).otherwise(0)
        groups = groups.with_columns(fault=fault)
        sums = (groups.group_by(keys).agg(pl.sum("n")) for keys in (["item_id"], ["rating", "fault"]))
        items, ratings = (pack(table.to_arrow()) for table in sums)
        yield {"items": [items], "ratings": [ratings]}


def scan_items(
    table: Any, scale: tuple[float, float, float] | None = None, files: ParquetFiles | None = None
) -> RatedItems:
    """Validate all ratings in one scan, and count the ratings of each item."""
    given, spark = None if scale is None else check_scale(scale), table.sparkSession
    n_buckets = 2 * count_cores(spark)
    if files is None:
        anonymous = sql.col("user_id").isNull().alias("anonymous")
        counts = table.groupBy("item_id", "rating", anonymous).agg(sql.count(sql.lit(1)).alias("n"))
        shuffled = counts.repartition(n_buckets, "item_id")
    else:
        task = partial(count_ratings, partition_keys(spark, n_buckets))
        shuffled = files.map(spark, task, "bucket int, body binary").repartition(n_buckets, "bucket")
    task = partial(sum_counts, given, files is not None)
    sums = map_partitions(shuffled, task, "items binary, ratings binary").collect()
    if not sums:
        raise InputError("ratings: no ratings. Expected a table with at least one row of user, item and rating.")
    item_counts, rating_counts = (
        pl.concat([pl.DataFrame(unpack(row[name])) for row in sums]) for name in ("items", "ratings")
    )
    _check_faults(rating_counts, table, given)
    items = item_counts.sort("item_id")
    observed = rating_counts["rating"].unique().sort().to_numpy()
    scale = given or observed_scale(observed)
    ids = Ids(items["item_id"], "item")
    return RatedItems(ids, items["n"].to_numpy().astype(np.int64), scale, float(observed[0]), float(observed[-1]))


def is_incomplete() -> Any:
    """Return the condition for rows without a user, an item or a finite rating."""
    rating = sql.col("rating")
    missing = sql.col("user_id").isNull() | sql.col("item_id").isNull() | rating.isNull()
    return missing | sql.isnan(rating) | (sql.abs(rating) == float("inf"))


def _check_faults(counts: pl.DataFrame, table: Any, scale: Scale | None) -> None:
    """Raise `InputError` if rows cannot be used, with their number and an example."""
    faults = dict(counts.group_by("fault").agg(pl.sum("n")).iter_rows())
    for fault, reason in ((1, INCOMPLETE), (2, f"with a rating outside the scale ({scale})")):
        if fault in faults:
            is_faulty = is_incomplete() if scale is None or fault == 1 else is_off_scale(scale)
            row = table.where(is_faulty).first().asDict()
            example = ", ".join(f"{name}={shorten(value)}" for name, value in row.items())
            raise InputError(f"{plural(faults[fault], 'row')} {reason}, for example {example}. {REMEDY}")


def is_off_scale(scale: Scale) -> Any:
    """Return the condition for complete rows with a rating outside the scale."""
    low, high = (sql.lit(bound).cast("float") for bound in (scale.low, scale.high))
    return ~is_incomplete() & ~sql.col("rating").between(low, high)
