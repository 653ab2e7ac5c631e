"""Ranked lists of many people at once, in numbers: ranking, filling up, and both numbers of every row."""

from math import isnan
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from reelated.errors import InputError, check_number
from reelated.models import DrawnModel, LinearItemModel
from reelated.models.biases import clipped
from reelated.ratings import Ids
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.rows import Short

Floats = npt.NDArray[np.float64]


class Rows(NamedTuple):
    """Ratings of several people, and what each counts for the score beside others: None, all alike."""

    matrix: sp.csr_array
    weights: npt.NDArray[np.float32] | None = None

    def part(self, start: int, stop: int) -> "Rows":
        """Return those of some of the people."""
        place = slice(self.matrix.indptr[start], self.matrix.indptr[stop])
        return Rows(self.matrix[start:stop], None if self.weights is None else self.weights[place])

    def of(self, users: npt.NDArray[np.int64]) -> "Rows":
        """Return those of chosen people."""
        if self.weights is None:
            return Rows(self.matrix[users])
        begins, lengths = self.matrix.indptr[users], np.diff(self.matrix.indptr)[users]
        places = np.repeat(begins - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths)
        return Rows(self.matrix[users], self.weights[places + np.arange(len(places))])


class Pair(NamedTuple):
    """The two models: one ranks, one predicts ratings.

    Without a ranker the predicted rating is the score; without a rater no rating is predicted.
    """

    ranker: LinearItemModel | None
    rater: LinearItemModel | DrawnModel | None

    def of(self, by: str) -> Any:
        """Return the model whose number `by` names."""
        return self.rater if by == "rating" else self.ranker_or_rater

    @property
    def ranker_or_rater(self) -> Any:
        """The model whose similarities rank; a rater without any is never alone."""
        return self.ranker or self.rater

    def plan(self, X: sp.csr_array) -> int:
        """Return the most bytes that fits of both may take beside the data."""
        return sum(model.plan(X) for model in self if model is not None)

    def both(self, rows: Rows, items: Any, falling: Floats, by: str) -> tuple[Floats, Floats]:
        """Return scores and predicted ratings of one person's items; that which `by` names is known and `falling`."""
        matrix, weights = rows
        first = np.zeros(len(items), np.int32)
        if self.rater is None:
            return falling, np.full(len(falling), np.nan)
        if by == "score":
            return falling, self.rater.predict_pairs(matrix, first, items)
        ratings = clipped(falling, self.rater.scale_)
        if self.ranker is None:
            return ratings, ratings
        return self.ranker.score_pairs(matrix, first, items, by="score", weights=weights)[0], ratings

    def numbers(self, rows: Rows, users: Any, items: Any, by: str) -> tuple[Floats, Floats, Any, Floats]:
        """Return scores, predicted ratings, the supports of the number that `by` names, and the ratings not clipped."""
        matrix, weights = rows
        ratings = unclipped = np.full(len(items), np.nan)
        rating_support = None
        if self.rater is not None:
            unclipped, rating_support = self.rater.score_pairs(matrix, users, items, by="rating")
            ratings = clipped(unclipped, self.rater.scale_)
        if self.ranker is None:
            return ratings, ratings, rating_support, unclipped
        scores, score_support = self.ranker.score_pairs(matrix, users, items, by="score", weights=weights)
        return scores, ratings, rating_support if by == "rating" else score_support, unclipped


class Lists(NamedTuple):
    """Lists of several people: those of row `u` stand from `indptr[u]` to `indptr[u + 1]`.

    `scores` are what they fall by: a predicted rating before it is clipped to the scale, NaN where `popular` ones fill
    them up.
    """

    indptr: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    scores: Floats
    popular: npt.NDArray[np.bool_]


def check_recency(recency_half_life: Any, recency_floor: Any) -> tuple[float | None, float]:
    """Return how ratings age, or raise `InputError`."""
    if recency_half_life is not None and check_number("recency_half_life", recency_half_life, 0) == 0:
        raise InputError("recency_half_life=0: expected a number of ratings above 0, or None.")
    return recency_half_life, check_number("recency_floor", recency_floor, 0, 1)


def recency(ages: npt.NDArray[np.int64], recency_half_life: float, recency_floor: float) -> npt.NDArray[np.float32]:
    """Return the weights of ratings by age: ``floor + (1 - floor) * 2 ** (-age / half_life)``."""
    return (recency_floor + (1 - recency_floor) * np.exp2(-ages / recency_half_life)).astype(np.float32)


def recency_of(times: npt.NDArray[np.int64], recency_half_life: float, recency_floor: float) -> npt.NDArray[np.float32]:
    """Return what one person's ratings of these times count; those of one moment are of one age."""
    return recency(len(times) - np.searchsorted(np.sort(times), times, side="right"), recency_half_life, recency_floor)


def make_lists(
    pair: Pair,
    people: Rows,
    n: int,
    by: str,
    allowed: npt.NDArray[np.bool_],
    filler: npt.NDArray[np.int64] | None,
) -> Lists:
    """Rank, and fill up from `filler` (items, the most popular first) where asked."""
    rows, weights = people
    top = pair.of(by).recommend(rows, n, by=by, allowed=allowed, weights=weights)
    lengths = np.diff(top.indptr)
    if filler is None or (lengths == n).all():
        return Lists(top.indptr, top.items, top.scores, np.zeros(len(top.items), np.bool_))
    items, scores = [], []
    for u in range(rows.shape[0]):
        listed, falling = top.row(u)
        more = _popular(listed, _seen(rows, u), n - len(listed), allowed, filler)
        items.append(np.concatenate([listed, more]))
        scores.append(np.concatenate([falling, np.full(len(more), np.nan)]))
    indptr = np.concatenate([[0], np.cumsum([len(part) for part in items])])
    place = np.arange(indptr[-1]) - np.repeat(indptr[:-1], np.diff(indptr))
    return Lists(indptr, np.concatenate(items), np.concatenate(scores), place >= np.repeat(lengths, np.diff(indptr)))


def _seen(rows: sp.csr_array, u: int) -> npt.NDArray[np.int32]:
    return rows.indices[rows.indptr[u] : rows.indptr[u + 1]]


def _popular(listed: Any, seen: Any, n: int, allowed: Any, filler: Any) -> npt.NDArray[np.int32]:
    """Return the first `n` of `filler` that are allowed, not listed and not seen."""
    free = allowed.copy()
    free[listed] = False
    free[seen] = False
    return filler[free[filler]][:n].astype(np.int32)


def sources(lists: Lists, catalogue: Catalogue) -> npt.NDArray[np.str_]:
    """Say where each row comes from: of an item that nobody rated only genres and year are known."""
    told = np.where(lists.popular, "popular", "model")
    return np.where(catalogue.counts[lists.items] > 0, told, "catalogue")


def as_table(
    lists: Lists, pair: Pair, people: Rows, by: str, user_ids: Ids, first: int, catalogue: Catalogue
) -> pl.DataFrame:
    """Return the lists of several users, the first of them number `first`, as one table."""
    lengths = np.diff(lists.indptr)
    users = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    rank = np.arange(len(users)) - np.repeat(lists.indptr[:-1], lengths) + 1
    scores, ratings, n_neighbors_used, _ = pair.numbers(people, users, lists.items, by)
    return pl.DataFrame(
        {
            "user_id": user_ids.take(first + users),
            "item_id": catalogue.item_ids.take(lists.items),
            "title": pl.Series(catalogue.titles, dtype=pl.String).gather(lists.items),
            "rank": rank.astype(np.int32),
            "score": pl.Series(np.where(lists.popular, np.nan, scores)).fill_nan(None),
            "predicted_rating": pl.Series(ratings).fill_nan(None),
            "n_neighbors_used": n_neighbors_used,
            "source": sources(lists, catalogue),
        }
    )


def known(value: Any) -> float | None:
    """Return a plain float, or None for NaN."""
    return None if isnan(value) else float(value)


def short(wanted: int, got: int, left: int, unknown_genre: bool = False) -> Short | None:
    """Say why a list is shorter than wanted, if it is; `left` could have been on it but are not."""
    if got >= wanted:
        return None
    if unknown_genre:
        return Short(wanted, got, "unknown_genre")
    return Short(wanted, got, "no_neighbours" if left > 0 else "no_candidates_left")
