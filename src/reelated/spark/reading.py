"""Validate a Spark table of ratings, rename its columns, and count the ratings of every item."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from pyspark.sql import functions as sql

from reelated.errors import InputError, plural, shorten
from reelated.ratings import Ids, Scale
from reelated.ratings.dataset import check_scale, observed_scale
from reelated.ratings.frames import RATING_ALIASES, named

Columns = Mapping[str, str | None] | None
WHOLE = ("tinyint", "smallint", "int", "bigint")
NOTHING = "without a user, an item or a finite rating"
MEND = "Mend the data, or leave such rows out with ratings_df.where(…)."


class Items(NamedTuple):
    """All rated items, in ascending order of their ids; they fit into the memory of one machine."""

    ids: Ids
    counts: npt.NDArray[np.int64]  # number of ratings of each item
    sums: npt.NDArray[np.float64]  # sum of its ratings
    scale: Scale
    low: float  # the lowest rating observed
    high: float

    @property
    def order(self) -> npt.NDArray[np.int32]:
        """The item indices by falling popularity."""
        return np.argsort(-self.counts, kind="stable").astype(np.int32)

    @property
    def n_ratings(self) -> int:
        """Number of ratings, repeated ones included."""
        return int(self.counts.sum())


def rating_table(ratings: Any, columns: Columns = None, *, times: bool = False) -> Any:
    """Return `user_id item_id rating` of a Spark data frame in our types; `times` adds `timestamp` and `order`."""
    if not hasattr(ratings, "mapInArrow"):
        raise InputError(
            f"ratings of type {type(ratings).__name__}: expected a Spark DataFrame, such as spark.read.parquet(path)."
        )
    unrated = columns is not None and columns.get("rating", "") is None
    required = ("user_id", "item_id") if unrated else ("user_id", "item_id", "rating")
    names = pl.DataFrame({name: [name] for name in ratings.columns})
    found = named(names, RATING_ALIASES, columns, required).row(0, named=True)
    kinds = dict(ratings.dtypes)
    chosen = [_id_column(name, found[name], kinds[found[name]]) for name in ("user_id", "item_id")]
    if unrated:
        chosen.append(sql.lit(1.0).cast("float").alias("rating"))
    else:
        chosen.append(_number_column("rating", found["rating"], kinds[found["rating"]], "float"))
    if times:
        chosen.extend(_time_column(name, found[name], kinds[found[name]]) for name in _times(found))
    return ratings.select(*chosen)


def _times(found: dict[str, str]) -> list[str]:
    return [name for name in ("timestamp", "order") if name in found]


def _column(name: str) -> Any:
    return sql.col("`" + name.replace("`", "``") + "`")


def _id_column(ours: str, name: str, kind: str) -> Any:
    if kind not in (*WHOLE, "string"):
        raise InputError(f"{ours} is a column of type {kind}: expected integers or text. Cast it before.")
    return _column(name).cast("string" if kind == "string" else "bigint").alias(ours)


def _number_column(ours: str, name: str, kind: str, wanted: str) -> Any:
    if kind not in (*WHOLE, "float", "double") and not kind.startswith("decimal"):
        raise InputError(f"{ours} is a column of type {kind}: expected numbers. Cast it before.")
    return _column(name).cast(wanted).alias(ours)


def _time_column(ours: str, name: str, kind: str) -> Any:
    """Return Unix times in seconds, or positions in a history."""
    if kind in ("timestamp", "date"):
        return _column(name).cast("timestamp").cast("bigint").alias(ours)
    return _number_column(ours, name, kind, "bigint")


def items_of(table: Any, scale: tuple[float, float, float] | None = None) -> Items:
    """Scan all ratings once: validate them, and count and sum the ratings of each item."""
    wanted, rating, nothing = None if scale is None else check_scale(scale), sql.col("rating"), is_nothing()
    off = sql.lit(False) if wanted is None else ~nothing & ~rating.between(wanted.low, wanted.high)
    flagged = table.withColumn("fault", sql.when(nothing, 1).when(off, 2).otherwise(0))
    cells = flagged.groupBy("item_id", "rating", "fault").agg(sql.count(sql.lit(1)).alias("n")).persist()
    try:
        _refuse(cells, flagged, wanted)
        totals = cells.groupBy("item_id").agg(sql.sum("n"), sql.sum(sql.col("n") * rating.cast("double")))
        item_ids, counts, sums = zip(*totals.collect(), strict=True)
        seen = np.array(sorted(row[0] for row in cells.select("rating").distinct().collect()), np.float32)
    finally:
        cells.unpersist()
    ids = pl.Series("item_id", item_ids, pl.Int64 if dict(table.dtypes)["item_id"] == "bigint" else pl.String)
    found = pl.DataFrame({"item_id": ids, "n": counts, "sum": sums}).sort("item_id")
    numbers = found["n"].to_numpy().astype(np.int64), found["sum"].to_numpy().astype(np.float64)
    scale = wanted or observed_scale(seen)
    return Items(Ids(found["item_id"], "item"), *numbers, scale, float(seen[0]), float(seen[-1]))


def is_nothing() -> Any:
    """Return the condition for rows without a user, an item or a finite rating."""
    rating = sql.col("rating")
    missing = sql.col("user_id").isNull() | sql.col("item_id").isNull() | rating.isNull()
    return missing | sql.isnan(rating) | (sql.abs(rating) == float("inf"))


def _refuse(cells: Any, flagged: Any, scale: Scale | None) -> None:
    """Raise `InputError` if rows have no usable rating, with their number and an example."""
    faults = dict(cells.groupBy("fault").agg(sql.sum("n")).collect())
    if not faults:
        raise InputError("ratings: no ratings. Expected a table with at least one row of user, item and rating.")
    for fault, why in ((1, NOTHING), (2, f"with a rating off the scale ({scale})")):
        if fault in faults:
            one = flagged.where(sql.col("fault") == fault).drop("fault").first().asDict()
            example = ", ".join(f"{name}={shorten(value)}" for name, value in one.items())
            raise InputError(f"{plural(faults[fault], 'row')} {why}, for example {example}. {MEND}")
