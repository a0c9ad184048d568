"""Write what `make test-full` found to a page of the documents.

Run it from the root of the repository with
``python -m tools.keep_test_results RESULTS.xml COVERAGE.json``: the first as pytest writes it with
``--junit-xml``, the second as ``coverage json`` does.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree as ET

PAGE = Path("docs/test-results.md")


@dataclass
class Room:
    """The tests of one folder."""

    tests: int = 0
    not_passed: int = 0
    seconds: float = 0.0
    shown: Counter[str] = field(default_factory=Counter)
    """How often what was counted happened, in all of its tests together."""


def rooms(cases: Iterable[ET.Element]) -> dict[str, Room]:
    """The cases of a report, by folder below ``tests``."""
    found: dict[str, Room] = defaultdict(Room)
    for case in cases:
        room = found["/".join(case.attrib["classname"].split(".")[:2])]
        room.tests += 1
        room.seconds += float(case.attrib["time"])
        room.not_passed += any(case.find(kind) is not None for kind in ("failure", "error"))
        for each in case.iter("property"):
            if each.get("name") == "shown":
                count, what = each.attrib["value"].split(" ", 1)
                room.shown[what] += int(count.replace(",", ""))
    return dict(sorted(found.items()))


def page(found: dict[str, Room], branches: float, commit: str) -> str:
    """The page, as Markdown."""
    rows = [
        f"| `{name}` | {room.tests:,} | {room.not_passed:,} | {room.seconds:,.0f} |"
        for name, room in found.items()
    ]
    total = sum(room.tests for room in found.values())
    failed = sum(room.not_passed for room in found.values())
    shown = [
        f"- {count:,} {what}"
        for room in found.values()
        for what, count in sorted(room.shown.items())
    ]
    return "\n".join(
        [
            "# Results of the last `make test-full`",
            "",
            "`make test-full` writes this page; it runs the counts in full, with new random seeds.",
            "",
            (
                f"At {commit}, Python {platform.python_version()} on {platform.system()} "
                f"{platform.machine()} with {os.cpu_count()} cores: "
                f"{total:,} tests, {failed:,} not passed; "
                f"{branches:.1f} % of the lines and branches of `callreel` taken."
            ),
            "",
            "| tests | count | not passed | seconds |",
            "| --- | ---: | ---: | ---: |",
            *rows,
            "",
            "Counted while they ran:",
            "",
            *shown,
            "",
        ]
    )


def main(results: str, coverage: str) -> None:
    """Write the page."""
    # The file is our own: pytest wrote it a moment ago.
    cases = ET.parse(results).iter("testcase")  # noqa: S314
    branches = json.loads(Path(coverage).read_text(encoding="utf-8"))["totals"]["percent_covered"]
    described = ("git", "describe", "--always", "--dirty", "--exclude=*")
    commit = subprocess.check_output(described, text=True).strip()  # noqa: S603  # a fixed command
    PAGE.write_text(page(rooms(cases), branches, commit), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
