"""Signals as people review them: which have no partner, which belong to no call.

Source: contract.md 4.2 and 4.4.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    and_,
    case,
    exists,
    literal,
    or_,
    select,
    true,
    tuple_,
    update,
)

from callreel.db import changes
from callreel.db import cursor as place
from callreel.db.rows import in_scope
from callreel.db.schema import (
    call_records,
    channels,
    datasources,
    directory_users,
    signals,
    spans,
)
from callreel.db.signals import LEGS, belongs, names_call
from callreel.model import CallId, RecordingId, Scope, UnixMillis


class SignalState(StrEnum):
    """What a signal is to the masks."""

    PAIRED = "paired"
    UNPAIRED = "unpaired"
    """An on without off, or an off without on: it masks, as far as contract.md 4.2 says."""
    REPEATED = "repeated"
    """It belongs to a call, and changes nothing there."""
    ORPHAN = "orphan"
    """It belongs to no call, so far."""


@dataclass(frozen=True, slots=True)
class ListedSignal:
    """One signal and what it does."""

    id: str
    at: UnixMillis
    received_at: UnixMillis
    mute: bool
    objtype: str
    """``user``, ``channel`` or ``call``."""
    objid: str
    source: str
    state: SignalState
    settled: str | None
    settled_by: str | None
    settled_reason: str | None
    recording_ids: tuple[RecordingId, ...]
    """Where it masks something."""
    call_id: CallId | None
    """The one call that it names, if it does."""


@dataclass(frozen=True, slots=True)
class SignalPage:
    """Signals, newest first."""

    items: tuple[ListedSignal, ...]
    next: str | None


def list_signals(  # noqa: PLR0913  # what to look for, and which page of it
    conn: Connection,
    scope: Scope,
    *,
    states: frozenset[SignalState],
    settled: bool | None,
    limit: int,
    cursor: str | None,
    since: UnixMillis | None = None,
    until: UnixMillis | None = None,
) -> SignalPage:
    """Signals about what is within a scope, newest first.

    Args:
        conn: A read transaction.
        scope: Who asks.
        states: Only these; empty for all.
        settled: Only those that a person settled, or only the others; None for all.
        limit: How many at the most.
        cursor: ``next`` of the page before; None for the newest.
        since: Only those of this instant or later.
        until: Only those before this instant.

    Raises:
        BadRequest: The cursor is not one of ours.
    """
    s = signals.c
    query = _select(scope).order_by(s.at.desc(), s.id.desc()).limit(limit + 1)
    if states:
        query = query.where(_state().in_(sorted(states)))
    if settled is not None:
        query = query.where(s.settled.is_not(None) if settled else s.settled.is_(None))
    if since is not None:
        query = query.where(s.at >= since)
    if until is not None:
        query = query.where(s.at < until)
    if cursor is not None:
        at, signal_id = place.read(cursor)
        query = query.where(tuple_(s.at, s.id) < tuple_(literal(at), literal(signal_id)))
    rows = conn.execute(query).all()
    items = _listed(conn, rows[:limit])
    following = None
    if len(rows) > limit:
        following = place.make(items[-1].at, items[-1].id)
    return SignalPage(items, following)


def find_signal(conn: Connection, scope: Scope, signal_id: str) -> ListedSignal | None:
    """One signal about something within a scope."""
    rows = conn.execute(_select(scope).where(signals.c.id == signal_id)).all()
    return next(iter(_listed(conn, rows)), None)


def _select(scope: Scope) -> Select[tuple[object, ...]]:
    return (
        select(
            signals,
            _state().label("state"),
            directory_users.c.extension,
            channels.c.name.label("channel_name"),
        )
        .select_from(
            signals.outerjoin(
                directory_users, directory_users.c.id == signals.c.directory_user_id
            ).outerjoin(channels, channels.c.id == signals.c.channel_id)
        )
        .where(_within(scope))
    )


def _within(scope: Scope) -> ColumnElement[bool]:
    """Whether the object of a signal is within a scope."""
    if scope.everything:
        return true()
    u, h = directory_users.c, channels.c
    sites = sorted(scope.site_ids)
    of_call = (
        select(call_records.c.id).where(about, in_scope(scope)).correlate(signals).exists()
        for about in names_call()
    )
    of_feed = (
        select(datasources.c.id)
        .where(datasources.c.id == signals.c.datasource, datasources.c.site_id.in_(sites))
        .exists()
    )
    return or_(
        u.site_id.in_(sites),
        u.group_id.in_(sorted(scope.group_ids)),
        h.site_id.in_(sites),
        *of_call,
        of_feed,
    )


def _state() -> ColumnElement[str]:
    active = and_(
        spans.c.state == "active",
        or_(spans.c.signal_on_id == signals.c.id, spans.c.signal_off_id == signals.c.id),
    )
    half = or_(spans.c.signal_on_id.is_(None), spans.c.signal_off_id.is_(None))
    calls = [
        select(call_records.c.id).select_from(LEGS).where(about).correlate(signals).exists()
        for about in belongs()
    ]
    return case(
        (exists(select(spans.c.id).where(active, half)), SignalState.UNPAIRED.value),
        (exists(select(spans.c.id).where(active)), SignalState.PAIRED.value),
        (or_(*calls), SignalState.REPEATED.value),
        else_=SignalState.ORPHAN.value,
    )


def _listed(conn: Connection, rows: Sequence[Row[Any]]) -> tuple[ListedSignal, ...]:
    """Rows of ``_select`` as records, with one more query for what they mask."""
    ids = [row.id for row in rows]
    masked: dict[str, set[RecordingId]] = defaultdict(set)
    for column in (spans.c.signal_on_id, spans.c.signal_off_id):
        for signal_id, recording_id in conn.execute(
            select(column, spans.c.recording_id).where(column.in_(ids), spans.c.state == "active")
        ):
            masked[signal_id].add(recording_id)
    found = []
    for row in rows:
        objtype, objid = "call", row.call_id or row.unique_id or row.linked_id
        if row.directory_user_id is not None:
            objtype, objid = "user", row.extension
        elif row.channel_id is not None:
            objtype, objid = "channel", row.channel_name
        found.append(
            ListedSignal(
                id=row.id,
                at=UnixMillis(row.at),
                received_at=UnixMillis(row.received_at),
                mute=row.mute,
                objtype=objtype,
                objid=objid,
                source=row.source,
                state=SignalState(row.state),
                settled=row.settled,
                settled_by=row.settled_by,
                settled_reason=row.settled_reason,
                recording_ids=tuple(sorted(masked[row.id])),
                call_id=row.call_id,
            )
        )
    return tuple(found)


def settle(
    conn: Connection, signal_id: str, how: str, *, by: str, reason: str, now: UnixMillis
) -> None:
    """Note what a person decided about a signal. The caller pairs its recordings anew."""
    changes.hold_order(conn)
    conn.execute(
        update(signals)
        .where(signals.c.id == signal_id)
        .values(settled=how, settled_by=by, settled_at=now, settled_reason=reason)
    )
