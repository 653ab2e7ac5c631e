"""The options of `read` that concern the contents of tables."""

import codecs
from collections.abc import Mapping
from typing import Any, NamedTuple

from reelated.errors import InputError, check_choice
from reelated.ratings.columns import ColumnNames
from reelated.ratings.events import EventWeights, check_events
from reelated.ratings.values import RatingMap, check_map


class ReadOptions(NamedTuple):
    """Names of columns, notations and the treatment of invalid rows, as in `read`."""

    columns: ColumnNames = None
    item_columns: ColumnNames = None
    invalid: str = "error"
    mapping: RatingMap | None = None
    encoding: str | None = None
    dates: str | None = None
    layout: str | None = None
    feedback: str | None = None
    events: EventWeights = None


NO_OPTIONS = ReadOptions()


def check_options(
    columns: Any,
    item_columns: Any,
    invalid: Any,
    mapping: Any,
    encoding: Any,
    dates: Any,
    layout: Any,
    feedback: Any = None,
    events: Any = None,
) -> ReadOptions:
    """Return the options, or raise `InputError` for one that is invalid."""
    check_choice("invalid", invalid, ("error", "drop"))
    check_choice("dates", dates, (None, "day-first", "month-first"))
    check_choice("layout", layout, (None, "long", "wide"))
    check_choice("feedback", feedback, (None, "explicit", "implicit"))
    if feedback == "explicit" and events is not None:
        raise InputError("events have no ratings.", parameter="events", value=events, remedy="Leave out one of both.")
    for name, value in (("columns", columns), ("item_columns", item_columns)):
        if value is not None and not isinstance(value, Mapping):
            raise InputError("expected names, such as {'user_id': 'who'}.", parameter=name, value=value)
    if encoding is not None:
        try:
            codecs.lookup(encoding)
        except (LookupError, TypeError):
            raise InputError(
                "expected an encoding that Python knows, such as 'cp1252'.", parameter="encoding", value=encoding
            ) from None
    mapping, events = check_map(mapping), check_events(events)
    return ReadOptions(columns, item_columns, invalid, mapping, encoding, dates, layout, feedback, events)
