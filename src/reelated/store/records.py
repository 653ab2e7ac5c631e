"""The records that the store takes and returns, and checks of values before they are stored; ids become text."""

import re
import time
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from reelated.errors import InputError, check_choice, check_integer, check_number
from reelated.ratings.columns import IMAGE_ADDRESS
from reelated.ratings.events import weight_of_type

Kind = Literal["user", "item"]
IdType = Literal["int", "str"]
MAX_ID_LENGTH = 1000
MAX_TITLE_LENGTH = 500
MAX_GENRE_LENGTH = 100
MAX_GENRES = 50
MAX_IMAGE_LENGTH = 2000
MAX_TIME = 253_402_300_799
"""The end of the year 9999, in seconds since 1970."""
_FLOAT32 = np.finfo(np.float32)


@dataclass(frozen=True)
class StoredItem:
    """An item of the store."""

    item_id: Any
    title: str
    year: int | None
    genres: tuple[str, ...]
    n_ratings: int  # number of users who rated the item
    image: str | None


class Profile(NamedTuple):
    """A user's ratings as arrays, with the database keys of the items."""

    user_id: Any
    user_key: int  # database key of the user; keys ascend in the order in which users are added
    item_keys: npt.NDArray[np.int64]  # database keys of the items, ascending
    ratings: npt.NDArray[np.float32]
    times: npt.NDArray[np.int64]  # positions in the history, else seconds since 1970; `NO_TIME` where unknown
    hidden: frozenset[int]  # database keys of all hidden items, read in the same query


@dataclass(frozen=True)
class UserRating:
    """A rating of a user, with the title of the item."""

    item_id: Any
    title: str
    year: int | None
    rating: float
    timestamp: int | None


class Event(NamedTuple):
    """An event to add."""

    user_id: Any
    item_id: Any
    event: str | None = None  # type of the event, such as "view", whose weight is known from the import
    weight: float | None = None  # number of events, such as a quantity; by default 1
    timestamp: int | None = None  # seconds since 1970; by default now


def event_weight(event: Event, weights: Mapping[str, float] | None, name: str) -> float:
    """Return the weight of an event, 1 by default, times the weight of its type; or raise `InputError`."""
    own = 1.0 if event.weight is None else check_weight(f"{name}.weight", event.weight)
    if event.event is None:
        return own
    factor = weight_of_type(event.event, weights)
    if factor is None:  # `check_choice` then raises
        return float(check_choice(f"{name}.event", event.event, weights or ()))
    return own * factor


def check_time(name: str, timestamp: int | None) -> int:
    """Return a time in seconds since 1970, by default now, or raise `InputError`."""
    if timestamp is None:
        return int(time.time())
    if check_integer(name, timestamp, 0) > MAX_TIME:
        raise InputError(f"expected seconds since 1970, up to {MAX_TIME}.", parameter=name, value=timestamp)
    return timestamp


def check_genres(names: Iterable[str]) -> list[str]:
    """Return the distinct genres, or raise if one is invalid."""
    distinct = list(dict.fromkeys(names))
    if len(distinct) > MAX_GENRES:
        raise InputError(f"genres: got {len(distinct)}, expected at most {MAX_GENRES}.")
    return [check_text("genres", name, MAX_GENRE_LENGTH) for name in distinct]


def check_image(address: str | None) -> str | None:
    """Return the URL of a picture or None, or raise `InputError`."""
    if address is not None and not (len(address) <= MAX_IMAGE_LENGTH and re.match(IMAGE_ADDRESS, address)):
        expected = f"expected a URL that begins with https:// and has up to {MAX_IMAGE_LENGTH} characters, or None."
        raise InputError(expected, parameter="image", value=address)
    return address


def check_year(year: Any) -> int | None:
    """Return a valid year or None, or raise."""
    checked = check_integer("year", year, -10_000, none=True)
    if checked is not None and checked > 10_000:
        raise InputError("expected a year of 10000 or less, or None.", parameter="year", value=year)
    return checked


def check_weight(name: str, weight: Any) -> float:
    """Return the weight of an event, or raise `InputError`."""
    value = check_number(name, weight)
    if value == 0 or not is_storable(value):
        raise InputError("expected a number other than 0 within the range of float32.", parameter=name, value=weight)
    return value


def is_storable(value: float) -> bool:
    """Return whether a number is within the range of float32, the type of a stored rating."""
    return value == 0 or float(_FLOAT32.tiny) <= abs(value) <= float(_FLOAT32.max)


def check_text(name: str, value: str, max_length: int) -> str:
    """Return a text that every database can store, or raise `InputError`."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError("expected text that can be encoded as UTF-8.", parameter=name, value=value) from None
    if not value.strip() or "\0" in value or len(value) > max_length:
        raise InputError(f"expected 1 to {max_length:,} characters, none of them NUL.", parameter=name, value=value)
    return value


def check_title(title: str, max_length: int) -> str:
    """Return a title that has visible characters, or raise `InputError`."""
    if not any(char.isprintable() and not char.isspace() for char in check_text("title", title, max_length)):
        raise InputError("expected at least one visible character.", parameter="title", value=title)
    return title


def normalize_title(title: str) -> str:
    """Return a title without case and accents, for search."""
    decomposed = unicodedata.normalize("NFKD", title.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))
