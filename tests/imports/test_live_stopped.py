"""``callreel live`` from start to end: sockets, signals, a kill, a database that is away."""

from __future__ import annotations

import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from callreel.bootstrap import system_clock
from callreel.cli.main import main
from tests.imports.switch_lines import ami, cel
from tests.imports.test_live import PROGRAM, shown, until


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An empty data folder."""
    path = tmp_path / "data"
    assert CliRunner().invoke(main, ["init", "--data", str(path)]).exit_code == 0
    return path


@contextmanager
def feeding(
    data: Path, kind: str, *arguments: str, stdin: int | socket.socket = subprocess.DEVNULL
) -> Iterator[subprocess.Popen[str]]:
    """The command at work; killed at the end if it still is."""
    command = [*PROGRAM, "live", kind, *arguments, "--data", str(data), "--datasource", "7"]
    with subprocess.Popen(command, stdin=stdin, stderr=subprocess.PIPE, text=True) as feed:
        try:
            yield feed
        finally:
            feed.kill()


def sum_of(feed: subprocess.Popen[str]) -> str:
    """What it said on standard error; it ended without an error."""
    assert feed.wait(30) == 0
    assert feed.stderr is not None
    return feed.stderr.read()


def leg(kind: str, number: int) -> str:
    """A line of CEL about a leg of its own that begins or ends now."""
    now_s = system_clock() / 1000
    born = f"{int(now_s)}.{number}"
    return cel(kind, 0, eventtime=f"{now_s:.6f}", uniqueid=born, linkedid=born) + "\n"


def test_a_log_of_asterisk_is_followed_until_it_is_told_to_stop(data: Path, tmp_path: Path) -> None:
    """Lines are taken when they are whole; the sum is told at the end."""
    path = tmp_path / "cel.csv"
    first, second = leg("CHAN_START", 1), leg("CHAN_START", 2)
    path.write_text(first + second[:40])
    with feeding(data, "asterisk-cel", str(path), "--follow") as feed:
        until(data, ["ringing"])
        with path.open("a") as file:
            file.write(second[40:])
        until(data, ["ringing", "ringing"])
        feed.send_signal(signal.SIGTERM)
        assert sum_of(feed).endswith(
            "news of legs 2, signals 0, events of other kinds 0, not readable 0, too old 0\n"
        )


def test_a_socket_may_be_standard_input(data: Path) -> None:
    """As a service manager or a shell gives it."""
    ours, theirs = socket.socketpair()
    with ours, theirs, feeding(data, "asterisk-ami", "-", stdin=theirs) as feed:
        now_s = system_clock() // 1000
        ids = {"Uniqueid": f"{now_s}.1", "Linkedid": f"{now_s}.1"}
        ours.sendall(ami("Newchannel", None, **ids).encode())
        until(data, ["talking"])
        ours.shutdown(socket.SHUT_WR)
        assert "news of legs 1" in sum_of(feed)


def test_after_a_kill_it_goes_on_where_the_log_is(data: Path, tmp_path: Path) -> None:
    """What it read before changes nothing, and what ended meanwhile has ended."""
    path = tmp_path / "cel.csv"
    begins = leg("CHAN_START", 1)
    path.write_text(begins)
    with feeding(data, "asterisk-cel", str(path), "--follow") as feed:
        (before,) = until(data, ["ringing"])
        feed.send_signal(signal.SIGKILL)
        feed.wait(30)
    assert shown(data) == (before,)
    old = cel("CHAN_START", -99_999_999, uniqueid="1.1", linkedid="1.1") + "\n"
    path.write_text(old + begins + begins.replace("CHAN_START", "HANGUP"))
    with feeding(data, "asterisk-cel", str(path)) as feed:
        assert "news of legs 2, " in (told := sum_of(feed))
        assert told.endswith("not readable 0, too old 1\n")
    assert shown(data) == ()


def test_it_waits_for_a_database_that_is_away(data: Path, tmp_path: Path) -> None:
    """It says so once, loses nothing, and can be stopped meanwhile."""
    path = tmp_path / "cel.csv"
    path.touch()
    with feeding(data, "asterisk-cel", str(path), "--follow") as feed:
        path.write_text(leg("CHAN_START", 1))
        until(data, ["ringing"])
        with closing(sqlite3.connect(data / "callreel.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with path.open("a") as file:
                file.write(leg("CHAN_START", 2))
            time.sleep(8)
        until(data, ["ringing", "ringing"])
        with closing(sqlite3.connect(data / "callreel.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with path.open("a") as file:
                file.write(leg("CHAN_START", 3))
            time.sleep(1)
            feed.send_signal(signal.SIGTERM)
            told = sum_of(feed)
    assert told.count("waiting: ") == 2
    assert len(shown(data)) == 2
