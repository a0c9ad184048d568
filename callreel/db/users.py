"""Web users, what each may reach, and their API keys."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    true,
    update,
)

from callreel.db import cursor
from callreel.db.people_schema import leases, web_sessions
from callreel.db.schema import api_keys, groups, sites, web_user_reach, web_users
from callreel.errors import BadRequest, Conflict, NotFound
from callreel.model import Role, Scope, UnixMillis, WebUser, WebUserId
from callreel.wording import to_translate, worded

MAX_NAME_CHARS = 128
EVERYTHING = Scope(everything=True)
RESERVED = frozenset({"command", "policy"})
"""The audit log says so where no web user acts."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """An API key as it is listed; the secret is not stored."""

    id: str
    username: str
    label: str
    created_at: UnixMillis
    disabled: bool


def add_user(
    conn: Connection,
    username: str,
    role: Role,
    password_hash: str,
    reach: Scope,
    now: UnixMillis,
) -> WebUserId:
    """Add a web user.

    Raises:
        BadRequest: The name is empty, too long, reserved, or holds a colon or a control character.
        Conflict: The name is taken; upper and lower case count alike.
    """
    # Basic cuts name and password at the first colon (RFC 7617, section 2).
    if not username or ":" in username or len(username) > MAX_NAME_CHARS:
        raise BadRequest(
            worded(
                "user name: 1 to %(most)s characters, without a colon.", most=str(MAX_NAME_CHARS)
            )
        )
    if username != username.strip() or not username.isprintable():
        raise BadRequest(
            to_translate("user name: no blanks at the ends and no control characters.")
        )
    if username.casefold() in RESERVED:
        raise BadRequest(
            worded(
                "user name: %(username)s stands for no person in the audit log.",
                username=repr(username),
            )
        )
    if by_name(conn, username) is not None:
        raise Conflict(worded("There is a user %(username)s already.", username=repr(username)))
    user_id = WebUserId("w" + secrets.token_hex(8))
    conn.execute(
        insert(web_users).values(
            id=user_id,
            username=username,
            username_folded=username.casefold(),
            password_hash=password_hash,
            role=role.value,
            everything=reach.everything,
            password_version=1,
            created_at=now,
        )
    )
    set_reach(conn, user_id, reach)
    return user_id


def set_reach(conn: Connection, user_id: WebUserId, reach: Scope) -> None:
    """Replace what a user may reach."""
    conn.execute(delete(web_user_reach).where(web_user_reach.c.web_user_id == user_id))
    for site_id in sorted(reach.site_ids):
        conn.execute(insert(web_user_reach).values(web_user_id=user_id, site_id=site_id))
    for group_id in sorted(reach.group_ids):
        conn.execute(insert(web_user_reach).values(web_user_id=user_id, group_id=group_id))
    conn.execute(
        update(web_users).where(web_users.c.id == user_id).values(everything=reach.everything)
    )


def by_name(conn: Connection, username: str) -> WebUser | None:
    """The user of this name; upper and lower case count alike."""
    return _user(conn, web_users.c.username_folded == username.casefold())


def by_id(conn: Connection, web_user_id: WebUserId) -> WebUser | None:
    """The user of this id."""
    return user_of_rows(conn.execute(BY_ID, {"web_user_id": web_user_id}).mappings().all())


def by_api_key(conn: Connection, key_hash: str) -> WebUser | None:
    """The user whose living API key has this hash."""
    owner = select(api_keys.c.web_user_id).where(
        api_keys.c.key_hash == key_hash, api_keys.c.disabled_at.is_(None)
    )
    return _user(conn, web_users.c.id == owner.scalar_subquery())


def _user(conn: Connection, condition: ColumnElement[bool]) -> WebUser | None:
    return next(iter(_users(conn, condition)), None)


def _users(conn: Connection, condition: ColumnElement[bool]) -> tuple[WebUser, ...]:
    ordered = _select_users().where(condition).order_by(web_users.c.username_folded)
    rows = groupby(conn.execute(ordered).mappings(), key=lambda row: row["id"])
    return tuple(user for _, own in rows if (user := user_of_rows(list(own))) is not None)


def _select_users() -> Select[tuple[object, ...]]:
    """Users, each once for every place that they reach or once without one."""
    reached = web_user_reach.c.web_user_id == web_users.c.id
    return select(web_users, web_user_reach.c.site_id, web_user_reach.c.group_id).select_from(
        web_users.outerjoin(web_user_reach, reached)
    )


BY_ID = _select_users().where(web_users.c.id == bindparam("web_user_id"))
"""The query of ``by_id``; its parameter is ``web_user_id``."""


def user_of_rows(rows: Sequence[Mapping[Any, Any]]) -> WebUser | None:
    """All rows about one user; None where there are none."""
    if not rows:
        return None
    user = rows[0]
    return WebUser(
        id=WebUserId(user["id"]),
        username=user["username"],
        role=Role(user["role"]),
        password_hash=user["password_hash"],
        password_version=user["password_version"],
        disabled=user["disabled_at"] is not None,
        reach=Scope(
            everything=bool(user["everything"]),
            site_ids=frozenset(row["site_id"] for row in rows if row["site_id"] is not None),
            group_ids=frozenset(row["group_id"] for row in rows if row["group_id"] is not None),
        ),
    )


def list_users(conn: Connection) -> tuple[WebUser, ...]:
    """Every user, by name."""
    return _users(conn, true())


@dataclass(frozen=True, slots=True)
class UserPage:
    """A stretch of the list of web users."""

    items: tuple[WebUser, ...]
    next: str | None
    """The cursor of the next page; None at the end."""


def page(conn: Connection, scope: Scope, beginning: str, limit: int, after: str | None) -> UserPage:
    """Web users by name, of those who reach nothing beyond a scope.

    Args:
        conn: A read transaction.
        scope: Whose reach it is.
        beginning: Of the name, upper and lower case alike; empty for all.
        limit: How many at the most.
        after: ``next`` of the page before; None for the first.

    Raises:
        BadRequest: The cursor is not one of ours.
    """
    c = web_users.c
    folded = beginning.casefold()
    wanted = select(c.id, c.username_folded).where(
        within(scope), func.substr(c.username_folded, 1, len(folded)) == folded
    )
    if after is not None:
        (place,) = cursor.read_texts(after, 1)
        wanted = wanted.where(c.username_folded > place)
    rows = conn.execute(wanted.order_by(c.username_folded).limit(limit + 1)).all()
    items = _users(conn, c.id.in_([row.id for row in rows[:limit]]))
    more = len(rows) > limit
    return UserPage(items, cursor.make_texts(rows[limit - 1].username_folded) if more else None)


def within(scope: Scope) -> ColumnElement[bool]:
    """The condition on ``web_users`` that somebody reaches nothing beyond a scope."""
    if scope.everything:
        return true()
    reach = web_user_reach.c
    inside = or_(
        reach.site_id.in_(sorted(scope.site_ids)),
        reach.group_id.in_(sorted(scope.group_ids)),
        reach.group_id.in_(select(groups.c.id).where(groups.c.site_id.in_(sorted(scope.site_ids)))),
    )
    # Of a row that gives a site the group is NULL: neither inside nor not.
    outside = exists().where(
        reach.web_user_id == web_users.c.id, not_(func.coalesce(inside, False))
    )
    return and_(web_users.c.everything.is_(False), ~outside)


def is_reach_within(conn: Connection, reach: Scope, scope: Scope) -> bool:
    """Whether somebody who reaches ``scope`` reaches all of ``reach``."""
    if scope.everything:
        return True
    if reach.everything or not reach.site_ids <= scope.site_ids:
        return False
    others = sorted(reach.group_ids - scope.group_ids)
    found = conn.execute(
        select(func.count())
        .select_from(groups)
        .where(groups.c.id.in_(others), groups.c.site_id.in_(sorted(scope.site_ids)))
    ).scalar_one()
    return found == len(others)


def require_known_reach(conn: Connection, reach: Scope) -> None:
    """Refuse sites and groups that there are not.

    Raises:
        NotFound: The first that is missing.
    """
    for table, wanted, kind in (
        (sites, reach.site_ids, to_translate("site")),
        (groups, reach.group_ids, to_translate("group")),
    ):
        known = set(
            conn.execute(select(table.c.id).where(table.c.id.in_(sorted(wanted)))).scalars()
        )
        for missing in sorted(wanted - known):
            raise NotFound(
                worded("There is no %(kind)s %(missing)s.", kind=kind, missing=repr(missing))
            )


def chiefs(conn: Connection) -> tuple[WebUserId, ...]:
    """Administrators who reach everything and are not disabled; nobody changes them meanwhile."""
    c = web_users.c
    rows = conn.execute(
        select(c.id)
        .where(c.role == Role.ADMINISTRATOR.value, c.everything.is_(True), c.disabled_at.is_(None))
        .order_by(c.id)
        # Two who take each other's rights away at once must not both find the other one there.
        .with_for_update()
    )
    return tuple(WebUserId(each) for each in rows.scalars())


def set_role(conn: Connection, user_id: WebUserId, role: Role) -> None:
    """Change what a user is for; sessions of before end."""
    changed = update(web_users).where(web_users.c.id == user_id, web_users.c.role != role.value)
    if conn.execute(changed.values(role=role.value)).rowcount:
        _end_all(conn, web_users.c.id == user_id)


def set_password(conn: Connection, username: str, password_hash: str) -> None:
    """Replace a password; whatever was verified under the old one is void.

    Raises:
        NotFound: There is no such user.
    """
    _change(
        conn,
        username,
        password_hash=password_hash,
        password_version=web_users.c.password_version + 1,
    )
    _end_all(conn, web_users.c.username_folded == username.casefold())


def rehash(conn: Connection, web_user_id: WebUserId, old_hash: str, new_hash: str) -> None:
    """Keep a stronger hash of the same password, unless it was changed meanwhile."""
    conn.execute(
        update(web_users)
        .where(web_users.c.id == web_user_id, web_users.c.password_hash == old_hash)
        .values(password_hash=new_hash)
    )


def disable(conn: Connection, username: str, now: UnixMillis) -> None:
    """Shut a user out; tokens, keys and remembered logins included.

    Raises:
        NotFound: There is no such user.
    """
    _change(conn, username, disabled_at=now)
    _end_all(conn, web_users.c.username_folded == username.casefold())


def enable(conn: Connection, username: str) -> None:
    """Let a user in again.

    Raises:
        NotFound: There is no such user.
    """
    _change(conn, username, disabled_at=None)


def _end_all(conn: Connection, whose: ColumnElement[bool]) -> None:
    """End sessions and leases for good: undoing what ended them must not bring them back."""
    found = select(web_users.c.id).where(whose)
    for table in (web_sessions, leases):
        conn.execute(delete(table).where(table.c.web_user_id.in_(found)))


def _change(conn: Connection, username: str, **values: object) -> None:
    changed = conn.execute(
        update(web_users).where(web_users.c.username_folded == username.casefold()).values(**values)
    )
    if not changed.rowcount:
        raise NotFound(worded("There is no user %(user)s.", user=repr(username)))


def add_key(conn: Connection, username: str, key_hash: str, label: str, now: UnixMillis) -> str:
    """Add an API key of a user; gives the key's id.

    Raises:
        NotFound: There is no such user.
    """
    user = by_name(conn, username)
    if user is None:
        raise NotFound(worded("There is no user %(user)s.", user=repr(username)))
    key_id = "a" + secrets.token_hex(6)
    conn.execute(
        insert(api_keys).values(
            id=key_id, web_user_id=user.id, key_hash=key_hash, label=label, created_at=now
        )
    )
    return key_id


def revoke_key(conn: Connection, key_id: str, now: UnixMillis) -> None:
    """End an API key.

    Raises:
        NotFound: There is no such key.
    """
    changed = conn.execute(update(api_keys).where(api_keys.c.id == key_id).values(disabled_at=now))
    if not changed.rowcount:
        raise NotFound(worded("There is no API key %(key_id)s.", key_id=repr(key_id)))


def find_key(conn: Connection, key_id: str) -> ApiKey:
    """An API key.

    Raises:
        NotFound: There is no such key.
    """
    found = _keys(conn, api_keys.c.id == key_id)
    if not found:
        raise NotFound(worded("There is no API key %(key_id)s.", key_id=repr(key_id)))
    return found[0]


def list_keys(conn: Connection, scope: Scope = EVERYTHING) -> tuple[ApiKey, ...]:
    """API keys of users who reach nothing beyond a scope, oldest first."""
    return _keys(conn, within(scope))


def _keys(conn: Connection, condition: ColumnElement[bool]) -> tuple[ApiKey, ...]:
    rows = conn.execute(
        select(api_keys, web_users.c.username)
        .join(web_users, web_users.c.id == api_keys.c.web_user_id)
        .where(condition)
        .order_by(api_keys.c.created_at, api_keys.c.id)
    )
    return tuple(
        ApiKey(
            row.id, row.username, row.label, UnixMillis(row.created_at), row.disabled_at is not None
        )
        for row in rows
    )
