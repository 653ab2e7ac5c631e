"""The result of converting a column: its values, and which values cannot be read."""

from typing import NamedTuple

import polars as pl


class Converted(NamedTuple):
    """A converted column, null where `unreadable`, with the expected values, a remedy and notes."""

    values: pl.Series
    unreadable: pl.Series | None = None
    expected: str = ""
    remedy: str = ""
    notes: tuple[str, ...] = ()
