"""Migrations, the view for integrators and their role, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, create_engine, inspect, make_url, select, text
from sqlalchemy.exc import ProgrammingError

from callreel.db import directory, migrate
from callreel.db.database import Database, open_database
from callreel.db.schema import metadata, signals, spans
from callreel.errors import CallreelError, ConfigurationError, DatabaseNewer
from callreel.model import DEFAULT_FILL
from tests.contracts.records import CallPlan, at, write_call


@pytest.mark.filterwarnings(
    "ignore:Skipped unsupported reflection of expression-based index ix_call_records_:"
    "sqlalchemy.exc.SAWarning"
)
def test_the_migrations_make_the_schema_that_the_code_reads(database: Database) -> None:
    """Migrations are written by hand; they must not drift from schema.py."""

    def is_known(name: str | None, _kind: str, _parents: object) -> bool:
        # Indexes of expressions are in no schema; a test of the search sees that they are used.
        return not (name or "").endswith("_ending")

    with database.read() as conn:
        context = MigrationContext.configure(conn, opts={"include_name": is_known})
        assert compare_metadata(context, metadata) == []
        made = {
            (table, tuple(index["column_names"]))
            for table in metadata.tables
            for index in inspect(conn).get_indexes(table)
        }
        checks = {
            check["name"]
            for table in metadata.tables
            for check in inspect(conn).get_check_constraints(table)
        }
    for table in metadata.tables.values():
        for index in table.indexes:
            assert (table.name, tuple(index.columns.keys())) in made
        for constraint in table.constraints:
            if isinstance(constraint, CheckConstraint):
                assert constraint.name in checks


def test_migrating_twice_changes_nothing(database: Database) -> None:
    """And the schema is current."""
    database.migrate()
    database.require_current()


def test_migrations_that_start_together_make_one_schema(database_url: str) -> None:
    """A web application and an Echo started at the same moment."""
    failures: list[BaseException] = []

    def migrate() -> None:
        opened = open_database(database_url)
        try:
            opened.migrate()
            opened.require_current()
        except CallreelError as error:
            failures.append(error)
        finally:
            opened.close()

    threads = [threading.Thread(target=migrate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from sqlalchemy import Engine, event
from callreel.db.database import open_database
db = open_database(sys.argv[1])
left = [int(sys.argv[2])]
@event.listens_for(Engine, "before_cursor_execute")
def count(conn, cursor, statement, *rest):
    if statement.lstrip().startswith(("CREATE", "INSERT", "DO")):
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)
db.migrate()
"""


@pytest.mark.parametrize("statements", [1, 15, 30])
def test_a_migration_killed_in_the_middle_leaves_nothing_and_can_run_again(
    database_url: str, statements: int
) -> None:
    """At the first table, at an index, near the end: all or nothing (T48)."""
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_IN_THE_MIDDLE, database_url, str(statements)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL
    opened = open_database(database_url)
    with opened.read() as conn:
        assert inspect(conn).get_table_names() == []
    opened.migrate()
    opened.require_current()
    opened.close()


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


def test_the_tables_of_another_program_are_left_alone(database_url: str) -> None:
    """An address that points at somebody else's database: told, and nothing is touched."""
    opened = open_database(database_url)
    with opened.write() as conn:
        conn.execute(text("CREATE TABLE recordings (title TEXT)"))
    with pytest.raises(ConfigurationError, match="'recordings'"):
        opened.migrate()
    with opened.read() as conn:
        assert inspect(conn).get_table_names() == ["recordings"]
    opened.close()


def test_integrators_read_calls_by_plain_sql(database: Database) -> None:
    """The view begins with the three known names (contract.md section 5)."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", channel="T1"))
        write_call(conn, CallPlan("c2", at_s=1))
    with database.read() as conn:
        names = conn.exec_driver_sql(
            "SELECT datasource, voicelocation, voicefilename FROM calls ORDER BY started_at"
        ).all()
        whole = conn.exec_driver_sql("SELECT * FROM calls WHERE id = 'c1'").mappings().one()
    assert [tuple(row) for row in names] == [("s1", "1", "NCSr1"), ("s1", None, None)]
    assert list(whole.items()) == [
        ("datasource", "s1"),
        ("voicelocation", "1"),
        ("voicefilename", "NCSr1"),
        ("id", "c1"),
        ("recording_id", "r1"),
        ("started_at", "2026-09-21T14:13:20.000Z"),
        ("duration_s", 60.0),
        ("direction", "inbound"),
        ("from_number", "01632960001"),
        ("to_number", "07700900002"),
        ("extension", "2104"),
        ("channel", "T1"),
        ("disposition", "answered"),
        ("site", "s1"),
    ]


def test_the_times_of_the_view_are_exact(database: Database) -> None:
    """ISO 8601 in UTC, to the millisecond, whatever the fraction."""
    starts = [n * 86_400.0 * 37 + n / 1000 for n in range(-300, 300, 7)]
    with database.write() as conn:
        for number, at_s in enumerate(starts):
            write_call(conn, CallPlan(f"c{number:03}", at_s=at_s))
    with database.read() as conn:
        found = conn.exec_driver_sql("SELECT started_at FROM calls ORDER BY id").scalars().all()
    expected = []
    for at_s in starts:
        whole, millis = divmod(at(at_s), 1000)
        moment = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        expected.append(f"{moment}.{millis:03}Z")
    assert found == expected


def test_the_reading_role_sees_the_view_and_nothing_else(postgres_database_url: str) -> None:
    """What integrators connect as (contract.md section 5)."""
    opened = open_database(postgres_database_url)
    opened.migrate()
    opened.close()
    engine = create_engine(make_url(postgres_database_url))
    forbidden = [f"SELECT * FROM {table}" for table in (*metadata.tables, "alembic_version")]  # noqa: S608  # our own names
    forbidden += ["DELETE FROM audit", "CREATE TABLE x (y int)"]
    with engine.connect() as conn:
        conn.exec_driver_sql("SET ROLE callreel_read")
        assert conn.exec_driver_sql("SELECT count(*) FROM calls").scalar() == 0
        for statement in forbidden:
            with pytest.raises(ProgrammingError, match="permission denied"), conn.begin_nested():
                conn.exec_driver_sql(statement)
        can_log_in = conn.exec_driver_sql(
            "SELECT rolcanlogin FROM pg_roles WHERE rolname = 'callreel_read'"
        ).scalar()
        assert can_log_in is False
    engine.dispose()


def test_a_user_who_may_not_make_roles_can_migrate(postgres_database_url: str) -> None:
    """Then there is no role for integrators, and everything else works."""
    admin = create_engine(make_url(postgres_database_url), isolation_level="AUTOCOMMIT")
    name = str(make_url(postgres_database_url).database)
    with admin.connect() as conn:
        conn.exec_driver_sql(f"CREATE ROLE {name} LOGIN")
        conn.exec_driver_sql(f"ALTER DATABASE {name} OWNER TO {name}")
    plain = make_url(postgres_database_url).set(username=name)
    opened = open_database(plain.render_as_string(hide_password=False))
    opened.migrate()
    opened.require_current()
    opened.close()
    with admin.connect() as conn:
        conn.exec_driver_sql(f"REASSIGN OWNED BY {name} TO CURRENT_USER")
        conn.exec_driver_sql(f"DROP OWNED BY {name}")
        conn.exec_driver_sql(f"DROP ROLE {name}")
    admin.dispose()


def test_the_second_migration_keeps_signals_and_spans(database_url: str) -> None:
    """Both tables are made anew, and what a mask is made of must not be lost (T48)."""
    opened = open_database(database_url)
    with opened.write() as conn:
        migrate.upgrade(conn, "0001")
        for statement in (
            "INSERT INTO sites VALUES ('s', 'Leeds', NULL, 'UTC', 0.5, NULL, 30)",
            "INSERT INTO stores VALUES ('1', 'file:store', false)",
            "INSERT INTO voicelocations VALUES ('1', NULL, '1')",
            "INSERT INTO channels VALUES ('ch', 's', 'T1')",
            "INSERT INTO web_users VALUES ('u', 'pbx', 'pbx', 'h', 'integrator', true, NULL, 1, 1)",
            "INSERT INTO signals VALUES ('on', NULL, 'ch', 5, 6, true, 'u', 7)",
            (
                "INSERT INTO recordings (id, datasource, voicelocation, voicefilename, store_id,"
                " object_key, size_bytes, sha256, content_version, state, started_at, ready_at,"
                " mask_revision, mask_seal, created_at)"
                " VALUES ('r', '1', '1', 'v', '1', 'k', 1, 'x', 1, 'ready', 1, 1, 2, 'seal', 1)"
            ),
            (
                "INSERT INTO spans VALUES"
                " ('m', 'r', 0.1, NULL, 'left', 'signal', 'why', 'who', 'active', 'on', NULL, 8)"
            ),
        ):
            conn.execute(text(statement))
    opened.migrate()
    opened.require_current()
    with opened.read() as conn:
        span = conn.execute(select(spans)).one()
        signal_ = conn.execute(select(signals)).one()
        site = directory.find_site(conn, "s")
    assert span == (
        *("m", "r", 0.1, None, "left", "signal", "why", "who", "active", "on", None, 8),
        *(None, None, None),
    )
    assert (signal_.id, signal_.channel_id, signal_.at, signal_.received_at) == ("on", "ch", 5, 6)
    assert (signal_.mute, signal_.source, signal_.web_user_id) == (True, "web", "u")
    assert (site.fill, site.key_presses, site.burn_in_after_s) == (DEFAULT_FILL, "list", None)
    opened.close()


def test_an_owner_who_may_not_make_roles_is_told_and_gets_the_role_later(
    postgres_database_url: str,
) -> None:
    """The grant is tried at every migration, and its lack does not fail one."""
    name = f"owner_{make_url(postgres_database_url).database}"
    admin = create_engine(postgres_database_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as conn:
        conn.execute(text(f"CREATE ROLE {name} LOGIN NOCREATEROLE PASSWORD 'x'"))
        conn.execute(text(f"GRANT ALL ON SCHEMA public TO {name}"))
    url = make_url(postgres_database_url).set(username=name, password="x")
    opened = open_database(url.render_as_string(hide_password=False))
    has_reader = opened.migrate()
    with admin.connect() as conn:
        there = conn.execute(text("SELECT 1 FROM pg_roles WHERE rolname = 'callreel_read'")).first()
        assert has_reader == (there is not None)
        if there is None:
            conn.execute(text("CREATE ROLE callreel_read NOLOGIN"))
    assert opened.migrate() is True
    with admin.connect() as conn:
        may = text("SELECT has_table_privilege('callreel_read', 'calls', 'SELECT')")
        assert conn.execute(may).scalar_one() is True
    opened.close()
    with admin.connect() as conn:
        conn.execute(text(f"DROP OWNED BY {name}"))
        conn.execute(text(f"DROP ROLE {name}"))
    admin.dispose()
