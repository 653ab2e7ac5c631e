"""`Database`: connections, transactions, the tables' making, and what the data is."""

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
from reelated.store.tables import facts, movies, ratings, users, visitor_ratings

NEW = {
    "name": "ratings",
    "scale": "1.0 5.0 1.0 observed",
    "user_id_type": "str",
    "movie_id_type": "str",
    "changes": "0",
    "forgotten": "0",
}
"""What holds for a store that nothing was imported into."""


class About(NamedTuple):
    """What the data of a store is: its name, its scale, the types of its ids, and how much happened to it.

    Attributes
    ----------
    name : str
        What the data calls itself.
    scale : Scale
        The scale on which people rate.
    user_id_type, movie_id_type : {"int", "str"}
        Of what type ids are.
    changes : int
        Ratings that came, changed or went, ever.
    forgotten : int
        Users who were forgotten, ever.
    scale_observed : bool
        Whether the scale is only what was observed, so that an import may widen it.
    """

    name: str
    scale: Scale
    user_id_type: IdType
    movie_id_type: IdType
    changes: int
    forgotten: int
    scale_observed: bool = False


class Database:
    """A way to read and to write."""

    def __init__(self, url: str | None = None) -> None:
        self.url = check_url(default_url() if url is None else url)
        self.engine = connect(self.url)
        self.dialect = self.url.get_backend_name()
        is_file = self.dialect == "sqlite"
        self._single = self.engine.execution_options(begin=None) if is_file else self.engine
        wanted = {"begin": "BEGIN IMMEDIATE"} if is_file else {"isolation_level": "READ COMMITTED"}
        self._several = self.engine.execution_options(**wanted)
        self._turn = threading.Lock() if is_file else nullcontext()
        self._about: About | None = None

    def __repr__(self) -> str:
        return f"Store({self.url.render_as_string(hide_password=True)!r})"

    def upgrade(self) -> Self:
        """Make the tables, or bring those of an earlier version up to date; return this store."""
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._writing() as connection:
            if self.dialect == "postgresql":  # whoever else starts now waits
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7335528)")
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
        return self

    def close(self) -> None:
        """Let go of all connections."""
        self.engine.dispose()

    # --------------------------------------------------------------------------------------- connections
    @contextmanager
    def _reading(self, *, at_once: bool = False) -> Iterator[sa.Connection]:
        """Give a connection to read with; with `at_once` all that is read is of one moment."""
        if not at_once:
            with answering(), self._single.connect() as connection:
                yield connection
            return
        how = {"begin": "BEGIN"} if self.dialect == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        with answering(), self.engine.execution_options(**how).connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """Give a connection within a transaction, which lasts when the block is left and is undone when it fails."""
        with answering(), self._turn, self._several.begin() as connection:
            yield connection

    def _overwrite_journal(self) -> None:
        """Leave nothing of what was removed in the journal, which still holds the old pages."""
        if self.dialect == "sqlite":
            with self._reading() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def _insert(self, table: sa.Table) -> Any:
        """Return an INSERT that knows ON CONFLICT."""
        return (sqlite.insert if self.dialect == "sqlite" else postgresql.insert)(table)

    def _replacing(self, statement: Any, columns: Collection[str], where: Any = None) -> Any:
        """Let an INSERT change these columns of a row that is there already."""
        new = {name: statement.excluded[name] for name in columns}
        keys = list(statement.table.primary_key.columns)
        return statement.on_conflict_do_update(index_elements=keys, set_=new, where=where)

    # -------------------------------------------------------------------------------------------- about
    def about(self) -> About:
        """Return what the data of this store is."""
        with self._reading() as connection:
            about = read_about(connection)
        if self._about is not None:  # its scale may be another by now
            self._about = about
        return about

    def _settled(self) -> About:
        """Return what does not change once there is data, without asking again."""
        if self._about is None:
            with self._reading() as connection:
                if connection.scalar(sa.select(facts.c.value).where(facts.c.name == "scale")) is None:
                    return read_about(connection)
                self._about = read_about(connection)
        return self._about

    @property
    def scale(self) -> Scale:
        """The scale on which people rate."""
        return self._settled().scale

    def set_scale(self, low: float, high: float, step: float) -> Scale:
        """Set the scale on which people rate.

        Parameters
        ----------
        low, high, step : float
            Lowest and highest possible rating, and the step between.

        Returns
        -------
        Scale

        Raises
        ------
        InputError
            It is no scale, or a rating of the store lies beyond it.
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
        """Return the different ratings of users and visitors."""
        query = sa.union(sa.select(ratings.c.rating), sa.select(visitor_ratings.c.rating))
        return as_decimals(np.array(connection.scalars(query).all(), np.float32)).tolist()

    def check_rating(self, name: str, rating: Any) -> float:
        """Return a rating that is on the scale of the store, or raise `InputError`.

        Parameters
        ----------
        name : str
            What it is called in a message.
        rating : float
            Any value.

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
        """Return the id that a text from an address stands for, known or not.

        Parameters
        ----------
        kind : {"user", "movie"}
            What it names.
        text : str
            An id as people write it.

        Returns
        -------
        int or str

        Raises
        ------
        UnknownId
            It can be no id of this data.
        """
        return parse_id(kind, text, self._type(kind))

    def _type(self, kind: Kind) -> IdType:
        about = self._settled()
        return about.user_id_type if kind == "user" else about.movie_id_type

    def _text(self, kind: Kind, value: Any) -> str:
        return id_text(kind, value, self._type(kind))

    def as_id(self, kind: Kind, text: str) -> Any:
        """Return an id as the caller knows it, from the text that is kept.

        Parameters
        ----------
        kind : {"user", "movie"}
            What it names.
        text : str
            The id as the store keeps it.

        Returns
        -------
        int or str
        """
        return int(text) if self._type(kind) == "int" else text

    def count(self, changes: int) -> None:
        """Count up how many ratings came, changed or went: by this the time for a refit is known.

        Parameters
        ----------
        changes : int
            How many since the last call.
        """
        with self._writing() as connection:
            self._settle(connection)
            self._add_to(connection, "changes", changes)

    def _settle(self, connection: sa.Connection, **known: str) -> None:
        """Write down what holds for the whole store, unless it is written down already."""
        rows = [{"name": name, "value": value} for name, value in (NEW | known).items()]
        connection.execute(self._insert(facts).on_conflict_do_nothing(), rows)

    def _add_to(self, connection: sa.Connection, name: str, more: int) -> None:
        """Count one of the counters up."""
        value = sa.cast(sa.cast(facts.c.value, sa.BigInteger) + more, sa.Text)
        connection.execute(sa.update(facts).where(facts.c.name == name).values(value=value))

    def size(self) -> dict[str, int]:
        """Return the numbers of users, movies and ratings."""
        with self._reading() as connection:
            tables = {"users": users, "movies": movies, "ratings": ratings}
            return {
                name: connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0
                for name, table in tables.items()
            }

    def is_empty(self) -> bool:
        """Say whether there is not a single movie."""
        with self._reading() as connection:
            return connection.scalar(sa.select(movies.c.movie_key).limit(1)) is None


class Ready:
    """A single statement in words, for the driver alone: to put it into words takes longer than to run it.

    With `keep` it stays with one connection instead of asking the pool for one, and may be called by one at a time.
    """

    def __init__(self, statement: Any, engine: sa.Engine, *, keep: bool = False) -> None:
        made = statement.compile(dialect=engine.dialect)
        self.text = str(made)
        self.order = made.positiontup
        self.engine = engine
        self.error: Any = engine.dialect.loaded_dbapi.Error
        self.keep = keep
        self._kept: Any = None

    def __call__(self, **given: Any) -> Any:
        """Run it with these values; return its rows, or how many it changed. What it changed is durable then."""
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
        except self.error as error:  # the pool hands on what the driver says
            raise unavailable(error) from error

    def close(self) -> None:
        """Let go of the connection."""
        if self._kept is not None:
            self._kept.close()
            self._kept = None


def read_about(connection: sa.Connection) -> About:
    """Return what is written down of the whole store."""
    told: Any = NEW | dict(connection.execute(sa.select(facts.c.name, facts.c.value)).all())
    low, high, step, *how = told["scale"].split()
    scale = Scale(float(low), float(high), float(step))
    counters = int(told["changes"]), int(told["forgotten"])
    return About(told["name"], scale, told["user_id_type"], told["movie_id_type"], *counters, bool(how))


def scale_text(scale: Scale, *, observed: bool) -> str:
    """Return a scale as the table of facts holds it."""
    return " ".join(map(str, scale)) + " observed" * observed


def is_on(scale: Scale, rating: Any) -> bool:
    """Say whether a value is a number within a scale, and on one of its steps if these lead from end to end."""
    low, high, step = scale
    try:
        value = check_number("rating", rating, low, high)
    except InputError:
        return False
    return not is_whole((high - low) / step) or is_whole((value - low) / step)


def is_whole(steps: float) -> bool:
    """Say whether a number of steps is whole, but for what float32 rounds off."""
    return min(steps % 1, -steps % 1) <= 1e-4


def in_parts(connection: sa.Connection, query: sa.Select[Any], column: Any, values: Sequence[Any]) -> Iterator[Any]:
    """Yield the rows of a query whose column has one of many values."""
    for start in range(0, len(values), 5000):  # a statement has room for so many
        yield from connection.execute(query.where(column.in_(values[start : start + 5000])))
