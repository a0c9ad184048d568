"""What is needed to prove that a mask holds: other speech under it, and what was sent read back.

The strongest evidence needs no threshold. An output is made a second time from a source whose
masked samples are something else; where both have the same bytes, nothing of what was masked is in
them, in any format. Levels are measured besides, for people. Source: threats.md T13.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from callreel.audio.blocks import RawBlock, StoredBytes
from callreel.audio.decoders.ffmpeg import decode_to_pcm
from callreel.audio.fill import stretch
from callreel.audio.probe import probe
from callreel.audio.resample import resampled_frames
from callreel.audio.sources import Source, StoredSource, is_stored, open_source
from callreel.errors import Unplayable
from callreel.model import Fill, SourceFacts
from callreel.spans import Mask

SILENT_DBFS = -120.0
"""What is reported for digital silence, whose level has no logarithm."""
_STEP_FRAMES = 1 << 16
_FULL_SCALE = 32768.0


def other_speech(source: Source, mask: Mask) -> Source:
    """A source that sounds like another one, but for what is masked: there it is loud noise."""
    if is_stored(source):
        return _OtherStored(source, mask)
    return _OtherSpeech(source, mask)


class _OtherSpeech:
    """As ``other_speech``."""

    def __init__(self, source: Source, mask: Mask) -> None:
        self._source = source
        self._mask = mask
        self.facts = source.facts

    def read(self, start: int, count: int) -> RawBlock:
        """As ``Source.read``; the noise is a pure function of frame and channel."""
        block = self._source.read(start, count)
        samples = block.samples.copy()
        for channel in range(samples.shape[1]):
            for interval in self._mask.touching(channel, start, start + count):
                first, end = max(interval[0], start), min(interval[1], start + count)
                frames = np.arange(first, end, dtype=np.int64)
                noise = (frames * 40503 + (frames >> 7) * 977 + channel * 7919) % 65536 - 32768
                samples[first - start : end - start, channel] = noise.astype(np.int16)
        return RawBlock(samples, block.rate_hz)

    def close(self) -> None:
        """As ``Source.close``."""
        self._source.close()


class _OtherStored(_OtherSpeech):
    """The same, with other bytes where something is masked."""

    def __init__(self, source: StoredSource, mask: Mask) -> None:
        super().__init__(source, mask)
        self._stored = source.stored

    def stored(self, start: int, count: int) -> StoredBytes:
        """As ``StoredSource.stored``; the bytes are a pure function of the frame."""
        data = np.frombuffer(self._stored(start, count), np.uint8).reshape(count, -1).copy()
        for channel in range(self.facts.channels):
            for first, end in self._mask.touching(channel, start, start + count):
                frames = np.arange(max(first, start), min(end, start + count), dtype=np.int64)
                data[frames - start] = (frames * 40503 >> 3 & 255)[:, np.newaxis]
        return StoredBytes(data.tobytes())


class _FileReader:
    """A file of ours as the parsers read it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        self.size = path.stat().st_size

    def read_at(self, offset: int, length: int) -> bytes:
        """As ``ByteReader.read_at``."""
        self._file.seek(offset)
        return self._file.read(length)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class ReadBack:
    """A file that was sent, decoded again; close it.

    Args:
        path: The file, with the extension of its format.
        scratch: A folder for what has to be decoded whole.
        source: What it was made from; it must last as long.

    Raises:
        Unplayable: It cannot be decoded, or holds another number of frames.
    """

    def __init__(self, path: Path, scratch: Path, source: SourceFacts) -> None:
        def frames_at(rate_hz: int) -> int:
            return resampled_frames(source.frames, source.rate_hz, rate_hz)

        if path.suffix in {".m4a", ".webm"}:
            pcm = scratch / f"{path.stem}.pcm"
            rate_hz, channels, frames = decode_to_pcm(path, pcm, frames_at)
            self._reader = _FileReader(pcm)
            facts = SourceFacts(
                "pcm_s16le",
                "raw",
                rate_hz,
                channels,
                frames,
                data_size=self._reader.size,
                block_align=2 * channels,
            )
        else:
            self._reader = _FileReader(path)
            facts = probe(self._reader, path.name)
            expected = frames_at(facts.rate_hz)
            if facts.frames != expected:
                raise Unplayable(f"It holds {facts.frames} frames instead of {expected}.")
        self._source = open_source(self._reader, facts)
        self.facts = facts

    def read(self, start: int, count: int) -> RawBlock:
        """As ``Source.read``."""
        return self._source.read(start, count)

    def close(self) -> None:
        """Close decoder and file."""
        self._source.close()
        self._reader.close()


@dataclass(frozen=True, slots=True)
class SpanLevel:
    """How loud an output is within one masked stretch."""

    channel: int
    """Of the output."""
    start_frame: int
    """Of the recording."""
    end_frame: int
    inside_dbfs: float


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found in an output."""

    frames: int
    rate_hz: int
    spans: tuple[SpanLevel, ...]
    outside_dbfs: float
    """Root mean square of everything that is not masked."""
    same_outside: bool | None
    """Of a lossless output at the source's rate: whether each unmasked sample is the source's."""
    fill_inside: bool | None
    """Of the same: whether each masked sample is the fill's."""


def measure(heard: Source, source: Source, fill: Fill | None, mask: Mask) -> Measured:
    """Read an output back and measure it against its mask.

    Args:
        heard: The output, decoded; with as many channels as the mask has.
        source: The recording, unmasked. Nothing of it gets into the result but a yes or no.
        fill: What should be inside; None where the output is not lossless.
        mask: What is masked, in frames of the recording.

    Cost: one pass; memory for one block.
    """
    facts = heard.facts
    ratio = facts.rate_hz / source.facts.rate_hz
    spans = [
        SpanLevel(channel, start, end, _level(heard, channel, start * ratio, end * ratio))
        for channel, intervals in enumerate(mask.channels)
        for start, end in intervals
    ]
    exact = fill is not None and (facts.rate_hz, facts.frames) == (
        source.facts.rate_hz,
        source.facts.frames,
    )
    same_outside = fill_inside = True
    squares, counted = 0.0, 0
    for start in range(0, facts.frames, _STEP_FRAMES):
        count = min(_STEP_FRAMES, facts.frames - start)
        samples = heard.read(start, count).samples
        masked = np.zeros(samples.shape, dtype=bool)
        for channel, intervals in enumerate(mask.channels):
            for first, end in intervals:
                low, high = round(first * ratio) - start, round(end * ratio) - start
                masked[max(0, low) : max(0, high), channel] = True
        clear = samples[~masked].astype(np.float64)
        squares, counted = squares + float((clear**2).sum()), counted + clear.size
        if exact and fill is not None:
            original = source.read(start, count).samples
            same_outside &= bool((samples[~masked] == original[~masked]).all())
            for channel in range(samples.shape[1]):
                for interval in mask.touching(channel, start, start + count):
                    first, end = max(interval[0], start), min(interval[1], start + count)
                    wanted = stretch(fill, interval, first, end, facts.rate_hz)
                    got = samples[first - start : end - start, channel]
                    fill_inside &= bool((got == wanted).all())
    return Measured(
        frames=facts.frames,
        rate_hz=facts.rate_hz,
        spans=tuple(spans),
        outside_dbfs=_dbfs(squares, counted),
        same_outside=same_outside if exact else None,
        fill_inside=fill_inside if exact else None,
    )


def _level(heard: Source, channel: int, start: float, end: float) -> float:
    first = min(round(start), heard.facts.frames)
    last = min(round(end), heard.facts.frames)
    squares = 0.0
    for begin in range(first, last, _STEP_FRAMES):
        part = heard.read(begin, min(_STEP_FRAMES, last - begin)).samples[:, channel]
        squares += float((part.astype(np.float64) ** 2).sum())
    return _dbfs(squares, last - first)


def _dbfs(squares: float, count: int) -> float:
    if count == 0 or squares == 0:
        return SILENT_DBFS
    return round(10 * math.log10(squares / count / _FULL_SCALE**2), 2)
