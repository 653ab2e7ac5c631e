"""Text with one line for each user, which lists the items: `7 10 20`, or `7 10:4 20:5` with ratings."""

import re
from itertools import pairwise

import polars as pl

from reelated.data.text_layout import RejectedRow
from reelated.errors import Advice, InputError, plural, shorten

_HEAD_LINES = 40
_ITEMS = re.compile(r"\d{1,18}(?:[ \t]+\d{1,18})*[ \t]*", re.ASCII)  # 18 digits fit 64 bits
_PAIRS = re.compile(r"\d{1,18}(?:[ \t]+\d{1,18}:-?\d+(?:\.\d+)?)+[ \t]*", re.ASCII)


def is_item_lists(label: str, start: bytes) -> bool:
    """Return whether the first lines of a text list items: of pairs, or of items in lists of three lengths or more.

    Raise `InputError` for lists of items that are not one for each user.
    """
    lines = start.decode(errors="replace").replace("\r", "").split("\n")[:_HEAD_LINES]
    lines = [line for line in (lines[:-1] if len(lines) > 1 else lines) if line]
    if not lines:
        return False
    if _PAIRS.fullmatch(lines[0]) and 2 * sum(map(bool, map(_PAIRS.fullmatch, lines))) > len(lines):
        return True
    if len({len(line.split()) for line in lines}) < 3 or not all(map(_ITEMS.fullmatch, lines)):
        return False
    if all(a < b for a, b in pairwise(int(line.split(maxsplit=1)[0]) for line in lines)):
        return True
    # in a damaged table of ratings a user has several lines
    raise InputError(
        f"{label}, line 1: lines of unlike length, {shorten(lines[0])}. Expected one row for each rating, or one "
        f"line for each user with the items, by ascending user. If these are lists of items, in Python: "
        f"read([(user, item) for user, *items in map(str.split, open({label!r})) for item in items])."
    )


def read_item_lists(label: str, text: bytes, invalid: str) -> tuple[pl.DataFrame, list[RejectedRow], list[str]]:
    """Return one row for each item of each user, the lines that cannot be read, and notes."""
    lines = text.decode().replace("\r", "").split("\n")
    form = _PAIRS if _PAIRS.fullmatch(next(filter(None, lines))) else _ITEMS
    users: list[int] = []
    items: list[str] = []
    rejected: list[RejectedRow] = []
    alone = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        if not form.fullmatch(line):
            reason = f"no user and list of items: {shorten(line)}"
            if invalid == "error":
                raise InputError(f"{label}, line {number}: {reason}.", remedy=Advice.DROP_LINES)
            rejected.append(RejectedRow(number, "bad_line", reason, line))
            continue
        user, *listed = line.split()
        users += [int(user)] * len(listed)
        items += listed
        alone += not listed
    table = pl.DataFrame({"user_id": users, "item_id": items}, {"user_id": pl.Int64, "item_id": pl.String})
    if form is _PAIRS:
        parts = pl.col("item_id").str.split_exact(":", 1).struct
        table = table.select("user_id", parts[0].alias("item_id"), parts[1].cast(pl.Float64).alias("rating"))
    note = f"read each line as a user and a list of items: {plural(len(items), 'row')}"
    note += f"; left out {plural(alone, 'user')} without any" * bool(alone)
    return table.with_columns(pl.col("item_id").cast(pl.Int64)), rejected, [note]
