"""Lists with headings: items for a user, users for an item, similar items, and tables of several lists."""

from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.errors import InputError, plural_of, shorten
from reelated.models.contracts import By
from reelated.ratings import Ids, Scale
from reelated.ratings.columns import RATING_ALIASES, named
from reelated.ratings.frames import as_polars
from reelated.ratings.ids import as_ids
from reelated.recommender.audience import audience_rows
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.engine import AUDIENCE_NAMES, NAMES, AudienceBy, Batch, Engine
from reelated.recommender.explanation import item_rows, sources
from reelated.recommender.query import Query
from reelated.recommender.recommendations import Recommendations
from reelated.recommender.rows import ItemRow, SimilarRow, Truncation, UserRow
from reelated.recommender.state import State


def sorted_by(rec: State, by: AudienceBy | None = None, *, users: bool = False) -> Any:
    """Return the name of the number that a list of items or users is sorted by; by default the recommender's own."""
    rec.fitted  # noqa: B018
    if by is None:
        by = "adjusted_score" if users and rec.by == "score" else rec.by
    return rec.models_.checked_by(by, AUDIENCE_NAMES if users else NAMES)


def item_list(
    rec: State, query: Query, n: int, by: By, mask: npt.NDArray[np.bool_], genres: list[str] | None
) -> Recommendations[ItemRow]:
    """Return the list of one user, from the items of the mask."""
    catalogue = rec.catalogue_
    batch = rec.engine.answer(query.rows, n, by, mask, fill_from(rec), explain=True)
    rows = item_rows(batch, query, catalogue, rating_scale(rec))
    left = 0 if len(rows) == n else int(mask.sum()) - int(mask[query.row.indices].sum()) - len(rows)
    user = "you" if query.user_id is None else f"user {shorten(query.user_id)}"
    heading = f"{plural_of(rec.noun_).capitalize()} for {user}, by {NAMES[by]}"
    short = truncation(n, len(rows), left, catalogue.has_unknown_genres(genres))
    return Recommendations(rows, heading, ItemRow, short, because(rec), query.unknown, rec.noun_)


def audience_list(rec: State, item: int, n: int, by: AudienceBy, user_ids: Ids) -> Recommendations[UserRow]:
    catalogue, rows = rec.catalogue_, audience_rows(rec.engine, item, n, by, user_ids)
    left = len(user_ids) - int(catalogue.counts[item]) - len(rows)
    heading = f"Users for {catalogue.title(item)}, by {AUDIENCE_NAMES[by]}{catalogue.cold_start_note(item)}"
    return Recommendations(rows, heading, UserRow, truncation(n, len(rows), left))


def similar_list(
    rec: State, item: int, n: int, mask: npt.NDArray[np.bool_], genres: list[str] | None
) -> Recommendations[SimilarRow]:
    """Return the list of the items of the mask that are most similar to an item."""
    catalogue, rows = rec.catalogue_, similar_rows(rec.models_.linear, rec.catalogue_, item, n, mask)
    left = int(mask.sum()) - int(mask[item]) - len(rows)
    heading = f"{plural_of(rec.noun_).capitalize()} similar to {catalogue.title(item)}, by similarity"
    heading += catalogue.cold_start_note(item)
    short = truncation(n, len(rows), left, catalogue.has_unknown_genres(genres))
    return Recommendations(rows, heading, SimilarRow, short, because(rec), noun=rec.noun_)


def because(rec: State) -> str:
    """Return the words that a reason begins with; for events, they have the verb of the data."""
    return f"because you {rec.verb_ or 'have'}" if rec.is_events else "because you rated"


def fill_from(rec: State) -> npt.NDArray[np.int64] | None:
    """Return the items that fill short lists, the most popular first, or None."""
    return rec.catalogue_.by_popularity if rec.fill_with_popular else None


def rating_scale(rec: State) -> Scale | None:
    """Return the scale on which users rate; None for implicit feedback."""
    return None if rec.is_events else rec.scale_


def user_indices(user_ids: Ids, users: list[Any]) -> npt.NDArray[np.int64]:
    """Return the rows of some users, or raise `InputError` for one without ratings."""
    if not users:
        raise InputError("expected one user or more.", parameter="users", value=users)
    return np.array([user_ids.index_of(user) for user in users], np.int64)


def pairs_table(engine: Engine, pairs: Any, user_ids: Ids, catalogue: Catalogue) -> pl.DataFrame:
    """Return the predicted ratings of pairs of user and item with their intervals."""
    aliases = {name: RATING_ALIASES[name] for name in ("user_id", "item_id")}
    table = named(as_polars(pairs, "pairs"), aliases, required=("user_id", "item_id"))
    indices = []
    for kind, ids in (("user", user_ids), ("item", catalogue.item_ids)):
        values = as_ids(table[f"{kind}_id"], kind)
        indices.append(ids.indices_of(values.cast(ids.values.dtype, strict=False)).astype(np.int64))
    users, items = indices
    known = items >= 0
    predicted = np.full(len(table), np.nan)
    predicted[known] = engine.predict(users[known], items[known])
    numbers = dict(zip(("low", "high"), engine.intervals(users, items), strict=True))
    return table.with_columns(
        pl.Series(name, values).fill_nan(None) for name, values in {"predicted_rating": predicted, **numbers}.items()
    )


def batch_table(batch: Batch, user_ids: pl.Series, catalogue: Catalogue) -> pl.DataFrame:
    lengths = np.diff(batch.indptr)
    users = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    rank = np.arange(len(users)) - np.repeat(batch.indptr[:-1], lengths) + 1
    return pl.DataFrame(
        {
            "user_id": user_ids.gather(users),
            "item_id": catalogue.item_ids.take(batch.items),
            "title": pl.Series(catalogue.titles, dtype=pl.String).gather(batch.items),
            "rank": rank.astype(np.int32),
            "score": pl.Series(np.where(batch.is_popular, np.nan, batch.scores)).fill_nan(None),
            "predicted_rating": pl.Series(batch.ratings).fill_nan(None),
            "n_neighbors_used": batch.n_neighbors_used,
            "source": sources(batch, catalogue),
        }
    )


def truncation(wanted: int, got: int, left: int, unknown_genre: bool = False) -> Truncation | None:
    """Return the reason for a short list, or None; `left` candidates are not on the list."""
    if got >= wanted:
        return None
    if unknown_genre:
        return Truncation(wanted, got, "unknown_genre")
    return Truncation(wanted, got, "no_neighbours" if left > 0 else "no_candidates_left")


def similar_rows(model: Any, catalogue: Catalogue, item: int, n: int, mask: npt.NDArray[np.bool_]) -> list[SimilarRow]:
    """Return the `n` most similar items of the mask, ties in ascending item index."""
    part = slice(*model.item_weights_.indptr[item : item + 2])
    items, values = model.item_weights_.indices[part], model.item_weights_.data[part]
    common = model.n_common_.data[part]
    order = np.lexsort((items, -values))
    order = order[mask[items[order]]][:n]
    listed = zip(*(column[order].tolist() for column in (items, values, common)), strict=True)
    return [
        SimilarRow(rank, **catalogue.row(item), similarity=similarity, common_raters=n_raters)
        for rank, (item, similarity, n_raters) in enumerate(listed, 1)
    ]


def neighbor_table(item_ids: Ids, model: Any) -> pl.DataFrame:
    """Return an item–item matrix as a table of pairs."""
    weights, common = model.item_weights_, model.n_common_
    rows = np.repeat(np.arange(len(item_ids)), np.diff(weights.indptr))
    return pl.DataFrame(
        {
            "item_id": item_ids.take(rows),
            "neighbor_id": item_ids.take(weights.indices),
            "similarity": weights.data,
            "common_raters": common.data,
        }
    )
