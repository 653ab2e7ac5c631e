"""Group the ratings by user on the executors with one shuffle, and sum over all users' rows."""

import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp
from pyspark import StorageLevel, TaskContext

from reelated import _kernels as kernels
from reelated._kernels import CSR
from reelated.errors import InputError, plural
from reelated.ratings import Ids
from reelated.similarity import as_csc
from reelated.spark.rating_table import RatedItems
from reelated.spark.tasks import (
    Batches,
    ParquetFiles,
    buckets_of,
    count_cores,
    grouped_records,
    map_partitions,
    partition_keys,
    rebatched,
    records,
)
from reelated.spark.user_rows import Transform, UserRows, pack, unchanged, unpack

BUCKET_RATINGS = 2_000_000
"""Approximate number of ratings in a bucket of users, which one task groups by user."""
DRIVER_SUMS = 4_000_000
"""Maximum number of partial sums that the driver adds itself, which saves a shuffle; 32 MB."""
N_TOTALS = 4
"""Number of sums of `item_totals`."""
CHUNK_ITEMS = 1 << 16
"""Number of items whose sums share a record."""

Numbers = npt.NDArray[np.float64]


class GroupedRatings(NamedTuple):
    """All users' rows on the executors; item indices are popularity ranks."""

    frame: Any  # pyspark.sql.DataFrame `users ratings repeated totals body`; body is a cell of packed rows
    items: RatedItems
    n_users: int
    n_ratings: int
    totals: Numbers | None = None  # `item_totals` of the ratings, if they are few enough to be counted with the users

    @property
    def n_items(self) -> int:
        return len(self.items.ids)

    @property
    def mean_ratings(self) -> float:
        """Mean number of ratings of a user."""
        return self.n_ratings / max(self.n_users, 1)


RankItems = tuple[Ids, npt.NDArray[np.int32]]
"""The items, and the popularity rank of each."""


def rank_items(items: RatedItems) -> RankItems:
    """Rank the items by descending popularity."""
    rank = np.empty(len(items.ids), np.int32)
    rank[items.order] = np.arange(len(items.ids), dtype=np.int32)
    return items.ids, rank


def pack_buckets(
    keys: npt.NDArray[np.int32], ranked: RankItems | None, batches: Batches
) -> Iterator[dict[str, list[Any]]]:
    """Task: distribute ratings over buckets of users, as packed cells; ranks replace the ids of items."""
    for table in map(pl.DataFrame, rebatched(batches)):
        if ranked is not None:
            table = table.select(pl.exclude("item_id"), item=ranked[1][ranked[0].indices_of(table["item_id"])])
        bucketed = table.with_columns(bucket=buckets_of(table["user_id"], len(keys)))
        for (bucket,), ratings in sorted(bucketed.partition_by("bucket", as_dict=True, include_key=False).items()):
            yield {"bucket": [int(keys[bucket])], "body": [pack(ratings.to_arrow())]}


def group_cells(max_ratings: int | None, n_items: int | None, batches: Batches) -> Iterator[dict[str, list[Any]]]:
    """Task: group cells of ratings by user into cells of rows, most active users first.

    The first cell of a bucket has its number of repeated ratings and, if `n_items` is given, its `item_totals`.
    """
    for _, cells in grouped_records(batches, "bucket"):
        users, repeated = group_rows(read_cells(cells))
        if max_ratings is not None:
            users = cap_ratings(users, max_ratings)
        totals = None if n_items is None else item_totals(unchanged, users.matrix(n_items)).tobytes()
        for chunk in users.sorted_by_activity().chunks():
            counts = {"users": [len(chunk.user_ids)], "ratings": [len(chunk.rows.data)], "repeated": [repeated]}
            yield counts | {"totals": [totals], "body": [chunk.pack()]}
            repeated, totals = 0, None


def group_rows(table: pl.DataFrame) -> tuple[UserRows, int]:
    """Group a table `user_id item rating` into rows sorted by id; also return the number of repeated ratings."""
    user_ids, items, n = table["user_id"].unique().sort(), table["item"].to_numpy(), len(table)
    users, n_items = Ids(user_ids, "user").indices_of(table["user_id"]), int(items.max(initial=0)) + 1
    # two counting sorts, by user and by item
    by_user = as_csc(CSR(np.arange(n + 1), users, table["rating"].to_numpy()), len(user_ids))
    indptr, positions = by_user.indptr[: len(user_ids) + 1], by_user.indices
    unsorted, rows = (
        CSR(indptr, items[positions], by_user.data),
        CSR(indptr, np.zeros_like(items), np.zeros(n, np.float32)),
    )
    every_user, same_rank = np.arange(len(user_ids)), np.arange(n_items, dtype=np.int32)
    kernels.sort_rows(0, len(user_ids), unsorted, every_user, same_rank, indptr, *rows[1:])
    # `sort_rows` keeps one of repeated ratings: the end of the row remains 0
    same_user = np.ones(n, np.bool_)
    same_user[indptr[:-1]] = False
    n_repeated = int((same_user[1:] & (rows.indices[1:] <= rows.indices[:-1])).sum())
    return UserRows.whole(user_ids, rows), n_repeated


def cap_ratings(users: UserRows, max_ratings: int) -> UserRows:
    """Sample `max_ratings` ratings of users with more; the sample depends only on the user's id and row length."""
    mask = np.ones(len(users.rows.data), np.bool_)
    for user in np.flatnonzero(users.activity > max_ratings):
        start, stop = users.rows.indptr[user], users.rows.indptr[user + 1]
        # seeded by crc32, since Python salts `hash` in each process
        rng = np.random.default_rng([zlib.crc32(str(users.user_ids[int(user)]).encode()), stop - start])
        mask[start:stop] = False
        mask[start + rng.choice(stop - start, max_ratings, replace=False)] = True
    indptr = np.concatenate([[0], np.cumsum(mask)])[users.rows.indptr]
    return UserRows.whole(users.user_ids, CSR(indptr, users.rows.indices[mask], users.rows.data[mask]))


def pack_by_bucket(
    table: Any, n_buckets: int, ranked: RankItems | None = None, files: ParquetFiles | None = None
) -> Any:
    """Pack a table into cells of one bucket of users each; a partition holds all cells of its buckets."""
    schema = "bucket int, body binary"
    task = partial(pack_buckets, partition_keys(table.sparkSession, n_buckets), ranked)
    cells = map_partitions(table, task, schema) if files is None else files.map(table.sparkSession, task, schema)
    return cells.repartition(n_buckets, "bucket").sortWithinPartitions("bucket", "body")


def read_cells(cells: Iterable[dict[str, Any]]) -> pl.DataFrame:
    """Read the cells of a bucket as one table."""
    return pl.concat([pl.DataFrame(unpack(cell["body"])) for cell in cells])


def count_buckets(spark: Any, n_ratings: int) -> int:
    """Return the number of buckets: at least two per core, and more if they would be too large."""
    return max(-(-n_ratings // BUCKET_RATINGS), 2 * count_cores(spark))


def group_by_user(
    table: Any,
    items: RatedItems,
    max_ratings: int | None = None,
    *,
    n_buckets: int | None = None,
    files: ParquetFiles | None = None,
) -> GroupedRatings:
    """Group a table of `rating_table` by user, and keep the rows on the executors' disks until `frame.unpersist()`."""
    n_buckets = n_buckets or count_buckets(table.sparkSession, items.n_ratings)
    cells = pack_by_bucket(table.select("user_id", "item_id", "rating"), n_buckets, rank_items(items), files)
    schema = "users long, ratings long, repeated long, totals binary, body binary"
    n_items = len(items.ids) if n_buckets * len(items.ids) * N_TOTALS <= DRIVER_SUMS else None
    frame = map_partitions(cells, partial(group_cells, max_ratings, n_items), schema).persist(StorageLevel.DISK_ONLY)
    counts = frame.select("users", "ratings", "repeated", "totals").collect()
    users, ratings, repeated = (sum(row[name] for row in counts) for name in ("users", "ratings", "repeated"))
    if repeated:
        frame.unpersist()
        raise InputError(
            f"{plural(repeated, 'repeated rating')} of an item by the same user. Keep one of each, for example with "
            "ratings_df.dropDuplicates(['user_id', 'item_id'])."
        )
    parts = [row["totals"] for row in counts if row["totals"] is not None]
    return GroupedRatings(frame, items, users, ratings, add_partials(parts, N_TOTALS) if parts else None)


Statistics = Callable[[sp.csr_array], Numbers]
"""A function from rows to sums for each item, shape (n_sums, n_items)."""


def item_totals(transform: Transform, X: sp.csr_array) -> Numbers:
    """Return for each item: number of ratings, Σ value², Σ row length, Σ more popular items in the row."""
    lengths = np.diff(X.indptr)
    partners, before = np.repeat(lengths, lengths), np.arange(X.nnz) - np.repeat(X.indptr[:-1], lengths)
    terms = np.ones(X.nnz), np.square(transform(X).data, dtype=np.float64), partners, before
    return np.stack([np.bincount(X.indices, term, X.shape[1]) for term in terms])


def sum_partition(statistics: Statistics, n_items: int, batches: Batches) -> Iterator[dict[str, list[Any]]]:
    """Task: sum `statistics` over the rows of a partition, and split the sums into chunks of items."""
    total: Any = 0.0
    for record in records(batches):
        total = total + statistics(UserRows.unpack([record["body"]]).matrix(n_items))
    context = TaskContext.get()
    part = context.partitionId() if context else 0
    for chunk, first in enumerate(range(0, n_items, CHUNK_ITEMS) if np.ndim(total) else ()):
        yield {"chunk": [chunk], "part": [part], "body": [total[:, first : first + CHUNK_ITEMS].tobytes()]}


def add_partials(partials: Iterable[bytes], n_sums: int) -> Numbers:
    """Add the partial sums of a chunk, given in the order of the partitions, so that results are reproducible."""
    total: Any = 0.0
    for body in partials:
        total = total + np.frombuffer(body).reshape(n_sums, -1)
    return total


def add_partial_sums(n_sums: int, batches: Batches) -> Iterator[dict[str, list[Any]]]:
    """Task: add the partial sums of each chunk."""
    for (chunk,), parts in grouped_records(batches, "chunk"):
        yield {"chunk": [chunk], "body": [add_partials((part["body"] for part in parts), n_sums).tobytes()]}


def sum_over_users(rows: GroupedRatings, statistics: Statistics, n_sums: int) -> Numbers:
    """Return the sum of `statistics` over all users' rows, shape (n_sums, n_items), items by popularity."""
    task, schema = partial(sum_partition, statistics, rows.n_items), "chunk int, part int, body binary"
    partials = map_partitions(rows.frame, task, schema)
    if count_buckets(rows.frame.sparkSession, rows.n_ratings) * rows.n_items * n_sums <= DRIVER_SUMS:
        by_chunk = groupby(sorted(partials.collect()), key=lambda row: row["chunk"])
        sums = [add_partials((row["body"] for row in parts), n_sums) for _, parts in by_chunk]
    else:
        chunks = -(-rows.n_items // CHUNK_ITEMS)
        shuffled = partials.repartition(min(chunks, 64), "chunk").sortWithinPartitions("chunk", "part")
        task, schema = partial(add_partial_sums, n_sums), "chunk int, body binary"
        sums = [
            np.frombuffer(body).reshape(n_sums, -1)
            for _, body in sorted(map_partitions(shuffled, task, schema).collect())
        ]
    return np.concatenate(sums, axis=1)
