"""No signal is lost or stored twice, at whatever step an import of events is killed (F1)."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.imports.switch_lines import AGENT, cel, cel_keys


def test_an_import_of_events_killed_at_any_step_is_completed_by_the_next(tmp_path: Path) -> None:
    """Every statement and commit is a step. After each: a sound database, masks that fit their
    seal, every signal there that was told. A second run ends where an undisturbed one ends.
    """
    source = tmp_path / "cel.csv"
    lines = [
        cel("mask", 5),
        cel("unmask", 7),
        *cel_keys("*5", 10),
        *cel_keys("*6", 14),
        cel("mask", 20, linkedid=AGENT),
    ]
    source.write_text("\n".join(lines) + "\n")
    work = tmp_path / "work"
    work.mkdir()
    program = [sys.executable, "-m", "tests.imports.killing_events", str(source), str(work)]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        program, capture_output=True, text=True, check=False, timeout=600, cwd=root
    )
    assert done.returncode == 0, done.stderr
    whole, *steps = [json.loads(line) for line in done.stdout.splitlines()]
    assert whole["signals"] == whole["told"] == 5
    assert len(steps) == whole["steps"] > 40
    assert [step for step in steps if step["faults"] or step["differs"]] == []
    assert {step["status"] for step in steps} == {int(signal.SIGKILL)}
