"""`plan`: estimate the cost of a fit on a cluster from a sample of the users."""

from typing import Any, NamedTuple

import numpy as np
from pyspark.sql import functions as sql
from sklearn.base import clone

from reelated.errors import check_memory, show_bytes
from reelated.models import EASE, ItemKNN
from reelated.recommender import Recommender
from reelated.similarity import SimilarityParams
from reelated.spark.blocks import bytes_of_row, choose
from reelated.spark.fitting import MEMORY, as_recommender, default_models
from reelated.spark.models import EaseValues, Weigh, prepared_knn
from reelated.spark.pairs import Valued, sent
from reelated.spark.reading import Columns, items_of, rating_table
from reelated.spark.rows import Rows, buckets_for, cores, numbered, rows_by_user, spread, totals
from reelated.spark.tasks import small_batches

SAMPLE = 1_000_000
"""Approximate number of ratings in the sample."""


class Step(NamedTuple):
    """The estimated cost of one model of a fit.

    Attributes
    ----------
    model : str
        The model.
    tasks : int
        Number of blocks of items, each one task.
    task_memory : int
        Size of the largest table of a task, in bytes.
    replication : float
        Number of blocks that a rating is sent to, on average.
    shuffle : int
        Bytes sent between machines.
    """

    model: str
    tasks: int
    task_memory: int
    replication: float
    shuffle: int


class Plan(NamedTuple):
    """The estimated cost of a fit on a cluster.

    Attributes
    ----------
    users, items, ratings : int
        Numbers of users (estimated), items and ratings.
    sample : float
        Share of the users in the sample.
    rows : int
        Bytes sent to group the ratings by user.
    steps : tuple of Step
        The cost of each model besides.
    """

    users: int
    items: int
    ratings: int
    sample: float
    rows: int
    steps: tuple[Step, ...]

    @property
    def shuffle(self) -> int:
        """Total bytes sent between machines."""
        return self.rows + sum(step.shuffle for step in self.steps)

    @property
    def task_memory(self) -> int:
        """Size of the largest table of a task, in bytes."""
        return max(step.task_memory for step in self.steps)

    def __str__(self) -> str:
        seen = "all of them" if self.sample == 1 else f"one in {round(1 / self.sample)}"
        lines = [
            f"{self.ratings:,} ratings of {self.items:,} items by about {self.users:,} users, {seen} looked at",
            f"everybody's rows: {show_bytes(self.rows)} sent",
        ]
        lines += [
            f"{step.model}: {step.tasks:,} tasks of up to {show_bytes(step.task_memory)}, each rating sent to "
            f"{step.replication:.1f} of them on average, {show_bytes(step.shuffle)} sent"
            for step in self.steps
        ]
        return "\n".join([*lines, f"in all {show_bytes(self.shuffle)} sent"])


def plan(
    ratings: Any,
    model: Recommender | ItemKNN | EASE,
    *,
    columns: Columns = None,
    scale: tuple[float, float, float] | None = None,
    most_of_a_user: int | None = None,
    task_memory: int | str = MEMORY,
) -> Plan:
    """Estimate the cost of `fit` from a sample of the users: tasks, their memory, and the bytes sent between machines.

    Parameters
    ----------
    ratings : pyspark.sql.DataFrame
        As for `fit`.
    model : Recommender, ItemKNN or EASE
        As for `fit`.
    columns, scale, most_of_a_user
        As for `fit`.
    task_memory : int or str, default "1GB"
        As for `fit`.

    Returns
    -------
    Plan

    Raises
    ------
    InputError
        As for `fit`.
    """
    made, memory = as_recommender(model), check_memory("task_memory", task_memory)
    table = rating_table(ratings, columns)
    with small_batches(table.sparkSession):
        items = items_of(table, scale)
        share = max(1, items.n_ratings // SAMPLE)
        some = table.where(sql.pmod(sql.xxhash64("user_id"), sql.lit(share)) == 0)
        rows = rows_by_user(some, items, most_of_a_user, n_buckets=1)
        try:
            parts = default_models(made, items).present
            steps = tuple(_step(part, rows, share, memory or 0) for part in parts)
            moved, _ = _moved(spread(some.select("user_id", "item_id", "rating"), 1, numbered(items)))
        finally:
            rows.frame.unpersist()
    return Plan(rows.n_users * share, len(items.ids), items.n_ratings, 1 / share, share * moved, steps)


def _step(model: Any, rows: Rows, share: int, memory: int) -> Step:
    """Estimate the cost of one model from what it sends for the sample."""
    n_items, scale, made = rows.n_items, rows.items.scale[:2], clone(model)
    valued: Valued
    if isinstance(made, EASE):
        made.scale_ = scale
        valued, measure, passes = EaseValues(made), SimilarityParams(n_neighbors=made.n_candidates or 1), ROUNDS
    else:
        _, valued = prepared_knn(rows, made, scale)
        measure, passes = made.item_weights_params(), ROUNDS if "residual" in made.similarity else 2
    cost = totals(rows, Weigh(valued), 3)[2] * share
    spark = rows.frame.sparkSession
    blocks = choose(cost, bytes_of_row(n_items, measure, np.dtype(made.dtype).itemsize), memory, cores(spark))
    moved, ratings = _moved(sent(rows, valued, blocks))
    sums = buckets_for(spark, rows.items.n_ratings) * n_items * 8 * (3 + passes)
    return Step(str(made), len(blocks), blocks.bytes, ratings / max(rows.n_ratings, 1), moved * share + sums)


ROUNDS = 12
"""Sums over all items that the offsets need: ten rounds, after the counts and the sums of ratings."""


def _moved(cells: Any) -> tuple[int, int]:
    """Return the bytes of cells, and their number of ratings where they have that column."""
    ratings = sql.sum("ratings") if "ratings" in cells.columns else sql.lit(0)
    moved, n = cells.agg(sql.sum(sql.length("body") + sql.lit(RECORD)), ratings).first()
    return int(moved or 0), int(n or 0)


RECORD = 64
"""Bytes of a record besides its cell."""
