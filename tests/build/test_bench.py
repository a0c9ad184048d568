"""`make bench` goes on working as the code that it measures changes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from callreel.audio.formats import FORMATS

ROOT = Path(__file__).parents[2]


def test_every_format_and_peaks_are_measured_beside_a_copy() -> None:
    """One row each, with figures."""
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--minutes", "0.1", "--rounds", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("|")[1].strip() for line in told.stdout.splitlines() if line.count("|") == 8]
    assert rows[2:] == ["copy of the file", "peaks", *FORMATS]
