"""`FittedRecommender`: what a recommender answers once it is fitted."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, overload

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.errors import (
    Advice,
    DataWarning,
    InputError,
    check_choice,
    check_integer,
    no_users,
    plural_of,
    shorten,
)
from reelated.models.biases import clipped
from reelated.models.contracts import By
from reelated.models.estimator import Estimator
from reelated.parallel import Progress
from reelated.ratings import Feedback, Ids, Ratings, Scale
from reelated.recommender.audience import AudienceBy, assign_with_cap, audience_of, audience_table
from reelated.recommender.catalogue import Catalogue, check_list
from reelated.recommender.defaults import no_rater
from reelated.recommender.engine import Engine, Models, WeightedRows
from reelated.recommender.explanation import Explanation, explain, item_rows
from reelated.recommender.listing import batch_table, known, truncation
from reelated.recommender.query import Query, one_row, query_of_ratings, query_of_user
from reelated.recommender.recency import ages_of, recency_weights
from reelated.recommender.recommendations import Recommendations
from reelated.recommender.rows import ItemRow, Prediction, SearchHit, SimilarRow, UserRow

NAMES = {"score": "score", "rating": "predicted rating"}
AUDIENCE_NAMES = NAMES | {"adjusted_score": "adjusted score"}
CHUNK = 4096
"""Users whose lists are made at once by `recommend_batch`."""


class FittedRecommender(Estimator):
    """The answers of a fitted `Recommender`, which adds fitting, saving and loading."""

    by: By
    fill_with_popular: bool
    recency_half_life: float | None
    recency_floor: float
    models_: Models
    catalogue_: Catalogue
    scale_: Scale
    ratings_: Ratings | None
    feedback_: Feedback
    name_: str
    noun_: str
    notes_: tuple[str, ...]

    # --------------------------------------------------------------------------------- what a fit learned
    @property
    def item_ids(self) -> Ids:
        """The items that the models know, ascending."""
        return self._fitted.item_ids

    @property
    def user_ids(self) -> Ids:
        """The users whose ratings are kept, ascending."""
        return self.kept_ratings().user_ids

    @cached_property
    def engine(self) -> Engine:
        """The numeric engine: indices instead of ids, arrays instead of rows."""
        everyone = (
            None if self.ratings_ is None else WeightedRows(self.ratings_.matrix, self._weights_of(self.ratings_))
        )
        return Engine(self.models_, everyone)

    def kept_ratings(self) -> Ratings:
        """Return the ratings of the users.

        Returns
        -------
        Ratings

        Raises
        ------
        InputError
            The model was saved without ratings.
        """
        self._fitted  # noqa: B018
        if self.ratings_ is None:
            raise no_users()
        return self.ratings_

    @property
    def _fitted(self) -> Catalogue:
        if not hasattr(self, "catalogue_"):
            raise InputError("This Recommender is not fitted yet: call fit(data) or Recommender.load(path) first.")
        return self.catalogue_

    def _weights_of(self, ratings: Ratings) -> npt.NDArray[np.float32] | None:
        ages = None if self.recency_half_life is None else ratings.ages()
        if ages is None or self.recency_half_life is None:
            return None
        return recency_weights(ages, self.recency_half_life, self.recency_floor)

    # ------------------------------------------------------------------------------------------- the user
    def query(
        self,
        items: npt.NDArray[Any],
        ratings: npt.NDArray[np.float32],
        times: npt.NDArray[np.int64] | None = None,
        user_id: Any = None,
    ) -> Query:
        """Return a user whose ratings are kept elsewhere, to be passed as `ratings`.

        Parameters
        ----------
        items : ndarray of int
            Indices of the rated items, ascending.
        ratings : ndarray of float32
            The ratings, parallel to `items`.
        times : ndarray of int64, optional
            Times of the ratings, for their weights; without them all count equally.
        user_id : int or str, optional
            The user's id, for headings.

        Returns
        -------
        Query
        """
        weights = None
        if self.recency_half_life is not None and times is not None:
            weights = recency_weights(ages_of(times), self.recency_half_life, self.recency_floor)
        return Query(one_row(items, ratings, len(self.item_ids)), user_id, weights)

    def new_user(self, ratings: Mapping[Any, float]) -> Query:
        """Return a new user with these ratings, to be passed as `ratings` in several calls.

        Parameters
        ----------
        ratings : mapping of item id to rating
            Items that the model does not know are left out.

        Returns
        -------
        Query
        """
        return query_of_ratings(ratings, self._fitted, self.scale_)

    def _query(self, user_id: Any, ratings: Mapping[Any, float] | Query | None) -> Query:
        if isinstance(ratings, Query):
            return ratings
        if (user_id is None) == (ratings is None):
            raise InputError("Pass one of user_id=… (a user of the data) and ratings={item_id: rating} (a new user).")
        if ratings is None:
            kept = self.kept_ratings()
            return query_of_user(kept, user_id, self.engine.all_users.weights)
        return self.new_user(ratings)

    def _warned_query(self, user_id: Any, ratings: Mapping[Any, float] | Query | None) -> Query:
        """Return the query of an answer that is no list: a warning names the items that are left out."""
        query = self._query(user_id, ratings)
        if query.unknown:
            listed = ", ".join(map(shorten, query.unknown[:10]))
            warnings.warn(f"ratings: left out items not in the model: {listed}.", DataWarning, stacklevel=3)
        return query

    def sorted_by(self, by: By | None = None) -> By:
        """Return the number that a list is sorted by.

        Parameters
        ----------
        by : {"score", "rating"}, optional
            The number asked for; by default the recommender's own. Without a ranker it is always "rating".

        Returns
        -------
        {"score", "rating"}
        """
        self._fitted  # noqa: B018
        by = check_choice("by", self.by if by is None else by, NAMES)
        return self._with_rater(by) if by == "rating" else "rating" if self.models_.ranker is None else by

    def audience_sorted_by(self, by: AudienceBy | None = None) -> AudienceBy:
        """Return the number that a list of users is sorted by.

        Parameters
        ----------
        by : {"adjusted_score", "score", "rating"}, optional
            The number asked for.

        Returns
        -------
        {"adjusted_score", "score", "rating"}
        """
        if by is None:
            return "adjusted_score" if self.sorted_by() == "score" else "rating"
        by = check_choice("by", by, AUDIENCE_NAMES)
        return self._with_rater(by) if by == "rating" else "rating" if self.models_.ranker is None else by

    def _with_rater(self, by: Any) -> Any:
        if self.models_.rater is None:
            raise no_rater()
        return by

    @property
    def _rating_scale(self) -> Scale | None:
        """The scale on which users rate; None for implicit feedback."""
        return None if self.feedback_ == "implicit" else self.scale_

    @property
    def _because(self) -> str:
        return "because you have" if self.feedback_ == "implicit" else "because you rated"

    @property
    def _nouns(self) -> str:
        return plural_of(self.noun_).capitalize()

    # ------------------------------------------------------------------------------------------- answers
    @overload
    def recommend(
        self,
        user_id: Any = None,
        *,
        ratings: Mapping[Any, float] | Query | None = None,
        n: int = 10,
        by: By | None = None,
        genres: str | Iterable[str] | None = None,
        years: int | tuple[int, int] | None = None,
        exclude: Iterable[Any] | None = None,
    ) -> Recommendations[ItemRow]: ...
    @overload
    def recommend(self, *, item_id: Any, n: int = 10, by: AudienceBy | None = None) -> Recommendations[UserRow]: ...
    def recommend(
        self,
        user_id: Any = None,
        *,
        item_id: Any = None,
        ratings: Mapping[Any, float] | Query | None = None,
        n: int = 10,
        by: AudienceBy | None = None,
        genres: str | Iterable[str] | None = None,
        years: int | tuple[int, int] | None = None,
        exclude: Iterable[Any] | None = None,
    ) -> Recommendations[ItemRow] | Recommendations[UserRow]:
        """Recommend items to a user or a new user; or, given an item, users (see `audience`).

        Parameters
        ----------
        user_id : int or str, optional
            A user of the data.
        item_id : int or str, optional
            An item: the result is then the users who have not rated it and have the highest score for it.
        ratings : mapping of item id to rating, or Query, optional
            The ratings of a new user, or the latest of a known one; no refit is needed. Items that the model does not
            know are left out; `unknown` of the result names them.
        n : int, default 10
            Number of rows.
        by : {"score", "rating"}, optional
            The number that rows are sorted by; by default the recommender's own. Lists of users also have
            "adjusted_score".
        genres : str or iterable of str, optional
            Only items of any of these genres; none if no item has one of them.
        years : int or (int, int), optional
            Only items of these years, both ends included.
        exclude : iterable of item ids, optional
            Items to leave out; ids that the model does not know are ignored.

        Returns
        -------
        Recommendations of ItemRow, or of UserRow if `item_id` is given

        Raises
        ------
        UnknownId
            There is no such user, or no such `item_id`.
        InputError
            An argument is invalid.
        """
        if item_id is not None:
            given = {"user_id": user_id, "ratings": ratings, "genres": genres, "years": years, "exclude": exclude}
            if extra := [name for name, value in given.items() if value is not None]:
                raise InputError(
                    f"recommend(item_id=…) lists users and does not take {extra[0]}.", remedy=Advice.SIMILAR
                )
            return self.audience(item_id, n=n, by=by)
        query, by = self._query(user_id, ratings), self.sorted_by(by)  # type: ignore[arg-type]
        n, genres = check_integer("n", n, 1), None if genres is None else check_list("genres", genres)
        mask = self.catalogue_.allowed(genres, years, exclude)
        batch = self.engine.answer(query.rows, n, by, mask, self._fill_from, explain=True)
        rows = item_rows(batch, query, self.catalogue_, self._rating_scale)
        left = 0 if len(rows) == n else int(mask.sum()) - int(mask[query.row.indices].sum()) - len(rows)
        user = "you" if query.user_id is None else f"user {shorten(query.user_id)}"
        heading = f"{self._nouns} for {user}, by {NAMES[by]}"
        short = truncation(n, len(rows), left, self._has_unknown_genres(genres))
        return Recommendations(rows, heading, ItemRow, short, self._because, query.unknown, self.noun_)

    @property
    def _fill_from(self) -> npt.NDArray[np.int64] | None:
        return self.catalogue_.by_popularity if self.fill_with_popular else None

    def _has_unknown_genres(self, genres: str | Iterable[str] | None) -> bool:
        """Return whether no item has any of the genres."""
        return genres is not None and not self.catalogue_.split_genres(genres)[0]

    def recommend_batch(
        self,
        n: int = 10,
        *,
        by: By | None = None,
        genres: str | Iterable[str] | None = None,
        years: int | tuple[int, int] | None = None,
        exclude: Iterable[Any] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Recommend items to all users of the data, some thousand users at a time.

        Parameters
        ----------
        n, by, genres, years, exclude
            As for `recommend`.
        progress : callable, optional
            Called with the fraction done.

        Yields
        ------
        polars.DataFrame
            `user_id item_id title rank score predicted_rating n_neighbors_used source`; the lists that `recommend`
            returns.
        """
        user_ids, by, n = self.kept_ratings().user_ids, self.sorted_by(by), check_integer("n", n, 1)
        mask, n_users = self.catalogue_.allowed(genres, years, exclude), len(user_ids)
        for start in range(0, n_users, CHUNK):
            stop = min(start + CHUNK, n_users)
            rows = self.engine.all_users.slice(start, stop)
            batch = self.engine.answer(rows, n, by, mask, self._fill_from)
            yield batch_table(batch, user_ids, start, self.catalogue_)
            if progress:
                progress(stop / n_users)

    def audience(self, item_id: Any, *, n: int = 10, by: AudienceBy | None = None) -> Recommendations[UserRow]:
        """Return the users who have not rated an item and have the highest score for it.

        Parameters
        ----------
        item_id : int or str
            An item of the data.
        n : int, default 10
            Number of rows; users without a score for the item are not listed.
        by : {"adjusted_score", "score", "rating"}, optional
            The number that rows are sorted by. The adjusted score is the score less the user's usual score, raised if
            the predicted rating is above the user's mean; by score alone, users with most ratings lead. By default
            "adjusted_score", and "rating" without a ranker.

        Returns
        -------
        Recommendations of UserRow
            Without reasons: a reason about a user is shown to that user only.
        """
        item, by = self._fitted.index_of(item_id), self.audience_sorted_by(by)
        n, user_ids = check_integer("n", n, 1), self.kept_ratings().user_ids
        found = audience_of(self.engine, item, n, by)
        columns = zip(*(column.tolist() for column in found), strict=True)
        rows = [
            UserRow(rank, user_ids[user], known(score), known(rating), used, known(adjusted), known(above))
            for rank, (user, score, rating, used, adjusted, above, _) in enumerate(columns, 1)
        ]
        left = len(user_ids) - int(self.catalogue_.counts[item]) - len(rows)
        heading = (
            f"Users for {self.catalogue_.title(item)}, by {AUDIENCE_NAMES[by]}{self.catalogue_.cold_start_note(item)}"
        )
        return Recommendations(rows, heading, UserRow, truncation(n, len(rows), left))

    def audience_batch(
        self,
        item_ids: Iterable[Any],
        *,
        n: int = 10,
        by: AudienceBy | None = None,
        per_user: int | None = None,
        progress: Progress | None = None,
    ) -> pl.DataFrame:
        """Return the audiences of several items, optionally with a maximum number of items for each user.

        Parameters
        ----------
        item_ids : iterable of int or str
            Items of the data.
        n, by
            As for `audience`.
        per_user : int, optional
            Maximum number of items for which a user is listed; the pair with the highest number comes first. Places
            that become free are filled from the hundred users after the first `n` of an item.
        progress : callable, optional
            Called with the fraction done.

        Returns
        -------
        polars.DataFrame
            `item_id title user_id rank score predicted_rating n_neighbors_used adjusted_score above_user_mean`
        """
        by, n, user_ids = self.audience_sorted_by(by), check_integer("n", n, 1), self.kept_ratings().user_ids
        per_user = check_integer("per_user", per_user, 1, none=True)
        items = self._fitted.indices_of(item_ids)
        audiences, deep = [], n if per_user is None else n + 100
        for place, item in enumerate(items):
            audiences.append(audience_of(self.engine, item, deep, by))
            if progress:
                progress((place + 1) / len(items))
        kept = assign_with_cap(audiences, by, n, per_user)
        return audience_table(audiences, kept, items, user_ids, self.catalogue_)

    def similar(
        self,
        item_id: Any,
        *,
        n: int = 10,
        genres: str | Iterable[str] | None = None,
        years: int | tuple[int, int] | None = None,
        exclude: Iterable[Any] | None = None,
    ) -> Recommendations[SimilarRow]:
        """Return the items most similar to an item, with the number of users who rated both.

        Parameters
        ----------
        item_id : int or str
            An item of the data.
        n, genres, years, exclude
            As for `recommend`.

        Returns
        -------
        Recommendations of SimilarRow
        """
        item, n = self._fitted.index_of(item_id), check_integer("n", n, 1)
        genres = None if genres is None else check_list("genres", genres)
        mask, model = self.catalogue_.allowed(genres, years, exclude), self.models_.linear
        part = slice(*model.item_weights_.indptr[item : item + 2])
        items, values = model.item_weights_.indices[part], model.item_weights_.data[part]
        common = model.n_common_.data[part]
        order = [at for at in np.lexsort((items, -values)) if mask[items[at]]][:n]
        rows = [
            SimilarRow(
                rank, **self.catalogue_.row(items[at]), similarity=float(values[at]), common_raters=int(common[at])
            )
            for rank, at in enumerate(order, 1)
        ]
        left = int(mask.sum()) - int(mask[item]) - len(rows)
        heading = f"{self._nouns} similar to {self.catalogue_.title(item)}, by similarity"
        heading += self.catalogue_.cold_start_note(item)
        short = truncation(n, len(rows), left, self._has_unknown_genres(genres))
        return Recommendations(rows, heading, SimilarRow, short, noun=self.noun_)

    def predict(self, user_id: Any, item_id: Any, *, ratings: Mapping[Any, float] | Query | None = None) -> Prediction:
        """Predict a user's rating of an item. The user's own rating of the item is not used.

        Parameters
        ----------
        user_id : int or str, or None with `ratings`
            A user of the data.
        item_id : int or str
            The item.
        ratings : mapping of item id to rating, or Query, optional
            The ratings of a new user, instead of `user_id`.

        Returns
        -------
        Prediction
        """
        query, item = self._warned_query(user_id, ratings), self._fitted.index_of(item_id)
        rater, row = self.models_.rater, query.without(item).row
        if rater is None:
            raise no_rater().replace(parameter="", where="predict")
        values, (n_neighbors_used,) = rater.score_pairs(row, [0], [item], by="rating")
        low = high = None
        if self.engine.has_intervals:
            (low,), (high,) = (ends.tolist() for ends in self.engine.interval(row, [0], [item]))
        return Prediction(
            item_id=self.item_ids[item],
            title=self.catalogue_.titles[item],
            year=self.catalogue_.years[item],
            user_id=query.user_id,
            predicted_rating=known(clipped(values, rater.scale_)[0]),
            n_neighbors_used=int(n_neighbors_used),
            rating=query.rating_of(item),
            source=self.catalogue_.source(item, "model" if n_neighbors_used else "bias_only"),
            low=low,
            high=high,
        )

    def explain(
        self,
        user_id: Any,
        item_id: Any,
        *,
        ratings: Mapping[Any, float] | Query | None = None,
        by: By | None = None,
        ranks: bool = True,
    ) -> Explanation:
        """Explain a user's number for an item as a sum of contributions.

        Parameters
        ----------
        user_id : int or str, or None with `ratings`
            A user of the data.
        item_id : int or str
            The item.
        ratings : mapping of item id to rating, or Query, optional
            The ratings of a new user, instead of `user_id`.
        by : {"score", "rating"}, optional
            The number to explain; by default the one that lists are sorted by.
        ranks : bool, default True
            Whether to compute the item's rank, with and without the strongest reasons; this takes longest.

        Returns
        -------
        Explanation
            Base, contributions and clip, which sum to the number, and the ranks.
        """
        query, item, by = self._warned_query(user_id, ratings), self._fitted.index_of(item_id), self.sorted_by(by)
        return explain(self.engine, query, item, by, self.catalogue_, self._rating_scale, ranks=ranks)

    def find(self, text: str, *, n: int = 10) -> Recommendations[SearchHit]:
        """Return the items whose titles are most similar to a text; typos are allowed.

        Parameters
        ----------
        text : str
            A title or a part of it.
        n : int, default 10
            Maximum number of rows.

        Returns
        -------
        Recommendations of SearchHit
        """
        return self._fitted.find(text, n, self.noun_)

    def neighbors(self) -> pl.DataFrame:
        """Return the item–item matrix as a table `item_id neighbor_id similarity common_raters`."""
        self._fitted  # noqa: B018
        weights, common = self.models_.linear.item_weights_, self.models_.linear.n_common_
        rows = np.repeat(np.arange(len(self.item_ids)), np.diff(weights.indptr))
        return pl.DataFrame(
            {
                "item_id": self.item_ids.take(rows),
                "neighbor_id": self.item_ids.take(weights.indices),
                "similarity": weights.data,
                "common_raters": common.data,
            }
        )
