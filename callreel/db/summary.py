"""How many calls a filter finds, and when they were: what the bars above the list stand for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Label,
    Select,
    case,
    cast,
    func,
    or_,
    select,
    true,
)

from callreel.db.call_filter import CallFilter
from callreel.db.clock_times import on_clock
from callreel.db.narrow import IN_TIME, found_by
from callreel.db.schema import call_records
from callreel.db.tally_tables import QUARTER_MS, call_tallies
from callreel.model import Direction, Disposition, Scope, UnixMillis

_NEVER_TALKED = (Disposition.ABANDONED, Disposition.BUSY, Disposition.FAILED)


@dataclass(frozen=True, slots=True)
class Grain:
    """How finely calls are counted."""

    unit_ms: int
    """The width of a bucket; they begin at its multiples since 1970 on a clock."""
    ahead: tuple[tuple[int, int], ...] = ()
    """How far that clock is ahead of UTC, as ``periods.offsets`` tells it; empty: not at all."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """Calls that started within one unit of time."""

    starts_at: UnixMillis
    """The quarter of an hour in which the first of them started."""
    direction: Direction
    abandoned: bool
    calls: int


@dataclass(frozen=True, slots=True)
class Summary:
    """Of every call that a filter finds."""

    calls: int
    talk_s: float
    buckets: tuple[Bucket, ...]
    """By time."""
    sampled: int = 0
    """From how many calls it was estimated; 0: every call was counted."""


def extent(
    conn: Connection, scope: Scope, wanted: CallFilter
) -> tuple[UnixMillis, UnixMillis] | None:
    """When the first and the last call of a filter started; None where there is none."""
    started = call_records.c.started_at
    where = found_by(conn, scope, wanted, IN_TIME).where
    # Two look-ups at the ends of an index; both in one query would read all of it.
    first = conn.execute(select(started).where(*where).order_by(started).limit(1)).scalar()
    last = conn.execute(select(started).where(*where).order_by(started.desc()).limit(1)).scalar()
    if first is None or last is None:
        return None
    return UnixMillis(first), UnixMillis(last)


def summarise(conn: Connection, scope: Scope, wanted: CallFilter, grain: Grain) -> Summary:
    """Count the calls of a filter.

    Args:
        conn: A read transaction.
        scope: Only calls within it.
        wanted: The filter.
        grain: How finely; a bucket for each direction and for those abandoned.

    Cost: reads every call of the filter, in the database; where only time, site, direction and how
    they ended are asked for, their tallies, which are some hundred thousand a year at the most.
    """
    if _is_tallied(scope, wanted, grain):
        counted = _of_tallies(scope, wanted, grain)
    else:
        counted = _of_calls(found_by(conn, scope, wanted).where, grain)
    rows = conn.execute(counted).all()
    # The sum of whole numbers is a decimal in PostgreSQL.
    return Summary(
        calls=sum(int(row.calls) for row in rows),
        talk_s=sum(int(row.talk_ms) for row in rows) / 1000,
        buckets=tuple(
            Bucket(
                UnixMillis(int(row.quarter) * QUARTER_MS),
                Direction(row.direction),
                bool(row.abandoned),
                int(row.calls),
            )
            for row in rows
        ),
    )


_TALLIED = {"since", "until", "direction", "disposition", "site_id", "terms", "either"}
"""What of a filter the tallies know; the last two only where they are empty."""


def _is_tallied(scope: Scope, wanted: CallFilter, grain: Grain) -> bool:
    """Whether tallies say what calls would say."""
    clock = (each for change in grain.ahead[:-1] for each in change)
    last = (grain.ahead[-1][1],) if grain.ahead else ()
    edges = (wanted.since or 0, wanted.until or 0, grain.unit_ms, *clock, *last)
    others = (each.name for each in fields(CallFilter) if each.name not in _TALLIED)
    return (
        not scope.group_ids
        and not wanted.terms
        and not wanted.either
        and all(getattr(wanted, name) is None for name in others)
        and all(edge % QUARTER_MS == 0 for edge in edges)
    )


def _of_tallies(scope: Scope, wanted: CallFilter, grain: Grain) -> Select[*tuple[Any, ...]]:
    t = call_tallies.c
    where: list[ColumnElement[bool]] = [
        true() if scope.everything else t.site_id.in_(sorted(scope.site_ids))
    ]
    if wanted.since is not None:
        where.append(t.quarter >= wanted.since // QUARTER_MS)
    if wanted.until is not None:
        where.append(t.quarter < wanted.until // QUARTER_MS)
    if wanted.site_id is not None:
        where.append(t.site_id == wanted.site_id)
    if wanted.direction is not None:
        where.append(t.direction == wanted.direction.value)
    if wanted.disposition is not None:
        where.append(t.disposition == wanted.disposition.value)
    calls, talk_ms = func.sum(t.calls), func.sum(t.talk_ms)
    counted = _grouped(t.quarter * QUARTER_MS, grain, t.direction, t.disposition, calls, talk_ms)
    # What was counted and is gone leaves rows of nothing.
    return counted.where(*where, t.calls > 0)


def _of_calls(where: Sequence[ColumnElement[bool]], grain: Grain) -> Select[*tuple[Any, ...]]:
    c = call_records.c
    counted = _grouped(
        c.started_at, grain, c.direction, c.disposition, func.count(), func.sum(talked_ms())
    )
    return counted.where(*where)


def talked_ms() -> ColumnElement[int]:
    """How long there was talk in a call."""
    c = call_records.c
    never = c.disposition.in_([each.value for each in _NEVER_TALKED])
    waited_ms = func.coalesce(c.answered_at - c.started_at, 0)
    found = cast(func.round(c.duration_s * 1000), BigInteger) - waited_ms
    return case((or_(never, found < 0), 0), else_=found)


def is_abandoned(disposition: ColumnElement[str]) -> Label[int]:
    """1 or 0."""
    return case((disposition == Disposition.ABANDONED.value, 1), else_=0).label("abandoned")


def unit_of(at: ColumnElement[int], grain: Grain) -> Label[int]:
    """The number of the bucket that an instant is in."""
    return ((on_clock(at, grain.ahead) if grain.ahead else at) // grain.unit_ms).label("unit")


def _grouped(  # the columns of the result
    at: ColumnElement[int],
    grain: Grain,
    direction: ColumnElement[str],
    disposition: ColumnElement[str],
    calls: ColumnElement[int],
    talk_ms: ColumnElement[int],
) -> Select[*tuple[Any, ...]]:
    abandoned, unit = is_abandoned(disposition), unit_of(at, grain)
    quarter = (func.min(at) // QUARTER_MS).label("quarter")
    return (
        select(
            quarter, direction.label("direction"), abandoned, calls.label("calls"),
            talk_ms.label("talk_ms"),
        )
        .group_by(unit, direction, abandoned)
        .order_by(unit, direction, abandoned)
    )  # fmt: skip
