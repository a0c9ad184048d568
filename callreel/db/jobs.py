"""Jobs: what people wait for, who works on it until when, and what became of it.

A worker holds a job by a lease that it renews; where it dies the lease runs out and another takes
the job up from its beginning. Every change by a worker names its claim, so that one that was held
up cannot write over the work of another.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    and_,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy import insert as insert_row

from callreel.db.job_tables import jobs
from callreel.errors import BadRequest
from callreel.model import Scope, UnixMillis, WebUserId
from callreel.wording import restored, stored, worded

LEASE_MS = 60_000
"""How long a worker that says nothing keeps a job."""
KEPT_MS = 7 * 86_400_000
"""How long a job and its file are kept."""
MAX_TRIES = 3
"""How often a job is begun whose worker died; more would end the server again and again."""


class JobState(StrEnum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (JobState.WAITING.value, JobState.RUNNING.value)


@dataclass(frozen=True, slots=True)
class Job:
    """One job, as its owner may see it."""

    id: str
    kind: str
    web_user_id: WebUserId
    parameters: Mapping[str, object]
    state: JobState
    done_count: int
    """Rows that are written."""
    total_count: int | None
    """How many there will be; None where counting would cost as much as the work."""
    told: str | None
    """What became of it, in words; None while nothing did."""
    reach: Scope | None
    """What its owner reached when it ran: the file holds that."""
    file_name: str | None
    size_bytes: int | None
    created_at: UnixMillis
    started_at: UnixMillis | None
    finished_at: UnixMillis | None
    expires_at: UnixMillis
    """When job and file are erased."""
    tries: int
    claimed_by: str | None
    """The claim whose folder holds the file."""


def add(
    conn: Connection,
    kind: str,
    web_user_id: WebUserId,
    parameters: Mapping[str, object],
    now: UnixMillis,
) -> Job:
    """Add a job that waits."""
    job_id = "j" + secrets.token_hex(8)
    conn.execute(
        insert_row(jobs).values(
            id=job_id,
            kind=kind,
            web_user_id=web_user_id,
            parameters=as_json(parameters),
            state=JobState.WAITING.value,
            done_count=0,
            tries=0,
            created_at=now,
            expires_at=now + KEPT_MS,
        )
    )
    found = find(conn, job_id)
    if found is None:  # pragma: no cover  # it was written a line above
        raise AssertionError(job_id)
    return found


def as_json(value: object) -> str:
    """JSON of a value.

    Raises:
        BadRequest: It holds what JSON cannot.
    """
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise BadRequest(worded("parameters: %(error)s.", error=str(error))) from None


def find(conn: Connection, job_id: str) -> Job | None:
    """The job of an id."""
    row = conn.execute(select(jobs).where(jobs.c.id == job_id)).mappings().first()
    return None if row is None else _job(row)


def of_user(conn: Connection, web_user_id: WebUserId, limit: int) -> tuple[Job, ...]:
    """The jobs of a web user, newest first."""
    return _listed(conn, jobs.c.web_user_id == web_user_id, limit)


def newest(conn: Connection, limit: int) -> tuple[Job, ...]:
    """The jobs of everybody, newest first."""
    return _listed(conn, jobs.c.id.is_not(None), limit)


def _listed(conn: Connection, which: ColumnElement[bool], limit: int) -> tuple[Job, ...]:
    query = select(jobs).where(which).order_by(jobs.c.created_at.desc(), jobs.c.id.desc())
    return tuple(_job(row) for row in conn.execute(query.limit(limit)).mappings())


def count_open(conn: Connection, web_user_id: WebUserId) -> int:
    """How many jobs of a user wait or run."""
    query = select(func.count()).where(jobs.c.web_user_id == web_user_id, jobs.c.state.in_(OPEN))
    return conn.execute(query).scalar_one()


def is_any_open(conn: Connection) -> bool:
    """Whether any job waits or runs; so that nobody takes the lock of writers to find nothing."""
    return (
        conn.execute(select(jobs.c.id).where(jobs.c.state.in_(OPEN)).limit(1)).first() is not None
    )


def claim(conn: Connection, now: UnixMillis) -> Job | None:
    """Take the oldest job that waits, or whose worker died; None where there is none.

    Somebody who has a job running waits with the next, so that many jobs of one person do not keep
    out all others.
    """
    other = jobs.alias()
    busy = (
        select(other.c.id)
        .where(
            other.c.web_user_id == jobs.c.web_user_id,
            other.c.state == JobState.RUNNING.value,
            other.c.lease_until > now,
        )
        .exists()
    )
    free = or_(
        and_(jobs.c.state == JobState.WAITING.value, ~busy),
        and_(jobs.c.state == JobState.RUNNING.value, jobs.c.lease_until <= now),
    )
    oldest = select(jobs.c.id).where(free).order_by(jobs.c.created_at, jobs.c.id).limit(1)
    job_id = conn.execute(oldest.with_for_update(skip_locked=True)).scalar()
    if job_id is None:
        return None
    conn.execute(
        update(jobs)
        .where(jobs.c.id == job_id)
        .values(
            state=JobState.RUNNING.value,
            claimed_by=secrets.token_hex(8),
            lease_until=now + LEASE_MS,
            tries=jobs.c.tries + 1,
            done_count=0,
            total_count=None,
            told=None,
            started_at=now,
        )
    )
    return find(conn, job_id)


def _held(job: Job) -> ColumnElement[bool]:
    return and_(
        jobs.c.id == job.id,
        jobs.c.claimed_by == job.claimed_by,
        jobs.c.state == JobState.RUNNING.value,
    )


def renew(
    conn: Connection, job: Job, done: int, total: int | None, reach: Scope, now: UnixMillis
) -> bool:
    """Tell how far a job is and keep it; False where it is not this worker's any more."""
    changed = conn.execute(
        update(jobs)
        .where(_held(job))
        .values(
            done_count=done, total_count=total, reach=_reach_text(reach), lease_until=now + LEASE_MS
        )
    )
    return bool(changed.rowcount)


def finish(
    conn: Connection, job: Job, done: int, told: str, file: tuple[str, int], now: UnixMillis
) -> bool:
    """A job is done; its file has this name and size in bytes. False as in ``renew``."""
    return _end(
        conn,
        job,
        state=JobState.DONE.value,
        done_count=done,
        total_count=done,
        told=stored(told),
        file_name=file[0],
        size_bytes=file[1],
        finished_at=now,
        expires_at=now + KEPT_MS,
    )


def fail(conn: Connection, job: Job, told: str, now: UnixMillis) -> bool:
    """A job failed; told says why and what to do. False as in ``renew``."""
    return _end(conn, job, state=JobState.FAILED.value, told=stored(told), finished_at=now)


def give_back(conn: Connection, job: Job) -> bool:
    """A worker that stops lets another begin the job again. False as in ``renew``."""
    return _end(conn, job, state=JobState.WAITING.value, tries=jobs.c.tries - 1, done_count=0)


def _end(conn: Connection, job: Job, **values: object) -> bool:
    return bool(conn.execute(update(jobs).where(_held(job)).values(**values)).rowcount)


def cancel(conn: Connection, job_id: str, told: str, now: UnixMillis) -> bool:
    """End a job that waits or runs; False where it ended before."""
    changed = conn.execute(
        update(jobs)
        .where(jobs.c.id == job_id, jobs.c.state.in_(OPEN))
        .values(state=JobState.CANCELLED.value, told=stored(told), finished_at=now)
    )
    return bool(changed.rowcount)


def forget_expired(conn: Connection, now: UnixMillis) -> int:
    """Erase the rows of jobs that are too old; how many. One that runs is left to its end."""
    old = and_(jobs.c.expires_at <= now, jobs.c.state != JobState.RUNNING.value)
    return conn.execute(delete(jobs).where(old)).rowcount


def claims_with_files(conn: Connection) -> frozenset[tuple[str, str]]:
    """Job and claim of every folder that is still needed."""
    kept = (JobState.DONE.value, JobState.RUNNING.value)
    rows = conn.execute(
        select(jobs.c.id, jobs.c.claimed_by).where(
            jobs.c.state.in_(kept), jobs.c.claimed_by.is_not(None)
        )
    )
    return frozenset((row.id, row.claimed_by) for row in rows)


def _reach_text(reach: Scope) -> str:
    return as_json(
        {
            "everything": reach.everything,
            "sites": sorted(reach.site_ids),
            "groups": sorted(reach.group_ids),
        }
    )


def _reach(text: str | None) -> Scope | None:
    if text is None:
        return None
    told = json.loads(text)
    return Scope(told["everything"], frozenset(told["sites"]), frozenset(told["groups"]))


def _job(row: RowMapping) -> Job:
    return Job(
        id=row["id"],
        kind=row["kind"],
        web_user_id=WebUserId(row["web_user_id"]),
        parameters=json.loads(row["parameters"]),
        state=JobState(row["state"]),
        done_count=row["done_count"],
        total_count=row["total_count"],
        told=None if row["told"] is None else restored(row["told"]),
        reach=_reach(row["reach"]),
        file_name=row["file_name"],
        size_bytes=row["size_bytes"],
        created_at=UnixMillis(row["created_at"]),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        expires_at=UnixMillis(row["expires_at"]),
        tries=row["tries"],
        claimed_by=row["claimed_by"],
    )
