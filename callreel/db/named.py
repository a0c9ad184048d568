"""Sites, groups and people of the directory as they are named in a question, within a Scope.

What is outside looks as what is not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, false, or_, select, true

from callreel.db.schema import directory_users, groups, sites
from callreel.errors import BadRequest
from callreel.model import Scope
from callreel.wording import joined, to_translate, worded


@dataclass(frozen=True, slots=True)
class Place:
    """A site, a group or a person."""

    id: str
    name: str
    """With that of its site where it is none."""
    site_id: str
    extension: str = ""
    """Of a person."""


def find_site(conn: Connection, scope: Scope, named: str) -> Place:
    """A site by id or name, of which at least a group is within a scope.

    Raises:
        BadRequest: There is none, or two have this name.
    """
    rows = conn.execute(
        select(sites.c.id, sites.c.name)
        .where(or_(sites.c.id == named, sites.c.name == named), _site_within(scope))
        .order_by(sites.c.id)
    ).all()
    return _the_one("site", named, [Place(row.id, row.name, row.id) for row in rows])


def find_group(conn: Connection, scope: Scope, named: str) -> Place:
    """A group by id, by site and name (``Manchester/Sales``), or by name where one has it.

    Raises:
        BadRequest: There is none, or several.
    """
    site_name, _, group_name = named.partition("/")
    in_site = or_(sites.c.id == site_name, sites.c.name == site_name)
    rows = conn.execute(
        select(groups.c.id, groups.c.name, groups.c.site_id, sites.c.name.label("site"))
        .join(sites, sites.c.id == groups.c.site_id)
        .where(
            or_(
                groups.c.id == named,
                groups.c.name == named,
                in_site & (groups.c.name == group_name),
            ),
            _group_within(scope),
        )
        .order_by(groups.c.id)
    ).all()
    found = [Place(row.id, f"{row.site}/{row.name}", row.site_id) for row in rows]
    return _the_one("group", named, found)


def find_user(conn: Connection, scope: Scope, named: str) -> Place:
    """A person by id, extension or name.

    Raises:
        BadRequest: There is none, or several: then a site or a group tells which.
    """
    u = directory_users.c
    within = or_(u.site_id.in_(sorted(scope.site_ids)), u.group_id.in_(sorted(scope.group_ids)))
    rows = conn.execute(
        select(u.id, u.name, u.extension, u.site_id, sites.c.name.label("site"))
        .join(sites, sites.c.id == u.site_id)
        .where(
            or_(u.id == named, u.extension == named, u.name == named),
            true() if scope.everything else within,
        )
        .order_by(u.id)
    ).all()
    found = []
    for row in rows:
        name = row.name if row.name == row.extension else f"{row.name} ({row.extension})"
        found.append(Place(row.id, f"{name}, {row.site}", row.site_id, row.extension))
    return _the_one("agent", named, found)


def within_site(conn: Connection, scope: Scope, site_id: str) -> Scope:
    """The part of a scope that lies in one site."""
    if scope.everything or site_id in scope.site_ids:
        return Scope(site_ids=frozenset({site_id}))
    own = conn.execute(
        select(groups.c.id).where(
            groups.c.site_id == site_id, groups.c.id.in_(sorted(scope.group_ids))
        )
    ).scalars()
    return Scope(group_ids=frozenset(own))


def timezones(conn: Connection, scope: Scope) -> frozenset[str]:
    """The time zones of the sites that a scope reaches into."""
    return frozenset(conn.execute(select(sites.c.timezone).where(_site_within(scope))).scalars())


def words(conn: Connection, scope: Scope) -> str:
    """A scope in words."""
    if scope.everything:
        return to_translate("everything")
    named: list[str] = [
        worded("site %(name)s", name=name)
        for name in conn.execute(
            select(sites.c.name)
            .where(sites.c.id.in_(sorted(scope.site_ids)))
            .order_by(sites.c.name)
        ).scalars()
    ]
    rows = conn.execute(
        select(sites.c.name, groups.c.name.label("group_name"))
        .join(groups, groups.c.site_id == sites.c.id)
        .where(groups.c.id.in_(sorted(scope.group_ids)))
        .order_by(sites.c.name, groups.c.name)
    )
    named += [worded("group %(name)s", name=f"{row.name}/{row.group_name}") for row in rows]
    return joined(named) if named else to_translate("nothing")


def _site_within(scope: Scope) -> ColumnElement[bool]:
    if scope.everything:
        return true()
    of_groups = select(groups.c.site_id).where(groups.c.id.in_(sorted(scope.group_ids)))
    return or_(sites.c.id.in_(sorted(scope.site_ids)), sites.c.id.in_(of_groups))


def _group_within(scope: Scope) -> ColumnElement[bool]:
    if scope.everything:
        return true()
    if scope == Scope():
        return false()
    return or_(
        groups.c.site_id.in_(sorted(scope.site_ids)), groups.c.id.in_(sorted(scope.group_ids))
    )


def _the_one(what: str, named: str, found: Sequence[Place]) -> Place:
    # An id is nobody else's, whatever others are called.
    exact = [place for place in found if place.id == named] or found
    if not exact:
        raise BadRequest(
            worded("%(what)s: there is no %(named)s here.", what=what, named=repr(named[:60]))
        )
    if len(exact) > 1:
        told = "; ".join(place.name for place in exact[:5])
        raise BadRequest(
            worded(
                "%(what)s: %(exact)s are called %(named)s: %(told)s.",
                what=what,
                exact=len(exact),
                named=repr(named[:60]),
                told=told,
            )
        )
    return exact[0]
