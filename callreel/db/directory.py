"""The directory: sites with datasources, groups, users and channels; stores and voicelocations."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from callreel.db.schema import (
    channels,
    datasources,
    directory_users,
    groups,
    sites,
    stores,
    voicelocations,
)
from callreel.errors import BadRequest, NotFound
from callreel.model import Fill, Scope
from callreel.wording import to_translate, worded

DEFAULT_STORE = "1"
DEFAULT_VOICELOCATION = "1"
"""Where a site names none."""
DEFAULT_PAD_S = 0.5
"""Source: contract.md 4.3."""
MOST_S = 366 * 86_400.0
MOST_DAYS = 36_500
DEFAULT_SETTLE_S = 30.0
"""How long after a call its recording waits for late signals. Source: threats.md T24."""


@dataclass(frozen=True, slots=True)
class Site:
    """One site and how it masks."""

    id: str
    name: str
    default_voicelocation: str | None
    """Used where a call names none."""
    timezone: str
    pad_s: float
    max_span_s: float | None
    settle_s: float
    fill: Fill
    """What is written over what is masked; checked by ``audio/fill.py``."""
    burn_in_after_s: float | None
    """How long after a recording is ready its masks are burned in; None: only when told."""
    key_presses: str
    """What is done with keys heard in the sound: ``off``, ``list`` for a person, ``apply``."""
    retention_days: int | None = None
    """Days after the end of its last call that a recording is kept; None: for ever."""


def _id(kind: str, *parts: str) -> str:
    # Derived, so that imports in any order and run again give the same directory.
    text = "\0".join((kind, *parts)).encode("utf-8", "surrogatepass")
    return kind + hashlib.sha256(text).hexdigest()[:20]


def insert_once(conn: Connection, table: Table, **values: object) -> None:
    """Insert a row unless its key is there, even when another transaction inserts it right now."""
    insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    conn.execute(insert(table).values(**values).on_conflict_do_nothing())


def _site_of(row: RowMapping) -> Site:
    values = {name: value for name, value in row.items() if not name.startswith("fill_")}
    return Site(**values, fill=fill_of_row(row))


def fill_of_row(row: Mapping[Any, Any]) -> Fill:
    """What a row of ``sites`` says about the fill."""
    return Fill(
        row["fill_kind"],
        row["fill_hz"],
        row["fill_dbfs"],
        row["fill_samples"] or b"",
        row["fill_rate_hz"] or 0,
    )


def _fill_columns(fill: Fill) -> dict[str, object]:
    return {f"fill_{name}": value for name, value in asdict(fill).items()}


def list_sites(conn: Connection) -> tuple[Site, ...]:
    """Every site, by name."""
    rows = conn.execute(select(sites).order_by(sites.c.name, sites.c.id)).mappings()
    return tuple(_site_of(row) for row in rows)


def find_site(conn: Connection, id_or_name: str) -> Site:
    """A site by its id or its name.

    Raises:
        NotFound: There is none, or two have this name.
    """
    row = conn.execute(select(sites).where(sites.c.id == id_or_name)).mappings().first()
    if row is None:
        rows = conn.execute(select(sites).where(sites.c.name == id_or_name)).mappings().all()
        if len(rows) != 1:
            known = ", ".join(site.name for site in list_sites(conn)) or to_translate("none yet")
            raise NotFound(
                worded(
                    "There is no one site %(site)s; known: %(known)s.",
                    site=repr(id_or_name),
                    known=known,
                )
            )
        row = rows[0]
    return _site_of(row)


def ensure_site(conn: Connection, site_id: str, name: str | None = None) -> Site:
    """The site of this id; made with default settings where it is new."""
    wanted = select(sites).where(sites.c.id == site_id)
    row = conn.execute(wanted).mappings().first()
    if row is None:
        insert_once(
            conn,
            sites,
            id=site_id,
            name=name or site_id,
            timezone="UTC",
            pad_s=DEFAULT_PAD_S,
            settle_s=DEFAULT_SETTLE_S,
        )
        row = conn.execute(wanted).mappings().one()
    return _site_of(row)


def set_site(conn: Connection, site: Site) -> None:
    """Write the settings of a site that exists.

    Raises:
        BadRequest: A setting is out of range.
    """
    for name in ("pad_s", "settle_s", "max_span_s", "burn_in_after_s"):
        value = getattr(site, name)
        if value is not None and not 0 <= value <= MOST_S:
            raise BadRequest(
                worded(
                    "%(name)s: %(value)s is not a number of seconds from 0 to a year.",
                    name=name,
                    value=str(value),
                )
            )
    if site.max_span_s == 0:
        raise BadRequest(to_translate("max_span_s: must be more than 0."))
    if site.retention_days is not None and not 1 <= site.retention_days <= MOST_DAYS:
        raise BadRequest(
            worded("retention_days: not a number of days from 1 to %(most)s.", most=str(MOST_DAYS))
        )
    values = {**asdict(site), **_fill_columns(site.fill)}
    del values["fill"]
    conn.execute(update(sites).where(sites.c.id == values.pop("id")).values(**values))


def ensure_datasource(conn: Connection, datasource: str, site_id: str | None = None) -> Site:
    """The site that a datasource feeds; an unknown datasource becomes a site of its own.

    Args:
        conn: A write transaction.
        datasource: Its name.
        site_id: The site it feeds where it is new; None makes one of the same id.
    """
    known = site_of_datasource(conn, datasource)
    if known is None:
        site = ensure_site(conn, site_id or datasource)
        insert_once(conn, datasources, id=datasource, site_id=site.id)
        # Another may have been first, with another site.
        known = site_of_datasource(conn, datasource) or site.id
    return ensure_site(conn, known)


def site_of_datasource(conn: Connection, datasource: str) -> str | None:
    """The id of the site that a datasource feeds; None where there is no such datasource."""
    wanted = select(datasources.c.site_id).where(datasources.c.id == datasource)
    return conn.execute(wanted).scalar()


def ensure_group(conn: Connection, site_id: str, name: str) -> str:
    """The id of a group of a site; made where it is new."""
    wanted = select(groups.c.id).where(groups.c.site_id == site_id, groups.c.name == name)
    group_id = conn.execute(wanted).scalar()
    if group_id is None:
        insert_once(conn, groups, id=_id("g", site_id, name), site_id=site_id, name=name)
        group_id = conn.execute(wanted).scalar()
    if group_id is None:
        # A group that was called so first and was renamed since has the id of this name.
        drawn = "g" + secrets.token_hex(10)
        insert_once(conn, groups, id=drawn, site_id=site_id, name=name)
        group_id = conn.execute(wanted).scalar_one()
    return str(group_id)


def find_group(conn: Connection, name: str) -> str:
    """The id of a group that is named ``SITE/GROUP``.

    Raises:
        NotFound: There is no such group.
    """
    site_name, _, group_name = name.partition("/")
    site = find_site(conn, site_name)
    wanted = select(groups.c.id).where(groups.c.site_id == site.id, groups.c.name == group_name)
    group_id = conn.execute(wanted).scalar()
    if group_id is None:
        raise NotFound(
            worded(
                "There is no group %(group_name)s in %(name)s.",
                group_name=repr(group_name),
                name=site.name,
            )
        )
    return str(group_id)


def ensure_user(conn: Connection, site_id: str, extension: str | None) -> str | None:
    """The id of the user behind an extension of a site; made where it is new; None for None."""
    return ensure_users(conn, [(site_id, extension)]).get((site_id, extension))


def ensure_users(
    conn: Connection, places: Iterable[tuple[str, str | None]]
) -> dict[tuple[str, str | None], str]:
    """As ``ensure_user``, of many; those without an extension are left out."""
    return _ensure(conn, directory_users, "u", places, ("extension", "name"))


def _ensure(
    conn: Connection,
    table: Table,
    kind: str,
    places: Iterable[tuple[str, str | None]],
    columns: Sequence[str],
) -> dict[tuple[str, str | None], str]:
    """Rows that a site names, made where they are new; the name stands in each of the columns."""
    ids = {place: _id(kind, place[0], place[1]) for place in dict.fromkeys(places) if place[1]}
    missing = dict(zip(ids.values(), ids, strict=True))
    for start in range(0, len(ids), _AT_ONCE):
        asked = list(ids.values())[start : start + _AT_ONCE]
        for found in conn.execute(select(table.c.id).where(table.c.id.in_(asked))).scalars():
            del missing[found]
    for identity, (site_id, name) in missing.items():
        insert_once(conn, table, id=identity, site_id=site_id, **dict.fromkeys(columns, name))
    return ids


_AT_ONCE = 500
"""Ids that one query asks for."""


def set_user(
    conn: Connection, site_id: str, extension: str, *, name: str, group_id: str | None
) -> str:
    """Name a user of the directory and put them into a group; made where new."""
    user_id = ensure_user(conn, site_id, extension)
    if user_id is None:
        raise BadRequest(to_translate("extension: must not be empty."))
    conn.execute(
        update(directory_users)
        .where(directory_users.c.id == user_id)
        .values(name=name, group_id=group_id)
    )
    return user_id


def ensure_channel(conn: Connection, site_id: str, name: str | None) -> str | None:
    """The id of a channel of a site; made where it is new; None for None."""
    return ensure_channels(conn, [(site_id, name)]).get((site_id, name))


def ensure_channels(
    conn: Connection, places: Iterable[tuple[str, str | None]]
) -> dict[tuple[str, str | None], str]:
    """As ``ensure_channel``, of many; those without a name are left out."""
    return _ensure(conn, channels, "k", places, ("name",))


def ensure_store(conn: Connection, store_id: str, uri: str, *, read_only: bool) -> None:
    """Make a store known; one that is known keeps its address."""
    known = select(stores.c.id).where(stores.c.id == store_id)
    if conn.execute(known).first() is None:
        insert_once(conn, stores, id=store_id, uri=uri, read_only=read_only)


def find_store(conn: Connection, store_id: str) -> tuple[str, bool] | None:
    """Address of a store, and whether it is read-only."""
    row = conn.execute(select(stores).where(stores.c.id == store_id)).first()
    return None if row is None else (row.uri, row.read_only)


def ensure_voicelocation(
    conn: Connection, voicelocation: str, store_id: str, echo_url: str | None = None
) -> None:
    """Make a voicelocation known; one that is known is left as it is."""
    known = select(voicelocations.c.id).where(voicelocations.c.id == voicelocation)
    if conn.execute(known).first() is None:
        insert_once(conn, voicelocations, id=voicelocation, store_id=store_id, echo_url=echo_url)


@dataclass(frozen=True, slots=True)
class StorePlace:
    """Where recordings are kept."""

    id: str
    uri: str
    """``file:`` and a path; a relative one begins at the data folder."""
    read_only: bool
    """A folder of the administrator's, which is referred to and never written."""


@dataclass(frozen=True, slots=True)
class Voicelocation:
    """A name under which recordings are found, and who serves them."""

    id: str
    echo_url: str | None
    """Address of the Echo that serves it; None: the server's own."""
    store_id: str


def list_stores(conn: Connection) -> tuple[StorePlace, ...]:
    """Every store, by id."""
    rows = conn.execute(select(stores).order_by(stores.c.id)).mappings()
    return tuple(StorePlace(**row) for row in rows)


def list_voicelocations(conn: Connection) -> tuple[Voicelocation, ...]:
    """Every voicelocation, by id."""
    rows = conn.execute(select(voicelocations).order_by(voicelocations.c.id)).mappings()
    return tuple(Voicelocation(**row) for row in rows)


def find_voicelocation(conn: Connection, voicelocation: str) -> Voicelocation | None:
    """The voicelocation of this id."""
    wanted = select(voicelocations).where(voicelocations.c.id == voicelocation)
    row = conn.execute(wanted).mappings().first()
    return None if row is None else Voicelocation(**row)


def set_echo_url(conn: Connection, voicelocation: str, url: str | None) -> None:
    """Set the address of the Echo that serves a voicelocation; None is the server's own.

    Raises:
        NotFound: There is no such voicelocation.
    """
    changed = conn.execute(
        update(voicelocations).where(voicelocations.c.id == voicelocation).values(echo_url=url)
    )
    if not changed.rowcount:
        raise NotFound(worded("There is no voicelocation %(id)s.", id=repr(voicelocation)))


def set_voicelocation(conn: Connection, wanted: Voicelocation) -> None:
    """Write who serves a voicelocation that exists, and where its new recordings go."""
    conn.execute(
        update(voicelocations)
        .where(voicelocations.c.id == wanted.id)
        .values(echo_url=wanted.echo_url, store_id=wanted.store_id)
    )


def store_of_voicelocation(conn: Connection, voicelocation: str) -> str:
    """The store that new recordings of a voicelocation go to."""
    found = find_voicelocation(conn, voicelocation)
    return DEFAULT_STORE if found is None else found.store_id


ECHO_URL = select(voicelocations.c.echo_url).where(
    voicelocations.c.id == bindparam("voicelocation")
)
"""The query of ``echo_url``."""


def echo_url(conn: Connection, voicelocation: str) -> str | None:
    """The configured Echo address of a voicelocation; None where it has none of its own."""
    return conn.execute(ECHO_URL, {"voicelocation": voicelocation}).scalar()


def scope_words(conn: Connection, scope: Scope) -> str:
    """What a Scope stands for, by the names of its sites and groups."""
    if scope.everything:
        return "everything"
    names = [site.name for site in list_sites(conn) if site.id in scope.site_ids]
    query = (
        select(sites.c.name.label("site"), groups.c.name)
        .join(sites, sites.c.id == groups.c.site_id)
        .where(groups.c.id.in_(sorted(scope.group_ids)))
        .order_by(sites.c.name, groups.c.name)
    )
    names += [f"{row.site}/{row.name}" for row in conn.execute(query)]
    return ", ".join(names) or "nothing"
