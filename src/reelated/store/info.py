"""`StoreInfo`: metadata of the store; the rating scale, the types of ids, and counters."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import sqlalchemy as sa

from reelated.errors import InputError, InputTypeError, UnknownId, check_number
from reelated.ratings import Scale
from reelated.ratings.dataset import check_scale
from reelated.ratings.matrix import as_decimals
from reelated.store.connection import Database
from reelated.store.records import MAX_ID_LENGTH, IdType, Kind, check_text, check_weight, is_storable
from reelated.store.schema import facts, items, ratings, users, visitor_ratings

# metadata of a store before the first import
DEFAULTS = {
    "name": "ratings",
    "scale": "1.0 5.0 1.0 observed",
    "user_id_type": "str",
    "item_id_type": "str",
    "noun": "item",
    "feedback": "",
    "verb": "",
    "events": "{}",
    "changes": "0",
    "forgotten": "0",
    "visitor_changes": "0",
    "visitors_forgotten": "0",
}


class StoreInfo(NamedTuple):
    """Metadata of a store: name, scale, types of ids, and counters."""

    name: str
    scale: Scale
    user_id_type: IdType
    item_id_type: IdType
    changes: int  # number of ratings added, changed or removed so far
    forgotten: int  # counter that grows with every erasure of users
    scale_observed: bool = False  # whether the scale is only observed, so that an import may widen it
    noun: str = "item"
    is_events: bool = False  # whether the store holds the weights of events, which are summed, instead of ratings
    verb: str = ""  # the verb for the users' actions, such as "bought"; may be empty
    events: Mapping[str, float] | None = None  # weights of types of events; None: those of `reelated.read`


class InfoQueries(Database):
    """Queries and changes of the metadata."""

    _info: StoreInfo | None = None

    def about(self) -> StoreInfo:
        """Return the metadata of this store."""
        with self._reading() as connection:
            info = read_info(connection)
        if self._info is not None:  # the scale may have changed
            self._info = info
        return info

    @property
    def info(self) -> StoreInfo:
        """The metadata, which is cached as soon as the store has any."""
        if self._info is None:
            with self._reading() as connection:
                if connection.scalar(sa.select(facts.c.value).where(facts.c.name == "scale")) is None:
                    return read_info(connection)
                self._info = read_info(connection)
        return self._info

    def _ensure_meta(self, connection: sa.Connection, **values: str) -> None:
        """Write the metadata of the store, unless it is written already."""
        rows = [{"name": name, "value": value} for name, value in (DEFAULTS | values).items()]
        connection.execute(self._insert(facts).on_conflict_do_nothing(), rows)

    def _set_meta(self, connection: sa.Connection, name: str, value: Any) -> None:
        connection.execute(sa.update(facts).where(facts.c.name == name).values(value=value))

    def _increment(self, connection: sa.Connection, name: str, amount: int) -> None:
        self._set_meta(connection, name, sa.cast(sa.cast(facts.c.value, sa.BigInteger) + amount, sa.Text))

    def count(self, changes: int, *, by_visitors: bool = False) -> None:
        """Add to the counter of changed ratings; changes by visitors count after `release_visitor_changes`."""
        with self._writing() as connection:
            self._ensure_meta(connection)
            self._increment(connection, "visitor_changes" if by_visitors else "changes", changes)

    def release_visitor_changes(self) -> None:
        """Add the changes and erasures of visitors to the counters, so that a refit is due."""
        with self._writing() as connection:
            for name, counter in (("visitor_changes", "changes"), ("visitors_forgotten", "forgotten")):
                query = sa.select(facts.c.value).where(facts.c.name == name).with_for_update()
                if amount := int(connection.scalar(query) or 0):
                    self._increment(connection, counter, amount)
                    self._set_meta(connection, name, "0")

    def has_visitor_changes(self) -> bool:
        """Return whether visitors changed or erased ratings since `release_visitor_changes`."""
        names = ("visitor_changes", "visitors_forgotten")
        query = sa.select(facts.c.value).where(facts.c.name.in_(names), facts.c.value != "0")
        with self._reading() as connection:
            return connection.scalar(query) is not None

    def size(self) -> dict[str, int]:
        """Return the numbers of users, items and ratings."""
        with self._reading() as connection:
            return {
                table.name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for table in (users, items, ratings)
            }

    def is_empty(self) -> bool:
        """Return whether the store has no items."""
        with self._reading() as connection:
            return connection.scalar(sa.select(items.c.item_key).limit(1)) is None

    def set_scale(self, low: float, high: float, step: float) -> Scale:
        """Set the rating scale; all ratings in the store must be on it."""
        if self.about().is_events:
            raise InputError("the store holds events, which have no scale.", parameter="scale", value=(low, high, step))
        scale = check_scale((low, high, step))
        if not is_storable(low) or not is_storable(high):
            raise InputError("expected ends within the range of float32.", parameter="scale", value=(low, high, step))
        with self._writing() as connection:
            stored = self._distinct_ratings(connection)
            if stored and not scale.low <= min(stored) <= max(stored) <= scale.high:
                expected = f"the ratings of the store go from {min(stored):g} to {max(stored):g}."
                remedy = "Expected a scale that contains them all."
                raise InputError(expected, parameter="scale", value=(low, high, step), remedy=remedy)
            self._ensure_meta(connection)
            self._set_meta(connection, "scale", scale_text(scale))
        return scale

    def _distinct_ratings(self, connection: sa.Connection) -> list[float]:
        """Return the distinct ratings of users and visitors."""
        query = sa.union(sa.select(ratings.c.rating), sa.select(visitor_ratings.c.rating))
        return as_decimals(np.array(connection.scalars(query).all(), np.float32)).tolist()

    def check_rating(self, name: str, rating: Any) -> float:
        """Return a rating that is on the scale of the store, or raise `InputError`."""
        if self.info.is_events:
            return check_weight(name, rating)
        if not is_on(self.info.scale, rating):
            self.about()  # another process may have set another scale
        scale = self.info.scale
        if is_on(scale, rating):
            if not is_storable(rating):
                raise InputError("expected 0 or a number further from zero.", parameter=name, value=rating)
            return float(rating)
        expected = f"a finite number from {scale}" if scale.low < scale.high else f"{scale.low:g}"
        remedy = "Set another scale with: reelated store scale LOW,HIGH,STEP"
        raise InputError(f"expected {expected}, the scale of this store.", parameter=name, value=rating, remedy=remedy)

    def parse(self, kind: Kind, text: str) -> Any:
        """Convert an id from a URL, whether or not it exists; raise `UnknownId` if it cannot be an id."""
        if self._id_type(kind) == "str":
            return text
        if len(text) < 20 and text.removeprefix("-").isdecimal() and -(2**63) <= int(text) < 2**63:
            return int(text)
        expected = f"the {kind} ids of this data are whole numbers."
        raise UnknownId(expected, parameter=f"{kind}_id", value=text, remedy="Check the id.")

    def as_id(self, kind: Kind, text: str) -> Any:
        """Convert a stored id to the caller's type."""
        return int(text) if self._id_type(kind) == "int" else text

    def _id_type(self, kind: Kind) -> IdType:
        info = self.info
        return info.user_id_type if kind == "user" else info.item_id_type

    def _id_text(self, kind: Kind, value: Any) -> str:
        """Return an id as stored, or raise if it is invalid."""
        name, id_type = f"{kind}_id", self._id_type(kind)
        if (got := type(value).__name__) != id_type:
            expected = "whole numbers" if id_type == "int" else "text"
            raise InputTypeError(f"the {kind} ids of this data are {expected}, not {got}.", parameter=name, value=value)
        if isinstance(value, int):
            if not -(2**63) <= value < 2**63:
                raise InputError("ids go up to 2⁶³ − 1.", parameter=name, value=value)
            return str(value)
        return check_text(name, value, MAX_ID_LENGTH)

    def _select_key(self, kind: Kind, value: Any) -> sa.Select[Any]:
        """Select the key of a user or an item by the caller's id."""
        table = users if kind == "user" else items
        return sa.select(table.c[f"{kind}_key"]).where(table.c[f"{kind}_id"] == self._id_text(kind, value))


def read_info(connection: sa.Connection) -> StoreInfo:
    values: Any = DEFAULTS | dict(connection.execute(sa.select(facts.c.name, facts.c.value)).all())
    low, high, step, *observed = values["scale"].split()
    scale = Scale(float(low), float(high), float(step))
    id_types = values["user_id_type"], values["item_id_type"]
    counters = int(values["changes"]), int(values["forgotten"])
    return StoreInfo(values["name"], scale, *id_types, *counters, bool(observed), values["noun"])._replace(
        is_events=values["feedback"] == "implicit", verb=values["verb"], events=json.loads(values["events"]) or None
    )


def scale_text(scale: Scale, *, observed: bool = False) -> str:
    """Format a scale for the table of metadata."""
    return " ".join(map(str, scale)) + " observed" * observed


def is_on(scale: Scale, rating: Any) -> bool:
    """Return whether a value is a number within a scale, and on a step if the steps divide the scale evenly."""
    low, high, step = scale
    try:
        value = check_number("rating", rating, low, high)
    except InputError:
        return False
    return not is_whole((high - low) / step) or is_whole((value - low) / step)


def is_whole(steps: float) -> bool:
    """Return whether a number of steps is an integer, up to the rounding of float32."""
    return min(steps % 1, -steps % 1) <= 1e-4
