"""Burn-ins and legal holds as rows: what was begun, what stands in the way, what is left to erase.

A burn-in is ``writing`` until the new sound is the recording's, ``swapped`` until every older copy
is gone, then ``done``. Whoever finds a row goes on from there.
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from callreel.db import changes, leases
from callreel.db.calls import FACT_COLUMNS
from callreel.db.schema import (
    burn_ins,
    datasources,
    holds,
    is_alive,
    keys_due,
    recordings,
    sites,
    spans,
)
from callreel.model import RecordingId, RecordingState, SourceFacts, UnixMillis


@dataclass(frozen=True, slots=True)
class Burn:
    """One row."""

    recording_id: RecordingId
    state: str
    cause: str
    """``policy`` or ``command``."""
    actor: str
    approved_by: str | None
    """The two people who allowed it despite a hold."""
    mask_revision: int
    old_store_id: str
    old_key: str
    new_key: str | None
    created_at: UnixMillis
    done_at: UnixMillis | None


@dataclass(frozen=True, slots=True)
class Hold:
    """A legal hold on a recording."""

    id: str
    recording_id: RecordingId
    reason: str
    placed_by: str
    placed_at: UnixMillis
    released_by: str | None
    released_at: UnixMillis | None
    release_reason: str | None


def find(conn: Connection, recording_id: RecordingId) -> Burn | None:
    """The newest burn-in of a recording."""
    wanted = select(burn_ins).where(burn_ins.c.recording_id == recording_id)
    row = conn.execute(wanted).mappings().first()
    return None if row is None else Burn(**row)


def begin(conn: Connection, burn: Burn) -> None:
    """Note that a burn-in begins; one that is done makes room."""
    conn.execute(burn_ins.delete().where(burn_ins.c.recording_id == burn.recording_id))
    conn.execute(insert(burn_ins).values(**asdict(burn)))


def will_write(conn: Connection, recording_id: RecordingId, new_key: str) -> None:
    """Note under which key new sound is about to appear, so that it can be found if we die."""
    conn.execute(
        update(burn_ins)
        .where(burn_ins.c.recording_id == recording_id, burn_ins.c.state == "writing")
        .values(new_key=new_key)
    )


@dataclass(frozen=True, slots=True)
class MaskedSound:
    """The sound that takes the place of another."""

    store_id: str
    object_key: str
    size_bytes: int
    sha256: str
    facts: SourceFacts
    commitment: str
    """To the sound whose place it takes; see ``KeyRing.commit_source``."""


def swap(conn: Connection, burn: Burn, sound: MaskedSound, now: UnixMillis) -> None:
    """Make the new sound the recording's, and forget the plain hash of the old."""
    told = asdict(sound.facts)
    conn.execute(
        update(recordings)
        .where(recordings.c.id == burn.recording_id)
        .values(
            store_id=sound.store_id,
            object_key=sound.object_key,
            size_bytes=sound.size_bytes,
            sha256=sound.sha256,
            content_version=recordings.c.content_version + 1,
            burned_at=now,
            burned_revision=burn.mask_revision,
            # Of the sound that came in, not of one that was burned in once already.
            source_commitment=func.coalesce(recordings.c.source_commitment, sound.commitment),
            **{name: told[name] for name in FACT_COLUMNS},
        )
    )
    conn.execute(
        update(burn_ins)
        .where(burn_ins.c.recording_id == burn.recording_id)
        .values(state="swapped", new_key=sound.object_key, created_at=now)
    )
    changes.record(conn, now, "recording", recording_id=burn.recording_id)


def finish(conn: Connection, recording_id: RecordingId, now: UnixMillis) -> None:
    """Note that nothing of the old sound is left."""
    conn.execute(
        update(burn_ins)
        .where(burn_ins.c.recording_id == recording_id)
        .values(state="done", done_at=now)
    )


def others_of(conn: Connection, burn: Burn) -> tuple[RecordingId, ...]:
    """Other recordings whose stored sound is the very same object: it is theirs too."""
    r = recordings.c
    rows = conn.execute(
        select(r.id).where(
            r.object_key == burn.old_key,
            r.store_id == burn.old_store_id,
            r.id != burn.recording_id,
            is_alive,
        )
    )
    return tuple(RecordingId(each) for each in rows.scalars())


def is_held(recording_id: ColumnElement[str]) -> ColumnElement[bool]:
    """Whether a recording is on legal hold."""
    return exists(
        select(holds.c.id).where(
            holds.c.recording_id == recording_id, holds.c.released_at.is_(None)
        )
    )


def in_hand(conn: Connection) -> tuple[RecordingId, ...]:
    """Recordings whose burn-in was begun and is not done; a hold stops it before the swap."""
    b = burn_ins.c
    rows = conn.execute(
        select(b.recording_id)
        .where(or_(b.state == "swapped", and_(b.state == "writing", ~is_held(b.recording_id))))
        .order_by(b.created_at)
    )
    return tuple(RecordingId(each) for each in rows.scalars())


def due(conn: Connection, now: UnixMillis, limit: int) -> tuple[RecordingId, ...]:
    """Recordings whose site wants their masks burned in by now; those on hold are not.

    What a person has still to decide about, a proposed span, keeps a recording out.
    """
    r = recordings.c

    def has_span(state: str) -> ColumnElement[bool]:
        return exists(
            select(spans.c.id).where(spans.c.recording_id == r.id, spans.c.state == state)
        )

    rows = conn.execute(
        select(r.id)
        .select_from(
            recordings.join(datasources, datasources.c.id == r.datasource).join(
                sites, sites.c.id == datasources.c.site_id
            )
        )
        .where(
            sites.c.burn_in_after_s.is_not(None),
            r.ready_at + sites.c.burn_in_after_s * 1000 <= now,
            r.state == RecordingState.READY.value,
            or_(r.burned_revision.is_(None), r.burned_revision < r.mask_revision),
            has_span("active"),
            ~has_span("proposed"),
            # What is still to be searched for keys may be proposed in a moment.
            not_(keys_due),
            ~is_held(r.id),
        )
        .order_by(r.ready_at)
        .limit(limit)
    )
    return tuple(RecordingId(each) for each in rows.scalars())


def place_hold(
    conn: Connection, recording_id: RecordingId, *, by: str, reason: str, now: UnixMillis
) -> str:
    """Put a recording on hold; gives the id of the hold. Links to it that were opened end."""
    changes.hold_order(conn)
    leases.end_all(conn, recording_id)
    hold_id = "h" + secrets.token_hex(10)
    conn.execute(
        insert(holds).values(
            id=hold_id, recording_id=recording_id, reason=reason, placed_by=by, placed_at=now
        )
    )
    return hold_id


def release_holds(
    conn: Connection, recording_id: RecordingId, *, by: str, reason: str, now: UnixMillis
) -> int:
    """End every hold on a recording; gives how many there were. The rows stay."""
    changes.hold_order(conn)
    changed = conn.execute(
        update(holds)
        .where(holds.c.recording_id == recording_id, holds.c.released_at.is_(None))
        .values(released_by=by, released_at=now, release_reason=reason)
    )
    return changed.rowcount


def list_holds(
    conn: Connection, recording_id: RecordingId | None = None, *, released: bool = False
) -> tuple[Hold, ...]:
    """Holds, oldest first; those that were released only where they are asked for."""
    wanted = select(holds).order_by(holds.c.placed_at, holds.c.id)
    if recording_id is not None:
        wanted = wanted.where(holds.c.recording_id == recording_id)
    if not released:
        wanted = wanted.where(holds.c.released_at.is_(None))
    return tuple(Hold(**row) for row in conn.execute(wanted).mappings())
