"""Spans and the seal over them: what is masked in a recording, by whom, why, and since when.

A row is never rewritten into something else and never deleted: what is not masked any more stays,
as removed, with who did it and why. Source: contract.md 4.6.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, func, insert, or_, select, update

from callreel.db import changes
from callreel.db.gate import hold_sound
from callreel.db.rows import active_spans, span_of
from callreel.db.schema import recordings, spans
from callreel.model import RecordingId, Span, SpanSource, UnixMillis

Seal = Callable[[RecordingId, int, Sequence[Span]], str]
"""Makes the MAC over a recording's active spans at a revision; see ``access/keys.py``."""


@dataclass(frozen=True, slots=True)
class StoredSpan:
    """One row: a stretch, its cause, and what became of it."""

    id: str
    span: Span
    source: SpanSource
    state: str
    """``active`` is masked; ``proposed`` waits for a person; ``removed`` is history."""
    reason: str | None
    actor: str | None
    created_at: UnixMillis
    changed_at: UnixMillis | None
    changed_by: str | None
    """Who confirmed or removed it; None where nobody did, or its signals were paired anew."""
    change_reason: str | None
    signal_on_id: str | None
    signal_off_id: str | None


def stored_spans(conn: Connection, recording_id: RecordingId) -> tuple[StoredSpan, ...]:
    """Every span that a recording has or had, in order of time."""
    rows = conn.execute(
        select(spans)
        .join(recordings, recordings.c.id == spans.c.recording_id)
        .where(spans.c.recording_id == recording_id, is_current())
        .order_by(spans.c.start_s, spans.c.created_at, spans.c.id)
    )
    return tuple(
        StoredSpan(
            id=row.id,
            span=span_of(row.start_s, row.end_s, row.channel),
            source=SpanSource(row.source),
            state=row.state,
            reason=row.reason,
            actor=row.actor,
            created_at=UnixMillis(row.created_at),
            changed_at=None if row.changed_at is None else UnixMillis(row.changed_at),
            changed_by=row.changed_by,
            change_reason=row.change_reason,
            signal_on_id=row.signal_on_id,
            signal_off_id=row.signal_off_id,
        )
        for row in rows
    )


def is_current() -> ColumnElement[bool]:
    """The condition on ``spans`` joined with ``recordings``: no proposal of an older mask.

    Keys are heard in masked sound. Where the mask changed since, a proposal may tell of what is
    masked now, so nobody sees it until the sound was searched again.
    """
    return or_(
        spans.c.source != SpanSource.DTMF.value,
        spans.c.state != "proposed",
        func.coalesce(recordings.c.keys_revision, 0) == recordings.c.mask_revision,
    )


def add_spans(  # noqa: PLR0913  # who, why and when belong to every span
    conn: Connection,
    recording_id: RecordingId,
    new: Sequence[Span],
    source: SpanSource,
    *,
    actor: str | None,
    reason: str | None,
    seal: Seal,
    now: UnixMillis,
) -> bool:
    """Add spans as given; those that are there already, from the same source, are not doubled.

    One that a person removed or confirmed since does not come back by being found again.

    Returns:
        Whether anything was added; the mask then has a new revision.
    """
    changes.hold_order(conn)
    rows = conn.execute(
        select(spans.c.start_s, spans.c.end_s, spans.c.channel).where(
            spans.c.recording_id == recording_id,
            spans.c.source == source.value,
            or_(spans.c.state != "removed", spans.c.changed_by.is_not(None)),
        )
    )
    known = {tuple(row) for row in rows}
    intact = is_intact(conn, recording_id, seal)
    added = False
    for span in dict.fromkeys(new):
        channel = None if span.channel is None else span.channel.value
        if (span.start_s, stored_end(span), channel) not in known:
            insert_span(
                conn,
                recording_id,
                span,
                source,
                actor=actor,
                reason=reason,
                created_at=now,
            )
            added = True
    if added:
        reseal(conn, recording_id, seal, now, intact=intact)
    return added


def stored_end(span: Span) -> float | None:
    """The end as a row holds it: None for "to the end of the recording"."""
    return None if math.isinf(span.end_s) else span.end_s


def insert_span(
    conn: Connection,
    recording_id: RecordingId,
    span: Span,
    source: SpanSource,
    *,
    state: str = "active",
    **origin: str | int | None,
) -> str:
    """Add one row and give its id. Where it is active the caller reseals."""
    span_id = "m" + secrets.token_hex(10)
    conn.execute(
        insert(spans).values(
            id=span_id,
            recording_id=recording_id,
            start_s=span.start_s,
            end_s=stored_end(span),
            channel=None if span.channel is None else span.channel.value,
            source=source.value,
            state=state,
            **origin,
        )
    )
    return span_id


def change_state(
    conn: Connection,
    recording_id: RecordingId,
    span_id: str,
    state: str,
    *,
    by: str | None,
    reason: str,
    now: UnixMillis,
) -> None:
    """Make a span of a recording active or removed. The caller reseals."""
    conn.execute(
        update(spans)
        .where(and_(spans.c.id == span_id, spans.c.recording_id == recording_id))
        .values(state=state, changed_at=now, changed_by=by, change_reason=reason)
    )


def is_intact(conn: Connection, recording_id: RecordingId, seal: Seal) -> bool:
    """Whether the spans of a recording fit their seal. Asked before they are changed."""
    row = conn.execute(
        select(recordings.c.mask_revision, recordings.c.mask_seal).where(
            recordings.c.id == recording_id
        )
    ).one()
    active = active_spans(conn, [recording_id]).get(recording_id, ())
    return bool(row.mask_seal == seal(recording_id, row.mask_revision, active))


def reseal(
    conn: Connection, recording_id: RecordingId, seal: Seal, now: UnixMillis, *, intact: bool
) -> None:
    """Give the mask of a recording its next revision and a seal over its active spans.

    Args:
        conn: The write transaction that changed them.
        recording_id: Whose spans they are.
        seal: Makes the MAC.
        now: The time of writing.
        intact: What ``is_intact`` said before the change. Rows that somebody damaged must not come
            to look right because a span was added to them: they keep a seal that does not fit.
    """
    changes.hold_order(conn)
    hold_sound(conn, recording_id)
    revision = conn.execute(
        select(recordings.c.mask_revision).where(recordings.c.id == recording_id)
    ).scalar_one()
    values: dict[str, object] = {"mask_revision": revision + 1}
    if intact:
        active = active_spans(conn, [recording_id]).get(recording_id, ())
        values["mask_seal"] = seal(recording_id, revision + 1, active)
    conn.execute(update(recordings).where(recordings.c.id == recording_id).values(**values))
    changes.record(conn, now, "mask", recording_id=recording_id)


def burned_revision(conn: Connection, recording_id: RecordingId) -> int | None:
    """The mask revision that is in the stored sound of a recording; None where none is."""
    burned = select(recordings.c.burned_revision).where(recordings.c.id == recording_id)
    return conn.execute(burned).scalar()


def shown(conn: Connection, recording_id: RecordingId) -> list[list[object]]:
    """The active spans of a recording as an audit row tells them; no end is null."""
    active = active_spans(conn, [recording_id]).get(recording_id, ())
    return sorted([span.start_s, stored_end(span), span.channel] for span in active)
