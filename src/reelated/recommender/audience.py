"""The audience of an item: the users who have not rated it and have the highest score for it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.parallel import Progress
from reelated.ratings import Ids
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.engine import AudienceBy, Engine, Floats
from reelated.recommender.rows import UserRow, known

USUAL_SHARE = 0.7
"""Share of a user's usual score that is subtracted, so that the most active users do not lead every list."""
ABOVE_MEAN_WEIGHT = 0.25
"""Added to the logarithm of the adjusted score for each star that the predicted rating is above the user's mean."""
CANDIDATES = 10
"""Number of candidates by score for each place of a list by adjusted score."""
PAIRS = 50_000
"""Number of candidates that are scored at once; it bounds the memory and the time between reports of progress."""


class Audience(NamedTuple):
    """Users with scores and ratings, best first; `unclipped` are the predicted ratings before they are clipped."""

    users: npt.NDArray[np.int64]
    scores: Floats
    ratings: Floats
    n_neighbors_used: npt.NDArray[np.int32]
    adjusted_score: Floats
    above_user_mean: Floats
    unclipped: Floats

    def take(self, places: npt.NDArray[np.int64]) -> "Audience":
        """Return the users at these places."""
        columns: Any = (column[places] for column in self)
        return Audience(*columns)

    def number(self, by: AudienceBy) -> Floats:
        return {"adjusted_score": self.adjusted_score, "score": self.scores, "rating": self.unclipped}[by]


def audiences_of(engine: Engine, items: Sequence[int], n: int, by: AudienceBy) -> list[Audience]:
    """Return for each item the `n` best users who have not rated it."""
    audiences = [found for found, _ in candidates(engine, items, n, by)]
    if by != "adjusted_score":
        return audiences
    return [found.take(np.lexsort((found.users, -found.adjusted_score))[:n]) for found in audiences]


def audience_rows(engine: Engine, item: int, n: int, by: AudienceBy, user_ids: Ids) -> list[UserRow]:
    """Return the rows of an audience, without reasons: a reason about a user is shown to that user only."""
    (found,) = audiences_of(engine, [item], n, by)
    columns = zip(*(column.tolist() for column in found), strict=True)
    return [
        UserRow(rank, user_ids[user], known(score), known(rating), used, known(adjusted), known(above))
        for rank, (user, score, rating, used, adjusted, above, _) in enumerate(columns, 1)
    ]


def audiences_table(
    engine: Engine,
    items: list[int],
    n: int,
    by: AudienceBy,
    per_user: int | None,
    user_ids: Ids,
    catalogue: Catalogue,
    progress: Progress | None,
) -> pl.DataFrame:
    """Return the audiences of several items as one table, no user for more than `per_user` items."""
    audiences: list[Audience] = []
    deep = n if per_user is None else n + 100
    at_once = max(PAIRS // min(CANDIDATES * deep, len(user_ids)), 1)
    for start in range(0, len(items), at_once):
        audiences += audiences_of(engine, items[start : start + at_once], deep, by)
        if progress:
            progress(len(audiences) / len(items))
    return audience_table(audiences, assign_with_cap(audiences, by, n, per_user), items, user_ids, catalogue)


def candidates(engine: Engine, items: Sequence[int], n: int, by: AudienceBy) -> list[tuple[Audience, Floats]]:
    """Return users who include the best `n` of each item, and the numbers by which they were chosen, descending."""
    chosen = [choose_users(engine, item, n, by) for item in items]
    sizes = [len(users) for users, _, _ in chosen]
    users, beyond, usual = (np.concatenate(parts) for parts in zip(*chosen, strict=True))
    distinct, rows = np.unique(users, return_inverse=True)  # scoring more items of one user costs little
    pairs = engine.all_users.take(distinct), rows, np.repeat(items, sizes)
    numbers = engine.numbers(*pairs, "rating" if by == "rating" else "score")
    above = numbers.ratings - engine.mean_ratings[users]
    adjusted = adjusted_scores(numbers.scores - usual, numbers.unclipped - engine.mean_ratings[users])
    found = Audience(
        users, numbers.scores, numbers.ratings, numbers.n_neighbors_used, adjusted, above, numbers.unclipped
    )
    parts = np.split(np.arange(len(users)), np.cumsum(sizes)[:-1])
    return [(found.take(part), beyond[part]) for part in parts]


def choose_users(engine: Engine, item: int, n: int, by: AudienceBy) -> tuple[npt.NDArray[np.int64], Floats, Floats]:
    """Return the candidates for the audience of an item, their numbers, descending, and their usual scores."""
    # The mean score is multiplied by √(relative number of ratings of the item): the scores of rarely rated items are
    # low for all users, so the plain mean would exceed most of these scores.
    usual = USUAL_SHARE * (engine.mean_scores * engine.item_popularity[item])
    if by == "adjusted_score":
        beyond, n = engine.numbers_of_users(item, "score") - usual, CANDIDATES * n
    else:
        beyond = engine.numbers_of_users(item, by)
    users = np.argsort(-beyond, kind="stable")[:n]
    users = users[np.isfinite(beyond[users])]
    return users, beyond[users], usual[users]


def adjusted_scores(beyond: Floats, above_user_mean: Floats) -> Floats:
    """Return ``beyond · e^(ABOVE_MEAN_WEIGHT · above_user_mean)``; `beyond` is the score above the usual one."""
    exponent = ABOVE_MEAN_WEIGHT * np.nan_to_num(above_user_mean)
    return beyond * np.exp(np.where(beyond < 0, -exponent, exponent))


def assign_with_cap(
    audiences: list[Audience], by: AudienceBy, n: int, per_user: int | None
) -> list[npt.NDArray[np.int64]]:
    """Choose the top `n` users of each audience by `by`; list no user in more than `per_user` audiences."""
    item = np.repeat(np.arange(len(audiences)), [len(audience.users) for audience in audiences])
    place = np.concatenate([np.arange(len(audience.users)) for audience in audiences])
    users, numbers = (
        np.concatenate(parts) for parts in zip(*((a.users, a.number(by)) for a in audiences), strict=True)
    )
    listed, filled = np.zeros(users.max(initial=0) + 1, np.int64), np.zeros(len(audiences), np.int64)
    kept: list[list[int]] = [[] for _ in audiences]
    for pair in np.lexsort((item, -numbers)):
        if filled[item[pair]] < n and (per_user is None or listed[users[pair]] < per_user):
            filled[item[pair]] += 1
            listed[users[pair]] += 1
            kept[item[pair]].append(int(place[pair]))
    return [np.sort(np.array(places, np.int64)) for places in kept]


def audience_table(
    audiences: list[Audience], kept: list[npt.NDArray[np.int64]], items: list[int], user_ids: Ids, catalogue: Catalogue
) -> pl.DataFrame:
    """Return the audiences of several items, limited by `assign_with_cap`, as one table."""
    sizes = [len(places) for places in kept]
    item = np.repeat(np.array(items, np.int64), sizes)
    parts = [audience.take(places) for audience, places in zip(audiences, kept, strict=True)]
    columns = Audience(*(np.concatenate(column) for column in zip(*parts, strict=True)))
    return pl.DataFrame(
        {
            "item_id": catalogue.item_ids.take(item),
            "title": pl.Series(catalogue.titles, dtype=pl.String).gather(item),
            "user_id": user_ids.take(columns.users),
            "rank": np.concatenate([np.arange(1, size + 1, dtype=np.int32) for size in sizes]),
            "score": pl.Series(columns.scores).fill_nan(None),
            "predicted_rating": pl.Series(columns.ratings).fill_nan(None),
            "n_neighbors_used": columns.n_neighbors_used,
            "adjusted_score": pl.Series(columns.adjusted_score).fill_nan(None),
            "above_user_mean": pl.Series(columns.above_user_mean).fill_nan(None),
        }
    )
