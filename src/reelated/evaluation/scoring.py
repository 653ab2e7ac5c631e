"""The contributions of each user (or each item, if users are ranked) to every metric of one split."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.errors import plural
from reelated.evaluation import metrics
from reelated.ratings import Ids, Ratings
from reelated.ratings.matrix import Scale

Numbers = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]
RELEVANCE = ("any", "liked")
BIN_EDGES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
"""Lower edges of the bins of rating counts; the bin below the first edge holds unrated items and unknown users."""
MIN_LIKED_SHARE = 0.01
"""If a smaller share of the ratings reaches three quarters of the scale, liked means above the user's own mean."""


class MetricValues(NamedTuple):
    """The terms of one metric: Σ totals / Σ weights over all entities; `rmse` is the square root of it."""

    measure: str
    relevance: str | None
    totals: Numbers  # the contribution of each entity
    weights: Numbers  # 0 if the metric is undefined for an entity


class MissingData(NamedTuple):
    """Hidden ratings of items or users without training data, or without a prediction."""

    kind: str
    ratings: int
    entities: int


@dataclass(frozen=True, eq=False)
class SplitResult:
    """The results of one split."""

    entities: pl.Series  # the ids of the users, or of the items if users are ranked
    metrics: tuple[MetricValues, ...]  # aligned with `entities`
    overall: dict[str, float]  # metrics of all lists together
    errors: pl.DataFrame  # `of low pairs squared absolute rated predicted`
    groups: pl.DataFrame  # `of low n recall hit_rate`, sums over the lists or hidden entries of a bin
    missing: tuple[MissingData, ...] = ()
    seconds: float = np.nan


class HoldOut(NamedTuple):
    """The hidden ratings as indices: `entities[rows]` rated, or was rated by, `partners`; −1: unknown to the model."""

    entities: pl.Series
    rows: Indices
    partners: Indices
    liked: npt.NDArray[np.bool_]


def liked_mask(test: pl.DataFrame, train: Ratings, liked: float | str | None) -> tuple[npt.NDArray[np.bool_], str]:
    """Return which hidden ratings count as liked, and a description of the rule."""
    ratings, scale = test["rating"].to_numpy(), train.scale
    threshold = _liked_threshold(train.matrix.data, scale) if liked is None else liked
    if not isinstance(threshold, str):
        return ratings >= threshold, f"rated {threshold:g} or more"
    counts = np.diff(train.matrix.indptr)
    sums = np.add.reduceat(train.matrix.data, train.matrix.indptr[:-1], dtype=np.float64)
    # the overall mean is last, so that the index −1 of a user without training data selects it
    means = np.concatenate([sums / counts, [train.matrix.data.mean(dtype=np.float64)]])
    return ratings > means[train.user_ids.indices_of(test["user_id"])], "rated above the user's own mean"


def _liked_threshold(ratings: npt.NDArray[np.float32], scale: Scale) -> float | str:
    """Return three quarters of the scale, or "mean" if fewer than 1 % of the ratings are that high."""
    threshold = scale.low + 0.75 * (scale.high - scale.low)
    return threshold if scale.high > scale.low and np.mean(ratings >= threshold) >= MIN_LIKED_SHARE else "mean"


def hold_out(entities: pl.Series, partners: pl.Series, ids: Ids, liked: npt.NDArray[np.bool_]) -> HoldOut:
    """Return the hidden ratings with entities numbered from 0, and partners by their index in the model."""
    distinct = entities.unique().sort()
    rows = Ids(distinct, "user").indices_of(entities).astype(np.int64)
    return HoldOut(distinct, rows, ids.indices_of(partners).astype(np.int64), liked)


def score_lists(
    lists: Indices,
    able: npt.NDArray[np.bool_],
    hidden: HoldOut,
    cutoffs: Sequence[int],
    relevances: Sequence[str] = RELEVANCE,
) -> list[MetricValues]:
    """Compute the metrics of lists padded with −1; an entity that cannot have a list has no value."""
    n_entities = len(hidden.entities)
    size = int(max(lists.max(initial=0), hidden.partners.max(initial=0))) + 1
    # one integer for each (entity, partner) pair: a single `isin` finds the hits of all lists
    keys, listed = hidden.rows * size + hidden.partners, np.arange(n_entities)[:, None] * size + lists
    values = []
    for relevance in relevances:
        relevant = np.ones(len(keys), np.bool_) if relevance == "any" else hidden.liked
        counts = np.bincount(hidden.rows[relevant], minlength=n_entities) * able
        hits = np.isin(listed, keys[relevant & (hidden.partners >= 0)]) & (lists >= 0)
        for n in cutoffs:
            values += [
                _where_defined(f"{name}@{n}", metric(hits[:, :n], counts), relevance)
                for name, metric in metrics.RANKING.items()
            ]
    return values


def score_novelty(lists: Indices, shares: Numbers) -> MetricValues:
    return _where_defined("novelty", metrics.novelty(lists, shares))


def _where_defined(name: str, values: Numbers, relevance: str | None = None) -> MetricValues:
    """Return values, each with the weight 1, or 0 if it is NaN."""
    return MetricValues(name, relevance, np.nan_to_num(values), np.isfinite(values).astype(np.float64))


def score_overall(lists: Indices, n_entries: int) -> dict[str, float]:
    """Compute the metrics of all lists together."""
    places = np.bincount(lists[lists >= 0], minlength=n_entries)
    return {"coverage": metrics.coverage(places), "top10_share": metrics.top_share(places, 10)}


def score_predictions(rows: Indices, n_entities: int, predicted: Numbers, ratings: Numbers) -> list[MetricValues]:
    """Compute the squared and absolute errors of predicted ratings."""
    differences, pairs = predicted - ratings, np.bincount(rows, minlength=n_entities).astype(np.float64)
    errors = {"rmse": differences**2, "mae": np.abs(differences)}  # squared: the root of the mean is taken later
    return [
        MetricValues(name, None, np.bincount(rows, weights=values, minlength=n_entities).astype(np.float64), pairs)
        for name, values in errors.items()
    ]


def score_intervals(
    rows: Indices, n_entities: int, ends: tuple[Numbers, Numbers], ratings: Numbers
) -> list[MetricValues]:
    """Compute the share of ratings inside their prediction interval, if there is one."""
    known = np.isfinite(ends[0])
    if not known.any():
        return []
    inside = (ends[0][known] <= ratings[known]) & (ratings[known] <= ends[1][known])
    totals, pairs = (
        np.bincount(rows[known], weights=each, minlength=n_entities).astype(np.float64)
        for each in (inside, np.ones(known.sum()))
    )
    return [MetricValues("interval_coverage", None, totals, pairs)]


def bin_errors(predicted: Numbers, ratings: Numbers, known: dict[str, Indices], scale: Scale) -> pl.DataFrame:
    """Sum errors by the item's number of ratings, the user's number of ratings, and the predicted rating."""
    width = (scale.high - scale.low) / 16 or 1.0
    bins: dict[str, Any] = {of: _bin(counts) for of, counts in known.items()}
    bins["predicted"] = scale.low + np.floor((predicted - scale.low) / width) * width
    pairs = pl.DataFrame({"rated": ratings.astype(np.float64), "predicted": predicted})
    error = pl.col("predicted") - pl.col("rated")
    tables = [
        pairs.with_columns(pl.lit(of).alias("of"), pl.Series("low", lows.astype(np.float64)))
        .group_by("of", "low", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("pairs"),
            (error**2).sum().alias("squared"),
            error.abs().sum().alias("absolute"),
            pl.col("rated", "predicted").sum(),
        )
        for of, lows in bins.items()
    ]
    return pl.concat(tables).sort("of", "low")


def bin_hits(
    lists: Indices, able: npt.NDArray[np.bool_], hidden: HoldOut, known: tuple[Indices, Indices]
) -> pl.DataFrame:
    """Sum recall and hits by the number of known interactions of users and of items."""
    size = int(max(lists.max(initial=0), hidden.partners.max(initial=0))) + 1
    listed = np.arange(len(lists))[:, None] * size + lists
    chosen = (hidden.partners >= 0) & able[hidden.rows]
    hits = np.isin(hidden.rows * size + hidden.partners, listed[lists >= 0]) & chosen
    n_hidden, n_hits = (np.bincount(hidden.rows[mask], minlength=len(lists)) for mask in (able[hidden.rows], hits))
    measured = n_hidden > 0
    recall = n_hits[measured] / n_hidden[measured]
    tables = [
        pl.DataFrame({"of": "list", "low": _bin(known[0][measured]), "recall": recall, "hit_rate": recall > 0}),
        pl.DataFrame({"of": "entry", "low": _bin(known[1][chosen]), "recall": hits[chosen], "hit_rate": hits[chosen]}),
    ]
    table = pl.concat([each.with_columns(pl.col("recall", "hit_rate").cast(pl.Float64)) for each in tables])
    return table.group_by("of", "low").agg(pl.len().cast(pl.Int64).alias("n"), pl.col("recall", "hit_rate").sum())


def _bin(counts: Indices) -> Indices:
    """Return the lower end of the bin of each count."""
    return np.array([0, *BIN_EDGES])[np.digitize(counts, BIN_EDGES)]


def missing_data(test: pl.DataFrame, train: Ratings, shown: Ratings, unpredicted: int) -> tuple[MissingData, ...]:
    """Count hidden ratings of items or users without training data, and those that the model could not predict."""
    items, users = train.item_ids.indices_of(test["item_id"]), shown.user_ids.indices_of(test["user_id"])
    raters = np.bincount(train.matrix.indices, minlength=len(train.item_ids))
    counts = []
    for kind, mask in (("item", items < 0), ("side_info", (items >= 0) & (raters[items] == 0)), ("user", users < 0)):
        unknown = test["user_id" if kind == "user" else "item_id"].filter(pl.Series(mask))
        counts.append(MissingData(kind, len(unknown), unknown.n_unique()))
    return tuple(each for each in (*counts, MissingData("prediction", unpredicted, 0)) if each.ratings)


def notes_of(missing: Sequence[MissingData], n_splits: int, *, predicts: bool) -> tuple[str, ...]:
    """Describe the missing data and substituted values of all splits."""
    notes = []
    for kind, consequence in _CONSEQUENCES.items():
        ratings, entities = (
            sum(getattr(each, field) for each in missing if each.kind == kind) for field in ("ratings", "entities")
        )
        if ratings:
            noun = "item" if kind == "side_info" else kind
            of = "" if kind == "prediction" else f" of {plural(entities, noun) if n_splits == 1 else f'{noun}s'}"
            other = "other " if kind == "prediction" else ""
            consequence = consequence if predicts else consequence.replace(_MEAN, "")
            notes.append(f"{plural(ratings, f'{other}hidden rating')}{of} {consequence}")
    return tuple(notes)


_MEAN = ", and the mean rating is predicted"
_CONSEQUENCES = {
    "item": f"without training data: it cannot be listed and counts as missed{_MEAN}.",
    "side_info": "without training data: only genres and year are used.",
    "user": "without training data: no list is made, and the metrics of lists leave the user out.",
    "prediction": "could not be predicted: the mean rating is used.",
}
