"""Columns of ratings in any notation → numbers; the whole column decides the notation."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple

import polars as pl

from reelated.errors import Advice, InputError, check_number, shorten

RatingMap = Mapping[object, float | None]
"""A value in the table → the rating, or None for a row without a rating."""

_STAR = r"(?:[★⭐✭✮*]\x{FE0F}?)"
_NUMBER = r"\d+(?:[.,]\d+)?"
_OF = "out of|of|von|sur|sobre|de|su|van"
_UNIT = rf"(?:{_STAR}|stars?|star\(s\)|sterne?n?|étoiles?|estrellas?|estrelas?|stell[ae]|sterren|points?|pts|punkte?)"
_STARS = rf"^{_STAR}*½?[☆✩]*$"
_WORDS = dict.fromkeys(("true", "yes", "t", "y", "👍"), 1.0) | dict.fromkeys(("false", "no", "f", "n", "👎"), 0.0)
_EXPECTED = "expected a finite number"


class Converted(NamedTuple):
    """A converted column, null where `unreadable`, with the expected values, a remedy and notes."""

    values: pl.Series
    unreadable: pl.Series | None = None
    expected: str = ""
    remedy: str = ""
    notes: tuple[str, ...] = ()


def as_numbers(column: pl.Series, mapping: RatingMap | None = None) -> Converted:
    """Convert a column of ratings to Float32, null where missing."""
    dtype = column.dtype
    if dtype.is_nested() or dtype.is_temporal() or dtype in (pl.Binary, pl.Object):
        raise InputError(f"{column.name} is a column of type {dtype}: expected numbers.", remedy=Advice.NAME_COLUMNS)
    if mapping is None and dtype in (pl.Float32, pl.Null):  # the fast path of clean files
        return Converted(column.cast(pl.Float32).fill_nan(None))
    if dtype in (pl.Categorical, pl.Enum):
        column = column.cast(pl.String)
    notes: tuple[str, ...] = ()
    if column.dtype == pl.String:
        text = column.str.strip_chars()
        text = text.set(text == "", None)
        numbers, notes = _read_text(text, mapping)
    else:
        text, numbers = column, column.cast(pl.Float64, strict=False)
    rest = text
    if mapping is not None:
        numbers, rest = _map(text, numbers, mapping)
    unreadable = numbers.is_null() & rest.is_not_null()
    values = numbers.cast(pl.Float32).fill_nan(None).alias(column.name)
    if column.dtype == pl.String:
        unreadable = (unreadable | numbers.is_nan() | values.is_infinite()).fill_null(False)
    # a few words among numbers are errors; many may be a notation
    words = 2 * int(unreadable.sum()) > len(column) and not rest.filter(unreadable).str.contains(r"\d").any()
    remedy = Advice.MAP_WORDS if words else Advice.DROP_ROWS
    return Converted(values, unreadable, _EXPECTED, remedy, notes)


def check_map(mapping: RatingMap | None) -> RatingMap | None:
    """Return the map of ratings, or raise `InputError` for a value that is not a number."""
    if mapping is None:
        return None
    if not isinstance(mapping, Mapping):
        expected = "expected words and numbers, such as {'like': 1, 'dislike': 0}."
        raise InputError(expected, parameter="map", value=mapping)
    return {key: None if number is None else check_number("map", number, key=key) for key, number in mapping.items()}


def _map(text: pl.Series, numbers: pl.Series, mapping: RatingMap) -> tuple[pl.Series, pl.Series]:
    """Replace the values of the map; return the numbers, and the values without those that are mapped to None."""
    words = text.cast(pl.String).str.to_lowercase()
    rest, plain = text, numbers
    for key, number in mapping.items():
        chosen = words == str(key).strip().lower()
        with suppress(ValueError):
            chosen = chosen | (plain == float(str(key))).fill_null(False)
        chosen = chosen.fill_null(False)
        if number is None:
            numbers, rest = numbers.set(chosen, None), rest.set(chosen, None)
        else:
            numbers = numbers.set(chosen, float(number))
    return numbers, rest


def _read_text(text: pl.Series, mapping: RatingMap | None) -> tuple[pl.Series, tuple[str, ...]]:
    """Return the numbers of a column of text, and a note if they are not plain numbers."""
    plain = text.cast(pl.Float64, strict=False)
    if mapping is not None:
        return plain, ()
    best, example = plain, None
    if plain.null_count() == text.null_count():
        for numbers in _whole_groups(text, r"\."):  # next to 17, 12.000 is not a decimal number
            best, example = numbers.fill_null(plain), int(numbers.is_not_null().arg_true()[0])
    else:
        for numbers in _notations(text):
            combined = numbers.fill_null(plain)
            if combined.null_count() < best.null_count():
                best, example = combined, int((plain.is_null() & combined.is_not_null()).arg_true()[0])
    if example is None:
        return plain, ()
    return best, (f"read ratings such as {shorten(text[example])} as {best[example]:g}",)


def _notations(text: pl.Series) -> Iterator[pl.Series]:
    """Yield the numbers that each notation reads: 4,5 · 4/5 · ★★★★½ · 4 stars · True."""
    comma = text.str.contains(r"^[+-]?\d+,\d+$")
    if not text.filter(comma).str.contains(r",\d{3}$").all():  # 1,000 may be a thousand
        yield _where(text, comma).str.replace(",", ".").cast(pl.Float64, strict=False)
    yield from _grouped(text)
    yield from _whole_groups(text, ",")
    parts = text.str.extract_groups(
        rf"(?i)^(?:rated |rating:? )?(?<n>{_NUMBER})\s*(?:/|{_OF})\s*(?<of>{_NUMBER})(?:\s*{_UNIT})?\.?$"
    ).struct.unnest()
    wholes = parts["of"].drop_nulls()
    if len(wholes):
        same = (parts["of"] == wholes.mode().sort()[0]).fill_null(False)
        yield _where(parts["n"], same).str.replace(",", ".").cast(pl.Float64, strict=False)
    stars = text.str.count_matches(_STAR).cast(pl.Float64) + text.str.contains("½").cast(pl.Float64) / 2
    yield stars.set(~text.str.contains(_STARS).fill_null(False), None)
    amounts = text.str.extract(rf"(?i)^({_NUMBER})[\s-]*(?:%|{_UNIT})\.?$")
    yield amounts.str.replace(",", ".").cast(pl.Float64, strict=False)
    yield text.str.extract(r"^(\d+)½$").cast(pl.Float64, strict=False) + 0.5
    words = text.str.to_lowercase()
    yield words.replace_strict(_WORDS, default=None, return_dtype=pl.Float64)


def _grouped(text: pl.Series) -> Iterator[pl.Series]:
    """Yield numbers with thousands separators, if some number of the column shows which mark is the decimal mark."""
    for group, point in ((",", r"\."), (r"\.", ","), (r"[ \x{a0}\x{202f}']", "[.,]")):
        grouped = rf"^[+-]?\d{{1,3}}(?:{group}\d{{3}})*(?:{point}\d+)?$"
        certain = rf"{group}\d{{3}}{point}|{group}\d{{3}}{group}|^[+-]?\d+{point}(?:\d{{1,2}}|\d{{4,}})$"
        if group.startswith("["):
            certain = grouped
        if text.str.contains(certain).any() and text.str.contains(rf"\d{group}\d{{3}}(?:\D|$)").any():
            plain = _where(text, text.str.contains(grouped)).str.replace_all(group, "").str.replace(point, ".")
            yield plain.cast(pl.Float64, strict=False)


def _whole_groups(text: pl.Series, mark: str) -> Iterator[pl.Series]:
    """Yield whole numbers with thousands separators, if all other numbers are whole and below 1000."""
    if (text.str.len_bytes().max() or 0) < len("1.234"):  # type: ignore[operator]
        return
    grouped = text.str.contains(rf"^[+-]?[1-9]\d{{0,2}}(?:{mark}\d{{3}})+$").fill_null(False)
    others = text.filter(~grouped & text.str.contains(r"\d"))
    # decimals are not padded with zeros if other numbers have no decimal places
    certain = mark == "," or text.filter(grouped).str.ends_with("0").any()
    if grouped.any() and len(others) and others.str.contains(r"^[+-]?\d{1,3}$").all() and certain:
        yield _where(text, grouped).str.replace_all(mark, "").cast(pl.Float64, strict=False)


def _where(text: pl.Series, chosen: pl.Series) -> pl.Series:
    return text.set(~chosen.fill_null(False), None)
