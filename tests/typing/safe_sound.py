"""Wirings that would let unmasked sound out. Every marked line must be refused by mypy.

``test_typing.py`` runs mypy over this file: where a line became acceptable, its mark is unused, and
that is an error. The file is never run.
"""

from __future__ import annotations

from pathlib import Path

from callreel.audio.blocks import RawBlock, SafeBlock, SafeBytes, SafeExtents, Samples, StoredBytes
from callreel.audio.encoders.flac import write_flac
from callreel.audio.encoders.mp3 import Mp3Segments
from callreel.audio.encoders.opus import OpusSegments
from callreel.audio.encoders.wav import WavSegments
from callreel.audio.masked import MaskedSound, SafeSound
from callreel.audio.obfuscate import clear_extents, derive, join, obfuscate, select_channels
from callreel.audio.peaks import write_peaks
from callreel.audio.resample import at_rate
from callreel.audio.virtual import Part
from callreel.model import OutputChannels, SourceFacts
from callreel.spans import Mask


class RawSource:
    """A source as decoders give it: its ``read`` gives unmasked blocks."""

    facts: SourceFacts
    rate_hz: int
    channels: int
    frames: int

    def read(self, start: int, count: int) -> RawBlock:
        """Unmasked sound."""
        raise NotImplementedError

    def close(self) -> None:
        """Nothing."""


def stored_bytes(start: int, count: int) -> StoredBytes:
    """What a recording holds, unmasked."""
    raise NotImplementedError


def refused(
    source: RawSource, raw: RawBlock, data: bytes, mask: Mask, path: Path, sound: SafeSound
) -> None:
    """No encoder takes a source, nothing takes a raw block for a safe one."""
    Mp3Segments(source)  # type: ignore[arg-type]
    OpusSegments(source, 1)  # type: ignore[arg-type]
    WavSegments("wav", source)  # type: ignore[arg-type]
    write_flac(source, path, lambda: None)  # type: ignore[arg-type]
    write_peaks(source, path, lambda: None)  # type: ignore[arg-type]
    write_peaks(sound, path, lambda: None, stored_bytes)  # type: ignore[arg-type]
    at_rate(source, 8000)  # type: ignore[arg-type]
    select_channels(raw, OutputChannels.MIX)  # type: ignore[arg-type]
    join([raw])  # type: ignore[list-item]
    derive(raw, lambda samples: samples)  # type: ignore[arg-type]
    obfuscate(raw, 0)  # type: ignore[call-arg]
    MaskedSound(source)  # type: ignore[call-arg]
    Part(data, 1.0)  # type: ignore[arg-type]
    SafeBlock(raw.samples, 8000)  # type: ignore[call-arg]
    SafeExtents((), stored_bytes)  # type: ignore[call-arg]
    Part(stored_bytes(0, 8), 1.0)  # type: ignore[arg-type]
    WavSegments("wav", sound, stored_bytes)  # type: ignore[arg-type]
    clear_extents(stored_bytes)  # type: ignore[call-arg, arg-type]
    safe: SafeBlock = raw  # type: ignore[assignment]
    sent: SafeBytes = data  # type: ignore[assignment]
    del safe, sent


def accepted(source: RawSource, mask: Mask, samples: Samples, path: Path) -> Part:
    """The one way out, so that what is refused above is refused for the right reason."""
    sound = MaskedSound(source, mask, OutputChannels.BOTH)
    Mp3Segments(at_rate(sound, 8000))
    OpusSegments(sound, 1)
    WavSegments("wav", sound, clear_extents(mask, stored_bytes))
    write_peaks(sound, path, lambda: None, clear_extents(mask, stored_bytes))
    block = select_channels(obfuscate(RawBlock(samples, 8000), 0, mask), OutputChannels.MIX)
    return Part(SafeBytes(derive(join([block]), lambda it: it).samples.tobytes()), 1.0)
