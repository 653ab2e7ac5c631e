"""`Recommender`: the interface from ratings to explained recommendations with ids and titles."""

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import polars as pl

from reelated.errors import Advice, InputError, check_integer, plural
from reelated.models.contracts import By, Ranker, Rater
from reelated.parallel import Progress, check_not_forked
from reelated.ratings import Dataset, FrameLike, Ratings
from reelated.ratings.dataset import as_dataset
from reelated.recommender import storage
from reelated.recommender.audience import audiences_table
from reelated.recommender.catalogue import check_list
from reelated.recommender.engine import AudienceBy
from reelated.recommender.explanation import Explanation, explain, predict
from reelated.recommender.fitting import (
    fit_models,
    fit_notes,
    ratings_onto,
    set_fitted,
    unfitted_models,
    without_data_notes,
)
from reelated.recommender.lists import (
    audience_list,
    batch_table,
    because,
    fill_from,
    item_list,
    neighbor_table,
    pairs_table,
    rating_scale,
    similar_list,
    sorted_by,
    user_indices,
)
from reelated.recommender.query import Query, query_of, warned_query
from reelated.recommender.recommendations import Recommendations
from reelated.recommender.rows import ItemRow, Prediction, SearchHit, SimilarRow, UserRow
from reelated.recommender.state import State

CHUNK = 4096
"""The number of users whose lists `recommend_batch` computes at once."""


class Recommender(State):
    """Recommend items to users and users for items: a ranker scores items, a rater predicts ratings.

    Parameters
    ----------
    ranker : EASE, ItemKNN, Popularity, "default" or None, default "default"
        The model that scores items; None: the predicted rating is the score. The default is ``EASE()``, with
        ``dropout=0.7`` for implicit feedback, such as purchases; for catalogues that are too large for `EASE`, it is
        ``ItemKNN(weighting="tf-idf", user_normalization=0.25, item_normalization=0.1, n_neighbors=200, shrinkage=10)``.
    rater : BPMF, ItemKNN, BiasModel, "default" or None, default "default"
        The model that predicts ratings; None: no rating is predicted. With a ranker, events and data whose ratings are
        all equal have no rater. The default is ``BPMF()``, which uses genres and years where they are known; for more
        than three million ratings, or without a ranker, it is
        ``ItemKNN("residual-cosine", n_neighbors=200, max_neighbors_used=30, shrinkage=100, prior_weight=0.05)``.
    by : {"score", "rating"}, default "score"
        The number that lists are sorted by, unless a call specifies another.
    fill_with_popular : bool, default True
        Whether short lists are filled with popular items.
    recency_half_life : float or None, default 10.0
        Number of later ratings by the same user after which the ageing part of a rating's weight in the score is
        halved. None: ratings do not age. Ratings without times or an order do not age either.
    recency_floor : float, default 0.5
        The part of a rating's weight that does not age.
    max_memory : int, str or None, default None
        Maximum memory of the fit in bytes, such as "2GB"; a fit that needs more is refused before it starts.

    Attributes
    ----------
    models_ : Models
        The fitted `ranker` and `rater`.
    catalogue_ : Catalogue
        Titles, years and genres of the items.
    scale_ : Scale
        The rating scale.
    ratings_ : Ratings or None
        The ratings of the users; None in a model that was saved without them.
    feedback_ : {"explicit", "implicit"}
        Implicit for events, and if all ratings are equal and the scale has no other value but 0.
    name_ : str
        The name of the data.
    noun_ : str
        The word for an item in headings, such as "movie".
    verb_ : str
        The verb for the users' actions, such as "bought"; empty for ratings, and if it is not known.
    notes_ : tuple of str
        Changes made by reading the data.

    Examples
    --------
    >>> rec = Recommender().fit({"user_id": [1, 1, 2, 2, 3], "item_id": [7, 8, 7, 9, 9], "rating": [5, 4, 4, 2, 5]})
    >>> [row.item_id for row in rec.recommend(user_id=1)]
    [9]
    >>> [row.item_id for row in rec.recommend(ratings={9: 5}, n=1)]
    [7]
    """

    def __init__(
        self,
        ranker: Ranker | Literal["default"] | None = "default",
        rater: Rater | Literal["default"] | None = "default",
        *,
        by: By = "score",
        fill_with_popular: bool = True,
        recency_half_life: float | None = 10.0,
        recency_floor: float = 0.5,
        max_memory: int | str | None = None,
    ) -> None:
        self.ranker = ranker
        self.rater = rater
        self.by = by
        self.fill_with_popular = fill_with_popular
        self.recency_half_life = recency_half_life
        self.recency_floor = recency_floor
        self.max_memory = max_memory

    # ------------------------------------------------------------------------------------------------------------- fit
    def fit(self, data: Dataset | FrameLike, *, progress: Progress | None = None) -> "Recommender":
        """Fit the models to ratings, and return this recommender.

        Parameters
        ----------
        data : Dataset or table
            Result of `reelated.read`, or a table of ratings.
        progress : callable, optional
            Called with the completed fraction, from 0 to 1.

        Raises
        ------
        InputError
            The data or a parameter is invalid.
        TooLarge
            The fit may need more than `max_memory`.
        """
        check_not_forked()
        data = as_dataset(data)
        models, catalogue, ratings = fit_models(self, data, progress)
        self.name_, self.noun_, self.verb_, self.feedback_ = data.name, data.noun, data.verb, ratings.feedback
        self.notes_ = (*data.notes, *fit_notes(self, models, has_times=ratings.times is not None))
        return set_fitted(self, models, catalogue, ratings.scale, ratings)

    def with_ratings(self, data: Dataset | Ratings | FrameLike) -> "Recommender":
        """Return a copy with the same fitted models and the ratings of other users; nothing is fitted again.

        Parameters
        ----------
        data : Dataset, Ratings or table
            The ratings. Items that the models do not know are left out.

        Raises
        ------
        InputError
            The ids are of another type, or a rating is outside the scale of the fit.
        """
        ratings = ratings_onto(data, self.fitted.item_ids, self.scale_, self.feedback_)
        return set_fitted(copy(self), self.models_, self.catalogue_, self.scale_, ratings)

    def plan(self, data: Dataset | FrameLike) -> int:
        """Return the maximum number of bytes that a fit takes in addition to the data."""
        models, ratings = unfitted_models(self, as_dataset(data))
        return models.plan(ratings.matrix)

    def __repr__(self) -> str:
        if not hasattr(self, "models_"):
            names = ("ranker", "rater", "by", "fill_with_popular")
            return f"Recommender({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
        word = "interaction" if self.is_events else "rating"
        ratings = f"no {word}s kept" if self.ratings_ is None else plural(len(self.ratings_), word)
        return f"Recommender fitted to {self.name_}: {plural(len(self.item_ids), self.noun_)}, {ratings}"

    # --------------------------------------------------------------------------------------------------------- answers
    @overload
    def recommend(
        self,
        user_id: Any = None,
        *,
        ratings: Mapping[Any, float] | Query | None = None,
        items: Iterable[Any] | None = None,
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
        items: Iterable[Any] | None = None,
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
            The ratings of a new user, or the latest ratings of a known user; no refit is needed. Items that the model
            does not know are left out; `unknown` of the result names them.
        items : iterable of item ids, optional
            The items that a new user has bought, played or likes, without ratings.
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

        Raises
        ------
        UnknownId
            There is no such user, or no such `item_id`.
        InputError
            An argument is invalid.
        """
        if item_id is not None:
            given = {"user_id": user_id, "ratings": ratings, "items": items}
            given |= {"genres": genres, "years": years, "exclude": exclude}
            if extra := [name for name, value in given.items() if value is not None]:
                raise InputError(
                    f"recommend(item_id=…) lists users and does not take {extra[0]}.", remedy=Advice.SIMILAR
                )
            return self.audience(item_id, n=n, by=by)
        query, number = query_of(self, user_id, ratings, items), sorted_by(self, by)
        n, genres = check_integer("n", n, 1), None if genres is None else check_list("genres", genres)
        mask = self.catalogue_.allowed(genres, years, exclude)
        return item_list(self, query, n, number, mask, genres)

    def recommend_batch(
        self,
        n: int = 10,
        *,
        by: By | None = None,
        genres: str | Iterable[str] | None = None,
        years: int | tuple[int, int] | None = None,
        exclude: Iterable[Any] | None = None,
        users: Iterable[Any] | None = None,
        progress: Progress | None = None,
    ) -> Iterator[pl.DataFrame]:
        """Recommend items to all users of the data or to those given, a few thousand users at a time.

        Parameters
        ----------
        users : iterable of int or str, optional
            The users, in the order of the lists; by default all, by ascending id.
        progress : callable, optional
            Called with the completed fraction, from 0 to 1.

        Yields
        ------
        polars.DataFrame
            `user_id item_id title rank score predicted_rating n_neighbors_used source`; the lists that `recommend`
            returns.
        """
        user_ids, by, n = self.kept_ratings().user_ids, sorted_by(self, by), check_integer("n", n, 1)
        mask = self.catalogue_.allowed(genres, years, exclude)
        chosen = np.arange(len(user_ids)) if users is None else user_indices(user_ids, check_list("users", users))
        n_users = len(chosen)
        for start in range(0, n_users, CHUNK):
            stop = min(start + CHUNK, n_users)
            everyone = self.engine.all_users
            rows = everyone.slice(start, stop) if users is None else everyone.take(chosen[start:stop])
            batch = self.engine.answer(rows, n, by, mask, fill_from(self))
            yield batch_table(batch, user_ids.take(chosen[start:stop]), self.catalogue_)
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
            The number that rows are sorted by. The adjusted score is the score minus the user's usual score, raised if
            the predicted rating is above the user's mean; by score alone, the users with the most ratings would lead
            every list. By default "adjusted_score", and "rating" without a ranker.

        Returns
        -------
        Recommendations of UserRow
            Without reasons: a reason about a user is shown to that user only.
        """
        check_not_forked()
        item, by = self.fitted.index_of(item_id), sorted_by(self, by, users=True)
        n, user_ids = check_integer("n", n, 1), self.kept_ratings().user_ids
        return audience_list(self, item, n, by, user_ids)

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
        per_user : int, optional
            Maximum number of items for which a user is listed; pairs are assigned in descending order of the number
            that lists are sorted by. A place that this limit leaves free is filled from the next hundred users of the
            item.
        progress : callable, optional
            Called with the completed fraction, from 0 to 1.

        Returns
        -------
        polars.DataFrame
            `item_id title user_id rank score predicted_rating n_neighbors_used adjusted_score above_user_mean`
        """
        check_not_forked()
        by, n, user_ids = sorted_by(self, by, users=True), check_integer("n", n, 1), self.kept_ratings().user_ids
        per_user = check_integer("per_user", per_user, 1, none=True)
        items = self.fitted.indices_of(item_ids)
        return audiences_table(self.engine, items, n, by, per_user, user_ids, self.catalogue_, progress)

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
        """
        item, n = self.fitted.index_of(item_id), check_integer("n", n, 1)
        genres = None if genres is None else check_list("genres", genres)
        mask = self.catalogue_.allowed(genres, years, exclude)
        return similar_list(self, item, n, mask, genres)

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
        """
        query, item = warned_query(self, user_id, ratings), self.fitted.index_of(item_id)
        return predict(self.engine, query, item, self.catalogue_)

    def predict_batch(self, pairs: FrameLike) -> pl.DataFrame:
        """Predict the ratings of many pairs of user and item; a user's own rating of the item is not used.

        Parameters
        ----------
        pairs : polars or pandas DataFrame, Arrow table or mapping of columns
            `user_id item_id`, in any of their usual names.

        Returns
        -------
        polars.DataFrame
            `user_id item_id predicted_rating low high`, a row for each pair, in their order. An unknown user counts as
            a new user without ratings; for an unknown item, the prediction is null. `low` and `high` are the ends of
            the 80 % interval, null if the model has none.

        Raises
        ------
        InputError
            A column is missing, or the model was saved without ratings.
        """
        return pairs_table(self.engine, pairs, self.kept_ratings().user_ids, self.fitted)

    def explain(
        self,
        user_id: Any,
        item_id: Any,
        *,
        ratings: Mapping[Any, float] | Query | None = None,
        items: Iterable[Any] | None = None,
        by: By | None = None,
        ranks: bool = True,
    ) -> Explanation:
        """Explain a user's score or predicted rating of an item as a sum of contributions.

        Parameters
        ----------
        user_id : int or str, or None with `ratings` or `items`
            A user of the data.
        item_id : int or str
            The item.
        ratings : mapping of item id to rating, or Query, optional
            The ratings of a new user, instead of `user_id`.
        items : iterable of item ids, optional
            The items of a new user, as for `recommend`.
        by : {"score", "rating"}, optional
            The number to explain; by default the one that lists are sorted by.
        ranks : bool, default True
            Whether to compute the item's rank, with and without the strongest reasons; this takes most of the time.

        Returns
        -------
        Explanation
            Base, contributions and clip, which sum to the score or predicted rating, and the ranks.
        """
        query = warned_query(self, user_id, ratings, items)
        item, by = self.fitted.index_of(item_id), sorted_by(self, by)
        return explain(self.engine, query, item, by, self.catalogue_, rating_scale(self), ranks=ranks)

    def find(self, text: str, *, n: int = 10) -> Recommendations[SearchHit]:
        """Return the items whose titles are most similar to a text; typos are allowed.

        Parameters
        ----------
        text : str
            A title or a part of it.
        n : int, default 10
            Maximum number of rows.
        """
        return self.fitted.find(text, n, self.noun_, because(self))

    def neighbors(self) -> pl.DataFrame:
        """Return the item–item matrix as a table `item_id neighbor_id similarity common_raters`."""
        return neighbor_table(self.fitted.item_ids, self.models_.linear)

    # ------------------------------------------------------------------------------------------------------ save, load
    def save(self, path: str | Path, *, ratings: bool = True) -> Path:
        """Write the model as a folder of arrays and JSON; a model that exists there is replaced atomically.

        Parameters
        ----------
        path : str or Path
            The folder.
        ratings : bool, default True
            Whether to keep the ratings; without them the model serves new users only.
        """
        self.fitted  # noqa: B018
        return storage.save(self if ratings else without_data_notes(self), Path(path), ratings=ratings)

    @classmethod
    def load(cls, path: str | Path) -> "Recommender":
        """Open a saved model; its arrays are memory-mapped and shared between processes.

        Parameters
        ----------
        path : str or Path
            A folder that `save` wrote.

        Raises
        ------
        InputError
            The folder is not a model, is damaged, or has another format.
        """
        check_not_forked()
        return storage.load(Path(path), cls)
