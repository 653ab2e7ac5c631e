"""Request and response schemas of the API; fields have the same names as in the JSON output of the terminal."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from reelated.recommender import ItemRow, Reason, SimilarRow, UserRow
from reelated.store import StoredItem, UserRating

MAX_ROWS = 1000
"""Maximum number of rows in a list."""
MAX_RATINGS = 10_000
MAX_NEW_USER = 5000
"""Maximum number of ratings, and of excluded items, of a new user: these requests need no key."""
Id = StrictInt | StrictStr
Stars = Annotated[float, Field(strict=True, allow_inf_nan=False, examples=[4])]
N = Annotated[int, Field(ge=1, le=MAX_ROWS, description="Maximum number of rows.")]
_ORDER = "The number that orders the rows, highest first."
By = Annotated[Literal["score", "rating"] | None, Field(description=_ORDER)]
AudienceBy = Annotated[Literal["score", "rating", "adjusted_score"] | None, Field(description=_ORDER)]
Genres = Annotated[str | None, Field(description="Only items with at least one of these genres: Comedy,Drama.")]


class StrictSchema(BaseModel):
    """A schema that rejects unknown fields, so that misspelt names are errors."""

    model_config = ConfigDict(extra="forbid")


class FilterParams(StrictSchema):
    """Query parameters of a list of items."""

    n: N = 10
    genres: Genres = None
    years: Annotated[str | None, Field(description="Only items from these years: 1994 or 1990-1999.")] = None
    exclude: Annotated[str | None, Field(description="Ids of items to exclude: 1,2.")] = None


class ListParams(FilterParams):
    """Query parameters of a user's list."""

    by: By = None


class PageParams(StrictSchema):
    """Query parameters of one page of a long list."""

    page: Annotated[int, Field(ge=1, le=1_000_000, description="Page number, starting at 1.")] = 1
    n: Annotated[int, Field(ge=1, le=200, description="Rows per page.")] = 50


class SearchParams(PageParams):
    """Query parameters of a search."""

    query: Annotated[str, Field(max_length=500, description="Part of a title.")] = ""
    genres: Genres = None


class ItemRatingIn(StrictSchema):
    """A new user's rating of an item."""

    item_id: Annotated[Id, Field(examples=[50])]
    rating: Stars


class NewUserIn(StrictSchema):
    """A new user's ratings, or items without ratings, and the options of the list."""

    ratings: Annotated[list[ItemRatingIn] | None, Field(max_length=MAX_NEW_USER)] = None
    items: Annotated[
        list[Id] | None,
        Field(max_length=MAX_NEW_USER, examples=[None], description="Items that the user has, instead of ratings."),
    ] = None
    n: N = 10
    by: By = None
    genres: Annotated[list[str] | None, Field(max_length=100, examples=[None])] = None
    years: Annotated[tuple[StrictInt, StrictInt] | None, Field(examples=[None])] = None
    exclude: Annotated[list[Id] | None, Field(max_length=MAX_NEW_USER, examples=[None])] = None


Time = Annotated[StrictInt | None, Field(description="Seconds since 1970; by default now.", examples=[874965758])]


class RatingIn(StrictSchema):
    """A rating."""

    rating: Stars
    timestamp: Time = None


class RatingToStore(ItemRatingIn):
    """A user's rating of an item."""

    user_id: Annotated[Id, Field(examples=[300])]
    timestamp: Time = None


class RatingsIn(StrictSchema):
    """Ratings of several users, stored all or none."""

    ratings: Annotated[list[RatingToStore], Field(max_length=MAX_RATINGS)]


class EventIn(StrictSchema):
    """An event: a user viewed, played or bought an item."""

    user_id: Annotated[Id, Field(examples=[300])]
    item_id: Annotated[Id, Field(examples=[50])]
    event: Annotated[str | None, Field(max_length=100, description="The type, such as view.", examples=["view"])] = None
    weight: Annotated[Stars | None, Field(description="Such as a quantity; by default 1.", examples=[1])] = None
    timestamp: Time = None


class EventsIn(StrictSchema):
    """Events of several users, stored all or none."""

    events: Annotated[list[EventIn], Field(max_length=MAX_RATINGS)]


class ItemIn(StrictSchema):
    """An item to add or change; omitted fields stay unchanged."""

    title: Annotated[str, Field(examples=["Alien"])] = ""
    year: Annotated[StrictInt | None, Field(examples=[1979])] = None
    genres: Annotated[list[str], Field(examples=[["Horror"]])] = []
    image: Annotated[str | None, Field(description="URL of a picture: https://…", examples=[None])] = None


class TruncationOut(BaseModel):
    """Why a list is shorter than requested."""

    wanted: int
    got: int
    reason: Literal["no_candidates_left", "no_neighbours", "unknown_genre"]


class RecommendationsOut(BaseModel):
    """Recommended items, the best first."""

    recommendations: list[ItemRow]
    short: TruncationOut | None


class NewUserRecommendationsOut(RecommendationsOut):
    """Recommended items for a new user, the best first."""

    unknown: Annotated[list[Any], Field(description="Ids of rated items that are not in the model; ignored.")]


class AudienceOut(BaseModel):
    """Users, the best first, without reasons: the reasons for a user are shown to that user only."""

    recommendations: list[UserRow]
    short: TruncationOut | None


class SimilarItemsOut(BaseModel):
    """Similar items, the most similar first."""

    recommendations: list[SimilarRow]
    short: TruncationOut | None


class PredictionOut(BaseModel):
    """A predicted rating: the sum of `base`, the contributions of the reasons, `other` and `clip`."""

    item_id: Any
    title: str
    year: int | None
    user_id: Any
    predicted_rating: float | None
    n_neighbors_used: int
    rating: float | None
    source: Literal["model", "bias_only", "side_info"]
    low: float | None
    high: float | None
    base: float
    reasons: list[Reason]
    other: float
    clip: float


class RatingOut(BaseModel):
    """A stored rating."""

    user_id: Any
    item_id: Any
    rating: float


class RatingsOut(BaseModel):
    """A page of a user's ratings, the newest first."""

    ratings: list[UserRating]
    page: int
    more: bool


class StoredCountOut(BaseModel):
    """The number of stored ratings."""

    kept: int


class ItemsOut(BaseModel):
    """A page of items, the best matching titles first."""

    items: list[StoredItem]
    page: int
    more: bool


class ColoringOut(BaseModel):
    """A colouring of the map: the group of each item, or −1 for none."""

    names: list[str]
    colors: Annotated[
        list[tuple[str, str]], Field(description="On light and on dark background; the last pair is for −1.")
    ]
    of: list[int]
    homes: Annotated[list[int | None], Field(description="For each group, the index of its central item.")]


class MapOut(BaseModel):
    """All items with coordinates from 0 to 10,000, as columns of equal length, the most rated item first."""

    item_id: list[Any]
    title: list[str]
    year: list[int | None]
    n_ratings: list[int]
    x: list[int]
    y: list[int]
    genres: ColoringOut
    decades: ColoringOut


class ModelOut(BaseModel):
    """The served model."""

    version: int
    made_at: int
    age_seconds: int
    name: str
    users: int
    items: int
    ratings: int
    scale: list[float]
    ranker: dict[str, Any] | None
    rater: dict[str, Any] | None
    accuracy: dict[str, float] | None
    last_refit: dict[str, Any] | None


class RefitOut(BaseModel):
    """A refit request."""

    running: Annotated[bool, Field(description="Whether another refit is running; the new one starts after it.")]


class HealthOut(BaseModel):
    """The health of the service."""

    status: Literal["ok"]


class ErrorOut(BaseModel):
    """An error: what was received, what is expected, and what to do."""

    detail: Annotated[str, Field(description="The whole message.", examples=["n=0: expected an integer of 1 or more."])]
    parameter: Annotated[str | None, Field(description="The parameter at fault.", examples=["n"])] = None
    expected: Annotated[str | None, Field(examples=["expected an integer of 1 or more."])] = None
    remedy: Annotated[str | None, Field(description="What to do about it.")] = None
