"""The calls that evaluation makes to a fitted recommender, in one place."""

import copy
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated._threads import Progress
from reelated.models import Ranker
from reelated.ratings import Dataset
from reelated.recommender import Recommender


def fitted(recommender: Recommender, train: Dataset, progress: Progress | None = None) -> Recommender:
    """Return a copy fitted to the training data, without filling by popular items; the given one stays unchanged."""
    made = copy.copy(recommender)
    made.fill_with_popular = False
    return made.fit(train, progress=progress)


def with_ranker(rec: Recommender, ranker: Ranker) -> Recommender:
    """Return a copy of a fitted recommender with another fitted ranker."""
    made = copy.copy(rec)
    return made.set_fitted(rec.models_._replace(ranker=ranker), rec.catalogue_, rec.scale_, rec.ratings_)


def lists(rec: Recommender, n: int, progress: Progress | None = None) -> Iterator[pl.DataFrame]:
    """Yield the lists of all users in batches, as `user_id item_id rank`."""
    for table in rec.recommend_batch(n, progress=progress):
        yield table.select("user_id", "item_id", "rank")


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
