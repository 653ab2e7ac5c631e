"""Errors and argument checks; a message says what was received, what is expected and what to do.

Every error that a caller's input can cause is an `InputError`; any other exception is a bug in Reelated.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import Enum, StrEnum
from importlib import import_module
from math import inf, isfinite
from numbers import Integral, Real
from pathlib import PurePath
from typing import Any, NamedTuple, Self


class Advice(StrEnum):
    """Remedies that name a Python call; the terminal, the API and the pages phrase them for their users."""

    FIND_TITLE = "Search by title with find('…')."
    ADD_ITEM = "Look for it by title, or add it first."
    NEW_USER = "For a new user pass ratings={item_id: rating}."
    NO_USERS = "Pass ratings={item_id: rating}, or save it with ratings=True."
    ADDRESSES = "See /openapi.json for all routes."
    LIST_RATINGS = "List the ratings of the user."
    SIMILAR = "For items like this one call similar(item_id=…)."
    DROP_ROWS = "Correct the data, or drop such rows with invalid='drop'."
    DROP_LINES = "Correct the line, or drop such lines with invalid='drop'."
    DUPLICATES = "Choose duplicates='last', 'first' or 'mean'."
    NAME_COLUMNS = "Name the columns with columns={'user_id': …, 'item_id': …, 'rating': …}."
    NAME_ITEM_COLUMNS = "Name the columns with item_columns={'item_id': …, 'title': …}."
    OWN_COLUMNS = "Name them with columns={'title': …, 'year': …, 'rating': …}."
    HIGHEST_RATING = "Pass the highest possible rating of the table, such as highest=10."
    NAME_POSITIONS = "Name the columns by position: columns={'user_id': 1, 'item_id': 2, 'rating': 3}."
    MAP_WORDS = "Map words to ratings: map={'like': 1, 'dislike': 0}."
    WITHOUT_TIMES = "To read without times: columns={'timestamp': None}."
    DROP_OR_WITHOUT_TIMES = "Drop such rows with invalid='drop', or read without times: columns={'timestamp': None}."
    ONE_ITEM = "If each field is one item, such as a title: layout='long'."
    DATES = "Say dates='day-first' or dates='month-first'."
    WIDE = "For a matrix with a row for each user and a column for each item: layout='wide'."
    ENCODING = "Name the encoding, such as encoding='cp1251'."
    SENTINEL = "keeps them as ratings; map={VALUE: None} drops them, and map={VALUE: 1} takes them as likes."
    ONE_GENRE = "keeps it; item_columns={'genres': None} leaves it out."
    OWN_RATINGS = f"{NAME_COLUMNS} If all are of one person: reelated.data.read_own_ratings(source, rec)."
    NAME_RATING = f"{NAME_COLUMNS[:-1]}; 'rating': None if there are no ratings."
    SPLIT = "Name it: split='…'."
    LESS_MEMORY = "Raise max_memory, or give models with fewer n_neighbors."
    LESS_EASE = "Raise max_memory, or take ItemKNN."
    COSINE = "Use similarity='cosine'."
    STOPS_AT_ROWS = "stops at the first; invalid='drop' drops them."
    STOPS_AT_MATRIX = "stops here; layout='wide' reads it."
    STOPS_AT_DUPLICATES = "stops here; duplicates='last', 'first' or 'mean' continues."
    OBSERVES_SCALE = "does so; scale=(low, high, step) says otherwise."
    KEEPS_OUTLIERS = "keeps them; scale=(low, high, step) refuses ratings outside it."
    SUMS_EVENTS = "sums them for each user and item; feedback='explicit' takes them as ratings."
    SKIPS_COLUMNS = "continues; columns={'rating': …} names ratings, and map={'like': 1} gives words numbers."
    KEEPS_COLUMNS = "takes them as they are; columns={'user_id': …, 'item_id': …} names the right ones."


class Wording(NamedTuple):
    """How an interface writes parameters and advice.

    Attributes
    ----------
    parameters : mapping of str to str
        Parameter → how the interface writes it in front of its value, such as `"--user "`.
    advice : mapping of Advice to str
        Advice → the sentence of the interface.
    """

    parameters: Mapping[str, str] = {}
    advice: Mapping[Advice, str] = {}

    def advise(self, remedy: str) -> str:
        """Return a remedy as the interface phrases it."""
        return self.advice.get(remedy, str(remedy)) if isinstance(remedy, Advice) else remedy

    def head(self, error: "InputError") -> str:
        """Return the parameter and its value as the interface writes them."""
        value = "" if error.value is NO_VALUE else shorten(error.value)
        if isinstance(error.value, PurePath):
            value = repr(str(error.value))
        elif isinstance(error.value, tuple) and self.parameters:
            value = ",".join(map(str, error.value))
        if name := self.parameters.get(error.where or error.parameter, ""):
            typed = f"{name}{value}" if error.key is NO_VALUE else f"{name}{error.key}={error.value}"
            return typed.rstrip(" =")
        where = f"{error.where}: " if error.where else ""
        key = "" if error.key is NO_VALUE else f"[{shorten(error.key)}]"
        return f"{where}{error.parameter}{key}" + (f"={value}" if value else "")


PYTHON = Wording()


def library_errors() -> tuple[type[BaseException], ...]:
    """Return the errors that a library may raise on damaged data; a panic of polars is not an `Exception`."""
    from polars.exceptions import PanicException

    return Exception, PanicException


class _NoValue(Enum):  # an enumeration, because its members keep their identity when pickled
    """The value of an error that has no value."""

    NO_VALUE = "no value"


NO_VALUE: Any = _NoValue.NO_VALUE
"""The value of an error that has no value."""


class InputError(ValueError):
    """Invalid input; the message says what was received, what is expected and what to do.

    Parameters
    ----------
    expected : str
        What is expected, or what is wrong.
    parameter : str, default ""
        The parameter as Python callers write it; empty if the error is in a file.
    value : object, default NO_VALUE
        The value received; `NO_VALUE`: the message shows no value.
    remedy : str or Advice, default ""
        What to do about it.
    key : object, default NO_VALUE
        The key of the value if the parameter is a mapping.
    where : str, default ""
        The parameter that contains `parameter`.

    Examples
    --------
    >>> error = InputError("expected an integer of 1 or more.", parameter="n", value=0)
    >>> str(error)
    'n=0: expected an integer of 1 or more.'
    >>> error.render(Wording({"n": "-n "}))
    '-n 0: expected an integer of 1 or more.'
    """

    def __init__(
        self,
        expected: str,
        *,
        parameter: str = "",
        value: Any = NO_VALUE,
        remedy: str = "",
        key: Any = NO_VALUE,
        where: str = "",
    ) -> None:
        self.expected, self.parameter, self.value, self.remedy = expected, parameter, value, remedy
        self.key, self.where = key, where
        super().__init__(self.render())

    def render(self, wording: Wording = PYTHON) -> str:
        """Return the message as an interface phrases it."""
        remedy = wording.advise(self.remedy)
        head = f"{wording.head(self)}: " if self.parameter else f"{self.where}: " if self.where else ""
        return f"{head}{self.expected}" + (f" {remedy}" if remedy else "")

    def replace(self, **fields: Any) -> Self:
        """Return a copy with other fields."""
        names = ("expected", "parameter", "value", "remedy", "key", "where")
        return type(self)(**{name: getattr(self, name) for name in names} | fields)


class InputTypeError(InputError, TypeError):
    """An input of the wrong type, such as the user id `'196'` where ids are integers."""


class UnknownId(InputError, LookupError):
    """An id, name or title that is not in the data."""


class TooLarge(InputError, MemoryError):
    """The operation would need more memory than `max_memory` allows."""


class DataWarning(UserWarning):
    """A warning about the input data, such as dropped rows; the message says what was found, and how often."""


def shorten(value: object, limit: int = 60) -> str:
    """Return the `repr` of a value for a message, cut to `limit` characters."""
    text = repr(value[: limit + 2]) if isinstance(value, str) else " ".join(repr(value).split())
    return text if len(text) <= limit + 3 else text[:limit] + "…"


def unknown_user(user_id: Any, remedy: str) -> UnknownId:
    """Return the error for a user without ratings."""
    return UnknownId("no ratings by this user.", parameter="user_id", value=user_id, remedy=remedy)


def no_rater() -> InputError:
    """Return the error for a predicted rating from a recommender without a rater."""
    message = "this model predicts no ratings: its data are events or equal ratings, or it was fitted without a rater."
    return InputError(message, parameter="by", value="rating", remedy="List by score.")


def no_users() -> InputError:
    """Return the error for a request that needs the ratings of a model saved without them."""
    message = "This model was saved without ratings: only new users can be asked about."
    return InputError(message, remedy=Advice.NO_USERS)


def not_installed(what: str, extra: str) -> InputError:
    """Return the error for a missing optional package."""
    # the package index does not have `reelated` yet, so `pip install reelated[…]` would fail
    return InputError(f"{what} is not installed. In a copy of the repository: pip install '.[{extra}]'")


def import_optional(package: str, extra: str, name: str = "") -> Any:
    """Import an optional package, or raise `InputError` with the commands that install it."""
    try:
        return import_module(package)
    except ImportError:
        raise InputError(f"{not_installed(name or package, extra)}, or: pip install {package}") from None


def plural(count: int, noun: str) -> str:
    """Format a count with its noun: `1 rating`, `1,000 ratings`."""
    return f"{count:,} {noun if count == 1 else plural_of(noun)}"


def plural_of(noun: str) -> str:
    """Return the regular English plural: `movies`, `stories`, `boxes`."""
    if re.search("[^aeiou]y$", noun):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "z", "ch", "sh")) else "s")


def check_noun(value: Any) -> str:
    """Return a noun for an item, such as `"book"`, or raise `InputError`."""
    if isinstance(value, str) and value.isprintable() and value == value.strip() and 1 <= len(value) <= 30:
        return value
    raise InputError("expected a singular noun of 1 to 30 characters, such as 'book'.", parameter="noun", value=value)


def check_integer(name: str, value: Any, low: int, *, none: bool = False) -> Any:
    """Return `value` as an `int` of at least `low` (or None if `none` allows it), or raise `InputError`."""
    if value is None and none:
        return None
    if isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= low:
        return int(value)
    raise InputError(
        f"expected an integer of {low} or more{(', or None' if none else '')}.", parameter=name, value=value
    )


def check_number(name: str, value: Any, low: float = -inf, high: float = inf, *, key: Any = NO_VALUE) -> float:
    """Return `value` as a finite `float` within `[low, high]`, or raise `InputError`."""
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            number = float(value)
        except OverflowError:  # an integer beyond the range of float
            number = inf
        if isfinite(number) and low <= number <= high:
            return number
    bounds = "" if low == -inf else f" of {low:g} or more" if high == inf else f" from {low:g} to {high:g}"
    raise InputError(f"expected a finite number{bounds}.", parameter=name, value=value, key=key)


def check_flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False, or raise `InputError`."""
    if isinstance(value, bool) or type(value).__name__ in ("bool", "bool_"):  # the names of NumPy's own type
        return bool(value)
    raise InputError("expected True or False.", parameter=name, value=value)


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Return `value` if it is one of `choices`, or raise `InputError` with the choices and the closest match."""
    known = list(choices)
    if any(value is choice or (isinstance(value, str) and value == choice) for choice in known):
        return value
    near = get_close_matches(str(value)[:60], [str(choice) for choice in known], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InputError(f"expected one of {', '.join(map(repr, known))}.{hint}", parameter=name, value=value)


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def check_memory(name: str, value: Any) -> int | None:
    """Return a memory limit in bytes from None (no limit), a number of bytes or text such as `'2GB'`."""
    if value is None:
        return None
    if isinstance(value, str):
        match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?B?)\s*", value.upper())
        if match and (unit := match[2] if match[2] in _UNITS else match[2] + "B") in _UNITS:
            return int(float(match[1]) * _UNITS[unit])
    elif isinstance(value, Integral) and not isinstance(value, bool) and int(value) > 0:
        return int(value)
    raise InputError("expected a size such as '2GB' or '500MB', or a number of bytes.", parameter=name, value=value)


def check_fits(what: str, needed: int, limit: Any, remedy: str) -> None:
    """Raise `TooLarge`, as in "1,000 items need 2.0 GB.", if the bytes needed exceed the limit `max_memory`."""
    n_bytes = check_memory("max_memory", limit)
    if n_bytes is not None and needed > n_bytes:
        raise TooLarge(f"{what} {show_bytes(needed)}.", parameter="max_memory", value=limit, remedy=remedy)


def show_bytes(count: float) -> str:
    """Format a number of bytes: `11.3 MB`."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
