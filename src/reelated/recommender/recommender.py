"""`Recommender`: ratings in, answers in names out."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp
from sklearn.base import clone

from reelated._threads import Progress
from reelated.errors import (
    InputError,
    TooLarge,
    UnknownId,
    check_choice,
    check_integer,
    check_memory,
    check_number,
    shorten,
    show_bytes,
)
from reelated.models import Explanation, ItemKNN
from reelated.ratings import Dataset, FrameLike, Ids, Ratings, Scale
from reelated.recommender.answers import (
    Answers,
    Match,
    MovieRow,
    Prediction,
    Reason,
    Short,
    SimilarRow,
    UserRow,
)
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.explanation import Why, Without
from reelated.recommender.lists import Lists, Pair, make_lists

By = Literal["relevance", "rating"]
Fill = Literal["popular"]
NAMES = {"relevance": "relevance", "rating": "predicted rating"}
CHUNK = 4096
"""People whose lists are made at once when everybody's are asked for."""


class Person(NamedTuple):
    """Whoever is asked about: a row of ratings, and who it is, if known."""

    row: sp.csr_array
    user_id: Any = None

    @property
    def mean(self) -> float:
        """The person's own mean rating."""
        return float(self.row.data.mean(dtype=np.float64)) if self.row.nnz else 0.0

    def rating_of(self, item: int) -> float | None:
        """Return what the person gave an item, or None."""
        at = np.searchsorted(self.row.indices, item)
        return float(self.row.data[at]) if at < self.row.nnz and self.row.indices[at] == item else None

    def without(self, item: int) -> "Person":
        """Return the same person had they not rated an item."""
        keep = self.row.indices != item
        return self._replace(row=one_row(self.row.indices[keep], self.row.data[keep], self.row.shape[1]))


def one_row(items: Any, ratings: Any, n_items: int) -> sp.csr_array:
    """Return a users × items matrix of one user; `items` ascend."""
    row = sp.csr_array((ratings, items, np.array([0, len(items)], np.int32)), shape=(1, n_items))
    row.has_canonical_format = True
    return row


class Recommender:
    """From ratings to explained recommendations: one model ranks, one predicts ratings, both item–item.

    Parameters
    ----------
    ranker : ItemKNN, "default" or None, default "default"
        The model whose score lists fall by; None: the predicted rating is the score. The default is
        ``ItemKNN(weighting="tf-idf", n_neighbors=200, shrinkage=10)``.
    rater : ItemKNN or "default", default "default"
        The model that predicts ratings. The default is
        ``ItemKNN("residual-cosine", n_neighbors=200, shrinkage=100)``.
    by : {"relevance", "rating"}, default "relevance"
        Which number lists fall by unless a call says otherwise.
    fill : {"popular", None}, default "popular"
        What a list is filled up with where the model knows too little.
    max_memory : int, str or None, default None
        The most bytes that the fit may take, such as "2GB"; more is refused beforehand.

    Examples
    --------
    >>> rec = Recommender().fit({"user_id": [1, 1, 2, 2, 3], "movie_id": [7, 8, 7, 9, 9], "rating": [5, 4, 4, 2, 5]})
    >>> [row.movie_id for row in rec.recommend(user_id=1)]
    [9]
    >>> [row.movie_id for row in rec.recommend(ratings={9: 5}, n=1)]
    [7]
    """

    def __init__(
        self,
        ranker: ItemKNN | Literal["default"] | None = "default",
        rater: ItemKNN | Literal["default"] = "default",
        *,
        by: By = "relevance",
        fill: Fill | None = "popular",
        max_memory: int | str | None = None,
    ) -> None:
        self.ranker = ranker
        self.rater = rater
        self.by = by
        self.fill = fill
        self.max_memory = max_memory

    # ------------------------------------------------------------------------------------------------ fit
    def fit(self, data: Dataset | FrameLike, *, progress: Progress | None = None) -> "Recommender":
        """Learn from ratings.

        Parameters
        ----------
        data : Dataset or table
            What `reelated.read` gives, or a ratings table.
        progress : callable, optional
            Called with the share that is done.

        Returns
        -------
        Recommender
            This recommender.

        Raises
        ------
        InputError
            The data or a parameter cannot be used.
        TooLarge
            More than `max_memory` may be needed.
        """
        data = self._as_dataset(data)
        pair = self._models()
        limit, needed = check_memory("max_memory", self.max_memory), self.plan(data)
        if limit is not None and needed > limit:
            raise TooLarge(
                f"max_memory={self.max_memory!r}: the fit may need {show_bytes(needed)}. "
                "Raise max_memory, or give models with fewer n_neighbors."
            )
        scale, X = data.ratings.scale[:2], data.ratings.matrix
        half = None if progress is None or pair.ranker is None else lambda done: progress(done / 2)
        rest = None if progress is None else (lambda done: progress(0.5 + done / 2)) if pair.ranker else progress
        if pair.ranker is not None:
            pair.ranker.fit(X, scale=scale, progress=half)
        pair.rater.fit(X, scale=scale, progress=rest)
        counts = np.bincount(X.indices, minlength=X.shape[1])
        catalogue = Catalogue(data.movies, data.ratings.movie_ids, counts)
        self.name_, self.notes_ = data.name, data.notes
        return self._learned(pair, catalogue, data.ratings.scale, data.ratings)

    def _learned(self, pair: Pair, catalogue: Catalogue, scale: Scale, ratings: Ratings | None) -> "Recommender":
        """Take what a fit or a load gives."""
        self.models_, self.catalogue_, self.scale_, self.ratings_ = pair, catalogue, scale, ratings
        self.__dict__.pop("_by_item", None)
        return self

    def plan(self, data: Dataset | FrameLike) -> int:
        """Return the most bytes that a fit may take beside the data.

        Parameters
        ----------
        data : Dataset or table
            As for `fit`.
        """
        X, pair = self._as_dataset(data).ratings.matrix, self._models()
        plans = [model.plan(X) for model in pair if model is not None]
        return sum(plans)

    def _models(self) -> Pair:
        """Check the parameters and return fresh models."""
        check_choice("by", self.by, NAMES)
        check_choice("fill", self.fill, ("popular", None))
        ranker = ItemKNN(weighting="tf-idf", n_neighbors=200, shrinkage=10) if _default(self.ranker) else self.ranker
        rater = ItemKNN("residual-cosine", n_neighbors=200, shrinkage=100) if _default(self.rater) else self.rater
        for name, model in (("ranker", ranker), ("rater", rater)):
            if not isinstance(model, ItemKNN) and (model is not None or name == "rater"):
                raise InputError(f"{name}={shorten(model)}: expected an ItemKNN or 'default'.")
        return Pair(None if ranker is None else clone(ranker), clone(rater))

    def _as_dataset(self, data: Dataset | FrameLike) -> Dataset:
        return data if isinstance(data, Dataset) else Dataset.from_frames(data)

    def __repr__(self) -> str:
        if not hasattr(self, "models_"):
            return f"Recommender(ranker={self.ranker!r}, rater={self.rater!r}, by={self.by!r}, fill={self.fill!r})"
        known = f"{len(self.ratings_):,} ratings" if self.ratings_ is not None else "no ratings kept"
        return f"Recommender fitted to {self.name_}: {len(self.movie_ids):,} movies, {known}"

    # ------------------------------------------------------------------------------------------- the ids
    @property
    def movie_ids(self) -> Ids:
        """The movies that the models know, ascending."""
        return self._fitted.movie_ids

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
                f"{asked}: this model was saved without ratings and knows no users. Pass ratings={{movie_id: rating}}, "
                "or save it with ratings=True."
            )
        return self.ratings_

    @cached_property
    def _by_item(self) -> sp.csc_array:
        return sp.csc_array(self._kept("movie_id").matrix)

    def _person(self, user_id: Any, ratings: Mapping[Any, float] | None) -> Person:
        """Return the row of a user of the data, or of a newcomer."""
        if (user_id is None) == (ratings is None):
            raise InputError("Pass one of user_id=… (someone in the data) and ratings={movie_id: rating} (a newcomer).")
        if ratings is not None:
            return self._newcomer(ratings)
        kept = self._kept(f"user_id={shorten(user_id)}")
        try:
            items, values = kept.row(kept.user_ids.index_of(user_id))
        except UnknownId:
            raise UnknownId(
                f"No ratings for user_id {shorten(user_id)}. For a newcomer pass ratings={{movie_id: rating}}."
            ) from None
        return Person(one_row(items, values, len(self.movie_ids)), user_id)

    def _newcomer(self, ratings: Mapping[Any, float]) -> Person:
        """Make a row of given ratings; a movie that nobody had rated at the fit is evidence of nothing."""
        if not isinstance(ratings, Mapping):
            raise InputError(f"ratings={shorten(ratings)}: expected a mapping such as {{50: 5, 172: 4}}.")
        low, high, _ = self.scale_ if self._fitted else (0, 0, 0)
        row = {}
        for movie_id, rating in ratings.items():
            value = check_number(f"ratings[{shorten(movie_id)}]", rating, low, high)
            if not self.catalogue_.is_unrated(movie_id):
                row[self.catalogue_.index_of(movie_id)] = value
        items = np.array(sorted(row), np.int32)
        return Person(one_row(items, np.array([row[i] for i in sorted(row)], np.float32), len(self.movie_ids)))

    # ------------------------------------------------------------------------------------------- answers
    def recommend(
        self,
        user_id: Any = None,
        *,
        movie_id: Any = None,
        ratings: Mapping[Any, float] | None = None,
        n: int = 10,
        by: By | None = None,
        genres: str | Iterable[str] | None = None,
        years: int | tuple[int, int] | None = None,
        exclude: Iterable[Any] | None = None,
    ) -> Any:
        """Recommend movies to a user or a newcomer; or, given a movie, users (see `audience`).

        Parameters
        ----------
        user_id : int or str, optional
            Someone in the data.
        movie_id : int or str, optional
            A movie: the answer is then the users who have not rated it and would want it most.
        ratings : mapping of movie id to rating, optional
            A newcomer's ratings, or the latest of a user; no refit is needed.
        n : int, default 10
            Rows wanted.
        by : {"relevance", "rating"}, optional
            The number that rows fall by; by default the recommender's own.
        genres : str or iterable of str, optional
            Only movies of any of these genres.
        years : int or (int, int), optional
            Only movies of these years, both ends included.
        exclude : iterable of movie ids, optional
            Movies to leave out.

        Returns
        -------
        Answers of MovieRow, or of UserRow where `movie_id` is given

        Raises
        ------
        UnknownId
            No such user or movie.
        InputError
            An argument cannot be used.
        """
        if movie_id is not None:
            given = {"user_id": user_id, "ratings": ratings, "genres": genres, "years": years, "exclude": exclude}
            if extra := [name for name, value in given.items() if value is not None]:
                raise InputError(
                    f"recommend(movie_id=…) lists users and does not take {extra[0]}. "
                    "For movies like this one call similar(movie_id=…)."
                )
            return self.audience(movie_id, n=n, by=by)
        person, by = self._person(user_id, ratings), self._by(by)
        n = check_integer("n", n, 1)
        allowed = self.catalogue_.allowed(genres, years, exclude)
        lists = make_lists(self.models_, person.row, n, by, allowed, self._filler)
        rows = [self._movie_row(person, lists, at, by) for at in range(len(lists.items))]
        left = bool(np.count_nonzero(allowed) - np.count_nonzero(allowed[person.row.indices]) > len(rows))
        who = "you" if person.user_id is None else f"user {person.user_id}"
        return Answers(rows, f"Movies for {who}, by {NAMES[by]}", MovieRow, short(n, len(rows), left))

    def recommend_all(
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
            `user_id movie_id title rank score predicted_rating support source`; the same lists as `recommend` gives.
        """
        kept, by, n = self._kept("recommend_all"), self._by(by), check_integer("n", n, 1)
        allowed, n_users = self.catalogue_.allowed(genres, years, exclude), len(kept.user_ids)
        for start in range(0, n_users, CHUNK):
            stop = min(start + CHUNK, n_users)
            lists = make_lists(self.models_, kept.matrix[start:stop], n, by, allowed, self._filler)
            yield self._table(lists, kept.user_ids, start)
            if progress:
                progress(stop / n_users)

    def _table(self, lists: Lists, user_ids: Ids, first: int) -> pl.DataFrame:
        lengths = np.diff(lists.indptr)
        users = np.repeat(np.arange(first, first + len(lengths)), lengths)
        rank = np.arange(len(users)) - np.repeat(lists.indptr[:-1], lengths) + 1
        return pl.DataFrame(
            {
                "user_id": user_ids.take(users),
                "movie_id": self.movie_ids.take(lists.items),
                "title": pl.Series(self.catalogue_.titles, dtype=pl.String).gather(lists.items),
                "rank": rank.astype(np.int32),
                "score": pl.Series(np.where(lists.popular, np.nan, lists.scores)).fill_nan(None),
                "predicted_rating": pl.Series(lists.ratings).fill_nan(None),
                "support": lists.support,
                "source": np.where(lists.popular, "popular", "model"),
            }
        )

    def audience(self, movie_id: Any, *, n: int = 10, by: By | None = None) -> Answers[UserRow]:
        """Return the users who have not rated a movie and would want it most.

        Parameters
        ----------
        movie_id : int or str
            A movie of the data.
        n : int, default 10
            Rows wanted; users without any link to the movie are not listed.
        by : {"relevance", "rating"}, optional
            The number that rows fall by.

        Returns
        -------
        Answers of UserRow
            Without reasons: a reason about a person is shown to that person only.
        """
        item, by = self._fitted.index_of(movie_id), self._by(by)
        n, kept = check_integer("n", n, 1), self._kept(f"movie_id={shorten(movie_id)}")
        users = self.models_.of(by).audience(kept.matrix, item, n, by=by, by_item=self._by_item)
        numbers = self.models_.numbers(kept.matrix[users], np.arange(len(users)), np.full(len(users), item), by)
        rows = [
            UserRow(rank, kept.user_ids[user], known(score), known(rating), int(support))
            for rank, (user, score, rating, support) in enumerate(zip(users, *numbers, strict=True), 1)
        ]
        left = len(kept.user_ids) - self.catalogue_.counts[item] > len(rows)
        heading = f"Users for {self.catalogue_.title(item)}, by {NAMES[by]}"
        return Answers(rows, heading, UserRow, short(n, len(rows), bool(left)))

    def similar(
        self,
        movie_id: Any,
        *,
        n: int = 10,
        genres: str | Iterable[str] | None = None,
        years: int | tuple[int, int] | None = None,
        exclude: Iterable[Any] | None = None,
    ) -> Answers[SimilarRow]:
        """Return the movies most like a movie, with the number of people who rated both.

        Parameters
        ----------
        movie_id : int or str
            A movie of the data.
        n, genres, years, exclude
            As for `recommend`.

        Returns
        -------
        Answers of SimilarRow
        """
        item, n = self._fitted.index_of(movie_id), check_integer("n", n, 1)
        allowed, model = self.catalogue_.allowed(genres, years, exclude), self.models_.of("relevance")
        part = slice(*model.similarity_.indptr[item : item + 2])
        items, values = model.similarity_.indices[part], model.similarity_.data[part]
        common = model.common_.data[part]
        order = [at for at in np.lexsort((items, -values)) if allowed[items[at]]][:n]
        rows = [
            SimilarRow(
                rank, **self.catalogue_.facts(items[at]), similarity=float(values[at]), common_raters=int(common[at])
            )
            for rank, at in enumerate(order, 1)
        ]
        left = bool(np.count_nonzero(allowed) - allowed[item] > len(rows))
        heading = f"Movies similar to {self.catalogue_.title(item)}, by similarity"
        return Answers(rows, heading, SimilarRow, short(n, len(rows), left))

    def predict(
        self, user_id: Any = None, movie_id: Any = None, *, ratings: Mapping[Any, float] | None = None
    ) -> Prediction:
        """Predict what a person would rate a movie; what they did rate it is not looked at.

        Parameters
        ----------
        user_id : int or str, optional
            Someone in the data.
        movie_id : int or str
            The movie.
        ratings : mapping of movie id to rating, optional
            A newcomer's ratings, instead of `user_id`.

        Returns
        -------
        Prediction
        """
        person, item = self._person(user_id, ratings), self.catalogue_.index_of(movie_id)
        rated = person.rating_of(item)
        (value,), (support,) = self.models_.rater.score_pairs(person.without(item).row, [0], [item], by="rating")
        facts = self.catalogue_.facts(item)
        return Prediction(movie_id, facts["title"], facts["year"], user_id, known(value), int(support), rated)

    def explain(
        self,
        user_id: Any = None,
        movie_id: Any = None,
        *,
        ratings: Mapping[Any, float] | None = None,
        by: By | None = None,
    ) -> Why:
        """Say why a person's number for a movie is what it is.

        Parameters
        ----------
        user_id : int or str, optional
            Someone in the data.
        movie_id : int or str
            The movie.
        ratings : mapping of movie id to rating, optional
            A newcomer's ratings, instead of `user_id`.
        by : {"relevance", "rating"}, optional
            Which number to explain.

        Returns
        -------
        Why
            Base, contributions and clip, which sum to the number; and where the movie would stand without each of
            the three strongest reasons.
        """
        person, item, by = self._person(user_id, ratings), self._fitted.index_of(movie_id), self._by(by)
        person, model = person.without(item), self.models_.of(by)
        parts = model.explain_pair(person.row, item, by=by)
        contributions = self._reasons(parts, person.mean)
        rank = self._rank(model, person, item, by)
        without = tuple(
            Without(part.movie_id, part.title, part.year, rank, self._rank(model, person.without(rated), item, by))
            for part in sorted(contributions, key=lambda part: -abs(part.contribution))[:3]
            for rated in [self.catalogue_.index_of(part.movie_id)]
        )
        title, year = self.catalogue_.titles[item], self.catalogue_.years[item]
        return Why(movie_id, title, year, by, known(parts.score), parts.base, contributions, parts.clip, rank, without)

    def find(self, text: str, *, n: int = 10) -> Answers[Match]:
        """Return the movies whose titles are most like a text; typos are forgiven.

        Parameters
        ----------
        text : str
            A title or a part of it.
        n : int, default 10
            Rows wanted at the most.
        """
        return self._fitted.find(text, n)

    def neighbors(self) -> pl.DataFrame:
        """Return the similarity that lists rest on as a table `movie_id neighbor_id similarity common_raters`."""
        self._fitted  # noqa: B018
        model = self.models_.of("relevance")
        rows = np.repeat(np.arange(len(self.movie_ids)), np.diff(model.similarity_.indptr))
        return pl.DataFrame(
            {
                "movie_id": self.movie_ids.take(rows),
                "neighbor_id": self.movie_ids.take(model.similarity_.indices),
                "similarity": model.similarity_.data,
                "common_raters": model.common_.data,
            }
        )

    # ---------------------------------------------------------------------------------------- save, load
    def save(self, path: str | Path, *, ratings: bool = True) -> Path:
        """Write the model as a folder of plain arrays and JSON; a model already there is replaced whole.

        Parameters
        ----------
        path : str or Path
            The folder.
        ratings : bool, default True
            Whether to keep the ratings; without them the model serves newcomers only.

        Returns
        -------
        Path
        """
        from reelated.recommender.storage import save

        self._fitted  # noqa: B018
        return save(self, Path(path), ratings=ratings)

    @classmethod
    def load(cls, path: str | Path) -> "Recommender":
        """Open a saved model; its arrays are mapped from disk and shared between processes.

        Parameters
        ----------
        path : str or Path
            A folder that `save` wrote.

        Raises
        ------
        InputError
            Not a model, damaged, or of a later format.
        """
        from reelated.recommender.storage import load

        return load(Path(path))

    # ------------------------------------------------------------------------------------------- helpers
    def _by(self, by: By | None) -> By:
        self._fitted  # noqa: B018
        return check_choice("by", self.by if by is None else by, NAMES)  # type: ignore[no-any-return]

    @property
    def _filler(self) -> npt.NDArray[np.int64] | None:
        return self.catalogue_.by_popularity if self.fill == "popular" else None

    def _movie_row(self, person: Person, lists: Lists, at: int, by: By) -> MovieRow:
        item, popular = int(lists.items[at]), bool(lists.popular[at])
        numbers = (None if popular else known(lists.scores[at])), known(lists.ratings[at]), int(lists.support[at])
        facts = self.catalogue_.facts(item)
        if popular:
            return MovieRow(at + 1, **facts, **_numbers(*numbers), source="popular")
        parts = self.models_.of(by).explain_pair(person.row, item, by=by)
        reasons = self._reasons(parts, person.mean)[:3]
        other = parts.score - sum(reason.contribution for reason in reasons)
        return MovieRow(at + 1, **facts, **_numbers(*numbers), source="model", reasons=reasons, other=float(other))

    def _reasons(self, parts: Explanation, mean: float) -> tuple[Reason, ...]:
        """Name the parts of an explanation, the largest contribution first."""
        order = np.lexsort((parts.items, -parts.contributions))
        return tuple(
            Reason(
                self.movie_ids[parts.items[at]],
                self.catalogue_.titles[parts.items[at]],
                self.catalogue_.years[parts.items[at]],
                float(parts.ratings[at]),
                float(parts.similarities[at]),
                int(parts.common[at]),
                float(parts.contributions[at]),
                bool(parts.ratings[at] > mean),
            )
            for at in order
        )

    def _rank(self, model: ItemKNN, person: Person, item: int, by: By) -> int | None:
        """Return an item's place among all that the person has not rated."""
        scores = (model.predict if by == "rating" else model.score_items)(person.row)[0]
        if np.isnan(scores[item]):
            return None
        scores[person.row.indices] = np.nan
        above = (scores > scores[item]) | ((scores == scores[item]) & (np.arange(len(scores)) < item))
        return int(above.sum()) + 1


def _default(model: Any) -> bool:
    return isinstance(model, str) and model == "default"


def _numbers(score: float | None, rating: float | None, support: int) -> dict[str, Any]:
    return {"score": score, "predicted_rating": rating, "support": support}


def known(value: Any) -> float | None:
    """Return a plain float, or None for NaN."""
    return None if np.isnan(value) else float(value)


def short(wanted: int, got: int, left: bool) -> Short | None:
    """Say why a list is shorter than wanted, if it is."""
    if got >= wanted:
        return None
    return Short(wanted, got, "no_neighbours" if left else "no_candidates_left")
