"""When a schedule runs: a local time on some days of a zone, as instants. Pure.

Each day that it names has one run. Where clocks go forward over its time it runs at the moment at
which they do, the next time that there is; where its time comes twice it runs at the first.
"""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Literal, cast, get_args
from zoneinfo import ZoneInfo

from callreel.errors import BadRequest
from callreel.model import UnixMillis
from callreel.periods import WEEKDAYS, instant_of, local
from callreel.wording import Wording, to_translate, worded
from callreel.zones import zone_named

Every = Literal["daily", "weekly", "monthly"]
_DAY = timedelta(days=1)
_MINUTES = 24 * 60


@dataclass(frozen=True, slots=True)
class When:
    """A local time on some days."""

    every: Every
    day: int | None
    """``weekly``: 0 for Monday to 6; ``monthly``: 1 to 31, the last day of a shorter month;
    ``daily``: None."""
    minute: int
    """Since midnight, 0 to 1439, as the clock on the wall counts."""
    zone: str
    """Such as ``Europe/London``."""


def checked_when(every: str, day: int | None, minute: int, zone: str) -> When:
    """A timetable that can be kept.

    Raises:
        BadRequest: It cannot; the message names what.
    """
    if every not in get_args(Every):
        raise BadRequest(
            worded(
                "every: %(every)s is not one of %(known)s.",
                every=repr(every),
                known=", ".join(get_args(Every)),
            )
        )
    first, last = {"weekly": (0, 6), "monthly": (1, 31)}.get(every, (0, 0))
    if every == "daily":
        if day is not None:
            raise BadRequest(to_translate("day: a daily schedule has none."))
    elif day is None or not first <= day <= last:
        raise BadRequest(
            worded(
                "day: a %(every)s schedule needs one from %(first)s to %(last)s.",
                every=every,
                first=first,
                last=last,
            )
        )
    if not 0 <= minute < _MINUTES:
        raise BadRequest(to_translate("at: not a time of day such as 07:30."))
    zone_named(zone)
    return When(cast("Every", every), day, minute, zone)


def next_after(when: When, after: UnixMillis) -> UnixMillis:
    """The first run later than an instant."""
    zone = ZoneInfo(when.zone)
    # A day back: where clocks went forward over midnight yesterday's run is today.
    day = local(after, zone).date() - _DAY
    while True:
        if _runs_on(when, day):
            at = _instant(day, when.minute, zone)
            if at > after:
                return at
        day += _DAY


def latest_until(when: When, first: UnixMillis, now: UnixMillis) -> UnixMillis:
    """The last run at or before ``now``, where ``first`` is one that is due.

    What was missed while no server ran is made up once, for the moment that was missed last.
    """
    found = first
    while (following := next_after(when, found)) <= now:
        found = following
    return found


def in_words(when: When) -> Wording:
    """A timetable for people."""
    time = f"{when.minute // 60:02}:{when.minute % 60:02}"
    if when.every == "weekly" and when.day is not None:
        day = WEEKDAYS[when.day]
        return worded("every %(day)s at %(time)s (%(zone)s)", day=day, time=time, zone=when.zone)
    if when.every == "monthly":
        return worded(
            "on day %(day)s of every month at %(time)s (%(zone)s)",
            day=str(when.day),
            time=time,
            zone=when.zone,
        )
    return worded("every day at %(time)s (%(zone)s)", time=time, zone=when.zone)


def _runs_on(when: When, day: date) -> bool:
    if when.every == "weekly":
        return day.weekday() == when.day
    if when.every == "monthly":
        return day.day == min(when.day or 1, calendar.monthrange(day.year, day.month)[1])
    return True


def _instant(day: date, minute: int, zone: ZoneInfo) -> UnixMillis:
    wall = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=zone)
    behind = wall.astimezone(UTC)
    if behind.astimezone(zone).replace(tzinfo=None) == wall.replace(tzinfo=None):
        return instant_of(wall)
    # There is no such time. Read by the clock of before it is too late, by that of after too early;
    # clocks change between the two.
    before = wall.replace(fold=1).astimezone(UTC)
    old = before.astimezone(zone).utcoffset()
    while behind - before > timedelta(seconds=1):
        middle = before + (behind - before) / 2
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            behind = middle
    return instant_of(behind.replace(microsecond=0))
