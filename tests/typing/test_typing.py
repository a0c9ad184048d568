"""What must not type-check does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_no_wiring_past_the_obfuscator_type_checks(tmp_path: Path) -> None:
    """Each wrong line is marked; a mark that is not needed any more is an error here."""
    checked = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--warn-unused-ignores",
            f"--cache-dir={tmp_path}",
            "--follow-imports=silent",
            "tests/typing/safe_sound.py",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
