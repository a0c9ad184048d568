"""Short clips in every format that is read, made by encoders that the reader does not use."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import av
import lameenc
import numpy as np
import numpy.typing as npt
import soundfile

from callreel.audio.sources import open_source
from callreel.model import SourceFacts

Samples = npt.NDArray[np.int16]


class Bytes:
    """A reader over bytes in memory that counts what is read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.reads = 0

    @property
    def size(self) -> int:
        """Size in bytes."""
        return len(self.data)

    def read_at(self, offset: int, length: int) -> bytes:
        """Bytes from a place."""
        assert offset >= 0
        assert length >= 0
        self.reads += 1
        return self.data[offset : offset + length]


def noise(frames: int, channels: int = 1, seed: int = 1, loud: int = 6000) -> Samples:
    """Band-limited noise, different in each channel, so that every shift and swap shows."""
    random = np.random.default_rng(seed)
    taps = np.hanning(11) / np.hanning(11).sum()
    rows = [
        np.convolve(random.normal(0, loud, frames + 10), taps, "valid") for _ in range(channels)
    ]
    return np.stack(rows, 1).clip(-32768, 32767).astype(np.int16)


def speech(seconds: float, rate_hz: int, seed: int) -> Samples:
    """Syllables of a buzzing voice over a little noise, mono."""
    random = np.random.default_rng(seed)
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    pitch = 120 + 30 * np.sin(2 * np.pi * 0.7 * time_s + random.uniform(0, 6))
    phase = 2 * np.pi * np.cumsum(pitch) / rate_hz
    voice = sum(np.sin(harmonic * phase) / harmonic for harmonic in range(1, 20))
    loud = np.sin(2 * np.pi * 3 * time_s + random.uniform(0, 6)) > -0.3
    window = np.hanning(max(3, rate_hz // 50))
    envelope = np.convolve(loud, window / window.sum(), "same")
    sound = voice * envelope * 5000 + random.normal(0, 30, len(time_s))
    return sound.clip(-32000, 32000).astype(np.int16).reshape(-1, 1)


def wav(
    data: bytes,
    *,
    tag: int = 1,
    channels: int = 1,
    rate: int = 8000,
    align: int = 2,
    bits: int = 16,
    extra: bytes | None = None,
    before: bytes = b"",
    after: bytes = b"",
    size: int | None = None,
    magic: bytes = b"RIFF",
) -> bytes:
    """A WAV file with whatever its header is told to say."""
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * align, align, bits)
    if extra is not None:
        fmt += struct.pack("<H", len(extra)) + extra
    body = b"WAVE" + before + b"fmt " + struct.pack("<I", len(fmt)) + fmt
    body += b"data" + struct.pack("<I", len(data) if size is None else size) + data + after
    return magic + struct.pack("<I", len(body)) + body


def sndfile(samples: Samples, rate_hz: int, container: str, subtype: str) -> bytes:
    """A file written by libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format=container, subtype=subtype)
    return file.getvalue()


def pyav(samples: Samples, rate_hz: int, container: str, codec: str, **options: str) -> bytes:
    """A file written by FFmpeg."""
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate_hz, layout=layout, options=options)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples).reshape(1, -1), format="s16", layout=layout
        )
        frame.sample_rate, frame.pts, frame.time_base = rate_hz, 0, Fraction(1, rate_hz)
        resampler = av.AudioResampler(stream.codec_context.format.name, layout, rate_hz)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return file.getvalue()


def lame(samples: Samples, rate_hz: int, *, kbit: int = 64, vbr: bool = False) -> bytes:
    """An MP3 stream without any tag, as recorders write it."""
    encoder = lameenc.Encoder()
    encoder.silence()
    encoder.set_in_sample_rate(rate_hz)
    encoder.set_channels(samples.shape[1])
    encoder.set_bit_rate(kbit)
    encoder.set_quality(7)
    if vbr:
        encoder.set_vbr(4)
        encoder.set_vbr_quality(4)
    return bytes(encoder.encode(samples.tobytes()) + encoder.flush())


def oracle(data: bytes, container: str) -> npt.NDArray[np.float64]:
    """What FFmpeg decodes, on the scale of int16, not rounded; shape (frames, channels)."""
    scales = {"u8": 256.0, "s16": 1.0, "s32": 1 / 65536, "flt": 32768.0, "dbl": 32768.0}
    parts = []
    with av.open(io.BytesIO(data), format=container) as file:
        for frame in file.decode(audio=0):
            values = frame.to_ndarray().astype(np.float64)
            kind = frame.format.name
            if kind == "u8":
                values -= 128
            channels = frame.layout.nb_channels
            flat = values.T if kind.endswith("p") else values.reshape(-1, channels)
            parts.append(flat * scales[kind.removesuffix("p")])
    return np.concatenate(parts)


def read_all(data: bytes, facts: SourceFacts) -> Samples:
    """Every sample of a file."""
    source = open_source(Bytes(data), facts)
    try:
        return source.read(0, facts.frames).samples
    finally:
        source.close()


def shift(found: Samples, original: Samples) -> int:
    """By how many frames one channel of sound came out too late."""
    size = 1 << (len(found) + len(original)).bit_length()
    here, there = (np.fft.rfft(values.astype(float), size) for values in (found, original))
    peak = int(np.argmax(np.fft.irfft(here * there.conj(), size)))
    return peak if peak < size // 2 else peak - size
