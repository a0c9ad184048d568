"""A burn-in that is killed at any step ends masked once, with nothing left behind (must-show 6)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.counts import Shown

ROOT = Path(__file__).parents[2]


def test_a_burn_in_killed_at_any_step_is_completed_by_the_next(
    tmp_path: Path, shown: Shown
) -> None:
    """Each system call that changes the disk and each statement and commit is a step. After each, a
    mask comes in and the burn-in runs again: the store, the cache and the database hold no byte of
    the speech, the store holds one object, and the audit log is complete.
    """
    told = subprocess.run(
        [sys.executable, "-m", "tests.flows.burning", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    found = json.loads(told.stdout)
    assert found["wrong"] == {}
    assert found["steps"] > 40
    for _ in range(found["steps"]):
        shown.one("steps of a burn-in killed and completed")
