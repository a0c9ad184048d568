"""Keys that people typed during a call are found in its sound, and masked or proposed to a person.

The sound is searched as soon as it is there, and again where its mask changed. Where a site masks
keys at once nothing is served before: ``Sound.require_servable`` asks. Which key it was is never
kept. Source: threats.md T16, contract.md 4.6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from callreel.access.keys import KeyRing
from callreel.audio.dtmf import key_spans
from callreel.db import audit, calls, changes, directory, key_presses, masks
from callreel.db.database import Database
from callreel.errors import CallreelError, NotFound, Unavailable
from callreel.flows.sound import Sound
from callreel.model import Clock, Recording, RecordingId, Scope, Span, SpanSource, UnixMillis

ROUND = 100
"""Recordings of one background round."""
LATER_MS = 300_000
"""How long one that could not be searched is left alone."""
TRIES = 3
"""How often a search begins anew because the mask changed meanwhile."""
_EVERYTHING = Scope(everything=True)


@dataclass(frozen=True, slots=True)
class Searched:
    """What became of a recording."""

    recording_id: RecordingId
    done: bool
    spans: int
    """Stretches with keys that are masked or proposed now because of this search."""
    told: str
    """One sentence for a person."""


class KeyFinder:
    """Searches recordings for pressed keys.

    Args:
        db: Where recordings are kept.
        keys: Seal masks.
        sound: Gives sound with silence where it is masked.
        clock: What time it is.
    """

    def __init__(self, db: Database, keys: KeyRing, sound: Sound, clock: Clock) -> None:
        self._db = db
        self._keys = keys
        self._sound = sound
        self._clock = clock
        self._later: dict[RecordingId, UnixMillis] = {}

    def once(self) -> list[Searched]:
        """One background round; what cannot be searched now is tried again in some minutes.

        Raises:
            Unavailable: The database is away.
        """
        now = self._clock()
        self._later = {each: until for each, until in self._later.items() if until > now}
        with self._db.read() as conn:
            waiting = key_presses.due(conn, ROUND, without=self._later.keys())
        found = []
        for recording_id in waiting:
            try:
                found.append(self.search(recording_id, actor="policy"))
            except CallreelError as error:
                self._later[recording_id] = UnixMillis(now + LATER_MS)
                found.append(Searched(recording_id, False, 0, error.message))
        return found

    def search(self, recording_id: RecordingId, *, actor: str) -> Searched:
        """Search one recording, if it waits for that.

        Raises:
            NotFound: There is no such recording.
            Unplayable: It cannot be decoded to its end; it goes on waiting.
            Unavailable: Store or database is away, or its mask cannot be read or changes all the
                time.
        """
        for _ in range(TRIES):
            with self._db.read() as conn:
                recording = calls.find_recording(conn, _EVERYTHING, recording_id)
                if recording is None:
                    raise NotFound("There is no such recording.")
                pad_s = directory.ensure_datasource(conn, recording.datasource).pad_s
            with self._sound.silenced(recording) as sound:
                spans = key_spans(sound, pad_s)
            searched = self._store(recording, spans, actor)
            if searched is not None:
                return searched
        raise Unavailable("The mask of this recording changes all the time; try again later.")

    def _store(self, recording: Recording, found: Sequence[Span], actor: str) -> Searched | None:
        """Mask or propose what was found; None where it was found in what is old by now."""
        now = self._clock()
        with self._db.write() as conn:
            changes.hold_order(conn)
            fresh = calls.find_recording(conn, _EVERYTHING, recording.id)
            if fresh is None or _heard(fresh) != _heard(recording):
                return None
            policy, revision = key_presses.policy_of(conn, recording.id)
            if policy is None or revision == recording.mask_revision:
                return Searched(recording.id, True, 0, "nobody waits for a search of it")
            if policy == key_presses.APPLY:
                # What was proposed under another policy is masked now, not known already.
                key_presses.propose(conn, recording.id, (), now)
                added = masks.add_spans(
                    conn,
                    recording.id,
                    found,
                    SpanSource.DTMF,
                    actor=actor,
                    reason="keys were pressed",
                    seal=self._keys.seal_mask,
                    now=now,
                )
                count, verb = len(found) if added else 0, "masked"
            else:
                count, verb = key_presses.propose(conn, recording.id, found, now), "proposed"
            key_presses.note_searched(conn, recording.id)
            if count:
                detail = {
                    "policy": policy,
                    "spans": count,
                    "mask_revision": calls.mask_revision(conn, recording.id),
                }
                entry = audit.AuditEntry(
                    now, actor, "keys.find", recording.id, "allowed", detail, None
                )
                audit.append(conn, entry)
        if not count:
            return Searched(recording.id, True, 0, "no keys were heard")
        return Searched(recording.id, True, count, f"keys were heard; {verb}: {count}")


def _heard(recording: Recording) -> tuple[int, int]:
    return recording.content_version, recording.mask_revision
