"""What the directory holds, as administrators see and change it; every list through a Scope.

A group lies in a site: who reaches a site reaches its groups, users and channels; who reaches a
group reaches its users.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Table,
    and_,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    true,
    update,
)

from callreel.db import cursor
from callreel.db.schema import (
    call_records,
    channels,
    datasources,
    directory_users,
    groups,
    signals,
    sites,
    web_user_reach,
)
from callreel.db.terms import begins, holds
from callreel.model import Scope
from callreel.wording import to_translate


@dataclass(frozen=True, slots=True)
class Group:
    """A group of a site."""

    id: str
    site_id: str
    name: str


@dataclass(frozen=True, slots=True)
class DirectoryUser:
    """Somebody with an extension."""

    id: str
    site_id: str
    group_id: str | None
    extension: str
    name: str


@dataclass(frozen=True, slots=True)
class Channel:
    """A line or a device of a site, as the switch names it."""

    id: str
    site_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Datasource:
    """A feed of calls."""

    id: str
    site_id: str


Entry = TypeVar("Entry", bound=Group | DirectoryUser | Channel | Datasource)

_TABLES: dict[type, tuple[Table, Column[Any]]] = {
    Group: (groups, groups.c.name),
    DirectoryUser: (directory_users, directory_users.c.name),
    Channel: (channels, channels.c.name),
    Datasource: (datasources, datasources.c.id),
}
"""Where each kind is kept, and by what its list is ordered."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What is looked for; None leaves a field open."""

    text: str | None = None
    """Anywhere in the name, or at the beginning of an extension."""
    site_id: str | None = None
    group_id: str | None = None
    """Of directory users only."""


def _in_reach(kind: type, scope: Scope) -> ColumnElement[bool]:
    if scope.everything:
        return true()
    table, _ = _TABLES[kind]
    found = [table.c.site_id.in_(sorted(scope.site_ids))]
    if kind is Group:
        found.append(groups.c.id.in_(sorted(scope.group_ids)))
    if kind is DirectoryUser:
        found.append(directory_users.c.group_id.in_(sorted(scope.group_ids)))
    return or_(*found)


def sites_in_sight(conn: Connection, scope: Scope) -> frozenset[str]:
    """The sites that somebody reaches, wholly or a group of them."""
    wanted = select(sites.c.id)
    if not scope.everything:
        of_groups = select(groups.c.site_id).where(groups.c.id.in_(sorted(scope.group_ids)))
        in_part = sites.c.id.in_(of_groups)
        wanted = wanted.where(or_(sites.c.id.in_(sorted(scope.site_ids)), in_part))
    return frozenset(conn.execute(wanted).scalars())


def find(conn: Connection, kind: type[Entry], scope: Scope, entry_id: str) -> Entry | None:
    """One entry within a scope."""
    table, _ = _TABLES[kind]
    wanted = select(table).where(table.c.id == entry_id, _in_reach(kind, scope))
    row = conn.execute(wanted).mappings().first()
    return None if row is None else kind(**row)


def page(  # what, whose, which, how much
    conn: Connection,
    kind: type[Entry],
    scope: Scope,
    wanted: Filter,
    limit: int,
    after: str | None,
) -> tuple[tuple[Entry, ...], str | None]:
    """A page of entries by name, and the cursor of the next one; None at the end.

    Raises:
        BadRequest: The cursor is not one of ours.
    """
    table, name = _TABLES[kind]
    query = select(table).where(_in_reach(kind, scope), *_conditions(table, name, wanted))
    if after is not None:
        last_name, last_id = cursor.read_texts(after, 2)
        query = query.where(or_(name > last_name, and_(name == last_name, table.c.id > last_id)))
    rows = conn.execute(query.order_by(name, table.c.id).limit(limit + 1)).mappings().all()
    items = tuple(kind(**row) for row in rows[:limit])
    if len(rows) <= limit:
        return items, None
    last = rows[limit - 1]
    return items, cursor.make_texts(last[name.name], last["id"])


def _conditions(table: Table, name: Column[Any], wanted: Filter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.text is not None:
        named = holds(name, wanted.text)
        if table is directory_users:
            named = or_(named, begins(directory_users.c.extension, wanted.text))
        found.append(named)
    if wanted.site_id is not None:
        found.append(table.c.site_id == wanted.site_id)
    if wanted.group_id is not None:
        found.append(directory_users.c.group_id == wanted.group_id)
    return found


def named(conn: Connection, kind: type[Entry], site_id: str, name: str) -> Entry | None:
    """The entry of this name in a site; of a directory user, of this extension."""
    table, column = _TABLES[kind]
    if kind is DirectoryUser:
        column = directory_users.c.extension
    row = conn.execute(select(table).where(table.c.site_id == site_id, column == name))
    found = row.mappings().first()
    return None if found is None else kind(**found)


def members(conn: Connection, scope: Scope) -> dict[str, int]:
    """How many directory users each group within a scope has; groups without are left out."""
    u = directory_users.c
    rows = conn.execute(
        select(u.group_id, func.count())
        .join(groups, groups.c.id == u.group_id)
        .where(_in_reach(Group, scope))
        .group_by(u.group_id)
    )
    return {group_id: count for group_id, count in rows}  # noqa: C416  # rows are no pairs of types


def rename_group(conn: Connection, group_id: str, name: str) -> None:
    """Give a group another name; its id stays, and with it who reaches it."""
    conn.execute(update(groups).where(groups.c.id == group_id).values(name=name))


def change_user(conn: Connection, user: DirectoryUser) -> None:
    """Write the name and the group of a directory user."""
    conn.execute(
        update(directory_users)
        .where(directory_users.c.id == user.id)
        .values(name=user.name, group_id=user.group_id)
    )


def move_datasource(conn: Connection, datasource: Datasource) -> None:
    """Let a datasource feed another site."""
    conn.execute(
        update(datasources)
        .where(datasources.c.id == datasource.id)
        .values(site_id=datasource.site_id)
    )


def add_datasource(conn: Connection, datasource: Datasource) -> None:
    """Make a datasource known before its first call."""
    conn.execute(insert(datasources).values(**asdict(datasource)))


def remove(conn: Connection, entry: Group | DirectoryUser | Channel) -> None:
    """Remove an entry that nothing uses; see ``uses``."""
    table, _ = _TABLES[type(entry)]
    conn.execute(delete(table).where(table.c.id == entry.id))


def uses(conn: Connection, entry: Group | DirectoryUser | Channel | Datasource) -> str | None:
    """What still uses an entry, in words; None where nothing does."""
    columns: dict[type, tuple[tuple[str, Column[Any]], ...]] = {
        Group: (
            (to_translate("users of the directory are in it"), directory_users.c.group_id),
            (to_translate("web users reach it"), web_user_reach.c.group_id),
        ),
        DirectoryUser: (
            (to_translate("calls are theirs"), call_records.c.directory_user_id),
            (to_translate("signals name them"), signals.c.directory_user_id),
        ),
        Channel: (
            (to_translate("calls went over it"), call_records.c.channel_id),
            (to_translate("signals name it"), signals.c.channel_id),
        ),
        Datasource: ((to_translate("calls came from it"), call_records.c.datasource),),
    }
    for told, column in columns[type(entry)]:
        if conn.execute(select(exists().where(column == entry.id))).scalar():
            return told
    return None
