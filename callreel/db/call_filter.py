"""What is looked for, and what it asks of ``call_records``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, false, or_, select

from callreel.db.clock_times import ClockTime, began_at, in_progress
from callreel.db.masks import is_current
from callreel.db.people_schema import notes
from callreel.db.schema import call_records, directory_users, recordings, spans
from callreel.db.terms import Term, matches, meets
from callreel.model import Direction, Disposition, UnixMillis
from callreel.spans import WHOLE_FRAME


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


def conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    """What a filter asks of ``call_records``."""
    if wanted.rec is False and (wanted.mask or wanted.proposed):
        # To look for them one by one would be to read every call.
        return [false()]
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
    # Its own recording, whether or not the query around has one: a count has none.
    found = _has(
        select(spans.c.id)
        .select_from(spans.join(recordings, recordings.c.id == spans.c.recording_id))
        .where(
            spans.c.recording_id == call_records.c.recording_id,
            spans.c.state == "active",
            _masks_something(),
        )
    )
    return found if wanted else ~found


def _noted(wanted: bool) -> ColumnElement[bool]:
    found = _has(
        select(notes.c.id).where(notes.c.call_id == call_records.c.id, notes.c.removed_at.is_(None))
    )
    return found if wanted else ~found


def _proposed(wanted: bool) -> ColumnElement[bool]:
    found = _has(
        select(spans.c.id)
        .join(recordings, recordings.c.id == spans.c.recording_id)
        .where(
            spans.c.recording_id == call_records.c.recording_id,
            spans.c.state == "proposed",
            is_current(),
        )
    )
    return found if wanted else ~found


def _has(query: Select[Any]) -> ColumnElement[bool]:
    """Whether a call has something; looked up call by call.

    PostgreSQL would rather read all spans and recordings once, seconds of work for a page of a
    hundred; it does not where the query has an offset.
    """
    return query.limit(1).offset(0).correlate(call_records).exists()


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
