"""Notes that people write about calls, at a moment of the recording or about the whole call."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from callreel.db.people_schema import notes
from callreel.db.schema import web_users
from callreel.model import CallId, UnixMillis, WebUserId


@dataclass(frozen=True, slots=True)
class Note:
    """One note."""

    id: str
    call_id: CallId
    at_s: float | None
    """Seconds from the first frame of the recording; None: about the whole call."""
    text: str
    web_user_id: WebUserId
    username: str
    created_at: UnixMillis


def add(
    conn: Connection,
    call_id: CallId,
    at_s: float | None,
    text: str,
    web_user_id: WebUserId,
    now: UnixMillis,
) -> str:
    """Write a note; gives its id."""
    note_id = "n" + secrets.token_hex(8)
    conn.execute(
        insert(notes).values(
            id=note_id,
            call_id=call_id,
            at_s=at_s,
            text=text,
            web_user_id=web_user_id,
            created_at=now,
        )
    )
    return note_id


def of_call(conn: Connection, call_id: CallId) -> tuple[Note, ...]:
    """The notes of a call, by the moment they are about; those of the whole call first."""
    n = notes.c
    rows = conn.execute(
        select(n.id, n.at_s, n.text, n.web_user_id, n.created_at, web_users.c.username)
        .join(web_users, web_users.c.id == n.web_user_id)
        .where(n.call_id == call_id, n.removed_at.is_(None))
        .order_by(func.coalesce(n.at_s, -1.0), n.created_at, n.id)
    )
    return tuple(
        Note(
            row.id,
            call_id,
            row.at_s,
            row.text,
            WebUserId(row.web_user_id),
            row.username,
            UnixMillis(row.created_at),
        )
        for row in rows
    )


def remove(conn: Connection, note_id: str, now: UnixMillis) -> None:
    """Take a note away; the row stays, since an audit row names it."""
    conn.execute(update(notes).where(notes.c.id == note_id).values(removed_at=now))


def counts(conn: Connection, call_ids: Collection[str]) -> dict[str, int]:
    """How many notes each of some calls has; calls without any are left out."""
    rows = conn.execute(
        select(notes.c.call_id, func.count())
        .where(notes.c.call_id.in_(sorted(call_ids)), notes.c.removed_at.is_(None))
        .group_by(notes.c.call_id)
    )
    return {row[0]: row[1] for row in rows}
