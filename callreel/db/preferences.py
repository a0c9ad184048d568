"""What each web user chose about pages, and the time zones of what they see."""

from __future__ import annotations

from sqlalchemy import Connection, select
from sqlalchemy.dialects import postgresql, sqlite

from callreel.db.people_schema import preferences
from callreel.db.schema import groups, sites
from callreel.model import Scope, WebUserId


def of(conn: Connection, web_user_id: WebUserId) -> str | None:
    """What a user chose, as JSON; None where nothing yet."""
    wanted = select(preferences.c.chosen).where(preferences.c.web_user_id == web_user_id)
    return conn.execute(wanted).scalar()


def put(conn: Connection, web_user_id: WebUserId, chosen: str) -> None:
    """Keep what a user chose."""
    insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    conn.execute(
        insert(preferences)
        .values(web_user_id=web_user_id, chosen=chosen)
        .on_conflict_do_update(index_elements=["web_user_id"], set_={"chosen": chosen})
    )


def zones_of(conn: Connection, scope: Scope) -> list[str]:
    """The time zones of the sites of a scope, sorted."""
    wanted = select(sites.c.timezone).distinct().order_by(sites.c.timezone)
    if not scope.everything:
        of_groups = select(groups.c.site_id).where(groups.c.id.in_(sorted(scope.group_ids)))
        wanted = wanted.where(sites.c.id.in_(sorted(scope.site_ids)) | sites.c.id.in_(of_groups))
    return list(conn.execute(wanted).scalars())
