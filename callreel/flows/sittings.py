"""What is written down of those who listen: a row for each sitting at a player, two for each file.

The page names a sitting, the server decides which row that is. What was sent is written down by the
server; what was heard of it is what the player told.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from sqlalchemy import Connection

from callreel.audio.encoders.wav import wav_header
from callreel.audio.masked import output_channels
from callreel.db import audit, playbacks
from callreel.db.database import Database
from callreel.db.journal import Journal
from callreel.db.later import Later
from callreel.errors import BadRequest, Unavailable
from callreel.flows.delivery import ANSWER_BYTES
from callreel.model import AudioSpec, CallId, Clock, Principal, Recording, UnixMillis
from callreel.wording import to_translate

SPEC = AudioSpec("wav")
"""Exact in length, and an offset is a sample: a player seeks in it without asking twice."""
SITTING_MS = 3_600_000
"""After so long without sound or news of it, the next piece begins another sitting."""
_MOST_STRETCHES = 200
_WRITERS = 4
_MOST_S = 1e6


@dataclass(frozen=True, slots=True)
class Listener:
    """Somebody who may listen now."""

    principal: Principal
    """In whose name."""
    require_open: Callable[[Connection, UnixMillis], None]
    """Returns where they still may, raises where not; asked before every second of sound."""
    taker: str
    """Whose places for what is sent it takes: those of a user, or of one lease."""
    seat: str
    """Which session it is, or which lease: a sitting at a player belongs to one."""
    door: str = "player"
    """How the audit log calls it."""
    label: str | None = None
    """Whom an integrator's link was made for."""
    detail: Mapping[str, object] = field(default_factory=dict)
    """What else the audit log tells."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a recording is asked for, and where from."""

    call_id: CallId | None
    spec: AudioSpec
    sitting: str | None
    """The page's name of this sitting at the player; None for a file to keep."""
    address: str | None


class Sitting:
    """One answer to somebody: a piece for their player, or a file."""

    def __init__(self, listener: Listener, asked: Asked) -> None:
        self.listener = listener
        self.asked = asked
        self.answer = secrets.token_hex(ANSWER_BYTES)
        self.playback_id: str | None = None
        """The row of the sitting, once sound leaves."""


class Sittings:
    """Writes it down.

    Args:
        db: Where it is kept.
        clock: What time it is.
        on_audit_failure: Told when what has left already could not be written down.
    """

    def __init__(
        self, db: Database, clock: Clock, on_audit_failure: Callable[[Exception], None]
    ) -> None:
        self._db = db
        self._journal = Journal(db)
        self._clock = clock
        self._on_audit_failure = on_audit_failure
        self._writer = Later(db, "sittings", _WRITERS)

    def started(self, seat: Sitting, recording: Recording) -> None:
        """Write down that sound leaves; of a sitting once for all of its pieces.

        A page may call its sittings what it likes: another session, address or mask, and an hour
        of silence, begin a new one.
        """
        if seat.asked.sitting is None:
            self._journal.add(self._entry("sound.start", seat, recording, {"answer": seat.answer}))
            return
        with self._db.read() as conn:
            seat.playback_id = self._going_on(conn, seat, recording)
        if seat.playback_id is None:
            with self._db.write() as conn:
                playbacks.hold_order(conn, seat.listener.principal.web_user_id)
                # Two pieces of one page may be here at once.
                seat.playback_id = self._going_on(conn, seat, recording) or self._sit_down(
                    conn, seat, recording
                )

    def _going_on(self, conn: Connection, seat: Sitting, recording: Recording) -> str | None:
        """The sitting that a piece belongs to; None where it begins one."""
        name, who = seat.asked.sitting or "", seat.listener.principal.web_user_id
        known = playbacks.newest(conn, name, who, recording.id)
        is_same = (
            known is not None
            and known.seat == seat.listener.seat
            and known.address == seat.asked.address
            and known.mask_revision == recording.mask_revision
            and self._clock() - known.heard_at < SITTING_MS
        )
        return known.id if known is not None and is_same else None

    def _sit_down(self, conn: Connection, seat: Sitting, recording: Recording) -> str:
        now = self._clock()
        playback = playbacks.Playback(
            id=secrets.token_hex(12),
            name=seat.asked.sitting or "",
            seat=seat.listener.seat,
            recording_id=recording.id,
            call_id=seat.asked.call_id,
            web_user_id=seat.listener.principal.web_user_id,
            label=seat.listener.label,
            mask_revision=recording.mask_revision,
            address=seat.asked.address,
            started_at=now,
            heard_at=now,
        )
        playbacks.begin(conn, playback)
        audit.append(conn, self._entry("sound.start", seat, recording, {"playback": playback.id}))
        return playback.id

    def ended(
        self, seat: Sitting, recording: Recording, start: int, bytes_sent: int
    ) -> Future[None]:
        """Write down how much was sent: of a file its bytes, of a sitting which stretch.

        Returns: as ``Door.ended``.
        """
        if seat.asked.sitting is None:
            detail = {"answer": seat.answer, "start": start, "bytes_sent": bytes_sent}
            entry = self._entry("sound.end", seat, recording, detail)
            return self._journal.told(entry, self._on_audit_failure)
        sent = _stretch(recording, seat.asked.spec, start, start + bytes_sent)
        return self._writer.submit(self._add_sent, seat.playback_id, bytes_sent, sent)

    def _add_sent(self, playback_id: str | None, bytes_sent: int, sent: playbacks.Stretch) -> None:
        if playback_id is None or not bytes_sent:
            return
        try:
            with self._db.write() as conn:
                playbacks.add(conn, playback_id, self._clock(), sent=[sent])
        except Unavailable as error:
            self._on_audit_failure(error)

    def heard(
        self,
        principal: Principal,
        recording: Recording,
        sitting: str,
        stretches: Sequence[playbacks.Stretch],
        speed: float,
    ) -> None:
        """Add what a player says that it played.

        Raises:
            BadRequest: No such sitting of this user, or stretches that cannot be.
        """
        end_s = recording.facts.duration_s if recording.facts else 0.0
        if len(stretches) > _MOST_STRETCHES or not all(
            0 <= start <= end <= _MOST_S for start, end in stretches
        ):
            raise BadRequest(
                to_translate("heard: must be pairs of seconds, each from 0 on, in order.")
            )
        if not 0 < speed <= 16:
            raise BadRequest(to_translate("speed: must be more than 0 and at most 16."))
        # A player is a little behind or before the last sample; nothing else lies outside.
        told = [(start, min(end, end_s)) for start, end in stretches if start < end_s]
        with self._db.write() as conn:
            known = playbacks.newest(conn, sitting, principal.web_user_id, recording.id)
            if known is None:
                raise BadRequest(to_translate("sitting: nothing was played under this name."))
            playbacks.add(conn, known.id, self._clock(), heard=told, speed=speed)

    def _entry(
        self, action: str, seat: Sitting, recording: Recording, detail: Mapping[str, object]
    ) -> audit.AuditEntry:
        return audit.AuditEntry(
            at=self._clock(),
            actor=seat.listener.principal.web_user_id,
            action=action,
            object_id=recording.id,
            decision="allowed",
            detail={
                "door": seat.listener.door if seat.asked.sitting else "download",
                "sitting": seat.asked.sitting,
                "format": seat.asked.spec.format,
                "channel": seat.asked.spec.channels.value,
                "mask_revision": recording.mask_revision,
                **seat.listener.detail,
                **detail,
            },
            address=seat.asked.address,
        )


def _stretch(recording: Recording, spec: AudioSpec, start: int, stop: int) -> playbacks.Stretch:
    """The seconds of sound in the bytes [start, stop) of a WAV of 16 bits."""
    facts = recording.facts
    if facts is None or spec != SPEC:
        raise AssertionError("a player gets WAV of what can be played")
    header = len(wav_header(spec.format, facts.rate_hz, facts.frames, facts.channels))
    per_s = 2 * output_channels(facts, spec.channels) * facts.rate_hz
    begin_s, end_s = (max(0, each - header) / per_s for each in (start, stop))
    return round(begin_s, 3), round(min(end_s, facts.duration_s), 3)
