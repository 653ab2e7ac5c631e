"""`Database`: connections, transactions, schema upgrades and the metadata of the store."""

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from reelated.errors import InputError, check_number, shorten
from reelated.ratings import Scale
from reelated.ratings.dataset import check_scale
from reelated.ratings.matrix import as_decimals
from reelated.store.engine import answering, check_url, connect, default_url, unavailable
from reelated.store.ids import IdType, Kind, id_text, parse_id
from reelated.store.tables import facts, items, ratings, users, visitor_ratings

# metadata of a store before the first import
NEW = {
    "name": "ratings",
    "scale": "1.0 5.0 1.0 observed",
    "user_id_type": "str",
    "item_id_type": "str",
    "noun": "item",
    "changes": "0",
    "forgotten": "0",
}


class About(NamedTuple):
    """Metadata of a store: name, scale, types of ids, and counters.

    Attributes
    ----------
    name : str
        Name of the data.
    scale : Scale
        The rating scale.
    user_id_type, item_id_type : {"int", "str"}
        Types of the ids.
    changes : int
        Number of ratings added, changed or removed so far.
    forgotten : int
        Counter that grows with every erasure of users.
    scale_observed : bool
        Whether the scale is only observed, so that an import may widen it.
    noun : str
        What an item is called in headings.
    """

    name: str
    scale: Scale
    user_id_type: IdType
    item_id_type: IdType
    changes: int
    forgotten: int
    scale_observed: bool = False
    noun: str = "item"


class Database:
    """Access to the database of a store."""

    def __init__(self, url: str | None = None) -> None:
        self.url = check_url(default_url() if url is None else url)
        self.engine = connect(self.url)
        self.dialect = self.url.get_backend_name()
        is_file = self.dialect == "sqlite"
        self._single = self.engine.execution_options(begin=None) if is_file else self.engine
        # IMMEDIATE takes the write lock at once: an upgrade from a read lock could fail midway
        wanted = {"begin": "BEGIN IMMEDIATE"} if is_file else {"isolation_level": "READ COMMITTED"}
        self._several = self.engine.execution_options(**wanted)
        # SQLite allows one writer at a time: the threads of a process queue here
        self._turn = threading.Lock() if is_file else nullcontext()
        self._about: About | None = None

    def __repr__(self) -> str:
        return f"Store({self.url.render_as_string(hide_password=True)!r})"

    def upgrade(self) -> Self:
        """Create the tables, or migrate them to the current schema; return this store."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._writing() as connection:
            if self.dialect == "postgresql":  # another process that starts now waits
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7335528)")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return self

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    # --------------------------------------------------------------------------------------- connections
    @contextmanager
    def _reading(self, *, at_once: bool = False) -> Iterator[sa.Connection]:
        """Yield a connection for reading; with `at_once` all reads see one snapshot."""
        if not at_once:
            with answering(), self._single.connect() as connection:
                yield connection
            return
        how = {"begin": "BEGIN"} if self.dialect == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        with answering(), self.engine.execution_options(**how).connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction: commit at the end of the block, roll back on an error."""
        with answering(), self._turn, self._several.begin() as connection:
            yield connection

    def _overwrite_journal(self) -> None:
        """Truncate the write-ahead log of SQLite, which still holds removed rows."""
        if self.dialect == "sqlite":
            with self._reading() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def _insert(self, table: sa.Table) -> Any:
        """Return an INSERT that supports ON CONFLICT."""
        return (sqlite.insert if self.dialect == "sqlite" else postgresql.insert)(table)

    def _replacing(self, statement: Any, columns: Collection[str], where: Any = None) -> Any:
        """Turn an INSERT into an upsert of these columns."""
        new = {name: statement.excluded[name] for name in columns}
        keys = list(statement.table.primary_key.columns)
        return statement.on_conflict_do_update(index_elements=keys, set_=new, where=where)

    # -------------------------------------------------------------------------------------------- about
    def about(self) -> About:
        """Return the metadata of this store."""
        with self._reading() as connection:
            about = read_about(connection)
        if self._about is not None:  # the scale may have changed
            self._about = about
        return about

    def _settled(self) -> About:
        """Return the metadata, which is cached as soon as the store has any."""
        if self._about is None:
            with self._reading() as connection:
                if connection.scalar(sa.select(facts.c.value).where(facts.c.name == "scale")) is None:
                    return read_about(connection)
                self._about = read_about(connection)
        return self._about

    @property
    def scale(self) -> Scale:
        """The rating scale."""
        return self._settled().scale

    @property
    def noun(self) -> str:
        """What an item is called in headings."""
        return self._settled().noun

    def set_scale(self, low: float, high: float, step: float) -> Scale:
        """Set the rating scale.

        Parameters
        ----------
        low, high, step : float
            Lowest and highest possible rating, and the step between ratings.

        Returns
        -------
        Scale

        Raises
        ------
        InputError
            The scale is invalid, or a rating in the store is outside it.
        """
        scale = check_scale((low, high, step))
        with self._writing() as connection:
            seen = self._seen(connection)
            if seen and not scale.low <= min(seen) <= max(seen) <= scale.high:
                raise InputError(
                    f"scale={low:g},{high:g},{step:g}: the ratings of the store go from {min(seen):g} to "
                    f"{max(seen):g}. Expected a scale that holds them all."
                )
            self._settle(connection)
            self._write_scale(connection, scale)
        return scale

    def _write_scale(self, connection: sa.Connection, scale: Scale, *, observed: bool = False) -> None:
        value = scale_text(scale, observed=observed)
        connection.execute(sa.update(facts).where(facts.c.name == "scale").values(value=value))

    def _seen(self, connection: sa.Connection) -> list[float]:
        """Return the distinct ratings of users and visitors."""
        query = sa.union(sa.select(ratings.c.rating), sa.select(visitor_ratings.c.rating))
        return as_decimals(np.array(connection.scalars(query).all(), np.float32)).tolist()

    def check_rating(self, name: str, rating: Any) -> float:
        """Return a rating that is on the scale of the store, or raise `InputError`.

        Parameters
        ----------
        name : str
            Name of the value in the error message.
        rating : float
            Value to check.

        Returns
        -------
        float
        """
        if not is_on(self.scale, rating):
            self.about()  # another process may have set another scale
        scale = self.scale
        if is_on(scale, rating):
            return float(rating)
        wanted = f"a finite number from {scale}" if scale.low < scale.high else f"{scale.low:g}"
        raise InputError(
            f"{name}={shorten(rating)}: expected {wanted}, the scale of this store. "
            "Set another scale with: reelated store scale LOW,HIGH,STEP"
        )

    def parse(self, kind: Kind, text: str) -> Any:
        """Convert an id from a URL; the id need not exist.

        Parameters
        ----------
        kind : {"user", "item"}
            What the id names.
        text : str
            The id as text.

        Returns
        -------
        int or str

        Raises
        ------
        UnknownId
            The text cannot be an id of this data.
        """
        return parse_id(kind, text, self._type(kind))

    def _type(self, kind: Kind) -> IdType:
        about = self._settled()
        return about.user_id_type if kind == "user" else about.item_id_type

    def _text(self, kind: Kind, value: Any) -> str:
        return id_text(kind, value, self._type(kind))

    def as_id(self, kind: Kind, text: str) -> Any:
        """Convert a stored id to the caller's type.

        Parameters
        ----------
        kind : {"user", "item"}
            What the id names.
        text : str
            The id as stored.

        Returns
        -------
        int or str
        """
        return int(text) if self._type(kind) == "int" else text

    def count(self, changes: int) -> None:
        """Add to the counter of changed ratings, which decides when a refit is due.

        Parameters
        ----------
        changes : int
            Number of changes since the last call.
        """
        with self._writing() as connection:
            self._settle(connection)
            self._add_to(connection, "changes", changes)

    def _settle(self, connection: sa.Connection, **known: str) -> None:
        """Write the metadata of the store, unless it is written already."""
        rows = [{"name": name, "value": value} for name, value in (NEW | known).items()]
        connection.execute(self._insert(facts).on_conflict_do_nothing(), rows)

    def _add_to(self, connection: sa.Connection, name: str, more: int) -> None:
        """Increment a counter."""
        value = sa.cast(sa.cast(facts.c.value, sa.BigInteger) + more, sa.Text)
        connection.execute(sa.update(facts).where(facts.c.name == name).values(value=value))

    def size(self) -> dict[str, int]:
        """Return the numbers of users, items and ratings."""
        with self._reading() as connection:
            tables = {"users": users, "items": items, "ratings": ratings}
            return {
                name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for name, table in tables.items()
            }

    def is_empty(self) -> bool:
        """Return whether the store has no items."""
        with self._reading() as connection:
            return connection.scalar(sa.select(items.c.item_key).limit(1)) is None


class Ready:
    """A pre-compiled SQL statement sent straight to the driver; compiling it costs more than running it.

    With `keep` it holds one connection instead of asking the pool, and only one thread at a time may call it.
    """

    def __init__(self, statement: Any, engine: sa.Engine, *, keep: bool = False) -> None:
        made = statement.compile(dialect=engine.dialect)
        self.text = str(made)
        self.order = made.positiontup
        self.engine = engine
        self.error: Any = engine.dialect.loaded_dbapi.Error
        self.keep = keep  # the pool takes a quarter of the processor time of a rating
        self._kept: Any = None

    def __call__(self, **given: Any) -> Any:
        """Run with these values; return the rows, or the number of changed rows, which are then durable."""
        values = given if self.order is None else [given[name] for name in self.order]
        connection, self._kept = self._kept or self._connection(), None
        try:
            cursor = connection.cursor()
            cursor.execute(self.text, values)
            found = cursor.fetchall() if cursor.description else cursor.rowcount
            cursor.close()
        except self.error as error:
            connection.invalidate()
            raise unavailable(error) from error
        if self.keep:
            self._kept = connection
        else:
            connection.close()
        return found

    def _connection(self) -> Any:
        try:
            with answering():
                return self.engine.raw_connection()
        except self.error as error:  # the pool passes on the driver's errors
            raise unavailable(error) from error

    def close(self) -> None:
        """Close the held connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def read_about(connection: sa.Connection) -> About:
    """Read the metadata of the store."""
    told: Any = NEW | dict(connection.execute(sa.select(facts.c.name, facts.c.value)).all())
    low, high, step, *how = told["scale"].split()
    scale = Scale(float(low), float(high), float(step))
    counters = int(told["changes"]), int(told["forgotten"])
    return About(told["name"], scale, told["user_id_type"], told["item_id_type"], *counters, bool(how), told["noun"])


def scale_text(scale: Scale, *, observed: bool) -> str:
    """Format a scale for the table of facts."""
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


def in_parts(connection: sa.Connection, query: sa.Select[Any], column: Any, values: Sequence[Any]) -> Iterator[Any]:
    """Yield the rows of a query whose column has one of many values, in several statements."""
    for start in range(0, len(values), 5000):  # databases limit the parameters of a statement
        yield from connection.execute(query.where(column.in_(values[start : start + 5000])))
