"""The commands for jobs and schedules, over a real data folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from callreel.cli.main import main
from callreel.cli.schedules import NOT_SENT
from callreel.db import audit, users
from callreel.db.database import open_database
from callreel.flows.making import principal_now
from tests.flows.jobbing import Office, write_calls
from tests.flows.post import free_port, post


def run(*arguments: str) -> Result:
    """One command."""
    return CliRunner().invoke(main, arguments)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An installation with seven calls and a supervisor."""
    data = tmp_path / "data"
    assert run("init", "--data", str(data)).exit_code == 0
    assert run("user", "add", "ann", "--role", "supervisor", "--data", str(data)).exit_code == 0
    db = open_database(f"sqlite:///{data / 'callreel.db'}")
    write_calls(db, 7)
    db.close()
    return data


def settings(data: Path, port: int) -> None:
    """Name a mail server and a folder."""
    (data / "shelf").mkdir(exist_ok=True)
    (data / "callreel.toml").write_text(
        f"[mail]\nhost = '127.0.0.1'\nport = {port}\nsecurity = 'none'\n"
        f"sender = 'callreel@example.org'\n[schedules]\nfolder = '{data / 'shelf'}'\n"
    )


def test_a_schedule_is_added_run_rested_and_removed(data: Path) -> None:
    """From the command line, with what came of it."""
    at = ("--data", str(data))
    with post() as server:
        settings(data, server.port)
        added = run(
            *("schedule", "add", "Morning", "--owner", "ann", "--set", "period=2026-05-28"),
            *("--set", 'filter={"direction": "inbound"}', "--set", "format=csv-spreadsheet"),
            *("--every", "weekly", "--on", "mon", "--at", "07:30", "--zone", "Europe/London"),
            *("--to", "ann@example.org", "--folder", "lists", *at),
        )
        assert added.exit_code == 0, added.output
        assert "every Monday at 07:30 (Europe/London); next 20" in added.output
        found = added.output.split()[1].rstrip(",")
        done = run("schedule", "run", found, *at)
        assert done.exit_code == 0, done.output
        assert done.output.startswith("sent: 4 rows. Put into lists as Morning-")
        assert done.output.endswith("Mailed to ann@example.org.\n")
        assert len(server.letters) == 1
    listed = run("schedule", "list", *at).output.rstrip("\n").split("\t")
    assert listed[:4] == [found, "ann", "Morning", "calls"]
    assert listed[5] == "ann@example.org, lists/"
    assert listed[6].startswith("next ")
    assert listed[7].startswith("sent: ")
    assert run("schedule", "disable", found, *at).output == f"{found}: disabled.\n"
    assert "\tdisabled\t" in run("schedule", "list", *at).output
    settings(data, free_port())
    failed = run("schedule", "run", found, *at)
    assert failed.exit_code == NOT_SENT
    assert "cannot be reached" in failed.output
    assert run("schedule", "enable", found, *at).output == f"{found}: enabled.\n"
    assert run("schedule", "remove", found, *at).exit_code == 0
    assert run("schedule", "list", *at).output == ""
    assert run("schedule", "run", found, *at).exit_code == 5
    db = open_database(f"sqlite:///{data / 'callreel.db'}")
    with db.read() as conn:
        actors = {e.actor for e in audit.entries(conn, object_id=found)}
    db.close()
    assert actors == {"command", "schedule"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("--at", "25:00"), "--at"),
        (("--at", "7"), "--at"),
        (("--every", "weekly", "--on", "someday"), "--on"),
        (("--every", "monthly", "--on", "32"), "day"),
        (("--set", "period"), "--set"),
        (("--set", "filter={"), "--set filter"),
        (("--zone", "Mars"), "zone"),
        (("--to", "nobody"), "recipients"),
        (("--kind", "songs"), "kind"),
        (("--owner", "bob"), "bob"),
    ],
)
def test_what_is_wrong_is_named(data: Path, given: tuple[str, ...], named: str) -> None:
    """And nothing is added."""
    settings(data, 25)
    usual = ("--owner", "ann", "--to", "ann@example.org", "--data", str(data))
    done = run("schedule", "add", "Morning", *usual, *given)
    assert done.exit_code in {2, 5}
    assert named in done.output
    assert run("schedule", "list", "--data", str(data)).output == ""


def test_jobs_are_listed_and_ended(data: Path) -> None:
    """Of everybody, by whoever has the data folder."""
    db = open_database(f"sqlite:///{data / 'callreel.db'}")
    office = Office(db, data / "jobs")
    with db.read() as conn:
        user = users.by_name(conn, "ann")
    assert user is not None
    ann = principal_now(db, user.id)
    job_id = office.ask(ann)
    first = run("jobs", "--data", str(data)).output.rstrip("\n").split("\t")
    assert first[:5] == [job_id, "ann", "calls", "waiting", "0"]
    assert run("jobs", "--cancel", job_id, "--data", str(data)).exit_code == 0
    again = run("jobs", "--cancel", job_id, "--data", str(data))
    assert (again.exit_code, "ended already" in again.output) == (2, True)
    assert run("jobs", "--cancel", "j1", "--data", str(data)).exit_code == 5
    assert "\tcancelled\t" in run("jobs", "--data", str(data)).output
    db.close()
