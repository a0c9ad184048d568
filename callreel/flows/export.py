"""Recordings are exported to a folder: masked, whole, resumable, each with its proof.

What is written is what would be served; nothing here opens unmasked sound. The audit row is durable
before a byte of a recording is. Source: openings.md D7, threats.md T26.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from callreel.audio.formats import FORMATS
from callreel.db import audit, calls
from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.db.search import search_calls
from callreel.errors import CallreelError, NotFound, Unavailable
from callreel.flows.manifest import Item, Manifest, fresh, proofs_of, replace
from callreel.flows.proof_page import page
from callreel.flows.prove import Prover
from callreel.flows.sound import Sound
from callreel.model import AudioSpec, Call, Clock, Recording, RecordingId, Scope
from callreel.wire import iso_instant

TRIES = 3
"""How often a recording is written anew because its mask changed meanwhile."""
_PAGE = 500
_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_EVERYTHING = Scope(everything=True)


@dataclass(frozen=True, slots=True)
class ExportOrder:
    """How recordings are wanted."""

    spec: AudioSpec
    with_proof: bool
    actor: str
    """Who exports, for the audit log and the proofs."""


@dataclass(frozen=True, slots=True)
class Size:
    """What an export would be."""

    recordings: int
    bytes: int
    """Of those whose size is known before they are made."""
    unknown: int
    """How many have no such size."""
    refused: int
    """How many would not be served."""


class Exporter:
    """Writes recordings to folders.

    Args:
        db: Where recordings are kept.
        sound: Makes the masked sound.
        prover: Makes the proofs.
        clock: What time it is.
        forget_renders: Erases the renders that were made for a recording.
    """

    def __init__(
        self,
        db: Database,
        sound: Sound,
        prover: Prover,
        clock: Clock,
        forget_renders: Callable[[RecordingId], None],
    ) -> None:
        self._db = db
        self._sound = sound
        self._prover = prover
        self._clock = clock
        self._forget_renders = forget_renders

    def recordings_of(self, wanted: CallFilter) -> Iterator[RecordingId]:
        """The recordings of the calls that a filter finds, each once, newest call first.

        Raises:
            Unavailable: The database is away.
        """
        seen: set[RecordingId] = set()
        cursor: str | None = None
        while True:
            with self._db.read() as conn:
                found = search_calls(conn, _EVERYTHING, wanted, _PAGE, cursor)
            for call in found.items:
                if call.recording_id is not None and call.recording_id not in seen:
                    seen.add(call.recording_id)
                    yield call.recording_id
            cursor = found.next
            if cursor is None:
                return

    def size(self, recording_ids: Iterator[RecordingId], spec: AudioSpec) -> Size:
        """How much an export would be; makes nothing."""
        count = total = unknown = refused = 0
        for recording_id in recording_ids:
            count += 1
            try:
                with self._db.read() as conn:
                    recording = _find(calls.find_recording(conn, _EVERYTHING, recording_id))
                size = self._sound.known_size(recording, spec)
            except CallreelError:
                refused += 1
                continue
            unknown += size is None
            total += size or 0
        return Size(count, total, unknown, refused)

    def export(
        self, recording_id: RecordingId, order: ExportOrder, folder: Path, manifest: Manifest
    ) -> Item:
        """Write one recording, unless it is there already as it would be written now.

        Args:
            recording_id: Which.
            order: How.
            folder: Where; it exists.
            manifest: Of that folder; gets the item.

        Returns:
            The item; its ``error`` says why there is no file.

        Raises:
            NotFound: This cannot be an id.
            Unavailable: The database is away: no other recording can be exported either.
            OSError: The folder cannot be written.
        """
        if not _NAME.fullmatch(recording_id):
            # It becomes part of names of files.
            raise NotFound(f"{recording_id[:80]!r} is not the id of a recording.")
        try:
            item = self._current(recording_id, order, folder, manifest)
            if item is not None:
                if item != manifest.find(recording_id):
                    manifest.add(item)
                return item
            item = self._written(recording_id, order, folder)
        except CallreelError as error:
            if not self._db.is_writable():
                raise Unavailable("The database is away; run it again later.") from error
            _discard(folder, recording_id)
            item = {
                "recording_id": recording_id,
                "file": None,
                "started_at": "",
                "error": f"{error.code}: {error.message}",
            }
        finally:
            self._forget_renders(recording_id)
        manifest.add(item)
        return item

    def _current(
        self, recording_id: RecordingId, order: ExportOrder, folder: Path, manifest: Manifest
    ) -> Item | None:
        """The item of a file that is there and is what would be written, with the calls of now."""
        known = manifest.find(recording_id)
        if known is None or not isinstance(known.get("file"), str):
            return None
        with self._db.read() as conn:
            recording = _find(calls.find_recording(conn, _EVERYTHING, recording_id))
            sharing = calls.calls_of(conn, _EVERYTHING, recording_id)
        self._sound.require_servable(recording)
        same = known.get("etag") == self._sound.etag(recording, order.spec)
        with_proof = (known.get("proof") is not None) == order.with_proof
        if not (same and with_proof):
            return None
        names = {str(known["file"]): known.get("sha256"), **proofs_of(known)}
        if len(names) != (3 if order.with_proof else 1):
            return None
        try:
            whole = all(_sha256(folder / name) == digest for name, digest in names.items())
        except OSError:
            return None
        return {**known, **_calls(sharing)} if whole else None

    def _written(self, recording_id: RecordingId, order: ExportOrder, folder: Path) -> Item:
        for _ in range(TRIES):
            with self._db.read() as conn:
                recording = _find(calls.find_recording(conn, _EVERYTHING, recording_id))
                sharing = calls.calls_of(conn, _EVERYTHING, recording_id)
            proofs = self._proof(recording, order, folder) if order.with_proof else {}
            path = folder / f"call-{recording_id}{FORMATS[order.spec.format].extensions[0]}"
            beside = folder / f"call-{recording_id}.part"
            try:
                count, digest = self._write(recording, order, beside)
                with self._db.read() as conn:
                    revision = calls.mask_revision(conn, recording_id)
                if revision == recording.mask_revision:
                    _discard(folder, recording_id, but={*proofs, beside.name})
                    beside.replace(path)
                    _sync(folder)
                    return self._item(recording, sharing, order, path.name, count, digest, proofs)
            finally:
                with suppress(FileNotFoundError):
                    beside.unlink()
        raise Unavailable("The mask of this recording changes all the time; try again later.")

    def _write(self, recording: Recording, order: ExportOrder, path: Path) -> tuple[int, str]:
        """Write the sound durably; gives its size and hash."""
        opened = self._sound.open(recording, order.spec)
        try:
            self._record(recording, order)
            digest = hashlib.sha256()
            with fresh(path) as file:
                for part in opened.file.parts(0, opened.file.size):
                    file.write(part.data)
                    digest.update(part.data)
                file.flush()
                os.fsync(file.fileno())
        finally:
            opened.close()
        return opened.file.size, digest.hexdigest()

    def _record(self, recording: Recording, order: ExportOrder) -> None:
        detail = {
            "format": order.spec.format,
            "channel": order.spec.channels.value,
            "mask_revision": recording.mask_revision,
        }
        entry = audit.AuditEntry(
            at=self._clock(),
            actor=order.actor,
            action="recording.export",
            object_id=recording.id,
            decision="allowed",
            detail=detail,
            address=None,
        )
        with self._db.write() as conn:
            audit.append(conn, entry)

    def _proof(self, recording: Recording, order: ExportOrder, folder: Path) -> dict[str, str]:
        """Write the proof; gives its files, the one for programs first, with their hashes.

        Raises:
            Unavailable: It does not prove what it should, so nothing is exported.
        """
        proof = self._prover.prove(recording.id, actor=order.actor)
        if not proof.proven:
            raise Unavailable("It could not be proven that it is masked.")
        files = {
            f"proof-{recording.id}.json": json.dumps(proof.document, indent=1) + "\n",
            f"proof-{recording.id}.html": page(proof.document),
        }
        for name, text in files.items():
            replace(folder / name, text.encode())
        return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}

    def _item(
        self,
        recording: Recording,
        sharing: tuple[Call, ...],
        order: ExportOrder,
        file: str,
        count: int,
        digest: str,
        proofs: Mapping[str, str],
    ) -> Item:
        facts = self._sound.require_servable(recording)
        return {
            "recording_id": recording.id,
            "file": file,
            "format": order.spec.format,
            "channel": order.spec.channels.value,
            "bytes": count,
            "sha256": digest,
            "etag": self._sound.etag(recording, order.spec),
            "duration_s": facts.duration_s,
            "mask_revision": recording.mask_revision,
            "masked_spans": [
                {"start_s": span.start_s, "end_s": span.end_s, "channel": span.channel}
                for span in self._sound.shown_spans(recording, facts)
            ],
            "proof": next(iter(proofs), None),
            "proofs": dict(proofs),
            "error": None,
            **_calls(sharing),
        }


def _calls(sharing: Iterable[Call]) -> dict[str, object]:
    """What an item tells of the calls of its recording, oldest first."""
    told = [
        {
            "id": call.id,
            "started_at": iso_instant(call.started_at),
            "direction": call.direction.value,
            "from": call.from_number,
            "to": call.to_number,
            "extension": call.extension,
        }
        for call in sharing
    ]
    return {"calls": told, "started_at": told[0]["started_at"] if told else ""}


def _find(recording: Recording | None) -> Recording:
    if recording is None:
        raise NotFound("There is no such recording.")
    return recording


def _discard(
    folder: Path, recording_id: RecordingId, *, but: Collection[str] = frozenset()
) -> None:
    """Remove what an earlier run wrote of a recording: it may hold what is masked now."""
    for pattern in (f"call-{recording_id}.*", f"proof-{recording_id}.*"):
        for path in folder.glob(pattern):
            if path.name not in but:
                path.unlink()


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
