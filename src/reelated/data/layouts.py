"""Lists of items and matrices → one row for each rating.

A list has one line for each user: `7 10 20`, `7 10:4 20:5` with ratings, or `(7,10) 20 30`. A matrix has a row for each
user and a column for each item.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

import polars as pl

from reelated.data.text_layout import RejectedRow, by_position, is_number
from reelated.errors import Advice, InputError, plural, shorten
from reelated.ratings.columns import ITEM_ALIASES, RATING_ALIASES, USER_ALIASES, ColumnNames, match_columns, plain
from reelated.ratings.values import as_numbers

# --------------------------------------------------------------------------------------------------------------- lists
_HEAD_LINES = 40
_ID = r"\d{1,18}"  # fits 64 bits
_ITEMS = re.compile(rf"({_ID})((?:[ \t]+{_ID})*)[ \t]*", re.ASCII)
_RATINGS = re.compile(rf"({_ID})((?:[ \t]+{_ID}:-?\d+(?:\.\d+)?)+)[ \t]*", re.ASCII)
_PAIRS = re.compile(rf"\(({_ID}), ?({_ID})\)(?:[ \t]+{_ID})*[ \t]*", re.ASCII)
_FEATURES = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[ \t]+\d+:-?[\d.]+(?:[eE][+-]?\d+)?)+[ \t]*", re.ASCII)


def is_item_lists(label: str, start: bytes) -> bool:
    """Return whether the first lines of a text are lists of items; lists of bare ids need three different lengths.

    Raise `InputError` if a user has several lists, and for the libsvm format.
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
    # if a user has several lines, this is a damaged table of ratings
    raise InputError(
        f"{label}, line 1: lines of unlike length, {shorten(lines[0])}. Expected one row for each rating, or one "
        f"line for each user with the items, by ascending user. If these are lists of items, in Python: "
        f"read([(user, item) for user, *items in map(str.split, open({label!r})) for item in items])."
    )


def _share(form: re.Pattern[str], lines: list[str]) -> float:
    return sum(map(bool, map(form.fullmatch, lines))) / len(lines)


def _are_counted(lines: list[str]) -> bool:
    """Return whether each line begins with its number of items, as in CiteULike."""
    return all(int(first) == len(rest) for first, *rest in map(str.split, lines))


def _refuse_features(label: str, lines: list[str]) -> None:
    """Raise `InputError` for the libsvm format, unless the targets may be users."""
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


# ------------------------------------------------------------------------------------------------------------ matrices
MIN_WIDTH = 5
"""Minimum number of numeric columns with unknown names in a matrix."""
_TOTALS = (
    *("total", "totals", "grandtotal", "sum", "all", "gesamt", "gesamtergebnis", "summe", "totalgeneral", "totalgeral"),
    *("totale", "totalecomplessivo", "eindtotaal"),
)
_NO_RATING = 99.0  # in Jester, whose ratings go from -10 to 10


def unpivot(frame: pl.DataFrame, columns: ColumnNames) -> tuple[pl.DataFrame, list[str]]:
    """Return `user_id item_id rating` of a matrix, and a note on its shape; an empty cell is a missing rating."""
    if {"user_id", "item_id", "rating"} <= match_columns(frame.columns, RATING_ALIASES, columns).keys():
        raise InputError("the table has a column for user, item and rating each.", parameter="layout", value="wide")
    numbered = all(name.startswith("column ") for name in frame.columns)
    if numbered and not columns:
        return _without_names(frame)
    index = _index_of(frame.columns, columns)
    if index is None or frame.width < 2:
        raise InputError("layout='wide' needs a column with the users or items, and a column for each of the others.")
    ours, column = index
    other, known = ("item_id", USER_ALIASES) if ours == "user_id" else ("user_id", ITEM_ALIASES)
    attributes = match_columns([name for name in frame.columns if name != column], dict(list(known.items())[1:]))
    when = match_columns([name for name in frame.columns if name != column], {"timestamp": RATING_ALIASES["timestamp"]})
    attributes |= {
        ours: theirs
        for ours, theirs in when.items()
        if not _is_numeric(frame[theirs].drop_nulls()[:1].cast(pl.String).to_list(), 0)
    }
    frame, totals = _without_totals(frame, column)
    values = [name for name in frame.columns if name not in (column, *attributes.values())]
    kinds = {frame[name].dtype for name in values}
    text = any(kind == pl.String or not kind.is_numeric() for kind in kinds)
    cells = frame.with_columns(pl.col(values).cast(pl.String if text else pl.Float64, strict=False))
    table = cells.unpivot(values, index=column, variable_name=" column", value_name=" cell")
    table.columns = [ours, other, "rating"]
    notes = [
        f"read a matrix of {len(frame):,} {ours[:4]}s and {plural(len(values), other[:4])}; an empty cell is no rating"
    ]
    guessed = ours == "user_id" and not columns and column not in match_columns([column], RATING_ALIASES).values()
    notes += ["the rows were taken for users; the option columns names the items' column, such as item_id=1"] * guessed
    notes += [f"left out {', '.join(attributes.values())}: no {other[:4]}"] * bool(attributes) + totals
    rated = _filled(table)
    zeros = (as_numbers(rated["rating"]).values == 0).sum() if len(rated) == len(table) else 0
    notes += [f"no cell is empty, and {zeros:,} are 0, which may mean no rating: the option map drops them"] * bool(
        zeros
    )
    return rated, notes


def _without_totals(frame: pl.DataFrame, index: str) -> tuple[pl.DataFrame, list[str]]:
    """Leave out the last row and the last column if they hold totals, as in a pivot table."""
    rows = [f"row, {name!r}" for name in frame[index][-1:].cast(pl.String) if plain(name or "") in _TOTALS]
    column = [name for name in frame.columns[-1:] if plain(name) in _TOTALS]
    found = [*rows, *(f"column, {name!r}" for name in column)]
    note = f"left out the last {' and the last '.join(found)}: totals and no ratings"
    return frame.head(len(frame) - len(rows)).drop(column), [note] * bool(found)


def _index_of(names: Sequence[str], columns: ColumnNames) -> tuple[str, str] | None:
    """Return whether the rows of a matrix are users or items, and the name of the id column, by default the first."""
    for ours in ("user_id", "item_id"):
        if theirs := (by_position(columns, tuple(names)) or {}).get(ours):
            return (ours, theirs) if theirs in names else None
    if len(names) > 1 and "timestamp" in match_columns(names[:1], RATING_ALIASES):  # as in the answers to a form
        names = names[1:]
    first = match_columns(names[:1], RATING_ALIASES)
    found = first if {"user_id", "item_id"} & first.keys() else match_columns(names, {"user_id": ("user",)})
    return next(((ours, name) for ours, name in found.items()), ("user_id", names[0]) if names else None)


def _without_names(frame: pl.DataFrame) -> tuple[pl.DataFrame, list[str]]:
    """Return a matrix without names, with numbered users and items; remove Jester's counts and its sentinel 99."""
    cells = pl.DataFrame([_numeric(frame[name]) for name in frame.columns])
    first, values = frame.columns[0], cells.select(frame.columns[1:])
    rated = values.select(pl.sum_horizontal((pl.all() != _NO_RATING).cast(pl.Int64))).to_series()
    notes = []
    if (cells[first] == rated).all():
        cells = values.select(pl.when(pl.all() != _NO_RATING).then(pl.all()))
        notes = ["read the layout of Jester: the first column counts the ratings of the row, and 99 is no rating"]
    cells = cells.rename({name: str(at) for at, name in enumerate(cells.columns, 1)})
    cells = cells.with_columns(user_id=pl.int_range(1, pl.len() + 1))
    table = cells.unpivot(index="user_id", variable_name="item_id", value_name="rating")
    table = table.with_columns(pl.col("item_id").cast(pl.Int64))
    size = f"{len(frame):,} users and {plural(cells.width - 1, 'item')}"
    return _filled(table), [*notes, f"read a matrix of {size} without names: rows and columns are numbered from 1"]


def _numeric(column: pl.Series) -> pl.Series:
    """Convert a column of cells to numbers, null where empty."""
    converted = as_numbers(column.set(column == "", None) if column.dtype == pl.String else column)
    if converted.unreadable is not None and converted.unreadable.any():
        at = int(converted.unreadable.arg_true()[0])
        raise InputError(f"row {at + 1}: {shorten(column[at])}, expected a number in each cell of the matrix.")
    return converted.values.cast(pl.Float64).round(4)


def _filled(table: pl.DataFrame) -> pl.DataFrame:
    """Return the rows with a rating."""
    rating = pl.col("rating")
    if table["rating"].dtype == pl.String:
        return table.filter(~rating.str.strip_chars().str.to_lowercase().is_in(["", "nan", "na", "null"]))
    return table.filter(rating.is_not_nan())


def matrix_width(names: Sequence[str], rows: Sequence[Sequence[str]]) -> int:
    """Count the numeric columns with unknown names; 0 if there are other columns, or columns of users and items."""
    known = {alias: name for name, aliases in RATING_ALIASES.items() for alias in (plain(name), *aliases)}
    if {"user_id", "item_id"} <= {known.get(plain(name)) for name in names}:
        return 0
    words = [plain(name) for name in names]
    columns = [at for at, word in enumerate(words) if word not in known or words.count(word) > 1]  # `Rate [Up]`
    width = sum(bool(rows) and all(_is_numeric(row, at) for row in rows) for at in columns)
    return width if len(columns) - width <= 2 else 0


def _is_numeric(row: Sequence[str], column: int) -> bool:
    """Return whether a field is a number or empty."""
    field = row[column].strip() if column < len(row) else ""
    return not field or field.lower() in ("nan", "na", "none") or is_number(field)
