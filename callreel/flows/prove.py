"""The proof that a recording is masked: what is served is decoded and held against its spans.

Each output is made twice, once with other speech below the masks. Equal bytes mean that nothing of
what is masked is in them, whatever the format; lossless outputs are compared sample by sample too.
Source: openings.md D3.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from callreel import __version__
from callreel.access.keys import KeyRing
from callreel.audio.evidence import Measured, ReadBack, measure, other_speech
from callreel.audio.fill import identity
from callreel.audio.formats import FORMATS
from callreel.audio.obfuscate import mask_for_output
from callreel.audio.rendered import RenderCache
from callreel.audio.virtual import VirtualFile
from callreel.db import audit, calls, masks
from callreel.db.database import Database
from callreel.errors import BadRequest, NotFound
from callreel.flows.sound import Sound
from callreel.model import (
    AudioSpec,
    Clock,
    OutputChannels,
    Recording,
    RecordingId,
    Scope,
    SourceFacts,
)
from callreel.spans import Mask, effective_spans, mask_of
from callreel.wire import iso_instant

LOSSLESS = frozenset({"wav", "flac"})
PROVEN = "masked"
"""The verdict of a report that proves what it should."""
WAIT_S = 86_400.0
"""How long a proof waits for a render; an hour of sound takes seconds."""


@dataclass(frozen=True, slots=True)
class Proof:
    """A report and whether it proves what it should."""

    document: Mapping[str, object]
    """JSON values; ``signature`` seals the rest."""
    proven: bool


class Prover:
    """Makes reports."""

    def __init__(self, db: Database, keys: KeyRing, sound: Sound, clock: Clock) -> None:
        self._db = db
        self._keys = keys
        self._sound = sound
        self._clock = clock

    def prove(self, recording_id: RecordingId, *, actor: str, with_hash: bool = False) -> Proof:
        """Decode what is served of a recording, in every format, and check each span.

        Args:
            recording_id: Which.
            actor: Who asks, for the audit log and the report.
            with_hash: Whether the report holds the plain SHA-256 of the stored bytes: only for the
                roles compliance, auditor and administrator, and never for what is passed on.

        Raises:
            NotFound: There is no such recording.
            RecordingDeleted, Unplayable, NotReady, Unavailable: It is not served, so there is
                nothing to prove.

        Cost: encodes every output once more than serving it does.
        """
        with self._db.read() as conn:
            recording = calls.find_recording(conn, Scope(everything=True), recording_id)
            if recording is None:
                raise NotFound("There is no such recording.")
            stored = masks.stored_spans(conn, recording_id)
        facts = self._sound.require_servable(recording)
        mask = mask_of(recording.spans, facts)
        with tempfile.TemporaryDirectory(prefix="callreel-proof-") as folder:
            outputs = [
                self._output(recording, facts, mask, spec, Path(folder) / str(number))
                for number, spec in enumerate(_specs(facts))
            ]
        proven = all(output["verdict"] == PROVEN for output in outputs)
        document: dict[str, object] = {
            "callreel": __version__,
            "made_at": iso_instant(self._clock()),
            "made_by": actor,
            "verdict": PROVEN if proven else "NOT PROVEN",
            "recording": {
                "id": recording.id,
                "datasource": recording.datasource,
                "voicelocation": recording.voicelocation,
                "voicefilename": recording.voicefilename,
                "codec": facts.codec,
                "rate_hz": facts.rate_hz,
                "channels": facts.channels,
                "frames": facts.frames,
                "duration_s": facts.duration_s,
                "content_version": recording.content_version,
                "mask_revision": recording.mask_revision,
                "fill": identity(recording.fill),
            },
            # To what came in, also where masks are burned in since.
            "source_commitment": recording.source_commitment
            or self._keys.commit_source(recording.sha256),
            "burned_in": recording.source_commitment is not None,
            "spans": [
                {
                    "id": each.id,
                    "start_s": each.span.start_s,
                    "end_s": masks.stored_end(each.span),
                    "channel": each.span.channel,
                    "cause": each.source.value,
                    "reason": each.reason,
                    "by": each.actor,
                    "at": iso_instant(each.created_at),
                    "signal_on": each.signal_on_id,
                    "signal_off": each.signal_off_id,
                }
                for each in stored
                if each.state == "active"
            ],
            "masked": [
                {"start_s": span.start_s, "end_s": span.end_s, "channel": span.channel}
                for span in effective_spans(mask, facts.rate_hz)
            ],
            "outputs": outputs,
        }
        if with_hash:
            document["source_sha256"] = recording.sha256
        document["signature"] = self._keys.sign_proof(_canonical(document))
        with self._db.write() as conn:
            audit.append(
                conn,
                audit.AuditEntry(
                    at=self._clock(),
                    actor=actor,
                    action="recording.prove",
                    object_id=recording_id,
                    decision="allowed",
                    detail={
                        "proven": proven,
                        "mask_revision": recording.mask_revision,
                        "signature": document["signature"],
                        "with_hash": with_hash,
                    },
                    address=None,
                ),
            )
        return Proof(document, proven)

    def _output(
        self,
        recording: Recording,
        facts: SourceFacts,
        mask: Mask,
        spec: AudioSpec,
        folder: Path,
    ) -> dict[str, object]:
        folder.mkdir()
        path = folder / f"served{FORMATS[spec.format].extensions[0]}"
        served = self._sound.open(recording, spec)
        try:
            size, digest = _written(served.file, path)
        finally:
            served.close()
        again = self._with_other_speech(recording, mask, spec, folder / "again")
        measured = self._measured(recording, facts, mask, spec, path)
        exact = measured.same_outside is not False and measured.fill_inside is not False
        return {
            "format": spec.format,
            "channel": spec.channels.value,
            "size_bytes": size,
            "sha256": digest,
            "etag": served.etag,
            "same_with_other_speech": again == digest,
            "unmasked_samples_are_the_source": measured.same_outside,
            "masked_samples_are_the_fill": measured.fill_inside,
            "rate_hz": measured.rate_hz,
            "frames": measured.frames,
            "outside_dbfs": measured.outside_dbfs,
            "spans": [asdict(level) for level in measured.spans],
            "verdict": PROVEN if again == digest and exact else "NOT PROVEN",
        }

    def _with_other_speech(
        self, recording: Recording, mask: Mask, spec: AudioSpec, scratch: Path
    ) -> str:
        cache = RenderCache(scratch, limit_bytes=1 << 62, wait_s=WAIT_S)
        try:
            file = self._sound.open_again(
                recording, spec, lambda source: other_speech(source, mask), cache
            )
            try:
                digest = hashlib.sha256()
                for data in _bytes_of(file):
                    digest.update(data)
            finally:
                file.close()
        finally:
            cache.close()
        return digest.hexdigest()

    def _measured(
        self, recording: Recording, facts: SourceFacts, mask: Mask, spec: AudioSpec, path: Path
    ) -> Measured:
        lossless = spec.format in LOSSLESS and spec.channels is OutputChannels.BOTH
        fill = recording.fill if lossless else None
        heard = ReadBack(path, path.parent, facts)
        try:
            source = self._sound.open_source(recording, facts)
            try:
                return measure(heard, source, fill, _mask_of_output(mask, spec.channels))
            finally:
                source.close()
        finally:
            heard.close()


def check(document: Mapping[str, object], keys: KeyRing) -> None:
    """Return if a report is one that this installation made, unchanged.

    Raises:
        BadRequest: It is not.
    """
    rest = {name: value for name, value in document.items() if name != "signature"}
    if document.get("signature") != keys.sign_proof(_canonical(rest)):
        raise BadRequest("This report was changed, or another installation made it.")


def _specs(facts: SourceFacts) -> Iterator[AudioSpec]:
    """Every format with all channels, and every choice of channels in the plainest format."""
    for chosen in FORMATS.values():
        if chosen.is_installed():
            yield AudioSpec(chosen.name)
    if facts.channels == 2:
        for channels in (OutputChannels.LEFT, OutputChannels.RIGHT, OutputChannels.MIX):
            yield AudioSpec("wav", channels)


def _mask_of_output(mask: Mask, chosen: OutputChannels) -> Mask:
    wide = mask_for_output(mask, chosen)
    if len(wide.channels) == 1 or chosen is OutputChannels.BOTH:
        return wide
    return Mask((wide.channels[1 if chosen is OutputChannels.RIGHT else 0],))


def _bytes_of(file: VirtualFile) -> Iterator[bytes]:
    for part in file.parts(0, file.size):
        yield part.data


def _written(file: VirtualFile, path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    with path.open("xb") as out:
        for data in _bytes_of(file):
            digest.update(data)
            out.write(data)
    return file.size, digest.hexdigest()


def _canonical(document: Mapping[str, object]) -> str:
    return json.dumps(document, sort_keys=True, separators=(",", ":"))
