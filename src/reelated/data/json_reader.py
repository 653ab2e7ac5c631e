"""JSON tables: an array of objects, an object of columns, or one object a line."""

import ast
import json
from contextlib import suppress
from typing import Any

import polars as pl

from reelated.data.text_layout import RejectedRow
from reelated.errors import Advice, InputError, shorten
from reelated.ratings.frames import as_polars

_NOT_JSON = (ValueError, SyntaxError, RecursionError, MemoryError)


def is_json(start: bytes) -> bool:
    """Return whether the first bytes of a text begin a JSON object or an array of objects."""
    text = start.lstrip()
    return text.startswith(b"{") or (text.startswith(b"[") and text[1:].lstrip()[:1] in (b"{", b"]", b"["))


def json_names(start: bytes) -> tuple[str, ...]:
    """Return the names of the first object in the first bytes of a text; none if it is cut short."""
    text = start.decode(errors="replace").lstrip().removeprefix("[").lstrip()
    with suppress(*_NOT_JSON):
        first, _ = json.JSONDecoder().raw_decode(text)
        return tuple(first) if isinstance(first, dict) else ()
    with suppress(*_NOT_JSON):
        return tuple(ast.literal_eval(text.split("\n", 1)[0]))
    return ()


def read_json(label: str, text: bytes, invalid: str) -> tuple[pl.DataFrame, list[RejectedRow], list[str]]:
    """Return the rows of a JSON text as text, numbers or lists; the lines that cannot be read; and notes."""
    content = None
    with suppress(*_NOT_JSON):
        content = json.loads(text)
    if content is not None:
        return as_polars(_uniform(_rows_of(label, content)), label), [], []
    lines = text.decode().split("\n")
    rows, rejected, n_blank = [], [], 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            n_blank += number < len(lines)
            continue
        row = _parse_line(line)
        if isinstance(row, dict):
            rows.append(row)
            continue
        reason = f"no JSON object: {shorten(line.strip())}"
        if invalid == "error":
            raise InputError(f"{label}, line {number}: {reason}.", remedy=Advice.DROP_LINES)
        rejected.append(RejectedRow(number, "bad_line", reason, line))
    if not rows:
        raise InputError(f"{label} holds no JSON objects. Expected one for each rating.")
    notes = [f"skipped {n_blank} blank line{'s' * (n_blank > 1)}"] * bool(n_blank)
    return as_polars(_uniform(rows), label), rejected, notes


def _rows_of(label: str, content: Any) -> Any:
    """Return the rows or columns of a whole JSON text."""
    if isinstance(content, list):
        if content and all(isinstance(row, (dict, list)) for row in content):
            return content
    elif isinstance(content, dict):
        if {"columns", "data"} <= content.keys():  # pandas with orient="split"
            return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]
        if all(isinstance(values, list) for values in content.values()):
            tables = {name: rows for name, rows in content.items() if rows and isinstance(rows[0], dict)}
            if len(tables) == 1 or "ratings" in tables:
                return tables.get("ratings") or next(iter(tables.values()))
            return content
        if all(isinstance(values, dict) for values in content.values()):
            return content
        lists = [values for values in content.values() if isinstance(values, list)]
        return lists[0] if len(lists) == 1 and lists[0] else [content]
    raise InputError(f"{label} holds no JSON objects. Expected one for each rating.")


def _uniform(rows: Any) -> Any:
    """Return objects whose fields have one type each: text where text and numbers are mixed."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
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


def _only_field(value: Any) -> Any:
    """Return the value of an object with one field, such as `{"$oid": "5f…"}` of MongoDB; others stay."""
    return next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else value


def _parse_line(line: str) -> Any:
    """Parse one object in JSON, or in Python notation as in old files of Amazon reviews."""
    for parse in (json.loads, ast.literal_eval):
        with suppress(*_NOT_JSON):
            return parse(line.strip().removesuffix(","))
    return None
