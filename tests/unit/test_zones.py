"""Time zones that somebody may choose."""

from __future__ import annotations

import re
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

import pytest

import callreel
from callreel.errors import BadRequest
from callreel.zones import zone_named, zone_names

SOURCE = Path(callreel.__file__).parent
NOWHERE = [
    "localtime", "Factory", "posixrules", "posix/Europe/London", "right/Europe/London", "Europe",
    "europe/london", "Europe/London ", "../../etc/passwd", "/usr/share/zoneinfo/Europe/London",
    "leapseconds", "", "Mars/Base", "Europe/London\0", "x" * 5000, 7, None, ["UTC"],
]  # fmt: skip
"""Python's own class takes the first five, where the machine has them."""


@pytest.mark.parametrize("name", NOWHERE, ids=lambda name: str(name)[:30])
def test_what_is_no_place_is_refused(name: object) -> None:
    """Also what Python could read; the message names the field."""
    with pytest.raises(
        BadRequest, match=r"^timezone: ['\"].*['\"] is not a time zone such as"
    ) as no:
        zone_named(name, "timezone")
    assert len(no.value.message) < 120


@pytest.mark.parametrize("name", ["UTC", "Europe/London", "Asia/Kolkata", "CET", "Etc/GMT+5"])
def test_a_zone_is_found_by_its_name(name: str) -> None:
    """Those that are the same on every machine."""
    assert zone_named(name) == ZoneInfo(name)


def test_every_other_zone_of_the_list_can_be_chosen() -> None:
    """Nothing is lost beside what is no place."""
    assert available_timezones() - zone_names() <= {"localtime", "Factory", "posixrules"}
    assert {zone_named(name).key for name in zone_names()} == zone_names()


def test_nobody_else_decides_which_zones_there_are() -> None:
    """One function: a second list would let in what the first refuses."""
    others = [
        path.relative_to(SOURCE).as_posix()
        for path in sorted(SOURCE.rglob("*.py"))
        if re.search(r"available_timezones|ZoneInfoNotFoundError", path.read_text("utf-8"))
    ]
    assert others == ["zones.py"]
