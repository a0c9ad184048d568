"""Opening, transactions and what drivers complain of, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from callreel.db.database import CHANGES_LOCK, Database, open_database
from callreel.errors import BadRequest, ConfigurationError, Conflict, TooSlow, Unavailable
from tests.contracts.records import CallPlan, write_call


def count(database: Database, table: str = "call_records") -> int:
    """How many rows a table has."""
    with database.read() as conn:
        return conn.execute(text(f"SELECT count(*) FROM {table}")).scalar_one()  # noqa: S608  # a name from this file


def write_and_fail(database: Database) -> None:
    """Write a call and fail before the end."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1"))
        raise RuntimeError


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    """All of it or none."""
    with pytest.raises(RuntimeError):
        write_and_fail(database)
    assert count(database) == 0


def test_a_broken_rule_is_a_conflict(database: Database) -> None:
    """Foreign keys hold on SQLite too."""
    with pytest.raises(Conflict), database.write() as conn:
        conn.execute(text("INSERT INTO datasources (id, site_id) VALUES ('1', 'nowhere')"))


def test_a_reader_sees_one_moment(database: Database) -> None:
    """What another commits meanwhile does not show up in the middle of a read."""
    number = text("SELECT count(*) FROM call_records")
    with database.read() as reader:
        assert reader.execute(number).scalar() == 0
        with database.write() as writer:
            write_call(writer, CallPlan("c1"))
        assert reader.execute(number).scalar() == 0
    assert count(database) == 1


def test_a_reader_cannot_write(database: Database) -> None:
    """A write in the wrong place fails at once; it is not quietly undone at the end."""
    with database.read() as conn, pytest.raises(DBAPIError):
        conn.execute(text("INSERT INTO used_tokens (token_id, expires_at) VALUES ('t', 1)"))
    with database.write() as conn:
        conn.execute(text("INSERT INTO used_tokens (token_id, expires_at) VALUES ('t', 1)"))
    assert count(database, "used_tokens") == 1


@pytest.mark.parametrize("value", ["\ud800", 2**70, "a\0b"])
def test_a_value_that_no_database_holds_is_the_askers_fault(
    database: Database, value: str | int
) -> None:
    """Half a surrogate pair, a number too long, a NUL: a clear error or an ordinary "no"."""
    statement = text("SELECT count(*) FROM sites WHERE id = :v OR pad_s = :n")
    values = {"v": value, "n": 0} if isinstance(value, str) else {"v": "", "n": value}
    try:
        with database.read() as conn:
            assert conn.execute(statement, values).scalar() == 0
    except BadRequest as error:
        assert "cannot store" in error.message
    assert count(database) == 0


def test_what_is_logged_holds_no_values(database: Database) -> None:
    """Numbers, names and hashes that went into a query do not come out in its errors."""
    with pytest.raises(Unavailable) as away, database.read() as conn:
        conn.execute(text("SELECT nothing FROM nowhere WHERE x = :n"), {"n": "07700900123"})
    cause = away.value.__cause__
    assert "07700900123" not in f"{away.value} {away.value.fields} {cause}"


WRITER = """
import sys
from callreel.db.database import open_database
from tests.contracts.records import CallPlan, write_call
db = open_database(sys.argv[1])
for number in range(100_000):
    with db.write() as conn:
        write_call(conn, CallPlan(f"c{number:06}", recording=f"r{number:06}"))
    print(number, flush=True)
"""


def test_what_was_acknowledged_survives_kill_9(database: Database, database_url: str) -> None:
    """A writer is killed in the middle of its work; every call it told of is there, and whole."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, database_url],
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as child:
        assert child.stdout is not None
        acknowledged = [int(next(child.stdout)) for _ in range(15)]
        child.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in child.stdout if line.endswith("\n")]
    with database.read() as conn:
        stored = set(conn.execute(text("SELECT id FROM call_records")).scalars())
        whole = conn.execute(
            text("SELECT count(*) FROM call_records JOIN recordings r ON r.id = recording_id")
        ).scalar()
    assert {f"c{number:06}" for number in acknowledged} <= stored
    assert len(stored) - len(acknowledged) in (0, 1)
    assert whole == len(stored)


def test_many_threads_write_and_nothing_is_lost(database: Database) -> None:
    """Writers wait for each other; none is turned away."""

    def write(part: int) -> None:
        for number in range(10):
            with database.write() as conn:
                write_call(conn, CallPlan(f"c{part}-{number}"))

    threads = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(database) == 40


def test_a_locked_database_is_unavailable_not_broken(tmp_path: Path) -> None:
    """Another program holds the write lock: the writer is told when to come back."""
    path = tmp_path / "test.db"
    opened = open_database(f"sqlite:///{path}")
    opened.migrate()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable) as away, opened.write():
        pass
    assert away.value.retry_after_s
    assert "locked" not in away.value.message
    other.close()
    opened.close()


def test_a_full_disk_is_unavailable_and_loses_nothing(tmp_path: Path) -> None:
    """What was stored stays, reading goes on, and writing does once there is room."""
    opened = open_database(f"sqlite:///{tmp_path / 'test.db'}")
    opened.migrate()
    with opened.write() as conn:
        write_call(conn, CallPlan("c0"))
        pages = conn.exec_driver_sql("PRAGMA page_count").scalar_one()
        conn.exec_driver_sql(f"PRAGMA max_page_count = {pages + 4}")
    stored = 1
    with pytest.raises(Unavailable) as away:  # whichever write is the first too many
        while stored < 1000:
            with opened.write() as conn:
                write_call(conn, CallPlan(f"c{stored}"))
            stored += 1
    assert away.value.retry_after_s
    assert count(opened) == stored
    with opened.write() as conn:
        conn.exec_driver_sql("PRAGMA max_page_count = 1000000")
    with opened.write() as conn:
        write_call(conn, CallPlan("c-after"))
    assert count(opened) == stored + 1
    opened.close()


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    """Damaged or not ours: nothing is served from it, and it is left as it is."""
    path = tmp_path / "test.db"
    path.write_bytes(b"not a database at all " * 400)
    opened = open_database(f"sqlite:///{path}")
    for attempt in (opened.require_current, opened.migrate):
        with pytest.raises(Unavailable):
            attempt()
    assert not opened.is_writable()
    opened.close()
    assert path.read_bytes() == b"not a database at all " * 400


def test_a_database_is_writable_or_is_not(database: Database) -> None:
    """What the health check asks; it leaves nothing locked."""
    assert database.is_writable()
    assert database.is_writable()


def test_the_sqlite_file_is_private_and_synchronises_fully(tmp_path: Path) -> None:
    """Only its owner reads it; what was committed is on the disk."""
    opened = open_database(f"sqlite:///{tmp_path / 'test.db'}")
    with opened.read() as conn:
        assert conn.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert conn.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    opened.close()
    assert stat.S_IMODE((tmp_path / "test.db").stat().st_mode) == 0o600


def test_a_postgresql_that_is_away_is_unavailable(tmp_path: Path) -> None:
    """A refused connection is no crash."""
    opened = open_database(f"postgresql://nobody@/none?host={tmp_path}")
    with pytest.raises(Unavailable), opened.read():
        pass
    opened.close()


def cut_connections(url: str) -> None:
    """End every connection to a database, as a restart of the server does."""
    admin = create_engine(make_url(url))
    with admin.connect() as conn:
        conn.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    admin.dispose()


def test_a_connection_cut_before_the_commit_is_unavailable(postgres_database_url: str) -> None:
    """Nobody is told that it was stored, and the next transaction has a new connection."""
    opened = open_database(postgres_database_url)
    opened.migrate()
    with pytest.raises(Unavailable), opened.write() as conn:  # the exit is what raises
        write_call(conn, CallPlan("c1"))
        cut_connections(postgres_database_url)
    with opened.write() as conn:
        write_call(conn, CallPlan("c2"))
    assert count(opened) == 1
    opened.close()


def test_a_lock_is_not_waited_for_without_end(postgres_database_url: str) -> None:
    """A writer that hangs makes others come back later; it does not hang them as well."""
    opened = open_database(postgres_database_url)
    opened.migrate()
    other = create_engine(make_url(postgres_database_url))
    with other.connect() as hanging:
        hanging.exec_driver_sql(f"SELECT pg_advisory_xact_lock({CHANGES_LOCK})")
        with pytest.raises(Unavailable), opened.write() as conn:
            write_call(conn, CallPlan("c1"))
    other.dispose()
    assert count(opened) == 0
    opened.close()


def test_postgresql_answers_when_it_is_on_the_disk(postgres_database_url: str) -> None:
    """Also where the server is set up to answer before."""
    name = make_url(postgres_database_url).database
    admin = create_engine(make_url(postgres_database_url), isolation_level="AUTOCOMMIT")
    for setting, effective in (("off", "on"), ("on", "on"), ("remote_apply", "remote_apply")):
        with admin.connect() as conn:
            conn.exec_driver_sql(f"ALTER DATABASE {name} SET synchronous_commit = {setting}")
        opened = open_database(postgres_database_url)
        with opened.write() as conn:
            assert conn.exec_driver_sql("SHOW synchronous_commit").scalar() == effective
        opened.close()
    admin.dispose()


def test_connections_that_were_cut_are_replaced(postgres_database_url: str) -> None:
    """After PostgreSQL dropped every connection the pool goes on by itself."""
    opened = open_database(postgres_database_url)
    opened.migrate()
    cut_connections(postgres_database_url)
    assert count(opened, "calls") == 0
    with opened.write() as conn:
        write_call(conn, CallPlan("c1"))
    opened.close()


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("mysql://h/d", "mysql is not supported"),
        ("not a url", "not an address"),
        ("sqlite://", "needs a file"),
        ("sqlite:////nowhere/at/all.db", "No such file"),
    ],
)
def test_an_unusable_url_says_what_is_wrong(url: str, complaint: str) -> None:
    """One line that names what to mend."""
    with pytest.raises(ConfigurationError, match=complaint):
        open_database(url)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://h:abc/db", "not an address"),
        ("postgresql+asyncpg://h/db", "not a driver of ours"),
        ("mysql://h/db", "mysql is not supported"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(url: str, said: str) -> None:
    """With what to write instead; before anything is connected to."""
    with pytest.raises(ConfigurationError, match=said):
        open_database(url)


def test_a_question_that_takes_too_long_is_ended(database: Database) -> None:
    """With what to do about it, and the connection serves the next one."""
    endless = text(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    )
    for _ in range(20):
        with (
            pytest.raises(TooSlow, match=r"longer than 0\.05 s; choose a shorter period"),
            database.read_within(0.05) as conn,
        ):
            conn.execute(endless)
    many = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500000)"
                " SELECT max(i) FROM n")  # fmt: skip
    with database.read() as conn:
        assert conn.execute(many).scalar_one() == 500_000


def test_what_is_wrong_for_another_reason_is_not_called_slow(database: Database) -> None:
    """It stays what it is."""
    with pytest.raises(Unavailable), database.read_within(60) as conn:
        conn.execute(text("SELECT nothing FROM nowhere"))
