"""Leases: what the link of an integrator was exchanged for. Only hashes of secrets are kept.

A lease slides: it is over when nothing was asked for in a while, and at its hard end whatever is
asked for. Source: ui.md section 8.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Row, delete, insert, select, update

from callreel.db.people_schema import leases
from callreel.db.schema import web_users
from callreel.model import RecordingId, UnixMillis, WebUserId

IDLE_MS = 5 * 60_000
"""Neither sound nor heartbeat for so long: it is over."""
NAME_CHARS = 16
"""How much of the id is its name: in the address of the player, in the log, in the commands."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One lease."""

    id: str
    """The hash of its secret, in hex."""
    recording_id: RecordingId
    web_user_id: WebUserId
    """Who asked for the ticket; it lasts no longer than they may hear."""
    role: str
    """Of that user when it began; another one ends it."""
    label: str
    download: bool
    created_at: UnixMillis
    seen_at: UnixMillis
    ends_at: UnixMillis
    """The hard end."""

    @property
    def name(self) -> str:
        """Tells leases apart, and opens none."""
        return self.id[:NAME_CHARS]


@dataclass(frozen=True, slots=True)
class ListedLease:
    """A lease that is open, for a list."""

    lease: Lease
    username: str


def add(conn: Connection, lease: Lease) -> None:
    """Begin one."""
    conn.execute(
        insert(leases).values(
            id=lease.id,
            recording_id=lease.recording_id,
            web_user_id=lease.web_user_id,
            role=lease.role,
            label=lease.label,
            download=lease.download,
            seen_at=lease.seen_at,
            ends_at=lease.ends_at,
            created_at=lease.created_at,
        )
    )


def find(conn: Connection, lease_id: str, now: UnixMillis) -> Lease | None:
    """The lease of this id, where it is not over."""
    row = conn.execute(select(leases).where(leases.c.id == lease_id, _is_open(now))).first()
    return None if row is None else _lease(row)


def touch(conn: Connection, lease_id: str, now: UnixMillis) -> None:
    """Note that it was used; one that is over stays over."""
    conn.execute(update(leases).where(leases.c.id == lease_id, _is_open(now)).values(seen_at=now))


def end(conn: Connection, name: str) -> RecordingId | None:
    """End the lease of this name; gives its recording, or None where there is none."""
    c = leases.c
    row = conn.execute(select(c.id, c.recording_id).where(c.id.startswith(name, autoescape=True)))
    found = row.first()
    if found is None:
        return None
    conn.execute(delete(leases).where(c.id == found.id))
    return RecordingId(found.recording_id)


def end_all(conn: Connection, recording_id: RecordingId) -> None:
    """End every lease of a recording."""
    conn.execute(delete(leases).where(leases.c.recording_id == recording_id))


def open_ones(conn: Connection, now: UnixMillis) -> tuple[ListedLease, ...]:
    """Those that are not over, newest first."""
    rows = conn.execute(
        select(leases, web_users.c.username)
        .join(web_users, web_users.c.id == leases.c.web_user_id)
        .where(_is_open(now))
        .order_by(leases.c.created_at.desc(), leases.c.id)
    )
    return tuple(ListedLease(_lease(row), row.username) for row in rows)


def forget_ended(conn: Connection, now: UnixMillis) -> None:
    """Remove those that are over."""
    conn.execute(delete(leases).where(~_is_open(now)))


def _is_open(now: UnixMillis) -> ColumnElement[bool]:
    return (leases.c.seen_at > now - IDLE_MS) & (leases.c.ends_at > now)


def _lease(row: Row[tuple[object, ...]]) -> Lease:
    return Lease(
        id=row.id,
        recording_id=RecordingId(row.recording_id),
        web_user_id=WebUserId(row.web_user_id),
        role=row.role,
        label=row.label,
        download=row.download,
        created_at=UnixMillis(row.created_at),
        seen_at=UnixMillis(row.seen_at),
        ends_at=UnixMillis(row.ends_at),
    )
