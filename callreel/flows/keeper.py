"""A file of sound that an importer found becomes an object in a store, hashed and probed.

First half of the intake: it ends with bytes on the disk under a final name, before any row in the
database says that they are there.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from callreel.db.calls import NewRecording
from callreel.errors import NotReady, Unavailable, Unplayable
from callreel.flows.entry import SoundFile, in_place_store_id
from callreel.model import Recording, SourceFacts, UnixMillis
from callreel.store.base import Handle, ObjectInfo, ObjectMissing, ObjectUnreadable, Store
from callreel.store.beneath import open_beneath

_CHUNK_BYTES = 1 << 20

StoreOf = Callable[[str], Store]
"""From the id of a store to the store; raises Unavailable where there is none of that id."""


class Probe(Protocol):
    """Finds out what a file holds, safely; ``audio/probe.py`` is one."""

    def __call__(self, reader: Handle, name: str) -> SourceFacts:
        """The facts about the sound.

        Raises:
            Unplayable: It cannot be decoded; the message says why.
        """


@dataclass(frozen=True, slots=True)
class Kept:
    """SoundFile that is durable in a store."""

    store_id: str
    info: ObjectInfo
    source_sha256: str
    """Hex, of the file that was offered; another than the stored one where masks are burned in."""
    facts: SourceFacts | None
    """None where it cannot be played."""
    reason: str | None
    """Why it cannot be played."""
    changed_at: UnixMillis
    """When the file was last written."""


class SoundKeeper:
    """Copies, or refers to, files of sound.

    Args:
        store_of: Finds the stores, those of folders that are referred to as well.
        probe: What finds the facts.
    """

    def __init__(self, store_of: StoreOf, probe: Probe) -> None:
        self._store_of = store_of
        self._probe = probe

    def keep(
        self,
        sound: SoundFile,
        known: Callable[[str], Recording | None],
        store_for: Callable[[str], str],
    ) -> Kept:
        """Make one file durable and probe it; bytes that are known already are only compared.

        Args:
            sound: The file.
            known: From a SHA-256 in hex to the recording that holds these bytes, or None.
            store_for: From a SHA-256 in hex to the id of the store that new bytes go to.

        Raises:
            ObjectMissing: No such file beneath the folder, or its name leads elsewhere.
            ObjectUnreadable: The file cannot be read.
            NotReady: It changed while it was read.
            Unavailable: The store cannot take it; nothing else can come in either.

        Cost: one pass over a file that is known, three over a new one.
        """
        descriptor = open_beneath(sound.root, sound.name)
        with os.fdopen(descriptor, "rb") as file:
            before = os.fstat(descriptor)
            info = _hashed(file, sound.name)
            recording = known(info.sha256)
            if recording is not None and self._is_kept(recording):
                kept = Kept(
                    store_id=recording.store_id,
                    info=ObjectInfo(recording.object_key, recording.size_bytes, recording.sha256),
                    source_sha256=info.sha256,
                    facts=recording.facts,
                    reason=recording.reason,
                    changed_at=UnixMillis(before.st_mtime_ns // 1_000_000),
                )
            else:
                kept = self._stored(sound, file, info, before, store_for)
            after = os.fstat(descriptor)
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise NotReady("it changed while it was read", retry_after_s=5)
        return kept

    def is_there(self, recording: NewRecording) -> bool:
        """Whether the sound of a recording is in its store; a store that is away says nothing."""
        try:
            self._store_of(recording.store_id).open(recording.object_key).close()
        except ObjectMissing:
            return False
        except (ObjectUnreadable, Unavailable):
            return True
        return True

    def _is_kept(self, recording: Recording) -> bool:
        """Whether these bytes need not be stored again.

        What was burned in never is: the file that is offered holds the speech that was erased.
        """
        if recording.source_commitment is not None:
            return True
        return recording.facts is not None and self._still_there(recording)

    def _still_there(self, recording: Recording) -> bool:
        try:
            handle = self._store_of(recording.store_id).open(recording.object_key)
        except (ObjectMissing, ObjectUnreadable, Unavailable):
            return False
        size = handle.size
        handle.close()
        return size == recording.size_bytes

    def _stored(
        self,
        sound: SoundFile,
        file: BinaryIO,
        hashed: ObjectInfo,
        status: os.stat_result,
        store_for: Callable[[str], str],
    ) -> Kept:
        if sound.in_place:
            store_id, info = in_place_store_id(sound.root), hashed
            store = self._store_of(store_id)
        else:
            store_id = store_for(hashed.sha256)
            store = self._store_of(store_id)
            file.seek(0)
            try:
                info = store.put(file)
            except ObjectUnreadable as error:
                raise Unavailable(str(error)) from error
            if info.sha256 != hashed.sha256:
                raise NotReady("it changed while it was read", retry_after_s=5)
        try:
            facts, reason = self._probed(store, info.key, sound.name)
        except ObjectMissing:
            # Retention erased the very same bytes of another recording in between.
            raise NotReady("it was erased while it came in", retry_after_s=5) from None
        changed_at = UnixMillis(status.st_mtime_ns // 1_000_000)
        return Kept(store_id, info, hashed.sha256, facts, reason, changed_at)

    def _probed(self, store: Store, key: str, name: str) -> tuple[SourceFacts | None, str | None]:
        handle = store.open(key)
        try:
            return self._probe(handle, name.rpartition("/")[2]), None
        except Unplayable as error:
            return None, error.message
        finally:
            handle.close()


def _hashed(file: BinaryIO, key: str) -> ObjectInfo:
    digest = hashlib.sha256()
    size = 0
    try:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
    except OSError as error:
        raise ObjectUnreadable("it cannot be read", retry=True) from error
    return ObjectInfo(key=key, size_bytes=size, sha256=digest.hexdigest())
