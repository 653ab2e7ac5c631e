"""The bundled sample: well-known movies with simulated users and ratings.

Titles, years and genres are facts; users and ratings are simulated from a seed on each call. A simulated user prefers
some genres and tags, watches famous movies and movies of high expected rating, and rates by the quality of the movie,
the user's taste and the user's strictness.

The same seed gives the same sample on every machine: the generator supplies uniform numbers only, and everything else
uses operations that IEEE 754 defines to the last bit (`+ - * /`, square roots, comparisons).
"""

import os
import tempfile
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from reelated.data.movielens import GENRES
from reelated.errors import InputError, shorten

Floats = NDArray[np.float64]

# the occupations of MovieLens 100K
OCCUPATIONS = (
    *("administrator", "artist", "doctor", "educator", "engineer", "entertainment", "executive", "healthcare"),
    *("homemaker", "lawyer", "librarian", "marketing", "none", "other", "programmer", "retired", "salesman"),
    *("scientist", "student", "technician", "writer"),
)

_SEED = 2025
_USERS = 600
_START = 1_709_251_200  # 1 March 2024, 00:00 UTC
_DAY = 86_400
_SESSION_LENGTH = 60  # ratings in a session
_SECONDS_PER_RATING = 20
_AGES = ((0, 0.1, 0.25, 0.5, 0.75, 0.9, 1), (13, 19, 24, 31, 42, 52, 74))
_STAR_LIMITS = (1.75, 2.5, 3.5, 4.75)  # an impression above n of these thresholds gives n + 1 stars
_ARTICLES = ("The", "A", "An")

_README = """Reelated sample: simulated ratings of well-known movies
=======================================================

The users and the ratings in this folder are SIMULATED. Nobody gave them: Reelated drew them from a seed, so that there
is something to try it on without a download. Do not draw conclusions about people or movies from them, and do not
report results on them as results on MovieLens.

Titles, years and genres are facts, written down by hand for this sample. All release dates are 1 January of the year.

The files are laid out as those of MovieLens 100K:

u.data        user id, movie id, rating (1-5), timestamp (seconds since 1970, UTC); separated by tabs, in random order
u.item        movie id | title (year) | release date | video release date | IMDb URL | a 0 or 1 for each of 19 genres
              (latin-1; the video release date and the URL are empty)
u.user        user id | age | gender | occupation | zip code
u.genre       genre | number
u.occupation  the occupations
u.info        how many users, items and ratings there are

There are no limits on use: like Reelated itself, the sample is under the MIT licence.
"""


class Sample(NamedTuple):
    """Simulated ratings, movies and users."""

    ratings: pl.DataFrame  # in random order
    items: pl.DataFrame  # the release date is 1 January of the year
    users: pl.DataFrame


def simulate() -> Sample:
    """Simulate about 50,000 ratings of well-known movies by 600 users; always the same ones.

    Examples
    --------
    >>> simulate().items.filter(title="Amélie")["year"].item()
    2001
    """
    rng = np.random.default_rng(_SEED)
    catalogue = _catalogue()
    users = _users(rng)
    # how much each user likes each movie, users × movies, around 0
    taste = 0.55 * _opinion_sums(rng, catalogue["genres"]) + 0.8 * _opinion_sums(rng, catalogue["tags"])
    watched = _choose_items(rng, catalogue, users["age"].to_numpy(), taste)
    stars = _rate(rng, catalogue, taste)
    movies = catalogue.select("item_id", "title", "year", "genres", "release_date")
    return Sample(_ratings(rng, watched, stars), movies, users)


def write_sample(folder: Path | str) -> list[Path]:
    """Write the sample in the layout of MovieLens 100K to a new or empty folder, or over an earlier sample."""
    folder = Path(folder)
    files = _files(simulate())
    try:
        _check_folder(folder, set(files))
        _write_atomically(folder, files)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(
            f"cannot be written ({reason}).", parameter="folder", value=str(folder), remedy="Name another folder."
        ) from None
    return [folder / name for name in files]


def _check_folder(folder: Path, names: set[str]) -> None:
    """Raise if the folder holds anything but an earlier sample."""
    present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    if present not in (set(), names):
        raise InputError(
            f"it holds {shorten(', '.join(sorted(present)))}.",
            parameter="folder",
            value=str(folder),
            remedy="Expected a new or empty folder, or one with an earlier sample only. Name another folder.",
        )


def _write_atomically(folder: Path, files: dict[str, bytes]) -> None:
    """Write all files to a temporary folder first, then move them into place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".sample-", dir=folder.parent) as staging:
        prepared = Path(staging) / "prepared"
        prepared.mkdir()
        for name, content in files.items():
            (prepared / name).write_bytes(content)
        if not folder.exists():
            prepared.rename(folder)
            return
        for name in files:
            os.replace(prepared / name, folder / name)


def _files(sample: Sample) -> dict[str, bytes]:
    """Return the files in the layout of MovieLens 100K: file name → content."""
    ratings, movies, users = sample
    info = (len(users), "users"), (len(movies), "items"), (len(ratings), "ratings")
    texts = {
        "u.item": _join_lines((_item_fields(*row) for row in movies.iter_rows()), "|"),
        "u.user": _join_lines(users.iter_rows(), "|"),
        "u.genre": _join_lines(((genre, number) for number, genre in enumerate(GENRES)), "|") + "\n",
        "u.occupation": _join_lines(((name,) for name in OCCUPATIONS), "|"),
        "u.info": _join_lines(info, " "),
        "README": _README,
        "u.data": _join_lines(ratings.iter_rows(), "\t"),  # last: without it, a folder holds no data set
    }
    return {name: text.encode("latin-1") for name, text in texts.items()}


def _join_lines(rows: Iterable[Iterable[object]], separator: str) -> str:
    return "".join(separator.join(map(str, row)) + "\n" for row in rows)


def _item_fields(item_id: int, title: str, year: int, genres: list[str], released: date) -> tuple[object, ...]:
    """Return the 24 fields of a line of `u.item`."""
    flags = (int(genre in genres) for genre in GENRES)
    return item_id, f"{_catalogue_title(title)} ({year})", f"{released.day:02}-Jan-{released.year}", "", "", *flags


def _catalogue_title(title: str) -> str:
    """Move the article to the end: `A Beautiful Mind` → `Beautiful Mind, A`."""
    article, _, rest = title.partition(" ")
    return f"{rest}, {article}" if rest and article in _ARTICLES else title


def _catalogue() -> pl.DataFrame:
    """Read the movies with their fame, acclaim and tags."""
    table = pl.read_csv(Path(__file__).with_name("sample_movies.csv"), schema_overrides={"year": pl.Int32})
    return table.with_columns(
        pl.col("genres", "tags").str.split("|"), pl.date(pl.col("year"), 1, 1).alias("release_date")
    )


def _normal(rng: np.random.Generator, *shape: int) -> Floats:
    """Draw approximately normal numbers: the sum of 12 uniform ones minus 6 has mean 0 and variance 1."""
    # not rng.normal(): its logarithms may differ in the last bit between machines
    return np.asarray(rng.random((12, *shape)).sum(axis=0) - 6)


def _users(rng: np.random.Generator) -> pl.DataFrame:
    ages = np.interp(rng.random(_USERS), *_AGES).astype(np.int32)
    zip_codes = 501 + (99_450 * rng.random(_USERS)).astype(np.int64)
    return pl.DataFrame(
        {
            "user_id": np.arange(1, _USERS + 1),
            "age": ages,
            "gender": np.where(rng.random(_USERS) < 0.3, "F", "M"),
            "occupation": _occupations(rng, ages),
            "zip_code": [f"{code:05}" for code in zip_codes],
        }
    )


def _occupations(rng: np.random.Generator, ages: NDArray[np.int32]) -> list[str]:
    """Draw occupations: most young users are students, and most old users are retired."""
    working = [name for name in OCCUPATIONS if name not in ("none", "retired", "student")]
    drawn = [working[number] for number in (len(working) * rng.random(_USERS)).astype(np.int64)]
    usual = rng.random(_USERS) < 0.8
    for row in np.flatnonzero(usual & (ages < 24) | (ages < 18)):
        drawn[row] = "student"
    for row in np.flatnonzero(usual & (ages > 61)):
        drawn[row] = "retired"
    for row in np.flatnonzero(~usual & (ages > 23))[::12]:
        drawn[row] = "none"
    return drawn


def _opinion_sums(rng: np.random.Generator, features: pl.Series) -> Floats:
    """Sum the users' opinions of the features of each movie; squaring makes a few of the opinions strong."""
    names = sorted(set(features.explode()))
    has = np.array([[name in movie for movie in features.to_list()] for name in names], dtype=np.float64)
    opinions = np.rint(64 * _normal(rng, _USERS, len(names))) / 64
    return np.asarray(opinions * np.abs(opinions) @ has / np.sqrt(has.sum(axis=0)))


def _choose_items(
    rng: np.random.Generator, catalogue: pl.DataFrame, ages: NDArray[np.int32], taste: Floats
) -> NDArray[np.bool_]:
    """Return which user rates which movie: each user rates 20 or more of the most interesting, a few many more."""
    fame, acclaim, years = (catalogue[column].to_numpy() for column in ("fame", "acclaim", "year"))
    known = fame * (fame + 1) / 6.8 + 0.2 * acclaim
    nostalgia = 0.0006 * (ages[:, None] - 34) * (1990 - years)
    interest = known + nostalgia + taste + 0.4 * _normal(rng, *taste.shape)
    eagerness = rng.random(_USERS)
    counts = 20 + (254 * eagerness * eagerness * eagerness).astype(np.int64)
    # argsort of argsort: the rank of each movie in the order of the user's interest
    ranks = np.argsort(np.argsort(-interest, axis=1, kind="stable"), axis=1, kind="stable")
    return np.asarray(ranks < counts[:, None])


def _rate(rng: np.random.Generator, catalogue: pl.DataFrame, taste: Floats) -> NDArray[np.int64]:
    """Return the stars that each user would give to each movie."""
    fame, acclaim = (catalogue[column].to_numpy() for column in ("fame", "acclaim"))
    mildness = 2.3 + 0.2 * _normal(rng, _USERS, 1)
    spread = 0.75 + 0.5 * rng.random((_USERS, 1))
    quality = 0.9 * (acclaim - 3.8) + 0.4 * (fame - 3)
    impression = mildness + spread * (quality + 0.6 * taste + 0.9 * _normal(rng, *taste.shape))
    return 1 + np.searchsorted(_STAR_LIMITS, impression)


def _ratings(rng: np.random.Generator, watched: NDArray[np.bool_], stars: NDArray[np.int64]) -> pl.DataFrame:
    """List the ratings in random order; each user rates in sessions some days apart."""
    users, movies = np.nonzero(watched)
    order = np.lexsort((rng.random(len(users)), users))
    users, movies = users[order], movies[order]
    counts = watched.sum(axis=1)
    position = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    first = _START + (150 * _DAY * rng.random(_USERS)).astype(np.int64)
    pause = _DAY + (14 * _DAY * rng.random(_USERS)).astype(np.int64)
    offset = position * _SECONDS_PER_RATING + (_SECONDS_PER_RATING * rng.random(len(users))).astype(np.int64)
    columns = {
        "user_id": users + 1,
        "item_id": movies + 1,
        "rating": stars[users, movies],
        "timestamp": first[users] + position // _SESSION_LENGTH * pause[users] + offset,
    }
    return pl.DataFrame(columns)[np.argsort(rng.random(len(users)), kind="stable")]
