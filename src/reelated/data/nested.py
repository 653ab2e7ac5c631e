"""Objects inside objects → one row for each rating: `{"user": "ann", "ratings": [{"item": 7, "rating": 4}]}`.

The name of an inner object's field has a dot, such as `user.id`. Each object of a list becomes a row, which repeats
the other fields of its outer object.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import polars as pl

from reelated.errors import plural
from reelated.ratings.columns import RATING_ALIASES, ColumnNames, match_columns
from reelated.ratings.objects import POSITIONAL

Row = dict[str, Any]
_IDS = ("user_id", "item_id")


def unnested_frame(frame: pl.DataFrame, columns: ColumnNames) -> tuple[pl.DataFrame, list[str]]:
    """Return a frame with one row for each rating, and a note, if its users or items are inside lists or objects."""
    if not any(dtype.is_nested() for dtype in frame.dtypes):
        return frame, []
    rows, notes = unnested(frame.to_dicts(), columns)
    return (pl.DataFrame(rows, infer_schema_length=None, strict=False), notes) if notes else (frame, [])


def unnested(rows: list[Row], columns: ColumnNames = None) -> tuple[list[Row], list[str]]:
    """Return one row for each rating, and a note if the users, items or ratings are inside lists or objects."""
    if not _missing(rows, columns):
        return rows, []
    opened = [_with_points(row) for row in rows]
    if names := _parallel_lists(opened, columns):
        pairs = [(row, values) for row in opened for values in zip(*(row[name] for name in names), strict=True)]
        note = f"read the lists in {' and '.join(map(repr, names))} side by side as {plural(len(pairs), 'row')}"
        return [row | dict(zip(names, values, strict=True)) for row, values in pairs], [note]
    missing, chosen = [id_ for id_ in _IDS if id_ in _missing(opened, columns)], ""
    # an `id` may be that of the user or of the item
    for name, outer in (("", ""), *((name, outer) for name in ("id", "_id") for outer in _IDS)):
        renamed = [{outer if field == name else field: value for field, value in row.items()} for row in opened]
        if not chosen and (chosen := _list_of_ratings(renamed, [id_ for id_ in missing if id_ != outer], columns)):
            opened, missing = renamed, [id_ for id_ in missing if id_ != outer]
    if not chosen:
        inner = next((name for name in names_in(opened) if name not in names_in(rows)), "")
        return opened, [f"read the fields of inner objects as columns, such as {inner!r}"] * bool(inner)
    listed = [inner for row in opened for inner in _rows_in(row, chosen, missing)]
    empty = sum(not row.get(chosen) for row in opened)
    note = f"read the lists in {chosen!r} as {plural(len(listed), 'row')}"
    return listed, [note + f"; left out {plural(empty, 'object')} without any" * bool(empty)]


def _parallel_lists(rows: list[Row], columns: ColumnNames) -> list[str]:
    """Return the fields whose lists of plain values have equal lengths in each row, if one holds ids."""
    names = [name for name in names_in(rows) if all(isinstance(row.get(name), list) for row in rows)]
    names = [name for name in names if not any(isinstance(each, (dict, list)) for row in rows for each in row[name])]
    is_parallel = len(names) > 1 and all(len({len(row[name]) for name in names}) == 1 for row in rows)
    return names if is_parallel and set(_IDS) & match_columns(names, RATING_ALIASES, columns).keys() else []


def rows_of_users(content: Mapping[str, Any]) -> list[Row] | None:
    """Return the rows of `{"1": {"user": …, "item": …}}`, or of `{user: [items]}`; None if it is neither."""
    values = list(content.values())
    if len(values) < 2 or len(match_columns(list(content), RATING_ALIASES)) > 1:
        return None
    if all(isinstance(value, dict) and len(match_columns(list(value), RATING_ALIASES)) > 1 for value in values):
        return values
    if not all(isinstance(value, list) for value in values):
        return None
    kinds = {type(element) for value in values for element in value}
    if kinds == {dict}:
        found = {tuple(id_ for id_ in _IDS if id_ in match_columns(names_in(rows), RATING_ALIASES)) for rows in values}
        if found not in ({("user_id",)}, {("item_id",)}):  # tables
            return None
        outer = "item_id" if found == {("user_id",)} else "user_id"
        return [{outer: key, "items": rows} for key, rows in content.items()]
    if kinds != {list} and len(set(map(len, values))) == 1:  # columns
        return None
    return [{"user_id": key, "items": rows} for key, rows in content.items()]


def _missing(rows: list[Row], columns: ColumnNames) -> list[str]:
    """Return which of user, item and rating have no column of plain values."""
    names = names_in(rows)
    matched = match_columns(names, RATING_ALIASES, columns)
    nested = {name for row in rows for name, value in row.items() if isinstance(value, (dict, list))}
    return [name for name in (*_IDS, "rating") if matched.get(name) in nested or matched.get(name) not in names]


def names_in(rows: Iterable[Row]) -> list[str]:
    """Return the names of the fields of all rows, in the order of their first use."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _with_points(row: Row) -> Row:
    """Return a row with the fields of inner objects; an object of numbers, such as `{"Alien": 5}`, is kept."""
    opened: Row = {}
    for name, value in row.items():
        is_id = match_columns([name], {id_: RATING_ALIASES[id_] for id_ in _IDS})
        if isinstance(value, dict) and (is_id or not _is_map(value)):
            opened |= {f"{name}.{inner}": each for inner, each in _with_points(value).items()}
        else:
            opened[name] = value
    return opened


def _is_map(value: Any) -> bool:
    """Return whether an object is not a record but holds a rating for each key."""
    numbers = isinstance(value, dict) and all(type(each) in (int, float) for each in value.values())
    return numbers and bool(value) and not match_columns(list(value), RATING_ALIASES)


def _list_of_ratings(rows: list[Row], missing: list[str], columns: ColumnNames) -> str:
    """Return the field whose lists hold the missing ids; empty if there is none."""
    for name in names_in(rows) if missing else ():
        filled = [row for row in rows if isinstance(row.get(name), (list, dict)) and row[name]][:100]
        if filled and not set(missing) & set(
            _missing([inner for row in filled for inner in _rows_in(row, name, missing)], columns)
        ):
            return name
    return ""


def _rows_in(row: Row, name: str, missing: list[str]) -> list[Row]:
    """Return a row for each element of a list in a row."""
    values, outer = row.get(name), {other: value for other, value in row.items() if other != name}
    if isinstance(values, dict):
        values = [{missing[0]: key, "rating": number} for key, number in values.items()]
    return [outer | _element(element, name, outer, missing) for element in values or () if element is not None]


def _element(element: Any, name: str, outer: Row, missing: list[str]) -> Row:
    """Return the fields of an element of a list: an object, a list such as `["Alien", 5]`, or an id."""
    if isinstance(element, list):
        return dict(zip((missing[0], *POSITIONAL[2:]), element, strict=False))
    if not isinstance(element, dict):
        return {name.removesuffix("s"): element}
    fields = _with_points(element)
    return {f"{name}.{field}" if field in outer else field: value for field, value in fields.items()}
