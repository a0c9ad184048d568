"""Short ways to make rows for the tests of the database."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from callreel.access.keys import KeyRing, TokenSecret
from callreel.db import calls, directory, masks
from callreel.model import (
    CallId,
    Direction,
    Disposition,
    RecordingId,
    RecordingState,
    SourceFacts,
    UnixMillis,
)

NOW = UnixMillis(1_790_000_000_000)
KEYS = KeyRing(bytes(range(32)), [TokenSecret(b"abcd", bytes(range(32)), True)])
SEAL: masks.Seal = KEYS.seal_mask
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


def write_call(conn: Connection, plan: CallPlan) -> calls.Outcome:
    """Write a call with its site, datasource, store and recording, as the intake does."""
    directory.ensure_store(conn, "1", "file:store", read_only=False)
    directory.ensure_voicelocation(conn, "1", "1")
    directory.ensure_datasource(conn, plan.site)
    started_at = UnixMillis(round(NOW + plan.at_s * 1000))
    if plan.recording is not None:
        recording_id = RecordingId(plan.recording)
        calls.put_recording(
            conn,
            calls.NewRecording(
                id=recording_id,
                datasource=plan.site,
                voicelocation="1",
                voicefilename=f"NCS{plan.recording}",
                store_id="1",
                object_key="aa/bb",
                size_bytes=100,
                sha256="0" * 64,
                state=RecordingState.READY,
                reason=None,
                facts=FACTS,
                started_at=started_at,
                ready_at=NOW,
            ),
            SEAL(recording_id, 1, ()),
            NOW,
        )
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
            linked_id=None,
        ),
        NOW,
    )
    masks.bind_signals(conn, CallId(plan.id), SEAL, NOW)
    return outcome
