"""AAC in MP4 and Opus in WebM, by PyAV (an extra: its wheel carries FFmpeg)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from callreel.audio.encoders.boxes import data_position
from callreel.audio.masked import SafeSound
from callreel.errors import FormatNeedsExtra
from callreel.wording import to_translate

if TYPE_CHECKING:
    from av import AudioFrame, Packet
    from av.audio.stream import AudioStream
    from av.container import OutputContainer

REVISION = "ffmpeg1"
"""Grows with any change of the bytes that this module asks for."""
AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Source: ISO/IEC 14496-3, table of sampling frequencies."""
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)


def is_installed() -> bool:
    """Whether PyAV can be imported."""
    try:
        import av  # noqa: F401, PLC0415 - an extra; half a second that most programs never need
    except ImportError:
        return False
    return True


def version() -> str:
    """Of PyAV and of what it carries.

    Raises:
        FormatNeedsExtra: It is not installed.
    """
    try:
        import av  # noqa: PLC0415 - as in is_installed
    except ImportError:
        raise FormatNeedsExtra(
            to_translate("The format needs callreel[ffmpeg] to be installed.")
        ) from None
    libraries = av.library_versions
    return f"av {av.__version__} {libraries['libavcodec']} {libraries['libavformat']}"


def write_m4a(sound: SafeSound, path: Path, tick: Callable[[], None]) -> list[int]:
    """Encode the whole sound as AAC, with an edit list that gives its exact length.

    Args:
        sound: At one of ``AAC_RATES``.
        path: An empty file.
        tick: Called for each second.

    Returns:
        Where the file may be cut, as ``audio/rendered.py`` wants it.

    Raises:
        OSError: The file cannot be written.
    """
    kbit_s = (
        24 if sound.rate_hz <= 8000 else 32 if sound.rate_hz <= 16000 else 64
    ) * sound.channels
    options = {
        "fflags": "+bitexact",
        # What a player must know comes first, so that it can begin before it has the whole.
        "movflags": "+faststart",
        # In milliseconds, the default, the edit list could not say the length to the frame.
        "movie_timescale": str(sound.rate_hz),
    }
    encoder = {"aac_coder": "fast"}
    ends: list[int] = []
    written = 0
    since = 0.0
    with _open(path, "ipod", options) as container:
        stream = _add_stream(container, "aac", sound, kbit_s, encoder)
        for packet in _packets(stream, sound, tick):
            seconds = 1024 / sound.rate_hz
            if since + seconds > 1:
                ends.append(written)
                since = 0.0
            since += seconds
            written += packet.size
            container.mux(packet)
    position = data_position(path)
    return [position, *(position + end for end in ends)]


def write_webm(sound: SafeSound, path: Path, tick: Callable[[], None]) -> list[int]:
    """Encode the whole sound as Opus in WebM.

    Args:
        sound: At one of ``OPUS_RATES``.
        path: An empty file.
        tick: Called for each second.

    Returns:
        Where the file may be cut, as ``audio/rendered.py`` wants it.

    Raises:
        OSError: The file cannot be written.
    """
    kbit_s = (
        24 if sound.rate_hz <= 8000 else 32 if sound.rate_hz <= 16000 else 64
    ) * sound.channels
    options = {"fflags": "+bitexact", "cluster_time_limit": "500", "flush_packets": "1"}
    encoder = {"application": "lowdelay", "vbr": "off", "compression_level": "5"}
    marks: list[int] = []
    with _open(path, "webm", options) as container:
        stream = _add_stream(container, "libopus", sound, kbit_s, encoder)
        for packet in _packets(stream, sound, tick):
            container.mux(packet)
            # A cluster, half a second, is written when the next begins.
            size = path.stat().st_size
            if not marks or size > marks[-1]:
                marks.append(size)
    return marks


def _open(path: Path, container_format: str, options: dict[str, str]) -> OutputContainer:
    import av  # noqa: PLC0415 - as in is_installed

    return av.open(str(path), "w", format=container_format, options=options)


def _add_stream(
    container: OutputContainer, codec: str, sound: SafeSound, kbit_s: int, options: dict[str, str]
) -> AudioStream:
    import av  # noqa: PLC0415 - as in is_installed

    layout = "mono" if sound.channels == 1 else "stereo"
    stream = container.add_stream(
        codec, rate=sound.rate_hz, layout=layout, options={"flags": "+bitexact", **options}
    )
    if not isinstance(stream, av.AudioStream):
        raise TypeError("a codec of sound made a stream of something else")
    stream.bit_rate = kbit_s * 1000
    return stream


def _packets(
    stream: AudioStream, sound: SafeSound, tick: Callable[[], None]
) -> Iterator[Packet[AudioStream]]:
    for start in range(0, sound.frames, sound.rate_hz):
        tick()
        count = min(sound.rate_hz, sound.frames - start)
        yield from stream.encode(_frame(sound, start, count))
    yield from stream.encode(None)


def _frame(sound: SafeSound, start: int, count: int) -> AudioFrame:
    import av  # noqa: PLC0415 - as in is_installed

    # One channel of two lies scattered in memory; PyAV refuses that.
    samples = np.ascontiguousarray(sound.read(start, count).samples)
    layout = "mono" if sound.channels == 1 else "stereo"
    frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="s16", layout=layout)
    frame.sample_rate = sound.rate_hz
    frame.pts = start
    frame.time_base = Fraction(1, sound.rate_hz)
    return frame
