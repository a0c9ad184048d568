"""Burn-in: the stored sound is rewritten with its masks, and what was there before is erased.

Write new, sync, check, swap in one transaction, erase the old. A process killed at any instant
leaves a row that says how far it came, and the next run goes on from there. Afterwards no key, copy
or cache of ours can bring the speech back. Source: PCI DSS 3.3.1; threats.md F2.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from callreel.access.keys import KeyRing
from callreel.audio.evidence import measure
from callreel.audio.probe import probe
from callreel.audio.sources import open_source
from callreel.db import audit, burns, calls, changes, masks
from callreel.db.burns import Burn, MaskedSound
from callreel.db.database import Database
from callreel.errors import CallreelError, Conflict, NotFound, Unavailable
from callreel.flows.sound import Sound
from callreel.model import AudioSpec, Clock, Recording, RecordingId, Scope, SourceFacts, UnixMillis
from callreel.spans import mask_of
from callreel.store.base import Handle, ObjectInfo, ObjectUnreadable, Store

if TYPE_CHECKING:
    from callreel.audio.virtual import VirtualFile

RENDERS_GONE_MS = 60_000
"""By then every serving process has erased its renders of older masks (``flows/tidy.py``)."""
TRIES = 3
"""How often a burn-in begins anew because a mask came while it was written."""
ROUND = 100
"""Recordings of one background round."""
_STORED_AS = {"pcm_s16le": "wav", "ulaw": "wav-ulaw", "alaw": "wav-alaw"}
_EVERYTHING = Scope(everything=True)


@dataclass(frozen=True, slots=True)
class Burned:
    """What became of a recording."""

    recording_id: RecordingId
    done: bool
    """Whether the masks are in the stored sound now."""
    told: str
    """One sentence for a person."""


class Burner:
    """Burns masks in.

    Args:
        db: Where recordings are kept.
        keys: Seals and commitments.
        store_of: Finds a store by its id.
        sound: Makes the masked sound.
        clock: What time it is.
        forget_renders: Erases the renders of a recording that this process can reach.
    """

    def __init__(
        self,
        db: Database,
        keys: KeyRing,
        store_of: Callable[[str], Store],
        sound: Sound,
        clock: Clock,
        forget_renders: Callable[[RecordingId], None],
    ) -> None:
        self._db = db
        self._keys = keys
        self._store_of = store_of
        self._sound = sound
        self._clock = clock
        self._forget_renders = forget_renders

    def due(self) -> tuple[RecordingId, ...]:
        """What should be burned in now: begun ones first, then by the policy of their sites."""
        with self._db.read() as conn:
            begun = burns.in_hand(conn)
            by_policy = burns.due(conn, self._clock(), ROUND)
        return tuple(dict.fromkeys((*begun, *by_policy)))

    def burn(
        self,
        recording_id: RecordingId,
        *,
        actor: str,
        cause: str,
        approved_by: tuple[str, str] | None = None,
    ) -> Burned:
        """Burn in the masks of a recording, or go on with what was begun.

        Args:
            recording_id: Which.
            actor: Who asks.
            cause: ``policy`` or ``command``.
            approved_by: The two people who allow it although the recording is on hold.

        Raises:
            NotFound: There is no such recording.
            Conflict: It is on hold, refers to a file in place, or its mask changes all the time.
            NotReady, Unplayable, RecordingDeleted: It is not served, so nothing is burned in.
            Unavailable: Store or database is away; what was there is still served.
        """
        for _ in range(TRIES):
            begun = self._begin(recording_id, actor, cause, approved_by)
            if isinstance(begun, Burned):
                return begun
            burn, recording = begun
            if burn.state == "writing" and not self._write(burn, recording):
                continue
            return self._erase(recording_id)
        raise Conflict("The mask of this recording changes all the time; try again later.")

    def once(self) -> list[Burned]:
        """One background round; what cannot be burned in now is left for the next.

        Raises:
            Unavailable: The database is away.
        """
        found = []
        for recording_id in self.due():
            try:
                found.append(self.burn(recording_id, actor="policy", cause="policy"))
            except CallreelError as error:
                found.append(Burned(recording_id, False, error.message))
        return found

    def _begin(
        self,
        recording_id: RecordingId,
        actor: str,
        cause: str,
        approved_by: tuple[str, str] | None,
    ) -> Burned | tuple[Burn, Recording]:
        now = self._clock()
        with self._db.write() as conn:
            changes.hold_order(conn)
            recording = calls.find_recording(conn, _EVERYTHING, recording_id)
            if recording is None:
                raise NotFound("There is no such recording.")
            known = burns.find(conn, recording_id)
            if known is not None and known.state == "swapped":
                return known, recording
            self._sound.require_servable(recording)
            if not recording.spans:
                return Burned(recording_id, False, "nothing is masked in it")
            if masks.burned_revision(conn, recording_id) == recording.mask_revision:
                return Burned(recording_id, True, "its masks are burned in already")
            _require_no_hold(conn, recording_id, approved_by)
            if self._store_of(recording.store_id).read_only:
                raise Conflict(
                    "It refers to a file in place, which is not ours to change; import a copy, "
                    "then remove that file."
                )
            if known is not None and known.state == "writing" and known.new_key is not None:
                # Left by whoever died: masked as it is, it holds what a newer mask covers.
                self._drop(conn, known.old_store_id, known.new_key)
            burn = Burn(
                recording_id=recording_id,
                state="writing",
                cause=cause,
                actor=actor,
                approved_by=None if approved_by is None else " and ".join(approved_by),
                mask_revision=recording.mask_revision,
                old_store_id=recording.store_id,
                old_key=recording.object_key,
                new_key=None,
                created_at=now,
                done_at=None,
            )
            burns.begin(conn, burn)
            audit.append(conn, _entry(burn, "burn_in.begin", now, {}))
        return burn, recording

    def _write(self, burn: Burn, recording: Recording) -> bool:
        """Write, check and swap; False where the mask changed meanwhile."""
        facts = self._sound.require_servable(recording)
        spec = AudioSpec(_STORED_AS.get(facts.codec, "flac"))
        store = self._store_of(burn.old_store_id)
        opened = self._sound.open(recording, spec)
        try:
            digest = hashlib.sha256()
            for part in opened.file.parts(0, opened.file.size):
                digest.update(part.data)
            with self._db.write() as conn:
                burns.will_write(conn, recording.id, store.key_of(digest.hexdigest()))
            info = store.put(io.BufferedReader(_Outgoing(opened.file)))
        except ObjectUnreadable as error:
            raise Unavailable("The new sound could not be stored.", why=str(error)) from error
        finally:
            opened.close()
        swapped = False
        try:
            new_facts = self._checked(recording, facts, spec, store, info)
            swapped = self._swap(burn, info, new_facts)
        finally:
            if not swapped:
                with self._db.read() as conn:
                    self._drop(conn, burn.old_store_id, info.key)
        return swapped

    def _checked(
        self,
        recording: Recording,
        facts: SourceFacts,
        spec: AudioSpec,
        store: Store,
        info: ObjectInfo,
    ) -> SourceFacts:
        """Read the new sound back before the old is given up: it must be the old one, masked."""
        mask = mask_of(recording.spans, facts)
        with _opened(store, info.key) as handle:
            # What is masked stays as long as it was, though the new codec remembers nothing.
            found = replace(
                probe(handle, f"burned.{spec.format.partition('-')[0]}"),
                memory_frames=facts.memory_frames,
                repaired=facts.repaired,
            )
            heard = open_source(handle, found)
            source = self._sound.open_source(recording, facts)
            try:
                measured = measure(heard, source, recording.fill, mask)
            finally:
                source.close()
                heard.close()
        lossless = spec.format in {"wav", "flac"}
        if not measured.same_outside or (lossless and not measured.fill_inside):
            raise Unavailable("What was written is not the masked sound; nothing was changed.")
        return found

    def _swap(self, burn: Burn, info: ObjectInfo, facts: SourceFacts) -> bool:
        now = self._clock()
        with self._db.write() as conn:
            changes.hold_order(conn)
            recording = calls.find_recording(conn, _EVERYTHING, burn.recording_id)
            if recording is None:
                raise NotFound("There is no such recording.")
            known = burns.find(conn, burn.recording_id)
            if known is not None and known.state == "swapped":
                return True
            if (recording.mask_revision, recording.object_key) != (
                burn.mask_revision,
                burn.old_key,
            ):
                return False
            allowed = burn.approved_by is not None
            _require_no_hold(conn, burn.recording_id, ("", "") if allowed else None)
            self._sound.require_servable(recording)
            commitment = self._keys.commit_source(recording.sha256)
            new = MaskedSound(
                burn.old_store_id, info.key, info.size_bytes, info.sha256, facts, commitment
            )
            burns.swap(conn, burn, new, now)
            detail = {"source_commitment": commitment, "sha256": info.sha256}
            audit.append(conn, _entry(burn, "burn_in.swap", now, detail))
        return True

    def _erase(self, recording_id: RecordingId) -> Burned:
        """Erase what was there before the swap; done when no render of older masks is left."""
        with self._db.read() as conn:
            burn = burns.find(conn, recording_id)
            if burn is None or burn.state == "done":
                return Burned(recording_id, True, "its masks are burned in")
            others = burns.others_of(conn, burn)
        try:
            if not others and burn.old_key != burn.new_key:
                self._store_of(burn.old_store_id).delete(burn.old_key)
        except ObjectUnreadable as error:
            raise Unavailable("The old sound could not be erased.", why=str(error)) from error
        self._forget_renders(recording_id)
        now = self._clock()
        if now < burn.created_at + RENDERS_GONE_MS:
            return Burned(
                recording_id, True, "its masks are burned in; renders of older masks go in a minute"
            )
        with self._db.write() as conn:
            burns.finish(conn, recording_id, now)
            detail = {"shared_with": list(others)}
            audit.append(conn, _entry(burn, "burn_in.done", now, detail))
        if others:
            return Burned(
                recording_id, True, f"its masks are burned in; its old sound is that of {others[0]}"
            )
        return Burned(recording_id, True, "its masks are burned in, and nothing else is left")

    def _drop(self, conn: Connection, store_id: str, key: str) -> None:
        """Take back an object that is nobody's; a recording may have had it before."""
        if not calls.is_stored(conn, store_id, key):
            self._store_of(store_id).delete(key)


def _require_no_hold(
    conn: Connection, recording_id: RecordingId, approved_by: tuple[str, str] | None
) -> None:
    if approved_by is None and burns.list_holds(conn, recording_id):
        raise Conflict(
            "It is on legal hold; two people with the role compliance or administrator can allow "
            "it with --despite-hold."
        )


@contextmanager
def _opened(store: Store, key: str) -> Iterator[Handle]:
    handle = store.open(key)
    try:
        yield handle
    finally:
        handle.close()


class _Outgoing(io.RawIOBase):
    """A virtual file as a stream, for a store to copy."""

    def __init__(self, file: VirtualFile) -> None:
        super().__init__()
        self._parts = file.parts(0, file.size)
        self._rest = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: object, /) -> int:
        """The next bytes; 0 at the end."""
        room = memoryview(buffer).cast("B")  # type: ignore[arg-type]  # what io hands in
        while not self._rest:
            part = next(self._parts, None)
            if part is None:
                return 0
            self._rest = part.data
        taken, self._rest = self._rest[: len(room)], self._rest[len(room) :]
        room[: len(taken)] = taken
        return len(taken)


def _entry(
    burn: Burn, action: str, now: UnixMillis, detail: Mapping[str, object]
) -> audit.AuditEntry:
    return audit.AuditEntry(
        at=now,
        actor=burn.actor,
        action=action,
        object_id=burn.recording_id,
        decision="allowed",
        detail={
            "cause": burn.cause,
            "mask_revision": burn.mask_revision,
            "approved_by": burn.approved_by,
            **detail,
        },
        address=None,
    )
