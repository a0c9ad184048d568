"""Opening, transactions and migrations, on SQLite and PostgreSQL alike."""

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
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, inspect, make_url, text
from sqlalchemy.exc import ProgrammingError

from callreel.db.database import Database, open_database
from callreel.db.schema import metadata
from callreel.errors import ConfigurationError, Conflict, DatabaseNewer, Unavailable
from tests.contracts.records import CallPlan, write_call


def test_the_migrations_make_the_schema_that_the_code_reads(database: Database) -> None:
    """Migrations are written by hand; they must not drift from schema.py."""
    with database.read() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
        made = {
            (table, tuple(index["column_names"]))
            for table in metadata.tables
            for index in inspect(conn).get_indexes(table)
        }
    for table in metadata.tables.values():
        for index in table.indexes:
            assert (table.name, tuple(index.columns.keys())) in made


def test_migrating_twice_changes_nothing(database: Database) -> None:
    """And the schema is current."""
    database.migrate()
    database.require_current()


def test_an_empty_database_says_what_to_run(database_url: str) -> None:
    """Nothing is served from a schema that is not there."""
    opened = open_database(database_url)
    with pytest.raises(ConfigurationError, match="callreel migrate"):
        opened.require_current()
    opened.close()


def test_a_database_of_a_newer_version_is_left_alone(database: Database) -> None:
    """Neither read nor migrated."""
    with database.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    for attempt in (database.require_current, database.migrate):
        with pytest.raises(DatabaseNewer, match="9999"):
            attempt()


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    """All of it or none."""
    with pytest.raises(RuntimeError), database.write() as conn:
        write_call(conn, CallPlan("c1"))
        raise RuntimeError
    with database.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM call_records")).scalar() == 0


def test_a_broken_rule_is_a_conflict(database: Database) -> None:
    """Foreign keys hold on SQLite too."""
    with pytest.raises(Conflict), database.write() as conn:
        conn.execute(text("INSERT INTO datasources (id, site_id) VALUES ('1', 'nowhere')"))


def test_a_reader_sees_one_moment(database: Database) -> None:
    """What another commits meanwhile does not show up in the middle of a read."""
    count = text("SELECT count(*) FROM call_records")
    with database.read() as reader:
        assert reader.execute(count).scalar() == 0
        with database.write() as writer:
            write_call(writer, CallPlan("c1"))
        assert reader.execute(count).scalar() == 0
    with database.read() as reader:
        assert reader.execute(count).scalar() == 1


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
    with database.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM call_records")).scalar() == 40


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


def test_connections_that_were_cut_are_replaced(postgres_database_url: str) -> None:
    """After PostgreSQL dropped every connection the pool goes on by itself."""
    opened = open_database(postgres_database_url)
    opened.migrate()
    admin = create_engine(make_url(postgres_database_url))
    with admin.connect() as conn:
        conn.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    admin.dispose()
    with opened.read() as conn:
        assert conn.execute(text("SELECT count(*) FROM calls")).scalar() == 0
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


def test_integrators_read_calls_by_plain_sql(database: Database) -> None:
    """The view has the three known names, and times that people can read."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", at_s=0.5))
        write_call(conn, CallPlan("c2", at_s=1))
    with database.read() as conn:
        rows = conn.exec_driver_sql(
            "SELECT datasource, voicelocation, voicefilename, started_at FROM calls ORDER BY id"
        ).all()
    assert [tuple(row) for row in rows] == [
        ("s1", "1", "NCSr1", "2026-09-21T14:13:20.500Z"),
        ("s1", None, None, "2026-09-21T14:13:21.000Z"),
    ]


def test_the_reading_role_sees_the_view_and_nothing_else(postgres_database_url: str) -> None:
    """What integrators connect as (contract.md section 5)."""
    opened = open_database(postgres_database_url)
    opened.migrate()
    opened.close()
    engine = create_engine(make_url(postgres_database_url))
    with engine.connect() as conn:
        conn.exec_driver_sql("SET ROLE callreel_read")
        assert conn.exec_driver_sql("SELECT count(*) FROM calls").scalar() == 0
        for table in ("call_records", "web_users", "audit", "recordings", "spans"):
            with pytest.raises(ProgrammingError, match="permission denied"), conn.begin_nested():
                conn.exec_driver_sql(f"SELECT * FROM {table}")
    engine.dispose()
