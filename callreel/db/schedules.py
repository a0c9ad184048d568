"""Schedules: what is made and sent by itself, when it is due, and what came of it last.

A run has an instant that it is for (``due_at``), which stays while it is tried again, so that what
it calls yesterday stays the same day.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    delete,
    insert,
    or_,
    select,
    true,
    update,
)

from callreel.db.job_tables import schedules
from callreel.db.jobs import as_json
from callreel.model import UnixMillis, WebUserId
from callreel.wording import restored, stored

LEASE_MS = 600_000
"""How long a run that says nothing keeps its schedule; longer than a mail server is waited for."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule, as its owner may see it."""

    id: str
    web_user_id: WebUserId
    name: str
    kind: str
    parameters: Mapping[str, object]
    every: str
    day: int | None
    minute: int
    zone: str
    recipients: tuple[str, ...]
    folder: str | None
    """The name of a folder below the one that is allowed."""
    only_if_not_empty: bool
    enabled: bool
    next_run_at: UnixMillis | None
    """None where it is disabled."""
    due_at: UnixMillis | None
    """What the run that is under way is for; None where none is."""
    pending: tuple[str, ...] | None
    """Who has not got what that run made; None: nobody has yet."""
    tries: int
    last_run_at: UnixMillis | None
    last_state: str | None
    """``sent``, ``empty``, ``trying`` (again later) or ``failed``."""
    last_result: str | None
    """In words."""
    claimed_by: str | None
    created_at: UnixMillis


@dataclass(frozen=True, slots=True)
class Plan:
    """What somebody decides about a schedule."""

    name: str
    kind: str
    parameters: Mapping[str, object]
    every: str
    """``daily``, ``weekly`` or ``monthly``."""
    day: int | None
    """Of the week from 0 for Monday, or of the month from 1; None for ``daily``."""
    minute: int
    """Since local midnight."""
    zone: str
    recipients: tuple[str, ...] = ()
    folder: str | None = None
    only_if_not_empty: bool = False


def _values(plan: Plan) -> dict[str, object]:
    return {
        "name": plan.name,
        "kind": plan.kind,
        "parameters": as_json(plan.parameters),
        "every": plan.every,
        "day": plan.day,
        "minute": plan.minute,
        "zone": plan.zone,
        "recipients": as_json(plan.recipients),
        "folder": plan.folder,
        "only_if_not_empty": plan.only_if_not_empty,
    }


def add(
    conn: Connection, web_user_id: WebUserId, plan: Plan, next_run_at: UnixMillis, now: UnixMillis
) -> str:
    """Add a schedule that is enabled; its id."""
    schedule_id = "s" + secrets.token_hex(8)
    conn.execute(
        insert(schedules).values(
            id=schedule_id,
            web_user_id=web_user_id,
            enabled=True,
            next_run_at=next_run_at,
            tries=0,
            created_at=now,
            **_values(plan),
        )
    )
    return schedule_id


def change(conn: Connection, schedule_id: str, plan: Plan, next_run_at: UnixMillis | None) -> None:
    """Replace what was decided; a run that is tried again is given up."""
    conn.execute(
        update(schedules)
        .where(schedules.c.id == schedule_id)
        .values(next_run_at=next_run_at, due_at=None, pending=None, tries=0, **_values(plan))
    )


def remove(conn: Connection, schedule_id: str) -> None:
    """Forget a schedule."""
    conn.execute(delete(schedules).where(schedules.c.id == schedule_id))


def enable(conn: Connection, schedule_id: str, next_run_at: UnixMillis | None) -> None:
    """Have it run from then on, to everybody; None: not at all."""
    fresh = {"next_run_at": next_run_at, "due_at": None, "pending": None, "tries": 0}
    conn.execute(
        update(schedules)
        .where(schedules.c.id == schedule_id)
        .values(enabled=next_run_at is not None, **fresh)
    )


def run_at(conn: Connection, schedule_id: str, now: UnixMillis) -> None:
    """Have it run now, for now, also where it is disabled; the last run is made anew."""
    conn.execute(
        update(schedules)
        .where(schedules.c.id == schedule_id)
        .values(next_run_at=now, due_at=now, pending=None, tries=0)
    )


def find(conn: Connection, schedule_id: str) -> Schedule | None:
    """The schedule of an id."""
    return next(iter(_listed(conn, schedules.c.id == schedule_id)), None)


def of_user(conn: Connection, web_user_id: WebUserId) -> tuple[Schedule, ...]:
    """The schedules of a web user, by name."""
    return _listed(conn, schedules.c.web_user_id == web_user_id)


def everybodys(conn: Connection) -> tuple[Schedule, ...]:
    """All schedules, by name."""
    return _listed(conn, true())


def _listed(conn: Connection, which: ColumnElement[bool]) -> tuple[Schedule, ...]:
    query = select(schedules).where(which).order_by(schedules.c.name, schedules.c.id)
    return tuple(_schedule(row) for row in conn.execute(query).mappings())


def next_due(conn: Connection, now: UnixMillis, only: str | None, *, lock: bool) -> Schedule | None:
    """The schedule that waits longest to be run; one whose run died is among them.

    Args:
        conn: A transaction.
        now: What time it is.
        only: The one that is looked for; None for any.
        lock: Whether nobody else shall get it before the end of the transaction, which writes.
    """
    c = schedules.c
    query = (
        select(schedules)
        .where(
            c.next_run_at <= now,
            or_(c.enabled.is_(True), c.due_at.is_not(None)),
            or_(c.lease_until.is_(None), c.lease_until <= now),
            true() if only is None else c.id == only,
        )
        .order_by(c.next_run_at, c.id)
        .limit(1)
    )
    if lock:
        query = query.with_for_update(skip_locked=True)
    row = conn.execute(query).mappings().first()
    return None if row is None else _schedule(row)


def claim(
    conn: Connection, schedule: Schedule, due_at: UnixMillis, now: UnixMillis
) -> Schedule | None:
    """Take a schedule for one run, for an instant."""
    conn.execute(
        update(schedules)
        .where(schedules.c.id == schedule.id)
        .values(
            due_at=due_at,
            tries=schedules.c.tries + 1,
            claimed_by=secrets.token_hex(8),
            lease_until=now + LEASE_MS,
        )
    )
    return find(conn, schedule.id)


def _held(schedule: Schedule) -> ColumnElement[bool]:
    return and_(schedules.c.id == schedule.id, schedules.c.claimed_by == schedule.claimed_by)


def renew(conn: Connection, schedule: Schedule, now: UnixMillis) -> bool:
    """Keep it; False where somebody removed it, or another runs it."""
    changed = conn.execute(
        update(schedules).where(_held(schedule)).values(lease_until=now + LEASE_MS)
    )
    return bool(changed.rowcount)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run."""

    state: str
    told: str
    next_run_at: UnixMillis | None
    pending: tuple[str, ...] | None = None
    """Who is to get it when it is tried again."""


def finish(conn: Connection, schedule: Schedule, outcome: Outcome, now: UnixMillis) -> None:
    """Store what came of a run, unless the schedule was changed or taken meanwhile."""
    again = outcome.state == "trying"
    values: dict[str, object] = {
        "last_run_at": now,
        "last_state": outcome.state,
        "last_result": stored(outcome.told),
        "lease_until": None,
        "claimed_by": None,
    }
    conn.execute(update(schedules).where(_held(schedule)).values(**values))
    # Somebody who changed it or had it run again meanwhile decided about the next run.
    conn.execute(
        update(schedules)
        .where(
            schedules.c.id == schedule.id,
            schedules.c.due_at == schedule.due_at,
            schedules.c.tries == schedule.tries,
        )
        .values(
            next_run_at=outcome.next_run_at,
            due_at=schedule.due_at if again else None,
            pending=None if outcome.pending is None else as_json(outcome.pending),
            **({} if again else {"tries": 0}),
        )
    )


def give_back(conn: Connection, schedule: Schedule) -> None:
    """A runner that stops leaves the run to the next."""
    conn.execute(
        update(schedules)
        .where(_held(schedule))
        .values(lease_until=None, claimed_by=None, tries=schedules.c.tries - 1)
    )


def claims(conn: Connection) -> frozenset[tuple[str, str]]:
    """Schedule and claim of every folder that is in use."""
    c = schedules.c
    rows = conn.execute(select(c.id, c.claimed_by).where(c.claimed_by.is_not(None)))
    return frozenset((row.id, row.claimed_by) for row in rows)


def _schedule(row: RowMapping) -> Schedule:
    left_out = {"parameters", "recipients", "pending", "last_result", "lease_until"}
    values = {name: value for name, value in row.items() if name not in left_out}
    pending, result = row["pending"], row["last_result"]
    return Schedule(
        **values,
        parameters=json.loads(row["parameters"]),
        last_result=None if result is None else restored(result),
        recipients=tuple(json.loads(row["recipients"])),
        pending=None if pending is None else tuple(json.loads(pending)),
    )
