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


def check_options(options: ReadOptions) -> ReadOptions:
    """Return the options of a caller, or raise `InputError` for one that is invalid."""
    check_choice("invalid", options.invalid, ("error", "drop"))
    check_choice("dates", options.dates, (None, "day-first", "month-first"))
    check_choice("layout", options.layout, (None, "long", "wide"))
    check_choice("feedback", options.feedback, (None, "explicit", "implicit"))
    if options.feedback == "explicit" and (events := options.events) is not None:
        raise InputError("events have no ratings.", parameter="events", value=events, remedy="Leave out one of both.")
    for name in ("columns", "item_columns"):
        value: Any = getattr(options, name)
        if value is not None and not isinstance(value, Mapping):
            raise InputError("expected names, such as {'user_id': 'who'}.", parameter=name, value=value)
    if (encoding := options.encoding) is not None:
        try:
            codecs.lookup(encoding)
        except (LookupError, TypeError):
            expected = "expected an encoding that Python knows, such as 'cp1252'."
            raise InputError(expected, parameter="encoding", value=encoding) from None
    return options._replace(mapping=check_map(options.mapping), events=check_events(options.events))
