"""The row types of a `Recommender`'s results.

They have no slots: orjson writes the attributes of an object with a `__dict__` in a quarter of the time.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields, make_dataclass
from math import isnan
from typing import Any, NamedTuple, TypeVar, cast

from reelated.formatting import cell_text, html_table, with_year

Row = TypeVar("Row")


def known(value: Any) -> float | None:
    """Return a plain float, or None for NaN."""
    return None if isnan(value) else float(value)


@dataclass(frozen=True)
class Reason:
    """One rated item with its contribution to a score or predicted rating.

    Attributes
    ----------
    item_id : int or str
        The rated item.
    title, year
        Title and year of release; `year` may be None.
    rating : float or None
        The user's rating; None for implicit feedback.
    similarity : float
        Similarity of the two items in the model.
    common_raters : int or None
        Number of users who rated both; None if the model does not count them.
    contribution : float
        Contribution to the score or predicted rating that is explained.
    liked : bool
        Whether the rating is above the user's mean, or above the middle of the scale if all the user's ratings are
        equal. False for implicit feedback.
    """

    item_id: Any
    title: str
    year: int | None
    rating: float | None
    similarity: float
    common_raters: int | None
    contribution: float
    liked: bool


@dataclass(frozen=True)
class ItemRow:
    """One recommended item.

    Attributes
    ----------
    rank : int
        From 1.
    item_id : int or str
        Id as in the data.
    title, year, genres
        Title, year of release and genres; `year` may be None.
    score : float or None
        The ranking score; None for a popular item that fills the list.
    predicted_rating : float or None
        On the scale of the ratings.
    n_neighbors_used : int
        Number of the user's rated items that the score or predicted rating is computed from.
    source : {"model", "popular", "side_info"}
        Origin of the row; "side_info": the item has no ratings, and its genres and year are used.
    reasons : tuple of Reason
        The three largest contributions; with `other` they sum to the number that the list is sorted by.
    other : float
        Sum of the base and all other contributions.
    """

    rank: int
    item_id: Any
    title: str
    year: int | None
    genres: tuple[str, ...]
    score: float | None
    predicted_rating: float | None
    n_neighbors_used: int
    source: str
    reasons: tuple[Reason, ...] = ()
    other: float = 0.0

    @property
    def because(self) -> tuple[str, ...]:
        """Titles of the rated items with the largest positive contributions, the largest first."""
        return tuple(with_year(reason.title, reason.year) for reason in self.reasons if reason.contribution > 0)


def fast_init(frozen: type[Row]) -> Callable[..., Row]:
    """Return a function that makes an instance of a frozen dataclass from the values of all fields."""
    # `__init__` of a frozen class writes each field through `object.__setattr__`, which takes three times as long.
    # Instead, an object of a plain class with the same fields is filled, and its `__class__` is changed
    mutable: Any = make_dataclass("Mutable", [field.name for field in fields(cast(Any, frozen))])

    def make(*values: Any) -> Row:
        row: Row = mutable(*values)
        row.__class__ = frozen
        return row

    return make


make_reason, make_item_row = fast_init(Reason), fast_init(ItemRow)


@dataclass(frozen=True)
class UserRow:
    """One user of an audience, without reasons: the reasons for a user are shown to that user only.

    Attributes
    ----------
    rank : int
        From 1.
    user_id : int or str
        Id as in the data.
    score, predicted_rating : float or None
        As in `ItemRow`.
    n_neighbors_used : int
        As in `ItemRow`.
    adjusted_score : float or None
        The score minus the usual score of the user, times a factor that grows with the predicted rating before it is
        clipped to the scale; None without a ranker.
    above_user_mean : float or None
        The predicted rating minus the user's mean rating.
    """

    rank: int
    user_id: Any
    score: float | None
    predicted_rating: float | None
    n_neighbors_used: int
    adjusted_score: float | None
    above_user_mean: float | None


@dataclass(frozen=True)
class SimilarRow:
    """One item similar to another.

    Attributes
    ----------
    rank : int
        From 1.
    item_id, title, year, genres
        As in `ItemRow`.
    similarity : float
        Similarity; at most 1 for a cosine.
    common_raters : int
        Number of users who rated both items.
    """

    rank: int
    item_id: Any
    title: str
    year: int | None
    genres: tuple[str, ...]
    similarity: float
    common_raters: int


@dataclass(frozen=True)
class SearchHit:
    """One item found by its title.

    Attributes
    ----------
    item_id, title, year, genres
        As in `ItemRow`.
    match : float
        Similarity of the title and the search text, from 0 to 100.
    n_ratings : int
        Number of ratings.
    """

    item_id: Any
    title: str
    year: int | None
    genres: tuple[str, ...]
    match: float
    n_ratings: int


@dataclass(frozen=True)
class Prediction:
    """The predicted rating of one item.

    Attributes
    ----------
    item_id : int or str
        The item.
    title, year
        Title and year of release; `year` may be None.
    user_id : int, str or None
        The user; None for a new user.
    predicted_rating : float or None
        On the scale of the ratings; None if there is no prediction.
    n_neighbors_used : int
        Number of rated items that it is computed from; 0 if it is computed from averages only.
    rating : float or None
        The user's actual rating, if any; the prediction does not use it.
    source : {"model", "bias_only", "side_info"}
        Origin of the number; "bias_only": no rating of the user is used; "side_info": the item has no ratings, and its
        genres and year are used.
    low, high : float or None
        Ends of the 80 % prediction interval; None if the model has none.
    """

    item_id: Any
    title: str
    year: int | None
    user_id: Any
    predicted_rating: float | None
    n_neighbors_used: int
    rating: float | None
    source: str = "model"
    low: float | None = None
    high: float | None = None

    def _repr_html_(self) -> str:
        interval = "–" if self.low is None or self.high is None else f"{self.low:.1f} to {self.high:.1f}"
        cells = cell_text(self.predicted_rating), interval, f"{self.n_neighbors_used:,}", cell_text(self.rating)
        columns = "predicted rating", "80 % interval", "neighbors used", "actual rating"
        return html_table(f"{with_year(self.title, self.year)}, from {self.source}", columns, [cells])


class Truncation(NamedTuple):
    """The reason why a list is shorter than requested.

    Attributes
    ----------
    wanted, got : int
        Number of rows requested and returned.
    reason : {"no_candidates_left", "no_neighbours", "unknown_genre"}
        All items that may be listed are listed; the item has no more neighbours; or no item of the model has any of
        the genres.
    """

    wanted: int
    got: int
    reason: str

    def __str__(self) -> str:
        why = {
            "no_candidates_left": "nothing else is left to choose from",
            "no_neighbours": "nothing else is linked to it",
            "unknown_genre": "no item has any of these genres",
        }[self.reason]
        return f"{self.got} of {self.wanted}: {why} ({self.reason})"
