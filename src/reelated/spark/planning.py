"""`plan`: estimate the cost of a fit on a cluster from a sample of the users."""

from functools import partial
from typing import Any, NamedTuple

from pyspark.sql import functions as sql

from reelated.errors import check_memory, show_bytes
from reelated.models import EASE, ItemKNN
from reelated.models.estimator import clone
from reelated.recommender import Recommender
from reelated.similarity import SimilarityParams
from reelated.spark.block_sums import send_rows
from reelated.spark.cluster_fit import TASK_MEMORY, as_recommender, models_to_fit
from reelated.spark.grouping import (
    GroupedRatings,
    count_buckets,
    group_by_user,
    item_totals,
    pack_by_bucket,
    rank_items,
    sum_over_users,
)
from reelated.spark.models import ease_values, prepare_knn, split_items
from reelated.spark.rating_table import Columns, rating_table, scan_items
from reelated.spark.tasks import small_batches
from reelated.spark.user_rows import Transform

SAMPLE_RATINGS = 1_000_000
"""Approximate number of ratings in the sample."""
BIAS_SUMS = 12
"""Number of sums over all items for the biases: counts, sums of ratings, and ten rounds."""
RECORD_BYTES = 64
"""Bytes of a record in addition to its cell."""


class ModelCost(NamedTuple):
    """The estimated cost of one model of a fit.

    Attributes
    ----------
    model : str
        The model.
    tasks : int
        Number of blocks of items; each is one task.
    task_memory : int
        Size of the rows and sums of a task in bytes; with the slower method, of its largest table of sums.
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


class FitPlan(NamedTuple):
    """The estimated cost of a fit on a cluster.

    Attributes
    ----------
    users, items, ratings : int
        Numbers of users (estimated), items and ratings.
    sample : float
        Fraction of the users in the sample.
    rows : int
        Bytes sent to group the ratings by user.
    steps : tuple of ModelCost
        The cost of each model.
    """

    users: int
    items: int
    ratings: int
    sample: float
    rows: int
    steps: tuple[ModelCost, ...]

    @property
    def shuffle(self) -> int:
        """Total bytes sent between machines."""
        return self.rows + sum(step.shuffle for step in self.steps)

    @property
    def task_memory(self) -> int:
        """Size of the rows and sums of a task in bytes; with the slower method, of its largest table of sums."""
        return max(step.task_memory for step in self.steps)

    def __str__(self) -> str:
        sample = "all users" if self.sample == 1 else f"one user in {round(1 / self.sample)}"
        lines = [
            f"{self.ratings:,} ratings of {self.items:,} items by about {self.users:,} users (sample: {sample})",
            f"ratings grouped by user: {show_bytes(self.rows)} sent",
        ]
        lines += [
            f"{step.model}: {step.tasks:,} tasks of up to {show_bytes(step.task_memory)}, each rating sent to "
            f"{step.replication:.1f} of them on average, {show_bytes(step.shuffle)} sent"
            for step in self.steps
        ]
        return "\n".join([*lines, f"total: {show_bytes(self.shuffle)} sent"])


def plan(
    ratings: Any,
    model: Recommender | ItemKNN | EASE,
    *,
    columns: Columns = None,
    scale: tuple[float, float, float] | None = None,
    max_ratings_per_user: int | None = None,
    task_memory: int | str = TASK_MEMORY,
) -> FitPlan:
    """Estimate the cost of `fit` from a sample of the users: tasks, their memory, and the bytes sent between machines.

    Parameters
    ----------
    ratings, model, columns, scale, max_ratings_per_user, task_memory
        As for `fit`.

    Raises
    ------
    InputError
        As for `fit`.
    """
    rec, memory = as_recommender(model), check_memory("task_memory", task_memory)
    table = rating_table(ratings, columns)
    with small_batches(table.sparkSession):
        items = scan_items(table, scale)
        n_parts = max(1, items.n_ratings // SAMPLE_RATINGS)
        sample = table.where(sql.pmod(sql.xxhash64("user_id"), sql.lit(n_parts)) == 0)
        rows = group_by_user(sample, items, max_ratings_per_user, n_buckets=1)
        try:
            models = [model for model in models_to_fit(rec, items) if model is not None]
            steps = tuple(_model_cost(model, rows, n_parts, memory or 0) for model in models)
            n_bytes, _ = _shuffled(pack_by_bucket(sample.select("user_id", "item_id", "rating"), 1, rank_items(items)))
        finally:
            rows.frame.unpersist()
    return FitPlan(rows.n_users * n_parts, len(items.ids), items.n_ratings, 1 / n_parts, n_parts * n_bytes, steps)


def _model_cost(model: Any, rows: GroupedRatings, n_parts: int, memory: int) -> ModelCost:
    """Estimate the cost of one model from a sample of one in `n_parts` users."""
    n_items, scale, model = rows.n_items, rows.items.scale[:2], clone(model)
    transform: Transform
    if isinstance(model, EASE):
        model.scale_ = scale
        transform, n_sums = partial(ease_values, model, rows.mean_ratings), BIAS_SUMS
        measure = SimilarityParams(n_neighbors=model.n_candidates or 1)
    else:
        _, transform = prepare_knn(rows, model, scale)
        measure, n_sums = model.similarity_params(), BIAS_SUMS if "residual" in model.similarity else 2
    costs = sum_over_users(rows, partial(item_totals, transform), 4)[2:] * n_parts
    all_rows = rows._replace(n_users=rows.n_users * n_parts, n_ratings=rows.items.n_ratings)
    blocks = split_items(all_rows, measure, model.dtype, costs, memory, need_all_pairs=isinstance(model, EASE))
    n_bytes, n_ratings = _shuffled(send_rows(rows, transform, blocks))
    sum_bytes = count_buckets(rows.frame.sparkSession, rows.items.n_ratings) * n_items * 8 * (4 + n_sums)
    replication = n_ratings / max(rows.n_ratings, 1)
    return ModelCost(str(model), len(blocks), blocks.table_bytes, replication, n_bytes * n_parts + sum_bytes)


def _shuffled(cells: Any) -> tuple[int, int]:
    """Return the size of cells in bytes, and their number of ratings if they have that column."""
    ratings = sql.sum("ratings") if "ratings" in cells.columns else sql.lit(0)
    n_bytes, n_ratings = cells.agg(sql.sum(sql.length("body") + sql.lit(RECORD_BYTES)), ratings).first()
    return int(n_bytes or 0), int(n_ratings or 0)
