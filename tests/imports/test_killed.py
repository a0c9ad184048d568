"""Nothing is lost, and nothing partial is seen, at whatever step an import is killed (F1)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

WriteWav = Callable[..., Path]
WriteSidecar = Callable[..., Path]


def _folder(source: Path, write_wav: WriteWav, write_sidecar: WriteSidecar) -> int:
    """A transferred call with spans on both legs, and sound that cannot be played."""
    times = {"started_at": "2026-11-23T09:30:00Z", "extension": "2104"}
    write_wav(source / "leg1.wav", seed=1)
    write_sidecar(
        source / "leg1.json",
        voicefilename="MASKED",
        spans=[{"start_s": 0, "end_s": 0.01}],
        **times,
    )
    write_sidecar(
        source / "leg2.json",
        recording="leg1.wav",
        spans=[{"start_s": 0.02, "end_s": 0.03}],
        **times,
    )
    (source / "broken.wav").write_bytes(b"RIFF\x04\0\0\0WAVE")
    return 3


def _asterisk(source: Path, write_wav: WriteWav, _write_sidecar: WriteSidecar) -> int:
    """Two calls, one with a recording."""
    rows = []
    for number in range(2):
        unique = f"179542620{number}.9"
        if number:
            write_wav(source / f"x-20261123-093000-{unique}.wav", seed=number)
        rows.append(
            f'"","01632960111","210{number}","from-trunk","","SIP/t-0000000{number}",'
            f'"SIP/210{number}-0000000{number}","Dial","","2026-11-23 09:30:00","",'
            f'"2026-11-23 09:31:00",60,55,"ANSWERED","DOCUMENTATION","{unique}",""'
        )
    (source / "Master.csv").write_text("\n".join(rows) + "\n")
    return 2


@pytest.mark.parametrize("kind", ["folder", "asterisk"])
def test_an_import_killed_at_any_step_loses_nothing_and_is_completed_by_the_next(
    tmp_path: Path, write_wav: WriteWav, write_sidecar: WriteSidecar, kind: str
) -> None:
    """Every system call that changes the disk and every statement and commit of the database is a
    step. After each: no partial object under a final name, a sound database, no call without its
    sound, no recording that is seen before it is masked, every acknowledged call there. A second
    run ends where an undisturbed one ends.
    """
    source = tmp_path / "source"
    source.mkdir()
    make = {"folder": _folder, "asterisk": _asterisk}[kind]
    expected_calls = make(source, write_wav, write_sidecar)
    work = tmp_path / "work"
    work.mkdir()
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killing.py")), kind, str(source), str(work)],
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    whole, *steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert whole["calls"] == whole["told"] == expected_calls
    assert len(steps) == whole["steps"] > 60
    wrong = [step for step in steps if step["faults"] or step["differs"]]
    assert wrong == []
    assert {step["status"] for step in steps} == {int(signal.SIGKILL)}
