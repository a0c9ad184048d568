"""From a recording row to masked sound: the checks and the assembly that issue and deliver share.

Everything that can refuse does so here, before a first byte: state, settle time, the seal over the
mask, the store, the source. What comes out is a virtual file made by the obfuscator's side.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from callreel.access.keys import KeyRing
from callreel.audio.blocks import RawBlock, StoredBytes
from callreel.audio.fill import identity
from callreel.audio.formats import FORMATS
from callreel.audio.masked import MaskedSound, SafeSound
from callreel.audio.peaks import PEAKS
from callreel.audio.pipeline import (
    Identity,
    encoder_version,
    open_output,
    open_peaks,
    output_size,
)
from callreel.audio.rendered import RenderCache
from callreel.audio.sources import Source, StoredSource, is_placed, is_stored, open_source
from callreel.audio.virtual import VirtualFile
from callreel.errors import CallreelError, NotReady, RecordingDeleted, Unavailable, Unplayable
from callreel.model import (
    AudioSpec,
    Clock,
    Fill,
    OutputChannels,
    Recording,
    RecordingId,
    RecordingState,
    SourceFacts,
    Span,
)
from callreel.spans import effective_spans, mask_of
from callreel.store.base import Handle, ObjectMissing, ObjectUnreadable, Store
from callreel.wording import to_translate

_CHUNK_BYTES = 1 << 20
_REMEMBERED = 65_536


@dataclass(frozen=True, slots=True)
class OpenSound:
    """One output of one recording at one mask revision, open; must be closed."""

    file: VirtualFile
    etag: str
    """Quoted, strong, the same for the same bytes."""
    close: Callable[[], None]


class Sound:
    """Turns recordings into outputs."""

    def __init__(
        self,
        keys: KeyRing,
        store_of: Callable[[str], Store],
        cache: RenderCache,
        clock: Clock,
    ) -> None:
        self._keys = keys
        self._store_of = store_of
        self._cache = cache
        self._clock = clock
        self._hashed: dict[RecordingId, tuple[str, int]] = {}

    def require_servable(self, recording: Recording) -> SourceFacts:
        """What is known of its sound, if it may be served now.

        Raises:
            RecordingDeleted: Deleted by retention.
            Unplayable: It could not be decoded at ingest; the reason is the one found there.
            NotReady: The call still runs, or its settle time does, or nobody has listened yet for
                keys that its site masks.
            Unavailable: Its mask does not fit its seal, so nobody knows what must not be heard.
        """
        if recording.state is RecordingState.DELETED:
            raise RecordingDeleted(to_translate("The recording was deleted by retention."))
        facts = recording.facts
        if recording.state is RecordingState.UNPLAYABLE or facts is None:
            raise Unplayable(recording.reason or to_translate("The stored file cannot be decoded."))
        wait_ms = recording.ready_at - self._clock()
        if wait_ms > 0:
            raise NotReady(
                to_translate("The call is still running, or ended only just now."),
                retry_after_s=-(-wait_ms // 1000),
            )
        if recording.awaits_keys:
            raise NotReady(
                to_translate("Pressed keys are still being looked for."), retry_after_s=10
            )
        self._require_sealed(recording)
        return facts

    def _require_sealed(self, recording: Recording) -> None:
        seal = self._keys.seal_mask(recording.id, recording.mask_revision, recording.spans)
        if seal != recording.mask_seal:
            raise Unavailable(
                to_translate(
                    "What is masked in this recording cannot be read; an administrator must look."
                ),
                retry_after_s=60,
                recording_id=recording.id,
                why="the spans do not fit their seal",
            )

    def shown_spans(self, recording: Recording, facts: SourceFacts) -> tuple[Span, ...]:
        """The effective list, as everybody sees it."""
        return effective_spans(mask_of(recording.spans, facts), facts.rate_hz)

    def etag(self, recording: Recording, spec: AudioSpec) -> str:
        """The entity tag of an output; needs no sound. Source: contract.md 3.4."""
        return self._keys.etag(
            recording.id,
            recording.content_version,
            recording.mask_revision,
            spec.format,
            spec.channels.value,
            encoder_version(spec.format),
            identity(recording.fill),
        )

    def known_size(self, recording: Recording, spec: AudioSpec) -> int | None:
        """The size of an output where arithmetic or a finished render tells it; never encodes."""
        facts = self.require_servable(recording)
        return self.size_of(recording, facts, spec)

    def open(self, recording: Recording, spec: AudioSpec) -> OpenSound:
        """Open an output; waits for the render where the format has no arithmetic size.

        Raises:
            FormatNeedsExtra: The format's library is not installed.
            Unavailable: The store or the render is not there yet.
            Unplayable: The stored bytes are not what was found at ingest.
            RecordingDeleted, NotReady: As ``require_servable``.
        """
        facts = self.require_servable(recording)
        file = open_output(
            lambda: self.open_source(recording, facts),
            facts,
            recording.spans,
            spec,
            fill=recording.fill,
            cache=self._cache,
            identity=self._identity(recording, spec),
        )
        return OpenSound(file, self.etag(recording, spec), file.close)

    def open_again(
        self,
        recording: Recording,
        spec: AudioSpec,
        change: Callable[[Source], Source],
        cache: RenderCache,
    ) -> VirtualFile:
        """An output made anew from a changed source, through the same masks.

        For ``flows/prove.py``: what comes out has gone through the obfuscator like everything else.

        Args:
            recording: As ``open``.
            spec: As ``open``.
            change: What the obfuscator is given instead of the source.
            cache: One that nobody is served from.

        Raises:
            As ``open``.
        """
        facts = self.require_servable(recording)
        return open_output(
            lambda: change(self.open_source(recording, facts)),
            facts,
            recording.spans,
            spec,
            fill=recording.fill,
            cache=cache,
            identity=self._identity(recording, spec),
        )

    def open_peaks(self, recording: Recording) -> VirtualFile:
        """Open the peaks of what is served, for ``peaks.read_points``; waits until they are made.

        Raises:
            RecordingDeleted, NotReady, Unavailable, Unplayable: As ``open``.
        """
        facts = self.require_servable(recording)
        return open_peaks(
            lambda: self.open_source(recording, facts),
            facts,
            recording.spans,
            fill=recording.fill,
            cache=self._cache,
            identity=self._identity(recording, PEAKS),
        )

    @contextmanager
    def silenced(self, recording: Recording) -> Iterator[SafeSound]:
        """Both channels with silence where they are masked: for what listens for something in them.

        Other than what is served, it needs no settle time: the mask of now is enough.

        Raises:
            Unplayable, Unavailable: As ``open``.
        """
        facts = recording.facts
        if facts is None:
            raise Unplayable(recording.reason or to_translate("The stored file cannot be decoded."))
        self._require_sealed(recording)
        mask = mask_of(recording.spans, facts)
        source = self.open_source(recording, facts)
        try:
            yield MaskedSound(source, mask, OutputChannels.BOTH, Fill("silence"))
        finally:
            source.close()

    def open_source(self, recording: Recording, facts: SourceFacts) -> Source:
        """The recording's sound, unmasked, open; closing it closes the stored object too.

        Only ``flows/prove.py`` calls it from outside, to compare; a test counts who does.

        Not closed by a request that gave up: a render that goes on in the background has its own.
        """
        try:
            store = self._store_of(recording.store_id)
            handle = store.open(recording.object_key)
        except ObjectMissing:
            raise Unavailable(
                to_translate("The recording is not in its store now."),
                retry_after_s=60,
                recording_id=recording.id,
                why="object missing",
            ) from None
        except ObjectUnreadable as error:
            raise _store_away(error) from error
        try:
            self._require_same_bytes(recording, store, handle)
            mask = mask_of(recording.spans, facts)
            return _held(open_source(handle, facts, mask), handle)
        except ObjectUnreadable as error:
            handle.close()
            raise _store_away(error) from error
        except BaseException:
            handle.close()
            raise

    def _require_same_bytes(self, recording: Recording, store: Store, handle: Handle) -> None:
        """Refuse bytes that are not the imported ones: their spans would lie elsewhere.

        What is ours is written once, so its size is enough. A file that is referred to in place is
        somebody else's: it is hashed when it was written since it was last looked at.
        """
        same = handle.size == recording.size_bytes
        if same and store.read_only:
            seen = (recording.sha256, handle.stamp)
            if self._hashed.get(recording.id) != seen:
                same = _sha256(handle) == recording.sha256
                if len(self._hashed) >= _REMEMBERED:
                    self._hashed.clear()
                if same:
                    self._hashed[recording.id] = seen
        if not same:
            raise Unavailable(
                to_translate("The stored file changed since it was imported; import it again."),
                retry_after_s=60,
                recording_id=recording.id,
                why="size or hash differs",
            )

    def size_of(self, recording: Recording, facts: SourceFacts, spec: AudioSpec) -> int | None:
        """The same of a recording that is servable."""
        if FORMATS[spec.format].size_known:
            return output_size(facts, spec)
        return self._cache.size_if_ready(self._identity(recording, spec).whole)

    def forget_outdated(self, recording: Recording) -> None:
        """Drop what was made of a recording under another mask, or of other bytes than it has."""
        try:
            mask = mask_of(recording.spans, self.require_servable(recording))
        except CallreelError:
            self._cache.forget(recording.id)
            return
        source = _source_of(recording)
        self._cache.forget(recording.id, lambda origin: origin.is_true_of(source, mask))

    def _identity(self, recording: Recording, spec: AudioSpec) -> Identity:
        made_by = f"{encoder_version(spec.format)} {identity(recording.fill)}"
        version = hashlib.sha256(made_by.encode()).hexdigest()[:12]
        return Identity(
            source=_source_of(recording),
            mask_revision=recording.mask_revision,
            output=f"{spec.format}-{spec.channels.value}-{version}",
        )


def _source_of(recording: Recording) -> str:
    return f"{recording.id}/{recording.content_version}"


def _store_away(error: ObjectUnreadable) -> Unavailable:
    return Unavailable(
        to_translate("The recording's store cannot be read now."), retry_after_s=10, why=str(error)
    )


def _sha256(handle: Handle) -> str:
    digest = hashlib.sha256()
    for offset in range(0, handle.size, _CHUNK_BYTES):
        digest.update(handle.read_at(offset, _CHUNK_BYTES))
    return digest.hexdigest()


def _held(source: Source, handle: Handle) -> Source:
    if is_stored(source):
        return _HeldStored(source, handle)
    return _Held(source, handle)


class _Held:
    """A source that owns the stored object it reads."""

    def __init__(self, source: Source, handle: Handle) -> None:
        self._source = source
        self._handle = handle
        self.facts = source.facts

    def read(self, start: int, count: int) -> RawBlock:
        """As ``Source.read``.

        Raises:
            Unavailable: The store failed while it was being read.
        """
        try:
            return self._source.read(start, count)
        except ObjectUnreadable as error:
            raise _store_away(error) from error

    def close(self) -> None:
        """Close both."""
        try:
            self._source.close()
        finally:
            self._handle.close()


class _HeldStored(_Held):
    """The same where every frame has its own bytes."""

    def __init__(self, source: StoredSource, handle: Handle) -> None:
        super().__init__(source, handle)
        self._stored = source.stored
        self.place = source.place if is_placed(source) else None
        """As ``PlacedSource.place``."""

    def stored(self, start: int, count: int) -> StoredBytes:
        """As ``StoredSource.stored``; raises as ``read`` does."""
        try:
            return self._stored(start, count)
        except ObjectUnreadable as error:
            raise _store_away(error) from error
