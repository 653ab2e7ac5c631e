"""Errors and argument checks; a message says what was received, what is expected and what to do.

Every error that a caller's input can cause is an `InputError`; any other exception is a bug in Reelated.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from difflib import get_close_matches
from numbers import Integral, Real
from typing import Any

import numpy as np


class InputError(ValueError):
    """Invalid input; the message says what was received, what is expected and what to do."""


class InputTypeError(InputError, TypeError):
    """An input of the wrong type, such as the user id `'196'` where ids are integers."""


class UnknownId(InputError, LookupError):
    """An id, name or title that is not in the data."""


class TooLarge(InputError, MemoryError):
    """The operation would need more memory than `max_memory` allows."""


class DataWarning(UserWarning):
    """Reading changed or dropped data; the message says what and how often."""


def shorten(value: object, limit: int = 60) -> str:
    """Return the `repr` of a value for a message, cut to `limit` characters."""
    text = repr(value[: limit + 2]) if isinstance(value, str) else " ".join(repr(value).split())
    return text if len(text) <= limit + 3 else text[:limit] + "…"


def not_installed(what: str, extra: str) -> InputError:
    """Return the error for a missing optional package."""
    # the package index does not have `reelated` yet, so `pip install reelated[…]` would fail
    return InputError(f"{what} is not installed. In a copy of the repository: pip install '.[{extra}]'")


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
    raise InputError(f"noun={shorten(value)}: expected a singular noun of 1 to 30 characters, such as 'book'.")


def check_integer(name: str, value: Any, low: int, *, none: bool = False) -> Any:
    """Return `value` as an `int` of at least `low` (or None if `none` allows it), or raise `InputError`."""
    if value is None and none:
        return None
    if isinstance(value, Integral) and not isinstance(value, (bool, np.bool_)) and int(value) >= low:
        return int(value)
    raise InputError(f"{name}={shorten(value)}: expected an integer of {low} or more{', or None' if none else ''}.")


def check_number(name: str, value: Any, low: float = -np.inf, high: float = np.inf) -> float:
    """Return `value` as a finite `float` within `[low, high]`, or raise `InputError`."""
    if isinstance(value, Real) and not isinstance(value, (bool, np.bool_)):
        with suppress(OverflowError):  # an integer beyond the range of float
            if np.isfinite(number := float(value)) and low <= number <= high:
                return number
    bounds = "" if low == -np.inf else f" of {low:g} or more" if high == np.inf else f" from {low:g} to {high:g}"
    raise InputError(f"{name}={shorten(value)}: expected a finite number{bounds}.")


def check_flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False, or raise `InputError`."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    raise InputError(f"{name}={shorten(value)}: expected True or False.")


def check_choice(name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Return `value` if it is one of `choices`, or raise `InputError` with the choices and the closest match."""
    known = list(choices)
    if any(value is choice or (isinstance(value, str) and value == choice) for choice in known):
        return value
    near = get_close_matches(str(value)[:60], [str(choice) for choice in known], n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise InputError(f"{name}={shorten(value)}: expected one of {', '.join(map(repr, known))}.{hint}")


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
    raise InputError(f"{name}={shorten(value)}: expected a size such as '2GB' or '500MB', or a number of bytes.")


def show_bytes(count: float) -> str:
    """Format a number of bytes: `11.3 MB`."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
