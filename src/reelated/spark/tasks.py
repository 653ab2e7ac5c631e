"""Run tasks on Spark partitions: Arrow batches in and out, keys that select a partition, and Parquet files as input."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple
from urllib.parse import unquote, urlparse

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import functions as sql

from reelated.parallel import use_one_thread

Batches = Iterator[pa.RecordBatch]
Task = Callable[[Batches], Iterator[dict[str, list[Any]] | pl.DataFrame]]
"""A function from the Arrow batches of a partition to dicts of columns, or tables."""
ARROW_TYPES = {
    "int": pa.int32(), "long": pa.int64(), "binary": pa.binary(), "double": pa.float64(), "string": pa.string()
}  # fmt: skip
OUTPUT_ROWS = 100_000
"""Maximum number of rows of an output batch."""
BATCH_BYTES = 64_000_000
"""Maximum size of an input batch (Spark 4)."""
BATCH_RECORDS = 1000
"""Maximum number of records of an input batch before Spark 4, which has no limit in bytes."""

TABLE_ROWS = 1_000_000
"""Minimum number of ratings that a task collects before it processes them."""


def map_partitions(frame: Any, task: Task, schema: str) -> Any:
    """Apply a task to every partition of a data frame; `schema` is a Spark DDL string: `"bucket int, body binary"`."""
    fields = [field.split() for field in schema.split(", ")]
    arrow_schema = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in fields])

    def run(batches: Batches) -> Batches:
        use_one_thread()  # Spark already runs one task on each core
        for columns in task(batches):
            if isinstance(columns, pl.DataFrame):
                yield from columns.to_arrow().cast(arrow_schema).to_batches(OUTPUT_ROWS)
            else:
                yield pa.RecordBatch.from_pydict(columns, schema=arrow_schema)

    return frame.mapInArrow(run, schema)


@lru_cache  # computing the hashes takes a Spark job
def partition_keys(spark: Any, n: int) -> npt.NDArray[np.int32]:
    """Return, for each of `n` partitions, a key that `repartition(n, key)` sends there."""
    # Spark places a key by its hash: the keys 0 … n − 1 would share some partitions and leave others empty.
    keys = np.full(n, -1, np.int32)
    first, step = 0, max(64, 8 * n)
    while (keys < 0).any():
        key = sql.col("id").cast("int")
        rows = spark.range(first, first + step, 1, 1).select(key, sql.pmod(sql.hash(key), sql.lit(n))).collect()
        for number, partition in rows:
            if keys[partition] < 0:
                keys[partition] = number
        first += step
    return keys


def records(batches: Batches) -> Iterator[dict[str, Any]]:
    """Yield the records of a partition, one at a time."""
    for batch in batches:
        yield from batch.to_pylist()


def grouped_records(batches: Batches, *names: str) -> Iterator[tuple[Any, Iterable[dict[str, Any]]]]:
    """Yield the records of a sorted partition, grouped by the named columns."""
    return groupby(records(batches), key=lambda record: tuple(record[name] for name in names))


def count_cores(spark: Any) -> int:
    """Return the number of tasks that run at once; 8 if Spark does not report it."""
    try:
        return max(1, int(spark.sparkContext.defaultParallelism))
    except Exception:  # Spark Connect has no context
        return 8


def buckets_of(ids: pl.Series, n: int) -> pl.Series:
    """Return the bucket of each user or item, the same in every process (Python salts `hash`)."""
    if ids.dtype == pl.Int64:
        mixed = ids.fill_null(0).to_numpy().astype(np.uint64) * np.uint64(0x9E37_79B9_7F4A_7C15)
        return pl.Series((mixed >> np.uint64(32)) % np.uint64(n))
    ids = ids.fill_null("")
    distinct = ids.unique()
    return ids.replace_strict(distinct, [zlib.crc32(text.encode()) % n for text in distinct])


def rebatched(batches: Batches) -> Iterator[pa.Table]:
    """Join the batches of a partition into tables of at least `TABLE_ROWS` rows; the last may be smaller."""
    buffer: list[pa.RecordBatch] = []
    n = 0
    for batch in batches:
        buffer.append(batch)
        n += batch.num_rows
        if n >= TABLE_ROWS:
            yield pa.Table.from_batches(buffer)
            buffer, n = [], 0
    if n:
        yield pa.Table.from_batches(buffer)


@contextmanager
def small_batches(spark: Any) -> Iterator[None]:
    """Limit Spark's Arrow batches by size inside the `with` block; by default Spark counts 10,000 records."""
    by_bytes = int(spark.version.split(".")[0]) >= 4
    setting = "spark.sql.execution.arrow." + ("maxBytesPerBatch" if by_bytes else "maxRecordsPerBatch")
    before = spark.conf.get(setting, None)
    spark.conf.set(setting, BATCH_BYTES if by_bytes else BATCH_RECORDS)
    try:
        yield
    finally:
        spark.conf.unset(setting) if before is None else spark.conf.set(setting, before)


# ------------------------------------------------------------------------------------------------------------- Parquet
BATCH_ROWS = 1_000_000
"""Maximum number of ratings read at once."""


class ParquetFiles(NamedTuple):
    """The row groups of Parquet files, and their columns `user_id`, `item_id` and `rating`."""

    groups: list[tuple[str, int]]  # path and number of each row group
    n_tasks: int
    columns: tuple[str, ...]
    schema: pa.Schema

    def map(self, spark: Any, task: Task, schema: str) -> Any:
        """Apply a task to the ratings of all row groups, as `map_partitions` does to a data frame."""
        parts = spark.range(0, self.n_tasks, 1, self.n_tasks)
        return map_partitions(parts, lambda batches: task(self.read(batches)), schema)

    def read(self, batches: Batches) -> Batches:
        """Yield the ratings in the row groups of some tasks."""
        for part in records(batches):
            for path, group in self.groups[part["id"] :: self.n_tasks]:
                with pq.ParquetFile(path) as file:
                    for batch in file.iter_batches(BATCH_ROWS, [group], list(self.columns)):
                        yield batch.select(self.columns).rename_columns(self.schema.names).cast(self.schema)


def parquet_files(ratings: Any, columns: tuple[str, ...], schema: pa.Schema, n_tasks: int) -> ParquetFiles | None:
    """Return the files of an unchanged `spark.read.parquet(…)` on a shared file system; None for any other table."""
    if not _is_read_parquet(ratings):
        return None
    groups: list[tuple[str, int]] = []
    types = set()
    for address in ratings.inputFiles():
        url = urlparse(address)
        if url.scheme != "file":
            return None
        path = unquote(url.path)
        try:
            with pq.ParquetFile(path) as file:
                types.add(tuple(file.schema_arrow.field(name).type for name in columns))
                groups.extend((path, group) for group in range(file.num_row_groups))
        except (OSError, KeyError, pa.ArrowException):  # encrypted, or without one of the columns
            return None
    if not groups or len(types) != 1 or not all(map(_has_same_cast, types.pop(), schema.types)):
        return None
    return ParquetFiles(groups, min(len(groups), n_tasks), columns, schema)


def _is_read_parquet(ratings: Any) -> bool:
    """Return whether a table is a whole Parquet source: nothing is selected, and folder names give no column."""
    frame = getattr(ratings, "_jdf", None)  # Spark Connect has no frame in the JVM
    plan: Any = None if frame is None else frame.queryExecution().analyzed()
    if not _is_a(plan, "LogicalRelation") or not _is_a(plan.relation(), "HadoopFsRelation"):
        return False
    return _is_a(plan.relation().fileFormat(), "ParquetFileFormat") and not plan.relation().partitionSchema().length()


def _is_a(java_object: Any, name: str) -> bool:
    return java_object is not None and java_object.getClass().getSimpleName() == name


def _has_same_cast(source: pa.DataType, target: pa.DataType) -> bool:
    """Return whether Arrow casts a column as Spark does."""
    if pa.types.is_floating(target):
        return pa.types.is_signed_integer(source) or source in (pa.float32(), pa.float64())
    if pa.types.is_integer(target):
        return pa.types.is_signed_integer(source)
    return pa.types.is_string(source) or pa.types.is_large_string(source)
