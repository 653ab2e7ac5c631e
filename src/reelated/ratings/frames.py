"""Tables of any library → polars columns with fixed names: `user_id item_id rating timestamp order`."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import polars as pl
import scipy.sparse as sp

from reelated.errors import Advice, InputError, InputTypeError, plural, shorten
from reelated.ratings.columns import RATING_ALIASES, ColumnNames, match_columns, named, plain
from reelated.ratings.events import EventWeights, has_no_rating, look_like_counts, weights_of
from reelated.ratings.ids import as_ids
from reelated.ratings.objects import as_series, from_nested, from_records, from_sparse, without_objects
from reelated.ratings.times import as_seconds, with_time_of_day
from reelated.ratings.values import Converted, RatingMap, as_numbers

_NO_ID = ("nan", "null", "none", "na", "n/a", r"\n")  # what databases and pandas write for a missing number
_N_LISTS = 100
_ITEM_LISTS = {" ": r"\w*\d\w*", "|": r"[^|]+", ",": "[^,]+", ";": "[^;]+"}
_USER_LISTS = {",": r"[^,\s]{4,}"}
"""The separators of a list of ids in one field, and an id in such a list; titles also have spaces and commas."""
_NO_LIST = "[/=]|(?i:, (?:and|or|the|a|an|und|oder|der|die|das|et|ou|le|la|les|y|e|o|el|il)(?: |$))"
"""A URL, or a title such as `Lock, Stock, and Two Smoking Barrels` or `Good, the Bad, and the Ugly, The`."""
EVENT = pl.Series("event", [], dtype=pl.String)
"""The column that tables of events have in our columns, and tables of ratings do not."""

FrameLike: TypeAlias = Any
"""A polars DataFrame or LazyFrame, a pandas DataFrame, a pyarrow Table, a mapping of columns, a list of dicts or
tuples, or a SciPy sparse matrix."""


class RatingTable(NamedTuple):
    """Ratings in our columns and types, the original columns, the columns with unreadable values, and notes."""

    table: pl.DataFrame
    source: pl.DataFrame
    faults: dict[str, Converted]
    notes: list[str]

    @property
    def unreadable(self) -> pl.Series:
        """The rows with a value that cannot be read."""
        masks = [each.unreadable for each in self.faults.values() if each.unreadable is not None]
        return pl.DataFrame({str(at): mask for at, mask in enumerate(masks)}).select(pl.any_horizontal("*")).to_series()

    def left_out(self, mapping: RatingMap | None) -> pl.Series | None:
        """Return the rows whose value the map drops; None if there are none."""
        if mapping is None or None not in mapping.values():
            return None
        unreadable = self.faults["rating"].unreadable if "rating" in self.faults else None
        gone = self.table["rating"].is_null() & self.source["rating"].is_not_null()
        gone = gone if unreadable is None else gone & ~unreadable
        return gone if gone.any() else None

    def fault_of(self, row: int) -> tuple[str, str, str]:
        """Return the column, the description and the remedy of the first error in a row."""
        for name, each in self.faults.items():
            if each.unreadable is not None and each.unreadable[row]:
                return name, f"{name}={shorten(self.source[name][row])}", each.expected
        raise LookupError(row)

    def check(self) -> None:
        """Raise `InputError` for the first row with a value that cannot be read."""
        if not self.faults:
            return
        rows = self.unreadable.arg_true()
        name, value, expected = self.fault_of(int(rows[0]))
        count = plural(len(rows), "row")
        remedy = self.faults[name].remedy
        raise InputError(f"{value} in row {rows[0] + 1}: {expected} ({count} like it).", remedy=remedy)


def as_polars(frame: FrameLike, what: str = "ratings") -> pl.DataFrame:
    """Convert any table to a polars DataFrame, or raise `InputTypeError`."""
    try:
        return _as_polars(frame, what)
    except pl.exceptions.PolarsError as error:
        reason = str(error).split("\n", 1)[0]
        raise InputError(f"{what}: polars cannot read the table ({shorten(reason, 100)}).") from None


def _as_polars(frame: FrameLike, what: str) -> pl.DataFrame:
    if isinstance(frame, pl.LazyFrame):
        frame = frame.collect()
    if isinstance(frame, pl.DataFrame):
        return frame.with_columns(without_objects(column) for column in frame)
    if sp.issparse(frame):
        return from_sparse(what, frame)
    if isinstance(frame, tuple) and frame and sp.issparse(frame[0]) and len(frame) == 3:
        return from_sparse(what, *frame)
    if hasattr(frame, "to_pydict") or (hasattr(frame, "__arrow_c_stream__") and not hasattr(frame, "iloc")):
        return _as_polars(pl.DataFrame(frame), what)
    return _from_columns(what, _python_columns(frame, what))


def _python_columns(frame: Any, what: str) -> list[tuple[str, Any]]:
    """Return the names and values of the columns of a table in pandas, NumPy or plain Python."""
    if hasattr(frame, "iloc") and hasattr(frame, "to_frame"):  # for example a pandas series whose index holds the ids
        frame = frame.to_frame("rating" if frame.name is None else frame.name)
    if hasattr(frame, "iloc") and hasattr(frame, "columns"):  # converting column by column needs no pyarrow
        frame = _with_index(frame)
        return [(_text(name), frame.iloc[:, at]) for at, name in enumerate(frame.columns)]
    if isinstance(frame, Mapping) and frame and all(isinstance(values, Mapping) for values in frame.values()):
        frame = from_nested(frame)
    if isinstance(frame, Mapping):
        return [(str(name), values) for name, values in frame.items()]
    if isinstance(frame, np.ndarray) and frame.dtype.names:
        return [(name, frame[name]) for name in frame.dtype.names]
    if isinstance(frame, (list, tuple)) or (isinstance(frame, np.ndarray) and frame.ndim in (1, 2)):
        return from_records(what, list(frame)) if len(frame) else []
    raise InputTypeError(
        f"expected a polars or pandas DataFrame, an Arrow table, a mapping of columns, a list of tuples or dicts, or a "
        f"sparse matrix, not {type(frame).__name__}.",
        parameter=what,
        value=frame,
        remedy="For a file or folder use reelated.read(path).",
    )


def _with_index(frame: Any) -> Any:
    """Return a pandas frame with the named levels of its index, or an unnamed index of text, as columns."""
    if frame.index.nlevels == 1 and frame.index.name is None and frame.index.dtype.kind not in "iufbMm":
        return frame.rename_axis("index").reset_index() if "index" not in frame.columns else frame
    levels = [name for name in frame.index.names if name is not None and name not in frame.columns]
    return frame.reset_index(level=levels) if levels else frame


def _text(name: Any) -> str:
    """Return the name of a pandas column as text; levels are joined."""
    return " ".join(str(part) for part in name if part != "") if isinstance(name, tuple) else str(name)


def _from_columns(what: str, columns: Any) -> pl.DataFrame:
    """Build a table from named columns, or report duplicate names or different lengths."""
    names = [name for name, _ in columns]
    if repeated := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{what} has more than one column {repeated[0]!r}: rename or leave out all but one.")
    try:
        series = [as_series(name, values) for name, values in columns]
    except TypeError as error:
        if isinstance(error, InputError):
            raise
        raise InputTypeError(f"{what}: a column is neither a list nor an array ({error}).") from None
    if len({len(column) for column in series}) > 1:
        lengths = ", ".join(f"{column.name!r} has {len(column):,}" for column in series)
        raise InputError(f"{what} has columns of different lengths: {lengths}. Expected as many values in each.")
    return pl.DataFrame(series)


def rating_columns(frame: FrameLike, columns: ColumnNames = None) -> pl.DataFrame:
    """Return `user_id item_id rating [timestamp] [order] [event]`, in our types, from any table."""
    ratings = convert_ratings(frame, columns)
    ratings.check()
    return ratings.table


def convert_ratings(
    frame: FrameLike,
    columns: ColumnNames = None,
    mapping: RatingMap | None = None,
    dates: str | None = None,
    names: Mapping[str, str] | None = None,
    feedback: str | None = None,
    events: EventWeights = None,
    may_be_lists: bool = True,
) -> RatingTable:
    """Convert a table as `rating_columns` does, and report the values that cannot be read."""
    source = as_polars(frame)
    names = names or match_columns(source.columns, RATING_ALIASES, columns)
    sample = {name: source[name][:8] for name in source.columns}
    table = named(source, RATING_ALIASES, columns, required_columns(source.columns, columns, feedback, events, sample))
    if may_be_lists:
        _refuse_lists(table, names)
    table, types = _with_values(table, feedback, events)
    converted = {"rating": as_numbers(table["rating"], mapping)}
    if "timestamp" in table.columns:
        converted["timestamp"] = as_seconds(table["timestamp"], dates)
        if "time_of_day" in table.columns:
            times = converted["timestamp"], table["time_of_day"], names["time_of_day"]
            converted["timestamp"] = with_time_of_day(*times)
    if "order" in table.columns:
        converted["order"] = _as_order(table["order"], names["order"], given="order" in (columns or {}))
    result = table.select(
        as_ids(table["user_id"], "user").alias("user_id"),
        as_ids(table["item_id"], "item").alias("item_id"),
        *(each.values.alias(name) for name, each in converted.items()),
    )
    faults = {name: each for name, each in converted.items() if each.unreadable is not None and each.unreadable.any()}
    notes = [note for each in converted.values() for note in each.notes]
    if types is None and feedback is None and mapping is None and look_like_counts(result["rating"]):
        types = EVENT.extend_constant(None, len(result))
        notes.append("the ratings look like counts, such as plays, and are read as the weights of events")
    if types is not None:
        weights, more = (None, []) if types.null_count() == len(types) else weights_of(types, events)
        result, notes = _with_events(result, types, weights), notes + more
    return RatingTable(result, table, faults, notes)


def _refuse_lists(table: pl.DataFrame, names: Mapping[str, str]) -> None:
    """Raise `InputError` for a column that lists several users or items in a field."""
    _refuse_lists_of("user", table["user_id"], names["user_id"], _USER_LISTS)
    if "rating" not in table.columns:  # otherwise the field may be a title
        _refuse_lists_of("item", table["item_id"], names["item_id"], _ITEM_LISTS)


def _refuse_lists_of(kind: str, ids: pl.Series, name: str, forms: Mapping[str, str]) -> None:
    """Raise `InputError` if most fields of a column list several ids, and at least one field lists three or more."""
    if ids.dtype != pl.String:
        return
    sample = ids.drop_nulls()[:_N_LISTS].str.strip_chars()
    for separator, item in forms.items():
        counts = sample.str.count_matches(separator, literal=True)
        lists = sample.str.contains(rf"^{item}(?:[{separator}]{item})*$") & (counts > 0)
        lists &= ~sample.str.contains(_NO_LIST)
        if 2 * lists.sum() > len(sample) and counts.n_unique() > 1 and counts.filter(lists).max() != 1:
            first = sample.filter(lists)[0]
            inner = r""".str.replace_all(r"[\[\]'\"]", "")""" * first.startswith("[")
            split = f"table.with_columns(pl.col({name!r}){inner}.str.split({separator!r})).explode({name!r})"
            raise InputError(
                f"The column {name!r} lists several {kind}s in a field, such as {shorten(first)}. "
                f"Expected one {kind} in a row. Split them, for example with polars: read({split}).",
                remedy=Advice.ONE_ITEM if kind == "item" else "",
            )


def required_columns(
    names: Collection[str],
    columns: ColumnNames,
    feedback: str | None,
    events: EventWeights,
    sample: Mapping[str, Iterable[Any]],
) -> tuple[str, ...]:
    """Return the columns that a table must have; a table of events needs no rating."""
    matched = match_columns(names, RATING_ALIASES, columns)
    leftover = [name for name in names if name not in matched.values()]
    without = columns is not None and columns.get("rating", "") is None
    is_events = without or events is not None or feedback is not None or {"weight", "event"} & matched.keys()
    has_ids = {"user_id", "item_id"} <= matched.keys()
    if is_events or (has_ids and has_no_rating(leftover, sample)):
        return ("user_id", "item_id")
    return ("user_id", "item_id", "rating")


def _with_values(
    table: pl.DataFrame, feedback: str | None, events: EventWeights
) -> tuple[pl.DataFrame, pl.Series | None]:
    """Return a table with ratings, or with the weights of events and then their types."""
    is_explicit = feedback == "explicit" or (feedback is None and events is None and "rating" in table.columns)
    ranked = ("rating", "weight") if is_explicit else ("weight", "rating")
    chosen = next((pl.col(name) for name in ranked if name in table.columns), pl.lit(1.0, pl.Float32))
    types = table["event"] if "event" in table.columns else EVENT.extend_constant(None, len(table))
    table = table.with_columns(chosen.alias("rating")).drop("weight", "event", strict=False)
    return table, None if is_explicit else types


def _with_events(table: pl.DataFrame, types: pl.Series, weights: pl.Series | None) -> pl.DataFrame:
    """Add the types of events; multiply the counts by the weights of the types, 0 without one."""
    table = table.with_columns(types.cast(pl.String).alias("event"))
    if weights is None:
        return table
    return table.with_columns(pl.col("rating") * weights.fill_null(0))


def _as_order(column: pl.Series, theirs: str, given: bool) -> Converted:
    """Convert the order of the ratings to integers; a note names a column that was guessed."""
    numbers = column.cast(pl.Float64, strict=False).cast(pl.Int64, strict=False)
    certain = given or plain(theirs) in ("order", "chronorank")
    note = f"took the column {theirs!r} for the order of the ratings in time, not for a preference"
    unreadable = numbers.is_null() & column.is_not_null()
    return Converted(numbers, unreadable, "expected a number", notes=() if certain else (note,))


def read_ids(column: pl.Series) -> pl.Series:
    """Convert a text column to integers if every value stays the same (`007` would not)."""
    if column.dtype != pl.String:
        return column
    numbers = column.cast(pl.Int64, strict=False)
    return numbers if numbers.cast(pl.String).eq_missing(column).all() else column


def read_whole_ids(column: pl.Series) -> tuple[pl.Series, str]:
    """Convert as `read_ids` does, and also convert text such as `17.0` in a column of whole numbers, with a note."""
    ids = read_ids(column)
    if ids.dtype != pl.String:
        return ids, ""
    text = ids.set(ids.str.to_lowercase().is_in(_NO_ID), None)
    if text.null_count() > ids.null_count() and (numbers := read_ids(text)).dtype == pl.Int64:
        return numbers, f"took {column.name} {shorten(ids.filter(text.is_null())[0])} for missing"
    grouped = text.drop_nulls().str.contains(r"^[1-9]\d{0,2}(?:,\d{3})*$|^0$")
    if grouped.all() and text.str.contains(r",0\d\d").any():  # otherwise it may be a list of numbers with three digits
        numbers = read_ids(text.str.replace_all(",", ""))
        at = int(text.str.contains(",").fill_null(False).arg_true()[0])
        return numbers, f"read {column.name} as whole numbers, such as {text[at]} as {numbers[at]}"
    fraction = text.str.extract(r"^-?(?:0|[1-9]\d*)([.,]0+)$")
    if fraction.null_count() < len(text):
        numbers = read_ids(text.str.replace(r"[.,]0+$", ""))
        if numbers.dtype == pl.Int64:
            at = int(fraction.is_not_null().arg_true()[0])
            return numbers, f"read {column.name} as whole numbers, such as {text[at]} as {numbers[at]}"
    return ids, ""
