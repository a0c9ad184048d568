"""Masks and those who send meet at a gate (contract.md 3.6)."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from callreel.db import gate
from callreel.db.gate import Gate, hold_sound, open_gate
from callreel.errors import MaskChanged
from callreel.model import RecordingId

ONE, OTHER = RecordingId("r-one"), RecordingId("r-other")
SOON_S = 0.1


def connection() -> Any:  # noqa: ANN401  # what is asked of a Connection here
    """Something with room for what belongs to it."""
    return SimpleNamespace(info={})


@pytest.fixture
def opened(tmp_path: Path) -> Gate:
    """A gate of a database."""
    found = open_gate(tmp_path / "db-gate")
    assert found is not None
    return found


def in_background(work: Callable[[], object]) -> threading.Thread:
    """Run something besides."""
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_mask_waits_until_what_is_being_sent_is_sent(opened: Gate) -> None:
    """And not for another recording."""
    conn = connection()
    holding = opened.hold(conn)
    visit = opened.visit(ONE)
    with visit:
        hold_sound(conn, OTHER)
        masking = in_background(lambda: hold_sound(conn, ONE))
        masking.join(SOON_S)
        assert masking.is_alive()
    masking.join(20)
    assert not masking.is_alive()
    holding.open()
    visit.close()


def test_nothing_is_sent_while_a_transaction_masks(opened: Gate) -> None:
    """Once it is over, whoever sends looks at the mask as it is then."""
    conn = connection()
    holding = opened.hold(conn)
    hold_sound(conn, ONE)
    visit, elsewhere = opened.visit(ONE), opened.visit(OTHER)
    with pytest.raises(MaskChanged), visit:
        pass
    with elsewhere:
        pass
    holding.open()
    entered = False
    with visit:
        entered = True
    assert entered
    assert not conn.info
    visit.close()
    visit.close()
    elsewhere.close()


def test_two_may_send_at_once(opened: Gate) -> None:
    """Each comes out for itself: a mask waits for the last."""
    conn = connection()
    holding = opened.hold(conn)
    first, second = opened.visit(ONE), opened.visit(ONE)
    with first:
        with second:
            pass
        masking = in_background(lambda: hold_sound(conn, ONE))
        masking.join(SOON_S)
        assert masking.is_alive()
    masking.join(20)
    holding.open()
    first.close()
    second.close()


def test_those_who_come_and_go_do_not_keep_a_mask_out(
    opened: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of two is behind the gate all the time, and the mask comes through between them."""
    monkeypatch.setattr(gate, "MOST_WAIT_S", 60.0)
    refused = threading.Event()

    def send(turn: threading.Semaphore, other: threading.Semaphore) -> None:
        visit = opened.visit(ONE)
        until = time.monotonic() + 10
        try:
            assert turn.acquire(timeout=20)
            while time.monotonic() < until and not refused.is_set():
                with visit:
                    # The other one is behind the gate before this one leaves it.
                    other.release()
                    assert turn.acquire(timeout=20)
        except MaskChanged:
            refused.set()
        finally:
            other.release()
            visit.close()

    mine, yours = threading.Semaphore(1), threading.Semaphore(0)
    sending = [
        in_background(lambda: send(mine, yours)),
        in_background(lambda: send(yours, mine)),
    ]
    conn = connection()
    holding = opened.hold(conn)
    hold_sound(conn, ONE)
    for each in sending:
        each.join(30)
    holding.open()
    assert refused.is_set()


def test_a_mask_is_not_refused_because_somebody_stopped_while_sending(
    opened: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second is a thousand times as long as sending takes."""
    monkeypatch.setattr(gate, "MOST_WAIT_S", SOON_S)
    conn = connection()
    holding = opened.hold(conn)
    visit = opened.visit(ONE)
    with visit:
        hold_sound(conn, ONE)
    holding.open()
    visit.close()


_VISIT = """
import sys
from pathlib import Path
from callreel.db.gate import open_gate
visit = open_gate(Path(sys.argv[1])).visit("r-one")
with visit:
    print("behind it", flush=True)
    sys.stdin.read()
"""


def test_gates_are_those_of_all_processes_and_open_when_one_is_killed(
    opened: Gate, tmp_path: Path
) -> None:
    """The command line masks what a server sends."""
    command = [sys.executable, "-c", _VISIT, str(tmp_path / "db-gate")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as sending:
        assert sending.stdout is not None
        assert sending.stdout.readline() == b"behind it\n"
        conn = connection()
        holding = opened.hold(conn)
        masking = in_background(lambda: hold_sound(conn, ONE))
        masking.join(SOON_S)
        assert masking.is_alive()
        sending.kill()
        masking.join(20)
        assert not masking.is_alive()
        holding.open()


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EINVAL, errno.EOPNOTSUPP])
def test_where_files_cannot_be_locked_there_is_no_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """Then no process has one, and all goes out in parts of a second."""

    def refuse(*_args: object) -> None:
        raise OSError(code, "no locks here")

    monkeypatch.setattr(gate.fcntl, "fcntl", refuse)
    assert open_gate(tmp_path / "db-gate") is None


def test_a_gate_that_others_may_have_is_not_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk or a lack of descriptors is of this process alone."""

    def refuse(*_args: object) -> None:
        raise OSError(errno.EMFILE, "too many")

    monkeypatch.setattr(gate.fcntl, "fcntl", refuse)
    with pytest.raises(OSError, match="too many"):
        open_gate(tmp_path / "db-gate")


def test_on_a_system_without_such_locks_there_is_no_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are Linux's."""
    monkeypatch.setattr(gate, "_SET", None)
    assert open_gate(tmp_path / "db-gate") is None
