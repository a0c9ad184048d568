"""Setting up an installation from the command line, as an administrator does."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from callreel.bootstrap import open_base
from callreel.cli.main import main
from callreel.db import audit, users
from callreel.model import Role
from callreel.settings import load_settings


def run(*arguments: str, given: str = "") -> Result:
    """The command in this process."""
    return CliRunner().invoke(main, arguments, input=given)


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A data folder that was set up."""
    folder = str(tmp_path / "data")
    assert run("init", "--data", folder).exit_code == 0
    return folder


def test_init_makes_everything_private_and_shows_the_password_once(tmp_path: Path) -> None:
    """Keys, database, folder and the first administrator."""
    folder = tmp_path / "data"
    done = run("init", "--data", str(folder))
    assert done.exit_code == 0
    password = re.search(r"Password \(shown this once\): (\S{15,})", done.output)
    assert password is not None
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (folder, folder / "keys.json")]
    assert modes == [0o700, 0o600]
    assert stat.S_IMODE((folder / "callreel.db").stat().st_mode) == 0o600
    assert password.group(1).encode() not in (folder / "callreel.db").read_bytes()
    again = run("init", "--data", str(folder))
    assert (again.exit_code, "is set up already" in again.output) == (2, True)
    assert "Password" not in again.output


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["serve"], "Run 'callreel init --data"),
        (["user", "list"], "Run 'callreel init --data"),
        (["migrate"], "Run 'callreel init --data"),
    ],
)
def test_without_a_data_folder_a_command_says_what_to_run(
    tmp_path: Path, arguments: list[str], complaint: str
) -> None:
    """One line, exit code 2."""
    done = run(*arguments, "--data", str(tmp_path / "none"))
    assert done.exit_code == 2
    assert complaint in done.output


def test_serve_refuses_to_start_without_keys(tmp_path: Path) -> None:
    """An empty folder has none."""
    done = run("serve", "--data", str(tmp_path), "--port", "1")
    assert done.exit_code == 2
    done = run("serve", "--data", str(tmp_path), "--port", str(free_port()))
    assert done.exit_code == 2
    assert "There are no keys" in done.output


def free_port() -> int:
    """A port that nobody uses now, with the next one free as well by all likelihood."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return min(int(probe.getsockname()[1]), 65_000)


def test_a_port_in_use_is_named(data: str) -> None:
    """And how to mend it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("serve", "--data", data, "--port", str(port), "--echo-port", str(free_port()))
    assert done.exit_code == 2
    assert f"port {port}" in done.output
    assert "--port" in done.output


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """A file is in the way."""
    (tmp_path / "file").write_text("")
    done = run("init", "--data", str(tmp_path / "file" / "data"))
    assert done.exit_code == 2
    assert "Cannot make the data folder" in done.output


def test_plain_http_off_loopback_is_warned_about(data: str) -> None:
    """Loudly, before anything is served; a bad certificate is a fault."""
    port = str(free_port())
    done = run("serve", "--data", data, "--host", "0.0.0.0", "--port", port, "--tls-cert", "/none")  # noqa: S104  # never listened on: the settings are refused
    assert done.exit_code == 2
    assert "both or neither" in done.output


def test_users_are_added_changed_disabled_and_listed(data: str) -> None:
    """Each command does one thing and leaves an audit row."""
    run("site", "list", "--data", data)
    assert run("user", "add", "ann", "--role", "auditor", "--data", data).exit_code == 0
    given = "a password of mine!\n"
    added = run(
        "user",
        "add",
        "bob",
        "--role",
        "integrator",
        "--password-stdin",
        "--data",
        data,
        given=given,
    )
    assert "Password" not in added.output
    assert run("user", "passwd", "ann", "--data", data).exit_code == 0
    assert run("user", "disable", "ANN", "--data", data).exit_code == 0
    listed = run("user", "list", "--data", data).output.splitlines()
    assert [line.split("\t")[0:2] + line.split("\t")[3:] for line in listed] == [
        ["admin", "administrator", "active"],
        ["ann", "auditor", "disabled"],
        ["bob", "integrator", "active"],
    ]
    base = open_base(load_settings(Path(data), {}))
    with base.db.read() as conn:
        actions = [entry.action for entry in audit.entries(conn)]
        ann = users.by_name(conn, "ann")
    base.close()
    assert actions == ["user.add", "user.add", "user.add", "user.passwd", "user.disable"]
    assert ann is not None
    assert (ann.role, ann.password_version, ann.disabled) == (Role.AUDITOR, 2, True)


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (["user", "add", "ADMIN", "--role", "auditor"], 2, "already"),
        (["user", "add", "a:b", "--role", "auditor"], 2, "colon"),
        (["user", "add", "x", "--role", "king"], 2, "administrator"),
        (["user", "add", "x", "--role", "auditor", "--site", "Nowhere"], 5, "Nowhere"),
        (["user", "add", "x", "--role", "auditor", "--site", "1", "--everything"], 2, "without"),
        (["user", "passwd", "nobody"], 5, "nobody"),
        (["user", "disable", "nobody"], 5, "nobody"),
        (["key", "add", "nobody"], 5, "nobody"),
        (["key", "revoke", "nothing"], 5, "nothing"),
        (["site", "set", "Nowhere", "--pad", "1"], 5, "none yet"),
        (["site", "set", "x", "--echo-url", "ftp://x"], 2, "not an address"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(
    data: str, arguments: list[str], code: int, complaint: str
) -> None:
    """With the documented exit code, and nothing changed."""
    done = run(*arguments, "--data", data)
    assert (done.exit_code, complaint in done.output) == (code, True), done.output
    assert len(run("user", "list", "--data", data).output.splitlines()) == 1


def test_a_short_password_is_refused(data: str) -> None:
    """Fifteen characters, since there is no second factor."""
    given = "short\n"
    done = run(
        "user", "add", "x", "--role", "auditor", "--password-stdin", "--data", data, given=given
    )
    assert done.exit_code == 2
    assert "15" in done.output


def test_keys_are_shown_once_and_revoked(data: str) -> None:
    """The list never holds a secret."""
    made = re.search(
        r"Key (\S+) \(shown this once\): (crk_\S+)",
        run("key", "add", "admin", "--label", "crm", "--data", data).output,
    )
    assert made is not None
    listed = run("key", "list", "--data", data).output
    assert made.group(2) not in listed
    assert listed.split("\t")[1:] == ["admin", "crm", "active\n"]
    assert run("key", "revoke", made.group(1), "--data", data).exit_code == 0
    assert run("key", "list", "--data", data).output.endswith("revoked\n")


def test_a_wrong_setting_stops_every_command(data: str) -> None:
    """The file, the key and what was meant are named."""
    (Path(data) / "callreel.toml").write_text("[server]\nprot = 1\n")
    done = run("user", "list", "--data", data)
    assert done.exit_code == 2
    assert "did you mean 'port'" in done.output


def test_an_older_database_asks_to_be_migrated(data: str) -> None:
    """And migrate brings it up to date."""
    (Path(data) / "callreel.db").unlink()
    done = run("user", "list", "--data", data)
    assert (done.exit_code, "callreel migrate" in done.output) == (2, True)
    assert run("migrate", "--data", data).exit_code == 0
    assert run("user", "list", "--data", data).exit_code == 0


def test_an_unset_variable_is_no_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``--data "$DIR"`` must not make an installation in the folder one happens to be in."""
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["init", "--data", ""])
    assert (done.exit_code, "it is empty; name the data folder" in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_keys_that_could_not_be_written_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk leaves no half of a key file, and init can be run again."""
    sync = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    done = CliRunner().invoke(main, ["init", "--data", str(tmp_path / "d")])
    assert done.exit_code == 2
    assert "keys.json: No space left on device" in done.stderr
    assert list((tmp_path / "d").glob("*key*")) == []
    monkeypatch.setattr(os, "fsync", sync)
    assert CliRunner().invoke(main, ["init", "--data", str(tmp_path / "d")]).exit_code == 0


def test_what_the_database_says_is_told_to_whoever_has_the_command_line(tmp_path: Path) -> None:
    """That it cannot be reached names nothing that could be mended."""
    data = tmp_path / "d"
    assert CliRunner().invoke(main, ["init", "--data", str(data)]).exit_code == 0
    for path in data.glob("callreel.db*"):
        path.unlink()
    (data / "callreel.db").write_bytes(b"no database" * 500)
    done = CliRunner().invoke(main, ["user", "list", "--data", str(data)])
    assert (done.exit_code, "it said: file is not a database" in done.stderr) == (3, True)


def test_a_report_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    """The rows are stored all the same, and what was told so far is summed up."""
    data = tmp_path / "d"
    assert CliRunner().invoke(main, ["init", "--data", str(data)]).exit_code == 0
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.txt").write_text("no sound")
    asked = ["import", "folder", str(tmp_path / "in"), "--data", str(data), "--report", "/dev/full"]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code == 1
    assert "skipped 1; it ended early" in done.stderr
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_role_and_a_reach_are_changed(data: str) -> None:
    """What is not given stays; the last administrator does."""
    assert run("user", "add", "ann", "--role", "auditor", "--data", data).exit_code == 0
    done = run("user", "change", "ann", "--role", "compliance", "--data", data)
    assert done.output == "ann\tcompliance\teverything\tactive\n"
    done = run("user", "change", "ann", "--site", "Nowhere", "--data", data)
    assert (done.exit_code, "Nowhere" in done.output) == (5, True)
    done = run("user", "change", "admin", "--role", "auditor", "--data", data)
    assert (done.exit_code, "last administrator" in done.output) == (2, True)
    done = run("user", "disable", "admin", "--data", data)
    assert (done.exit_code, "last administrator" in done.output) == (2, True)
