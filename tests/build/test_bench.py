"""`make bench` goes on working as the code that it measures changes; no time is judged here."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.bars import BARS
from benchmarks.measures import BENCHMARKS
from callreel.audio.formats import FORMATS

ROOT = Path(__file__).parents[2]


def test_every_format_and_peaks_are_measured_beside_a_copy() -> None:
    """One row each, with figures."""
    told = subprocess.run(
        [sys.executable, "-m", "benchmarks.formats", "--minutes", "0.1", "--rounds", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split("|")[1].strip() for line in told.stdout.splitlines() if line.count("|") == 8]
    assert rows[2:] == ["copy of the file", "peaks", *FORMATS]


def test_every_row_of_the_page_comes_from_one_benchmark() -> None:
    """No bar is without a benchmark, and none is measured twice."""
    given = [row for _, rows in BENCHMARKS.values() for row in rows]
    assert sorted(given) == sorted(BARS)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs_small_and_gives_its_rows(name: str) -> None:
    """Both sides of each row are measured, the raw results and the page hold them."""
    out = ROOT / "build" / "bench-test"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--small", "--only", name, "--out", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((out / "small-results.json").read_text())
    page = (out / "small-results.md").read_text()
    for row in BENCHMARKS[name][1]:
        figure = results["figures"][row]
        for side in ("ours", "peer"):
            values = [each["value"] for each in figure[side]]
            assert values, row
            assert all(math.isfinite(value) and value >= 0 for value in values), (row, values)
        assert re.search(rf"^\| {re.escape(BARS[row].what)} \|", page, re.MULTILINE), row
    assert not list(out.glob("work-*"))
