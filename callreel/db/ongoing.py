"""Legs that are going on now, as switches tell of them; no call yet, and no history.

A leg that ended is remembered until its age, so that news which comes late does not bring it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    and_,
    delete,
    exists,
    not_,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql.visitors import ExternallyTraversible, replacement_traverse

from callreel.db.call_filter import CallFilter, conditions
from callreel.db.directory import insert_once
from callreel.db.people_schema import ongoing_legs
from callreel.db.rows import in_scope
from callreel.db.schema import call_records, directory_users, groups, sites
from callreel.db.terms import meets
from callreel.model import Direction, Scope, UnixMillis

AGE_MS = 4 * 3_600_000
"""A leg that nothing was heard of for so long is over: its switch, or what told of it, is gone.
Where nobody set another age."""
MOST_LEGS = 500
"""That are shown at once; the newest."""


class LegState(StrEnum):
    """What goes on."""

    RINGING = "ringing"
    TALKING = "talking"
    HELD = "held"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class LegNews:
    """What a switch tells of one leg; what is empty leaves what is known."""

    datasource: str
    unique_id: str
    state: LegState
    at: UnixMillis
    """By the clock of the switch."""
    linked_id: str | None = None
    """The conversation it belongs to; None where it is its own."""
    from_number: str = ""
    to_number: str = ""
    caller_name: str = ""
    direction: Direction = Direction.UNKNOWN
    extension: str | None = None
    of_all: bool = False
    """It is the end of the whole conversation, whatever was missed of its legs."""


@dataclass(frozen=True, slots=True)
class OngoingLeg:
    """One leg that goes on."""

    datasource: str
    unique_id: str
    linked_id: str
    site_id: str
    site_name: str
    state: LegState
    direction: Direction
    from_number: str
    to_number: str
    caller_name: str
    extension: str | None
    agent_name: str | None
    group_name: str | None
    started_at: UnixMillis
    answered_at: UnixMillis | None


def tell(
    conn: Connection, site_id: str, news: LegNews, now: UnixMillis, *, age_ms: int = AGE_MS
) -> None:
    """Keep what was told of a leg.

    News of before what is known already only fill what is empty; what ended has ended, also where
    the record of its call was here first.
    """
    c = ongoing_legs.c
    mine = and_(c.datasource == news.datasource, c.unique_id == news.unique_id)
    # Held, or another who tells of it at the same time could bring back what ended.
    wanted = select(ongoing_legs).where(mine).with_for_update()
    known = conn.execute(wanted).mappings().first()
    if known is None:
        over = _is_recorded(conn, news, UnixMillis(now - age_ms))
        insert_once(
            conn,
            ongoing_legs,
            datasource=news.datasource,
            unique_id=news.unique_id,
            linked_id=news.unique_id,
            site_id=site_id,
            direction=Direction.UNKNOWN.value,
            from_number="",
            to_number="",
            caller_name="",
            state=(LegState.ENDED if over else news.state).value,
            started_at=news.at,
            told_at=news.at,
            heard_at=now,
        )
        known = conn.execute(wanted).mappings().one()
    conn.execute(update(ongoing_legs).where(mine).values(_told(conn, site_id, news, known, now)))
    if news.of_all:
        _end(conn, news.datasource, news.linked_id or news.unique_id)


def _told(
    conn: Connection, site_id: str, news: LegNews, known: RowMapping, now: UnixMillis
) -> dict[str, object]:
    """What news change of a leg."""
    is_newest = news.at >= known["told_at"]
    told: dict[str, object] = {
        "heard_at": now,
        "started_at": min(news.at, known["started_at"]),
        "told_at": max(news.at, known["told_at"]),
    }
    for name in ("linked_id", "from_number", "to_number", "caller_name", "extension"):
        value = getattr(news, name)
        if value and (is_newest or not known[name]):
            told[name] = value
    if news.direction is not Direction.UNKNOWN:
        told["direction"] = news.direction.value
    if "extension" in told:
        told["directory_user_id"] = conn.execute(
            select(directory_users.c.id).where(
                directory_users.c.site_id == site_id,
                directory_users.c.extension == news.extension,
            )
        ).scalar()
    answered_at = known["answered_at"]
    if news.state is LegState.TALKING and (answered_at is None or news.at < answered_at):
        told["answered_at"] = news.at
    if news.state is LegState.ENDED or (known["state"] != LegState.ENDED and is_newest):
        told["state"] = news.state.value
    return told


def _is_recorded(conn: Connection, news: LegNews, since: UnixMillis) -> bool:
    """Whether the record that ends a leg came in lately, before any news of the leg."""
    c = call_records.c
    ids = {news.unique_id, news.linked_id or news.unique_id}
    wanted = (
        select(c.id)
        .where(
            c.datasource == news.datasource,
            or_(c.unique_id.in_(ids), and_(c.unique_id.is_(None), c.linked_id.in_(ids))),
            c.created_at > since,
        )
        .limit(1)
    )
    return conn.execute(wanted).first() is not None


def end_with_records(conn: Connection, told: Iterable[tuple[str, str | None, str | None]]) -> None:
    """End what the records of calls are about: their leg, or all legs where it is the first one.

    Args:
        conn: A write transaction.
        told: Datasource, unique id and linked id of each; a record that names no leg is about the
            whole conversation.
    """
    about = {(datasource, unique or linked) for datasource, unique, linked in told}
    named = {(datasource, name) for datasource, name in about if name is not None}
    if not named:
        return
    c = ongoing_legs.c
    query = select(c.datasource, c.unique_id, c.linked_id)
    # Few calls are in progress at any time, and many records come in at once.
    going = conn.execute(query.where(c.state != LegState.ENDED.value)).all()
    ids = {(leg.datasource, name) for leg in going for name in (leg.unique_id, leg.linked_id)}
    for datasource, name in sorted(named & ids):
        _end(conn, datasource, name)


def _end(conn: Connection, datasource: str, about: str) -> None:
    c = ongoing_legs.c
    conn.execute(
        update(ongoing_legs)
        .where(
            c.datasource == datasource,
            or_(c.unique_id == about, c.linked_id == about),
            c.state != LegState.ENDED.value,
        )
        .values(state=LegState.ENDED.value)
    )


def going_on(
    conn: Connection, scope: Scope, wanted: CallFilter, now: UnixMillis, *, age_ms: int = AGE_MS
) -> Sequence[OngoingLeg]:
    """Legs within a scope of the conversations that a filter finds, oldest first.

    A conversation is found by any of its legs, and left out by any; what is shown of it does not
    depend on the filter. Where there are too many legs, the newest are kept.

    A filter that asks for what only a call has that is over (a recording, a length, how it ended)
    finds none.
    """
    if any(getattr(wanted, name) is not None for name in _OF_WHAT_IS_OVER):
        return ()
    o, u = ongoing_legs.c, directory_users.c

    def seen(legs: FromClause) -> tuple[ColumnElement[bool], ...]:
        """Those that go on and are within the scope: what is not must decide nothing."""
        return (
            legs.c.state != LegState.ENDED.value,
            legs.c.heard_at > now - age_ms,
            _of_legs(in_scope(scope), legs),
        )

    def has_leg(*asked: ColumnElement[bool]) -> ColumnElement[bool]:
        """Whether a leg of the same conversation meets conditions on calls."""
        other = ongoing_legs.alias()
        met = (_of_legs(each, other) for each in asked)
        same = (other.c.datasource == o.datasource, other.c.linked_id == o.linked_id)
        return exists(select(other.c.unique_id).where(*same, *seen(other), *met))

    found = conditions(replace(wanted, terms=tuple(each for each in wanted.terms if each.wanted)))
    unwanted = [meets(replace(each, wanted=True)) for each in wanted.terms if not each.wanted]
    rows = conn.execute(
        select(
            ongoing_legs,
            sites.c.name.label("site_name"),
            u.name.label("agent_name"),
            groups.c.name.label("group_name"),
        )
        .join(sites, sites.c.id == o.site_id)
        .outerjoin(directory_users, u.id == o.directory_user_id)
        .outerjoin(groups, groups.c.id == u.group_id)
        .where(
            *seen(ongoing_legs),
            *((has_leg(*found),) if found else ()),
            *(not_(has_leg(each)) for each in unwanted),
        )
        .order_by(o.started_at.desc(), o.unique_id.desc())
        .limit(MOST_LEGS)
    ).mappings()
    return tuple(
        OngoingLeg(
            datasource=m["datasource"],
            unique_id=m["unique_id"],
            linked_id=m["linked_id"],
            site_id=m["site_id"],
            site_name=m["site_name"],
            state=LegState(m["state"]),
            direction=Direction(m["direction"]),
            from_number=m["from_number"],
            to_number=m["to_number"],
            caller_name=m["caller_name"],
            extension=m["extension"],
            agent_name=m["agent_name"],
            group_name=m["group_name"],
            started_at=UnixMillis(m["started_at"]),
            answered_at=None if m["answered_at"] is None else UnixMillis(m["answered_at"]),
        )
        for m in reversed(rows.all())
    )


_OF_WHAT_IS_OVER = (
    "rec",
    "mask",
    "proposed",
    "noted",
    "disposition",
    "at_least_s",
    "at_most_s",
    "clock",
    "during",
)


def forget_before(conn: Connection, instant: UnixMillis) -> None:
    """Remove what nothing was heard of since an instant."""
    conn.execute(delete(ongoing_legs).where(ongoing_legs.c.heard_at <= instant))


def _of_legs(condition: ColumnElement[bool], legs: FromClause) -> ColumnElement[bool]:
    """A condition on ``call_records`` as one on legs, so that scope and search mean the same here.

    What a leg has not is unknown, and what asks for it is not met.
    """

    def column(element: ExternallyTraversible, **_: object) -> ColumnElement[Any] | None:
        if getattr(element, "table", None) is not call_records:
            return None
        name = getattr(element, "name", "")
        return legs.c[name] if name in legs.c else null()

    found: ColumnElement[bool] = replacement_traverse(condition, {}, column)
    return found
