"""Run tasks on Spark partitions: Arrow batches in and out, and keys that select a partition."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
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


@lru_cache  # asking for the hashes is a job
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
