"""Single-use tokens that were used: the one place where that is decided, for every Echo."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select
from sqlalchemy.exc import IntegrityError

from callreel.db.schema import used_tokens
from callreel.model import UnixMillis


def burn(conn: Connection, token_id: str, expires_at: UnixMillis) -> bool:
    """Use a token up; False where somebody was first.

    The primary key decides between two that try at once.
    """
    if is_burned(conn, token_id):
        return False
    try:
        with conn.begin_nested():
            conn.execute(insert(used_tokens).values(token_id=token_id, expires_at=expires_at))
    except IntegrityError:
        return False
    return True


def is_burned(conn: Connection, token_id: str) -> bool:
    """Whether a token was used up."""
    wanted = select(used_tokens.c.token_id).where(used_tokens.c.token_id == token_id)
    return conn.execute(wanted).first() is not None


def forget_expired(conn: Connection, before: UnixMillis) -> int:
    """Remove what no verifier would accept any more; gives how many."""
    return conn.execute(delete(used_tokens).where(used_tokens.c.expires_at < before)).rowcount
