"""What goes in and comes out over HTTP, as OpenAPI describes it: the words and fields of the terminal's JSON."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr

from reelated.recommender import MovieRow, Reason, SimilarRow, UserRow

MOST = 1000
"""Rows of a list, at the most."""
MOST_RATINGS = 10_000
Id = StrictInt | StrictStr
Stars = Annotated[float, Field(strict=True, allow_inf_nan=False, examples=[4])]
N = Annotated[int, Field(ge=1, le=MOST, description="Rows wanted.")]
By = Annotated[Literal["relevance", "rating"] | None, Field(description="The number that rows fall by.")]
AudienceBy = Annotated[
    Literal["relevance", "rating", "interest"] | None, Field(description="The number that rows fall by.")
]


class Closed(BaseModel):
    """A body without room for misspelt names."""

    model_config = ConfigDict(extra="forbid")


class Asked(Closed):
    """What is asked of a list, in an address."""

    n: N = 10
    by: By = None
    genres: Annotated[str | None, Field(description="Only movies of any of these: Comedy,Drama.")] = None
    years: Annotated[str | None, Field(description="Only movies of these years: 1994 or 1990-1999.")] = None
    exclude: Annotated[str | None, Field(description="Movie ids to leave out: 1,2.")] = None


class Page(Closed):
    """Which part of a long list is wanted."""

    page: Annotated[int, Field(ge=1, le=1_000_000, description="From 1.")] = 1
    n: Annotated[int, Field(ge=1, le=200, description="Rows of a page.")] = 50


class Search(Page):
    """Which movies are looked for."""

    query: Annotated[str, Field(max_length=500, description="A part of a title.")] = ""
    genres: Annotated[str | None, Field(description="Only movies of any of these: Comedy,Drama.")] = None


class MovieRating(Closed):
    """A newcomer's rating."""

    movie_id: Annotated[Id, Field(examples=[50])]
    rating: Stars


class Newcomer(Closed):
    """Someone's ratings, and what is asked of the list."""

    ratings: Annotated[list[MovieRating], Field(max_length=MOST_RATINGS)]
    n: N = 10
    by: By = None
    genres: Annotated[list[str] | None, Field(max_length=100, examples=[None])] = None
    years: Annotated[tuple[StrictInt, StrictInt] | None, Field(examples=[None])] = None
    exclude: Annotated[list[Id] | None, Field(max_length=MOST_RATINGS, examples=[None])] = None


class Rating(Closed):
    """One rating."""

    rating: Stars


class UserRating(MovieRating):
    """Who rates what."""

    user_id: Annotated[Id, Field(examples=[300])]


class RatingsIn(Closed):
    """Ratings of any users, all or nothing."""

    ratings: Annotated[list[UserRating], Field(max_length=MOST_RATINGS)]


class MovieIn(Closed):
    """A movie to add or to change."""

    title: Annotated[str, Field(examples=["Alien"])]
    year: Annotated[StrictInt | None, Field(examples=[1979])] = None
    genres: Annotated[list[str], Field(examples=[["Horror"]])] = []


class Short(BaseModel):
    """Why a list is shorter than was asked."""

    wanted: int
    got: int
    reason: Literal["no_candidates_left", "no_neighbours"]


class Recommendations(BaseModel):
    """Movies, best first."""

    recommendations: list[MovieRow]
    short: Short | None


class Audience(BaseModel):
    """Users, best first; without reasons, which are for each user alone."""

    recommendations: list[UserRow]
    short: Short | None


class SimilarMovies(BaseModel):
    """Movies like a movie, the most similar first."""

    recommendations: list[SimilarRow]
    short: Short | None


class PredictionOut(BaseModel):
    """What a user would rate a movie: `base`, the reasons, `other` and `clip` sum to it."""

    movie_id: Any
    title: str
    year: int | None
    user_id: Any
    predicted_rating: float | None
    support: int
    rating: float | None
    source: Literal["model", "averages", "catalogue"]
    low: float | None
    high: float | None
    base: float
    reasons: list[Reason]
    other: float
    clip: float


class RatingOut(BaseModel):
    """A rating as it is kept."""

    user_id: Any
    movie_id: Any
    rating: float


class RatedOut(BaseModel):
    """One rating of a user."""

    movie_id: Any
    title: str
    year: int | None
    rating: float
    timestamp: int | None


class RatingsOut(BaseModel):
    """A page of a user's ratings, the newest first."""

    ratings: list[RatedOut]
    page: int
    more: bool


class Kept(BaseModel):
    """How many ratings were kept."""

    kept: int


class MovieOut(BaseModel):
    """One movie."""

    movie_id: Any
    title: str
    year: int | None
    genres: list[str]
    n_ratings: int


class MoviesOut(BaseModel):
    """A page of movies, the nearest titles first."""

    movies: list[MovieOut]
    page: int
    more: bool


class ColorsOut(BaseModel):
    """What the map can be coloured by: the number of each movie's group, or −1."""

    names: list[str]
    colors: Annotated[list[tuple[str, str]], Field(description="On light and on dark ground; the last is that of −1.")]
    of: list[int]
    homes: Annotated[list[int | None], Field(description="For each group the place in the columns of its middle.")]


class MapOut(BaseModel):
    """All movies with their places from 0 to 10,000 in columns of one length, the most rated first."""

    movie_id: list[Any]
    title: list[str]
    year: list[int | None]
    n_ratings: list[int]
    x: list[int]
    y: list[int]
    genres: ColorsOut
    decades: ColorsOut


class ModelOut(BaseModel):
    """What is served."""

    version: int
    made_at: int
    age_seconds: int
    name: str
    users: int
    movies: int
    ratings: int
    scale: list[float]
    ranker: dict[str, Any] | None
    rater: dict[str, Any] | None
    accuracy: dict[str, float] | None
    last_refit: dict[str, Any] | None


class Health(BaseModel):
    """Whether the service works."""

    status: Literal["ok"]


class Problem(BaseModel):
    """What was wrong, what is wanted, and what to do."""

    detail: Annotated[str, Field(examples=["movie_id=4711: no such movie. Look for it by title, or add it first."])]
