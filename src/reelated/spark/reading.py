"""A Spark table of ratings → checked columns of one spelling, and what is known of every movie."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
from pyspark.sql import functions as sql

from reelated.errors import InputError, plural, shorten
from reelated.ratings import Ids, Scale
from reelated.ratings.dataset import check_scale
from reelated.ratings.frames import RATING_ALIASES, named

Columns = Mapping[str, str | None] | None
WHOLE = ("tinyint", "smallint", "int", "bigint")
NOTHING = "without a user, a movie or a finite rating"
MEND = "Mend the data, or leave such rows out with ratings_df.where(…)."


class Movies(NamedTuple):
    """All rated movies: small enough for one machine, whatever the ratings are.

    Attributes
    ----------
    ids : Ids
        Ascending; a movie's place is its number.
    counts : ndarray of int64
        How often each was rated.
    sums : ndarray of float64
        The sum of its ratings.
    scale : Scale
        The lowest and highest rating and the step between.
    low, high : float
        The lowest and the highest rating seen.
    """

    ids: Ids
    counts: npt.NDArray[np.int64]
    sums: npt.NDArray[np.float64]
    scale: Scale
    low: float
    high: float

    @property
    def order(self) -> npt.NDArray[np.int32]:
        """The numbers of the movies by falling popularity."""
        return np.argsort(-self.counts, kind="stable").astype(np.int32)

    @property
    def n_ratings(self) -> int:
        """How many ratings there are, repeated ones included."""
        return int(self.counts.sum())


def rating_table(ratings: Any, columns: Columns = None, *, times: bool = False) -> Any:
    """Return `user_id movie_id rating` of a Spark data frame, in our types; with `times` what tells old from new, too.

    Parameters
    ----------
    ratings : pyspark.sql.DataFrame
        One row per rating; columns by common names or by `columns`.
    columns : mapping of str to str, optional
        Our name → the table's name, as for `Dataset.from_frames`.
    times : bool, default False
        Whether `timestamp` and `order` are wanted where they are known.

    Returns
    -------
    pyspark.sql.DataFrame

    Raises
    ------
    InputError
        Not a Spark data frame, a column is missing, or its type cannot be used.
    """
    if not hasattr(ratings, "mapInArrow"):
        raise InputError(
            f"ratings of type {type(ratings).__name__}: expected a Spark DataFrame, such as spark.read.parquet(path)."
        )
    unrated = columns is not None and columns.get("rating", "") is None
    required = ("user_id", "movie_id") if unrated else ("user_id", "movie_id", "rating")
    names = pl.DataFrame({name: [name] for name in ratings.columns})
    found = named(names, RATING_ALIASES, columns, required).row(0, named=True)
    kinds = dict(ratings.dtypes)
    chosen = [_id_column(name, found[name], kinds[found[name]]) for name in ("user_id", "movie_id")]
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
    """Return a column of ids: integers or text."""
    if kind not in (*WHOLE, "string"):
        raise InputError(f"{ours} is a column of type {kind}: expected integers or text. Cast it before.")
    return _column(name).cast("string" if kind == "string" else "bigint").alias(ours)


def _number_column(ours: str, name: str, kind: str, wanted: str) -> Any:
    if kind not in (*WHOLE, "float", "double") and not kind.startswith("decimal"):
        raise InputError(f"{ours} is a column of type {kind}: expected numbers. Cast it before.")
    return _column(name).cast(wanted).alias(ours)


def _time_column(ours: str, name: str, kind: str) -> Any:
    """Return seconds since 1970, or places in a history."""
    if kind in ("timestamp", "date"):
        return _column(name).cast("timestamp").cast("bigint").alias(ours)
    return _number_column(ours, name, kind, "bigint")


def movies_of(table: Any, scale: tuple[float, float, float] | None = None) -> Movies:
    """Look at all ratings once: which movies, how often, what is wrong.

    Parameters
    ----------
    table : pyspark.sql.DataFrame
        What `rating_table` gives.
    scale : (low, high, step), optional
        The scale on which people rate; by default what is observed.

    Returns
    -------
    Movies

    Raises
    ------
    InputError
        There are no ratings, or some are none; the message says how many, and shows one.
    """
    wanted, rating, nothing = None if scale is None else check_scale(scale), sql.col("rating"), is_nothing()
    off = sql.lit(False) if wanted is None else ~nothing & ~rating.between(wanted.low, wanted.high)
    flagged = table.withColumn("fault", sql.when(nothing, 1).when(off, 2).otherwise(0))
    cells = flagged.groupBy("movie_id", "rating", "fault").agg(sql.count(sql.lit(1)).alias("n")).persist()
    try:
        _refuse(cells, flagged, wanted)
        totals = cells.groupBy("movie_id").agg(sql.sum("n"), sql.sum(sql.col("n") * rating.cast("double")))
        movie_ids, counts, sums = zip(*totals.collect(), strict=True)
        seen = np.array(sorted(row[0] for row in cells.select("rating").distinct().collect()), np.float32)
    finally:
        cells.unpersist()
    steps = np.diff(seen)
    observed = Scale(float(seen[0]), float(seen[-1]), float(steps.min()) if len(steps) else 1.0)
    ids = pl.Series("movie_id", movie_ids, pl.Int64 if dict(table.dtypes)["movie_id"] == "bigint" else pl.String)
    found = pl.DataFrame({"movie_id": ids, "n": counts, "sum": sums}).sort("movie_id")
    numbers = found["n"].to_numpy().astype(np.int64), found["sum"].to_numpy().astype(np.float64)
    return Movies(Ids(found["movie_id"], "movie"), *numbers, wanted or observed, float(seen[0]), float(seen[-1]))


def is_nothing() -> Any:
    """Return the condition under which a row is no rating."""
    rating = sql.col("rating")
    missing = sql.col("user_id").isNull() | sql.col("movie_id").isNull() | rating.isNull()
    return missing | sql.isnan(rating) | (sql.abs(rating) == float("inf"))


def _refuse(cells: Any, flagged: Any, scale: Scale | None) -> None:
    """Raise `InputError` where rows are no ratings; say how many and show one."""
    faults = dict(cells.groupBy("fault").agg(sql.sum("n")).collect())
    if not faults:
        raise InputError("ratings: no ratings. Expected a table with at least one row of user, movie and rating.")
    for fault, why in ((1, NOTHING), (2, f"with a rating off the scale ({scale})")):
        if fault in faults:
            one = flagged.where(sql.col("fault") == fault).drop("fault").first().asDict()
            example = ", ".join(f"{name}={shorten(value)}" for name, value in one.items())
            raise InputError(f"{plural(faults[fault], 'row')} {why}, for example {example}. {MEND}")
