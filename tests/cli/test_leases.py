"""``callreel lease``, over a real data folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from callreel.access.identity import principal_of
from callreel.bootstrap import Serving, open_intake, open_serving
from callreel.cli.main import main
from callreel.cli.options import settings_of
from callreel.db import audit, users
from callreel.db.call_filter import CallFilter
from callreel.errors import Forbidden
from callreel.flows.entry import CallEntry, SoundFile
from callreel.flows.ticket import TicketOrder
from callreel.model import Direction, UnixMillis
from tests.pages.town import talk, write_wav


def run(data: Path, *arguments: str) -> Result:
    """One command."""
    return CliRunner().invoke(main, [*arguments, "--data", str(data)])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An installation with an integrator and a recording."""
    data = tmp_path / "data"
    assert run(data, "init").exit_code == 0
    assert run(data, "user", "add", "crm", "--role", "integrator").exit_code == 0
    write_wav(tmp_path / "a.wav", *talk(4, 1))
    importing = open_intake(settings_of(data))
    try:
        entry = CallEntry(
            datasource="1",
            source_key="a",
            origin="a",
            started_at=UnixMillis(1_790_000_000_000),
            duration_s=4.0,
            direction=Direction.INBOUND,
            from_number="01632960001",
            to_number="2104",
            voicefilename="a",
            audio=SoundFile(tmp_path, "a.wav"),
        )
        (taken,) = importing.intake.take([entry], actor="test")
        assert taken.recording_id is not None
    finally:
        importing.close()
    return data


def begin(serving: Serving) -> str:
    """Open a link; gives the secret of its lease."""
    with serving.base.db.read() as conn:
        user = users.by_name(conn, "crm")
    assert user is not None
    crm = principal_of(user, "basic")
    (call,) = serving.web.browse.calls(crm, CallFilter(), 10, None).items
    recording = call.recording_id
    assert recording is not None
    issued = serving.web.tickets.issue(crm, recording, TicketOrder("Zoë of Brightwater"), None)
    return serving.web.pages.leases.begin(issued.url.rpartition("/")[2], None).secret


def test_leases_are_listed_and_revoked(data: Path) -> None:
    """With who asked and for whom; a secret is not among it, and what is revoked is over."""
    serving = open_serving(settings_of(data))
    try:
        secret = begin(serving)
        listed = run(data, "lease", "list")
        (line,) = listed.output.splitlines()
        name, username, *_, kind = line.split("\t")
        assert (username, kind) == ("crm", "listen")
        assert secret not in listed.output
        assert serving.web.pages.leases.find(secret).lease.name == name
        revoked = run(data, "lease", "revoke", name)
        assert (revoked.exit_code, revoked.output) == (0, f"{name}: revoked.\n")
        with pytest.raises(Forbidden):
            serving.web.pages.leases.find(secret)
        assert run(data, "lease", "list").output == ""
        with serving.base.db.read() as conn:
            told = [entry for entry in audit.entries(conn) if entry.action == "lease.revoke"]
        assert [(entry.actor, entry.detail) for entry in told] == [("command", {"lease": name})]
    finally:
        serving.close()


@pytest.mark.parametrize(("name", "code"), [("0" * 16, 5), ("%", 2), ("0" * 15, 2), ("", 2)])
def test_what_is_no_lease_is_not_revoked(data: Path, name: str, code: int) -> None:
    """And nothing that only begins like one."""
    assert run(data, "lease", "revoke", name).exit_code == code
