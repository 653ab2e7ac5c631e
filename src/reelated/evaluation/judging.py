"""What each user (or each item, where users are ranked) adds to every metric of one split."""

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
EDGES = (1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000, 30_000, 100_000)
"""Where the bins of rating counts begin; a bin before the first holds what was never rated."""


class Measured(NamedTuple):
    """The summands of one metric: Σ totals / Σ weights over all units, of which `rmse` takes the root."""

    measure: str
    relevance: str | None
    totals: Numbers  # what each unit adds
    weights: Numbers  # 0 where the metric is undefined for a unit


class Gap(NamedTuple):
    """Hidden ratings of items or users without training data, or without a prediction."""

    kind: str
    ratings: int
    units: int


@dataclass(frozen=True, eq=False)
class Part:
    """The results of one split."""

    units: pl.Series  # the ids of the users, or of the items where users are ranked
    measured: tuple[Measured, ...]  # aligned with `units`
    whole: dict[str, float]  # metrics of all lists together
    errors: pl.DataFrame  # `of low pairs squared absolute rated predicted`
    gaps: tuple[Gap, ...] = ()
    seconds: float = np.nan


class Asked(NamedTuple):
    """The hidden ratings as indices: `units[who]` rated, or was rated by, `what`; −1 is unknown to the model."""

    units: pl.Series
    who: Indices
    what: Indices
    liked: npt.NDArray[np.bool_]


def liked_of(test: pl.DataFrame, train: Ratings, liked: float | str | None) -> tuple[npt.NDArray[np.bool_], str]:
    """Return which hidden ratings count as liked, and the rule in words."""
    ratings, scale = test["rating"].to_numpy(), train.scale
    bar = _bar(train.matrix.data, scale) if liked is None else liked
    if not isinstance(bar, str):
        return ratings >= bar, f"rated {bar:g} or more"
    counts = np.diff(train.matrix.indptr)
    sums = np.add.reduceat(train.matrix.data, train.matrix.indptr[:-1], dtype=np.float64)
    # the overall mean comes last: index −1, a user without training data, picks it
    means = np.concatenate([sums / counts, [train.matrix.data.mean(dtype=np.float64)]])
    return ratings > means[train.user_ids.indices_of(test["user_id"])], "rated above the user's own mean"


def _bar(learnt: npt.NDArray[np.float32], scale: Scale) -> float | str:
    """Return three quarters up the scale, or "mean" where hardly a rating gets there, as with counts."""
    bar = scale.low + 0.75 * (scale.high - scale.low)
    return bar if scale.high > scale.low and np.mean(learnt >= bar) >= 0.01 else "mean"


def asked_of(units: pl.Series, partners: pl.Series, ids: Ids, liked: npt.NDArray[np.bool_]) -> Asked:
    """Index the units from 0, and their partners by the ids of the model."""
    distinct = units.unique().sort()
    who = Ids(distinct, "user").indices_of(units).astype(np.int64)
    return Asked(distinct, who, ids.indices_of(partners).astype(np.int64), liked)


def of_lists(
    lists: Indices,
    able: npt.NDArray[np.bool_],
    asked: Asked,
    cutoffs: Sequence[int],
    relevances: Sequence[str] = RELEVANCE,
) -> list[Measured]:
    """Compute the metrics of lists padded with −1; a unit that cannot have a list has no value."""
    n_units, size = len(asked.units), int(max(lists.max(initial=0), asked.what.max(initial=0))) + 1
    # one integer for each (unit, partner) pair: a single `isin` finds the hits of all lists
    keys, listed = asked.who * size + asked.what, np.arange(n_units)[:, None] * size + lists
    found = []
    for relevance in relevances:
        relevant = np.ones(len(keys), np.bool_) if relevance == "any" else asked.liked
        counts = np.bincount(asked.who[relevant], minlength=n_units) * able
        hits = np.isin(listed, keys[relevant & (asked.what >= 0)]) & (lists >= 0)
        for n in cutoffs:
            for name, measure in metrics.RANKING.items():
                values = measure(hits[:, :n], counts)
                weights = np.isfinite(values).astype(np.float64)
                found.append(Measured(f"{name}@{n}", relevance, np.nan_to_num(values), weights))
    return found


def of_novelty(lists: Indices, shares: Numbers) -> Measured:
    """Compute the novelty of each list."""
    values = metrics.novelty(lists, shares)
    return Measured("novelty", None, np.nan_to_num(values), np.isfinite(values).astype(np.float64))


def of_whole(lists: Indices, n_entries: int) -> dict[str, float]:
    """Compute the metrics of all lists together."""
    places = np.bincount(lists[lists >= 0], minlength=n_entries)
    return {"coverage": metrics.coverage(places), "concentration": metrics.concentration(places)}


def of_ratings(who: Indices, n_units: int, predicted: Numbers, ratings: Numbers) -> list[Measured]:
    """Compute the squared and absolute errors of predicted ratings."""
    gaps, pairs = predicted - ratings, np.bincount(who, minlength=n_units).astype(np.float64)
    errors = {"rmse": gaps**2, "mae": np.abs(gaps)}  # the root is taken of the mean, at the end
    return [
        Measured(name, None, np.bincount(who, weights=each, minlength=n_units).astype(np.float64), pairs)
        for name, each in errors.items()
    ]


def of_intervals(who: Indices, n_units: int, ends: tuple[Numbers, Numbers], ratings: Numbers) -> list[Measured]:
    """Compute the share of the ratings that are inside their prediction interval, where there is one."""
    told = np.isfinite(ends[0])
    if not told.any():
        return []
    inside = (ends[0][told] <= ratings[told]) & (ratings[told] <= ends[1][told])
    totals, pairs = (np.bincount(who[told], weights=each, minlength=n_units) for each in (inside, np.ones(told.sum())))
    return [Measured("in_interval", None, totals.astype(np.float64), pairs.astype(np.float64))]


def binned(predicted: Numbers, ratings: Numbers, known: dict[str, Indices], scale: Scale) -> pl.DataFrame:
    """Sum errors by the item's number of ratings, the user's number of ratings, and the predicted rating."""
    width = (scale.high - scale.low) / 16 or 1.0
    below: dict[str, Any] = {of: np.array([0, *EDGES])[np.digitize(counts, EDGES)] for of, counts in known.items()}
    below["predicted"] = scale.low + np.floor((predicted - scale.low) / width) * width
    pairs = pl.DataFrame({"rated": ratings.astype(np.float64), "predicted": predicted})
    gap = pl.col("predicted") - pl.col("rated")
    tables = [
        pairs.with_columns(pl.lit(of).alias("of"), pl.Series("low", lows.astype(np.float64)))
        .group_by("of", "low", maintain_order=True)
        .agg(
            pl.len().cast(pl.Int64).alias("pairs"),
            (gap**2).sum().alias("squared"),
            gap.abs().sum().alias("absolute"),
            pl.col("rated", "predicted").sum(),
        )
        for of, lows in below.items()
    ]
    return pl.concat(tables).sort("of", "low")


def gaps(test: pl.DataFrame, train: Ratings, shown: Ratings, silent: int) -> tuple[Gap, ...]:
    """Count hidden ratings of items or users without training data, and those that the model could not predict."""
    items, users = train.item_ids.indices_of(test["item_id"]), shown.user_ids.indices_of(test["user_id"])
    raters = np.bincount(train.matrix.indices, minlength=len(train.item_ids))
    found = []
    for kind, without in (
        ("item", items < 0),
        ("catalogue", (items >= 0) & (raters[items] == 0)),
        ("user", users < 0),
    ):
        unknown = test["user_id" if kind == "user" else "item_id"].filter(pl.Series(without))
        found.append(Gap(kind, len(unknown), unknown.n_unique()))
    return tuple(gap for gap in (*found, Gap("silent", silent, 0)) if gap.ratings)


def told(every: Sequence[Gap], n_splits: int, *, predicts: bool) -> tuple[str, ...]:
    """Describe the missing data and substituted values of all splits."""
    notes = []
    for kind, then in _THEN.items():
        ratings, units = (
            sum(getattr(gap, field) for gap in every if gap.kind == kind) for field in ("ratings", "units")
        )
        if ratings:
            unit = "item" if kind == "catalogue" else kind
            of = "" if kind == "silent" else f" of {plural(units, unit) if n_splits == 1 else f'{unit}s'}"
            other = "other " if kind == "silent" else ""
            then = then if predicts else then.replace(_MEAN, "")
            notes.append(f"{plural(ratings, f'{other}hidden rating')}{of} {then}")
    return tuple(notes)


_MEAN = ", and the mean rating is predicted"
_THEN = {
    "item": f"without training data: it cannot be listed and counts as missed{_MEAN}.",
    "catalogue": "without training data: genres and year alone speak for it.",
    "user": "without training data: no list is made, and nothing counts in the measures of lists.",
    "silent": "could not be predicted: the mean rating stands in.",
}
