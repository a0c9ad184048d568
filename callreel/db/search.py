"""Filter and Scope to one bound query, newest first, with keyset paging.

A cursor is the place of the last row that was seen, so that pages neither miss nor repeat a call
however many come in meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select

from callreel.db import cursor as place
from callreel.db.masks import is_current
from callreel.db.rows import calls_of_rows, in_scope, select_calls
from callreel.db.schema import call_records, recordings, spans
from callreel.model import Call, Direction, Scope, UnixMillis
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


@dataclass(frozen=True, slots=True)
class CallPage:
    """A stretch of a list."""

    items: tuple[Call, ...]
    next: str | None
    """The cursor of the next page; None at the end."""


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
    query = select_calls().where(in_scope(scope), *_conditions(wanted))
    if cursor is not None:
        started_at, call_id = place.read(cursor)
        query = query.where(
            or_(
                call_records.c.started_at < started_at,
                and_(call_records.c.started_at == started_at, call_records.c.id < call_id),
            )
        )
    query = query.order_by(call_records.c.started_at.desc(), call_records.c.id.desc())
    rows = conn.execute(query.limit(limit + 1)).mappings().all()
    items = calls_of_rows(conn, rows[:limit])
    more = len(rows) > limit
    return CallPage(items, place.make(items[-1].started_at, items[-1].id) if more else None)


def _conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    c = call_records.c
    found: list[ColumnElement[bool]] = []
    if wanted.since is not None:
        found.append(c.started_at >= wanted.since)
    if wanted.until is not None:
        found.append(c.started_at < wanted.until)
    if wanted.party is not None:
        sides = (c.from_number, c.to_number)
        found.append(or_(*(_matches(side, wanted.party) for side in sides)))
    if wanted.ext is not None:
        found.append(c.extension == wanted.ext)
    if wanted.direction is not None:
        found.append(c.direction == wanted.direction.value)
    if wanted.datasource is not None:
        found.append(c.datasource == wanted.datasource)
    if wanted.rec is not None:
        found.append(c.recording_id.is_not(None) if wanted.rec else c.recording_id.is_(None))
    if wanted.mask is not None:
        masked = exists(
            select(spans.c.id).where(
                spans.c.recording_id == c.recording_id,
                spans.c.state == "active",
                _masks_something(),
            )
        )
        found.append(masked if wanted.mask else ~masked)
    if wanted.proposed is not None:
        proposed = exists(
            select(spans.c.id)
            .join(recordings, recordings.c.id == spans.c.recording_id)
            .where(
                spans.c.recording_id == c.recording_id, spans.c.state == "proposed", is_current()
            )
            .correlate(call_records)
        )
        found.append(proposed if wanted.proposed else ~proposed)
    return found


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


def _matches(column: ColumnElement[str], pattern: str) -> ColumnElement[bool]:
    # Not LIKE: it has wildcards of its own, and SQLite's takes upper for lower case.
    if pattern.endswith("*") and len(pattern) > 1:
        beginning = pattern[:-1]
        return func.substr(column, 1, len(beginning)) == beginning
    if pattern.startswith("*") and len(pattern) > 1:
        end = pattern[1:]
        length = func.length(column)
        return and_(length >= len(end), func.substr(column, length - len(end) + 1) == end)
    return column == pattern
