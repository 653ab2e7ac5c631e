"""Recommend to all users, and find the audiences of items, with a model folder and a Spark table of ratings."""

from collections.abc import Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from pyspark.sql import Window
from pyspark.sql import functions as sql

from reelated.errors import InputError, check_integer, plural
from reelated.models.contracts import By
from reelated.ratings import Dataset
from reelated.recommender import Recommender
from reelated.recommender.audience import CANDIDATES, audience_table, candidates
from reelated.recommender.engine import AudienceBy
from reelated.recommender.lists import sorted_by
from reelated.spark.grouping import count_buckets, pack_by_bucket, read_cells
from reelated.spark.rating_table import INCOMPLETE, REMEDY, Columns, is_incomplete, is_off_scale, rating_table
from reelated.spark.tasks import Batches, grouped_records, map_partitions

SQL_TYPES = {"int": "long", "str": "string"}
NUMBERS = "score double, predicted_rating double, n_neighbors_used int"


class ModelHandle(NamedTuple):
    """A model folder, which each Python process memory-maps once."""

    path: str
    version: int  # modification time: distinguishes a model from an earlier one in the same folder

    @classmethod
    def of(cls, path: str | Path) -> "ModelHandle":
        """Check that a folder contains a model, and return its handle."""
        Recommender.load(path)
        return cls(str(Path(path).absolute()), (Path(path) / "model.json").stat().st_mtime_ns)


@cache  # Spark reuses a Python process for many tasks
def load(handle: ModelHandle) -> Recommender:
    """Load the model, once in each process."""
    return Recommender.load(handle.path)


def recommend(
    model: str | Path,
    ratings: Any,
    n: int = 10,
    *,
    by: By | None = None,
    genres: str | Iterable[str] | None = None,
    years: int | tuple[int, int] | None = None,
    exclude: Iterable[Any] | None = None,
    columns: Columns = None,
) -> Any:
    """Recommend to every user with ratings, on a Spark cluster.

    Parameters
    ----------
    model : str or Path
        A saved model, on a file system that all executors share.
    ratings : pyspark.sql.DataFrame
        One row per rating. Items that are unknown to the model are ignored.
    n : int, default 10
        Number of items for each user.
    by, genres, years, exclude
        As for `Recommender.recommend`.
    columns : mapping of str to str, optional
        As for `fit`.

    Returns
    -------
    pyspark.sql.DataFrame
        `user_id item_id title rank score predicted_rating n_neighbors_used source`: the rows of
        `Recommender.recommend_batch`.

    Raises
    ------
    InputError
        The model, the data or a parameter cannot be used. Repeated ratings raise an error when Spark computes the rows.
    """
    handle = ModelHandle.of(model)
    rec, filters = load(handle), {"genres": genres, "years": years, "exclude": exclude}
    sorted_by(rec, by)
    rec.catalogue_.allowed(**filters)  # type: ignore[arg-type]
    cells, user_type = _pack_ratings(ratings, columns, rec)
    task = partial(recommend_task, handle, check_integer("n", n, 1), {"by": by, **filters})
    item_type = SQL_TYPES[rec.item_ids.type_name]
    schema = f"user_id {user_type}, item_id {item_type}, title string, rank int, {NUMBERS}, source string"
    return map_partitions(cells, task, schema)


def recommend_task(handle: ModelHandle, n: int, options: dict[str, Any], batches: Batches) -> Iterator[pl.DataFrame]:
    """Task: recommend to the users of each bucket."""
    for rec in recommenders(handle, batches):
        yield from rec.recommend_batch(n, **options)


def recommenders(handle: ModelHandle, batches: Batches) -> Iterator[Recommender]:
    """Yield the model with the ratings of each bucket of a partition."""
    for _, cells in grouped_records(batches, "bucket"):
        yield load(handle).with_ratings(Dataset.from_frames(read_cells(cells), duplicates="error"))


def _pack_ratings(ratings: Any, columns: Columns, rec: Recommender) -> tuple[Any, str]:
    """Validate ratings and pack them by bucket of users; also return the SQL type of the user ids."""
    table = rating_table(ratings, columns, times=True)
    types, scale = dict(table.dtypes), rec.scale_
    item_type = "int" if types["item_id"] == "bigint" else "str"
    if item_type != rec.item_ids.type_name:
        raise InputError(f"item_id is of type {item_type}: expected {rec.item_ids.type_name}, as in the fit.")
    incomplete = is_incomplete()
    off_scale = is_off_scale(scale)
    times = [name for name in ("timestamp", "order") if name in types]
    unknown = [sql.col(name).isNull() | sql.lit(name == "order") & (sql.col(name) < 0) for name in times]
    faults = (incomplete, off_scale, *unknown)
    counts = table.agg(sql.count(sql.lit(1)), *(sql.count_if(fault) for fault in faults)).first()
    reasons = INCOMPLETE, f"with a rating outside the scale of the fit ({scale})"
    for count, reason in zip(counts[1:3], reasons, strict=True):
        if count:
            raise InputError(f"{plural(count, 'row')} {reason}. {REMEDY}")
    # drop times unless all are known, so that all buckets are processed in the same way
    table = table.drop(*(name for name, missing in zip(times, counts[3:], strict=True) if missing))
    cells = pack_by_bucket(table, count_buckets(table.sparkSession, counts[0]))
    return cells, "long" if types["user_id"] == "bigint" else "string"


def audience(
    model: str | Path,
    ratings: Any,
    item_ids: Iterable[Any],
    n: int = 10,
    *,
    by: AudienceBy | None = None,
    columns: Columns = None,
) -> Any:
    """Find the best users for each of several items, among those who have not rated it, on a Spark cluster.

    Parameters
    ----------
    model, ratings
        As for `recommend`.
    item_ids : iterable of int or str
        Items of the model.
    n : int, default 10
        Number of users for each item.
    by : {"adjusted_score", "score", "rating"}, optional
        The number that users are sorted by, as for `Recommender.audience`.
    columns : mapping of str to str, optional
        As for `fit`.

    Returns
    -------
    pyspark.sql.DataFrame
        `item_id title user_id rank score predicted_rating n_neighbors_used adjusted_score above_user_mean`: the rows
        of `Recommender.audience_batch`, items in the order given.

    Raises
    ------
    InputError
        The model, the data or a parameter cannot be used.
    """
    handle = ModelHandle.of(model)
    rec = load(handle)
    items = rec.catalogue_.indices_of(item_ids)
    sort_by, n = sorted_by(rec, by, users=True), check_integer("n", n, 1)
    cells, user_type = _pack_ratings(ratings, columns, rec)
    item_type = SQL_TYPES[rec.item_ids.type_name]
    schema = (
        f"position int, candidate_key double, sort_key double, item_id {item_type}, title string, user_id {user_type}, "
        f"rank int, {NUMBERS}, adjusted_score double, above_user_mean double"
    )
    users = map_partitions(cells, partial(audience_task, handle, tuple(items), n, sort_by), schema)
    # the two selections of the local engine: first the candidates, then the top n of them
    for column, n_kept in (("candidate_key", CANDIDATES * n if sort_by == "adjusted_score" else n), ("sort_key", n)):
        window = Window.partitionBy("position").orderBy(sql.col(column).desc(), "user_id")
        users = users.withColumn("rank", sql.row_number().over(window)).where(sql.col("rank") <= n_kept)
    return users.orderBy("position", "rank").drop("position", "candidate_key", "sort_key")


def audience_task(
    handle: ModelHandle, items: tuple[int, ...], n: int, by: AudienceBy, batches: Batches
) -> Iterator[pl.DataFrame]:
    """Task: find the candidates of each bucket for the audience of each item."""
    for rec in recommenders(handle, batches):
        for position, (audience, candidate_key) in enumerate(candidates(rec.engine, items, n, by)):
            every_row = [np.arange(len(audience.users))]
            table = audience_table([audience], every_row, [items[position]], rec.user_ids, rec.catalogue_)
            sort_keys = {"candidate_key": candidate_key, "sort_key": audience.number(by)}
            series = (pl.Series(name, values, pl.Float64) for name, values in sort_keys.items())
            yield table.select(pl.lit(position, pl.Int32).alias("position"), *series, pl.all())
