"""Which recordings are to be searched for pressed keys, and what was proposed because of it.

What is found is found in masked sound, so it belongs to a mask revision: where the mask changed
since, proposals are not shown until the sound was searched again. Source: threats.md T16.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice

from sqlalchemy import Connection, delete, select, update

from callreel.db import masks
from callreel.db.schema import keys_due, recordings, spans
from callreel.model import RecordingId, RecordingState, Span, SpanSource, UnixMillis

OFF, LIST, APPLY = POLICIES = ("off", "list", "apply")
"""What a site does with keys: nothing, list them for a person, mask them at once."""


def due(conn: Connection, limit: int, *, without: Collection[str] = ()) -> tuple[RecordingId, ...]:
    """Recordings that are to be searched, oldest first."""
    # Left out here and not by the database, which takes only so many values of a statement.
    rows = conn.execute(
        select(recordings.c.id)
        .where(keys_due)
        .order_by(recordings.c.created_at, recordings.c.id)
        .limit(limit + len(without))
    )
    found = (RecordingId(each) for each in rows.scalars() if each not in without)
    return tuple(islice(found, limit))


def policy_of(conn: Connection, recording_id: RecordingId) -> tuple[str | None, int | None]:
    """What is to be done with keys in a recording, and the mask revision it was searched at."""
    row = conn.execute(
        select(recordings.c.key_presses, recordings.c.keys_revision).where(
            recordings.c.id == recording_id
        )
    ).one()
    return row.key_presses, row.keys_revision


def ask_for(conn: Connection, recording_ids: Collection[RecordingId], policy: str) -> None:
    """Have recordings searched, those that were searched already as well."""
    conn.execute(
        update(recordings)
        .where(recordings.c.id.in_(recording_ids), recordings.c.state == RecordingState.READY.value)
        .values(key_presses=policy, keys_revision=None)
    )


def note_searched(conn: Connection, recording_id: RecordingId) -> None:
    """Note that what is proposed now was found at the mask revision that is in force now."""
    conn.execute(
        update(recordings)
        .where(recordings.c.id == recording_id)
        .values(keys_revision=recordings.c.mask_revision)
    )


def propose(
    conn: Connection, recording_id: RecordingId, found: Sequence[Span], now: UnixMillis
) -> int:
    """Make the proposals of a recording what was found now; gives how many there are.

    One that is there already keeps its id. One that nobody decided about and that is not found any
    more was never anybody's: its row goes. What a person dismissed does not come back.
    """
    s = spans.c
    known = [
        each for each in masks.stored_spans(conn, recording_id) if each.source is SpanSource.DTMF
    ]
    dismissed = [each.span for each in known if each.state == "removed" and each.changed_by]
    wanted = [span for span in found if not any(_within(span, old) for old in dismissed)]
    rows = conn.execute(
        select(s.id, s.start_s, s.end_s, s.channel).where(
            s.recording_id == recording_id,
            s.source == SpanSource.DTMF.value,
            s.state == "proposed",
        )
    )
    there = {}
    for span_id, start_s, end_s, channel in rows:
        there[start_s, end_s, channel] = span_id
    gone = set(there.values())
    for span in wanted:
        same = there.get((span.start_s, span.end_s, span.channel))
        if same is not None:
            gone.discard(same)
            continue
        masks.insert_span(
            conn,
            recording_id,
            span,
            SpanSource.DTMF,
            state="proposed",
            reason="keys were pressed",
            created_at=now,
        )
    conn.execute(delete(spans).where(s.id.in_(gone)))
    return len(wanted)


def _within(span: Span, other: Span) -> bool:
    # Found again at another mask, its edges may differ by a window of the detector.
    slack_s = 0.1
    return other.start_s - slack_s <= span.start_s and span.end_s <= other.end_s + slack_s
