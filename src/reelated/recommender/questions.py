"""The questions that a fitted recommender answers: which items, which users, what rating, and why."""

import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from reelated.errors import DataWarning, InputError, check_choice, check_integer, plural_of, shorten
from reelated.models import DrawnModel
from reelated.models.biases import clipped
from reelated.parallel import Progress
from reelated.ratings import Feedback, Ids, Ratings, Scale
from reelated.recommender.answers import Answers
from reelated.recommender.audience import AudienceBy, AudienceIndex, Crowd, audience_of, audience_table, dealt
from reelated.recommender.catalogue import Catalogue, check_list
from reelated.recommender.explanation import Why, item_rows, why
from reelated.recommender.lists import Pair, Rows, as_table, known, make_lists, recency, short
from reelated.recommender.people import Person, newcomer, user_of
from reelated.recommender.rows import ItemRow, Match, Prediction, SimilarRow, UserRow

By = Literal["score", "rating"]
NAMES = {"score": "score", "rating": "predicted rating"}
AUDIENCE_NAMES = NAMES | {"adjusted_score": "adjusted score"}
NO_RATER = (
    "this model predicts no ratings: those of its data are all equal, or it was fitted without a rater. List by score."
)
"""The end of the message where a predicted rating is asked for and there is none."""
COVERAGE = 0.8
"""The share of cases in which a rating lies in the interval that is told with its prediction."""
CHUNK = 4096
"""People whose lists are made at once when everybody's are asked for."""


class Questions:
    """A fitted recommender at work.

    Attributes
    ----------
    models_ : Pair
        The fitted models: one ranks, one predicts ratings.
    catalogue_ : Catalogue
        What is known of the items.
    scale_ : Scale
        The scale on which people rate.
    ratings_ : Ratings or None
        The ratings of the users; None in a model that was saved without.
    feedback_ : {"explicit", "implicit"}
        Whether people rate items or only have them: implicit where all ratings are equal and the scale has no other
        value but 0.
    name_ : str
        What the data calls itself.
    noun_ : str
        What an item is called in headings, such as "movie".
    notes_ : tuple of str
        What reading the data changed.
    """

    by: By
    fill_with_popular: bool
    recency_half_life: float | None
    recency_floor: float
    models_: Pair
    catalogue_: Catalogue
    scale_: Scale
    ratings_: Ratings | None
    feedback_: Feedback
    name_: str
    noun_: str
    notes_: tuple[str, ...]

    # ------------------------------------------------------------------------------------------- the ids
    @property
    def item_ids(self) -> Ids:
        """The items that the models know, ascending."""
        return self._fitted.item_ids

    @property
    def user_ids(self) -> Ids:
        """The users whose ratings are kept, ascending."""
        return self._kept("user_ids").user_ids

    @property
    def _fitted(self) -> Catalogue:
        if not hasattr(self, "catalogue_"):
            raise InputError("This Recommender is not fitted yet: call fit(data) or Recommender.load(path) first.")
        return self.catalogue_

    def _kept(self, asked: str) -> Ratings:
        """Return the ratings, or say that this model was saved without."""
        self._fitted  # noqa: B018
        if self.ratings_ is None:
            raise InputError(
                f"{asked}: this model was saved without ratings and knows no users. Pass ratings={{item_id: rating}}, "
                "or save it with ratings=True."
            )
        return self.ratings_

    def _columns(self, by: By) -> sp.csc_array:
        """Return what everybody's ratings are worth, by items; kept, for it takes as long as many answers."""
        if by not in self._by_item:
            kept = self._kept("item_id")
            self._by_item[by] = self.models_.of(by).columns(kept.matrix, by=by, weights=self._weights)
        return self._by_item[by]

    @property
    def _everybody(self) -> Rows:
        return Rows(self._kept("user_id").matrix, self._weights)

    @cached_property
    def _weights(self) -> npt.NDArray[np.float32] | None:
        """What each rating counts for the score: the older, the less."""
        ages = None if self.ratings_ is None or self.recency_half_life is None else self.ratings_.ages()
        return (
            None
            if ages is None or self.recency_half_life is None
            else recency(ages, self.recency_half_life, self.recency_floor)
        )

    @cached_property
    def _by_item(self) -> dict[str, sp.csc_array]:
        return {}

    def _person(self, user_id: Any, ratings: Mapping[Any, float] | Person | None) -> Person:
        """Return a user of the data, or a newcomer; whoever keeps people elsewhere has made a `Person` already."""
        if isinstance(ratings, Person):
            return ratings
        if (user_id is None) == (ratings is None):
            raise InputError("Pass one of user_id=… (someone in the data) and ratings={item_id: rating} (a newcomer).")
        if ratings is None:
            return user_of(self._kept(f"user_id={shorten(user_id)}"), user_id, self._weights)
        return newcomer(ratings, self._fitted, self.scale_)

    def _told_person(self, user_id: Any, ratings: Mapping[Any, float] | Person | None) -> Person:
        """Return the same for an answer that is no list: a warning names the items that are left out."""
        person = self._person(user_id, ratings)
        if person.unknown:
            listed = ", ".join(map(shorten, person.unknown[:10]))
            warnings.warn(f"ratings: left out items not in the model: {listed}.", DataWarning, stacklevel=3)
        return person

    def _by(self, by: By | None) -> By:
        """Return the number that a list falls by; without a ranker there is one, the predicted rating."""
        self._fitted  # noqa: B018
        by = check_choice("by", self.by if by is None else by, NAMES)
        return self._has_rater(by) if by == "rating" else "rating" if self.models_.ranker is None else by

    def _has_rater(self, by: Any) -> Any:
        """Return "rating", or raise `InputError` where no rating is predicted."""
        if self.models_.rater is None:
            raise InputError(f"by='rating': {NO_RATER}")
        return by

    @property
    def _rating_scale(self) -> Scale | None:
        """The scale on which people rate; None where they do not."""
        return None if self.feedback_ == "implicit" else self.scale_

    @property
    def _because(self) -> str:
        """How a sentence that names reasons begins."""
        return "because you have" if self.feedback_ == "implicit" else "because you rated"

    @property
    def _filler(self) -> npt.NDArray[np.int64] | None:
        return self.catalogue_.by_popularity if self.fill_with_popular else None

    # ------------------------------------------------------------------------------------------- answers
    @overload
    def recommend(
        self,
        user_id: Any = None,
        *,
        ratings: Mapping[Any, float] | None = None,
        n: int = 10,
        by: By | None = None,
        genres: str | Iterable[str] | None = None,
        years: int | tuple[int, int] | None = None,
        exclude: Iterable[Any] | None = None,
    ) -> Answers[ItemRow]: ...
    @overload
    def recommend(self, *, item_id: Any, n: int = 10, by: AudienceBy | None = None) -> Answers[UserRow]: ...
    def recommend(
        self,
        user_id: Any = None,
        *,
        item_id: Any = None,
        ratings: Mapping[Any, float] | None = None,
        n: int = 10,
        by: AudienceBy | None = None,
        genres: str | Iterable[str] | None = None,
        years: int | tuple[int, int] | None = None,
        exclude: Iterable[Any] | None = None,
    ) -> Answers[ItemRow] | Answers[UserRow]:
        """Recommend items to a user or a newcomer; or, given an item, users (see `audience`).

        Parameters
        ----------
        user_id : int or str, optional
            Someone in the data.
        item_id : int or str, optional
            An item: the answer is then the users who have not rated it and would want it most.
        ratings : mapping of item id to rating, optional
            A newcomer's ratings, or the latest of a user; no refit is needed. Items that the model does not know are
            left out; the answer's `unknown` names them.
        n : int, default 10
            Rows wanted.
        by : {"score", "rating"}, optional
            The number that rows are sorted by; by default the recommender's own. Users also have "adjusted_score".
        genres : str or iterable of str, optional
            Only items of any of these genres; none where no item has one of them.
        years : int or (int, int), optional
            Only items of these years, both ends included.
        exclude : iterable of item ids, optional
            Items to leave out; ids that the model does not know are ignored.

        Returns
        -------
        Answers of ItemRow, or of UserRow where `item_id` is given

        Raises
        ------
        UnknownId
            No such user, or no such `item_id`.
        InputError
            An argument cannot be used.
        """
        if item_id is not None:
            given = {"user_id": user_id, "ratings": ratings, "genres": genres, "years": years, "exclude": exclude}
            if extra := [name for name, value in given.items() if value is not None]:
                raise InputError(
                    f"recommend(item_id=…) lists users and does not take {extra[0]}. "
                    "For items like this one call similar(item_id=…)."
                )
            return self.audience(item_id, n=n, by=by)
        person, by = self._person(user_id, ratings), self._by(by)  # type: ignore[arg-type]
        n, genres = check_integer("n", n, 1), None if genres is None else check_list("genres", genres)
        allowed = self.catalogue_.allowed(genres, years, exclude)
        lists = make_lists(self.models_, person.rows, n, by, allowed, self._filler)
        rows = item_rows(lists, person, by, self.models_, self.catalogue_, self._rating_scale)
        left = 0 if len(rows) == n else int(allowed.sum()) - int(allowed[person.row.indices].sum()) - len(rows)
        who = "you" if person.user_id is None else f"user {shorten(person.user_id)}"
        heading = f"{plural_of(self.noun_).capitalize()} for {who}, by {NAMES[by]}"
        why_short = short(n, len(rows), left, self._is_unknown(genres))
        return Answers(rows, heading, ItemRow, why_short, self._because, person.unknown, self.noun_)

    def _is_unknown(self, genres: str | Iterable[str] | None) -> bool:
        """Say whether no item has any of the genres."""
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
        """Recommend to everybody in the data, some thousand people at a time.

        Parameters
        ----------
        n, by, genres, years, exclude
            As for `recommend`.
        progress : callable, optional
            Called with the share that is done.

        Yields
        ------
        polars.DataFrame
            `user_id item_id title rank score predicted_rating n_neighbors_used source`; the lists that `recommend`
            returns.
        """
        kept, by, n = self._kept("recommend_batch"), self._by(by), check_integer("n", n, 1)
        allowed, n_users = self.catalogue_.allowed(genres, years, exclude), len(kept.user_ids)
        for start in range(0, n_users, CHUNK):
            stop = min(start + CHUNK, n_users)
            people = self._everybody.part(start, stop)
            lists = make_lists(self.models_, people, n, by, allowed, self._filler)
            yield as_table(lists, self.models_, people, by, kept.user_ids, start, self.catalogue_)
            if progress:
                progress(stop / n_users)

    def audience(self, item_id: Any, *, n: int = 10, by: AudienceBy | None = None) -> Answers[UserRow]:
        """Return the users who have not rated an item and would want it most.

        Parameters
        ----------
        item_id : int or str
            An item of the data.
        n : int, default 10
            Rows wanted; users without any link to the item are not listed.
        by : {"adjusted_score", "score", "rating"}, optional
            The number that rows are sorted by. The adjusted score is the score beyond what is usual for the user,
            raised where the predicted rating is above their own mean; by score alone, users with most ratings lead.
            By default adjusted_score, and the predicted rating where nothing ranks.

        Returns
        -------
        Answers of UserRow
            Without reasons: a reason about a person is shown to that person only.
        """
        item, by = self._fitted.index_of(item_id), self._audience_by(by)
        n, kept = check_integer("n", n, 1), self._kept(f"item_id={shorten(item_id)}")
        found = audience_of(self._crowd, item, n, by)
        columns = [column.tolist() for column in found]
        rows = [
            UserRow(
                rank,
                kept.user_ids[user],
                known(score),
                known(rating),
                n_neighbors_used,
                known(adjusted_score),
                known(above_user_mean),
            )
            for rank, (user, score, rating, n_neighbors_used, adjusted_score, above_user_mean, _) in enumerate(
                zip(*columns, strict=True), 1
            )
        ]
        left = len(kept.user_ids) - int(self.catalogue_.counts[item]) - len(rows)
        heading = f"Users for {self.catalogue_.title(item)}, by {AUDIENCE_NAMES[by]}{self.catalogue_.told_of(item)}"
        return Answers(rows, heading, UserRow, short(n, len(rows), left))

    def audience_batch(
        self,
        item_ids: Iterable[Any],
        *,
        n: int = 10,
        by: AudienceBy | None = None,
        per_user: int | None = None,
        progress: Progress | None = None,
    ) -> pl.DataFrame:
        """Return the users for several items, none of them for more than so many.

        Parameters
        ----------
        item_ids : iterable of int or str
            Items of the data.
        n, by
            As for `audience`.
        per_user : int, optional
            Most items for which the same user is listed; the pair with the highest number comes first. Only the
            hundred users after the first `n` of an item are looked at in their place.
        progress : callable, optional
            Called with the share that is done.

        Returns
        -------
        polars.DataFrame
            `item_id title user_id rank score predicted_rating n_neighbors_used adjusted_score above_user_mean`
        """
        by, n, kept = self._audience_by(by), check_integer("n", n, 1), self._kept("item_ids")
        per_user = check_integer("per_user", per_user, 1, none=True)
        items = self._fitted.indices_of(item_ids)
        found, deep = [], n if per_user is None else n + 100
        for at, item in enumerate(items):
            found.append(audience_of(self._crowd, item, deep, by))
            if progress:
                progress((at + 1) / len(items))
        return audience_table(found, dealt(found, by, n, per_user), items, kept.user_ids, self.catalogue_)

    def _audience_by(self, by: AudienceBy | None) -> AudienceBy:
        """Return the number that a list of users falls by."""
        if by is None:
            return "adjusted_score" if self._by(None) == "score" else "rating"
        by = check_choice("by", by, AUDIENCE_NAMES)
        return self._has_rater(by) if by == "rating" else "rating" if self.models_.ranker is None else by

    @property
    def _crowd(self) -> Crowd:
        return Crowd(self.models_, self._everybody, self._columns, self._interest)

    @cached_property
    def _interest(self) -> AudienceIndex:
        return AudienceIndex.of(self.models_.ranker, self._everybody)

    def similar(
        self,
        item_id: Any,
        *,
        n: int = 10,
        genres: str | Iterable[str] | None = None,
        years: int | tuple[int, int] | None = None,
        exclude: Iterable[Any] | None = None,
    ) -> Answers[SimilarRow]:
        """Return the items most like an item, with the number of people who rated both.

        Parameters
        ----------
        item_id : int or str
            An item of the data.
        n, genres, years, exclude
            As for `recommend`.

        Returns
        -------
        Answers of SimilarRow
        """
        item, n = self._fitted.index_of(item_id), check_integer("n", n, 1)
        genres = None if genres is None else check_list("genres", genres)
        allowed, model = self.catalogue_.allowed(genres, years, exclude), self.models_.ranker_or_rater
        part = slice(*model.similarity_.indptr[item : item + 2])
        items, values = model.similarity_.indices[part], model.similarity_.data[part]
        common = model.n_common_.data[part]
        order = [at for at in np.lexsort((items, -values)) if allowed[items[at]]][:n]
        rows = [
            SimilarRow(
                rank, **self.catalogue_.facts(items[at]), similarity=float(values[at]), common_raters=int(common[at])
            )
            for rank, at in enumerate(order, 1)
        ]
        left = int(allowed.sum()) - int(allowed[item]) - len(rows)
        nouns = plural_of(self.noun_).capitalize()
        heading = f"{nouns} similar to {self.catalogue_.title(item)}, by similarity{self.catalogue_.told_of(item)}"
        return Answers(rows, heading, SimilarRow, short(n, len(rows), left, self._is_unknown(genres)), noun=self.noun_)

    def predict(
        self, user_id: Any = None, item_id: Any = None, *, ratings: Mapping[Any, float] | None = None
    ) -> Prediction:
        """Predict what a person would rate an item; what they did rate it is not looked at.

        Parameters
        ----------
        user_id : int or str, optional
            Someone in the data.
        item_id : int or str, default None
            The item; it must be given.
        ratings : mapping of item id to rating, optional
            A newcomer's ratings, instead of `user_id`.

        Returns
        -------
        Prediction
        """
        person, item = self._told_person(user_id, ratings), self._fitted.index_of(item_id)
        rated = person.rating_of(item)
        rater, row = self.models_.rater, person.without(item).row
        if rater is None:
            raise InputError(f"predict: {NO_RATER}")
        values, (n_neighbors_used,) = rater.score_pairs(row, [0], [item], by="rating")
        low = high = None
        if isinstance(rater, DrawnModel):
            (low,), (high,) = (ends.tolist() for ends in rater.predict_intervals(row, [0], [item], level=COVERAGE))
        return Prediction(
            item_id=self.item_ids[item],
            title=self.catalogue_.titles[item],
            year=self.catalogue_.years[item],
            user_id=person.user_id,
            predicted_rating=known(clipped(values, rater.scale_)[0]),
            n_neighbors_used=int(n_neighbors_used),
            rating=rated,
            source=self.catalogue_.source(item, "model" if n_neighbors_used else "averages"),
            low=low,
            high=high,
        )

    def explain(
        self,
        user_id: Any = None,
        item_id: Any = None,
        *,
        ratings: Mapping[Any, float] | None = None,
        by: By | None = None,
        ranks: bool = True,
    ) -> Why:
        """Say why a person's number for an item is what it is.

        Parameters
        ----------
        user_id : int or str, optional
            Someone in the data.
        item_id : int or str, default None
            The item; it must be given.
        ratings : mapping of item id to rating, optional
            A newcomer's ratings, instead of `user_id`.
        by : {"score", "rating"}, optional
            Which number to explain.
        ranks : bool, default True
            Whether to say the item's place, too; that is what takes longest.

        Returns
        -------
        Why
            Base, contributions and clip, which sum to the number; and where the item would stand without each of
            the three strongest reasons.
        """
        person, item, by = self._told_person(user_id, ratings), self._fitted.index_of(item_id), self._by(by)
        return why(person, item, by, self.models_, self.catalogue_, self._rating_scale, ranks=ranks)

    def find(self, text: str, *, n: int = 10) -> Answers[Match]:
        """Return the items whose titles are most like a text; typos are forgiven.

        Parameters
        ----------
        text : str
            A title or a part of it.
        n : int, default 10
            Rows wanted at the most.

        Returns
        -------
        Answers of Match
        """
        return self._fitted.find(text, n, self.noun_)

    def neighbors(self) -> pl.DataFrame:
        """Return the similarity that lists rest on as a table `item_id neighbor_id similarity common_raters`."""
        self._fitted  # noqa: B018
        model = self.models_.ranker_or_rater
        rows = np.repeat(np.arange(len(self.item_ids)), np.diff(model.similarity_.indptr))
        return pl.DataFrame(
            {
                "item_id": self.item_ids.take(rows),
                "neighbor_id": self.item_ids.take(model.similarity_.indices),
                "similarity": model.similarity_.data,
                "common_raters": model.n_common_.data,
            }
        )
