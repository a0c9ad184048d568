"""Workers: killed, stopped, held up, on a full disk; each job is done once, whole, or told."""

from __future__ import annotations

import csv
import errno
import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import openpyxl
import pytest

from callreel.db import jobs
from callreel.db.database import Database, open_database
from callreel.db.jobs import JobState
from callreel.errors import (
    BadRequest,
    Unavailable,
)
from callreel.model import UnixMillis
from tests.flows.jobbing import NOW, Office, Steps, write_calls

ROOT = Path(__file__).parents[2]


def rows_of(text: str) -> list[list[str]]:
    """Rows of CSV without the titles."""
    return list(csv.reader(io.StringIO(text, newline="")))[1:]


@pytest.fixture
def office(database: Database, tmp_path: Path) -> Office:
    """Two and a half pages of calls, on each kind of database."""
    write_calls(database, 2500)
    return Office(database, tmp_path / "jobs")


def test_many_jobs_of_one_do_not_keep_out_another(office: Office) -> None:
    """While one job of somebody runs, the next worker takes somebody else's."""
    ann, bob = office.user(), office.user("bob")
    asked = []
    for who in (ann, ann, bob):
        office.now = UnixMillis(office.now + 1)
        asked.append(office.ask(who))
    first, _, third = asked
    taken = []
    for _ in range(3):
        with office.db.write() as conn:
            job = jobs.claim(conn, NOW)
        taken.append(None if job is None else job.id)
    assert taken == [first, third, None]


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_job_that_is_cancelled_stops_within_a_second(
    database: Database, tmp_path: Path, form: str
) -> None:
    """And leaves nothing; what it was is told."""
    write_calls(database, 60_000)
    office = Office(database, tmp_path / "jobs")
    ann = office.user()
    job_id = office.ask(ann, format=form)
    worked: list[object] = []
    thread = threading.Thread(target=lambda: worked.extend(office.work()))
    thread.start()
    while office.jobs.one(ann, job_id).done_count == 0:
        assert thread.is_alive()
        time.sleep(0.01)
    assert office.jobs.one(ann, job_id).total_count == 60_000
    office.jobs.cancel(ann, job_id)
    # Of this process alone: what else the machine does is not the job's.
    began = time.process_time()
    thread.join()
    assert time.process_time() - began < 1.0
    assert office.jobs.one(ann, job_id).state is JobState.CANCELLED
    assert office.folders() == []


def test_a_worker_that_stops_gives_its_job_back(database: Database, tmp_path: Path) -> None:
    """It is begun again at once, and this does not count as a try that failed."""
    office = Office(database, tmp_path / "jobs")
    ann = office.user()

    def steps() -> Iterator[object]:
        """Stop after the first row."""
        yield 1
        office.worker.stop()
        yield 2

    office = Office(database, tmp_path / "jobs", steps=Steps(steps()))
    job_id = office.ask(ann, "steps")
    assert office.work() == []
    job = office.jobs.one(ann, job_id)
    assert (job.state, job.tries) == (JobState.WAITING, 0)
    assert office.folders() == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk that holds the data folder"),
        (PermissionError(errno.EACCES, "Permission denied"), "Permission denied"),
        (BadRequest("period: too long."), "period: too long."),
        (ZeroDivisionError("x / 0"), "server's log"),
    ],
)
def test_a_failure_says_what_to_do_and_leaves_nothing(
    database: Database, tmp_path: Path, error: Exception, told: str
) -> None:
    """Of the disk, of the request, and of the program."""
    office = Office(database, tmp_path / "jobs", steps=Steps(iter([1, error])))
    ann = office.user()
    job_id = office.ask(ann, "steps")
    (worked,) = office.work()
    job = office.jobs.one(ann, job_id)
    assert job.state is worked.state is JobState.FAILED
    assert told in (job.told or "")
    assert office.folders() == []


_FULL = """
import resource, signal, sys
from pathlib import Path
from callreel.db.database import open_database
from callreel.flows.call_export import CallExport
from callreel.flows.job_worker import JobWorker
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
db = open_database(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, resource.RLIM_INFINITY))
worker = JobWorker(db, {"calls": CallExport(db)}, Path(sys.argv[2]), lambda: int(sys.argv[3]))
print(*(f"{w.state.value}: {w.told}" for w in worker.once()))
"""


@pytest.mark.parametrize("form", ["csv", "csv-spreadsheet", "xlsx"])
def test_a_disk_that_is_full_fails_the_job_with_what_to_do(
    postgres_database_url: str, tmp_path: Path, form: str
) -> None:
    """A real limit on what a file may hold, in a process of its own."""
    database = open_database(postgres_database_url)
    database.migrate()
    write_calls(database, 2500)
    office = Office(database, tmp_path / "jobs")
    ann = office.user()
    job_id = office.ask(ann, format=form)
    done = subprocess.run(
        [sys.executable, "-c", _FULL, postgres_database_url, str(office.folder), str(NOW)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
    )
    assert "failed: The disk that holds the data folder is full" in done.stdout
    assert office.jobs.one(ann, job_id).state is JobState.FAILED
    assert office.folders() == []
    database.close()


def test_a_database_that_is_away_costs_no_job(database: Database, tmp_path: Path) -> None:
    """It waits, and is done once the database is back."""
    error = Unavailable("The database cannot be reached now; try again.")
    office = Office(database, tmp_path / "jobs", steps=Steps(iter([error, 1])))
    ann = office.user()
    job_id = office.ask(ann, "steps")
    with pytest.raises(Unavailable):
        office.work()
    assert office.jobs.one(ann, job_id).state is JobState.WAITING


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_worker_that_is_killed_leaves_its_job_to_the_next(
    database: Database, database_url: str, tmp_path: Path, form: str
) -> None:
    """Killed in the middle of a row; the file is whole and right, and nothing else is left."""
    write_calls(database, 5000)
    office = Office(database, tmp_path / "jobs")
    ann = office.user()
    job_id = office.ask(ann, format=form)
    with subprocess.Popen(
        [sys.executable, "-m", "tests.flows.jobbing", database_url, str(office.folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 2000:
                os.kill(process.pid, signal.SIGKILL)
                break
    assert process.wait() == -signal.SIGKILL
    (left,) = office.folders()
    assert list((office.folder / left).iterdir()) != []
    assert office.jobs.one(ann, job_id).state is JobState.RUNNING
    assert office.work() == []  # its lease has not run out

    office.now = UnixMillis(NOW + jobs.LEASE_MS + 1)
    assert [w.state for w in office.work()] == [JobState.DONE]
    wanted = [f"cs1{n:08}" for n in reversed(range(5000))]
    path = office.jobs.file(ann, job_id, address=None).path
    if form == "csv":
        assert [row[0] for row in rows_of(path.read_text())] == wanted
    else:
        cells = openpyxl.load_workbook(path)["Calls"].iter_rows(values_only=True)
        assert [row[0] for row in cells][1:] == wanted
    again = Office(database, tmp_path / "jobs")
    again.now = office.now
    assert again.work() == []
    assert office.folders() == [path.parent.name]


def test_a_job_that_kills_its_workers_is_given_up(database: Database, tmp_path: Path) -> None:
    """Three are enough; a server that is ended again and again serves nobody."""
    office = Office(database, tmp_path / "jobs")
    ann = office.user()
    job_id = office.ask(ann)
    for _ in range(jobs.MAX_TRIES):
        with database.write() as conn:
            assert jobs.claim(conn, office.now) is not None
        office.now = UnixMillis(office.now + jobs.LEASE_MS)
    (worked,) = office.work()
    assert worked.state is JobState.FAILED
    assert "Ask for less" in (office.jobs.one(ann, job_id).told or "")


def test_a_worker_that_was_held_up_does_not_write_over_the_next(
    database: Database, tmp_path: Path
) -> None:
    """Its lease ran out; what it finished is thrown away."""
    office = Office(database, tmp_path / "jobs")

    def steps() -> Iterator[object]:
        """Be away for a minute, while another takes the job."""
        yield "old"
        office.now = UnixMillis(office.now + jobs.LEASE_MS)
        with database.write() as conn:
            assert jobs.claim(conn, office.now) is not None

    office = Office(database, tmp_path / "jobs", steps=Steps(steps()))
    ann = office.user()
    job_id = office.ask(ann, "steps")
    assert office.work() == []
    assert office.folders() == []
    assert office.jobs.one(ann, job_id).state is JobState.RUNNING
