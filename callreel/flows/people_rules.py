"""What a change of web users must not do, whoever makes it."""

from __future__ import annotations

from sqlalchemy import Connection

from callreel.access.identity import (
    MAX_PASSWORD_CHARS,
    MIN_PASSWORD_CHARS,
    hash_password,
    make_password,
)
from callreel.db import users
from callreel.errors import BadRequest, Conflict, Forbidden
from callreel.model import Scope, WebUser, WebUserId
from callreel.wording import to_translate, worded


def require_giving(conn: Connection, reach: Scope, own: Scope) -> None:
    """Refuse a reach beyond one's own, or with a site or a group that there is not.

    Raises:
        Forbidden: It is beyond one's own.
        NotFound: There is no such site or group.
    """
    if not users.is_reach_within(conn, reach, own):
        raise Forbidden(
            to_translate("Nobody can let others reach more than they reach themselves.")
        )
    users.require_known_reach(conn, reach)


def require_not_last(stored: WebUser, chiefs: tuple[WebUserId, ...]) -> None:
    """Refuse what would leave nobody who administers everything.

    Raises:
        Conflict: This is the last one.
    """
    if chiefs == (stored.id,):
        raise Conflict(
            worded(
                "%(username)s is the last administrator who reaches everything; "
                "make another one first.",
                username=stored.username,
            )
        )


def with_hash(password: str | None) -> tuple[str, str]:
    """A password and its hash; None makes one.

    Raises:
        BadRequest: It is too short or too long.
    """
    chosen = make_password() if password is None else password
    try:
        return chosen, hash_password(chosen)
    except ValueError:
        raise BadRequest(
            worded(
                "password: a password has %(least)s to %(most)s characters.",
                least=str(MIN_PASSWORD_CHARS),
                most=str(MAX_PASSWORD_CHARS),
            )
        ) from None
