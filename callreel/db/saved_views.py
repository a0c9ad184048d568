"""Saved views: named filters of Call View, for oneself, for the team, or for everyone."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, delete, insert, or_, select

from callreel.db.people_schema import saved_views
from callreel.db.schema import web_user_reach, web_users
from callreel.model import UnixMillis, WebUserId


class Audience(StrEnum):
    """Who sees a saved view. What it finds depends on who looks, as always."""

    ME = "me"
    TEAM = "team"
    """Who shares a site or a group with the owner."""
    EVERYONE = "everyone"


@dataclass(frozen=True, slots=True)
class SavedView:
    """One saved view."""

    id: str
    name: str
    query: str
    """Of the address of Call View, in its clean form."""
    audience: Audience
    web_user_id: WebUserId
    username: str


def add(
    conn: Connection,
    name: str,
    query: str,
    audience: Audience,
    web_user_id: WebUserId,
    now: UnixMillis,
) -> str:
    """Save a view; gives its id."""
    view_id = "v" + secrets.token_hex(6)
    conn.execute(
        insert(saved_views).values(
            id=view_id,
            name=name,
            query=query,
            audience=audience.value,
            web_user_id=web_user_id,
            created_at=now,
        )
    )
    return view_id


def seen_by(conn: Connection, web_user_id: WebUserId) -> tuple[SavedView, ...]:
    """What a user sees: own ones, those of the team, those for everyone; oldest first."""
    own, theirs = web_user_reach.alias(), web_user_reach.alias()
    team = (
        select(theirs.c.web_user_id)
        .select_from(
            own.join(
                theirs, or_(own.c.site_id == theirs.c.site_id, own.c.group_id == theirs.c.group_id)
            )
        )
        .where(own.c.web_user_id == web_user_id)
    )
    v = saved_views.c
    rows = conn.execute(
        select(saved_views, web_users.c.username)
        .join(web_users, web_users.c.id == v.web_user_id)
        .where(
            or_(
                v.web_user_id == web_user_id,
                v.audience == Audience.EVERYONE.value,
                (v.audience == Audience.TEAM.value) & v.web_user_id.in_(team),
            )
        )
        .order_by(v.created_at, v.id)
    )
    return tuple(
        SavedView(
            row.id,
            row.name,
            row.query,
            Audience(row.audience),
            WebUserId(row.web_user_id),
            row.username,
        )
        for row in rows
    )


def remove(conn: Connection, view_id: str) -> None:
    """Forget a saved view."""
    conn.execute(delete(saved_views).where(saved_views.c.id == view_id))
