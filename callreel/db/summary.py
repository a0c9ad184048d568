"""How many calls a filter finds, and when they were: what the bars above the list stand for."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, Double, case, cast, func, select

from callreel.db.rows import in_scope
from callreel.db.schema import call_records
from callreel.db.search import CallFilter, conditions
from callreel.model import Direction, Disposition, Scope, UnixMillis

_NEVER_TALKED = (Disposition.ABANDONED, Disposition.BUSY, Disposition.FAILED)


@dataclass(frozen=True, slots=True)
class Bucket:
    """Calls that started within one unit of time."""

    starts_at: UnixMillis
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


def extent(
    conn: Connection, scope: Scope, wanted: CallFilter
) -> tuple[UnixMillis, UnixMillis] | None:
    """When the first and the last call of a filter started; None where there is none."""
    started = call_records.c.started_at
    where = (in_scope(scope), *conditions(wanted))
    # Two look-ups at the ends of an index; both in one query would read all of it.
    first = conn.execute(select(started).where(*where).order_by(started).limit(1)).scalar()
    last = conn.execute(select(started).where(*where).order_by(started.desc()).limit(1)).scalar()
    if first is None or last is None:
        return None
    return UnixMillis(first), UnixMillis(last)


def summarise(conn: Connection, scope: Scope, wanted: CallFilter, unit_ms: int) -> Summary:
    """Count the calls of a filter.

    Args:
        conn: A read transaction.
        scope: Only calls within it.
        wanted: The filter.
        unit_ms: The width of a bucket; buckets begin at its multiples, in UTC.

    Cost: reads every call of the filter, in the database.
    """
    c = call_records.c
    at = (c.started_at // unit_ms).label("at")
    abandoned = case((c.disposition == Disposition.ABANDONED.value, 1), else_=0).label("abandoned")
    waited = func.coalesce(cast(c.answered_at - c.started_at, Double) / 1000.0, 0.0)
    never = c.disposition.in_([each.value for each in _NEVER_TALKED])
    talk = case((never, 0.0), (c.duration_s > waited, c.duration_s - waited), else_=0.0)
    rows = conn.execute(
        select(
            at, c.direction, abandoned, func.count().label("calls"), func.sum(talk).label("talk")
        )
        .where(in_scope(scope), *conditions(wanted))
        .group_by(at, c.direction, abandoned)
        .order_by(at)
    ).all()
    return Summary(
        calls=sum(row.calls for row in rows),
        talk_s=sum(row.talk or 0.0 for row in rows),
        buckets=tuple(
            Bucket(
                UnixMillis(int(row.at) * unit_ms),
                Direction(row.direction),
                bool(row.abandoned),
                row.calls,
            )
            for row in rows
        ),
    )
