"""JSON tables: an array of objects, an object of columns, or one object per line."""

import ast
import json
import re
from contextlib import suppress
from typing import Any

import polars as pl

from reelated.data.nested import names_in, rows_of_users, unnested
from reelated.data.text_layout import ColumnSpec, RejectedRow
from reelated.errors import Advice, InputError, shorten
from reelated.ratings.frames import as_polars

_SPACE = b" \t\r\n\x1e"  # RFC 7464 puts 1E in front of each text
_BETWEEN = re.compile(r"[\s,\x1e]*")
_NOT_JSON = (ValueError, SyntaxError, RecursionError, MemoryError)


def is_json(start: bytes) -> bool:
    """Return whether the first bytes of a text begin a JSON object, an array of objects, or a line with an array."""
    text = start.lstrip(_SPACE)
    array = text.startswith(b"[") and text[1:].lstrip()[:1] in (b"{", b"]", b"[")
    return (
        text.startswith(b"{")
        or array
        or (text.startswith(b"[") and _parse_line(text.split(b"\n", 1)[0].decode(errors="replace")) is not None)
    )


def json_names(start: bytes) -> tuple[str, ...]:
    """Return the names of the first object in the first bytes of a text; none if it is cut short."""
    text = start.decode(errors="replace").lstrip(_SPACE.decode()).removeprefix("[").lstrip()
    with suppress(*_NOT_JSON):
        first, _ = json.JSONDecoder().raw_decode(text)
        return tuple(names_in(unnested([first])[0])) if isinstance(first, dict) else ()
    with suppress(*_NOT_JSON):
        return tuple(ast.literal_eval(text.split("\n", 1)[0]))
    return ()


def read_json(label: str, text: bytes, spec: ColumnSpec) -> tuple[pl.DataFrame, list[RejectedRow], list[str]]:
    """Return the rows of a JSON text as text, numbers or lists; the lines that cannot be read; and notes."""
    content = _whole(text)
    rejected: list[RejectedRow] = []
    notes: list[str] = []
    if content is not None:
        rows = _rows_of(label, content)
    else:
        rows, rejected, notes = _read_json_lines(label, text.decode(), spec.options.invalid)
    if _are_objects(rows):
        rows = [{name: _plain_value(value) for name, value in row.items()} for row in rows]
        if spec.is_ratings or (spec.columns and rows and not {*spec.columns.values()} <= rows[0].keys()):
            rows, more = unnested(rows, spec.columns)
            notes += more
    return as_polars(_uniform(rows), label), rejected, notes


def _whole(text: bytes) -> Any:
    """Return the value of a text that is one JSON value, even with a comma after its last element; otherwise None."""
    with suppress(*_NOT_JSON):
        return json.loads(text)
    if re.search(rb",\s*[]}]\s*\Z", text[-100:]):
        with suppress(*_NOT_JSON):
            return json.loads(re.sub(rb",\s*([]}])\s*\Z", rb"\1", text))
    return None


def _read_json_lines(label: str, text: str, invalid: str) -> tuple[list[Any], list[RejectedRow], list[str]]:
    """Return the objects or arrays of a text, one per line or in sequence; the bad lines; and notes."""
    lines = text.split("\n")
    rows: list[Any] = []
    rejected: list[RejectedRow] = []
    n_blank = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            n_blank += number < len(lines)
            continue
        row = _parse_line(line)
        if row is not None:
            rows.append(row)
            continue
        if not rejected and (values := _sequence(text)):
            return values, [], []
        reason = f"no JSON object: {shorten(line.strip())}"
        if invalid == "error":
            raise InputError(f"{label}, line {number}: {reason}.", remedy=Advice.DROP_LINES)
        rejected.append(RejectedRow(number, "bad_line", reason, line))
    if not rows or not (_are_objects(rows) or all(isinstance(row, list) for row in rows)):
        raise InputError(f"{label} holds no JSON objects. Expected one for each rating.")
    return rows, rejected, [f"skipped {n_blank} blank line{'s' * (n_blank > 1)}"] * bool(n_blank)


def _sequence(text: str) -> list[Any]:
    """Return the objects of a text that is a sequence of objects, each on any number of lines; none for other texts."""
    decoder, values, at = json.JSONDecoder(), [], 0
    with suppress(*_NOT_JSON):
        while at < len(text):
            value, at = decoder.raw_decode(text, at)
            if not isinstance(value, dict):
                return []
            values.append(value)
            at = _BETWEEN.match(text, at).end()  # type: ignore[union-attr]
        return values
    return []


def _are_objects(rows: Any) -> bool:
    return isinstance(rows, list) and all(isinstance(row, dict) for row in rows)


def _rows_of(label: str, content: Any) -> Any:
    """Return the rows or columns of a whole JSON text."""
    if isinstance(content, list):
        if content and all(isinstance(row, (dict, list)) for row in content):
            return content
    elif isinstance(content, dict):
        if {"columns", "data"} <= content.keys():  # pandas with orient="split"
            return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]
        if rows := rows_of_users(content):
            return rows
        tables = {name: rows for name, rows in content.items() if rows and isinstance(rows, list)}
        tables = {name: rows for name, rows in tables.items() if isinstance(rows[0], dict)}
        if "ratings" in tables or len(tables) == 1:
            return tables.get("ratings") or next(iter(tables.values()))
        if all(isinstance(values, list) for values in content.values()):
            return content
        if len(content) == 1 and isinstance(inner := next(iter(content.values())), dict):
            return _rows_of(label, inner)
        if all(isinstance(values, dict) for values in content.values()):
            return content
        lists = [values for values in content.values() if isinstance(values, list)]
        return lists[0] if len(lists) == 1 and lists[0] else [content]
    raise InputError(f"{label} holds no JSON objects. Expected one for each rating.")


def _uniform(rows: Any) -> Any:
    """Return objects whose fields have one type each: text where text and numbers are mixed."""
    if not _are_objects(rows):
        return rows
    rows = [{name: _only_field(value) for name, value in row.items()} for row in rows]
    kinds: dict[str, set[type]] = {}
    for row in rows:
        for name, value in row.items():
            kinds.setdefault(name, set()).add(type(value))
    mixed = {name for name, types in kinds.items() if str in types and types & {int, float, bool}}
    if not mixed:
        return rows
    return [
        {name: str(value) if name in mixed and value is not None else value for name, value in row.items()}
        for row in rows
    ]


def _plain_value(value: Any) -> Any:
    """Return the value in an object of MongoDB, such as `{"$oid": "5f…"}` or `{"$date": {"$numberLong": "0"}}`."""
    while isinstance(value, dict) and len(value) == 1 and next(iter(value)).startswith("$"):
        value = next(iter(value.values()))
    return value


def _only_field(value: Any) -> Any:
    """Return the value of an object with one field; return any other value unchanged."""
    return next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else value


def _parse_line(line: str) -> Any:
    """Parse one object or array in JSON, or in Python notation as in old files of Amazon reviews."""
    for parse in (json.loads, ast.literal_eval):
        with suppress(*_NOT_JSON):
            value = parse(line.strip().removeprefix("\x1e").removesuffix(","))
            return value if isinstance(value, (dict, list)) else None
    return None
