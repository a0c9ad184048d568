"""Outputs decoded by other people's decoders, and compared."""

from __future__ import annotations

import io
import struct

import av
import numpy as np
import numpy.typing as npt

from callreel.audio.blocks import Samples

Floats = npt.NDArray[np.float64]
"""float64, shape (frames, channels), in the scale of int16."""


def decoded(data: bytes) -> tuple[Floats, int]:
    """Sound and rate, as FFmpeg decodes it; MP4 cut to the length of its edit list.

    FFmpeg's library, unlike players and its own command, leaves the end of an edit to its caller.
    """
    pieces = []
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        for frame in container.decode(stream):
            samples = frame.to_ndarray()
            channels = frame.layout.nb_channels
            if samples.shape[0] == 1 and channels == 2:
                samples = samples.reshape(-1, 2).T
            scale = 32768.0 if samples.dtype.kind == "f" else 1.0
            pieces.append(samples.T.astype(np.float64) * scale)
        rate: int = stream.rate
    sound = np.concatenate(pieces)
    if data[4:8] == b"ftyp":
        sound = sound[: edit_frames(data, rate)]
    return sound, rate


def edit_frames(data: bytes, rate_hz: int) -> int:
    """The length that the edit list of an MP4 gives, in frames."""
    movie = data.index(b"mvhd")
    (timescale,) = struct.unpack(">I", data[movie + 16 : movie + 20])
    edit = data.index(b"elst")
    count, duration = struct.unpack(">II", data[edit + 8 : edit + 16])
    if (count, timescale) != (1, rate_hz):
        raise AssertionError("an edit list of another shape")
    frames: int = duration
    return frames


def snr_db(wanted: npt.NDArray[np.int16] | Floats, got: Floats) -> float:
    """How far the difference lies below the sound, in dB."""
    noise = float(((wanted.astype(np.float64) - got) ** 2).sum())
    power = float((wanted.astype(np.float64) ** 2).sum())
    return 10 * float(np.log10((power + 1e-9) / (noise + 1e-9)))


def thinned(sound: Floats, rate_hz: int, wanted_hz: int) -> Floats:
    """Every n-th frame: right for sound that holds nothing above the lower rate's half."""
    if rate_hz % wanted_hz:
        raise AssertionError("not a multiple")
    return sound[:: rate_hz // wanted_hz]


def expected(samples: Samples, channels: str) -> Samples:
    """The channels of an output, by a second writing of the rule."""
    if samples.shape[1] == 1 or channels == "both":
        return samples
    if channels == "mix":
        left, right = samples[:, 0].astype(int), samples[:, 1].astype(int)
        return np.floor((left + right) / 2).astype(np.int16)[:, np.newaxis]
    return samples[:, [0 if channels == "left" else 1]]
