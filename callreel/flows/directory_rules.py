"""What a change of the directory must not do, whoever makes it."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from callreel.db import entries
from callreel.db.entries import Channel, DirectoryUser, Group
from callreel.errors import Conflict, NotFound
from callreel.model import Scope
from callreel.wording import to_translate, worded

_A: dict[type, str] = {
    Group: to_translate("a group"),
    DirectoryUser: to_translate("an extension"),
    Channel: to_translate("a channel"),
}


def require_site(conn: Connection, scope: Scope, site_id: str) -> None:
    """Refuse a site that is not reached wholly.

    Raises:
        NotFound: It is not, or there is none.
    """
    wholly = replace(scope, group_ids=frozenset())
    if site_id not in entries.sites_in_sight(conn, wholly):
        raise NotFound(worded("There is no site %(site_id)s.", site_id=repr(site_id)))


def require_group(conn: Connection, scope: Scope, site_id: str, group_id: str | None) -> None:
    """Refuse a group of another site, and whatever is beyond reach.

    Raises:
        NotFound: It is, or there is none.
    """
    if group_id is None:
        # Somebody in no group is out of sight for whoever reaches a group only.
        require_site(conn, scope, site_id)
        return
    group = entries.find(conn, Group, scope, group_id)
    if group is None or group.site_id != site_id:
        raise NotFound(worded("There is no such group in %(site_id)s.", site_id=site_id))


def taken(kind: type, name: str, site_id: str) -> Conflict:
    """The error for a name that another has."""
    return Conflict(
        worded(
            "There is %(kind)s %(name)s in %(site_id)s already.",
            kind=_A[kind],
            name=repr(name),
            site_id=site_id,
        )
    )
