"""One file of every codec, container, rate and number of channels that is read."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

import callreel
from callreel.audio.encoders.ogg import ogg_crc
from callreel.audio.masked import MaskedSound
from callreel.audio.pipeline import Identity, open_output
from callreel.audio.probe import probe
from callreel.audio.rendered import RenderCache
from callreel.audio.sources import open_source
from callreel.model import AudioSpec, OutputChannels, SourceFacts, Span
from callreel.spans import Mask, mask_on_frames
from tests.audio.reading import clips

RATES = (8000, 11025, 16000, 44100, 48000)
Maker = Callable[[clips.Samples, int], bytes]


@dataclass(frozen=True, slots=True)
class Case:
    """A kind of file at one rate and with one number of channels."""

    label: str
    name: str
    """Of the file; its extension counts for raw sound."""
    codec: str
    make: Maker
    rate_hz: int
    channels: int

    def __str__(self) -> str:
        """For the ids of tests."""
        return f"{self.label}-{self.rate_hz}-{self.channels}"


@dataclass(frozen=True, slots=True)
class Stored:
    """A file and what the probe found in it."""

    data: bytes
    facts: SourceFacts

    def mask(self, spans: tuple[Span, ...]) -> Mask:
        """As everything that serves makes it."""
        facts = self.facts
        return mask_on_frames(
            spans,
            rate_hz=facts.rate_hz,
            frames=facts.frames,
            channels=facts.channels,
            memory_frames=facts.memory_frames,
        )

    def decoded(self, mask: Mask | None = None) -> clips.Samples:
        """Every sample, not masked yet."""
        source = open_source(clips.Bytes(self.data), self.facts, mask)
        try:
            return source.read(0, self.facts.frames).samples
        finally:
            source.close()

    def masked(self, mask: Mask, *, withheld: bool = True) -> clips.Samples:
        """Every sample as it is masked, also by a mask that nobody serves."""
        source = open_source(clips.Bytes(self.data), self.facts, mask if withheld else None)
        try:
            sound = MaskedSound(source, mask, OutputChannels.BOTH)
            return sound.read(0, self.facts.frames).samples
        finally:
            source.close()

    def served(self, spans: tuple[Span, ...], name: str, cache: RenderCache, key: str) -> bytes:
        """An output, whole."""
        mask = self.mask(spans)
        file = open_output(
            lambda: open_source(clips.Bytes(self.data), self.facts, mask),
            self.facts,
            spans,
            AudioSpec(name),
            cache=cache,
            identity=Identity(f"recording/{key}", 0, name),
        )
        try:
            return b"".join(part.data for part in file.parts(0, file.size))
        finally:
            file.close()


def stored(case: Case, samples: clips.Samples) -> Stored:
    """A file of a kind that holds some sound."""
    data = case.make(samples, case.rate_hz)
    facts = probe(clips.Bytes(data), case.name)
    assert facts.codec == case.codec
    assert facts.channels == case.channels
    return Stored(data, facts)


def _pyav(container: str, codec: str, **options: str) -> Maker:
    return lambda samples, rate: clips.pyav(samples, rate, container, codec, **options)


def _sndfile(container: str, subtype: str) -> Maker:
    return lambda samples, rate: clips.sndfile(samples, rate, container, subtype)


def _mp3(samples: clips.Samples, rate_hz: int) -> bytes:
    """Without a reservoir: each frame holds all that it needs, as splicing it asks for."""
    bitrate = "128000" if rate_hz > 16000 else "64000"
    return clips.pyav(samples, rate_hz, "mp3", "libmp3lame", b=bitrate, reservoir="0")


def _opus(application: str, bitrate: int, frame_ms: str = "20") -> Maker:
    return _pyav("ogg", "libopus", b=str(bitrate), application=application, frame_duration=frame_ms)


def _opus_of_a_cd(samples: clips.Samples, rate_hz: int) -> bytes:
    """Opus has no 11.025 and 44.1 kHz, but a recorder may write into the file that it had them."""
    as_recorded = np.repeat(samples, 48000 // rate_hz, axis=0)
    data = bytearray(clips.pyav(as_recorded, 48000, "ogg", "libopus", b="48000"))
    head = data.index(b"OpusHead")
    data[head + 12 : head + 16] = struct.pack("<I", rate_hz)
    size = head + 19
    data[22:26] = bytes(4)
    data[22:26] = struct.pack("<I", ogg_crc(bytes(data[:size])))
    return bytes(data)


_KINDS: list[tuple[str, str, str, Maker, tuple[int, ...], tuple[int, ...]]] = [
    ("wav-u8", "a.wav", "pcm_u8", _pyav("wav", "pcm_u8"), RATES, (1, 2)),
    ("wav-s16", "a.wav", "pcm_s16le", _pyav("wav", "pcm_s16le"), RATES, (1, 2)),
    ("wav-s24", "a.wav", "pcm_s24le", _sndfile("WAVEX", "PCM_24"), RATES, (1, 2)),
    ("wav-s32", "a.wav", "pcm_s32le", _pyav("wav", "pcm_s32le"), RATES, (1, 2)),
    ("wav-f32", "a.wav", "pcm_f32le", _sndfile("WAVEX", "FLOAT"), RATES, (1, 2)),
    ("wav-f64", "a.wav", "pcm_f64le", _pyav("wav", "pcm_f64le"), RATES, (1, 2)),
    ("wav-ulaw", "a.wav", "ulaw", _pyav("wav", "pcm_mulaw"), RATES, (1, 2)),
    ("wav-alaw", "a.wav", "alaw", _pyav("wav", "pcm_alaw"), RATES, (1, 2)),
    ("wav-gsm", "a.wav", "gsm", _sndfile("WAV", "GSM610"), RATES, (1,)),
    ("wav-ima", "a.wav", "ima_adpcm", _sndfile("WAV", "IMA_ADPCM"), RATES, (1, 2)),
    ("wav-ima-ffmpeg", "a.wav", "ima_adpcm", _pyav("wav", "adpcm_ima_wav"), RATES, (1, 2)),
    ("raw-ulaw", "a.ulaw", "ulaw", _pyav("mulaw", "pcm_mulaw"), (8000,), (1,)),
    ("raw-alaw", "a.alaw", "alaw", _pyav("alaw", "pcm_alaw"), (8000,), (1,)),
    ("raw-sln", "a.sln", "pcm_s16le", _pyav("s16le", "pcm_s16le"), (8000,), (1,)),
    ("raw-sln", "a.sln16", "pcm_s16le", _pyav("s16le", "pcm_s16le"), (16000,), (1,)),
    ("raw-sln", "a.sln44", "pcm_s16le", _pyav("s16le", "pcm_s16le"), (44100,), (1,)),
    ("raw-sln", "a.sln48", "pcm_s16le", _pyav("s16le", "pcm_s16le"), (48000,), (1,)),
    ("raw-gsm", "a.gsm", "gsm", _sndfile("RAW", "GSM610"), (8000,), (1,)),
    ("raw-g722", "a.g722", "g722", _pyav("g722", "g722"), (16000,), (1,)),
    ("mp3", "a.mp3", "mp3", _mp3, RATES, (1, 2)),
    ("opus", "a.opus", "opus", _opus("voip", 32000), (8000, 16000, 48000), (1, 2)),
    ("opus-cd", "a.opus", "opus", _opus_of_a_cd, (11025, 44100), (1, 2)),
    ("vorbis", "a.ogg", "vorbis", _sndfile("OGG", "VORBIS"), RATES, (1, 2)),
    ("flac", "a.flac", "flac", _pyav("flac", "flac"), RATES, (1, 2)),
    ("flac-24", "a.flac", "flac", _sndfile("FLAC", "PCM_24"), RATES, (1, 2)),
]
_OPUS_KINDS: list[tuple[str, Maker, int]] = [
    ("opus-music", _opus("audio", 64000), 48000),
    ("opus-low-delay", _opus("lowdelay", 64000), 48000),
    ("opus-2.5-ms", _opus("lowdelay", 96000, "2.5"), 48000),
    ("opus-60-ms", _opus("voip", 16000, "60"), 48000),
    ("opus-120-ms", _opus("voip", 20000, "120"), 48000),
    ("opus-narrow", _opus("voip", 9000), 8000),
]

CASES = [
    Case(label, name, codec, make, rate, channels)
    for label, name, codec, make, rates, counts in _KINDS
    for rate in rates
    for channels in counts
]
"""Every codec that is read, at every rate and number of channels that it has."""
OPUS_CASES = [
    Case(label, "a.opus", "opus", make, rate, channels)
    for label, make, rate in _OPUS_KINDS
    for channels in (1, 2)
]
"""The modes and packet lengths that Opus has besides."""


def steady(frames: int, rate_hz: int, pitch_hz: float = 100) -> clips.Samples:
    """A voice that holds one vowel, mono: what a predictor never has to learn anew."""
    time_s = np.arange(frames) / rate_hz
    harmonics = range(1, min(40, int(rate_hz / 2 / pitch_hz)))
    tone = sum(np.sin(2 * np.pi * pitch_hz * k * time_s + k) / k for k in harmonics)
    return np.rint(tone * 5000).clip(-32000, 32000).astype(np.int16).reshape(-1, 1)


def voices(frames: int, rate_hz: int, channels: int, seed: int) -> clips.Samples:
    """A different voice in each channel."""
    seconds = frames / rate_hz + 1
    found = [clips.speech(seconds, rate_hz, seed + 1000 * side) for side in range(channels)]
    return np.hstack(found)[:frames]


@lru_cache(maxsize=1)
def _conversations() -> npt.NDArray[np.float64]:
    folder = Path(callreel.__file__).parent / "demo" / "speech"
    names = ("hotel-card", "deposit-card", "library-books", "dentist-appointment")
    sounds = [soundfile.read(folder / f"{name}.flac")[0] for name in names]
    return np.concatenate([sound.T.reshape(-1) for sound in sounds])


def spoken(frames: int, rate_hz: int, channels: int, seed: int) -> clips.Samples:
    """Pieces of the conversations of the demo, with the digital silence that is between them."""
    random = np.random.default_rng(seed)
    speech = _conversations()
    needed = frames * 8000 // rate_hz + 200
    sides = []
    for _ in range(channels):
        start = int(random.integers(0, len(speech) - needed))
        piece = soxr.resample(speech[start : start + needed], 8000, rate_hz)[:frames]
        sides.append(np.rint(piece * 32767).clip(-32768, 32767).astype(np.int16))
    return np.stack(sides, axis=1)
