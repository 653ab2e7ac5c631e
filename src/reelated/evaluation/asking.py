"""The calls that evaluation makes to a fitted recommender, in one place."""

import copy
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from reelated.models import DrawnModel, LinearItemModel
from reelated.parallel import Progress
from reelated.ratings import Dataset, Ratings
from reelated.recommender import Recommender
from reelated.recommender.questions import COVERAGE

Numbers = npt.NDArray[np.float64]
PAIRS = 1_000_000
"""Pairs scored at once; bounds the memory of a call."""


def fitted(recommender: Recommender, train: Dataset, progress: Progress | None = None) -> Recommender:
    """Return a copy fitted to the training data, without filling by popular items; the given one stays unchanged."""
    made = copy.copy(recommender)
    made.fill_with_popular = False
    return made.fit(train, progress=progress)


def with_ranker(rec: Recommender, ranker: LinearItemModel) -> Recommender:
    """Return a copy of a fitted recommender with another fitted ranker."""
    made = copy.copy(rec)
    return made._learned(rec.models_._replace(ranker=ranker), rec.catalogue_, rec.scale_, rec.ratings_)


def ratings_of(rec: Recommender) -> Ratings:
    """Return the ratings that the recommender answers from."""
    return rec._kept("evaluate")


def lists(rec: Recommender, n: int, progress: Progress | None = None) -> Iterator[pl.DataFrame]:
    """Yield the lists of all users in batches, as `user_id item_id rank`."""
    for table in rec.recommend_batch(n, progress=progress):
        yield table.select("user_id", "item_id", "rank")


def pair_scores(rec: Recommender, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32]) -> Numbers:
    """Return the number that lists are sorted by, for pairs of indices; NaN where the model has none."""
    by, (matrix, weights) = rec._by(None), rec._everybody
    scores = np.empty(len(users))
    for start in range(0, len(users), PAIRS):
        part = slice(start, start + PAIRS)
        found = rec.models_.of(by).score_pairs(matrix, users[part], items[part], by=by, weights=weights)
        scores[part] = found[0]
    return scores


def predicted(rec: Recommender, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32]) -> Numbers:
    """Return predicted ratings of pairs of indices; NaN where the model has none. User −1 has no ratings."""
    matrix, rater = ratings_of(rec).matrix, rec.models_.rater
    if rater is None:
        return np.full(len(users), np.nan)
    nobody = sp.csr_array((1, matrix.shape[1]), dtype=matrix.dtype)
    values = np.empty(len(users))
    for start in range(0, len(users), PAIRS):
        part = slice(start, start + PAIRS)
        known = users[part] >= 0
        for rows, those in ((matrix, known), (nobody, ~known)):
            if those.any():
                asked = np.where(known, users[part], 0)[those]
                found = rater.predict_pairs(rows, asked, items[part][those])
                values[np.flatnonzero(those) + start] = found
    return values


def intervals(rec: Recommender, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32]) -> tuple[Numbers, Numbers]:
    """Return 80 % prediction intervals; NaN for unknown users or items (−1) and for models without intervals."""
    low, high = np.full(len(users), np.nan), np.full(len(users), np.nan)
    known = np.flatnonzero((users >= 0) & (items >= 0))
    if isinstance(rec.models_.rater, DrawnModel):
        for start in range(0, len(known), PAIRS):
            part = known[start : start + PAIRS]
            told = rec.models_.rater.predict_intervals(ratings_of(rec).matrix, users[part], items[part], level=COVERAGE)
            low[part], high[part] = told
    return low, high


def audience_batch(
    rec: Recommender, items: npt.NDArray[np.int32], n: int, progress: Progress | None = None
) -> npt.NDArray[np.int64]:
    """Return the user indices of each item's audience, best first, padded with −1."""
    listed = np.full((len(items), n), -1, np.int64)
    for at, item in enumerate(items):
        found = rec.audience(rec.item_ids[int(item)], n=n)
        listed[at, : len(found)] = [rec.user_ids.index_of(row.user_id) for row in found]
        if progress:
            progress((at + 1) / len(items))
    return listed
