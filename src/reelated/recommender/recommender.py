"""`Recommender`: ratings in, answers in names out."""

from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from sklearn.base import clone

from reelated.errors import InputError, TooLarge, check_choice, check_flag, check_memory, plural, shorten, show_bytes
from reelated.models import DrawnModel, LinearItemModel
from reelated.parallel import Progress
from reelated.ratings import Dataset, FrameLike, Ratings, Scale
from reelated.ratings.dataset import as_dataset
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.fitting import default_ranker, default_rater, fit_model, with_unrated
from reelated.recommender.lists import Pair, check_recency
from reelated.recommender.questions import NAMES, NO_RATER, By, Questions


class Recommender(Questions):
    """From ratings to explained recommendations: one model ranks, one predicts ratings, both item–item.

    Parameters
    ----------
    ranker : EASE, ItemKNN, Popularity, "default" or None, default "default"
        The model whose score lists fall by; None: the predicted rating is the score. The default is ``EASE()``, and
        ``ItemKNN(weighting="tf-idf", n_neighbors=200, shrinkage=10)`` for catalogues too large for it.
    rater : BPMF, ItemKNN, BiasModel, "default" or None, default "default"
        The model that predicts ratings; None: no rating is predicted. Beside a ranker, data whose ratings are all equal
        gets none, whatever is given. The default is ``BPMF()``, which is told genres and years where they are
        known; for more than three million ratings, or without a ranker beside it, it is
        ``ItemKNN("residual-cosine", n_neighbors=200, max_neighbors_used=30, shrinkage=100, prior_weight=0.05)``.
    by : {"score", "rating"}, default "score"
        Which number lists fall by unless a call says otherwise.
    fill_with_popular : bool, default True
        Whether short lists are filled with popular items.
    recency_half_life : float or None, default 10.0
        For the score a rating counts the less the older it is, by how many the same user has given since: the
        part that ages is halved every so many. None: all count alike, as they do where neither times nor an order
        are known.
    recency_floor : float, default 0.5
        The part of what a rating counts that does not age.
    max_memory : int, str or None, default None
        The most bytes that the fit may take, such as "2GB"; more is refused beforehand.

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
        ranker: LinearItemModel | Literal["default"] | None = "default",
        rater: LinearItemModel | DrawnModel | Literal["default"] | None = "default",
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
        data = as_dataset(data)
        pair, ratings = self._models(data)
        X, scale, limit = ratings.matrix, ratings.scale[:2], check_memory("max_memory", self.max_memory)
        if limit is not None and (needed := pair.plan(X)) > limit:
            raise TooLarge(
                f"max_memory={self.max_memory!r}: the fit may need {show_bytes(needed)}. "
                "Raise max_memory, or give models with fewer n_neighbors."
            )
        catalogue = Catalogue(data.items, ratings.item_ids, np.bincount(X.indices, minlength=X.shape[1]))
        models = [model for model in pair if model is not None]
        for place, model in enumerate(models):
            fit_model(model, X, scale, catalogue, share_of(progress, place, len(models)))
        self.name_, self.noun_, self.feedback_ = data.name, data.noun, ratings.feedback
        self.notes_ = (*data.notes, *self._said_of_time(ratings), *self._said_of_rater(pair))
        return self._learned(pair, catalogue, ratings.scale, ratings)

    def _learned(self, pair: Pair, catalogue: Catalogue, scale: Scale, ratings: Ratings | None) -> "Recommender":
        """Take what a fit or a load gives."""
        self.models_, self.catalogue_, self.scale_, self.ratings_ = pair, catalogue, scale, ratings
        for kept in ("_by_item", "_weights", "_interest"):
            self.__dict__.pop(kept, None)
        return self

    def _said_of_time(self, ratings: Ratings) -> tuple[str, ...]:
        if self.recency_half_life is None or self.ranker is None or ratings.times is not None:
            return ()
        return ("Times are not known for all ratings: all count alike, however old.",)

    def _said_of_rater(self, pair: Pair) -> tuple[str, ...]:
        if pair.rater is not None or self.rater is None or is_default(self.rater):
            return ()
        return (f"All ratings are equal: none is predicted, and rater={shorten(self.rater)} is not fitted.",)

    def with_ratings(self, data: Dataset | Ratings | FrameLike) -> "Recommender":
        """Return the same fitted models at the service of other people: nothing is fitted again.

        Parameters
        ----------
        data : Dataset, Ratings or table
            Whose ratings to answer from. Items that the models do not know are left out.

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
        other = copy(self)
        return other._learned(self.models_, self.catalogue_, scale, replace(ratings, scale=scale))

    def plan(self, data: Dataset | FrameLike) -> int:
        """Return the most bytes that a fit may take beside the data.

        Parameters
        ----------
        data : Dataset or table
            As for `fit`.

        Returns
        -------
        int
        """
        pair, ratings = self._models(as_dataset(data))
        return pair.plan(ratings.matrix)

    def _models(self, data: Dataset) -> tuple[Pair, Ratings]:
        """Return fresh models, the default ones by the data's size, and the ratings by all items they will know."""
        ratings, wide, room = data.ratings, with_unrated(data), check_memory("max_memory", self.max_memory)
        ranker: Any = default_ranker(wide.matrix, room) if is_default(self.ranker) else self.ranker
        rater: Any = default_rater(wide.matrix, room, ranker) if is_default(self.rater) else self.rater
        if ranker is not None and ratings.is_one_valued:
            rater = None
        pair = self._checked(ranker, rater)
        return pair, wide if any(model.uses_side_info for model in pair if model is not None) else ratings

    def _checked(self, ranker: Any, rater: Any) -> Pair:
        """Check the parameters and return fresh models."""
        check_choice("by", self.by, NAMES)
        check_flag("fill_with_popular", self.fill_with_popular)
        check_recency(self.recency_half_life, self.recency_floor)
        for name, model, kinds in (
            ("ranker", ranker, LinearItemModel),
            ("rater", rater, (LinearItemModel, DrawnModel)),
        ):
            if not isinstance(model, kinds) and model is not None:
                raise InputError(
                    f"{name}={shorten(model)}: expected a model such as EASE() or ItemKNN(), or 'default'."
                )
        if ranker is None and rater is None:
            raise InputError("ranker=None with rater=None: expected a model for at least one of them.")
        if ranker is None and isinstance(rater, DrawnModel):
            raise InputError(f"rater={shorten(rater)} with ranker=None: it keeps no similarities. Give a ranker, too.")
        if rater is None and self.by == "rating":
            raise InputError(f"by='rating': {NO_RATER}")
        return Pair(*(None if model is None else clone(model) for model in (ranker, rater)))

    def __repr__(self) -> str:
        if not hasattr(self, "models_"):
            names = ("ranker", "rater", "by", "fill_with_popular")
            return f"Recommender({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"
        known = f"{len(self.ratings_):,} ratings" if self.ratings_ is not None else "no ratings kept"
        return f"Recommender fitted to {self.name_}: {plural(len(self.item_ids), self.noun_)}, {known}"

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

        Returns
        -------
        Recommender

        Raises
        ------
        InputError
            Not a model, damaged, or of a later format.
        """
        from reelated.recommender.storage import load

        return load(Path(path))


def share_of(progress: Progress | None, place: int, parts: int) -> Progress | None:
    """Return what tells the progress of one of several parts as that of the whole."""
    return None if progress is None else lambda done: progress((place + done) / parts)


def is_default(model: Any) -> bool:
    """Say whether the choice of a model is left to us."""
    return isinstance(model, str) and model == "default"
