"""Open, pool, transaction; the only file that knows SQLite from PostgreSQL.

What ``write`` was left without an error is on the disk: SQLite runs with a write-ahead log and full
synchronisation, PostgreSQL with its defaults. Drivers' errors leave as errors of ours.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    QueuePool,
    Select,
    create_engine,
    event,
    func,
    select,
    text,
)
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    NoSuchModuleError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout

from callreel.db import migrate
from callreel.db.gate import Gate, open_gate
from callreel.db.lookup import Lookup, Lookups, Row
from callreel.errors import BadRequest, ConfigurationError, Conflict, TooSlow, Unavailable
from callreel.wording import to_translate, worded

BUSY_TIMEOUT_S = 5
"""How long a writer waits for another before it is told to come back."""
_CLOSE_S = 5.0

# Any number that nobody else takes; it orders the rows of the feed of changes.
CHANGES_LOCK = 0x63616C6C
MIGRATION_LOCK = CHANGES_LOCK + 1

# A server that vanished without a word is noticed in seconds, not in hours.
_KEEPALIVES = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3}

# A server may be set up to answer before its log is on the disk; what we acknowledge is. Settings
# that wait for a standby stay. And nobody waits for a lock for ever.
_SESSION = f"""
SELECT set_config('lock_timeout', '{BUSY_TIMEOUT_S}s', false),
    CASE WHEN current_setting('synchronous_commit') = 'off'
        THEN set_config('synchronous_commit', 'on', false) END
"""


class Database:
    """One database; safe from many threads.

    Args:
        readers: Where connections that only read come from.
        writers: Where connections that write come from; may be the same.
        gate: What masks and those who send meet at; None where there is none.
    """

    def __init__(self, readers: Engine, writers: Engine, gate: Gate | None = None) -> None:
        self._readers = readers
        self._writers = writers
        self.gate = gate
        self._lookups = Lookups(readers)
        self.dialect = writers.dialect.name
        self.is_at_hand = self.dialect == "sqlite"
        """Whether a look-up is answered by this process, in microseconds."""
        self._finishing: list[Callable[[], None]] = []

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that only reads, all of it from one moment.

        Raises:
            Unavailable: The database is away, locked or broken.
            BadRequest: A value in a query is one that no database can hold.
        """
        with _translated(), self._readers.connect() as conn:
            if self.dialect == "sqlite":
                conn.exec_driver_sql("BEGIN")
            else:
                conn.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield conn

    def prepared(self, query: Select[Any]) -> Lookup:
        """A query that is asked often, compiled; see ``lookup``."""
        look = self._lookups.prepared(query)

        def asked(**values: object) -> Sequence[Row]:
            with _translated():
                return look(**values)

        return asked

    @contextmanager
    def read_within(self, limit_s: float) -> Iterator[Connection]:
        """As ``read``, of what somebody asked that may take too long.

        Args:
            limit_s: How many seconds it may take; on PostgreSQL each statement.

        Raises:
            TooSlow: It took longer.
            BadRequest, Unavailable: As ``read``.
        """
        deadline = time.monotonic() + limit_s
        with self.read() as conn:
            driver = conn.connection.driver_connection
            if isinstance(driver, sqlite3.Connection):
                driver.set_progress_handler(lambda: time.monotonic() >= deadline, 10_000)
            else:
                limit = {"limit": f"{max(1, round(limit_s * 1000))}ms"}
                conn.execute(text("SELECT set_config('statement_timeout', :limit, true)"), limit)
            try:
                yield conn
            except DBAPIError as error:
                if time.monotonic() < deadline:
                    raise
                raise TooSlow(
                    worded(
                        "This took longer than %(limit_s)s s; choose a shorter period or "
                        "fewer calls.",
                        limit_s=f"{limit_s:g}",
                    )
                ) from error
            finally:
                if isinstance(driver, sqlite3.Connection):
                    driver.set_progress_handler(None, 0)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, durable when it is left without an error, undone when with one.

        Raises:
            Unavailable: Locked for too long, away, full or broken; nothing was stored.
            Conflict: A rule of the schema forbids it.
            BadRequest: A value is one that the database cannot hold.
        """
        with _translated(), self._writers.connect() as conn:
            if self.dialect == "sqlite":
                # The lock now, not at the first write: two readers that both want to write
                # could never both go on.
                conn.exec_driver_sql("BEGIN IMMEDIATE")
            holding = self.gate.hold(conn) if self.gate is not None else None
            try:
                yield conn
            except BaseException:
                conn.rollback()
                raise
            else:
                conn.commit()
            finally:
                if holding is not None:
                    holding.open()

    def migrate(self) -> bool:
        """Bring the schema up to date; harmless when it is. All of it or nothing is done.

        Returns:
            Whether integrators can be given a role that reads the view ``calls`` and nothing else;
            SQLite has no roles and needs none.

        Raises:
            DatabaseNewer: A newer Callreel wrote it.
            ConfigurationError: Another program's tables are in the way.
            Unavailable: The database is away.
        """
        with self.write() as conn:
            if self.dialect == "postgresql":
                # Two that start together must not both find a table missing.
                conn.execute(select(func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            migrate.upgrade(conn)
            return self.dialect != "postgresql" or migrate.grant_reader(conn)

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
        except Unavailable:
            return False
        return True

    def before_close(self, finish: Callable[[], None]) -> None:
        """Have something called first, when this is closed: it writes what nobody waits for."""
        self._finishing.append(finish)

    def close(self) -> None:
        """Close every connection; those that are in use get some seconds to come back."""
        for finish in self._finishing:
            finish()
        self._lookups.close()
        deadline = time.monotonic() + _CLOSE_S
        for engine in {self._readers, self._writers}:
            # What comes back after this goes into a pool that nobody closes any more.
            while _in_use(engine) and time.monotonic() < deadline:
                time.sleep(0.005)
            engine.dispose()


def _in_use(engine: Engine) -> int:
    pool = engine.pool
    return pool.checkedout() if isinstance(pool, QueuePool) else 0


def open_database(url: str) -> Database:
    """Open a database; makes the SQLite file, not its folder.

    Args:
        url: ``sqlite:////path/of/file.db`` or ``postgresql://user@host/name``.

    Raises:
        ConfigurationError: The URL cannot be used, or its driver is not installed.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            "database.url: not an address such as sqlite:///calls.db or postgresql://host/calls"
        ) from None
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return _open_sqlite(parsed)
    if kind == "postgresql":
        engine = _postgresql_engine(parsed)
        return Database(engine, engine)
    raise ConfigurationError(f"database.url: {kind} is not supported; use sqlite or postgresql")


def _open_sqlite(url: URL) -> Database:
    if not url.database or url.database == ":memory:":
        raise ConfigurationError(
            "database.url: SQLite needs a file, such as sqlite:////srv/calls.db"
        )
    path = Path(url.database)
    try:
        # Made here so that only its owner can read it; SQLite would follow the umask.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        gate = open_gate(path.with_name(path.name + "-gate"))
    except OSError as error:
        raise ConfigurationError(f"Cannot open the database {path}: {error.strerror}.") from error
    pragmas = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
    # There is one writer at a time anyway. Waiting for the one connection is first come, first
    # served; waiting for the file is a lottery that a thread can lose again and again.
    return Database(
        readers=_sqlite_engine(url, 16, 48, (*pragmas, "query_only=ON")),
        # What an import changes lies all over the indexes, more of it than fits into the 2 MB that
        # SQLite takes by itself.
        writers=_sqlite_engine(url, 1, 0, (*pragmas, "cache_size=-32000")),
        gate=gate,
    )


def _sqlite_engine(url: URL, kept: int, more: int, pragmas: Sequence[str]) -> Engine:
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args={"timeout": BUSY_TIMEOUT_S, "check_same_thread": False},
        poolclass=QueuePool,
        pool_size=kept,
        max_overflow=more,
        pool_timeout=BUSY_TIMEOUT_S,
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        # Transactions are begun by hand above; the driver must not begin any of its own.
        connection.isolation_level = None
        # Its own knows the letters of English; somebody looks for Émilie as well.
        connection.create_function("lower", 1, _lower, deterministic=True)
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    _refuse_what_no_database_holds(engine)
    return engine


_Value = str | bytes | int | float | None


def _lower(value: _Value) -> _Value:
    return value.lower() if isinstance(value, str) else value


def _postgresql_engine(url: URL) -> Engine:
    if url.drivername not in {"postgresql", "postgresql+psycopg"}:
        raise ConfigurationError(
            f"database.url: {url.drivername} is not a driver of ours; write postgresql://host/name"
        )
    url = url.set(drivername="postgresql+psycopg")
    try:
        engine = create_engine(
            url,
            connect_args={"connect_timeout": BUSY_TIMEOUT_S, **_KEEPALIVES},
            pool_pre_ping=True,
            pool_size=8,
            max_overflow=24,
            pool_timeout=BUSY_TIMEOUT_S,
            hide_parameters=True,
        )
    except (ImportError, NoSuchModuleError) as error:
        raise ConfigurationError(
            "PostgreSQL needs its driver: pip install 'callreel[postgres]'"
        ) from error

    @event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute(_SESSION)
        cursor.close()
        connection.commit()

    _refuse_what_no_database_holds(engine)
    return engine


def _refuse_what_no_database_holds(engine: Engine) -> None:
    @event.listens_for(engine, "handle_error")
    def refuse(context: ExceptionContext) -> None:
        # Half a surrogate pair, a number of more than 64 bits: the drivers raise these unwrapped.
        if isinstance(context.original_exception, UnicodeEncodeError | OverflowError):
            raise _unstorable() from context.original_exception


def _unstorable() -> BadRequest:
    return BadRequest(to_translate("A value holds what the database cannot store."))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        raise Conflict(
            to_translate("This contradicts what is stored."), why=str(error.orig)
        ) from error
    except DataError as error:
        # Such as a NUL in a text on PostgreSQL: it came from whoever asked.
        raise _unstorable() from error
    except DBAPIError as error:
        raise _away(str(error.orig)) from error
    except sqlite3.Error as error:
        raise _away(str(error)) from error
    except PoolTimeout as error:
        raise _away(str(error)) from error


def _away(why: str) -> Unavailable:
    return Unavailable(
        to_translate("The database cannot be reached now; try again."),
        retry_after_s=BUSY_TIMEOUT_S,
        why=why,
    )
