"""Ids as stored (text; the first import sets their type), and titles as compared in a search."""

import unicodedata
from typing import Any, Literal

from reelated.errors import InputError, InputTypeError, UnknownId

MAX_ID_LENGTH = 1000
Kind = Literal["user", "item"]
IdType = Literal["int", "str"]


def id_text(kind: Kind, value: Any, type_name: IdType) -> str:
    """Return an id as stored, or raise if it is invalid."""
    name = f"{kind}_id"
    if (got := type(value).__name__) != type_name:
        expected = "whole numbers" if type_name == "int" else "text"
        raise InputTypeError(f"the {kind} ids of this data are {expected}, not {got}.", parameter=name, value=value)
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise InputError("ids go up to 2⁶³ − 1.", parameter=name, value=value)
        return str(value)
    return check_text(f"{kind}_id", value, MAX_ID_LENGTH)


def parse_id(kind: Kind, text: str, type_name: IdType) -> Any:
    """Convert an id from a URL; raise `UnknownId` if it cannot be an id."""
    if type_name == "str":
        return text
    if len(text) < 20 and text.removeprefix("-").isdecimal() and -(2**63) <= int(text) < 2**63:
        return int(text)
    expected = f"the {kind} ids of this data are whole numbers."
    raise UnknownId(expected, parameter=f"{kind}_id", value=text, remedy="Check the id.")


def check_text(name: str, value: str, max_length: int) -> str:
    """Return a text that every database can store, or raise `InputError`."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InputError("expected text that UTF-8 can write.", parameter=name, value=value) from None
    if not value.strip() or "\0" in value or len(value) > max_length:
        raise InputError(f"expected 1 to {max_length:,} characters, none of them NUL.", parameter=name, value=value)
    return value


def check_title(title: str, max_length: int) -> str:
    """Return a title that has visible characters, or raise `InputError`."""
    if not any(char.isprintable() and not char.isspace() for char in check_text("title", title, max_length)):
        raise InputError("expected a character that can be seen.", parameter="title", value=title)
    return title


def normalize_title(title: str) -> str:
    """Return a title without case and accents, for search."""
    decomposed = unicodedata.normalize("NFKD", title.casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))
