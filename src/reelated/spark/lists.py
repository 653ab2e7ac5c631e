"""Lists of all users, and audiences of items, from a model folder and a Spark table of ratings."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
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
from reelated.recommender.audience import CANDIDATES, AudienceBy, audience_table, candidates
from reelated.spark.reading import MEND, NOTHING, Columns, is_nothing, rating_table
from reelated.spark.rows import buckets_for, joined, spread
from reelated.spark.tasks import Batches, by_key, mapped

SQL_KINDS = {"int": "long", "str": "string"}
NUMBERS = "score double, predicted_rating double, n_neighbors_used int"


class Opened(NamedTuple):
    """Handle of a model folder, which each Python process maps from disk once.

    `version` tells a model from an earlier one in the same folder.
    """

    path: str
    version: int

    @classmethod
    def at(cls, path: str | Path) -> "Opened":
        """Check that a folder holds a model, and return its handle."""
        Recommender.load(path)
        return cls(str(Path(path).absolute()), (Path(path) / "model.json").stat().st_mtime_ns)

    @property
    def model(self) -> Recommender:
        """The model."""
        return _opened(self)


@cache  # Spark reuses a Python process for many tasks
def _opened(model: Opened) -> Recommender:
    return Recommender.load(model.path)


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
        A saved model, on a file system that all executors see.
    ratings : pyspark.sql.DataFrame
        One row per rating. Items that the model does not know are ignored.
    n : int, default 10
        Rows wanted for each user.
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
        The model, the data or a parameter cannot be used. Repeated ratings raise only when Spark computes the rows.
    """
    opened = Opened.at(model)
    rec, filters = opened.model, {"genres": genres, "years": years, "exclude": exclude}
    rec.sorted_by(by)
    rec.catalogue_.allowed(**filters)  # type: ignore[arg-type]
    cells, user_kind = _people(ratings, columns, rec)
    lists = Lists(opened, check_integer("n", n, 1), {"by": by, **filters})
    item_kind = SQL_KINDS[rec.item_ids.type_name]
    schema = f"user_id {user_kind}, item_id {item_kind}, title string, rank int, {NUMBERS}, source string"
    return mapped(cells, lists, schema)


@dataclass(frozen=True)
class Lists:
    """Make the lists of the users of a bucket."""

    opened: Opened
    n: int
    options: dict[str, Any]

    def __call__(self, batches: Batches) -> Iterator[pl.DataFrame]:
        """Yield the lists of a partition."""
        for rec in served(self.opened, batches):
            yield from rec.recommend_batch(self.n, **self.options)


def served(opened: Opened, batches: Batches) -> Iterator[Recommender]:
    """Yield the model with the ratings of each bucket of a partition."""
    for _, cells in by_key(batches, "bucket"):
        yield opened.model.with_ratings(Dataset.from_frames(joined(cells), duplicates="error"))


def _people(ratings: Any, columns: Columns, rec: Recommender) -> tuple[Any, str]:
    """Return validated ratings as cells by bucket of users, and the SQL type of the user ids."""
    table = rating_table(ratings, columns, times=True)
    kinds, scale = dict(table.dtypes), rec.scale_
    item_kind = "int" if kinds["item_id"] == "bigint" else "str"
    if item_kind != rec.item_ids.type_name:
        raise InputError(f"item_id is of type {item_kind}: expected {rec.item_ids.type_name}, as in the fit.")
    nothing = is_nothing()
    off = ~nothing & ~sql.col("rating").between(scale.low, scale.high)
    times = [name for name in ("timestamp", "order") if name in kinds]
    unknown = [sql.col(name).isNull() | sql.lit(name == "order") & (sql.col(name) < 0) for name in times]
    counts = table.agg(sql.count(sql.lit(1)), *(sql.count_if(fault) for fault in (nothing, off, *unknown))).first()
    for count, why in zip(counts[1:3], (NOTHING, f"with a rating off the scale of the fit ({scale})"), strict=True):
        if count:
            raise InputError(f"{plural(count, 'row')} {why}. {MEND}")
    # drop times unless all are known: otherwise some buckets would use them and others would not
    table = table.drop(*(name for name, missing in zip(times, counts[3:], strict=True) if missing))
    spark = table.sparkSession
    cells = spread(table, buckets_for(spark, counts[0]))
    return cells, "long" if kinds["user_id"] == "bigint" else "string"


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
    model : str or Path
        A saved model, on a file system that all executors see.
    ratings : pyspark.sql.DataFrame
        One row per rating.
    item_ids : iterable of int or str
        Items of the model.
    n : int, default 10
        Users wanted for each item.
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
    opened = Opened.at(model)
    rec = opened.model
    items = rec.catalogue_.indices_of(item_ids)
    chosen, n = rec.audience_sorted_by(by), check_integer("n", n, 1)
    cells, user_kind = _people(ratings, columns, rec)
    item_kind = SQL_KINDS[rec.item_ids.type_name]
    schema = (
        f"place int, beyond double, number double, item_id {item_kind}, title string, user_id {user_kind}, "
        f"rank int, {NUMBERS}, adjusted_score double, above_user_mean double"
    )
    found = mapped(cells, Audiences(opened, tuple(items), n, chosen), schema)
    # the two cuts of the local engine: first the candidates, then the best n of them
    for column, most in (("beyond", CANDIDATES * n if chosen == "adjusted_score" else n), ("number", n)):
        best = Window.partitionBy("place").orderBy(sql.col(column).desc(), "user_id")
        found = found.withColumn("rank", sql.row_number().over(best)).where(sql.col("rank") <= most)
    return found.orderBy("place", "rank").drop("place", "beyond", "number")


@dataclass(frozen=True)
class Audiences:
    """Find the candidates of a bucket for the audience of each item."""

    opened: Opened
    items: tuple[int, ...]
    n: int
    by: AudienceBy

    def __call__(self, batches: Batches) -> Iterator[pl.DataFrame]:
        """Yield the candidates of a partition, one table for each bucket and item."""
        for rec in served(self.opened, batches):
            for place, item in enumerate(self.items):
                found, beyond = candidates(rec.engine, item, self.n, self.by)
                everyone = [np.arange(len(found.users))]
                table = audience_table([found], everyone, [item], rec.user_ids, rec.catalogue_)
                falling = {"beyond": beyond, "number": found.number(self.by)}
                told = (pl.Series(name, values, pl.Float64) for name, values in falling.items())
                yield table.select(pl.lit(place, pl.Int32).alias("place"), *told, pl.all())
