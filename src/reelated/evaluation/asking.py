"""What is asked of a fitted recommender while it is measured: the only place that calls one."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from reelated._threads import Progress
from reelated.ratings import Dataset, Ratings
from reelated.recommender import Recommender

Numbers = npt.NDArray[np.float64]
PAIRS = 1_000_000
"""Pairs that are asked about at once."""


def fitted(recommender: Recommender, train: Dataset, progress: Progress | None = None) -> Recommender:
    """Return a copy that has learnt from the training data and fills no list up; the recommender is left as it is."""
    made = copy.copy(recommender)
    made.fill = None
    return made.fit(train, progress=progress)


def for_others(rec: Recommender, shown: Ratings) -> Recommender:
    """Return the same fitted models for other people; movies that the models do not know are no evidence."""
    columns = rec.movie_ids.indices_of(shown.movie_ids.values)[shown.matrix.indices]
    known, users = columns >= 0, np.repeat(np.arange(shown.matrix.shape[0]), np.diff(shown.matrix.indptr))
    indptr = np.concatenate([[0], np.cumsum(np.bincount(users[known], minlength=shown.matrix.shape[0]))])
    shape = (len(shown.user_ids), len(rec.movie_ids))
    matrix = sp.csr_array((shown.matrix.data[known], columns[known], indptr.astype(np.int32)), shape=shape)
    matrix.has_canonical_format = True  # both kinds of ids ascend, so the columns still do
    times = (None if values is None else values[known] for values in (shown.timestamps, shown.order))
    made = copy.copy(rec)
    made.ratings_ = Ratings(shown.user_ids, rec.movie_ids, matrix, shown.scale, *times)
    made.__dict__.pop("_by_item", None)
    return made


def ratings_of(rec: Recommender) -> Ratings:
    """Return the ratings of the people asked about."""
    return rec._kept("evaluate")


def lists(rec: Recommender, n: int, progress: Progress | None = None) -> Iterator[pl.DataFrame]:
    """Yield everybody's lists, `user_id movie_id rank`, some thousand people at a time."""
    for table in rec.recommend_all(n, progress=progress):
        yield table.select("user_id", "movie_id", "rank")


def lists_of_model(model: Any, rows: sp.csr_array, n: int) -> npt.NDArray[np.int64]:
    """Return the lists that a model alone makes of rows of ratings, in numbers, −1 after their end."""
    top = model.recommend(rows, n)
    lengths = np.diff(top.indptr)
    listed = np.full((rows.shape[0], n), -1, np.int64)
    listed[np.arange(n) < lengths[:, None]] = top.items
    return listed


def pair_scores(rec: Recommender, users: npt.NDArray[np.int32], movies: npt.NDArray[np.int32]) -> Numbers:
    """Return the number that lists fall by, of pairs of numbers; NaN where the model has nothing to go by."""
    by = rec._by(None)
    scores = np.empty(len(users))
    for start in range(0, len(users), PAIRS):
        part = slice(start, start + PAIRS)
        matrix = ratings_of(rec).matrix
        scores[part] = rec.models_.of(by).score_pairs(matrix, users[part], movies[part], by=by)[0]
    return scores


def predicted(rec: Recommender, users: npt.NDArray[np.int32], movies: npt.NDArray[np.int32]) -> Numbers:
    """Return the predicted ratings of pairs of numbers; NaN where the model has nothing to go by.

    A user of number −1 is one who has rated nothing.
    """
    matrix = ratings_of(rec).matrix
    nobody = sp.csr_array((1, matrix.shape[1]), dtype=matrix.dtype)
    values = np.empty(len(users))
    for start in range(0, len(users), PAIRS):
        part = slice(start, start + PAIRS)
        known = users[part] >= 0
        for rows, those in ((matrix, known), (nobody, ~known)):
            if those.any():
                asked = np.where(known, users[part], 0)[those]
                found = rec.models_.rater.score_pairs(rows, asked, movies[part][those], by="rating")[0]
                values[np.flatnonzero(those) + start] = found
    return values


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
