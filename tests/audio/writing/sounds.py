"""Made-up sound, and a source that holds it in memory."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from callreel.audio.blocks import RawBlock, Samples
from callreel.audio.fill import stretch
from callreel.audio.pipeline import Identity, open_output
from callreel.audio.rendered import RenderCache
from callreel.audio.virtual import VirtualFile
from callreel.model import DEFAULT_FILL, AudioSpec, OutputChannels, Party, SourceFacts, Span

FORMATS = ("wav", "wav-ulaw", "wav-alaw", "mp3", "opus", "flac", "m4a", "webm")
ARITHMETIC = FORMATS[:5]
LONG = 96333
"""Frames: 12 s at 8 kHz and some, longer than one segment of MP3 (9.2 s) and of Opus (10 s)."""
SPANS: dict[str, tuple[Span, ...]] = {
    "unmasked": (),
    "one": (Span(3.0, 4.5),),
    # One at the start, one of each channel, one over each segment's join.
    "five": (
        Span(0.0, 0.4),
        Span(1.1, 1.9, Party.LEFT),
        Span(2.5, 3.25, Party.RIGHT),
        Span(8.9, 9.6),
        Span(9.9, 10.2),
    ),
    "over the end": (Span(10.6, 99.0),),
    "to the end": (Span(11.0, math.inf),),
}


class ArraySource:
    """A source whose sound is in memory; counts how often it was closed."""

    def __init__(self, samples: Samples, rate_hz: int, memory_frames: int = 0) -> None:
        self.samples = samples
        self.facts = SourceFacts(
            codec="pcm_s16le",
            container="wav",
            rate_hz=rate_hz,
            channels=samples.shape[1],
            frames=len(samples),
            memory_frames=memory_frames,
        )
        self.closed = 0
        self.reads: list[int] = []
        self.starts: list[int] = []
        self.gate = threading.Event()
        self.gate.set()

    def read(self, start: int, count: int) -> RawBlock:
        """As ``Source.read``; waits where the gate is shut."""
        self.gate.wait(20)
        if count:
            self.reads.append(count)
            self.starts.append(start)
        if start < 0 or start + count > len(self.samples):
            raise AssertionError("an encoder read outside the recording")
        return RawBlock(self.samples[start : start + count], self.facts.rate_hz)

    def close(self) -> None:
        """Counts."""
        self.closed += 1


def voice(frames: int, channels: int, rate_hz: int = 8000, seed: int = 1) -> Samples:
    """Something like speech: harmonics that swell and fade, and a little noise."""
    random = np.random.default_rng(seed)
    time = np.arange(frames) / rate_hz
    made = []
    for channel in range(channels):
        pitch = 170 + 40 * channel
        tones = sum(
            np.sin(2 * np.pi * pitch * k * time + random.random() * 6) / k for k in range(1, 9)
        )
        swell = 1 + np.sin(2 * np.pi * (2 + channel) * time)
        made.append(4000 * tones * swell + random.normal(0, 20, frames))
    return np.rint(np.stack(made, axis=1)).clip(-32768, 32767).astype(np.int16)


def filled(flags: np.ndarray, rate_hz: int = 8000) -> Samples:
    """The fill wherever a flag is set, of shape (frames, channels); 0 elsewhere."""
    wanted = np.zeros(flags.shape, np.int16)
    for channel in range(flags.shape[1]):
        edges = np.flatnonzero(np.diff(flags[:, channel], prepend=False, append=False))
        for start, end in edges.reshape(-1, 2):
            part = stretch(DEFAULT_FILL, (start, end), start, end, rate_hz)
            wanted[start:end, channel] = part
    return wanted


def spec(name: str, channels: OutputChannels = OutputChannels.BOTH) -> AudioSpec:
    """A choice of output."""
    return AudioSpec(name, channels)


def opened(
    source: ArraySource,
    spans: Sequence[Span],
    chosen: AudioSpec,
    cache: RenderCache,
    identity: str = "recording-1/1",
) -> VirtualFile:
    """An output of a source; the identity is completed with the format and channels."""
    return open_output(
        lambda: source,
        source.facts,
        spans,
        chosen,
        cache=cache,
        identity=Identity(identity, 0, f"{chosen.format}-{chosen.channels}"),
    )


def whole(file: VirtualFile) -> bytes:
    """All bytes of a file, which is closed."""
    try:
        return b"".join(part.data for part in file.parts(0, file.size))
    finally:
        file.close()


def rendered(
    samples: Samples,
    spans: Sequence[Span],
    chosen: AudioSpec,
    folder: Path,
    rate_hz: int = 8000,
) -> bytes:
    """All bytes of an output, made in a cache of its own."""
    cache = RenderCache(folder, 10**8)
    try:
        return whole(opened(ArraySource(samples, rate_hz), spans, chosen, cache))
    finally:
        cache.close()
