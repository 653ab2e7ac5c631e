"""What is asked of a fitted recommender while it is measured: the only place that calls one."""

import copy
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from reelated._threads import Progress
from reelated.models import DrawnModel, ItemItemModel
from reelated.ratings import Dataset, Ratings
from reelated.recommender import Recommender
from reelated.recommender.questions import COVERAGE

Numbers = npt.NDArray[np.float64]
PAIRS = 1_000_000
"""Pairs that are asked about at once."""


def fitted(recommender: Recommender, train: Dataset, progress: Progress | None = None) -> Recommender:
    """Return a copy that has learnt from the training data and fills no list up; the recommender is left as it is."""
    made = copy.copy(recommender)
    made.fill = None
    return made.fit(train, progress=progress)


def with_ranker(rec: Recommender, ranker: ItemItemModel) -> Recommender:
    """Return a fitted recommender with another fitted model to rank."""
    made = copy.copy(rec)
    return made._learned(rec.models_._replace(ranker=ranker), rec.catalogue_, rec.scale_, rec.ratings_)


def ratings_of(rec: Recommender) -> Ratings:
    """Return the ratings of the people asked about."""
    return rec._kept("evaluate")


def lists(rec: Recommender, n: int, progress: Progress | None = None) -> Iterator[pl.DataFrame]:
    """Yield everybody's lists, `user_id movie_id rank`, some thousand people at a time."""
    for table in rec.recommend_all(n, progress=progress):
        yield table.select("user_id", "movie_id", "rank")


def pair_scores(rec: Recommender, users: npt.NDArray[np.int32], movies: npt.NDArray[np.int32]) -> Numbers:
    """Return the number that lists fall by, of pairs of numbers; NaN where the model has nothing to go by."""
    by, (matrix, weights) = rec._by(None), rec._everybody
    scores = np.empty(len(users))
    for start in range(0, len(users), PAIRS):
        part = slice(start, start + PAIRS)
        found = rec.models_.of(by).score_pairs(matrix, users[part], movies[part], by=by, weights=weights)
        scores[part] = found[0]
    return scores


def predicted(rec: Recommender, users: npt.NDArray[np.int32], movies: npt.NDArray[np.int32]) -> Numbers:
    """Return the predicted ratings of pairs of numbers; NaN where the model has nothing to go by.

    A user of number −1 is one who has rated nothing.
    """
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
                found = rater.predict_pairs(rows, asked, movies[part][those])
                values[np.flatnonzero(those) + start] = found
    return values


def intervals(rec: Recommender, users: npt.NDArray[np.int32], movies: npt.NDArray[np.int32]) -> tuple[Numbers, Numbers]:
    """Return between which the ratings of pairs of numbers are to lie, in four of five cases.

    NaN where the model does not say: for movies or users of number −1, and everywhere if it never does.
    """
    low, high = np.full(len(users), np.nan), np.full(len(users), np.nan)
    known = np.flatnonzero((users >= 0) & (movies >= 0))
    if isinstance(rec.models_.rater, DrawnModel):
        for start in range(0, len(known), PAIRS):
            part = known[start : start + PAIRS]
            told = rec.models_.rater.predict_intervals(
                ratings_of(rec).matrix, users[part], movies[part], coverage=COVERAGE
            )
            low[part], high[part] = told
    return low, high


def audiences(
    rec: Recommender, movies: npt.NDArray[np.int32], n: int, progress: Progress | None = None
) -> npt.NDArray[np.int64]:
    """Return the users' numbers of the audience of each movie, best first, −1 where it is shorter than `n`."""
    listed = np.full((len(movies), n), -1, np.int64)
    for at, movie in enumerate(movies):
        found = rec.audience(rec.movie_ids[int(movie)], n=n)
        listed[at, : len(found)] = [rec.user_ids.index_of(row.user_id) for row in found]
        if progress:
            progress((at + 1) / len(movies))
    return listed
