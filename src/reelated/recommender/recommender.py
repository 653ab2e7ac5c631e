"""`Recommender`: ratings in, explained recommendations with ids and titles out."""

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from reelated.errors import (
    Advice,
    InputError,
    TooLarge,
    check_choice,
    check_flag,
    check_memory,
    plural,
    shorten,
    show_bytes,
)
from reelated.models.contracts import By, Ranker, Rater
from reelated.models.estimator import clone
from reelated.parallel import Progress
from reelated.ratings import Dataset, FrameLike, Ratings, Scale
from reelated.ratings.dataset import as_dataset
from reelated.recommender import storage
from reelated.recommender.answering import NAMES, FittedRecommender
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.defaults import check_role, default_ranker, default_rater, fit_model, no_rater, with_unrated
from reelated.recommender.engine import Models
from reelated.recommender.recency import check_recency

NO_TIMES = "Times are not known for all ratings: all count alike, however old."


class Recommender(FittedRecommender):
    """Recommend items to users and users for items: a ranker scores items, a rater predicts ratings.

    Parameters
    ----------
    ranker : EASE, ItemKNN, Popularity, "default" or None, default "default"
        The model that scores items; None: the predicted rating is the score. The default is ``EASE()``, and
        ``ItemKNN(weighting="tf-idf", n_neighbors=200, shrinkage=10)`` for catalogues too large for it. With implicit
        feedback, such as purchases, both have ``user_normalization=0.25`` and ``item_normalization=0.1``.
    rater : BPMF, ItemKNN, BiasModel, "default" or None, default "default"
        The model that predicts ratings; None: no rating is predicted. With a ranker, data whose ratings are all equal
        has no rater. The default is ``BPMF()``, which uses genres and years where they are known; for more than
        three million ratings, or without a ranker, it is
        ``ItemKNN("residual-cosine", n_neighbors=200, max_neighbors_used=30, shrinkage=100, prior_weight=0.05)``.
    by : {"score", "rating"}, default "score"
        The number that lists are sorted by unless a call says otherwise.
    fill_with_popular : bool, default True
        Whether short lists are filled with popular items.
    recency_half_life : float or None, default 10.0
        In the score, a rating counts less the more ratings the same user has given since: the part that ages is halved
        every so many ratings. None: all ratings count equally, as they do where neither times nor an order are known.
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
        The ratings of the users; None in a model that was saved without.
    feedback_ : {"explicit", "implicit"}
        Implicit if all ratings are equal and the scale has no other value but 0.
    name_ : str
        The name of the data.
    noun_ : str
        What an item is called in headings, such as "movie".
    notes_ : tuple of str
        What reading the data changed.

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

    # ------------------------------------------------------------------------------------------------ fit
    def fit(self, data: Dataset | FrameLike, *, progress: Progress | None = None) -> "Recommender":
        """Fit the models to ratings.

        Parameters
        ----------
        data : Dataset or table
            Result of `reelated.read`, or a table of ratings.
        progress : callable, optional
            Called with the fraction done.

        Returns
        -------
        Recommender
            This recommender.

        Raises
        ------
        InputError
            The data or a parameter is invalid.
        TooLarge
            The fit may need more than `max_memory`.
        """
        data = as_dataset(data)
        models, ratings = self.unfitted_models(data)
        X, scale, limit = ratings.matrix, ratings.scale[:2], check_memory("max_memory", self.max_memory)
        if limit is not None and (needed := models.plan(X)) > limit:
            raise TooLarge(
                f"the fit may need {show_bytes(needed)}.",
                parameter="max_memory",
                value=self.max_memory,
                remedy=Advice.LESS_MEMORY,
            )
        catalogue = Catalogue(data.items, ratings.item_ids, np.bincount(X.indices, minlength=X.shape[1]))
        for place, model in enumerate(models.present):
            fit_model(model, X, scale, catalogue, part_of(progress, place, len(models.present)))
        self.name_, self.noun_, self.feedback_ = data.name, data.noun, ratings.feedback
        self.notes_ = (*data.notes, *self._notes(ratings, models))
        return self.set_fitted(models, catalogue, ratings.scale, ratings)

    def set_fitted(self, models: Models, catalogue: Catalogue, scale: Scale, ratings: Ratings | None) -> "Recommender":
        """Take fitted models, from a fit, a saved model or a cluster.

        Parameters
        ----------
        models : Models
            The fitted models.
        catalogue : Catalogue
            The items.
        scale : Scale
            The rating scale.
        ratings : Ratings or None
            The ratings of the users.

        Returns
        -------
        Recommender
            This recommender.
        """
        self.models_, self.catalogue_, self.scale_, self.ratings_ = models, catalogue, scale, ratings
        self.__dict__.pop("engine", None)
        return self

    def _notes(self, ratings: Ratings, models: Models) -> Iterator[str]:
        if self.recency_half_life is not None and self.ranker is not None and ratings.times is None:
            yield NO_TIMES
        yield from self.rater_notes(models)

    def rater_notes(self, models: Models) -> tuple[str, ...]:
        """Return a note if the given rater is not fitted, because all ratings are equal.

        Parameters
        ----------
        models : Models
            The models to fit.

        Returns
        -------
        tuple of str
        """
        if models.rater is not None or self.rater is None or is_default(self.rater):
            return ()
        return (f"All ratings are equal: none is predicted, and rater={shorten(self.rater)} is not fitted.",)

    def with_ratings(self, data: Dataset | Ratings | FrameLike) -> "Recommender":
        """Return a copy with the same fitted models and the ratings of other users; nothing is fitted again.

        Parameters
        ----------
        data : Dataset, Ratings or table
            The ratings. Items that the models do not know are left out.

        Returns
        -------
        Recommender

        Raises
        ------
        InputError
            The ids are of another type, or a rating is off the scale of the fit.
        """
        ratings = data if isinstance(data, Ratings) else as_dataset(data).ratings
        item_ids, scale = self._fitted.item_ids, self.scale_
        if ratings.item_ids.type_name != item_ids.type_name:
            raise InputError(
                f"item_id is of type {ratings.item_ids.type_name}: expected {item_ids.type_name}, as in the fit."
            )
        ratings = ratings.onto(item_ids)
        values = ratings.matrix.data
        if len(values) and not scale.low <= values.min() <= values.max() <= scale.high:
            raise InputError(f"ratings from {values.min():g} to {values.max():g}: expected {scale}, as in the fit.")
        return copy(self).set_fitted(self.models_, self.catalogue_, scale, replace(ratings, scale=scale))

    def plan(self, data: Dataset | FrameLike) -> int:
        """Return the maximum number of bytes that a fit takes beside the data.

        Parameters
        ----------
        data : Dataset or table
            As for `fit`.

        Returns
        -------
        int
        """
        models, ratings = self.unfitted_models(as_dataset(data))
        return models.plan(ratings.matrix)

    def unfitted_models(self, data: Dataset) -> tuple[Models, Ratings]:
        """Return the models that `fit` would fit to a data set, and the ratings with the columns that they would know.

        Parameters
        ----------
        data : Dataset
            The data, whose size decides the default models.

        Returns
        -------
        models : Models
            New, unfitted models.
        ratings : Ratings

        Raises
        ------
        InputError
            A parameter is invalid.
        """
        ratings, wide, room = data.ratings, with_unrated(data), check_memory("max_memory", self.max_memory)
        ranker: Any = default_ranker(wide, room) if is_default(self.ranker) else self.ranker
        rater: Any = default_rater(wide.matrix, room, ranker) if is_default(self.rater) else self.rater
        if ranker is not None and ratings.is_one_valued:
            rater = None
        models = self.check_models(ranker, rater)
        return models, wide if any(model.uses_side_info for model in models.present) else ratings

    def check_models(self, ranker: Any, rater: Any) -> Models:
        """Check the parameters; return clones of the models.

        Parameters
        ----------
        ranker, rater : estimator or None
            The models, no longer "default".

        Returns
        -------
        Models

        Raises
        ------
        InputError
            A parameter is invalid, or a model does not compute the number.
        """
        check_choice("by", self.by, NAMES)
        check_flag("fill_with_popular", self.fill_with_popular)
        check_recency(self.recency_half_life, self.recency_floor)
        models = Models(check_role("ranker", ranker, "score"), check_role("rater", rater, "rating"))
        if not models.present:
            raise InputError("expected a model for at least one of ranker and rater.", parameter="ranker", value=None)
        if rater is None and self.by == "rating":
            raise no_rater()
        return Models(*(None if model is None else clone(model) for model in models))

    def __repr__(self) -> str:
        if not hasattr(self, "models_"):
            names = ("ranker", "rater", "by", "fill_with_popular")
            return f"Recommender({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
        ratings = f"{len(self.ratings_):,} ratings" if self.ratings_ is not None else "no ratings kept"
        return f"Recommender fitted to {self.name_}: {plural(len(self.item_ids), self.noun_)}, {ratings}"

    # ---------------------------------------------------------------------------------------- save, load
    def save(self, path: str | Path, *, ratings: bool = True) -> Path:
        """Write the model as a folder of arrays and JSON; a model that exists there is replaced atomically.

        Parameters
        ----------
        path : str or Path
            The folder.
        ratings : bool, default True
            Whether to keep the ratings; without them the model serves new users only.

        Returns
        -------
        Path
        """
        self._fitted  # noqa: B018
        return storage.save(self if ratings else self._without_data_notes(), Path(path), ratings=ratings)

    def _without_data_notes(self) -> "Recommender":
        """Return a copy without the notes on the data, which quote rows with their user ids."""
        bare = copy(self)
        bare.notes_ = tuple(note for note in self.notes_ if note in {NO_TIMES, *self.rater_notes(self.models_)})
        return bare

    @classmethod
    def load(cls, path: str | Path) -> "Recommender":
        """Open a saved model; its arrays are memory-mapped and shared between processes.

        Parameters
        ----------
        path : str or Path
            A folder that `save` wrote.

        Returns
        -------
        Recommender

        Raises
        ------
        InputError
            The folder is not a model, is damaged, or has another format.
        """
        return storage.load(Path(path), cls)


def part_of(progress: Progress | None, place: int, parts: int) -> Progress | None:
    """Return a callback for one of several parts of a task."""
    return None if progress is None else lambda done: progress((place + done) / parts)


def is_default(model: Any) -> bool:
    """Return whether the choice of the model is left to the recommender."""
    return isinstance(model, str) and model == "default"
