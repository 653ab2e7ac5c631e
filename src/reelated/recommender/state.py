"""`State`: the parameters and fitted attributes of a `Recommender` that its parts read."""

from typing import Any, Protocol

from reelated.models.contracts import By
from reelated.ratings import Feedback, Ratings, Scale
from reelated.recommender.catalogue import Catalogue
from reelated.recommender.engine import Engine, Models


class State(Protocol):
    """A recommender; `Recommender` documents the attributes."""

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
    def engine(self) -> Engine: ...

    @property
    def is_events(self) -> bool:
        """Whether the data are events or likes."""
        ...

    @property
    def fitted(self) -> Catalogue:
        """The items of the fit, or an error."""
        ...

    def kept_ratings(self) -> Ratings:
        """Return the ratings of the users, or raise an error."""
        ...
