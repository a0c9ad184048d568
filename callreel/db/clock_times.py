"""What a clock on the wall showed as a call began, and whether a call was in progress, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, ColumnElement, and_, case, cast, func, literal, true

from callreel.db.schema import call_records
from callreel.model import UnixMillis
from callreel.periods import offsets

LONGEST_CALL_MS = 86_400_000
"""Calls that began longer ago are not looked for among those in progress."""
_MINUTE_MS = 60_000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class ClockTime:
    """A time of day on a clock, on every day or on one weekday of a stretch of time."""

    zone: ZoneInfo
    since: UnixMillis
    """Of the stretch for which it is asked; calls outside of it are told wrong."""
    until: UnixMillis
    begin: int = 0
    """Minutes after midnight."""
    end: int = 1440
    """Minutes after midnight, more than ``begin``."""
    weekday: int | None = None
    """0 is Monday; None for every day."""


def shown_ms(zone: ZoneInfo, since: UnixMillis, until: UnixMillis) -> ColumnElement[int]:
    """Milliseconds from 1970-01-01 on a clock as a call began, of calls within [since, until)."""
    return on_clock(call_records.c.started_at, offsets(since, until, zone))


def on_clock(at: ColumnElement[int], ahead: Sequence[tuple[int, int]]) -> ColumnElement[int]:
    """What a clock shows at an instant, in milliseconds from 1970-01-01.

    Args:
        at: Unix milliseconds.
        ahead: Of the clock, as ``periods.offsets`` gives it; at least one.
    """
    shown: ColumnElement[Any] = literal(ahead[-1][1], BigInteger)
    if len(ahead) > 1:
        changes = [(at < before, literal(each, BigInteger)) for before, each in ahead[:-1]]
        shown = case(*changes, else_=shown)
    return at + shown


def began_at(wanted: ClockTime) -> ColumnElement[bool]:
    """Whether a clock showed this time as a call began."""
    shown = shown_ms(wanted.zone, wanted.since, wanted.until)
    minute = shown // _MINUTE_MS % (_DAY_MS // _MINUTE_MS)
    day: ColumnElement[bool] = true()
    if wanted.weekday is not None:
        # Clocks were started on a Thursday.
        day = (shown // _DAY_MS + 3) % 7 == wanted.weekday
    return and_(minute >= wanted.begin, minute < wanted.end, day)


def length_ms() -> ColumnElement[int]:
    """How long a call was, in whole milliseconds."""
    # Rounded first: PostgreSQL rounds as it casts, SQLite cuts.
    return cast(func.round(call_records.c.duration_s * 1000), BigInteger)


def in_progress(at: UnixMillis) -> ColumnElement[bool]:
    """Whether a call had begun at an instant and not ended."""
    began = call_records.c.started_at
    return and_(began <= at, began >= at - LONGEST_CALL_MS, began + length_ms() > at)
