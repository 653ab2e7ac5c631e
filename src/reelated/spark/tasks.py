"""The interface between tasks and Spark: Arrow batches in and out, and keys for chosen partitions."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import Any

import numba
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
from pyspark.sql import functions as sql

Batches = Iterator[pa.RecordBatch]
Task = Callable[[Batches], Iterator[dict[str, list[Any]] | pl.DataFrame]]
"""Takes the Arrow batches of a partition and yields dicts of columns, or tables."""
KINDS = {"int": pa.int32(), "long": pa.int64(), "binary": pa.binary(), "double": pa.float64(), "string": pa.string()}
ROWS = 100_000
"""Rows in a batch that a task hands to Spark."""

LARGE = 64_000_000
"""Bytes of a batch that Spark hands to a task."""
CELLS = 1000
"""Records of such a batch where Spark, before version 4, has no limit in bytes."""


def mapped(frame: Any, task: Task, schema: str) -> Any:
    """Return the data frame that a task makes of every partition of another.

    `schema` names the columns that the task yields, as Spark spells them: `"bucket int, body binary"`.
    """
    fields = [field.split() for field in schema.split(", ")]
    wanted = pa.schema([(name, KINDS[kind]) for name, kind in fields])

    def run(batches: Batches) -> Batches:
        numba.set_num_threads(1)  # Spark already runs one task on each core
        for columns in task(batches):
            if isinstance(columns, pl.DataFrame):
                yield from columns.to_arrow().cast(wanted).to_batches(ROWS)
            else:
                yield pa.RecordBatch.from_pydict(columns, schema=wanted)

    return frame.mapInArrow(run, schema)


def keys(spark: Any, n: int) -> npt.NDArray[np.int32]:
    """Return, for each of `n` partitions, a key that `repartition(n, key)` sends there.

    Spark places a key by its hash: the numbers 0 … n − 1 would share some partitions and leave others empty.
    """
    found = np.full(n, -1, np.int32)
    first, many = 0, max(64, 8 * n)
    while (found < 0).any():
        key = sql.col("id").cast("int")
        rows = spark.range(first, first + many, 1, 1).select(key, sql.pmod(sql.hash(key), sql.lit(n))).collect()
        for number, place in rows:
            if found[place] < 0:
                found[place] = number
        first += many
    return found


def records(batches: Batches) -> Iterator[dict[str, Any]]:
    """Yield the records of a partition, one at a time."""
    for batch in batches:
        yield from batch.to_pylist()


def by_key(batches: Batches, *names: str) -> Iterator[tuple[Any, Iterable[dict[str, Any]]]]:
    """Yield the records of a sorted partition, grouped by the named columns."""
    return groupby(records(batches), key=lambda record: tuple(record[name] for name in names))


@contextmanager
def small_batches(spark: Any) -> Iterator[None]:
    """Limit Spark's Arrow batches by size inside the `with` block; by default Spark counts 10,000 records."""
    by_bytes = int(spark.version.split(".")[0]) >= 4
    setting = "spark.sql.execution.arrow." + ("maxBytesPerBatch" if by_bytes else "maxRecordsPerBatch")
    before = spark.conf.get(setting, None)
    spark.conf.set(setting, LARGE if by_bytes else CELLS)
    try:
        yield
    finally:
        spark.conf.unset(setting) if before is None else spark.conf.set(setting, before)
