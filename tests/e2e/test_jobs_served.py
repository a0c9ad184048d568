"""Jobs and schedules while ``callreel serve`` runs: done, given back when it stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import Row, select, update

from callreel.bootstrap import system_clock
from callreel.cli.main import main
from callreel.db import users
from callreel.db.database import Database, open_database
from callreel.db.job_tables import schedules
from callreel.db.jobs import JobState
from callreel.flows.making import principal_now
from callreel.model import Principal
from tests.e2e.live import CALLREEL
from tests.flows.jobbing import Office, write_calls
from tests.flows.post import free_port, post

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An installation with some calls and a supervisor."""
    folder = tmp_path / "data"
    for command in (["init"], ["user", "add", "ann", "--role", "supervisor"]):
        assert CliRunner().invoke(main, [*command, "--data", str(folder)]).exit_code == 0
    return folder


@pytest.fixture
def database(data: Path) -> Iterator[Database]:
    """Its database."""
    opened = open_database(f"sqlite:///{data / 'callreel.db'}")
    yield opened
    opened.close()


def ann_of(database: Database) -> Principal:
    """The supervisor."""
    with database.read() as conn:
        user = users.by_name(conn, "ann")
    assert user is not None
    return principal_now(database, user.id)


@contextmanager
def served(data: Path) -> Iterator[subprocess.Popen[str]]:
    """A server of its own process, killed at the end where it still runs."""
    ports = ("--port", str(free_port()), "--echo-port", str(free_port()))
    command = [*CALLREEL, "serve", "--data", str(data), *ports]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert "answers at" in process.stdout.readline()
            yield process
        finally:
            process.kill()


def until(done: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something."""
    ends = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_a_server_does_jobs_and_gives_back_what_it_has_begun(
    data: Path, database: Database
) -> None:
    """Stopped in the middle of an export it is gone in seconds, and the next server does it."""
    write_calls(database, 100_000)
    office, ann = Office(database, data / "jobs"), ann_of(database)
    office.now = system_clock()
    with served(data) as process:
        small = office.ask(ann, filter={"ext": "2007"})
        until(lambda: office.jobs.one(ann, small).state is JobState.DONE)
        assert office.jobs.one(ann, small).done_count == 2000
        big = office.ask(ann, format="xlsx")
        until(lambda: office.jobs.one(ann, big).done_count > 0)
        process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert process.wait(timeout=30) == 0
        assert time.monotonic() - began < 5
    job = office.jobs.one(ann, big)
    assert (job.state, job.tries) == (JobState.WAITING, 0)
    office.jobs.cancel(ann, big)
    again = office.ask(ann, format="csv")
    with served(data):
        until(lambda: office.jobs.one(ann, again).state is JobState.DONE, 60)
    path = office.jobs.file(ann, again, address=None).path
    assert len(path.read_text().splitlines()) == 100_001


def row_of(database: Database) -> Row[tuple[object, ...]]:
    """The one schedule."""
    with database.read() as conn:
        return conn.execute(select(schedules)).one()


def test_a_server_mails_what_is_due(data: Path, database: Database) -> None:
    """What came due while it was down is sent when it starts."""
    write_calls(database, 7)
    ann = ann_of(database)
    with post() as mail:
        (data / "callreel.toml").write_text(
            f"[mail]\nhost = '127.0.0.1'\nport = {mail.port}\nsecurity = 'none'\n"
            "sender = 'callreel@example.org'\n"
        )
        added = CliRunner().invoke(
            main,
            [
                *("schedule", "add", "Morning", "--owner", "ann", "--to", "ann@example.org"),
                *("--data", str(data)),
            ],
        )
        assert added.exit_code == 0, added.output
        with database.write() as conn:
            conn.execute(update(schedules).values(next_run_at=system_clock() - 60_000))
        with served(data):
            until(lambda: row_of(database).last_state is not None)
        assert len(mail.letters) == 1
    office = Office(database, data / "jobs")
    assert office.jobs.own(ann) == ()
    row = row_of(database)
    assert row.last_state == "sent"
    assert row.next_run_at > system_clock()
