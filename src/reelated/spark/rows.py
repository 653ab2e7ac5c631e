"""Group the ratings by user on the executors with one shuffle, and sum over all users' rows."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa
import scipy.sparse as sp
from pyspark import StorageLevel, TaskContext
from pyspark.sql import functions as sql

from reelated._kernels import CSR
from reelated.errors import InputError, plural
from reelated.ratings import Ids
from reelated.spark.people import People, pack, unpack
from reelated.spark.reading import Items
from reelated.spark.tasks import Batches, by_key, keys, mapped, records

BUCKET = 2_000_000
"""Approximate number of ratings of a task that groups them by user."""
GATHER = 1_000_000
"""Ratings that a task collects before it distributes them over buckets."""
CHUNK = 1 << 16
"""Items whose sums share a record."""

Numbers = npt.NDArray[np.float64]


class Rows(NamedTuple):
    """All users' rows on the executors; items are numbered by falling popularity."""

    frame: Any  # pyspark.sql.DataFrame of `users ratings repeated body`; body is a cell of packed rows
    items: Items
    n_users: int
    n_ratings: int

    @property
    def n_items(self) -> int:
        """Number of items."""
        return len(self.items.ids)


@dataclass(frozen=True)
class Numbered:
    """Replace `item_id` by `item`, the item's index by popularity."""

    item_ids: Ids
    rank: npt.NDArray[np.int32]

    def __call__(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the table with `item`."""
        return table.select(pl.exclude("item_id"), item=self.rank[self.item_ids.indices_of(table["item_id"])])


def numbered(items: Items) -> Numbered:
    """Return the task that numbers items by falling popularity."""
    rank = np.empty(len(items.ids), np.int32)
    rank[items.order] = np.arange(len(items.ids), dtype=np.int32)
    return Numbered(items.ids, rank)


@dataclass(frozen=True)
class Spread:
    """Distribute ratings over buckets of users: plain columns in, packed cells out."""

    keys: npt.NDArray[np.int32]
    numbered: Numbered | None

    def __call__(self, batches: Batches) -> Iterator[dict[str, list[Any]]]:
        """Yield the cells of a partition."""
        for table in gathered(batches, GATHER):
            columns = table if self.numbered is None else self.numbered(table)
            for (bucket,), part in sorted(columns.partition_by("bucket", as_dict=True, include_key=False).items()):
                yield {"bucket": [int(self.keys[bucket])], "body": [pack(part.to_arrow())]}


@dataclass(frozen=True)
class Collect:
    """Group ratings by user: cells of ratings in, cells of rows by falling activity out."""

    most: int | None

    def __call__(self, batches: Batches) -> Iterator[dict[str, list[Any]]]:
        """Yield the cells of a partition, with the numbers of users and ratings in each."""
        for _, cells in by_key(batches, "bucket"):
            people, repeated = rows_of(joined(cells))
            if self.most is not None:
                people = capped(people, self.most)
            for piece in people.by_activity().pieces():
                counted = {"users": [len(piece.user_ids)], "ratings": [len(piece.rows.data)], "repeated": [repeated]}
                yield counted | {"body": [piece.pack()]}
                repeated = 0


def gathered(batches: Batches, size: int) -> Iterator[pl.DataFrame]:
    """Join the batches of a partition into tables of at least `size` rows; the last may be smaller."""
    held: list[pa.RecordBatch] = []
    n = 0
    for batch in batches:
        held.append(batch)
        n += batch.num_rows
        if n >= size:
            yield pl.DataFrame(pa.Table.from_batches(held))
            held, n = [], 0
    if n:
        yield pl.DataFrame(pa.Table.from_batches(held))


def rows_of(table: pl.DataFrame) -> tuple[People, int]:
    """Return the rows of a table `user_id item rating`, sorted by id, and the number of repeated ratings."""
    table = table.sort("user_id", "item")
    number = table["user_id"].rle_id().to_numpy()
    items, values = table["item"].to_numpy(), table["rating"].to_numpy()
    again = int(((np.diff(items) == 0) & (np.diff(number) == 0)).sum())
    begins = np.flatnonzero(np.diff(number, prepend=-1))
    return People(table["user_id"].gather(begins), CSR(np.append(begins, len(items)), items, values)), again


def capped(people: People, most: int) -> People:
    """Keep `most` ratings of users with more; the sample depends only on the user's id and number of ratings."""
    kept = np.ones(len(people.rows.data), np.bool_)
    for user in np.flatnonzero(people.lengths > most):
        begin, end = people.rows.indptr[user], people.rows.indptr[user + 1]
        # seeded by crc32, since Python salts `hash` in each process
        rng = np.random.default_rng([zlib.crc32(str(people.user_ids[int(user)]).encode()), end - begin])
        kept[begin:end] = False
        kept[begin + rng.choice(end - begin, most, replace=False)] = True
    indptr = np.concatenate([[0], np.cumsum(kept)])[people.rows.indptr]
    return People(people.user_ids, CSR(indptr, people.rows.indices[kept], people.rows.data[kept]))


def spread(table: Any, n_buckets: int, numbered: Numbered | None = None) -> Any:
    """Return a table as cells of one bucket of users each; a partition holds all cells of its buckets."""
    bucket = sql.pmod(sql.hash("user_id"), sql.lit(n_buckets)).alias("bucket")
    task = Spread(keys(table.sparkSession, n_buckets), numbered)
    cells = mapped(table.select("*", bucket), task, "bucket int, body binary")
    return cells.repartition(n_buckets, "bucket").sortWithinPartitions("bucket", "body")


def joined(cells: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Return the cells of a bucket as one table."""
    return pl.concat([pl.DataFrame(unpack(cell["body"])) for cell in cells])


def buckets_for(spark: Any, n_ratings: int) -> int:
    """Return the number of buckets: of bounded size, and at least two for each core."""
    return max(-(-n_ratings // BUCKET), 2 * cores(spark))


def cores(spark: Any) -> int:
    """Return the number of tasks that run at once, as far as Spark reports it."""
    try:
        return max(1, int(spark.sparkContext.defaultParallelism))
    except Exception:  # Spark Connect has no context
        return 8


def packed_rows(table: Any, items: Items, n_buckets: int, most: int | None) -> Any:
    """Return all users' rows as cells."""
    cells = spread(table.select("user_id", "item_id", "rating"), n_buckets, numbered(items))
    return mapped(cells, Collect(most), "users long, ratings long, repeated long, body binary")


def rows_by_user(table: Any, items: Items, most: int | None = None, *, n_buckets: int | None = None) -> Rows:
    """Group a table of `rating_table` by user and persist the rows on the executors' disks, until `frame.unpersist()`.

    `most` caps the ratings of a user. Raise `InputError` if a user rated an item more than once.
    """
    n_buckets = n_buckets or buckets_for(table.sparkSession, items.n_ratings)
    frame = packed_rows(table, items, n_buckets, most).persist(StorageLevel.DISK_ONLY)
    users, ratings, repeated = frame.agg(sql.sum("users"), sql.sum("ratings"), sql.sum("repeated")).first()
    if repeated:
        frame.unpersist()
        raise InputError(
            f"{plural(repeated, 'repeated rating')} of an item by the same user. Keep one of each, for example with "
            "ratings_df.dropDuplicates(['user_id', 'item_id'])."
        )
    return Rows(frame, items, int(users), int(ratings))


@dataclass(frozen=True)
class Survey:
    """Sum `look` over the rows of a partition; the partial sums are cut into chunks of items."""

    look: Callable[[sp.csr_array], Numbers]
    n_items: int

    def __call__(self, batches: Batches) -> Iterator[dict[str, list[Any]]]:
        """Yield the partial sums of a partition."""
        total: Any = 0.0
        for record in records(batches):
            total = total + self.look(People.unpack([record["body"]]).matrix(self.n_items))
        here = TaskContext.get()
        part = here.partitionId() if here else 0
        for chunk, first in enumerate(range(0, self.n_items, CHUNK) if np.ndim(total) else ()):
            yield {"chunk": [chunk], "part": [part], "body": [total[:, first : first + CHUNK].tobytes()]}


@dataclass(frozen=True)
class Total:
    """Add the partial sums of a chunk, in the order of the partitions."""

    n_sums: int

    def __call__(self, batches: Batches) -> Iterator[dict[str, list[Any]]]:
        """Yield the total of each chunk of a partition."""
        for (chunk,), partials in by_key(batches, "chunk"):
            total: Any = 0.0
            for partial in partials:
                total = total + np.frombuffer(partial["body"]).reshape(self.n_sums, -1)
            yield {"chunk": [chunk], "body": [total.tobytes()]}


def totals(rows: Rows, look: Callable[[sp.csr_array], Numbers], n_sums: int) -> Numbers:
    """Return the sum of `look` over all users' rows: `n_sums` numbers for each item, by popularity."""
    chunks = -(-rows.n_items // CHUNK)
    partials = mapped(rows.frame, Survey(look, rows.n_items), "chunk int, part int, body binary")
    placed = partials.repartition(min(chunks, 64), "chunk").sortWithinPartitions("chunk", "part")
    found = sorted(mapped(placed, Total(n_sums), "chunk int, body binary").collect())
    return np.concatenate([np.frombuffer(body).reshape(n_sums, -1) for _, body in found], axis=1)
