"""`Evaluation`: metrics with confidence intervals; `compare`: the paired comparison of two evaluations."""

from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from reelated.errors import InputError, check_integer, shorten
from reelated.evaluation.bootstrap import MetricSums, bootstrap, sign_flips
from reelated.evaluation.scoring import SplitResult, notes_of


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric of one model.

    Attributes
    ----------
    measure : str
        Such as `ndcg@10`, `rmse` or `coverage`.
    relevance : {"any", "liked", None}
        Which hidden ratings are relevant: all, or those of liked items; None for metrics without relevant items.
    value : float or None
        None if it could not be measured.
    low, high : float or None
        The 95 % bootstrap interval over users; None for metrics of all lists together.
    entities : int
        Number of users (or items, if users are ranked) that the mean includes.
    left_out : int
        Number of users (or items) without a value, such as those without a relevant item.
    """

    measure: str
    relevance: str | None
    value: float | None
    low: float | None
    high: float | None
    entities: int
    left_out: int


@dataclass(frozen=True, slots=True)
class PairedComparison:
    """One metric of two models on the same split.

    Attributes
    ----------
    measure, relevance
        As in `MetricRow`.
    first, second : float
        The values of the two models.
    difference : float
        `second − first`.
    low, high : float
        The 95 % bootstrap interval of the difference, over the same users for both models.
    p_value : float
        The two-sided p-value of Fisher's randomisation test: how often the difference is at least as large when each
        user's two results are exchanged at random.
    """

    measure: str
    relevance: str | None
    first: float
    second: float
    difference: float
    low: float
    high: float
    p_value: float


@dataclass(frozen=True, eq=False)
class Evaluation:
    """The metrics of one recommender on one or several splits.

    Attributes
    ----------
    data : str
        The name of the data set.
    how : str
        How the ratings were hidden.
    target : {"items", "users"}
        What was ranked: items for each user, or users for each item.
    liked : str or None
        The rule by which a rating counts as liked; None for events and if all ratings are equal.
    parts : tuple of SplitResult
        The values for every user (or item, if users are ranked), one part for each split.
    settings : str
        The recommender with its parameters, as a Python expression.
    """

    data: str
    how: str
    target: str
    liked: str | None
    parts: tuple[SplitResult, ...]
    settings: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on missing training data and on predictions replaced by the mean."""
        missing = [each for part in self.parts for each in part.missing]
        return notes_of(missing, len(self.parts), predicts=self.predicts_ratings)

    @property
    def predicts_ratings(self) -> bool:
        """Whether the errors of predicted ratings were measured."""
        return ("rmse", None) in self._names

    @property
    def seconds(self) -> float:
        """Fit time in seconds, the mean over the splits."""
        return float(np.mean([part.seconds for part in self.parts]))

    def value(self, measure: str, relevance: str | None = None) -> float:
        """Return one metric, the mean over the splits.

        Parameters
        ----------
        measure : str
            Such as `ndcg@10` or `rmse`.
        relevance : {"any", "liked", None}, default None
            Which hidden ratings are relevant, for metrics of lists.

        Returns
        -------
        float
            NaN if it could not be measured.

        Raises
        ------
        InputError
            The evaluation has no such metric.
        """
        if measure in self.parts[0].overall and relevance is None:
            return float(np.mean([part.overall[measure] for part in self.parts]))
        return float(self._sums.values()[self._index_of(measure, relevance)])

    def rows(self, *, resamples: int = 1000, seed: int = 0) -> list[MetricRow]:
        """Return every metric with its confidence interval.

        Parameters
        ----------
        resamples : int, default 1000
            Number of bootstrap resamples of the users. A resample holds the same users in all splits.
        seed : int, default 0
            Random seed of the bootstrap.
        """
        sums = self._sums
        low, high = bootstrap(sums, check_integer("resamples", resamples, 1), check_integer("seed", seed, 0))
        n_entities, columns = len(sums.entities), zip(sums.values(), low, high, sums.n_entities(), strict=True)
        rows = [
            MetricRow(*name, _or_none(value), _or_none(start), _or_none(end), int(n), n_entities - int(n))
            for name, (value, start, end, n) in zip(self._names, columns, strict=True)
        ]
        return rows + [
            MetricRow(name, None, _or_none(self.value(name)), None, None, n_entities, 0)
            for name in self.parts[0].overall
        ]

    def to_dicts(self, *, resamples: int = 1000, seed: int = 0) -> list[dict[str, Any]]:
        """Return one dictionary per metric."""
        return [asdict(row) for row in self.rows(resamples=resamples, seed=seed)]

    def to_polars(self, *, resamples: int = 1000, seed: int = 0) -> pl.DataFrame:
        """Return a table with one row per metric."""
        text, numbers = dict.fromkeys(("measure", "relevance"), pl.String), ("value", "low", "high")
        schema: dict[str, Any] = (
            text | dict.fromkeys(numbers, pl.Float64) | {"entities": pl.Int64, "left_out": pl.Int64}
        )
        return pl.DataFrame(self.to_dicts(resamples=resamples, seed=seed), schema=schema)

    def by_entity(self) -> pl.DataFrame:
        """Return the contributions to every metric, one row for each user (or item, if users are ranked).

        Returns
        -------
        polars.DataFrame
            `split user_id measure relevance total weight`, with `item_id` for `user_id` if users are ranked. A
            metric is Σ total / Σ weight over all rows of a split; `rmse` is the square root of it.
        """
        name = "user_id" if self.target == "items" else "item_id"
        tables = [
            pl.DataFrame({name: part.entities, "total": values.totals, "weight": values.weights}).select(
                pl.lit(split).alias("split"),
                name,
                pl.lit(values.measure).alias("measure"),
                pl.lit(values.relevance, pl.String).alias("relevance"),
                "total",
                "weight",
            )
            for split, part in enumerate(self.parts, 1)
            for values in part.metrics
        ]
        return pl.concat(tables)

    def errors(self) -> pl.DataFrame:
        """Return errors of predicted ratings, binned by ratings of the item, ratings of the user, and predicted rating.

        Returns
        -------
        polars.DataFrame
            `of low pairs rmse mae rated predicted`: `of` is "item", "user" or "predicted"; a bin reaches from `low`
            to the next `low`; `rated` and `predicted` are means.
        """
        sums = pl.concat([part.errors for part in self.parts]).group_by("of", "low").sum().sort("of", "low")
        means = [(pl.col(name) / pl.col("pairs")) for name in ("squared", "absolute", "rated", "predicted")]
        return sums.with_columns(means).select(
            "of", "low", "pairs", pl.col("squared").sqrt().alias("rmse"), pl.col("absolute").alias("mae"),
            "rated", "predicted",
        )  # fmt: skip

    def groups(self) -> pl.DataFrame:
        """Return recall and hit rate by activity of the users and popularity of the items.

        Returns
        -------
        polars.DataFrame
            `of low n recall hit_rate`: `of` is "user" or "item", and a bin reaches from `low` known ratings or
            interactions to the next `low`. For the entities that lists are made for, `n` is the number of lists, and
            the metrics are means over the lists; for the others, `n` is the number of hidden entries, and both metrics
            are the share that is listed.
        """
        names = ("user", "item") if self.target == "items" else ("item", "user")
        sums = pl.concat([part.groups for part in self.parts]).group_by("of", "low").sum()
        of = pl.col("of").replace(["list", "entry"], names)
        return sums.with_columns(of, pl.col("recall", "hit_rate") / pl.col("n")).sort(
            "of", "low", descending=[True, False]
        )

    def __repr__(self) -> str:
        shown = [("ndcg", "any"), ("ndcg", "liked"), ("rmse", None)]
        names = [
            (name, of) for prefix, of in shown for name, has in self._names if name.startswith(prefix) and has == of
        ]
        values = (f"{' '.join(filter(None, name))} {self.value(*name):.3f}" for name in names)
        return f"{self.data}, {self.how}: {', '.join(values)}"

    @property
    def _names(self) -> list[tuple[str, str | None]]:
        return [(values.measure, values.relevance) for values in self.parts[0].metrics]

    def _index_of(self, measure: str, relevance: str | None) -> int:
        if (measure, relevance) in self._names:
            return self._names.index((measure, relevance))
        known = ", ".join(dict.fromkeys([name for name, _ in self._names] + list(self.parts[0].overall)))
        raise InputError(
            f"measure={shorten(measure)}, relevance={shorten(relevance)}: expected one of {known}; relevance 'any' or "
            "'liked' for those of lists, None for the others."
        )

    @cached_property
    def _sums(self) -> MetricSums:
        return MetricSums.of(self.parts)


def compare(first: Evaluation, second: Evaluation, *, resamples: int = 1000, seed: int = 0) -> list[PairedComparison]:
    """Compare two recommenders on the same split, user by user.

    Parameters
    ----------
    first, second : Evaluation
        Evaluations on the same split, with the same `n`.
    resamples : int, default 1000
        Number of bootstrap resamples for the intervals, and of random exchanges for the tests.
    seed : int, default 0
        Random seed of both.

    Returns
    -------
    list of PairedComparison
        One for each metric that both recommenders have.

    Raises
    ------
    InputError
        The two were not measured on the same split.
    """
    first, second = _comparable(first, second), _comparable(second, first)
    sums = first._sums, second._sums
    same = first._names == second._names and len(first.parts) == len(second.parts)
    if not same or not all(map(_are_aligned, first.parts, second.parts)):
        raise InputError("first and second were not measured on the same split with the same n. Evaluate both on it.")
    resamples, seed = check_integer("resamples", resamples, 1), check_integer("seed", seed, 0)
    low, high = bootstrap(sums[1], resamples, seed, minus=sums[0])
    columns = zip(sums[0].values(), sums[1].values(), low, high, sign_flips(*sums, resamples, seed), strict=True)
    return [
        PairedComparison(*name, *map(float, (a, b, b - a, start, end, p_value)))
        for name, (a, b, start, end, p_value) in zip(first._names, columns, strict=True)
        if np.isfinite(a) and np.isfinite(b)
    ]


def _comparable(result: Evaluation, other: Evaluation) -> Evaluation:
    """Drop the metrics that not every model has: errors of predicted ratings, and interval coverage."""
    not_shared = {name for name, of in {*result._names} ^ {*other._names} if of is None} | {"interval_coverage"}
    parts = (
        replace(part, metrics=tuple(values for values in part.metrics if values.measure not in not_shared))
        for part in result.parts
    )
    return replace(result, parts=tuple(parts))


def _are_aligned(a: SplitResult, b: SplitResult) -> bool:
    """Return whether two parts have the same entities and weights; novelty is ignored, as empty lists have none."""
    pairs = [(x.weights, y.weights) for x, y in zip(a.metrics, b.metrics, strict=True) if x.measure != "novelty"]
    return a.entities.equals(b.entities) and all((x == y).all() for x, y in pairs)


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
