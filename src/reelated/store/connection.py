"""Connections: SQLite with durable commits, or PostgreSQL; driver errors become one clear message."""

import os
import shutil
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Self

import platformdirs
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from reelated.errors import InputError, not_installed

DRIVERS = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
MAX_PARAMETERS = 5000  # databases limit the parameters of a statement
LOCK_TIMEOUT = 30.0  # seconds; the service has a lower limit
MIN_FREE = 16_000_000  # bytes
STATEMENTS = 30  # a statement may take this many times the lock timeout


class StoreUnavailable(ConnectionError):
    """The database is temporarily unavailable; the call may be repeated."""


class Database:
    """Connections and transactions."""

    def __init__(self, url: str | None = None, *, lock_timeout: float = LOCK_TIMEOUT) -> None:
        self.url = check_url(default_url() if url is None else url)
        self.engine = create_engine(self.url, lock_timeout)
        self.dialect = self.url.get_backend_name()
        is_file = self.dialect == "sqlite"
        self._autocommit = self.engine.execution_options(begin=None) if is_file else self.engine
        # IMMEDIATE takes the write lock at once: an upgrade from a read lock could fail midway
        options = {"begin": "BEGIN IMMEDIATE"} if is_file else {"isolation_level": "READ COMMITTED"}
        self._transaction = self.engine.execution_options(**options)
        self._write_lock = WriteLock(lock_timeout if is_file else None)
        self._file = DatabaseFile(self.engine.url.database if is_file else None)
        if is_file:
            sa.event.listen(self.engine, "connect", self._file.remember)
        self.journal_is_clean = True  # False while a removed row may still be in SQLite's write-ahead log

    def __repr__(self) -> str:
        return f"Store({self.url.render_as_string(hide_password=True)!r})"

    def upgrade(self) -> Self:
        """Create the tables, or migrate them to the current schema; return this store."""
        from alembic import command
        from alembic.config import Config
        from alembic.util import CommandError

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._writing() as connection:
            if self.dialect == "postgresql":  # another process that starts now waits
                connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7335528)")
            check_is_ours(connection, self)
            config.attributes["connection"] = connection
            try:
                command.upgrade(config, "head")
            except CommandError:
                expected = "its tables are of a later version of Reelated, or of another program."
                raise InputError(expected, parameter="store", value=repr(self), remedy="Upgrade Reelated.") from None
        return self

    def check_room(self) -> None:
        """Raise if the disk of a SQLite file is full, on which every write fails."""
        folder = Path(self.engine.url.database or "").parent
        if self.dialect == "sqlite" and shutil.disk_usage(folder).free < MIN_FREE:
            raise StoreUnavailable(f"The disk of the store is full: less than {MIN_FREE // 10**6} MB are free.")

    def close(self) -> None:
        self.engine.dispose()

    @contextmanager
    def _reading(self, *, snapshot: bool = False) -> Iterator[sa.Connection]:
        """Yield a connection for reading; with `snapshot` all reads see the same state."""
        self._file.check()
        if not snapshot:
            with translate_errors(), self._autocommit.connect() as connection:
                yield connection
            return
        options = {"begin": "BEGIN"} if self.dialect == "sqlite" else {"isolation_level": "REPEATABLE READ"}
        engine = self.engine.execution_options(**options)
        with translate_errors(), engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        """Yield a connection in a transaction: commit at the end of the block, roll back on an error."""
        with translate_errors(), self._write_lock, self._transaction.begin() as connection:
            yield connection
        self._file.check()

    def overwrite_journal(self) -> bool:
        """Remove erased rows from SQLite's write-ahead log; return False if another connection still reads it."""
        if self.dialect == "sqlite":
            with self._reading() as connection:
                connection.exec_driver_sql("PRAGMA busy_timeout=0")
                try:
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
                    busy = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()[0]
                finally:
                    connection.invalidate()  # the next connection has its own busy timeout again
            self.journal_is_clean = not busy
        return self.journal_is_clean

    def _insert(self, table: sa.Table) -> Any:
        """Return an INSERT that supports ON CONFLICT."""
        return (sqlite.insert if self.dialect == "sqlite" else postgresql.insert)(table)

    def _upsert(self, insert: Any, columns: Collection[str], where: Any = None) -> Any:
        """Turn an INSERT into an upsert of these columns."""
        values = {name: insert.excluded[name] for name in columns}
        keys = list(insert.table.primary_key.columns)
        return insert.on_conflict_do_update(index_elements=keys, set_=values, where=where)

    def _event_upsert(self, insert: Any) -> Any:
        """Turn an INSERT of weights into an upsert that adds them; a weight below 0 replaces a positive one."""
        new, stored = insert.excluded, insert.table.c
        zero: Any = sa.literal_column("0")  # a literal, so that the driver receives the rows only
        added = sa.case(
            ((new.rating < zero) & (stored.rating > zero), new.rating),
            ((new.rating > zero) & (stored.rating < zero), stored.rating),
            else_=new.rating + stored.rating,
        )
        no_time = sa.literal_column("-1", sa.BigInteger)
        is_later = sa.func.coalesce(new.rated_at, no_time) >= sa.func.coalesce(stored.rated_at, no_time)
        values = {"rating": added, "rated_at": sa.case((is_later, new.rated_at), else_=stored.rated_at)}
        values["position"] = sa.case((is_later, new.position), else_=stored.position)
        return insert.on_conflict_do_update(index_elements=list(insert.table.primary_key.columns), set_=values)


class WriteLock:
    """Lock for the writers of a process, because SQLite allows one writer at a time; None: no lock."""

    def __init__(self, timeout: float | None) -> None:
        self.timeout = timeout
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        if self.timeout is not None and not self._lock.acquire(timeout=self.timeout):
            raise StoreUnavailable("The store is busy: another process is writing. Try again in a moment.")

    def __exit__(self, *_: object) -> None:
        if self.timeout is not None:
            self._lock.release()


class DatabaseFile:
    """The SQLite file of the open connections; if another file takes its path, writes are lost."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._opened: tuple[int, int] | None = None

    def remember(self, *_: Any) -> None:
        """Record which file the first connection opened."""
        if self._opened is None:
            self._opened = self._identity()

    def check(self) -> None:
        """Raise if the file was removed or replaced since."""
        if self._opened is not None and self._identity() != self._opened:
            raise StoreUnavailable(f"The file {self.path} was removed or replaced. Restart the service.")

    def _identity(self) -> tuple[int, int] | None:
        try:
            stat = os.stat(self.path or "")
        except OSError:
            return None
        return stat.st_dev, stat.st_ino


class PreparedStatement:
    """A pre-compiled SQL statement sent straight to the driver; compiling it costs more than running it."""

    def __init__(
        self, statement: Any, engine: sa.Engine, check: Callable[[], None], *, keep_connection: bool = False
    ) -> None:
        compiled = statement.compile(dialect=engine.dialect)
        self.text = str(compiled)
        self.names = compiled.positiontup
        self.engine = engine
        self.check = check
        self.error: Any = engine.dialect.loaded_dbapi.Error
        self.keep_connection = keep_connection  # the pool takes a quarter of the processor time of a rating
        self._connection: Any = None

    def __call__(self, **parameters: Any) -> Any:
        """Run with these parameters; return the rows, or the number of changed rows, which are then durable."""
        values = parameters if self.names is None else [parameters[name] for name in self.names]
        connection, self._connection = self._connection or self._connect(), None
        try:
            cursor = connection.cursor()
            cursor.execute(self.text, values)
            result = cursor.fetchall() if cursor.description else cursor.rowcount
            cursor.close()
        except self.error as error:
            connection.invalidate()
            raise unavailable(error) from error
        if self.keep_connection:
            self._connection = connection
        else:
            connection.close()
        self.check()
        return result

    def _connect(self) -> Any:
        try:
            with translate_errors():
                return self.engine.raw_connection()
        except self.error as error:  # the connection pool raises the driver's errors unchanged
            raise unavailable(error) from error

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def check_is_ours(connection: sa.Connection, store: Database) -> None:
    """Raise if tables of the same names exist that Reelated did not create."""
    tables = set(sa.inspect(connection).get_table_names())
    if "alembic_version" not in tables and tables & {"users", "ratings", "items", "movies", "facts"}:
        expected = "this database holds tables of another program."
        raise InputError(expected, parameter="store", value=repr(store), remedy="Use a database of its own.")


def default_url() -> str:
    """Return the default database URL: a SQLite file in the user's data folder."""
    return f"sqlite:///{platformdirs.user_data_path('reelated', appauthor=False) / 'store.db'}"


def check_url(url: Any) -> sa.URL:
    """Return a database URL in the form that SQLAlchemy expects, or raise; the message never shows the password."""
    expected = "expected sqlite:///path/to/store.db or postgresql://user:password@host/database"
    try:
        parsed = sa.make_url(url)
        driver = DRIVERS[parsed.drivername.split("+")[0]]
    except (sa.exc.ArgumentError, KeyError, AttributeError, ValueError):
        without_password = str(url).rpartition("@")[2]
        raise InputError(f"{expected}.", parameter="store", value=without_password) from None
    if driver == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise InputError(f"{expected}.", parameter="store", value=str(url), remedy="A store in memory would be lost.")
    return parsed.set(drivername=driver)


def create_engine(url: sa.URL, lock_timeout: float = LOCK_TIMEOUT) -> sa.Engine:
    """Return an engine; only the folder of a SQLite file is created, and no connection is opened."""
    hidden = {"hide_parameters": True}  # an error in the log must not show ratings of users
    if url.get_backend_name() == "sqlite":
        file = Path(url.database or "").expanduser()
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            expected = f"its folder cannot be made ({error.strerror})."
            raise InputError(expected, parameter="store", value=str(file), remedy="Name another.") from None
        engine = sa.create_engine(
            url.set(database=str(file)), connect_args={"timeout": lock_timeout}, pool_size=40, **hidden
        )
        sa.event.listen(engine, "do_connect", partial(_create_sqlite, file))
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    # AUTOCOMMIT: a single statement takes one round trip
    options: dict[str, Any] = {"pool_size": 20, "max_overflow": 20, "isolation_level": "AUTOCOMMIT"}
    options |= {"pool_timeout": min(5.0, lock_timeout)} | hidden
    seconds = {"connect_timeout": 5, "tcp_user_timeout": 10_000}
    try:
        engine = sa.create_engine(url, connect_args=seconds, **options)
    except ModuleNotFoundError:
        raise not_installed("The driver for PostgreSQL", "postgres") from None
    sa.event.listen(engine, "connect", partial(_prepare_postgresql, lock_timeout))
    return engine


def _create_sqlite(file: Path, *_: Any) -> None:
    """Create the file readable by its owner only; SQLite gives its journals the same mode."""
    if not file.exists():
        with suppress(OSError):  # SQLite reports the error
            file.touch(mode=0o600)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions; `_begin_sqlite` does
    # FULL: a commit survives a power failure; secure_delete: erased data is overwritten
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _prepare_postgresql(lock_timeout: float, connection: Any, _record: Any) -> None:
    """Limit the wait for a lock and the time of a statement."""
    # SET works behind a connection pooler, where startup options do not
    connection.execute(f"SET lock_timeout = {int(1000 * lock_timeout)}")
    if lock_timeout < LOCK_TIMEOUT:
        connection.execute(f"SET statement_timeout = {int(STATEMENTS * 1000 * lock_timeout)}")
    connection.commit()


def _begin_sqlite(connection: sa.Connection) -> None:
    if statement := connection.get_execution_options().get("begin"):
        connection.exec_driver_sql(statement)


@contextmanager
def translate_errors() -> Iterator[None]:
    """Turn the errors of a database that is gone, full or busy into `StoreUnavailable`."""
    try:
        yield
    except (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.DataError):
        raise
    except sa.exc.TimeoutError:
        raise StoreUnavailable("The store has no connection free. Try again in a moment.") from None
    except sa.exc.DBAPIError as error:
        if getattr(error.orig, "sqlite_errorname", "") == "SQLITE_NOTADB":
            raise InputError("The file of the store is not a SQLite database, or it is damaged.") from None
        raise unavailable(error.orig) from error


def unavailable(error: BaseException | None) -> StoreUnavailable:
    """Return the `StoreUnavailable` for an error of the driver."""
    return StoreUnavailable(f"The store does not answer ({' '.join(str(error).split())[:200]}). Try again in a moment.")


def batches(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Yield the values in parts that are small enough for one statement."""
    return (values[start : start + MAX_PARAMETERS] for start in range(0, len(values), MAX_PARAMETERS))


def select_in(connection: sa.Connection, query: sa.Select[Any], column: Any, values: Sequence[Any]) -> Iterator[Any]:
    """Yield the rows of a query whose column has one of many values, in several statements."""
    for part in batches(values):
        yield from connection.execute(query.where(column.in_(part)))
