"""Short ways to make rows for the tests of the database."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from callreel.access.keys import KeyRing, TokenSecret
from callreel.db import calls, directory, masks, signals, users
from callreel.db.database import Database
from callreel.model import (
    Call,
    CallId,
    Direction,
    Disposition,
    Recording,
    RecordingId,
    RecordingState,
    Role,
    Scope,
    SourceFacts,
    Span,
    SpanSource,
    UnixMillis,
)

NOW = UnixMillis(1_790_000_000_000)
KEYS = KeyRing(bytes(range(32)), [TokenSecret(b"abcd", bytes(range(32)), True)])
SEAL: masks.Seal = KEYS.seal_mask
ALL = Scope(everything=True)
FACTS = SourceFacts("pcm_s16le", "wav", rate_hz=8_000, channels=2, frames=480_000)


@dataclass(frozen=True, slots=True)
class CallPlan:
    """What of a call matters to a test."""

    id: str
    site: str = "s1"
    recording: str | None = None
    at_s: float = 0.0
    """Seconds after NOW."""
    duration_s: float = 60.0
    extension: str | None = "2104"
    channel: str | None = None
    from_number: str = "01632960001"
    to_number: str = "07700900002"
    direction: Direction = Direction.INBOUND
    unique_id: str | None = None
    linked_id: str | None = None


def new_recording(
    recording_id: str, site: str = "s1", *, started_at: UnixMillis = NOW
) -> calls.NewRecording:
    """A playable minute of sound in two channels."""
    return calls.NewRecording(
        id=RecordingId(recording_id),
        datasource=site,
        voicelocation="1",
        voicefilename=f"NCS{recording_id}",
        store_id="1",
        object_key="aa/bb",
        size_bytes=100,
        sha256="0" * 64,
        state=RecordingState.READY,
        reason=None,
        facts=FACTS,
        started_at=started_at,
        ready_at=NOW,
    )


def write_recording(conn: Connection, recording: calls.NewRecording) -> calls.Outcome:
    """Write a recording with the seal of an empty mask."""
    return calls.put_recording(conn, recording, SEAL(recording.id, 1, ()), NOW)


def write_call(conn: Connection, plan: CallPlan) -> calls.Outcome:
    """Write a call with its site, datasource, store and recording, as the intake does."""
    directory.ensure_store(conn, "1", "file:store", read_only=False)
    directory.ensure_voicelocation(conn, "1", "1")
    directory.ensure_datasource(conn, plan.site)
    started_at = UnixMillis(round(NOW + plan.at_s * 1000))
    if plan.recording is not None:
        write_recording(conn, new_recording(plan.recording, plan.site, started_at=started_at))
    outcome = calls.put_call(
        conn,
        calls.NewCall(
            id=CallId(plan.id),
            site_id=plan.site,
            datasource=plan.site,
            voicelocation="1" if plan.recording else None,
            voicefilename=f"NCS{plan.recording}" if plan.recording else None,
            recording_id=RecordingId(plan.recording) if plan.recording else None,
            started_at=started_at,
            duration_s=plan.duration_s,
            direction=plan.direction,
            from_number=plan.from_number,
            to_number=plan.to_number,
            extension=plan.extension,
            channel=plan.channel,
            disposition=Disposition.ANSWERED,
            linked_id=plan.linked_id,
            unique_id=plan.unique_id,
        ),
        NOW,
    )
    signals.bind_signals(conn, CallId(plan.id), SEAL, NOW)
    return outcome


def at(seconds: float) -> UnixMillis:
    """An instant so many seconds after NOW."""
    return UnixMillis(round(NOW + seconds * 1000))


def mask(database: Database, recording: str, *spans: Span) -> bool:
    """Add spans as an import does."""
    with database.write() as conn:
        return masks.add_spans(
            conn,
            RecordingId(recording),
            spans,
            SpanSource.IMPORT,
            actor="command",
            reason=None,
            seal=SEAL,
            now=NOW,
        )


def send(
    database: Database, mute: str, at_s: float, objid: str = "2104", objtype: str = "user"
) -> set[RecordingId]:
    """A signal "on" or "off" at a moment, as the flow does it; what it touched."""
    with database.write() as conn:
        user = users.by_name(conn, "pbx")
        user_id = user.id if user else users.add_user(conn, "pbx", Role.INTEGRATOR, "h", ALL, NOW)
        targets = signals.object_ids(conn, ALL, objtype, objid, None)
        new = signals.NewSignal(at(at_s), at(at_s), mute == "on", "web", user_id)
        taken = signals.take_signal(conn, targets, new, SEAL)
    return {match.recording_id for match in taken.matches if match.recording_id}


def found_call(database: Database, call_id: str) -> Call:
    """A call that must be there."""
    with database.read() as conn:
        found = calls.find_call(conn, ALL, CallId(call_id))
    assert found is not None
    return found


def found_recording(database: Database, recording_id: str) -> Recording:
    """A recording that must be there, and whose mask must fit its seal."""
    with database.read() as conn:
        found = calls.find_recording(conn, ALL, RecordingId(recording_id))
    assert found is not None
    assert found.mask_seal == SEAL(found.id, found.mask_revision, found.spans)
    return found
