"""`evaluate`: fit a recommender to the training part, rank and predict the hidden part, and compute the metrics."""

from collections.abc import Sequence
from time import perf_counter
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.errors import InputError, check_choice, check_integer, check_number
from reelated.evaluation import asking
from reelated.evaluation.evaluation import Evaluation
from reelated.evaluation.judging import (
    RELEVANCE,
    Asked,
    Indices,
    Part,
    asked_of,
    binned,
    gaps,
    liked_of,
    of_intervals,
    of_lists,
    of_novelty,
    of_ratings,
    of_whole,
)
from reelated.evaluation.splits import Split, as_list
from reelated.parallel import Progress
from reelated.recommender import Recommender

Ask = Literal["items", "users"]


def evaluate(
    recommender: Recommender,
    split: Split | Sequence[Split],
    n: int | Sequence[int] = 10,
    *,
    ask: Ask = "items",
    liked: float | Literal["mean"] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Fit a recommender to the training part of a split and measure it on the hidden part.

    Lists hold only what the model ranks: they are not filled with popular items, and leave out the items that the user
    has rated in the part that the model knows. Every hidden rating is relevant for `any`, only those of liked items for
    `liked`. Users without a relevant item are left out of that mean, and counted. An item that is unknown to the model
    cannot be listed and counts as missed. Where a model cannot predict a rating, the mean training rating is used. Data
    whose ratings are all equal has no `liked` and no errors of predicted ratings; a recommender without a rater has no
    errors of predicted ratings.

    Parameters
    ----------
    recommender : Recommender
        Fitted or not: a copy is fitted, and the given one stays unchanged.
    split : Split, or several
        From `reelated.evaluation`, such as `within_users(data)`. Metrics of several splits are means over the splits.
    n : int or sequence of int, default 10
        Length of the lists; with several, metrics are computed for each.
    ask : {"items", "users"}, default "items"
        What is ranked: items for each user, or users for each item (the audience).
    liked : float, "mean" or None, default None
        The lowest rating of a liked item; "mean": above the user's own mean. None: three quarters up the scale (4 on a
        scale of 1 to 5), or "mean" where fewer than 1 % of the ratings reach that.
    progress : callable, optional
        Called with the completed share, from 0 to 1.

    Returns
    -------
    Evaluation

    Raises
    ------
    InputError
        An argument or the data cannot be used.

    Examples
    --------
    >>> import reelated
    >>> from reelated.evaluation import evaluate, within_users
    >>> result = evaluate(reelated.Recommender(), within_users(reelated.read("sample")))
    >>> result.value("ndcg@10", "liked") > 0.1
    True
    """
    splits, cutoffs = as_list(split), _check_cutoffs(n)
    check_choice("ask", ask, ("items", "users"))
    if liked is not None and liked != "mean":
        liked = check_number("liked", liked)
    of = _Told.of(recommender, splits)
    parts = []
    for at, one in enumerate(splits):

        def step(done: float, at: int = at) -> None:
            if progress:
                progress((at + done) / len(splits))

        parts.append(_part(recommender, one, cutoffs, ask, liked, of, step))
    rule = liked_of(splits[0].test.head(0), splits[0].train.ratings, liked)[1] if "liked" in of.relevance else None
    return Evaluation(splits[0].train.name, splits[0].how, ask, rule, tuple(parts))


def _check_cutoffs(n: Any) -> list[int]:
    """Return the lengths of the lists in ascending order."""
    cutoffs = [n] if isinstance(n, (int, np.integer)) else n
    if isinstance(cutoffs, str) or not isinstance(cutoffs, Sequence) or not len(cutoffs):
        raise InputError(f"n={n!r}: expected an integer of 1 or more, or several.")
    return sorted(check_integer("n", one, 1) for one in cutoffs)


class _Told(NamedTuple):
    """The metrics that are computed for every split."""

    relevance: tuple[str, ...]
    ratings: bool  # whether errors of predicted ratings are computed

    @classmethod
    def of(cls, recommender: Recommender, splits: Sequence[Split]) -> "_Told":
        """Skip liked items and rating errors where all ratings are equal, and rating errors without a rater."""
        if all(split.train.ratings.is_one_valued for split in splits):
            return cls(RELEVANCE[:1], False)
        return cls(RELEVANCE, recommender.rater is not None)


def _part(
    recommender: Recommender, split: Split, cutoffs: list[int], ask: Ask, liked: Any, of: _Told, progress: Progress
) -> Part:
    start = perf_counter()
    rec = asking.fitted(recommender, split.train, lambda done: progress(done / 2))
    seconds = perf_counter() - start
    if split.shown is not None:
        rec = rec.with_ratings(split.shown)
    kept, test, learnt = rec.kept_ratings(), split.test, split.train.ratings.onto(rec.item_ids)
    likes, _ = liked_of(test, kept, liked)
    often = np.bincount(learnt.matrix.indices, minlength=len(rec.item_ids))
    if ask == "items":
        asked = asked_of(test["user_id"], test["item_id"], rec.item_ids, likes)
        shares = np.maximum(often, 0.5) / len(learnt.user_ids)  # 0.5: the novelty of an unrated item stays finite
    else:
        asked = asked_of(test["item_id"], test["user_id"], rec.user_ids, likes)
        shares = np.diff(kept.matrix.indptr) / len(rec.item_ids)
    lists, able = lists_for(rec, split, asked, cutoffs[-1], ask, lambda done: progress(0.5 + done / 2))
    measured, whole = of_lists(lists, able, asked, cutoffs, of.relevance), {}
    if split.candidates is None:  # candidates would make these depend on the sample
        measured, whole = [*measured, of_novelty(lists, shares)], of_whole(lists, len(shares))
    users, items = kept.user_ids.indices_of(test["user_id"]), rec.item_ids.indices_of(test["item_id"])
    ratings = test["rating"].to_numpy().astype(np.float64)
    predicted, silent = _predicted(rec, users, items, float(learnt.matrix.data.mean(dtype=np.float64)))
    counts = {
        "item": np.where(items >= 0, often[items], 0),
        "user": np.where(users >= 0, np.diff(kept.matrix.indptr)[users], 0),
    }
    bins = binned(predicted, ratings, counts, learnt.scale)
    if of.ratings:
        measured += of_ratings(asked.who, len(asked.units), predicted, ratings)
        measured += of_intervals(asked.who, len(asked.units), rec.engine.intervals(users, items), ratings)
    else:
        bins, silent = bins.clear(), 0
    return Part(asked.units, tuple(measured), whole, bins, gaps(test, learnt, kept, silent), seconds)


def lists_for(
    rec: Recommender, split: Split, asked: Asked, n: int, ask: Ask, progress: Progress
) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """Return the list of each unit as indices, padded with −1, and which units can have one."""
    numbers = (rec.user_ids if ask == "items" else rec.item_ids).indices_of(asked.units)
    able = numbers >= 0
    lists = np.full((len(able), n), -1, np.int64)
    if ask == "users":
        lists[able] = asking.audience_batch(rec, numbers[able], n, progress)
    elif split.candidates is not None:
        lists[able] = _best_candidates(rec, split.candidates, numbers[able], n)
    else:
        every = np.full((len(rec.user_ids), n), -1, np.int64)
        for table in asking.lists(rec, n, progress):
            rows = rec.user_ids.indices_of(table["user_id"])
            every[rows, table["rank"].to_numpy() - 1] = rec.item_ids.indices_of(table["item_id"])
        lists[able] = every[numbers[able]]
    return lists, able


def _best_candidates(rec: Recommender, candidates: pl.DataFrame, users: npt.NDArray[np.int32], n: int) -> Indices:
    """Rank each user's own candidates; ties by ascending index, candidates without a score last."""
    candidates = candidates.unique()
    rows, items = rec.user_ids.indices_of(candidates["user_id"]), rec.item_ids.indices_of(candidates["item_id"])
    known = (rows >= 0) & (items >= 0)
    rows, items = rows[known], items[known]
    scores = np.nan_to_num(rec.engine.score(rows, items, rec.sorted_by()), nan=-np.inf)
    order = np.lexsort((items, -scores, rows))
    rows, items = rows[order], items[order]
    ranks = np.arange(len(rows)) - np.searchsorted(rows, rows)
    best = np.full((len(rec.user_ids), n), -1, np.int64)
    best[rows[ranks < n], ranks[ranks < n]] = items[ranks < n]
    return best[users]


def _predicted(
    rec: Recommender, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32], mean: float
) -> tuple[npt.NDArray[np.float64], int]:
    """Return predicted ratings, and the number of known items that the model could not predict."""
    values = np.full(len(users), np.nan)
    known = items >= 0
    values[known] = rec.engine.predict(users[known], items[known])
    return np.nan_to_num(values, nan=mean), int(np.isnan(values[known]).sum())
