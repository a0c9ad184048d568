"""Calls and recordings come in: sound first, then everything else in one transaction.

An entry is answered only when it is on the disk. A process killed at any instant leaves whole calls
or none of them, and the next run finds the rest. Source: threats.md 3 and F1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from callreel.access.keys import KeyRing
from callreel.db import calls, directory, key_presses
from callreel.db.calls import NewCall, NewRecording
from callreel.db.database import Database
from callreel.errors import NotReady
from callreel.flows.entry import (
    DEFAULT_STORE,
    DEFAULT_VOICELOCATION,
    SOUND_KEY,
    CallEntry,
    NotTaken,
    Result,
    SharedRecording,
    SoundFile,
    Taken,
    call_id,
    content_name,
    in_place_store_id,
    recording_id,
    require_storable,
)
from callreel.flows.keeper import Kept, Probe, SoundKeeper, StoreOf
from callreel.flows.writer import BatchWriter, Prepared
from callreel.model import (
    CallId,
    Clock,
    Recording,
    RecordingId,
    RecordingState,
    Scope,
    UnixMillis,
)
from callreel.store.base import ObjectMissing, ObjectUnreadable

BATCH_CALLS = 2000
"""Calls that are prepared before they are written; ``flows/writer.py`` cuts them into turns."""
BATCH_SOUNDS = 16
"""Recordings of one batch: each has cost time already, and should be seen soon."""
REMEMBERED = 4096
"""Files of a run whose hash is remembered, so that calls which share one read it once."""

_EVERYTHING = Scope(everything=True)


@dataclass(frozen=True, slots=True)
class _Site:
    id: str
    default_voicelocation: str
    settle_ms: int
    key_presses: str | None


@dataclass(frozen=True, slots=True)
class _Names:
    call_id: CallId
    voicelocation: str
    voicefilename: str
    recording_id: RecordingId


class Intake:
    """Takes entries, of any importer.

    Args:
        db: Where calls are kept.
        store_of: Finds a store by its id, also that of a folder that is referred to.
        probe: Finds out what a file of sound holds.
        keys: Seal the mask of a recording, and know again what was burned in.
        clock: What time it is.
    """

    def __init__(
        self, db: Database, store_of: StoreOf, probe: Probe, keys: KeyRing, clock: Clock
    ) -> None:
        self._db = db
        self._keeper = SoundKeeper(store_of, probe)
        self._keys = keys
        self._clock = clock

    def take(self, entries: Iterable[CallEntry], *, actor: str) -> Iterator[Taken]:
        """Take entries one after the other, in batches.

        Args:
            entries: What an importer found; pulled as needed.
            actor: Who imports, for the audit log.

        Yields:
            What became of each entry, after it was made durable.

        Raises:
            Unavailable: The database or the store is away. What was yielded is safe; the rest comes
                in when the import runs again.

        Cost: one pass over every file of sound that is known, three over a new one; memory for one
        batch and the names of the sound of the run.
        """
        run = _Run(self._db, self._keeper, self._keys.commit_source, self._clock)
        writer = BatchWriter(
            self._db, self._keys.seal_mask, self._keeper.is_there, self._clock, actor
        )
        batch: list[Prepared] = []
        sounds = 0
        for entry in entries:
            try:
                batch.append(run.prepare(entry))
            except NotTaken as error:
                yield Taken(entry, error.result, reason=error.reason)
                continue
            sounds += batch[-1].recording is not None
            if len(batch) >= BATCH_CALLS or sounds >= BATCH_SOUNDS:
                yield from writer.write(batch)
                batch, sounds = [], 0
        yield from writer.write(batch)


class _Run:
    """What one run over the entries of one importer remembers."""

    def __init__(
        self, db: Database, keeper: SoundKeeper, commit: Callable[[str], str], clock: Clock
    ) -> None:
        self._db = db
        self._keeper = keeper
        self._commit = commit
        self._clock = clock
        self._sites: dict[str, _Site] = {}
        self._locations: set[str] = set()
        self._roots: set[Path] = set()
        self._kept: OrderedDict[SoundFile, Kept] = OrderedDict()
        self._calls: dict[CallId, tuple[int, str]] = {}
        self._sounds: dict[RecordingId, tuple[str, str]] = {}

    def prepare(self, entry: CallEntry) -> Prepared:
        """Make the sound of an entry durable and work out its rows.

        Raises:
            NotTaken: It waits or is skipped.
            Unavailable: The database or the store is away.
        """
        require_storable(entry)
        site = self._site(entry.datasource)
        if entry.audio is None:
            return self._without_sound(entry, site, entry.missing)
        self._refer(entry.audio)
        try:
            return self._with_sound(entry, site, entry.audio)
        except ObjectMissing:
            reason = f"its sound {entry.audio.name!r} is not in the folder, or is a link"
        except ObjectUnreadable as error:
            reason = f"its sound {entry.audio.name!r}: {error}"
        except NotReady as error:
            raise NotTaken(Result.WAITING, error.message) from error
        return self._without_sound(entry, site, reason)

    def _without_sound(self, entry: CallEntry, site: _Site, reason: str | None) -> Prepared:
        if entry.source_key is None or entry.keyed_by_sound or entry.started_at is None:
            raise NotTaken(Result.SKIPPED, reason or "it has neither a time nor sound")
        call = _new_call(
            entry,
            site,
            call_id(entry.datasource, entry.source_key),
            started_at=entry.started_at,
            duration_s=entry.duration_s or 0.0,
        )
        self._require_one_call(entry, call)
        return Prepared(entry, call, None, reason, refused=reason is not None)

    def _with_sound(self, entry: CallEntry, site: _Site, audio: SoundFile) -> Prepared:
        kept = self._keep(entry, site, audio)
        if entry.second_copy is not None:
            second = self._keep(entry, site, entry.second_copy)
            if second.source_sha256 != kept.source_sha256:
                raise NotTaken(
                    Result.SKIPPED,
                    f"it shares the recording of {audio.name} but its own sound is different",
                )
        names = self._names(entry, site, kept.source_sha256)
        self._locate(names.voicelocation)
        recording = self._new_recording(entry, site, names, kept)
        call = _new_call(
            entry,
            site,
            names.call_id,
            recording=recording,
            started_at=recording.started_at,
            duration_s=_duration_s(entry, kept),
        )
        self._require_one_meaning(entry, call, recording)
        reason = None if kept.reason is None else f"the sound cannot be played: {kept.reason}"
        return Prepared(entry, call, recording, reason, refused=False)

    def _keep(self, entry: CallEntry, site: _Site, sound: SoundFile) -> Kept:
        kept = self._kept.get(sound)
        if kept is None:
            kept = self._keeper.keep(
                sound,
                lambda sha256: self._known(entry, site, sha256),
                lambda sha256: self._store_for(self._names(entry, site, sha256).voicelocation),
            )
            self._kept[sound] = kept
            if len(self._kept) > REMEMBERED:
                self._kept.popitem(last=False)
        return kept

    def _known(self, entry: CallEntry, site: _Site, sha256: str) -> Recording | None:
        wanted = self._names(entry, site, sha256).recording_id
        with self._db.read() as conn:
            recording = calls.find_recording(conn, _EVERYTHING, wanted)
            commitment = self._commit(sha256)
            burned = calls.burned_as(conn, commitment)
        if recording is not None and recording.state is RecordingState.DELETED:
            raise NotTaken(Result.SKIPPED, "its recording was deleted by retention")
        if recording is not None and recording.source_commitment is not None:
            if recording.source_commitment == commitment:
                return recording
            raise NotTaken(
                Result.SKIPPED, "the masks of its recording are burned in, and this sound is not it"
            )
        if burned is not None:
            raise NotTaken(Result.SKIPPED, f"its sound was masked for good as recording {burned}")
        return recording if recording is not None and recording.sha256 == sha256 else None

    def _names(self, entry: CallEntry, site: _Site, sha256: str) -> _Names:
        identity = call_id(entry.datasource, _source_key(entry, sha256))
        told: SharedRecording | CallEntry = entry.shared or entry
        location = told.voicelocation
        if location is None:
            with self._db.read() as conn:
                call = calls.find_call(conn, _EVERYTHING, identity)
            # Where it is already, so that a new default makes no second copy of what is here.
            location = call.voicelocation if call is not None else None
        location = location or site.default_voicelocation
        name = told.voicefilename or content_name(sha256)
        return _Names(identity, location, name, recording_id(entry.datasource, location, name))

    def _new_recording(
        self, entry: CallEntry, site: _Site, names: _Names, kept: Kept
    ) -> NewRecording:
        now = self._clock()
        duration_ms = round(_duration_s(entry, kept) * 1000)
        if entry.started_at is None:
            # A time made from the file's own says nothing about when late signals may come.
            started_at = UnixMillis(kept.changed_at - duration_ms)
            ready_at = min(kept.changed_at, now)
        else:
            started_at = entry.started_at
            # An exchange whose clock is ahead must not lock a finished recording for days.
            ready_at = UnixMillis(min(started_at + duration_ms, now) + site.settle_ms)
        return NewRecording(
            id=names.recording_id,
            datasource=entry.datasource,
            voicelocation=names.voicelocation,
            voicefilename=names.voicefilename,
            store_id=kept.store_id,
            object_key=kept.info.key,
            size_bytes=kept.info.size_bytes,
            sha256=kept.info.sha256,
            state=RecordingState.READY if kept.facts is not None else RecordingState.UNPLAYABLE,
            reason=kept.reason,
            facts=kept.facts,
            started_at=started_at,
            ready_at=ready_at,
            key_presses=site.key_presses,
            agent_channel=entry.agent_channel,
        )

    def _require_one_meaning(
        self, entry: CallEntry, call: NewCall, recording: NewRecording
    ) -> None:
        """Refuse a second entry of this run that says something else under the same names."""
        sha256, origin = self._sounds.setdefault(recording.id, (recording.sha256, entry.origin))
        if sha256 != recording.sha256:
            raise NotTaken(
                Result.SKIPPED, f"it has the names of {origin} but its sound is different"
            )
        self._require_one_call(entry, call)

    def _require_one_call(self, entry: CallEntry, call: NewCall) -> None:
        """Refuse a second record of this run that says something else about the same call."""
        said, origin = self._calls.setdefault(call.id, (hash((call, entry.spans)), entry.origin))
        if said != hash((call, entry.spans)):
            raise NotTaken(Result.SKIPPED, f"it has the names of {origin} but says something else")

    def _site(self, datasource: str) -> _Site:
        known = self._sites.get(datasource)
        if known is not None:
            return known
        with self._db.write() as conn:
            site = directory.ensure_datasource(conn, datasource)
        known = self._sites[datasource] = _Site(
            id=site.id,
            default_voicelocation=site.default_voicelocation or DEFAULT_VOICELOCATION,
            settle_ms=round(site.settle_s * 1000),
            key_presses=None if site.key_presses == key_presses.OFF else site.key_presses,
        )
        return known

    def _store_for(self, voicelocation: str) -> str:
        with self._db.read() as conn:
            return directory.store_of_voicelocation(conn, voicelocation)

    def _locate(self, voicelocation: str) -> None:
        if voicelocation not in self._locations:
            with self._db.write() as conn:
                directory.ensure_voicelocation(conn, voicelocation, DEFAULT_STORE)
            self._locations.add(voicelocation)

    def _refer(self, sound: SoundFile) -> None:
        if sound.in_place and sound.root not in self._roots:
            with self._db.write() as conn:
                directory.ensure_store(
                    conn, in_place_store_id(sound.root), sound.root.as_uri(), read_only=True
                )
            self._roots.add(sound.root)


def _source_key(entry: CallEntry, sha256: str) -> str:
    if entry.source_key is None:
        return SOUND_KEY + sha256
    return f"{entry.source_key}\n{sha256}" if entry.keyed_by_sound else entry.source_key


def _duration_s(entry: CallEntry, kept: Kept) -> float:
    if entry.duration_s is not None:
        return entry.duration_s
    return kept.facts.duration_s if kept.facts is not None else 0.0


def _new_call(
    entry: CallEntry,
    site: _Site,
    identity: CallId,
    *,
    started_at: UnixMillis,
    duration_s: float,
    recording: NewRecording | None = None,
) -> NewCall:
    location = name = None
    if recording is not None:
        location = entry.voicelocation or recording.voicelocation
        name = entry.voicefilename or recording.voicefilename
    return NewCall(
        id=identity,
        site_id=site.id,
        datasource=entry.datasource,
        voicelocation=location,
        voicefilename=name,
        recording_id=recording.id if recording is not None else None,
        started_at=started_at,
        duration_s=duration_s,
        direction=entry.direction,
        from_number=entry.from_number,
        to_number=entry.to_number,
        extension=entry.extension,
        channel=entry.channel,
        disposition=entry.disposition,
        linked_id=entry.linked_id,
        unique_id=entry.unique_id,
        caller_name=entry.caller_name,
        answered_at=entry.answered_at,
        clock_s=entry.clock_s,
    )
