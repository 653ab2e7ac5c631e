"""Lists of several users as one table, and the reason for a short list."""

from math import isnan
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.ratings import Ids
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.engine import Batch
from reelated.recommender.rows import Truncation


def batch_table(batch: Batch, user_ids: Ids, first: int, catalogue: Catalogue) -> pl.DataFrame:
    """Return the lists of consecutive users, beginning with index `first`, as one table."""
    lengths = np.diff(batch.indptr)
    users = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    rank = np.arange(len(users)) - np.repeat(batch.indptr[:-1], lengths) + 1
    return pl.DataFrame(
        {
            "user_id": user_ids.take(first + users),
            "item_id": catalogue.item_ids.take(batch.items),
            "title": pl.Series(catalogue.titles, dtype=pl.String).gather(batch.items),
            "rank": rank.astype(np.int32),
            "score": pl.Series(np.where(batch.is_popular, np.nan, batch.scores)).fill_nan(None),
            "predicted_rating": pl.Series(batch.ratings).fill_nan(None),
            "n_neighbors_used": batch.n_neighbors_used,
            "source": sources(batch, catalogue),
        }
    )


def sources(batch: Batch, catalogue: Catalogue) -> npt.NDArray[np.str_]:
    """Return the source of each row; an item without ratings is recommended by its genres and year."""
    rated = np.where(batch.is_popular, "popular", "model")
    return np.where(catalogue.counts[batch.items] > 0, rated, "side_info")


def known(value: Any) -> float | None:
    """Return a plain float, or None for NaN."""
    return None if isnan(value) else float(value)


def truncation(wanted: int, got: int, left: int, unknown_genre: bool = False) -> Truncation | None:
    """Return why a list is shorter than wanted, if it is; `left` candidates are not on it."""
    if got >= wanted:
        return None
    if unknown_genre:
        return Truncation(wanted, got, "unknown_genre")
    return Truncation(wanted, got, "no_neighbours" if left > 0 else "no_candidates_left")
