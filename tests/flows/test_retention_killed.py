"""A round of retention that is killed at any step ends as one that was not (threats.md F2)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.counts import Shown

ROOT = Path(__file__).parents[2]


def test_retention_killed_at_any_step_is_completed_by_the_next_round(
    tmp_path: Path, shown: Shown
) -> None:
    """Each system call that changes the disk and each statement and commit is a step. After each,
    two rounds follow: what was too old is gone from store and cache, what is on hold or shared is
    there, and the audit log tells of each deletion once.
    """
    told = subprocess.run(
        [sys.executable, "-m", "tests.flows.retaining", str(tmp_path)],
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
        shown.one("steps of a retention round killed and completed")
