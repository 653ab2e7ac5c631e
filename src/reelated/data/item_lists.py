"""Text with one line for each user, which lists the items: `7 10 20`, `7 10:4 20:5` with ratings, or `(7,10) 20 30`."""

import re
from itertools import pairwise

import polars as pl

from reelated.data.text_layout import RejectedRow
from reelated.errors import Advice, InputError, plural, shorten

_HEAD_LINES = 40
_ID = r"\d{1,18}"  # fits 64 bits
_ITEMS = re.compile(rf"({_ID})((?:[ \t]+{_ID})*)[ \t]*", re.ASCII)
_RATINGS = re.compile(rf"({_ID})((?:[ \t]+{_ID}:-?\d+(?:\.\d+)?)+)[ \t]*", re.ASCII)
_PAIRS = re.compile(rf"\(({_ID}), ?({_ID})\)(?:[ \t]+{_ID})*[ \t]*", re.ASCII)
_FEATURES = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[ \t]+\d+:-?[\d.]+(?:[eE][+-]?\d+)?)+[ \t]*", re.ASCII)


def is_item_lists(label: str, start: bytes) -> bool:
    """Return whether the first lines of a text list items: with ratings, or in lists of three lengths or more.

    Raise `InputError` for lists of items that are not one for each user, and for targets with features.
    """
    lines = start.decode(errors="replace").replace("\r", "").split("\n")[:_HEAD_LINES]
    lines = [line for line in (lines[:-1] if len(lines) > 1 else lines) if line]
    if not lines:
        return False
    _refuse_features(label, lines)
    if any(form.fullmatch(lines[0]) and _share(form, lines) > 0.5 for form in (_RATINGS, _PAIRS)):
        return True
    if len({len(line.split()) for line in lines}) < 3 or _share(_ITEMS, lines) < 1:
        return False
    if _are_counted(lines) or all(a < b for a, b in pairwise(int(line.split(maxsplit=1)[0]) for line in lines)):
        return True
    # in a damaged table of ratings a user has several lines
    raise InputError(
        f"{label}, line 1: lines of unlike length, {shorten(lines[0])}. Expected one row for each rating, or one "
        f"line for each user with the items, by ascending user. If these are lists of items, in Python: "
        f"read([(user, item) for user, *items in map(str.split, open({label!r})) for item in items])."
    )


def _share(form: re.Pattern[str], lines: list[str]) -> float:
    return sum(map(bool, map(form.fullmatch, lines))) / len(lines)


def _are_counted(lines: list[str]) -> bool:
    """Return whether each line begins with the number of its items, as in CiteULike."""
    return all(int(first) == len(rest) for first, *rest in map(str.split, lines))


def _refuse_features(label: str, lines: list[str]) -> None:
    """Raise `InputError` for the format of libsvm: targets that are no ids, or in no order with equal widths."""
    if _share(_FEATURES, lines) < 1:
        return
    widths = {len(line.split()) for line in lines}
    targets = [line.split(maxsplit=1)[0] for line in lines]
    may_be_users = all(map(str.isdecimal, targets)) and (len(widths) > 1 or widths == {2})
    if may_be_users or all(float(a) < float(b) for a, b in pairwise(targets)):
        return
    raise InputError(
        f"{label} has the format of libsvm and libFM, a target and numbered features: {shorten(lines[0])}. Expected "
        "one row for each rating. If the target is the rating, and the first two features are the user and the item, "
        "in Python: read([(int(user.split(':')[0]), int(item.split(':')[0]), float(rating)) "
        f"for rating, user, item, *_ in map(str.split, open({label!r}))])."
    )


def read_item_lists(label: str, text: bytes, invalid: str) -> tuple[pl.DataFrame, list[RejectedRow], list[str]]:
    """Return one row for each item of each user, the lines that cannot be read, and notes."""
    lines = text.decode().replace("\r", "").split("\n")
    filled = [line for line in lines if line.strip()]
    form = next(form for form in (_RATINGS, _PAIRS, _ITEMS) if form.fullmatch(filled[0]))
    is_counted = form is _ITEMS and _are_counted(filled[:_HEAD_LINES])
    users: list[int] = []
    items: list[str] = []
    rejected: list[RejectedRow] = []
    alone = 0
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        found = form.fullmatch(line)
        user, listed = (int(found[1]), found[2].split()) if found else (0, [])
        if not found or (is_counted and user != len(listed)):
            reason = f"no user and list of items: {shorten(line)}"
            if invalid == "error":
                raise InputError(f"{label}, line {number}: {reason}.", remedy=Advice.DROP_LINES)
            rejected.append(RejectedRow(number, "bad_line", reason, line))
            continue
        users += [number - 1 if is_counted else user] * len(listed)
        items += listed
        alone += not listed
    table = pl.DataFrame({"user_id": users, "item_id": items}, {"user_id": pl.Int64, "item_id": pl.String})
    if form is _RATINGS:
        parts = pl.col("item_id").str.split_exact(":", 1).struct
        table = table.select("user_id", parts[0].alias("item_id"), parts[1].cast(pl.Float64).alias("rating"))
    note = f"read each line as a user and a list of items: {plural(len(items), 'row')}"
    note += f"; left out {plural(alone, 'user')} without any" * bool(alone)
    if is_counted:
        note += "; each begins with the number of its items, and the users are numbered by line, from 0"
    if form is _PAIRS:
        note = (
            f"read {plural(len(items), 'pair')} such as {shorten(filled[0].split()[0])}; left out the negative samples"
        )
    return table.with_columns(pl.col("item_id").cast(pl.Int64)), rejected, [note]
