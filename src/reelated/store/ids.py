"""Ids as stored (text, of a type that the first data decides), and titles as compared."""

import unicodedata
from typing import Any, Literal

from reelated.errors import InputError, InputTypeError, UnknownId, shorten

LONGEST_ID = 1000
Kind = Literal["user", "item"]
IdType = Literal["int", "str"]


def id_text(kind: Kind, value: Any, type_name: IdType) -> str:
    """Return an id as stored, or raise if it is invalid."""
    name = f"{kind}_id={shorten(value)}"
    got = type(value).__name__
    if got != type_name:
        wanted = "whole numbers" if type_name == "int" else "text"
        raise InputTypeError(f"{name} is of type {got}: the {kind} ids of this data are {wanted}.")
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise InputError(f"{name}: ids go up to 2⁶³ − 1.")
        return str(value)
    check_text(f"{kind}_id", value, LONGEST_ID)
    return str(value)


def parse_id(kind: Kind, text: str, type_name: IdType) -> Any:
    """Convert an id from a URL; raise `UnknownId` if it cannot be an id."""
    if type_name == "str":
        return text
    if len(text) < 20 and text.removeprefix("-").isdecimal() and -(2**63) <= int(text) < 2**63:
        return int(text)
    raise UnknownId(f"{kind}_id={shorten(text)}: the {kind} ids of this data are whole numbers. Check the id.")


def check_text(name: str, value: str, longest: int) -> str:
    """Return a text that every database can store, or raise `InputError`."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError(f"{name}={shorten(value)}: expected text that UTF-8 can write.") from None
    if not value.strip() or "\0" in value or len(value) > longest:
        raise InputError(f"{name}={shorten(value)}: expected 1 to {longest:,} characters, none of them NUL.")
    return value


def fold(text: str) -> str:
    """Return a text without case and accents, for comparing titles."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(sign for sign in apart if not unicodedata.combining(sign))
