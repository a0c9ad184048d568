"""Calls and recordings: find one within a Scope, write them so that repeating changes nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import Literal

from sqlalchemy import (
    BindParameter,
    Connection,
    RowMapping,
    Select,
    bindparam,
    delete,
    insert,
    or_,
    select,
    update,
)

from callreel.db import changes, directory
from callreel.db.bulk import insert_rows
from callreel.db.rows import (
    FILL,
    calls_of_rows,
    in_scope,
    recording_of_rows,
    select_calls,
    select_recordings,
)
from callreel.db.schema import call_records, is_alive, recordings
from callreel.model import (
    Call,
    CallId,
    Direction,
    Disposition,
    Party,
    Recording,
    RecordingId,
    RecordingState,
    Scope,
    SourceFacts,
    UnixMillis,
)
from callreel.spans import LegTimes, first_frame

Outcome = Literal["new", "changed", "same"]
"""What a write did."""

FACT_COLUMNS = (
    "codec",
    "container",
    "rate_hz",
    "channels",
    "frames",
    "data_offset",
    "data_size",
    "block_align",
    "memory_frames",
    "repaired",
)
# What an output is made from: where one of these changes, so do the bytes of every output.
_OF_SOUND = ("sha256", *(name for name in FACT_COLUMNS if name != "repaired"))


@dataclass(frozen=True, slots=True)
class NewCall:
    """A call to write; the id tells it from every other."""

    id: CallId
    site_id: str
    datasource: str
    voicelocation: str | None
    voicefilename: str | None
    recording_id: RecordingId | None
    started_at: UnixMillis
    duration_s: float
    """Of the call."""
    direction: Direction
    from_number: str
    to_number: str
    extension: str | None
    channel: str | None
    disposition: Disposition
    linked_id: str | None
    unique_id: str | None = None
    caller_name: str = ""
    """What the switch calls it in its own events, where it said."""
    answered_at: UnixMillis | None = None
    clock_s: float = 0.0
    """How coarse these times are: 1 where they are cut to whole seconds."""


@dataclass(frozen=True, slots=True)
class NewRecording:
    """A recording to write, whose bytes are durable in their store already."""

    id: RecordingId
    datasource: str
    voicelocation: str
    voicefilename: str
    store_id: str
    object_key: str
    size_bytes: int
    sha256: str
    state: RecordingState
    reason: str | None
    facts: SourceFacts | None
    started_at: UnixMillis
    """The instant of the first frame, as far as this writer knows."""
    ready_at: UnixMillis
    key_presses: str | None = None
    """What is to be done with keys heard in it, where it is new or its sound is; None: nothing."""
    agent_channel: Party | None = None
    """Where the agent speaks; None changes nothing that is known."""


SCOPES = 1024
"""Queries of so many scopes are kept: each user's, and to build one takes longer than to ask it."""
_NAMES = ("datasource", "voicelocation", "voicefilename")


def find_call(conn: Connection, scope: Scope, call_id: CallId) -> Call | None:
    """One call within a scope."""
    wanted = select_calls().where(call_records.c.id == call_id, in_scope(scope))
    return next(iter(calls_of_rows(conn, conn.execute(wanted).mappings().all())), None)


def calls_of(conn: Connection, scope: Scope, recording_id: RecordingId) -> tuple[Call, ...]:
    """The calls within a scope that share a recording, oldest first."""
    wanted = select_calls().where(call_records.c.recording_id == recording_id, in_scope(scope))
    ordered = wanted.order_by(call_records.c.started_at, call_records.c.id)
    return calls_of_rows(conn, conn.execute(ordered).mappings().all())


def find_recording(conn: Connection, scope: Scope, recording_id: RecordingId) -> Recording | None:
    """A recording of which at least one call is within the scope."""
    found = conn.execute(recording_by_id(scope), {"recording_id": recording_id}).mappings().all()
    return recording_of_rows(found, _fills_by(conn))


def find_recording_by_names(
    conn: Connection, scope: Scope, datasource: str, voicelocation: str, voicefilename: str
) -> Recording | None:
    """The recording that a call within the scope names so; names compare as text, exactly."""
    names = {
        "datasource": datasource,
        "voicelocation": voicelocation,
        "voicefilename": voicefilename,
    }
    found = conn.execute(recording_by_names(scope), names).mappings().all()
    return recording_of_rows(found, _fills_by(conn))


def _fills_by(conn: Connection) -> Callable[[str], Sequence[RowMapping]]:
    return lambda datasource: conn.execute(FILL, {"datasource": datasource}).mappings().all()


@lru_cache(maxsize=SCOPES)
def recording_by_id(scope: Scope) -> Select[tuple[object, ...]]:
    """The query of ``find_recording``; its parameter is ``recording_id``."""
    wanted: BindParameter[str] = bindparam("recording_id", required=False)
    mine = select(call_records.c.id).where(call_records.c.recording_id == wanted, in_scope(scope))
    return select_recordings().where(recordings.c.id == wanted, mine.exists())


@lru_cache(maxsize=SCOPES)
def recording_by_names(scope: Scope) -> Select[tuple[object, ...]]:
    """The query of ``find_recording_by_names``; its parameters are those three names."""
    newest = (
        select(call_records.c.recording_id)
        .where(
            *(call_records.c[name] == bindparam(name, required=False) for name in _NAMES),
            call_records.c.recording_id.is_not(None),
            in_scope(scope),
        )
        .order_by(call_records.c.started_at.desc(), call_records.c.id)
        .limit(1)
    )
    return select_recordings().where(recordings.c.id == newest.scalar_subquery())


MASK_REVISION = select(recordings.c.mask_revision).where(
    recordings.c.id == bindparam("recording_id", required=False)
)
"""The mask revision of a recording, by one indexed look-up; no row where there is none."""


def mask_revision(conn: Connection, recording_id: RecordingId) -> int | None:
    """The mask revision of a recording; None where there is none."""
    return conn.execute(MASK_REVISION, {"recording_id": recording_id}).scalar()


def mask_revisions(
    conn: Connection, recording_ids: Collection[RecordingId]
) -> dict[RecordingId, int]:
    """The mask revisions of recordings that there are, a thousand of them by one query."""
    found: dict[RecordingId, int] = {}
    wanted = sorted(recording_ids)
    for start in range(0, len(wanted), 1000):
        rows = conn.execute(
            select(recordings.c.id, recordings.c.mask_revision).where(
                recordings.c.id.in_(wanted[start : start + 1000])
            )
        )
        found.update({RecordingId(row.id): row.mask_revision for row in rows})
    return found


def is_stored(conn: Connection, store_id: str, object_key: str) -> bool:
    """Whether a stored object is that of some recording that was not deleted."""
    r = recordings.c
    mine = (r.object_key == object_key, r.store_id == store_id, is_alive)
    wanted = select(r.id).where(*mine).limit(1)
    return conn.execute(wanted).first() is not None


def burned_as(conn: Connection, commitment: str) -> RecordingId | None:
    """The recording into which sound with this commitment was burned in; None where none was."""
    wanted = select(recordings.c.id).where(recordings.c.source_commitment == commitment).limit(1)
    return conn.execute(wanted).scalar()


def put_recording(conn: Connection, recording: NewRecording, seal: str, now: UnixMillis) -> Outcome:
    """Write a recording; the same again changes nothing, other sound is a new content version.

    One that retention deleted stays deleted. ``started_at`` is used where it is new; after that its
    calls tell it. ``ready_at`` only ever grows.

    Args:
        conn: A write transaction.
        recording: What to write; its bytes are durable.
        seal: The seal over its empty mask at revision 1; used where it is new.
        now: The time of writing.
    """
    changes.hold_order(conn)
    values = _recording_values(recording)
    known = (
        conn.execute(select(recordings).where(recordings.c.id == recording.id)).mappings().first()
    )
    if known is None:
        conn.execute(
            insert(recordings).values(
                **values,
                id=recording.id,
                content_version=1,
                started_at=recording.started_at,
                ready_at=recording.ready_at,
                mask_revision=1,
                mask_seal=seal,
                created_at=now,
                key_presses=recording.key_presses,
            )
        )
        changes.record(conn, now, "recording", recording_id=recording.id)
        return "new"
    if known["state"] == RecordingState.DELETED.value:
        return "same"
    values["ready_at"] = max(known["ready_at"], recording.ready_at)
    if any(known[name] != values[name] for name in _OF_SOUND):
        values["content_version"] = known["content_version"] + 1
    changed = {name: value for name, value in values.items() if known[name] != value}
    if "content_version" in changed:
        changed |= {"key_presses": recording.key_presses, "keys_revision": None}
    if changed:
        conn.execute(update(recordings).where(recordings.c.id == recording.id).values(**changed))
    if "content_version" in changed:
        _begin_with_calls(conn, recording.id)
    if not changed.keys() - {"ready_at"}:
        return "same"
    changes.record(conn, now, "recording", recording_id=recording.id)
    return "changed"


def _recording_values(recording: NewRecording) -> dict[str, object]:
    facts = asdict(recording.facts) if recording.facts else dict.fromkeys(FACT_COLUMNS)
    return {
        "datasource": recording.datasource,
        "voicelocation": recording.voicelocation,
        "voicefilename": recording.voicefilename,
        "store_id": recording.store_id,
        "object_key": recording.object_key,
        "size_bytes": recording.size_bytes,
        "sha256": recording.sha256,
        "state": recording.state.value,
        "reason": recording.reason,
        **facts,
        **_agent_channel(recording),
    }


def _agent_channel(recording: NewRecording) -> dict[str, object]:
    channel = recording.agent_channel
    return {} if channel is None else {"agent_channel": channel.value}


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a call."""

    outcome: Outcome
    recording_id: RecordingId | None
    """Of the call as it is now."""


def put_call(conn: Connection, call: NewCall, now: UnixMillis) -> Outcome:
    """Write one call; as ``put_calls``."""
    return put_calls(conn, [call], now)[0].outcome


def put_calls(conn: Connection, wanted: Sequence[NewCall], now: UnixMillis) -> list[Written]:
    """Write calls, no two of which have the same id; the same again changes nothing.

    The users and channels that they name come into the directory of their site. A recording once
    known is not lost by writing its call again without one. The calls of a recording tell when it
    began (``spans.first_frame``); where that moves, so do its spans from signals: call
    ``signals.bind_signals`` afterwards.

    Cost: a few statements for all that are new, and one for each that changed.
    """
    changes.hold_order(conn)
    known = _known(conn, [call.id for call in wanted])
    users = directory.ensure_users(conn, ((call.site_id, call.extension) for call in wanted))
    channels = directory.ensure_channels(conn, ((call.site_id, call.channel) for call in wanted))
    written: list[Written] = []
    fresh: list[tuple[object, ...]] = []
    moved: list[RecordingId | None] = []
    for call in wanted:
        values: dict[str, object] = {
            **{name: getattr(call, name) for name in _CALL_COLUMNS},
            "direction": call.direction.value,
            "disposition": call.disposition.value,
            "directory_user_id": users.get((call.site_id, call.extension)),
            "channel_id": channels.get((call.site_id, call.channel)),
        }
        before = known.get(call.id)
        recording_id = call.recording_id
        if before is None:
            fresh.append((*values.values(), now))
            written.append(Written("new", recording_id))
            moved.append(recording_id)
            continue
        if recording_id is None and before["recording_id"] is not None:
            recording_id = before["recording_id"]
            for name in ("recording_id", "voicelocation", "voicefilename"):
                values[name] = before[name]
        if all(before[name] == value for name, value in values.items()):
            written.append(Written("same", recording_id))
            continue
        conn.execute(update(call_records).where(call_records.c.id == call.id).values(**values))
        written.append(Written("changed", recording_id))
        moved += [recording_id, before["recording_id"]]
    insert_rows(conn, call_records, (*_CALL_COLUMNS, *_OF_DIRECTORY, "created_at"), fresh)
    for each in dict.fromkeys(moved):
        _begin_with_calls(conn, each)
    changes.record_calls(
        conn,
        now,
        [
            (call.id, each.recording_id)
            for call, each in zip(wanted, written, strict=True)
            if each.outcome != "same"
        ],
    )
    return written


_CALL_COLUMNS = tuple(each.name for each in fields(NewCall))
_OF_DIRECTORY = ("directory_user_id", "channel_id")
_AT_ONCE = 500
"""Ids that one query asks for."""


def _known(conn: Connection, ids: Sequence[CallId]) -> dict[str, RowMapping]:
    found: dict[str, RowMapping] = {}
    for start in range(0, len(ids), _AT_ONCE):
        query = select(call_records).where(call_records.c.id.in_(ids[start : start + _AT_ONCE]))
        found.update({row["id"]: row for row in conn.execute(query).mappings()})
    return found


def _begin_with_calls(conn: Connection, recording_id: RecordingId | None) -> None:
    if recording_id is None:
        # Asked for NULL, the query would read every call that was never recorded.
        return
    c = call_records.c
    rows = conn.execute(
        select(c.started_at, c.duration_s, c.answered_at, c.clock_s).where(
            c.recording_id == recording_id
        )
    )
    legs = [LegTimes(*row) for row in rows]
    if not legs:
        return
    r = recordings.c
    sound = conn.execute(select(r.frames, r.rate_hz).where(r.id == recording_id)).one()
    # Of a sound that nobody can play the length is not known; it begins with its calls.
    sound_s = sound.frames / sound.rate_hz if sound.rate_hz else math.inf
    begins = first_frame(legs, sound_s)
    conn.execute(
        update(recordings)
        .where(
            r.id == recording_id,
            or_(
                r.started_at != begins.at,
                r.starts_late_s != begins.late_s,
                r.starts_early_s != begins.early_s,
            ),
        )
        .values(started_at=begins.at, starts_late_s=begins.late_s, starts_early_s=begins.early_s)
    )


def forget_call(conn: Connection, call_id: CallId) -> bool:
    """Take away a call that another one now tells better; False where there is none."""
    changes.hold_order(conn)
    return bool(conn.execute(delete(call_records).where(call_records.c.id == call_id)).rowcount)


def delete_recording(
    conn: Connection, recording_id: RecordingId, now: UnixMillis, reason: str | None = None
) -> bool:
    """Mark a recording as deleted by retention; its calls stay. False where it was already."""
    changes.hold_order(conn)
    changed = conn.execute(
        update(recordings)
        .where(recordings.c.id == recording_id, is_alive)
        .values(state=RecordingState.DELETED.value, deleted_at=now, reason=reason)
    )
    if changed.rowcount:
        changes.record(conn, now, "recording", recording_id=recording_id)
    return bool(changed.rowcount)
