"""The three logins of the demo, with random passwords. They exist in the demo only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from callreel.access.identity import hash_password, make_password
from callreel.db import users
from callreel.db.database import Database
from callreel.demo.town import MANCHESTER
from callreel.model import Role, Scope, UnixMillis

_EVERYTHING = Scope(everything=True)


@dataclass(frozen=True, slots=True)
class DemoLogin:
    """A web user with the password in clear, as ``demo.json`` lists it."""

    username: str
    password: str
    role: Role
    reach: Scope


def ensure_logins(db: Database, known: Mapping[str, str], now: UnixMillis) -> tuple[DemoLogin, ...]:
    """Have an administrator, a supervisor of one site and an integrator.

    Args:
        db: Where they are kept.
        known: User name to password of logins made before; who is missing gets a new one.
        now: When they are made.

    Cost: 20 ms for each new password.
    """
    return tuple(
        _ensure(db, username, role, reach, known.get(username), now)
        for username, role, reach in (
            ("admin", Role.ADMINISTRATOR, _EVERYTHING),
            (
                "manchester-supervisor",
                Role.SUPERVISOR,
                Scope(site_ids=frozenset({MANCHESTER.id})),
            ),
            ("integrator", Role.INTEGRATOR, _EVERYTHING),
        )
    )


def _ensure(
    db: Database, username: str, role: Role, reach: Scope, known: str | None, now: UnixMillis
) -> DemoLogin:
    with db.read() as conn:
        exists = users.by_name(conn, username) is not None
    password = known or make_password()
    if not exists:
        password_hash = hash_password(password)
        with db.write() as conn:
            users.add_user(conn, username, role, password_hash, reach, now)
    elif known is None:
        password_hash = hash_password(password)
        with db.write() as conn:
            users.set_password(conn, username, password_hash)
    return DemoLogin(username, password, role, reach)
