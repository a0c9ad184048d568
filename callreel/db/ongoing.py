"""Legs that are going on now, as switches tell of them; no call yet, and no history.

A leg that ended is remembered until its age, so that news which comes late does not bring it back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.sql.visitors import ExternallyTraversible, replacement_traverse

from callreel.db.call_filter import CallFilter, conditions
from callreel.db.people_schema import ongoing_legs
from callreel.db.rows import in_scope
from callreel.db.schema import call_records, directory_users, groups, sites
from callreel.model import Direction, Scope, UnixMillis

AGE_MS = 4 * 3_600_000
"""A leg that nothing was heard of for so long is over: its switch, or what told of it, is gone."""
MOST_LEGS = 500
"""That are shown at once."""


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


def tell(conn: Connection, site_id: str, news: LegNews, now: UnixMillis) -> None:
    """Keep what was told of a leg.

    News of before what is known already only fill what is empty; what ended has ended.
    """
    c = ongoing_legs.c
    mine = and_(c.datasource == news.datasource, c.unique_id == news.unique_id)
    known = conn.execute(select(ongoing_legs).where(mine)).mappings().first()
    told: dict[str, object] = {"heard_at": now}
    for name in ("linked_id", "from_number", "to_number", "caller_name", "extension"):
        value = getattr(news, name)
        if value and (known is None or not known[name] or news.at >= known["told_at"]):
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
    answered = {"answered_at": news.at} if news.state is LegState.TALKING else {}
    if known is None:
        first = {
            "datasource": news.datasource,
            "unique_id": news.unique_id,
            "linked_id": news.unique_id,
            "site_id": site_id,
            "direction": Direction.UNKNOWN.value,
            "from_number": "",
            "to_number": "",
            "caller_name": "",
            "state": news.state.value,
            "started_at": news.at,
            "told_at": news.at,
        }
        conn.execute(ongoing_legs.insert().values({**first, **answered, **told}))
        return
    told["started_at"] = min(news.at, known["started_at"])
    if answered and (known["answered_at"] is None or news.at < known["answered_at"]):
        told |= answered
    if news.state is LegState.ENDED or (
        known["state"] != LegState.ENDED and news.at >= known["told_at"]
    ):
        told["state"] = news.state.value
    told["told_at"] = max(news.at, known["told_at"])
    conn.execute(update(ongoing_legs).where(mine).values(told))


def end_with_record(
    conn: Connection, datasource: str, unique_id: str | None, linked_id: str | None
) -> None:
    """End what the record of a call is about: its leg, or all legs where it is the first one."""
    if unique_id is None:
        return
    c = ongoing_legs.c
    mine: ColumnElement[bool] = c.unique_id == unique_id
    if linked_id in {None, unique_id}:
        mine = or_(mine, c.linked_id == unique_id)
    conn.execute(
        update(ongoing_legs)
        .where(c.datasource == datasource, mine, c.state != LegState.ENDED.value)
        .values(state=LegState.ENDED.value)
    )


def going_on(
    conn: Connection, scope: Scope, wanted: CallFilter, now: UnixMillis
) -> Sequence[OngoingLeg]:
    """Legs within a scope that a filter finds, oldest first.

    A filter that asks for what only a call has that is over (a recording, a length, how it ended)
    finds none.
    """
    if any(getattr(wanted, name) is not None for name in _OF_WHAT_IS_OVER):
        return ()
    o, u = ongoing_legs.c, directory_users.c
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
            o.state != LegState.ENDED.value,
            o.heard_at > now - AGE_MS,
            *(_of_legs(each) for each in (in_scope(scope), *conditions(wanted))),
        )
        .order_by(o.started_at, o.unique_id)
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
        for m in rows
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


def _of_legs(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """A condition on ``call_records`` as one on legs, so that scope and search mean the same here.

    What a leg has not is unknown, and what asks for it is not met.
    """

    def column(element: ExternallyTraversible, **_: object) -> ColumnElement[Any] | None:
        if getattr(element, "table", None) is not call_records:
            return None
        name = getattr(element, "name", "")
        return ongoing_legs.c[name] if name in ongoing_legs.c else null()

    found: ColumnElement[bool] = replacement_traverse(condition, {}, column)
    return found
