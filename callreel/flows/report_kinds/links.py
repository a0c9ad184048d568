"""From the link of a number to the filter that finds its calls."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

from callreel.db.call_filter import CallFilter
from callreel.db.clock_times import ClockTime
from callreel.db.terms import Field, Term
from callreel.flows.report_kinds.shape import Link
from callreel.model import Direction, Disposition, UnixMillis


def filter_of(link: Link) -> CallFilter:
    """The filter that a link stands for; its keys are explained at ``Link``."""
    found: dict[str, Any] = {}
    for key, value in link.items():
        if key in _PLAIN:
            found[_PLAIN[key]] = value
        elif key == "dir":
            found["direction"] = Direction(str(value))
        elif key == "state":
            found["disposition"] = Disposition(str(value))
        elif key in {"rec", "mask", "proposed"}:
            found[key] = value == "yes"
        elif key == "outside":
            found["either"] = (tuple(CallFilter(direction=each) for each in OUTSIDE),)
        elif key == "call":
            found["terms"] = (Term(Field.ID, str(value)),)
    if "time" in link or "weekday" in link:
        begin, _, end = str(link.get("time", "00:00-24:00")).partition("-")
        found["clock"] = ClockTime(
            ZoneInfo(str(link["zone"])),
            UnixMillis(int(link["since"])),
            UnixMillis(int(link["until"])),
            _minutes(begin),
            _minutes(end),
            int(link["weekday"]) if "weekday" in link else None,
        )
    return CallFilter(**found)


OUTSIDE = tuple(each for each in Direction if each is not Direction.INTERNAL)
"""Calls that take a line."""
_PLAIN = {
    "since": "since",
    "until": "until",
    "site": "site_id",
    "grp": "group_id",
    "ext": "ext",
    "party": "party",
    "during": "during",
}


def _minutes(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)
