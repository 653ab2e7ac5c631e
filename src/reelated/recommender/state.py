"""`State`: the parameters and fitted attributes of a `Recommender`, which the functions of this package read."""

from functools import cached_property
from typing import Any

from reelated.errors import InputError, no_users
from reelated.models.contracts import By
from reelated.models.estimator import Estimator
from reelated.ratings import Feedback, Ids, Ratings, Scale
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.engine import Engine, Models, WeightedRows
from reelated.recommender.weights import model_values, weights_of, with_data


class State(Estimator):
    """A recommender without its methods; `Recommender` documents the attributes."""

    ranker: Any
    rater: Any
    by: By
    fill_with_popular: bool
    recency_half_life: float | None
    recency_floor: float
    max_memory: int | str | None
    models_: Models
    catalogue_: Catalogue
    scale_: Scale
    ratings_: Ratings | None
    feedback_: Feedback
    name_: str
    noun_: str
    verb_: str
    notes_: tuple[str, ...]

    @property
    def item_ids(self) -> Ids:
        """The items that the models know, ascending."""
        return self.fitted.item_ids

    @property
    def user_ids(self) -> Ids:
        """The users whose ratings are kept, ascending."""
        return self.kept_ratings().user_ids

    @cached_property
    def engine(self) -> Engine:
        """The numeric engine: indices instead of ids, arrays instead of rows."""
        if (ratings := self.ratings_) is None:
            return Engine(self.models_, None, self.catalogue_.counts)
        recency = weights_of(self, ratings)
        values, weights = model_values(ratings.matrix.data, self.scale_, self.feedback_, recency)
        return Engine(self.models_, WeightedRows(with_data(ratings.matrix, values), weights), self.catalogue_.counts)

    @property
    def is_events(self) -> bool:
        """Whether the data are events or likes, without a scale on which users rate."""
        return self.feedback_ == "implicit"

    def kept_ratings(self) -> Ratings:
        """Return the ratings of the users.

        Raises
        ------
        InputError
            The model was saved without ratings.
        """
        self.fitted  # noqa: B018
        if self.ratings_ is None:
            raise no_users()
        return self.ratings_

    @property
    def fitted(self) -> Catalogue:
        """The items, as in `catalogue_`; raises an error before the fit."""
        if not hasattr(self, "catalogue_"):
            raise InputError("This Recommender is not fitted yet: call fit(data) or Recommender.load(path) first.")
        return self.catalogue_
