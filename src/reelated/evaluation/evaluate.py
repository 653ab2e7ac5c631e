"""`evaluate`: fit a recommender to the training part, rank and predict the hidden part, and compute the metrics."""

import copy
from collections.abc import Sequence
from time import perf_counter
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.errors import InputError, check_choice, check_integer, check_number
from reelated.evaluation import scoring
from reelated.evaluation.result import Evaluation
from reelated.evaluation.scoring import RELEVANCE, HoldOut, Indices, MetricValues, Numbers, SplitResult
from reelated.evaluation.splits import Split, check_splits
from reelated.parallel import Progress, part_of
from reelated.ratings import Dataset, Ratings
from reelated.recommender import Recommender
from reelated.recommender.lists import sorted_by

Target = Literal["items", "users"]


def evaluate(
    recommender: Recommender,
    split: Split | Sequence[Split],
    n: int | Sequence[int] = 10,
    *,
    target: Target = "items",
    liked: float | Literal["mean"] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Fit a recommender to the training part of a split and measure it on the hidden part.

    Lists hold only what the model ranks: they are not filled with popular items, and leave out the items that the user
    has rated in the training part. Every hidden rating is relevant for `any`, only those of liked items for `liked`.
    Users without a relevant item are left out of that mean, and counted. An item that is unknown to the model cannot be
    listed and counts as missed. Where a model cannot predict a rating, the mean training rating is used. Events, and
    data whose ratings are all equal, have no `liked` and no errors of predicted ratings; a recommender without a rater
    has no errors of predicted ratings.

    Parameters
    ----------
    recommender : Recommender
        Fitted or not: a copy is fitted, and the recommender itself is not changed.
    split : Split, or several
        From `reelated.evaluation`, such as `within_users(data)`. Metrics of several splits are means over the splits.
    n : int or sequence of int, default 10
        Length of the lists; with several, metrics are computed for each.
    target : {"items", "users"}, default "items"
        What is ranked: items for each user, or users for each item (the audience).
    liked : float, "mean" or None, default None
        The lowest rating of a liked item; "mean": above the user's own mean. None: three quarters of the scale (4 on a
        scale of 1 to 5), or "mean" where fewer than 1 % of the ratings reach that.
    progress : callable, optional
        Called with the completed fraction, from 0 to 1.

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
    splits, cutoffs = check_splits(split), _check_cutoffs(n)
    check_choice("target", target, ("items", "users"))
    if liked is not None and liked != "mean":
        liked = check_number("liked", liked)
    has_scale = not all(part.train.ratings.has_no_scale for part in splits)
    relevance = RELEVANCE if has_scale else RELEVANCE[:1]
    options = _MetricOptions(cutoffs, target, liked, relevance, errors=has_scale and recommender.rater is not None)
    parts = [
        _evaluate_split(recommender, part, options, part_of(progress, index, len(splits)))
        for index, part in enumerate(splits)
    ]
    train, rule = splits[0].train, None
    if has_scale:
        rule = scoring.liked_mask(splits[0].test.head(0), train.ratings, liked)[1]
    return Evaluation(train.name, splits[0].how, target, rule, tuple(parts), repr(recommender))


def _check_cutoffs(n: Any) -> list[int]:
    """Return the lengths of the lists in ascending order."""
    cutoffs = [n] if isinstance(n, (int, np.integer)) else n
    if isinstance(cutoffs, str) or not isinstance(cutoffs, Sequence) or not len(cutoffs):
        raise InputError("expected an integer of 1 or more, or several.", parameter="n", value=n)
    return sorted(check_integer("n", cutoff, 1) for cutoff in cutoffs)


class _MetricOptions(NamedTuple):
    """The metrics that are computed for every split."""

    cutoffs: list[int]
    target: Target
    liked: Any
    relevance: tuple[str, ...]  # only "any" for events and equal ratings
    errors: bool  # whether errors of predicted ratings are computed


def _evaluate_split(
    recommender: Recommender, split: Split, options: _MetricOptions, progress: Progress | None
) -> SplitResult:
    start = perf_counter()
    rec = fit_copy(recommender, split.train, part_of(progress, 0, 2))
    seconds = perf_counter() - start
    if split.shown is not None:
        rec = rec.with_ratings(split.shown)
    shown, test, train = rec.kept_ratings(), split.test, split.train.ratings.onto(rec.item_ids)
    is_liked, _ = scoring.liked_mask(test, shown, options.liked)
    raters = np.bincount(train.matrix.indices, minlength=len(rec.item_ids))
    if options.target == "items":
        hidden = scoring.hold_out(test["user_id"], test["item_id"], rec.item_ids, is_liked)
        shares = np.maximum(raters, 0.5) / len(train.user_ids)  # 0.5 keeps the novelty of an unrated item finite
    else:
        hidden = scoring.hold_out(test["item_id"], test["user_id"], rec.user_ids, is_liked)
        shares = np.diff(shown.matrix.indptr) / len(rec.item_ids)
    lists, able = lists_for(rec, split, hidden, options.cutoffs[-1], options.target, part_of(progress, 1, 2))
    values, overall = scoring.score_lists(lists, able, hidden, options.cutoffs, options.relevance), {}
    if split.candidates is None:  # with candidates, the metrics of all lists would depend on them
        values, overall = [*values, scoring.score_novelty(lists, shares)], scoring.score_overall(lists, len(shares))
    errors, bins, unpredicted = _score_ratings(rec, train, test, hidden)
    if not options.errors:
        errors, bins, unpredicted = [], bins.clear(), 0
    missing = scoring.missing_data(test, train, shown, unpredicted)
    found = scoring.bin_hits(lists, able, hidden, _known(rec, hidden, raters, options.target))
    return SplitResult(hidden.entities, (*values, *errors), overall, bins, found, missing, seconds)


def _known(rec: Recommender, hidden: HoldOut, raters: Indices, target: Target) -> tuple[Indices, Indices]:
    """Return the numbers of known ratings of each entity with a list, and of each hidden entry."""
    activity = np.diff(rec.kept_ratings().matrix.indptr)
    ids, own, other = (rec.user_ids, activity, raters) if target == "items" else (rec.item_ids, raters, activity)
    entities = ids.indices_of(hidden.entities)
    return np.where(entities >= 0, own[entities], 0), np.where(hidden.partners >= 0, other[hidden.partners], 0)


def _score_ratings(
    rec: Recommender, train: Ratings, test: pl.DataFrame, hidden: HoldOut
) -> tuple[list[MetricValues], pl.DataFrame, int]:
    """Return the errors of predicted ratings, the same in bins, and the number of items without a prediction."""
    shown, ratings = rec.kept_ratings(), test["rating"].to_numpy().astype(np.float64)
    users, items = shown.user_ids.indices_of(test["user_id"]), rec.item_ids.indices_of(test["item_id"])
    predicted, unpredicted = predict(rec, users, items, float(train.matrix.data.mean(dtype=np.float64)))
    raters = np.bincount(train.matrix.indices, minlength=len(rec.item_ids))
    counts = {
        "item": np.where(items >= 0, raters[items], 0),
        "user": np.where(users >= 0, np.diff(shown.matrix.indptr)[users], 0),
    }
    values = [
        *scoring.score_predictions(hidden.rows, len(hidden.entities), predicted, ratings),
        *scoring.score_intervals(hidden.rows, len(hidden.entities), rec.engine.intervals(users, items), ratings),
    ]
    return values, scoring.bin_errors(predicted, ratings, counts, train.scale), unpredicted


def fit_copy(recommender: Recommender, train: Dataset, progress: Progress | None = None) -> Recommender:
    """Return a copy fitted to the training data that does not fill lists; the recommender itself is not changed."""
    rec = copy.copy(recommender)
    rec.fill_with_popular = False
    return rec.fit(train, progress=progress)


def lists_for(
    rec: Recommender, split: Split, hidden: HoldOut, n: int, target: Target, progress: Progress | None = None
) -> tuple[Indices, npt.NDArray[np.bool_]]:
    """Return the list of each entity as indices, padded with −1, and which entities can have one."""
    indices = (rec.user_ids if target == "items" else rec.item_ids).indices_of(hidden.entities)
    able = indices >= 0
    lists = np.full((len(able), n), -1, np.int64)
    if target == "users":
        lists[able] = _audiences(rec, indices[able], n, progress)
    elif split.candidates is not None:
        lists[able] = _rank_candidates(rec, split.candidates, indices[able], n)
    else:
        lists[able] = _recommend_all(rec, n, progress)[indices[able]]
    return lists, able


def _recommend_all(rec: Recommender, n: int, progress: Progress | None) -> Indices:
    """Return the item indices of each user's list, padded with −1."""
    lists = np.full((len(rec.user_ids), n), -1, np.int64)
    for table in rec.recommend_batch(n, progress=progress):
        rows = rec.user_ids.indices_of(table["user_id"])
        lists[rows, table["rank"].to_numpy() - 1] = rec.item_ids.indices_of(table["item_id"])
    return lists


def _audiences(rec: Recommender, items: npt.NDArray[np.int32], n: int, progress: Progress | None) -> Indices:
    """Return the user indices of each item's audience, best first, padded with −1."""
    lists = np.full((len(items), n), -1, np.int64)
    for row, item in enumerate(items):
        audience = rec.audience(rec.item_ids[int(item)], n=n)
        lists[row, : len(audience)] = [rec.user_ids.index_of(member.user_id) for member in audience]
        if progress:
            progress((row + 1) / len(items))
    return lists


def _rank_candidates(rec: Recommender, candidates: pl.DataFrame, users: npt.NDArray[np.int32], n: int) -> Indices:
    """Rank each user's own candidates; ties by ascending index, candidates without a score last."""
    candidates = candidates.unique()
    rows, items = rec.user_ids.indices_of(candidates["user_id"]), rec.item_ids.indices_of(candidates["item_id"])
    known = (rows >= 0) & (items >= 0)
    rows, items = rows[known], items[known]
    scores = np.nan_to_num(rec.engine.score(rows, items, sorted_by(rec)), nan=-np.inf)
    order = np.lexsort((items, -scores, rows))
    rows, items = rows[order], items[order]
    ranks = np.arange(len(rows)) - np.searchsorted(rows, rows)
    lists = np.full((len(rec.user_ids), n), -1, np.int64)
    lists[rows[ranks < n], ranks[ranks < n]] = items[ranks < n]
    return lists[users]


def predict(
    rec: Recommender, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32], mean: float
) -> tuple[Numbers, int]:
    """Return predicted ratings, and the number of known items that the model could not predict."""
    values, known = np.full(len(users), np.nan), items >= 0
    values[known] = rec.engine.predict(users[known], items[known])
    return np.nan_to_num(values, nan=mean), int(np.isnan(values[known]).sum())
