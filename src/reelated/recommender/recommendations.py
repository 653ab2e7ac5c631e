"""`Recommendations`: a sequence of rows that prints, converts to tables, and displays in a notebook."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from typing import Any, Generic, TypeVar, overload

import polars as pl

from reelated.formatting import cell_text, cut, html_table, printable
from reelated.recommender.rows import ItemRow, Prediction, Reason, SearchHit, SimilarRow, Truncation, UserRow

Row = TypeVar("Row", bound=ItemRow | UserRow | SimilarRow | SearchHit | Prediction)
_TYPES: dict[Any, Any] = {
    str: pl.String, bool: pl.Boolean, int: pl.Int64, int | None: pl.Int64, float: pl.Float64, float | None: pl.Float64,
    tuple[str, ...]: pl.List(pl.String),
}  # fmt: skip
"""Type of a field of a row → type of the column; ids have the type of the ids in the data."""


class Recommendations(Sequence[Row], Generic[Row]):
    """A sequence of result rows with a heading.

    Parameters
    ----------
    rows : sequence of row
        Best first.
    heading : str
        The subject of the list, and the number that the rows are sorted by.
    row_type : type
        The type of the rows; it determines the columns of an empty table.
    short : Truncation, optional
        Why there are fewer rows than requested.
    because : str, default "because you rated"
        Heading of the column with the reasons.
    unknown : sequence of int or str, default ()
        Ids of rated items that are not in the model; their ratings are not used.
    noun : str, default "item"
        The word for an item.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        heading: str,
        row_type: type[Row],
        short: Truncation | None = None,
        because: str = "because you rated",
        unknown: Sequence[Any] = (),
        noun: str = "item",
    ) -> None:
        self._rows: tuple[Row, ...] = tuple(rows)
        self.heading = heading
        self.row_type: type[Row] = row_type
        self.short = short
        self.because = because
        self.unknown = tuple(unknown)
        self.noun = noun

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> "Recommendations[Row]": ...
    def __getitem__(self, index: int | slice) -> "Row | Recommendations[Row]":
        if isinstance(index, slice):
            return Recommendations(
                self._rows[index], self.heading, self.row_type, None, self.because, self.unknown, self.noun
            )
        return self._rows[index]

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Recommendations) and (self._rows, self.short) == (other._rows, other.short)

    __hash__ = None  # type: ignore[assignment]

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dictionary per row, with reasons as nested dictionaries; `--json` prints these."""
        return [asdict(row) for row in self._rows]

    def to_polars(self) -> pl.DataFrame:
        """Return a polars table of the rows."""
        return pl.DataFrame(self.to_dicts(), schema=_schema(self.row_type, self._rows))

    def to_pandas(self) -> Any:
        """Return a pandas table of the rows; needs pandas."""
        import pandas as pd

        return pd.DataFrame(self.to_dicts(), columns=[field.name for field in fields(self.row_type)])

    def __repr__(self) -> str:
        columns, cells = self._cells()
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in (columns, *cells)]
        return "\n".join([printable(self.heading), *(lines if cells else ["(none)"]), *self._notes()])

    def _repr_html_(self) -> str:
        columns, cells = self._cells()
        return html_table(self.heading, columns, cells, self._notes())

    def _notes(self) -> list[str]:
        return [f"short: {self.short}"] * bool(self.short) + [f"unknown: {self._unknown}"] * bool(self.unknown)

    @property
    def _unknown(self) -> str:
        more = ", …" if len(self.unknown) > 10 else ""
        return printable(", ".join(map(str, self.unknown[:10])) + more) + " (left out: not in the model)"

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        """Return the column names and the text of every cell for display."""
        names = [field.name for field in fields(self.row_type) if field.name not in ("reasons", "other")]
        if all(getattr(row, "predicted_rating", None) is None for row in self._rows):
            names = [name for name in names if name != "predicted_rating"]
        cells = [[cell_text(getattr(row, name)) for name in names] for row in self._rows]
        if self.row_type is ItemRow:
            names.append(self.because)
            for texts, row in zip(cells, self._rows, strict=True):
                texts.append(printable(cut(", ".join(getattr(row, "because", ())), 60)))
        return [name.replace("_", " ") for name in names], cells


def _schema(row_type: Any, rows: Sequence[Any]) -> dict[str, Any]:
    """Return the types of a table's columns; ids have the type that they have in the rows."""
    types: dict[str, Any] = {field.name: _TYPES.get(field.type) for field in fields(row_type)}
    ids = [name for name in types if name.endswith("_id")]
    types |= {name: next((_TYPES.get(type(getattr(row, name)), pl.Int64) for row in rows), pl.Null) for name in ids}
    if "reasons" in types:
        reason = {field.name: _TYPES.get(field.type, types["item_id"]) for field in fields(Reason)}
        types["reasons"] = pl.List(pl.Struct(reason))
    return types
