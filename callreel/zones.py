"""Time zones that somebody may choose, by name; the one place that says which there are."""

from __future__ import annotations

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from callreel.errors import BadRequest
from callreel.wording import worded

_NOWHERE = frozenset({"Factory", "localtime", "posixrules"})
"""In the list of zones, and no place: what a machine was made with, or happens to be set to."""


@cache
def zone_names() -> frozenset[str]:
    """The names that ``zone_named`` takes.

    Old names such as ``CET`` or ``GB`` are among them: their rules are the same everywhere.
    """
    return frozenset(available_timezones() - _NOWHERE)


def zone_named(name: object, field: str = "zone") -> ZoneInfo:
    """A time zone that is the same on every machine.

    Args:
        name: Such as ``Europe/London``, written as the list of zones has it.
        field: What is read, for the message.

    Raises:
        BadRequest: There is none of this name, or it is no place's; the message names the field.
    """
    # Not what ZoneInfo takes: that reads any file below its folders, also one with leap seconds.
    if not isinstance(name, str) or name not in zone_names():
        raise BadRequest(
            worded(
                "%(field)s: %(name)s is not a time zone such as Europe/London.",
                field=field,
                name=repr(str(name)[:40]),
            )
        )
    return ZoneInfo(name)
