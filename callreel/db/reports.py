"""Calls counted for reports: by time of day, by person, by number. The database does the counting.

Local times are told to the database as instants at which clocks change, so that it groups by what
a clock on the wall showed. Whole numbers of milliseconds are summed, so that both kinds of database
give the very same sums.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Select,
    Subquery,
    case,
    func,
    literal,
    null,
    select,
)

from callreel.db.call_filter import CallFilter, conditions
from callreel.db.clock_times import LONGEST_CALL_MS, length_ms, shown_ms
from callreel.db.rows import in_scope
from callreel.db.schema import call_records, directory_users, groups, sites
from callreel.model import CallId, Direction, Disposition, Scope, UnixMillis


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which calls a report counts."""

    scope: Scope
    """Of who asks, perhaps narrowed to a site or a group."""
    since: UnixMillis
    until: UnixMillis
    wanted: CallFilter
    """What else; its own ``since`` and ``until`` are not looked at."""
    user_ids: frozenset[str] | None = None
    """Only calls of these users of the directory; None for all."""


@dataclass(frozen=True, slots=True)
class Slots:
    """How calls are put together by local time."""

    zone: ZoneInfo
    size_ms: int
    """Of one slot."""
    wrap_ms: int | None = None
    """After how long slots begin anew: a day, for the time of day. None: they do not."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Calls of one slot, direction and end."""

    slot: int
    """Its number, counted from midnight of 1970-01-01 on a local clock."""
    direction: Direction
    disposition: Disposition
    calls: int
    talk_ms: int


@dataclass(frozen=True, slots=True)
class UserTally:
    """Calls of one user of the directory, or of none."""

    user_id: str | None
    extension: str
    name: str
    group_id: str | None
    group: str
    site_id: str
    site: str
    direction: Direction
    disposition: Disposition
    calls: int
    talk_ms: int


@dataclass(frozen=True, slots=True)
class LongCall:
    """One call of a list of the longest."""

    id: CallId
    started_at: UnixMillis
    direction: Direction
    from_number: str
    to_number: str
    agent: str
    site: str
    length_ms: int
    talk_ms: int


@dataclass(frozen=True, slots=True)
class NumberTally:
    """Calls with one number outside."""

    number: str
    calls: int
    inbound: int
    outbound: int
    talk_ms: int
    last_at: UnixMillis


def tally(conn: Connection, chosen: Chosen, slots: Slots) -> list[Tally]:
    """Calls and talk by slot, direction and end, in no promised order.

    Cost: one pass over the calls of the period, in the database.
    """
    calls = _measured(chosen, _slot(chosen, slots))
    c = calls.c
    rows = conn.execute(
        select(c.slot, c.direction, c.disposition, func.count(), func.sum(c.talk_ms)).group_by(
            c.slot, c.direction, c.disposition
        )
    )
    return [
        Tally(int(slot), Direction(direction), Disposition(disposition), count, int(talk_ms))
        for slot, direction, disposition, count, talk_ms in rows
    ]


def waits(
    conn: Connection, chosen: Chosen, slots: Slots, disposition: Disposition | None = None
) -> dict[int, Counter[int]]:
    """How long callers from outside waited: by slot, how many calls for how many whole seconds.

    They waited until somebody answered or until they hung up; of other calls it is not known.

    Args:
        conn: A read transaction.
        chosen: Which calls.
        slots: How they are put together.
        disposition: Only those that ended so; None for all.

    Cost: as ``tally``; as many rows come out as there are slots and different waits.
    """
    inbound = replace(chosen, wanted=replace(chosen.wanted, direction=Direction.INBOUND))
    if chosen.wanted.direction not in {None, Direction.INBOUND}:
        return {}
    calls = _measured(inbound, _slot(chosen, slots))
    c = calls.c
    wait_s = (c.wait_ms // 1000).label("wait_s")
    query = select(c.slot, wait_s).where(c.wait_ms.is_not(None))
    if disposition is not None:
        query = query.where(c.disposition == disposition.value)
    waited = query.subquery()
    grouped = select(waited.c.slot, waited.c.wait_s, func.count()).group_by(
        waited.c.slot, waited.c.wait_s
    )
    found: dict[int, Counter[int]] = defaultdict(Counter)
    for slot, wait, count in conn.execute(grouped):
        found[int(slot)][int(wait)] = count
    return found


def by_user(conn: Connection, chosen: Chosen) -> list[UserTally]:
    """Calls by user of the directory, direction and end; calls of nobody known are one user.

    Cost: as ``tally``.
    """
    calls = _measured(chosen)
    c = calls.c
    counted = (
        select(
            c.directory_user_id,
            c.site_id,
            c.direction,
            c.disposition,
            func.count().label("calls"),
            func.sum(c.talk_ms).label("talk_ms"),
        )
        .group_by(c.directory_user_id, c.site_id, c.direction, c.disposition)
        .subquery()
    )
    n, u = counted.c, directory_users.c
    rows = conn.execute(
        select(
            counted,
            u.extension,
            u.name.label("user_name"),
            u.group_id,
            groups.c.name.label("group_name"),
            sites.c.name.label("site_name"),
        )
        .select_from(
            counted.join(sites, sites.c.id == n.site_id)
            .outerjoin(directory_users, u.id == n.directory_user_id)
            .outerjoin(groups, groups.c.id == u.group_id)
        )
        .order_by(n.site_id, u.extension)
    )
    return [
        UserTally(
            user_id=row.directory_user_id,
            extension=row.extension or "",
            name=row.user_name or "",
            group_id=row.group_id,
            group=row.group_name or "",
            site_id=row.site_id,
            site=row.site_name,
            direction=Direction(row.direction),
            disposition=Disposition(row.disposition),
            calls=row.calls,
            talk_ms=int(row.talk_ms),
        )
        for row in rows
    ]


def longest(conn: Connection, chosen: Chosen, limit: int) -> list[LongCall]:
    """The calls that were talked in for longest."""
    calls = _measured(chosen)
    c = calls.c
    query = (
        select(calls, directory_users.c.name.label("agent"), sites.c.name.label("site"))
        .select_from(
            calls.join(sites, sites.c.id == c.site_id).outerjoin(
                directory_users, directory_users.c.id == c.directory_user_id
            )
        )
        .order_by(c.talk_ms.desc(), c.started_at.desc(), c.id)
        .limit(limit)
    )
    return [
        LongCall(
            id=CallId(row.id),
            started_at=UnixMillis(row.started_at),
            direction=Direction(row.direction),
            from_number=row.from_number,
            to_number=row.to_number,
            agent=row.agent or row.extension or "",
            site=row.site,
            length_ms=int(row.length_ms),
            talk_ms=int(row.talk_ms),
        )
        for row in conn.execute(query)
    ]


def numbers(conn: Connection, chosen: Chosen, limit: int) -> list[NumberTally]:
    """The numbers outside with most calls; internal calls have none.

    Cost: as ``tally``, and a group for each number.
    """
    c = call_records.c
    outside = case(
        (c.direction == Direction.INBOUND.value, c.from_number),
        (c.direction == Direction.OUTBOUND.value, c.to_number),
        else_=null(),
    ).label("outside")
    calls = _measured(chosen, outside)
    m = calls.c
    count = func.count().label("calls")
    query = (
        select(
            m.outside,
            count,
            func.sum(case((m.direction == Direction.INBOUND.value, 1), else_=0)).label("inbound"),
            func.sum(m.talk_ms).label("talk_ms"),
            func.max(m.started_at).label("last_at"),
        )
        .where(m.outside.is_not(None))
        .group_by(m.outside)
        .order_by(count.desc(), m.outside)
        .limit(limit)
    )
    return [
        NumberTally(
            number=row.outside,
            calls=row.calls,
            inbound=int(row.inbound),
            outbound=row.calls - int(row.inbound),
            talk_ms=int(row.talk_ms),
            last_at=UnixMillis(row.last_at),
        )
        for row in conn.execute(query)
    ]


def lines_in_use(conn: Connection, chosen: Chosen) -> Iterator[tuple[int, int]]:
    """When each call that held a line to the outside began and ended, those first that began first.

    Calls that began before the period and reach into it are among them.

    Cost: one row at a time.
    """
    earlier = replace(chosen, since=UnixMillis(chosen.since - LONGEST_CALL_MS))
    calls = _measured(earlier)
    c = calls.c
    ended_at = c.started_at + c.length_ms
    query = (
        select(c.started_at, ended_at)
        .where(c.direction != Direction.INTERNAL.value, ended_at > chosen.since, c.length_ms > 0)
        .order_by(c.started_at)
        .execution_options(yield_per=5000)
    )
    for began, ended in conn.execute(query):
        yield began, int(ended)


def conditions_of(chosen: Chosen) -> list[ColumnElement[bool]]:
    """The conditions on ``call_records`` for the calls of a report; all of them hold."""
    wanted = replace(chosen.wanted, since=chosen.since, until=chosen.until)
    found = [in_scope(chosen.scope), *conditions(wanted)]
    if chosen.user_ids is not None:
        found.append(call_records.c.directory_user_id.in_(sorted(chosen.user_ids)))
    return found


def _measured(chosen: Chosen, *more: ColumnElement[Any]) -> Subquery:
    """The calls of a report with how long they were, waited and talked, in milliseconds."""
    return _measuring(*more).where(*conditions_of(chosen)).subquery()


def _measuring(*more: ColumnElement[Any]) -> Select[Any]:
    c = call_records.c
    length = length_ms()
    zero = literal(0, BigInteger)
    answered = c.answered_at.is_not(None)
    ring = case((c.answered_at > c.started_at, c.answered_at - c.started_at), else_=zero)
    wait = case(
        (answered, ring), (c.disposition == Disposition.ABANDONED.value, length), else_=null()
    )
    silent = [each.value for each in (Disposition.ABANDONED, Disposition.BUSY, Disposition.FAILED)]
    # Of the call and not of its recording, which the legs of a transfer share.
    talk = case(
        (answered, case((length > ring, length - ring), else_=zero)),
        (c.disposition.in_(silent), zero),
        else_=length,
    )
    return select(
        c.id,
        c.started_at,
        c.site_id,
        c.directory_user_id,
        c.extension,
        c.direction,
        c.disposition,
        c.from_number,
        c.to_number,
        length.label("length_ms"),
        wait.label("wait_ms"),
        talk.label("talk_ms"),
        *more,
    )


def _slot(chosen: Chosen, slots: Slots) -> ColumnElement[int]:
    """The number of the slot that a call began in, on a local clock."""
    slot = shown_ms(slots.zone, chosen.since, chosen.until) // slots.size_ms
    if slots.wrap_ms is not None:
        slot %= slots.wrap_ms // slots.size_ms
    return slot.label("slot")
