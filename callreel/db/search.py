"""Filter and Scope to one bound query, newest first, with keyset paging.

A cursor is the place of the last row that was seen, so that pages neither miss nor repeat a call
however many come in meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
)

from callreel.db import cursor as place
from callreel.db.clock_times import ClockTime, began_at, in_progress
from callreel.db.masks import is_current
from callreel.db.people_schema import notes
from callreel.db.rows import calls_of_rows, in_scope, select_calls
from callreel.db.schema import call_records, directory_users, recordings, spans
from callreel.db.terms import Term, matches, meets
from callreel.model import Call, Direction, Disposition, Scope, UnixMillis
from callreel.spans import WHOLE_FRAME

# Instant and id of a call; 18 digits fit the column, and no database holds a NUL in a text.


@dataclass(frozen=True, slots=True)
class CallFilter:
    """What is looked for; None leaves a field open."""

    since: UnixMillis | None = None
    """Started at this instant or later."""
    until: UnixMillis | None = None
    """Started before this instant."""
    party: str | None = None
    """A number on either side: whole, or its beginning (``0161*``), or its end (``*0192``)."""
    ext: str | None = None
    """The extension, whole."""
    direction: Direction | None = None
    datasource: str | None = None
    rec: bool | None = None
    """Whether it has a recording."""
    mask: bool | None = None
    """Whether something in it is masked."""
    proposed: bool | None = None
    """Whether something in it is proposed to be masked."""
    terms: tuple[Term, ...] = ()
    """What was typed into the search field; all of them hold."""
    site_id: str | None = None
    group_id: str | None = None
    disposition: Disposition | None = None
    at_least_s: float | None = None
    """Of the call, in seconds."""
    at_most_s: float | None = None
    noted: bool | None = None
    """Whether somebody wrote a note about it."""
    clock: ClockTime | None = None
    """What a clock showed as it began; its stretch is that of ``since`` and ``until``."""
    during: UnixMillis | None = None
    """It was in progress at this instant."""
    either: tuple[tuple[CallFilter, ...], ...] = ()
    """Of each of these sets one holds at least, beside all the rest."""


@dataclass(frozen=True, slots=True)
class CallPage:
    """A stretch of a list."""

    items: tuple[Call, ...]
    next: str | None
    """The cursor of the next page; None at the end."""


class Order(StrEnum):
    """How a list is sorted; each has an index or reads what the filter leaves."""

    NEWEST = "newest"
    OLDEST = "oldest"
    LONGEST = "longest"
    SHORTEST = "shortest"


_ORDERS = {
    Order.NEWEST: ("started_at", True),
    Order.OLDEST: ("started_at", False),
    Order.LONGEST: ("duration_s", True),
    Order.SHORTEST: ("duration_s", False),
}


def search_calls(
    conn: Connection, scope: Scope, wanted: CallFilter, limit: int, cursor: str | None
) -> CallPage:
    """A page of calls, newest first.

    Args:
        conn: A read transaction.
        scope: Only calls within it.
        wanted: The filter.
        limit: How many at the most, 1 or more.
        cursor: ``next`` of the page before; None for the first.

    Raises:
        BadRequest: The cursor is not one of ours.

    Cost: one query for the rows and one for their spans, whatever the page.
    """
    query = select_calls().where(in_scope(scope), *conditions(wanted))
    rows, following = page_of(conn, query, limit, cursor)
    return CallPage(calls_of_rows(conn, rows), following)


def page_of(
    conn: Connection,
    query: Select[tuple[object, ...]],
    limit: int,
    cursor: str | None,
    order: Order = Order.NEWEST,
) -> tuple[Sequence[RowMapping], str | None]:
    """The rows of a page of calls, and the cursor of the next page; None at the end.

    Raises:
        BadRequest: The cursor is not one of ours.
    """
    c = call_records.c
    key, falling = _ORDERS[order]
    column = c[key]
    if cursor is not None:
        at, call_id = place.read(cursor)
        last: ColumnElement[object] = literal(at)
        if key != "started_at":
            # A place holds whole numbers; of anything else the row of the last call tells.
            last = select(column).where(c.id == call_id).scalar_subquery()
        beyond = column < last if falling else column > last
        after = c.id < call_id if falling else c.id > call_id
        query = query.where(or_(beyond, and_(column == last, after)))
    ends = (column.desc(), c.id.desc()) if falling else (column, c.id)
    rows = conn.execute(query.order_by(*ends).limit(limit + 1)).mappings().all()
    if len(rows) <= limit:
        return rows, None
    last_row = rows[limit - 1]
    return rows[:limit], place.make(last_row["started_at"], last_row["id"])


def count_calls(conn: Connection, scope: Scope, wanted: CallFilter) -> int:
    """How many calls a filter finds now.

    Cost: reads every one of them, from an index where times and extensions say it all.
    """
    query = select(func.count()).select_from(call_records)
    return conn.execute(query.where(in_scope(scope), *conditions(wanted))).scalar_one()


def conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    """What a filter asks of ``call_records``."""
    found = [meets(term) for term in wanted.terms]
    for name, condition in _CONDITIONS.items():
        value = getattr(wanted, name)
        if value is not None:
            found.append(condition(value))
    found += [or_(*(and_(*conditions(each)) for each in choices)) for choices in wanted.either]
    return found


def _party(pattern: str) -> ColumnElement[bool]:
    sides = (call_records.c.from_number, call_records.c.to_number)
    return or_(*(matches(side, pattern) for side in sides))


def _member(group_id: str) -> ColumnElement[bool]:
    members = select(directory_users.c.id).where(directory_users.c.group_id == group_id)
    return call_records.c.directory_user_id.in_(members)


def _recorded(wanted: bool) -> ColumnElement[bool]:
    recording_id = call_records.c.recording_id
    return recording_id.is_not(None) if wanted else recording_id.is_(None)


def _masked(wanted: bool) -> ColumnElement[bool]:
    found = exists(
        select(spans.c.id).where(
            spans.c.recording_id == call_records.c.recording_id,
            spans.c.state == "active",
            _masks_something(),
        )
    )
    return found if wanted else ~found


def _noted(wanted: bool) -> ColumnElement[bool]:
    found = exists(
        select(notes.c.id).where(notes.c.call_id == call_records.c.id, notes.c.removed_at.is_(None))
    )
    return found if wanted else ~found


def _proposed(wanted: bool) -> ColumnElement[bool]:
    found = exists(
        select(spans.c.id)
        .join(recordings, recordings.c.id == spans.c.recording_id)
        .where(
            spans.c.recording_id == call_records.c.recording_id,
            spans.c.state == "proposed",
            is_current(),
        )
        .correlate(call_records)
    )
    return found if wanted else ~found


_CONDITIONS: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "since": lambda at: call_records.c.started_at >= at,
    "until": lambda at: call_records.c.started_at < at,
    "party": _party,
    "ext": lambda ext: call_records.c.extension == ext,
    "direction": lambda direction: call_records.c.direction == direction.value,
    "datasource": lambda datasource: call_records.c.datasource == datasource,
    "rec": _recorded,
    "mask": _masked,
    "proposed": _proposed,
    "site_id": lambda site_id: call_records.c.site_id == site_id,
    "group_id": _member,
    "disposition": lambda disposition: call_records.c.disposition == disposition.value,
    "at_least_s": lambda seconds: call_records.c.duration_s >= seconds,
    "at_most_s": lambda seconds: call_records.c.duration_s <= seconds,
    "noted": _noted,
    "clock": began_at,
    "during": in_progress,
}
"""By field of ``CallFilter``."""


def _masks_something() -> ColumnElement[bool]:
    # As ``spans.mask_on_frames``: a span before or behind all frames, or from a frame to itself,
    # masks nothing; one that ends before it starts masks everything; so does, for all that is
    # known, any span of sound whose length nobody knows.
    s, r = spans.c, recordings.c
    return or_(
        r.frames.is_(None),
        s.end_s < s.start_s,
        and_(
            s.start_s * r.rate_hz + WHOLE_FRAME < r.frames,
            or_(
                s.end_s.is_(None),
                and_(
                    or_(s.end_s > s.start_s, r.memory_frames > 0),
                    s.end_s * r.rate_hz + r.memory_frames > WHOLE_FRAME,
                ),
            ),
        ),
    )
