"""MP4 and WebM that we made ourselves, decoded again. Nothing that comes from outside gets here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from callreel.errors import Unplayable


def decode_to_pcm(path: Path, pcm: Path, frames_at: Callable[[int], int]) -> tuple[int, int, int]:
    """Decode a file to headless int16, little endian.

    FFmpeg's library, unlike players, leaves the end of an MP4's edit list to its caller.

    Args:
        path: The file, made by ``encoders/ffmpeg.py``.
        pcm: Where the samples are written; there must be nothing yet.
        frames_at: From the rate in Hz to how many frames it should hold; what the codec adds behind
            them is cut.

    Returns:
        Rate in Hz, channels, and frames.

    Raises:
        Unplayable: It holds fewer frames, or none that can be decoded.
    """
    import av  # noqa: PLC0415 - an extra; what is decoded here was encoded by it

    written = 0
    try:
        with av.open(str(path)) as container, pcm.open("xb") as out:
            stream = container.streams.audio[0]
            rate_hz, channels = stream.rate, stream.channels
            frames = frames_at(rate_hz)
            for frame in container.decode(stream):
                samples = frame.to_ndarray()
                if samples.shape[0] == 1 and channels == 2:
                    samples = samples.reshape(-1, 2).T
                scale = 32768.0 if samples.dtype.kind == "f" else 1.0
                part = np.clip(np.rint(samples.T * scale), -32768, 32767)[: frames - written]
                out.write(part.astype("<i2").tobytes())
                written += len(part)
    except av.FFmpegError as error:
        raise Unplayable(f"What was made cannot be decoded: {error.strerror}.") from None
    if written != frames:
        raise Unplayable(f"What was made holds {written} frames instead of {frames}.")
    return rate_hz, channels, frames
