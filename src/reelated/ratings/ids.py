"""External ids ⇄ row and column numbers: the only place that converts between the two."""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from reelated.errors import Advice, InputError, InputTypeError, UnknownId

CHUNK = 100_000
"""Number of ids that are looked up at a time; with more, the temporary arrays would not stay in the cache."""


class Ids:
    """The ids of all users or of all items, ascending; the position of an id is its row or column number.

    Parameters
    ----------
    values : polars.Series of Int64 or String
        Distinct ids in ascending order, as `as_ids(...).unique().sort()` returns them.
    kind : {"user", "item"}
        What the ids identify; used in messages.

    Examples
    --------
    >>> ids = Ids(pl.Series([10, 20, 40]), "item")
    >>> ids.index_of(20), ids[2]
    (1, 40)
    """

    def __init__(self, values: pl.Series, kind: str) -> None:
        self.values = values.set_sorted()
        # for a single look-up, numpy is faster than polars
        self._sorted: Any = values.to_numpy() if values.dtype == pl.Int64 else self
        self.kind = kind
        self.type_name = "int" if values.dtype == pl.Int64 else "str"
        """The Python type of the ids."""

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, index: int) -> Any:
        return self.values[int(index)] if self._sorted is self else self._sorted.item(index)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __contains__(self, value: object) -> bool:
        return self.find(value) is not None

    def __repr__(self) -> str:
        return f"Ids({len(self):,} {self.kind}s, {self.type_name})"

    def find(self, value: object) -> int | None:
        """Return the number of an id, or None if it is unknown or of the other type.

        Parameters
        ----------
        value : object
            An external id.
        """
        value = value.item() if isinstance(value, np.generic) else value
        if type(value).__name__ != self.type_name:
            return None
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return None
        index = bisect_left(self._sorted, value)
        return index if index < len(self) and self[index] == value else None

    def index_of(self, value: object) -> int:
        """Return the number of an id.

        Parameters
        ----------
        value : object
            An external id.

        Raises
        ------
        InputTypeError
            The id is text where ids are integers, or vice versa.
        UnknownId
            The data has no such user or item.
        """
        if (index := self.find(value)) is not None:
            return index
        value = value.item() if isinstance(value, np.generic) else value
        type_name = type(value).__name__
        name = f"{self.kind}_id"
        if type_name != self.type_name:
            converted = self.parse(str(value))
            hint = f" Did you mean {converted!r}?" if converted in self else ""
            expected = f"the {self.kind} ids of this data are of type {self.type_name}, not {type_name}.{hint}"
            raise InputTypeError(expected, parameter=name, value=value)
        expected = f"this {self.kind} is not among the {len(self):,} {self.kind}s of the data."
        raise UnknownId(expected, parameter=name, value=value)

    def parse(self, text: str) -> Any:
        """Convert text from a terminal or a URL to an id, known or not.

        Parameters
        ----------
        text : str
            The id as text.
        """
        if self.type_name == "int" and len(text) < 20 and str(text).removeprefix("-").isdecimal():
            return int(text)
        return text

    def indices_of(self, values: pl.Series) -> npt.NDArray[np.int32]:
        """Return the numbers of many ids; −1 where unknown.

        Parameters
        ----------
        values : polars.Series
            Ids of the same type.

        Returns
        -------
        ndarray of int32, shape (len(values),)
        """
        if self._sorted is not self and len(self) and values.dtype == pl.Int64 and not values.null_count():
            low, span = self._sorted[0], int(self._sorted[-1]) - int(self._sorted[0]) + 1
            if span <= 2 * (len(values) + len(self)):  # a lookup table of the whole range is faster than a join
                index_of, indices = (np.full(size, -1, np.int32) for size in (span + 1, len(values)))
                index_of[self._sorted - low] = np.arange(len(self))
                numbers = values.to_numpy()
                for start in range(0, len(numbers), CHUNK):
                    # smaller ids wrap around to large numbers
                    offsets = (numbers[start : start + CHUNK] - low).view(np.uint64)
                    chosen = np.minimum(offsets, span, out=offsets).view(np.int64)
                    np.take(index_of, chosen, out=indices[start : start + CHUNK])
                return indices
        known = pl.DataFrame({"id": self.values, "index": np.arange(len(self), dtype=np.int32)})
        table = pl.DataFrame({"id": values}).join(known, on="id", how="left", maintain_order="left")
        return table["index"].fill_null(-1).to_numpy()

    def take(self, indices: npt.NDArray[np.integer[Any]]) -> pl.Series:
        """Return the ids at many numbers.

        Parameters
        ----------
        indices : ndarray of int
            Positions in these ids.
        """
        return self.values.gather(indices)


def as_ids(column: pl.Series, kind: str) -> pl.Series:
    """Convert a column of ids to Int64 or String without changing their values, or raise `InputError`."""
    dtype = column.dtype
    if dtype in (pl.Categorical, pl.Enum, pl.String):
        return column.cast(pl.String)
    if dtype.is_integer() or dtype == pl.Null:
        return _as_int64(column, kind)
    if dtype.is_float() or dtype.is_decimal():
        column = column.fill_nan(None) if dtype.is_float() else column
        values = column.drop_nulls()
        fractions = values.filter(values.cast(pl.Float64) % 1 != 0)
        if len(fractions) == 0:
            return _as_int64(column, kind)
        raise InputError(
            f"{kind}_id={fractions[0]}: ids are integers or text, not fractions. Is this the {kind} column?",
            remedy=Advice.NAME_COLUMNS,
        )
    raise InputError(f"{kind}_id is a column of type {dtype}: expected integers or text.")


def _as_int64(column: pl.Series, kind: str) -> pl.Series:
    """Cast to Int64, or report an id that is too large."""
    cast = column.cast(pl.Int64, strict=False)
    lost = column.filter(cast.is_null() & column.is_not_null())
    if len(lost):
        raise InputError(f"{kind}_id={lost[0]}: ids go up to 2⁶³ − 1. Read this column as text.")
    return cast
