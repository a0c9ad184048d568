"""The page of results in Markdown, and the files of raw results."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.bars import BARS

_HEAD = """# Benchmarks

`make bench` wrote this page: each row beside a peer that was measured in the same run, in turns, in {rounds} rounds or more; medians, with the smallest and the largest in brackets.
[How, and why so](decisions/benchmarks.md).
Where the unit is a time or a size, the ratio is the peer's over ours, so that more is better everywhere; the number that is held against the bar is bold.

{model}, {cores} cores, {memory_gib} GiB, {system}, Linux {kernel}, Python {python}.
{versions}.
Others used {busy:.0%} of the cores before the measurements (the median){warning}.

| what | ours | peer | ratio | bar | moonshot | met |
| --- | ---: | ---: | ---: | ---: | ---: | --- |
"""  # noqa: E501  # one sentence a line
_BUSY = 0.05
_ONCE = {"equal-requests"}
"""Counted, not timed."""
_TOO_SMALL = " **A small run, to see that it works: no figure here says anything about speed**"


def write(results: Mapping[str, Any], page: Path) -> None:
    """Write the page.

    Args:
        results: As ``merged`` gives them.
        page: Where.
    """
    machine = results["machine"]
    rows = list(results["figures"].values())
    rows.sort(key=lambda row: list(BARS).index(row["name"]))
    busy = statistics.median(row["busy"] for row in rows) if rows else 0.0
    warning = ": take the ratios, and them with care" if busy > _BUSY else ""
    versions = ", ".join(f"{name} {each}" for name, each in machine["versions"].items())
    text = _HEAD.format(
        rounds=min((len(row["ours"]) for row in rows if row["name"] not in _ONCE), default=0),
        versions=versions,
        busy=busy,
        warning=warning,
        **{key: machine[key] for key in machine if key not in {"load", "versions"}},
    )
    if results["small"]:
        text = text.replace("\n\n`make bench`", f"\n\n{_TOO_SMALL.strip()}.\n\n`make bench`", 1)
    text += "".join(map(_row, rows))
    missing = [name for name in BARS if name not in results["figures"]]
    if missing:
        text += f"\nNot measured in this run: {', '.join(missing)}.\n"
    noted = [(row["name"], note) for row in rows for note in row["notes"]]
    if noted:
        text += "\n## Notes\n\n" + "".join(f"- {name}: {note}.\n" for name, note in noted)
    page.write_text(text, encoding="utf-8")


def _row(row: Mapping[str, Any]) -> str:
    bar = BARS[row["name"]]
    sides = {}
    for side in ("ours", "peer"):
        values = [each["value"] for each in row[side]]
        sides[side] = f"{_spread(values)} {row['unit']}"
    sides["peer"] += f" ({row['peer_name']})"
    ratio = f"{row['ratio']:.2f}"
    if row["judged"] == "ratio":
        ratio = f"**{ratio}**"
        bound, moon = f"{bar.bar:g}", f"{bar.moonshot:g}"
    else:
        sides["ours"] = f"**{sides['ours']}**"
        bound = f"{bar.bar:,g} {bar.unit}"
        moon = "" if bar.moonshot is None else f"{bar.moonshot:,g} {bar.unit}"
    met = "yes" if row["met"] else "no"
    if row["met"] and bar.moonshot is not None and bar.is_met(row["median"], bar.moonshot):
        met = "moonshot"
    return (
        f"| {bar.what} | {sides['ours']} | {sides['peer']} | {ratio} | {bound} | {moon} | {met} |\n"
    )


def _spread(values: Sequence[float]) -> str:
    middle, low, high = statistics.median(values), min(values), max(values)
    return f"{_number(middle)} [{_number(low)}, {_number(high)}]"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def merged(
    before: Mapping[str, Any] | None, run: Mapping[str, Any], figures: Mapping[str, Any]
) -> dict[str, Any]:
    """A run of some benchmarks, beside what earlier runs on this machine left of the others."""
    kept: dict[str, Any] = {}
    if before is not None:
        kept = {name: row for name, row in before["figures"].items() if name in BARS}
    return {**run, "figures": {**kept, **figures}}


def read(path: Path) -> dict[str, Any] | None:
    """Results that were kept, or None."""
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
