"""Open, pool, transaction; the only file that knows SQLite from PostgreSQL.

What ``write`` was left without an error is on the disk: SQLite runs with a write-ahead log and full
synchronisation, PostgreSQL with its defaults. Drivers' errors leave as errors of ours.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NoSuchModuleError,
    OperationalError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from callreel.db import migrate
from callreel.errors import BadRequest, ConfigurationError, Conflict, Unavailable

BUSY_TIMEOUT_S = 5
"""How long a writer waits for another before it is told to come back."""

# Any number that nobody else takes; it orders the rows of the feed of changes.
CHANGES_LOCK = 0x63616C6C


class Database:
    """One database; safe from many threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.dialect = engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that only reads, all of it from one moment.

        Raises:
            Unavailable: The database is away, locked or broken.
        """
        with _translated():
            with self._engine.connect() as conn:
                if self.dialect == "sqlite":
                    conn.exec_driver_sql("BEGIN")
                else:
                    conn.exec_driver_sql(
                        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
                    )
                yield conn

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, durable when it is left without an error, undone when with one.

        Raises:
            Unavailable: Locked for too long, away, full or broken; nothing was stored.
            Conflict: A rule of the schema forbids it.
        """
        with _translated():
            with self._engine.connect() as conn:
                if self.dialect == "sqlite":
                    # The lock now, not at the first write: two readers that both want to write
                    # could never both go on.
                    conn.exec_driver_sql("BEGIN IMMEDIATE")
                try:
                    yield conn
                except BaseException:
                    conn.rollback()
                    raise
                conn.commit()

    def migrate(self) -> None:
        """Bring the schema up to date; harmless when it is.

        Raises:
            DatabaseNewer: A newer Callreel wrote it.
            Unavailable: The database is away.
        """
        with _translated(), self._engine.connect() as conn:
            if self.dialect == "sqlite":
                conn.exec_driver_sql("BEGIN IMMEDIATE")
            migrate.upgrade(conn)
            conn.commit()

    def require_current(self) -> None:
        """Refuse a schema that is not ours.

        Raises:
            DatabaseNewer: A newer Callreel wrote it.
            ConfigurationError: It is older, or empty.
        """
        with self.read() as conn:
            migrate.require_current(conn)

    def is_writable(self) -> bool:
        """Whether a transaction can be had now."""
        try:
            with self.write() as conn:
                conn.execute(text("SELECT 1"))
        except (Unavailable, Conflict):
            return False
        return True

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def open_database(url: str) -> Database:
    """Open a database; makes the SQLite file, not its folder.

    Args:
        url: ``sqlite:////path/of/file.db`` or ``postgresql://user@host/name``.

    Raises:
        ConfigurationError: The URL cannot be used, or its driver is not installed.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(
            "database.url: not an address such as sqlite:///calls.db or postgresql://host/calls"
        ) from None
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return Database(_sqlite_engine(parsed))
    if kind == "postgresql":
        return Database(_postgresql_engine(parsed))
    raise ConfigurationError(f"database.url: {kind} is not supported; use sqlite or postgresql")


def _sqlite_engine(url: URL) -> Engine:
    if not url.database or url.database == ":memory:":
        raise ConfigurationError(
            "database.url: SQLite needs a file, such as sqlite:////srv/calls.db"
        )
    path = Path(url.database)
    try:
        # Made here so that only its owner can read it; SQLite would follow the umask.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise ConfigurationError(f"Cannot open the database {path}: {error.strerror}.") from error
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        pool_size=16,
        max_overflow=48,
        pool_timeout=BUSY_TIMEOUT_S,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # Transactions are begun by hand above; the driver must not begin any of its own.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def _postgresql_engine(url: URL) -> Engine:
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    try:
        return create_engine(
            url,
            connect_args={"connect_timeout": BUSY_TIMEOUT_S},
            pool_pre_ping=True,
            pool_size=8,
            max_overflow=24,
            pool_timeout=BUSY_TIMEOUT_S,
        )
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigurationError(
            "PostgreSQL needs its driver: pip install 'callreel[postgres]'"
        ) from error


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Conflict("This contradicts what is stored.", why=str(error.orig)) from error
    except DataError as error:
        # Such as a NUL in a text on PostgreSQL: it came from whoever asked.
        raise BadRequest("A value holds what the database cannot store.") from error
    except (OperationalError, InterfaceError, InternalError, PoolTimeout) as error:
        raise Unavailable(
            "The database cannot be reached now; try again.", retry_after_s=5, why=str(error)
        ) from error
