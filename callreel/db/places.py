"""The part of the directory that somebody may choose from when looking for calls."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from callreel.db.schema import call_records, groups, sites
from callreel.model import Scope


@dataclass(frozen=True, slots=True)
class Places:
    """Sites and groups within a scope."""

    sites: tuple[tuple[str, str], ...]
    """Id and name, by name."""
    groups: tuple[tuple[str, str], ...]
    """Id and name, by name; with the site's where there is more than one site."""
    has_calls: bool
    """Whether any call came in yet, of whatever site."""


def within(conn: Connection, scope: Scope) -> Places:
    """What a scope holds; the groups of a whole site are within it."""
    wanted_sites = select(sites.c.id, sites.c.name).order_by(sites.c.name, sites.c.id)
    wanted_groups = (
        select(groups.c.id, groups.c.name, sites.c.name.label("site"))
        .join(sites, sites.c.id == groups.c.site_id)
        .order_by(groups.c.name, sites.c.name)
    )
    if not scope.everything:
        reached = sorted(scope.site_ids)
        wanted_sites = wanted_sites.where(sites.c.id.in_(reached))
        wanted_groups = wanted_groups.where(
            groups.c.site_id.in_(reached) | groups.c.id.in_(sorted(scope.group_ids))
        )
    found = conn.execute(wanted_groups).all()
    several = len({row.site for row in found}) > 1
    return Places(
        sites=tuple((row.id, row.name) for row in conn.execute(wanted_sites)),
        groups=tuple((row.id, f"{row.name}, {row.site}" if several else row.name) for row in found),
        has_calls=conn.execute(
            select(func.count()).select_from(select(call_records.c.id).limit(1).subquery())
        ).scalar_one()
        > 0,
    )
