"""How a task meets Spark: Arrow batches in, Arrow batches out, keys that land where they should."""

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
"""Takes the batches of a partition and yields columns or tables."""
KINDS = {"int": pa.int32(), "long": pa.int64(), "binary": pa.binary(), "double": pa.float64(), "string": pa.string()}
ROWS = 100_000
"""Rows of a table that are handed to Spark at once."""

LARGE = 64_000_000
"""Bytes of one batch between Spark and a task."""
CELLS = 1000
"""Records of one batch where Spark, before its version 4, cannot tell bytes."""


def mapped(frame: Any, task: Task, schema: str) -> Any:
    """Return the data frame that a task makes of every partition of another.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        Read by partitions.
    task : callable
        Takes an iterator of Arrow batches, yields dicts of columns or tables.
    schema : str
        What it yields, as Spark spells it: `"bucket int, body binary"`.

    Returns
    -------
    pyspark.sql.DataFrame
    """
    fields = [field.split() for field in schema.split(", ")]
    wanted = pa.schema([(name, KINDS[kind]) for name, kind in fields])

    def run(batches: Batches) -> Batches:
        numba.set_num_threads(1)  # Spark spreads tasks over the cores
        for columns in task(batches):
            if isinstance(columns, pl.DataFrame):
                yield from columns.to_arrow().cast(wanted).to_batches(ROWS)
            else:
                yield pa.RecordBatch.from_pydict(columns, schema=wanted)

    return frame.mapInArrow(run, schema)


def keys(spark: Any, n: int) -> npt.NDArray[np.int32]:
    """Return for each of `n` partitions a key that `repartition(n, key)` sends there.

    Spark places a key by its hash, so that plain numbers would share some partitions and leave others empty.
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
    """Yield the records of a partition that is sorted by some columns, those of one key together."""
    return groupby(records(batches), key=lambda record: tuple(record[name] for name in names))


@contextmanager
def small_batches(spark: Any) -> Iterator[None]:
    """Have Spark hand over cells some megabytes at a time while the block runs: by default it counts 10,000 of them."""
    by_bytes = int(spark.version.split(".")[0]) >= 4
    setting = "spark.sql.execution.arrow." + ("maxBytesPerBatch" if by_bytes else "maxRecordsPerBatch")
    before = spark.conf.get(setting, None)
    spark.conf.set(setting, LARGE if by_bytes else CELLS)
    try:
        yield
    finally:
        spark.conf.unset(setting) if before is None else spark.conf.set(setting, before)
