"""Tickets: links of integrators to one recording, good for a minute. Only their hashes are kept."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from callreel.db.people_schema import tickets
from callreel.model import RecordingId, UnixMillis, WebUserId


@dataclass(frozen=True, slots=True)
class Ticket:
    """One ticket."""

    id: str
    """The hash of what stands in the link."""
    recording_id: RecordingId
    web_user_id: WebUserId
    """Who asked for it; it opens no more than they may hear."""
    label: str
    """Whom it is for."""
    download: bool
    """A file may be kept."""
    uses_left: int
    expires_at: UnixMillis
    """First instant at which it is too old."""


def add(conn: Connection, ticket: Ticket, now: UnixMillis) -> None:
    """Keep a new one."""
    conn.execute(
        insert(tickets).values(
            id=ticket.id,
            recording_id=ticket.recording_id,
            web_user_id=ticket.web_user_id,
            label=ticket.label,
            download=ticket.download,
            uses_left=ticket.uses_left,
            expires_at=ticket.expires_at,
            created_at=now,
        )
    )


def find(conn: Connection, ticket_id: str) -> Ticket | None:
    """The ticket of this id, whether it is still good or not."""
    row = conn.execute(select(tickets).where(tickets.c.id == ticket_id)).first()
    if row is None:
        return None
    return Ticket(
        id=row.id,
        recording_id=RecordingId(row.recording_id),
        web_user_id=WebUserId(row.web_user_id),
        label=row.label,
        download=row.download,
        uses_left=row.uses_left,
        expires_at=UnixMillis(row.expires_at),
    )


def use(conn: Connection, ticket_id: str, now: UnixMillis) -> bool:
    """Use it once; False where nothing is left of it, or it is too old.

    One statement, so that of those who try at once no more get in than there are uses.
    """
    c = tickets.c
    good = (c.id == ticket_id) & (c.uses_left > 0) & (c.expires_at > now)
    used = conn.execute(update(tickets).where(good).values(uses_left=c.uses_left - 1))
    return used.rowcount == 1


def forget_expired(conn: Connection, before: UnixMillis) -> None:
    """Remove those that were too old at that time."""
    conn.execute(delete(tickets).where(tickets.c.expires_at < before))
