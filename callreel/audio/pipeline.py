"""From a source, its spans and a choice of output to a virtual file.

The order is fixed here: mask on frames, obfuscate, select channels, resample, encode.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from callreel.audio.blocks import SafeExtents
from callreel.audio.encoders import ffmpeg, flac, lame, libopus, mp3, opus, wav
from callreel.audio.encoders.mp3 import Mp3Segments
from callreel.audio.encoders.opus import OpusSegments
from callreel.audio.formats import FORMATS, require_available
from callreel.audio.masked import MaskedSound, SafeSound, output_channels
from callreel.audio.obfuscate import clear_extents
from callreel.audio.peaks import PEAKS, write_peaks
from callreel.audio.peaks import REVISION as PEAKS_REVISION
from callreel.audio.rendered import RenderCache, Tick
from callreel.audio.resample import VERSION as SOXR_VERSION
from callreel.audio.resample import at_rate, made_from, next_rate, resampled_frames
from callreel.audio.shared import KeptSegments, Name, Origin
from callreel.audio.sources import Source, is_placed, is_stored
from callreel.audio.virtual import SegmentedFile, VirtualFile
from callreel.errors import Unplayable
from callreel.model import DEFAULT_FILL, AudioSpec, Fill, SourceFacts, Span
from callreel.spans import Mask, mask_of
from callreel.wording import to_translate

_RATES = {
    "mp3": mp3.RATES,
    "opus": opus.RATES,
    "m4a": ffmpeg.AAC_RATES,
    "webm": ffmpeg.OPUS_RATES,
}
"""Rates that an encoder has; the others keep the source's."""
_WRITERS = {"flac": flac.write_flac, "m4a": ffmpeg.write_m4a, "webm": ffmpeg.write_webm}


@dataclass(frozen=True, slots=True)
class Identity:
    """Names everything that the bytes of an output depend on."""

    source: str
    """The recording's id, a slash, and the version of its bytes."""
    mask_revision: int
    output: str
    """Format, channels, fill, and what encodes it."""

    @property
    def whole(self) -> str:
        """All of it."""
        return f"{self.source}-{self.mask_revision}-{self.output}"


def open_output(
    open_source: Callable[[], Source],
    facts: SourceFacts,
    spans: Sequence[Span],
    spec: AudioSpec,
    *,
    fill: Fill = DEFAULT_FILL,
    cache: RenderCache,
    identity: Identity,
) -> VirtualFile:
    """Open one output of one recording.

    Args:
        open_source: Opens the source. Whoever called it closes the source: the virtual file, or
            the render, which may go on after its caller was sent away.
        facts: Of that source, as found at ingest.
        spans: As stored; made effective here.
        spec: Format and channels.
        fill: What is written over what is masked.
        cache: For the formats that are rendered whole, and for segments that cost an encoder.
        identity: Names everything that the bytes depend on.

    Raises:
        FormatNeedsExtra: The format's library is not installed.
        BadRequest: The recording is too long for the format.
        Unavailable: The render is not done, and goes on; or the source cannot be read.
        Unplayable: The source is not what was found at ingest; or there is no sound in it, in a
            format that has no file without sound.
    """
    require_available(spec.format)
    mask = mask_of(spans, facts)
    if FORMATS[spec.format].size_known:
        source = open_source()
        try:
            sound = _sound(source, facts, mask, spec, fill)
            if spec.format in wav.NAMES:
                clear = _clear(source, facts, mask, spec)
                keep = partial(cache.prepared.get, identity.whole)
                segments = wav.WavSegments(spec.format, sound, clear, keep)
                return SegmentedFile(segments, source.close, segments.extents)
            return _kept(
                _encoded(sound, spec.format, identity), source, mask, spec, identity, cache
            )
        except BaseException:
            source.close()
            raise
    if facts.frames == 0:
        raise Unplayable(to_translate("There is no sound in this recording."))
    writer = _WRITERS[spec.format]

    def render(path: Path, tick: Tick) -> list[int]:
        source = open_source()
        try:
            return writer(_sound(source, facts, mask, spec, fill), path, tick)
        finally:
            source.close()

    return cache.get(identity.whole, render)


def open_peaks(
    open_source: Callable[[], Source],
    facts: SourceFacts,
    spans: Sequence[Span],
    *,
    fill: Fill,
    cache: RenderCache,
    identity: Identity,
) -> VirtualFile:
    """Open the peaks of one recording for ``peaks.read_points``, rendered now if they are not kept.

    Args and Raises: as ``open_output``; a recording without sound has peaks, though none in number.
    """
    mask = mask_of(spans, facts)

    def render(path: Path, tick: Tick) -> list[int]:
        source = open_source()
        try:
            sound = _sound(source, facts, mask, PEAKS, fill)
            stored = source.stored if is_stored(source) else None
            clear = None if stored is None else clear_extents(mask, stored)
            return write_peaks(sound, path, tick, clear, facts.codec)
        finally:
            source.close()

    return cache.get(identity.whole, render)


def output_size(facts: SourceFacts, spec: AudioSpec) -> int:
    """Bytes of an output of known size, by arithmetic.

    Raises:
        BadRequest: The recording is too long for the format.
        ValueError: The format has no arithmetic size.
    """
    channels = output_channels(facts, spec.channels)
    rate = _rate(facts.rate_hz, spec.format)
    frames = resampled_frames(facts.frames, facts.rate_hz, rate)
    if spec.format == "mp3":
        return mp3.mp3_size(rate, frames, channels)
    if spec.format == "opus":
        return opus.opus_size(rate, frames, channels)
    if spec.format not in wav.NAMES:
        raise ValueError(f"{spec.format} has no size before it is made")
    return wav.wav_size(spec.format, frames, channels)


def encoder_version(name: str) -> str:
    """What encodes a format: our revision and the libraries; the bytes may change with any of them.

    Raises:
        FormatNeedsExtra: The format's library is not installed.
    """
    if name in wav.NAMES:
        return wav.REVISION
    if name == PEAKS.format:
        return PEAKS_REVISION
    if name == "flac":
        return f"{flac.REVISION} {flac.version()}"
    if name == "mp3":
        return f"{mp3.REVISION} lame {lame.version()} {SOXR_VERSION}"
    if name == "opus":
        return f"{opus.REVISION} {libopus.version()} {SOXR_VERSION}"
    return f"{ffmpeg.REVISION} {ffmpeg.version()} {SOXR_VERSION}"


def _rate(rate_hz: int, name: str) -> int:
    rates = _RATES.get(name)
    return rate_hz if rates is None else next_rate(rate_hz, rates)


def _sound(
    source: Source, facts: SourceFacts, mask: Mask, spec: AudioSpec, fill: Fill
) -> SafeSound:
    if source.facts != facts:
        raise AssertionError("a source with other facts than the recording's")
    masked = MaskedSound(source, mask, spec.channels, fill)
    return at_rate(masked, _rate(facts.rate_hz, spec.format))


def _clear(source: Source, facts: SourceFacts, mask: Mask, spec: AudioSpec) -> SafeExtents | None:
    """What needs no decoding, where the output has the source's own encoding and channels."""
    same = (
        wav.CODECS.get(spec.format) == facts.codec
        and output_channels(facts, spec.channels) == facts.channels
    )
    if not same or not is_stored(source):
        return None
    place = source.place if is_placed(source) else None
    return clear_extents(mask, source.stored, place)


def _encoded(sound: SafeSound, name: str, identity: Identity) -> Mp3Segments | OpusSegments:
    if name == "mp3":
        return Mp3Segments(sound)
    serial = int.from_bytes(hashlib.sha256(identity.whole.encode()).digest()[:4], "little")
    return OpusSegments(sound, serial)


def _kept(  # what decides the bytes
    segments: Mp3Segments | OpusSegments,
    source: Source,
    mask: Mask,
    spec: AudioSpec,
    identity: Identity,
    cache: RenderCache,
) -> SegmentedFile:
    """A file of segments that are encoded once for all who read them, and kept."""
    rate_hz = source.facts.rate_hz
    # A decoder with a memory is not given what is masked, so that its sound elsewhere may depend
    # on every mask. A page of Opus bears the serial number of the whole.
    is_local = isinstance(segments, Mp3Segments) and is_stored(source)

    def name_of(index: int) -> Name:
        if not (is_local and isinstance(segments, Mp3Segments)):
            return Name(f"{identity.whole}-{index}", None)
        encoded = segments.made_from(index)
        frames = made_from(encoded, rate_hz, _rate(rate_hz, spec.format))
        origin = Origin.of(identity.source, mask, frames)
        return Name(f"{identity.source}/{identity.output}-{index}-{origin.masked}", origin)

    kept = KeptSegments(segments, cache.segments, name_of)

    def close() -> None:
        # Others may be reading what was begun here.
        kept.leave()
        source.close()

    return SegmentedFile(kept, close)
