"""Signing in and out of the pages. The secret is in the browser's cookie, its hash is here.

Source: threats.md T35; OWASP ASVS 7.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from sqlalchemy import Connection

from callreel.access.identity import Verifier, principal_of
from callreel.db import audit, sessions, users
from callreel.db.database import Database
from callreel.errors import Forbidden, Unauthenticated, Unavailable
from callreel.model import Clock, Principal, UnixMillis
from callreel.wording import to_translate

ENDED = to_translate("You are not signed in, or your session ended.")
_LONGEST = 128


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Somebody with a session that is good now."""

    principal: Principal
    session_id: str
    """The hash of the secret; tells sessions apart and lets nobody in."""
    csrf: str
    """What every form of this session carries (threats.md T33)."""


class Sessions:
    """Begins, finds and ends sessions."""

    def __init__(self, db: Database, verifier: Verifier, clock: Clock) -> None:
        self._db = db
        self._verifier = verifier
        self._clock = clock

    def sign_in(self, username: str, password: str, address: str | None, before: str | None) -> str:
        """Begin a session; gives its secret, which nobody had before.

        Args:
            username: As typed.
            password: As typed.
            address: Where from.
            before: The secret of the session that the browser had; it ends.

        Raises:
            Unauthenticated, TooManyRequests: as ``Verifier.basic``.
            Unavailable: The database is away.
        """
        principal = self._verifier.basic(username, password, address)
        secret = secrets.token_urlsafe(32)
        with self._db.write() as conn:
            user = users.by_id(conn, principal.web_user_id)
            if user is None or user.disabled:
                raise Unauthenticated(to_translate("The user name or the password is wrong."))
            if before is not None:
                sessions.end(conn, _hashed(before))
            sessions.add(conn, _hashed(secret), user, address, self._clock())
            audit.append(conn, self._entry(principal, "session.begin", address))
        return secret

    def find(self, secret: str) -> SignedIn:
        """Who has this secret.

        Raises:
            Unauthenticated: The session is over, or never was.
            Unavailable: The database is away.
        """
        if not 0 < len(secret) <= _LONGEST:
            raise Unauthenticated(ENDED)
        session_id, now = _hashed(secret), self._clock()
        with self._db.read() as conn:
            found = sessions.find(conn, session_id, now)
        if found is None:
            raise Unauthenticated(ENDED)
        if found.is_stale:
            self._touch(session_id)
        return SignedIn(principal_of(found.user, "session"), session_id, csrf_of(secret))

    def require(self, signed_in: SignedIn) -> None:
        """Return where a session that was found before is still good.

        Raises:
            Unauthenticated: It is over.
            Forbidden: What its user may reach has changed.
            Unavailable: The database is away.
        """
        with self._db.read() as conn:
            require_open(conn, signed_in, self._clock())

    def _touch(self, session_id: str) -> None:
        try:
            with self._db.write() as conn:
                sessions.touch(conn, session_id, self._clock())
        except Unavailable:
            # Somebody who only reads may go on while nobody can write; the next request tries.
            return

    def sign_out(self, secret: str, address: str | None) -> None:
        """End a session, and with it what it listens to.

        Raises:
            Unauthenticated: It is over already.
            Unavailable: The database is away; it goes on.
        """
        signed_in = self.find(secret)
        with self._db.write() as conn:
            sessions.end(conn, signed_in.session_id)
            audit.append(conn, self._entry(signed_in.principal, "session.end", address))

    def _entry(self, principal: Principal, action: str, address: str | None) -> audit.AuditEntry:
        return audit.AuditEntry(
            at=self._clock(),
            actor=principal.username,
            action=action,
            object_id=principal.web_user_id,
            decision="allowed",
            detail={},
            address=address,
        )


def require_open(conn: Connection, signed_in: SignedIn, now: UnixMillis) -> None:
    """Return where a session is still good, and its user's rights are those it was found with.

    Raises:
        Unauthenticated: It is over.
        Forbidden: What its user may reach has changed.
    """
    found = sessions.find(conn, signed_in.session_id, now)
    if found is None:
        raise Unauthenticated(ENDED)
    if found.user.reach != signed_in.principal.reach:
        raise Forbidden(to_translate("What you may see and hear has changed; load the page again."))


def csrf_of(secret: str) -> str:
    """The token against forged forms: known to the pages of a session and to nobody else."""
    return hmac.new(secret.encode(), b"callreel form", hashlib.sha256).hexdigest()[:32]


def _hashed(secret: str) -> str:
    # 256 random bits: one fast hash is enough.
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
