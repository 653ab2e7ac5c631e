"""Read Parquet files in the Python tasks: the ratings of a plain `spark.read.parquet` need not pass through the JVM."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote, urlparse

import pyarrow as pa
import pyarrow.parquet as pq

from reelated.spark.tasks import Batches, Task, map_partitions, records

BATCH_ROWS = 1_000_000
"""Maximum number of ratings read at once."""


@dataclass(frozen=True)
class ReadRowGroups:
    """Task: read the row groups of a partition, and pass their ratings to another task."""

    task: Task
    columns: tuple[str, ...]
    schema: pa.Schema

    def __call__(self, batches: Batches) -> Iterator[Any]:
        """Yield what the task yields."""
        return self.task(self._ratings(batches))

    def _ratings(self, batches: Batches) -> Batches:
        for part in records(batches):
            with pq.ParquetFile(part["path"]) as file:
                for batch in file.iter_batches(BATCH_ROWS, [part["group"]], list(self.columns)):
                    yield batch.select(self.columns).rename_columns(self.schema.names).cast(self.schema)


class ParquetFiles(NamedTuple):
    """The row groups of Parquet files, and their columns `user_id`, `item_id` and `rating`."""

    frame: Any  # pyspark.sql.DataFrame `path group`
    columns: tuple[str, ...]
    schema: pa.Schema

    def map(self, task: Task, schema: str) -> Any:
        """Apply a task to the ratings of all row groups, as `map_partitions` does to a data frame."""
        return map_partitions(self.frame, ReadRowGroups(task, self.columns, self.schema), schema)


def parquet_files(ratings: Any, columns: tuple[str, ...], schema: pa.Schema, n_tasks: int) -> ParquetFiles | None:
    """Return the files of an unchanged `spark.read.parquet(…)` on a shared file system; None for any other table."""
    if not _is_read_parquet(ratings):
        return None
    parts: list[tuple[str, int]] = []
    types = set()
    for address in ratings.inputFiles():
        url = urlparse(address)
        if url.scheme != "file":
            return None
        path = unquote(url.path)
        try:
            with pq.ParquetFile(path) as file:
                types.add(tuple(file.schema_arrow.field(name).type for name in columns))
                parts.extend((path, group) for group in range(file.num_row_groups))
        except (OSError, KeyError, pa.ArrowException):  # encrypted, or without one of the columns
            return None
    if not parts or len(types) != 1 or not all(map(_has_same_cast, types.pop(), schema.types)):
        return None
    frame = ratings.sparkSession.createDataFrame(parts, "path string, group int")
    return ParquetFiles(frame.repartition(min(len(parts), n_tasks)), columns, schema)


def _is_read_parquet(ratings: Any) -> bool:
    """Return whether a table is a whole Parquet source: nothing selected, and no column from the names of folders."""
    frame = getattr(ratings, "_jdf", None)  # Spark Connect has none
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
