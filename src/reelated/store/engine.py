"""Database engines: SQLite with durable commits, or PostgreSQL; driver errors become one clear message."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import platformdirs
import sqlalchemy as sa

from reelated.errors import InputError, not_installed, shorten

SCHEMES = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}


class StoreUnavailable(ConnectionError):
    """The database is temporarily unavailable; the call may be repeated."""


def default_url() -> str:
    """Return the default database URL: a SQLite file in the user's data folder."""
    return f"sqlite:///{platformdirs.user_data_path('reelated', appauthor=False) / 'store.db'}"


def check_url(url: Any) -> sa.URL:
    """Return a database URL as SQLAlchemy expects it, or raise; the message never shows the password."""
    wanted = "expected sqlite:///path/to/store.db or postgresql://user:password@host/database"
    try:
        made = sa.make_url(url)
        driver = SCHEMES[made.drivername.split("+")[0]]
    except (sa.exc.ArgumentError, KeyError, AttributeError, ValueError):
        shown = shorten(str(url).rpartition("@")[2])
        raise InputError(f"store={shown}: {wanted}.") from None
    if driver == "sqlite" and made.database in (None, "", ":memory:"):
        raise InputError(f"store={shorten(str(url))}: {wanted}. The store is a file, to last.")
    return made.set(drivername=driver)


def connect(url: sa.URL) -> sa.Engine:
    """Return an engine; only the folder of a SQLite file is created, and no connection is opened."""
    if url.get_backend_name() == "sqlite":
        file = Path(url.database or "").expanduser()
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise InputError(f"store={file}: its folder cannot be made ({error.strerror}). Name another.") from None
        engine = sa.create_engine(url.set(database=str(file)), connect_args={"timeout": 30}, pool_size=40)
        sa.event.listen(engine, "do_connect", partial(_create_sqlite, file))
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        # AUTOCOMMIT: a single statement takes one round trip
        how: dict[str, Any] = {"pool_size": 20, "max_overflow": 20, "pool_timeout": 5, "isolation_level": "AUTOCOMMIT"}
        return sa.create_engine(url, connect_args={"connect_timeout": 5}, **how)
    except ModuleNotFoundError:
        raise not_installed("The driver for PostgreSQL", "postgres") from None


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


def _begin_sqlite(connection: sa.Connection) -> None:
    how = connection.get_execution_options().get("begin")
    if how:
        connection.exec_driver_sql(how)


@contextmanager
def answering() -> Iterator[None]:
    """Turn the errors of a database that is gone, full or busy into `StoreUnavailable`."""
    try:
        yield
    except (sa.exc.IntegrityError, sa.exc.ProgrammingError, sa.exc.DataError):
        raise
    except sa.exc.TimeoutError:
        raise StoreUnavailable("The store has no connection free. Try again in a moment.") from None
    except sa.exc.DBAPIError as error:
        raise unavailable(error.orig) from error


def unavailable(error: BaseException | None) -> StoreUnavailable:
    """Return the `StoreUnavailable` for an error of the driver."""
    return StoreUnavailable(f"The store does not answer ({' '.join(str(error).split())[:200]}). Try again in a moment.")
