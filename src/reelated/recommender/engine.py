"""`Engine`: the numeric interface to the models, which takes rows of ratings and returns batches of numbers."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from reelated.errors import InputError, check_choice, no_rater, no_users
from reelated.models.biases import clipped, row_means
from reelated.models.contracts import By, Ranker, Rater, Scorer
from reelated.models.contributions import ItemContributions
from reelated.models.validation import check_rows
from reelated.similarity import degree_factors

Floats = npt.NDArray[np.float64]
AudienceBy = Literal["adjusted_score", "score", "rating"]
NAMES = {"score": "score", "rating": "predicted rating"}
AUDIENCE_NAMES = NAMES | {"adjusted_score": "adjusted score"}
PAIRS = 1_000_000
"""Pairs scored at once; bounds the memory of a call."""
INTERVAL_LEVEL = 0.8
"""The probability that a rating lies in the interval shown with its prediction."""


class WeightedRows(NamedTuple):
    """Rows of ratings, and the weight of each rating in the score; None: all weights are 1."""

    matrix: sp.csr_array
    weights: npt.NDArray[np.float32] | None = None
    are_new: bool = False

    def slice(self, start: int, stop: int) -> "WeightedRows":
        place = slice(self.matrix.indptr[start], self.matrix.indptr[stop])
        weights = None if self.weights is None else self.weights[place]
        return WeightedRows(self.matrix[start:stop], weights, self.are_new)

    def take(self, users: npt.NDArray[np.int64]) -> "WeightedRows":
        if self.weights is None:
            return WeightedRows(self.matrix[users], None, self.are_new)
        begins, lengths = self.matrix.indptr[users], np.diff(self.matrix.indptr)[users]
        places = np.repeat(begins - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        return WeightedRows(self.matrix[users], self.weights[places + np.arange(len(places))], self.are_new)


class Models(NamedTuple):
    """The fitted models; without a ranker the predicted rating is the score."""

    ranker: Ranker | None
    rater: Rater | None

    def of(self, by: str) -> Any:
        return self.rater if by == "rating" or self.ranker is None else self.ranker

    def checked_by(self, by: Any, names: dict[str, str]) -> Any:
        """Return the number that a list is sorted by: without a ranker, the predicted rating."""
        by = check_choice("by", by, names)
        if by == "rating" and self.rater is None:
            raise no_rater()
        return "rating" if self.ranker is None else by

    def for_rows(self, rows: WeightedRows) -> "Models":
        """Return the models for these rows: for new users, a rater with a posterior has a different prior."""
        rater: Any = self.rater
        return self._replace(rater=rater.for_new_users) if rows.are_new and rater and rater.has_posterior else self

    @property
    def present(self) -> list[Any]:
        return [model for model in self if model is not None]

    @property
    def linear(self) -> Any:
        """The model whose item–item matrix defines similar items: the ranker, or a rater that has one."""
        model: Any = self.of("score")
        if not hasattr(model, "item_weights_"):
            raise InputError(f"{type(model).__name__} has no item–item matrix: fit with a ranker, such as EASE().")
        return model

    def plan(self, X: sp.csr_array) -> int:
        """Return the maximum number of bytes that the fits take in addition to the data."""
        return sum(model.plan(X) for model in self.present)


class Numbers(NamedTuple):
    """The scores and predicted ratings of pairs, and the number of neighbours used for the requested of the two."""

    scores: Floats
    ratings: Floats
    n_neighbors_used: npt.NDArray[np.int32]
    unclipped: Floats


class Batch(NamedTuple):
    """Ranked lists of several rows: the list of row `u` lies from `indptr[u]` to `indptr[u + 1]`."""

    indptr: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    scores: Floats
    ratings: Floats
    n_neighbors_used: npt.NDArray[np.int32]
    is_popular: npt.NDArray[np.bool_]  # a popular item that fills the list
    contributions: ItemContributions | None = None


class Engine:
    """Computes lists, scores, predicted ratings and audiences from the models and the ratings of all users, if any."""

    def __init__(self, models: Models, everyone: WeightedRows | None, item_counts: npt.NDArray[np.int64]) -> None:
        self.models = models
        self.everyone = None if everyone is None else self.checked(everyone)
        self.item_counts = item_counts  # ratings of each item at the fit
        self._by_item: dict[str, tuple[Scorer, sp.csc_array]] = {}

    def answer(
        self,
        rows: WeightedRows,
        n: int,
        by: By,
        item_mask: npt.NDArray[np.bool_],
        fill_from: npt.NDArray[np.int64] | None = None,
        *,
        explain: bool = False,
    ) -> Batch:
        """Return the best items of every row; short lists are filled from `fill_from`."""
        scorer = self.scorer(rows, by)
        top = scorer.top(n, item_mask)
        indptr, items, sorted_by, is_popular = top.indptr, top.items, top.scores, np.zeros(len(top.items), np.bool_)
        if fill_from is not None and len(items) < n * rows.matrix.shape[0]:
            indptr, items, sorted_by, is_popular = _filled(top, rows.matrix, n, item_mask, fill_from)
        users = np.arange(rows.matrix.shape[0], dtype=np.int32).repeat(indptr[1:] - indptr[:-1])
        contributions = scorer.contributions(items, sorted_by) if explain else None
        used = scorer.pairs(users, items)[1] if contributions is None else contributions.n_neighbors_used
        scores, ratings, _ = self._both_numbers(rows, users, items, sorted_by, by)
        return Batch(indptr, items, scores, ratings, used, is_popular, contributions)

    def checked(self, rows: WeightedRows) -> WeightedRows:
        """Return checked rows for the kernels, which check no bounds; all other methods rely on this check."""
        return rows._replace(matrix=check_rows(self.models.present[0], rows.matrix))

    def scorer(self, rows: WeightedRows, by: By) -> Scorer:
        """Return the scorer of scores or of predicted ratings for some rows."""
        model = self.models.for_rows(rows).of(by)
        scorer: Scorer = model.checked_scorer(rows.matrix, by, rows.weights if by == "score" else None)
        return scorer

    def _both_numbers(self, rows: WeightedRows, users: Any, items: Any, number: Floats, by: By) -> tuple[Floats, ...]:
        """Return scores, predicted ratings and unclipped predicted ratings of pairs."""
        ranker, rater = self.models
        if rater is None:
            return number, (none := np.full(len(items), np.nan)), none
        unclipped = number if by == "rating" else self.scorer(rows, "rating").pairs(users, items)[0]
        ratings = clipped(unclipped, rater.scale_)
        if ranker is None:
            return ratings, ratings, unclipped
        return number if by == "score" else self.scorer(rows, "score").pairs(users, items)[0], ratings, unclipped

    def numbers(self, rows: WeightedRows, users: Any, items: Any, by: By) -> Numbers:
        """Return the scores and predicted ratings of pairs of a row and an item."""
        number, used = self.scorer(rows, by).pairs(users, items)
        scores, ratings, unclipped = self._both_numbers(rows, users, items, number, by)
        return Numbers(scores, ratings, used, unclipped)

    def score(self, users: npt.NDArray[Any], items: npt.NDArray[Any], by: By) -> Floats:
        """Return the score or unclipped predicted rating of pairs of user and item indices; NaN if there is none."""
        rows, scores = self.all_users, np.empty(len(users))
        for part in _parts(len(users)):
            scores[part] = self.scorer(rows, by).pairs(users[part], items[part])[0]
        return scores

    def predict(self, users: npt.NDArray[Any], items: npt.NDArray[Any]) -> Floats:
        """Return predicted ratings of pairs of user and item indices; user −1 is a new user without ratings."""
        all_users = self.all_users
        no_ratings = WeightedRows(sp.csr_array((1, all_users.matrix.shape[1]), dtype=np.float32), are_new=True)
        if self.models.rater is None:
            return np.full(len(users), np.nan)
        values = np.empty(len(users))
        for part in _parts(len(users)):
            known = users[part] >= 0
            for rows, chosen in ((all_users, known), (no_ratings, ~known)):
                if chosen.any():
                    row, rater = np.where(known, users[part], 0)[chosen], self.models.for_rows(rows).rater
                    predicted = rater.predict_pairs(rows.matrix, row, items[part][chosen])  # type: ignore[union-attr]
                    values[np.flatnonzero(chosen) + part.start] = predicted
        return values

    def intervals(self, users: npt.NDArray[Any], items: npt.NDArray[Any]) -> tuple[Floats, Floats]:
        """Return prediction intervals of pairs; NaN for index −1 and for models without a posterior."""
        low, high = np.full(len(users), np.nan), np.full(len(users), np.nan)
        known = np.flatnonzero((users >= 0) & (items >= 0))
        for part in _parts(len(known) if self.has_intervals else 0):
            pairs = known[part]
            low[pairs], high[pairs] = self.interval(self.all_users, users[pairs], items[pairs])
        return low, high

    @property
    def has_intervals(self) -> bool:
        """Whether predictions come with intervals."""
        return self.models.rater is not None and self.models.rater.has_posterior

    def interval(self, rows: WeightedRows, users: Any, items: Any) -> tuple[Floats, Floats]:
        """Return the prediction intervals of pairs of a row and an item."""
        rater: Any = self.models.for_rows(rows).rater
        return rater.predict_intervals(rows.matrix, users, items, level=INTERVAL_LEVEL)

    def covariance(self, items: npt.NDArray[Any]) -> tuple[Floats, float]:
        """Return the covariance of ratings of some items, and the variance of the noise."""
        model: Any = self.models.rater if self.has_intervals else self.models.linear
        return model.covariance(items)

    def rank_of(self, rows: WeightedRows, item: int, by: By, item_mask: npt.NDArray[np.bool_]) -> int | None:
        """Return the rank of an item among the unrated items of one row; None if it has no score."""
        listed = self.scorer(rows, by).top(rows.matrix.shape[1], item_mask).items
        place = np.flatnonzero(listed == item)
        return int(place[0]) + 1 if len(place) else None

    # -------------------------------------------------------------------------------------------- all users
    @property
    def all_users(self) -> WeightedRows:
        if self.everyone is None:
            raise no_users()
        return self.everyone

    def numbers_of_users(self, item: int, by: By) -> Floats:
        """Return the score or unclipped predicted rating of an item for every user; NaN for users who have rated it."""
        if by not in self._by_item:  # making the columns takes as long as many answers, so they are made once
            scorer = self.scorer(self.all_users, by)
            self._by_item[by] = scorer, scorer.columns()
        scorer, columns = self._by_item[by]
        numbers, _ = scorer.users(item, columns)
        numbers[columns.indices[slice(*columns.indptr[item : item + 2])]] = np.nan
        return numbers

    @cached_property
    def mean_scores(self) -> Floats:
        """Each user's mean score over all items, items without a score counting as 0; NaN without a ranker."""
        rows, model = self.all_users, self.models.ranker
        n_users, n_items = rows.matrix.shape
        if model is None:
            return np.full(n_users, np.nan)
        users = np.repeat(np.arange(n_users), np.diff(rows.matrix.indptr))
        weights = model.item_weights_
        mean_weight = np.bincount(weights.indices, weights=weights.data, minlength=n_items) / n_items
        values = model.rating_weight(rows.matrix.data).astype(np.float64)
        if rows.weights is not None:
            values *= rows.weights
        return np.bincount(users, weights=values * mean_weight[rows.matrix.indices], minlength=n_users).astype(float)

    @cached_property
    def item_popularity(self) -> Floats:
        """The square root of each item's number of ratings, relative to the mean."""
        return degree_factors(self.item_counts, -0.5)

    @cached_property
    def mean_ratings(self) -> Floats:
        """Each user's mean rating."""
        matrix = self.all_users.matrix
        return row_means(matrix, matrix.data, 0.0)


def _parts(n_pairs: int) -> Iterator[slice]:
    return (slice(start, start + PAIRS) for start in range(0, n_pairs, PAIRS))


def _filled(top: Any, matrix: sp.csr_array, n: int, item_mask: Any, fill_from: Any) -> tuple[Any, Any, Any, Any]:
    """Fill up short lists with the first items of `fill_from` that are allowed, not listed and not seen."""
    lengths = np.diff(top.indptr)
    items, scores = [], []
    for u in range(matrix.shape[0]):
        listed, numbers = top.row(u)
        free = item_mask.copy()
        free[listed] = False
        free[matrix.indices[matrix.indptr[u] : matrix.indptr[u + 1]]] = False
        more = fill_from[free[fill_from]][: n - len(listed)].astype(np.int32)
        items.append(np.concatenate([listed, more]))
        scores.append(np.concatenate([numbers, np.full(len(more), np.nan)]))
    indptr = np.concatenate([[0], np.cumsum([len(part) for part in items])])
    place = np.arange(indptr[-1]) - np.repeat(indptr[:-1], np.diff(indptr))
    return indptr, np.concatenate(items), np.concatenate(scores), place >= np.repeat(lengths, np.diff(indptr))
