"""What is older than its site keeps it, and what of deleted recordings is still to be erased.

A recording goes when every call that shares it ended longer ago than that call's site keeps
recordings. A legal hold keeps it, whatever the sites say.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, update

from callreel.db.burns import is_held
from callreel.db.schema import (
    burn_ins,
    call_records,
    datasources,
    is_alive,
    recordings,
    sites,
    to_erase,
)
from callreel.model import RecordingId, UnixMillis

DAY_MS = 86_400_000.0
"""Not a whole number: 32 bits would not hold the product with a count of days."""
BURNING_MS = 86_400_000
"""A burn-in that was begun so recently may be going on; it is left to end."""


@dataclass(frozen=True, slots=True)
class Expired:
    """A recording that is to be deleted, as the audit log tells of it."""

    id: RecordingId
    store_id: str
    object_key: str
    size_bytes: int
    sha256: str
    started_at: UnixMillis


@dataclass(frozen=True, slots=True)
class Deleted:
    """A recording that was deleted, and of which something may be left."""

    id: RecordingId
    store_id: str
    object_key: str
    deleted_at: UnixMillis


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long a site keeps recordings, and what it has of them."""

    site_id: str
    name: str
    retention_days: int | None
    """None: for ever."""
    recordings: int
    """That are not deleted."""
    size_bytes: int
    oldest_at: UnixMillis | None
    """Start of the oldest of them."""
    expired: int
    """How many of them would be deleted now."""
    expired_bytes: int


def _expired(now: UnixMillis) -> ColumnElement[bool]:
    """Whether nothing keeps a recording, as far as its calls, holds and burn-ins tell."""
    r, c, b = recordings.c, call_records.c, burn_ins.c
    kept_by_a_call = exists(
        select(c.id)
        .join(sites, sites.c.id == c.site_id)
        .where(
            c.recording_id == r.id,
            or_(
                sites.c.retention_days.is_(None),
                c.started_at + c.duration_s * 1000 + sites.c.retention_days * DAY_MS > now,
            ),
        )
    )
    in_hand = exists(
        select(b.recording_id).where(
            b.recording_id == r.id, b.state == "writing", b.created_at > now - BURNING_MS
        )
    )
    return and_(is_alive, ~kept_by_a_call, ~is_held(r.id), ~in_hand)


def _over(days: int, now: UnixMillis) -> ColumnElement[bool]:
    """Whether a recording itself ended so many days ago; it may be longer than its calls."""
    r = recordings.c
    cutoff = now - round(days * DAY_MS)
    sound_ms = func.coalesce(r.frames * 1000.0 / func.nullif(r.rate_hz, 0), 0)
    # The first condition is what the index is for.
    return and_(r.started_at <= cutoff, r.started_at + sound_ms <= cutoff)


def _feeds(conn: Connection) -> list[tuple[str, int]]:
    """The datasources of sites that do not keep for ever, and the days that they keep."""
    rows = conn.execute(
        select(datasources.c.id, sites.c.retention_days)
        .join(sites, sites.c.id == datasources.c.site_id)
        .where(sites.c.retention_days.is_not(None))
        .order_by(datasources.c.id)
    )
    return [(row.id, row.retention_days) for row in rows]


def expired(conn: Connection, now: UnixMillis, limit: int) -> tuple[Expired, ...]:
    """Recordings that are to be deleted, a datasource after the other, oldest first.

    Cost: an index leads to what is older than its site keeps it; only what a hold or another site
    keeps is looked at in vain.
    """
    r = recordings.c
    found: list[Expired] = []
    for datasource, days in _feeds(conn):
        rows = conn.execute(
            select(r.id, r.store_id, r.object_key, r.size_bytes, r.sha256, r.started_at)
            .where(r.datasource == datasource, _over(days, now), _expired(now))
            .order_by(r.started_at, r.id)
            .limit(limit - len(found))
        )
        found += [Expired(**row) for row in rows.mappings()]
        if len(found) >= limit:
            break
    return tuple(found)


def keeping(conn: Connection, now: UnixMillis) -> Iterator[Keeping]:
    """Every site by name, with what it keeps and what would be deleted now."""
    r = recordings.c
    wanted = select(sites.c.id, sites.c.name, sites.c.retention_days)
    for site in conn.execute(wanted.order_by(sites.c.name, sites.c.id)).all():
        of_site = r.datasource.in_(select(datasources.c.id).where(datasources.c.site_id == site.id))
        sums = (func.count(), func.coalesce(func.sum(r.size_bytes), 0))
        there = conn.execute(select(*sums, func.min(r.started_at)).where(of_site, is_alive)).one()
        gone = (0, 0)
        if site.retention_days is not None:
            due = (of_site, _over(site.retention_days, now), _expired(now))
            counted = conn.execute(select(*sums).where(*due)).one()
            gone = (counted[0], int(counted[1]))
        yield Keeping(
            site.id, site.name, site.retention_days, there[0], int(there[1]), there[2], *gone
        )


def unerased(
    conn: Connection, limit: int, but: Collection[str], after: tuple[int, str] = (0, "")
) -> tuple[Deleted, ...]:
    """Deleted recordings of which something may be left, oldest deletion first.

    Args:
        conn: A transaction.
        limit: How many at the most.
        but: Stores that are left out, since they are away.
        after: Time and id of the one to go on behind.
    """
    r = recordings.c
    deleted_at = func.coalesce(r.deleted_at, 0)
    rows = conn.execute(
        select(r.id, r.store_id, r.object_key, deleted_at.label("deleted_at"))
        .where(
            to_erase,
            ~is_held(r.id),
            r.store_id.not_in(sorted(but)),
            or_(deleted_at > after[0], and_(deleted_at == after[0], r.id > after[1])),
        )
        .order_by(deleted_at, r.id)
        .limit(limit)
    )
    return tuple(Deleted(**row) for row in rows.mappings())


def may_erase(conn: Connection, recording_id: RecordingId) -> bool:
    """Whether a deleted recording is still to be erased, and no hold came in between."""
    r = recordings.c
    wanted = select(r.id).where(r.id == recording_id, to_erase, ~is_held(r.id))
    return conn.execute(wanted).first() is not None


def sharers(conn: Connection, deleted: Deleted) -> tuple[RecordingId, ...]:
    """Recordings that were not deleted, or are held, and whose sound is the very same object."""
    r = recordings.c
    rows = conn.execute(
        select(r.id)
        .where(
            r.object_key == deleted.object_key,
            r.store_id == deleted.store_id,
            r.id != deleted.id,
            or_(is_alive, and_(to_erase, is_held(r.id))),
        )
        .order_by(r.id)
    )
    return tuple(RecordingId(each) for each in rows.scalars())


def erased(conn: Connection, recording_id: RecordingId, now: UnixMillis) -> bool:
    """Note that nothing of a deleted recording is left; False where that was known."""
    changed = conn.execute(
        update(recordings).where(recordings.c.id == recording_id, to_erase).values(erased_at=now)
    )
    return bool(changed.rowcount)


def to_be_erased(conn: Connection) -> int:
    """How many deleted recordings are not erased yet."""
    return conn.execute(select(func.count()).select_from(recordings).where(to_erase)).scalar_one()
