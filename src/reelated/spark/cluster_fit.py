"""`fit`: fit a model to a Spark table of ratings and save the folder that `Recommender.load` reads."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from reelated.errors import InputError, check_integer, check_memory, check_noun
from reelated.models import EASE, BiasModel, ItemKNN
from reelated.parallel import Progress
from reelated.ratings import FrameLike
from reelated.ratings.dataset import item_table
from reelated.recommender import Recommender
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.engine import Models
from reelated.recommender.fitting import (
    check_models,
    default_ease,
    fit_notes,
    is_default,
    neighbor_ranker,
    neighbor_rater,
    set_fitted,
)
from reelated.recommender.storage import folder_beside
from reelated.similarity import MAX_GRAM_BYTES
from reelated.spark.grouping import GroupedRatings, group_by_user
from reelated.spark.models import FitContext, fit_bias_model, fit_ease, fit_knn, gram_bytes
from reelated.spark.rating_table import Columns, RatedItems, rating_files, rating_table, scan_items
from reelated.spark.tasks import ParquetFiles, count_cores, small_batches

TASK_MEMORY = "1GB"
"""Default maximum size of a task's rows and sums, or of its table."""


def fit(
    ratings: Any,
    model: Recommender | ItemKNN | EASE,
    path: str | Path,
    *,
    columns: Columns = None,
    items: FrameLike | None = None,
    scale: tuple[float, float, float] | None = None,
    max_ratings_per_user: int | None = None,
    task_memory: int | str = TASK_MEMORY,
    name: str = "ratings",
    noun: str = "item",
    progress: Progress | None = None,
) -> Path:
    """Fit a model on a Spark cluster and save it as the folder that `Recommender.load` reads.

    The neighbours equal those of the local engine, because both use the same kernels. The ratings stay on the cluster,
    and the model is saved without them: it serves new users, and `recommend` and `audience` take a table of ratings.

    Parameters
    ----------
    ratings : pyspark.sql.DataFrame
        One row per rating; columns by common names (`userId`, `item_id`, `stars`, …) or by `columns`.
    model : Recommender, ItemKNN or EASE
        What to fit. An `EASE` alone is the ranker of a `Recommender` with the default rater; an `ItemKNN` alone is the
        rater of a `Recommender` without a ranker. The default rater is `ItemKNN`, however few the ratings are.
    path : str or Path
        The folder, on a file system that the driver and all executors share; an existing model is replaced atomically.
    columns : mapping of str to str, optional
        Standard name → the name in the table, such as `{"user_id": "customer"}`; `{"rating": None}` for a table without
        ratings.
    items : polars or pandas DataFrame, Arrow table or mapping of columns, optional
        Item data: `item_id title year genres …`.
    scale : (low, high, step), optional
        The rating scale; by default the observed one.
    max_ratings_per_user : int, optional
        Maximum number of ratings used per user; a longer row is sampled with a fixed seed. By default
        all are used.
    task_memory : int or str, default "1GB"
        Maximum size of a task's rows and sums. If they do not fit, a slower method adds the rows in batches of about
        500 MB, and `task_memory` limits only its tables of sums.
    name : str, default "ratings"
        The name of the data set.
    noun : str, default "item"
        The word for an item in headings and messages: "book", "movie", ….
    progress : callable, optional
        Called with the completed fraction, from 0 to 1.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    InputError
        The data, a parameter or the folder cannot be used, or the model cannot be fitted on a cluster.
    TooLarge
        A task's table, or the item × item matrix of `EASE`, exceeds the memory limit.
    """
    rec, memory = as_recommender(model), check_memory("task_memory", task_memory)
    check_integer("max_ratings_per_user", max_ratings_per_user, 1, none=True)
    check_noun(noun)
    table, report = rating_table(ratings, columns), progress or (lambda done: None)
    target = Path(path).absolute()
    folder = folder_beside(target)
    folder.chmod(folder.parent.stat().st_mode)  # executors may run as another user
    try:
        files = rating_files(ratings, columns, 2 * count_cores(table.sparkSession))
        grouped = grouped_ratings(table, scale, max_ratings_per_user, report, files)
        with small_batches(table.sparkSession), grouped as rows:
            pair = fit_models(rec, rows, FitContext(folder, memory or 0, rows.items.scale[:2], report))
        catalogue = Catalogue(item_table(items, rows.items.ids), rows.items.ids, rows.items.counts)
        rec.name_, rec.noun_, rec.verb_ = name, noun, ""
        rec.notes_ = tuple(fit_notes(rec, pair, has_times=True))
        if max_ratings_per_user is not None:
            rec.notes_ = (f"At most {max_ratings_per_user:,} ratings of each user are used.", *rec.notes_)
        rec.feedback_ = rows.items.scale.feedback(rows.items.low == rows.items.high)
        set_fitted(rec, pair, catalogue, rows.items.scale, None).save(target, ratings=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    report(1.0)
    return target


@contextmanager
def grouped_ratings(
    table: Any,
    scale: tuple[float, float, float] | None,
    max_ratings: int | None,
    progress: Progress,
    files: ParquetFiles | None = None,
) -> Iterator[GroupedRatings]:
    """Validate the ratings and keep the users' rows on the executors inside the `with` block."""
    items = scan_items(table, scale, files)
    progress(0.1)
    rows = group_by_user(table, items, max_ratings, files=files)
    try:
        progress(0.2)
        yield rows
    finally:
        rows.frame.unpersist()


def baseline(
    ratings: Any, model: BiasModel | None = None, *, columns: Columns = None,
    scale: tuple[float, float, float] | None = None,
) -> tuple[BiasModel, pl.Series]:  # fmt: skip
    """Fit a `BiasModel` on a Spark cluster.

    Parameters
    ----------
    ratings : pyspark.sql.DataFrame
        One row per rating.
    model : BiasModel, optional
        An estimator with the parameters to use.
    columns, scale
        As for `fit`.

    Returns
    -------
    BiasModel
        The fitted model; its items are in the order of their ids.
    polars.Series
        Those ids.

    Raises
    ------
    InputError
        The data or a parameter cannot be used.
    """
    table = rating_table(ratings, columns)
    with small_batches(table.sparkSession), grouped_ratings(table, scale, None, lambda done: None) as rows:
        return fit_bias_model(rows, model or BiasModel(), rows.items.scale[:2]), rows.items.ids.values


def as_recommender(model: Any) -> Recommender:
    """Return a copy of the recommender to fit, or refuse a model that a cluster cannot fit."""
    if isinstance(model, EASE):
        model = Recommender(ranker=model)
    elif isinstance(model, ItemKNN):
        model = Recommender(ranker=None, rater=model, by="rating")
    if not isinstance(model, Recommender):
        hint = " For a BiasModel call reelated.spark.baseline(…)." if isinstance(model, BiasModel) else ""
        raise InputError(f"expected a Recommender, an ItemKNN or an EASE.{hint}", parameter="model", value=model)
    rec = Recommender(**model.get_params(deep=False))
    for role, part in (("ranker", rec.ranker), ("rater", rec.rater)):
        if part is not None and not is_default(part) and type(part) not in (ItemKNN, EASE):
            remedy = "Use one of them, or fit this one with Recommender.fit on one machine."
            raise InputError("a cluster fits ItemKNN and EASE.", parameter=role, value=part, remedy=remedy)
    return rec


def models_to_fit(rec: Recommender, items: RatedItems) -> Models:
    """Return the models to fit; the defaults are those for large data, with `EASE` if its matrix fits the driver."""
    limit = min(check_memory("max_memory", rec.max_memory) or MAX_GRAM_BYTES, MAX_GRAM_BYTES)
    ranker, rater = rec.ranker, rec.rater
    if is_default(ranker):
        ranker = default_ease(items.scale.feedback(items.low == items.high), one_valued=items.low == items.high)
        if gram_bytes(ranker, len(items.ids)) > limit:
            ranker = neighbor_ranker(items.low)
    if is_default(rater):
        rater = neighbor_rater()
    if ranker is not None and items.low == items.high:
        rater = None
    return check_models(rec, ranker, rater)


def fit_models(rec: Recommender, rows: GroupedRatings, context: FitContext) -> Models:
    """Fit the ranker and the rater to the same rows."""
    models = {role: model for role, model in models_to_fit(rec, rows.items)._asdict().items() if model is not None}
    fitted: dict[str, Any] = {}
    for index, (role, model) in enumerate(models.items()):
        folder = context.folder / role
        folder.mkdir()
        folder.chmod(context.folder.stat().st_mode)
        own = context._replace(folder=folder, progress=_step_progress(context.progress, index, len(models)))
        fitted[role] = fit_ease(rows, model, own) if isinstance(model, EASE) else fit_knn(rows, model, own)
    return Models(fitted.get("ranker"), fitted.get("rater"))


def _step_progress(progress: Progress, index: int, n_steps: int) -> Progress:
    return lambda done: progress(0.2 + 0.75 * (index + done) / n_steps)
