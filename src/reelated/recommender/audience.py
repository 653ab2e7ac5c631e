"""Whom an item is for: users by how much more they want it than they want items as such."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from reelated.models import LinearItemModel
from reelated.models.linear_item import By
from reelated.ratings import Ids
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.lists import Floats, Pair, Rows

AudienceBy = Literal["adjusted_score", "score", "rating"]
Columns = Callable[[By], sp.csc_array]
"""Gives what everybody's ratings are worth to a number, by items."""
USUAL = 0.4
"""The part of a user's mean score over all items that is taken off: else whoever rates much leads every list."""
MEAN_WEIGHT = 0.5
"""What a predicted star above the user's own mean adds to the logarithm of the adjusted score."""
DEEPER = 10
"""How many times the users wanted are looked at with their predicted ratings."""


class AudienceIndex(NamedTuple):
    """Per-user numbers that the adjusted scores are computed from.

    Attributes
    ----------
    usual : ndarray of float64, shape (n_users,)
        Each user's mean score over all items, those without a link to what they rated counting as 0.
    means : ndarray of float64, shape (n_users,)
        Each user's own mean rating.
    """

    usual: Floats
    means: Floats

    @classmethod
    def of(cls, model: LinearItemModel | None, everybody: Rows) -> "AudienceIndex":
        """Compute both from the model that ranks, if one does, and everybody's ratings."""
        ratings, n_items = everybody.matrix, everybody.matrix.shape[1]
        users = np.repeat(np.arange(ratings.shape[0]), np.diff(ratings.indptr))
        totals = np.bincount(users, weights=ratings.data, minlength=ratings.shape[0])
        means: Floats = totals / np.maximum(np.diff(ratings.indptr), 1.0)
        if model is None:
            return cls(np.full(len(means), np.nan), means)
        lent = np.bincount(model.similarity_.indices, weights=model.similarity_.data, minlength=n_items) / n_items
        worth = model.rating_weight(ratings.data).astype(np.float64)
        if everybody.weights is not None:
            worth *= everybody.weights
        usual = np.bincount(users, weights=worth * lent[ratings.indices], minlength=ratings.shape[0])
        return cls(usual.astype(np.float64), means)

    def of_users(self, users: npt.NDArray[np.int64], score: Floats, ratings: Floats) -> Floats:
        """Return adjusted scores: score beyond the usual, times ``e^(MEAN_WEIGHT · (predicted rating − own mean))``.

        What is below 0 is divided, so that a higher predicted rating always raises it. The rating is not clipped.
        """
        beyond = score - USUAL * self.usual[users]
        above_user_mean = MEAN_WEIGHT * np.nan_to_num(ratings - self.means[users])
        return beyond * np.exp(np.where(beyond < 0, -above_user_mean, above_user_mean))


class Audience(NamedTuple):
    """The users whom an item is for, best first, and their numbers; `unclipped` are the ratings that they fall by."""

    users: npt.NDArray[np.int64]
    scores: Floats
    ratings: Floats
    n_neighbors_used: npt.NDArray[np.int32]
    adjusted_score: Floats
    above_user_mean: Floats
    unclipped: Floats

    def at(self, places: npt.NDArray[np.int64]) -> "Audience":
        """Return some of the users."""
        return Audience(
            self.users[places], self.scores[places], self.ratings[places], self.n_neighbors_used[places],
            self.adjusted_score[places], self.above_user_mean[places], self.unclipped[places],
        )  # fmt: skip

    def number(self, by: AudienceBy) -> Floats:
        """Return the number that `by` names."""
        return {"adjusted_score": self.adjusted_score, "score": self.scores, "rating": self.unclipped}[by]


class Crowd(NamedTuple):
    """Everybody, and what an audience is chosen by."""

    pair: Pair
    everybody: Rows
    columns: Columns
    adjusted_score: AudienceIndex


def audience_of(crowd: Crowd, item: int, n: int, by: AudienceBy) -> Audience:
    """Return the `n` users who have not rated an item and have the highest of the number that `by` names."""
    found, _ = looked_at(crowd, item, n, by)
    return found.at(np.lexsort((found.users, -found.adjusted_score))[:n]) if by == "adjusted_score" else found


def looked_at(crowd: Crowd, item: int, n: int, by: AudienceBy) -> tuple[Audience, Floats]:
    """Return the users among whom the `n` are, and what they were found by, falling.

    By adjusted score these are the `DEEPER * n` users of the highest score beyond the usual; otherwise the `n` users.
    """
    pair, everybody, columns, adjusted_score = crowd
    matrix, _ = everybody
    if by == "adjusted_score":
        by_item = columns("score")
        score, _ = pair.ranker_or_rater.score_users(matrix, item, by_item=by_item)
        beyond = score - USUAL * adjusted_score.usual
        beyond[by_item.indices[slice(*by_item.indptr[item : item + 2])]] = np.nan  # they have rated it
        users = np.lexsort((np.arange(len(beyond)), -beyond))[: DEEPER * n]
        users = users[np.isfinite(beyond[users])]
    else:
        users = pair.of(by).audience(matrix, item, n, by=by, by_item=columns(by))
    pairs = everybody.of(users), np.arange(len(users)), np.full(len(users), item)
    scores, ratings, n_neighbors_used, unclipped = pair.numbers(*pairs, "rating" if by == "rating" else "score")
    wanted = adjusted_score.of_users(users, scores, unclipped)
    found = Audience(users, scores, ratings, n_neighbors_used, wanted, ratings - adjusted_score.means[users], unclipped)
    return found, beyond[users] if by == "adjusted_score" else found.number(by)


def dealt(audiences: list[Audience], by: AudienceBy, n: int, per_user: int | None) -> list[npt.NDArray[np.int64]]:
    """Return for each of several audiences the places kept: `n` at the most, no user more than `per_user` times.

    The highest number of all chooses first, whichever item it is for.
    """
    item = np.repeat(np.arange(len(audiences)), [len(one.users) for one in audiences])
    place = np.concatenate([np.arange(len(one.users)) for one in audiences])
    users, numbers = (
        np.concatenate(parts) for parts in zip(*((a.users, a.number(by)) for a in audiences), strict=True)
    )
    listed, filled = np.zeros(users.max(initial=0) + 1, np.int64), np.zeros(len(audiences), np.int64)
    kept: list[list[int]] = [[] for _ in audiences]
    for at in np.lexsort((item, -numbers)):
        if filled[item[at]] < n and (per_user is None or listed[users[at]] < per_user):
            filled[item[at]] += 1
            listed[users[at]] += 1
            kept[item[at]].append(int(place[at]))
    return [np.sort(np.array(places, np.int64)) for places in kept]


def audience_table(
    audiences: list[Audience],
    kept: list[npt.NDArray[np.int64]],
    items: list[int],
    user_ids: Ids,
    catalogue: Catalogue,
) -> pl.DataFrame:
    """Return the places kept of the audiences of several items as one table."""
    sizes = [len(places) for places in kept]
    listed = np.repeat(np.array(items, np.int64), sizes)
    parts = [one.at(places) for one, places in zip(audiences, kept, strict=True)]
    one = {name: np.concatenate([getattr(part, name) for part in parts]) for name in Audience._fields}
    return pl.DataFrame(
        {
            "item_id": catalogue.item_ids.take(listed),
            "title": pl.Series(catalogue.titles, dtype=pl.String).gather(listed),
            "user_id": user_ids.take(one["users"]),
            "rank": np.concatenate([np.arange(1, size + 1, dtype=np.int32) for size in sizes]),
            "score": pl.Series(one["scores"]).fill_nan(None),
            "predicted_rating": pl.Series(one["ratings"]).fill_nan(None),
            "n_neighbors_used": one["n_neighbors_used"],
            "adjusted_score": pl.Series(one["adjusted_score"]).fill_nan(None),
            "above_user_mean": pl.Series(one["above_user_mean"]).fill_nan(None),
        }
    )
