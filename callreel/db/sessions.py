"""Sessions of the pages: who signed in, where from, until when. Only hashes of secrets are kept.

A session is void when its user is disabled, or got another password or role since (threats.md T35).
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from callreel.db import users
from callreel.db.people_schema import web_sessions
from callreel.model import UnixMillis, WebUser, WebUserId

IDLE_MS = 2 * 3_600_000
"""Nothing asked for so long: sign in again."""
ABSOLUTE_MS = 12 * 3_600_000
"""However busy: once a working day."""
_SEEN_EVERY_MS = 60_000


@dataclass(frozen=True, slots=True)
class OpenSession:
    """A session that may be used now."""

    id: str
    """The hash of its secret."""
    user: WebUser
    is_stale: bool
    """``touch`` is due."""


def add(
    conn: Connection, session_id: str, user: WebUser, address: str | None, now: UnixMillis
) -> None:
    """Begin a session."""
    conn.execute(
        insert(web_sessions).values(
            id=session_id,
            web_user_id=user.id,
            password_version=user.password_version,
            role=user.role.value,
            address=address,
            created_at=now,
            seen_at=now,
        )
    )


def find(conn: Connection, session_id: str, now: UnixMillis) -> OpenSession | None:
    """The session of this id, where it may be used now."""
    row = conn.execute(select(web_sessions).where(web_sessions.c.id == session_id)).first()
    if row is None or now - row.seen_at > IDLE_MS or now - row.created_at > ABSOLUTE_MS:
        return None
    user = users.by_id(conn, WebUserId(row.web_user_id))
    if user is None or user.disabled:
        return None
    if (user.password_version, user.role.value) != (row.password_version, row.role):
        return None
    return OpenSession(session_id, user, now - row.seen_at > _SEEN_EVERY_MS)


def touch(conn: Connection, session_id: str, now: UnixMillis) -> None:
    """Note that it was used."""
    conn.execute(update(web_sessions).where(web_sessions.c.id == session_id).values(seen_at=now))


def end(conn: Connection, session_id: str) -> None:
    """End one; harmless where it is over."""
    conn.execute(delete(web_sessions).where(web_sessions.c.id == session_id))


def forget_expired(conn: Connection, now: UnixMillis) -> None:
    """Remove those that nobody can use any more."""
    c = web_sessions.c
    conn.execute(
        delete(web_sessions).where((c.seen_at < now - IDLE_MS) | (c.created_at < now - ABSOLUTE_MS))
    )
