"""Peaks: the lowest and the highest sample of every 256 frames, to draw a waveform from.

They are made of masked sound, as every output is, and kept as BBC audiowaveform keeps them: its
binary form, version 2, with 8 bits. What lies under a mask is not in them (threats.md T16).
Source: audio.md section 5; github.com/bbc/audiowaveform, doc/DataFormat.md.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from callreel.audio.blocks import SafeExtents
from callreel.audio.g711 import G711Bytes, Int16s, alaw_decode, ulaw_decode
from callreel.audio.masked import SafeSound
from callreel.audio.rendered import Tick
from callreel.audio.virtual import VirtualFile
from callreel.model import AudioSpec, SourceFacts
from callreel.spans import WHOLE_FRAME

PEAKS = AudioSpec("peaks")
"""Both channels; the name is no format that anybody can ask for."""
REVISION = "peaks1"
"""Grows with any change of what this module makes."""
WINDOW = 256
"""Frames of one stored pair; 32 ms at 8 kHz, less than one pixel of any waveform of 30 seconds."""

_STEP = WINDOW << 9
"""Frames that are read at once: few enough to stay in the processor's cache."""
_HEADER = struct.Struct("<iIiiIi")
_VERSION, _EIGHT_BITS = 2, 1

_Integer = TypeVar("_Integer", bound=np.integer)
Int8s = npt.NDArray[np.int8]
"""int8, shape (points or windows, channels)."""


@dataclass(frozen=True, slots=True)
class Points:
    """The peaks of a stretch of a recording, [start, end) in frames, in equal steps."""

    start: int
    end: int
    frames_per_point: int
    """A multiple of WINDOW; the last point may stand for fewer."""
    lowest: Int8s
    """Of each point and channel: the lowest int16 divided by 256, towards zero; -128 to 127."""
    highest: Int8s


def write_peaks(
    sound: SafeSound,
    path: Path,
    tick: Tick,
    clear: SafeExtents | None = None,
    codec: str = "",
) -> list[int]:
    """Write the peaks of the whole sound.

    Args:
        sound: All its channels, at its own rate.
        path: The file.
        tick: Called at every step.
        clear: Of the same recording: what is not masked is then not decoded, where ``codec`` allows
            that. None decodes everything.
        codec: What is in ``clear``, a name from ``audio/codecs.py``.

    Returns:
        No place to cut: there is no sound in the file.

    Raises:
        OSError: The file cannot be written.
        Unavailable, Unplayable: The sound cannot be read.

    Cost: one pass; one step held, whatever the length.
    """
    with path.open("wb") as file:
        file.write(_header(sound.rate_hz, sound.frames, sound.channels))
        for start in range(0, sound.frames, _STEP):
            tick()
            stop = min(start + _STEP, sound.frames)
            found = None if clear is None else _undecoded(clear, codec, start, stop, sound.channels)
            if found is None:
                values = sound.read(start, stop - start).samples.reshape(-1)
                found = _extremes(values, sound.channels)
            lowest, highest = found
            pairs = np.stack([_eight_bits(lowest), _eight_bits(highest)], axis=2)
            file.write(pairs.tobytes())
    return []


def read_points(
    file: VirtualFile, facts: SourceFacts, from_s: float, to_s: float, at_most: int
) -> Points:
    """What was written, of a stretch and in steps as fine as there are.

    Args:
        file: What ``write_peaks`` wrote.
        facts: Of the recording.
        from_s: Seconds from the first frame, 0 or more; the window that holds it comes first.
        to_s: The window that ends there or later comes last; ``math.inf`` is the end.
        at_most: How many points, 1 or more. Neighbours are joined where there are more windows.

    Raises:
        Unavailable: The file cannot be read.

    Cost: reads the windows of the stretch, four bytes for each of two channels.
    """
    windows = _windows(facts.frames)
    width = 2 * facts.channels
    if file.size != _HEADER.size + windows * width:
        raise AssertionError("peaks of another recording")
    first, last = windows, windows
    if from_s < facts.duration_s:
        first = math.floor(from_s * facts.rate_hz + WHOLE_FRAME) // WINDOW
    if to_s < facts.duration_s:
        last = max(first, _windows(math.ceil(to_s * facts.rate_hz - WHOLE_FRAME)))
    begin = _HEADER.size + first * width
    parts = file.parts(begin, begin + (last - first) * width)
    stored = np.frombuffer(b"".join(part.data for part in parts), np.int8)
    pairs = stored.reshape(-1, facts.channels, 2)
    step = max(1, -(-len(pairs) // at_most))
    firsts = np.arange(0, len(pairs), step)
    return Points(
        start=min(first * WINDOW, facts.frames),
        end=min(last * WINDOW, facts.frames),
        frames_per_point=step * WINDOW,
        lowest=np.minimum.reduceat(pairs[:, :, 0], firsts),
        highest=np.maximum.reduceat(pairs[:, :, 1], firsts),
    )


def _header(rate_hz: int, frames: int, channels: int) -> bytes:
    return _HEADER.pack(_VERSION, _EIGHT_BITS, rate_hz, WINDOW, _windows(frames), channels)


def _windows(frames: int) -> int:
    return -(-frames // WINDOW)


def _undecoded(
    clear: SafeExtents, codec: str, start: int, stop: int, channels: int
) -> tuple[Int16s, Int16s] | None:
    """As ``_extremes``; None where a frame is masked, or the codec needs decoding."""
    extremes = _STORED.get(codec)
    if extremes is None:
        return None
    _, end, data = next(clear.pieces(start, stop))
    return None if data is None or end < stop else extremes(data, channels)


def _extremes(
    values: npt.NDArray[_Integer], channels: int
) -> tuple[npt.NDArray[_Integer], npt.NDArray[_Integer]]:
    """The lowest and highest of each window, each of shape (windows, channels)."""
    whole = len(values) - len(values) % (WINDOW * channels)
    lowest = highest = values[:whole].reshape(-1, WINDOW * channels)
    # Halving runs over long rows side by side; numpy's own min along a short axis takes five times
    # as long.
    while lowest.shape[1] > channels:
        half = lowest.shape[1] // 2
        lowest = np.minimum(lowest[:, :half], lowest[:, half:])
        highest = np.maximum(highest[:, :half], highest[:, half:])
    if whole < len(values):
        rest = values[whole:].reshape(-1, channels)
        lowest = np.concatenate([lowest, rest.min(axis=0, keepdims=True)])
        highest = np.concatenate([highest, rest.max(axis=0, keepdims=True)])
    return lowest, highest


def _eight_bits(values: Int16s) -> Int8s:
    """Divided by 256, towards zero as audiowaveform does: noise of one step draws no line."""
    return ((values + (values >> 15 & 255)) >> 8).astype(np.int8)


def _of_ulaw(data: bytes, channels: int) -> tuple[Int16s, Int16s]:
    return _of_ranks(np.frombuffer(data, np.uint8), channels, _ULAW_VALUES)


def _of_alaw(data: bytes, channels: int) -> tuple[Int16s, Int16s]:
    return _of_ranks(np.frombuffer(data, np.uint8) ^ _ALAW_AS_ULAW, channels, _ALAW_VALUES)


def _of_pcm(data: bytes, channels: int) -> tuple[Int16s, Int16s]:
    return _extremes(np.frombuffer(data, "<i2"), channels)


def _of_ranks(codes: G711Bytes, channels: int, values: Int16s) -> tuple[Int16s, Int16s]:
    """Of bytes: compared by rank, and only what was found is decoded."""
    lowest, highest = _extremes(_ranks(codes), channels)
    return values.take(lowest), values.take(highest)


def _ranks(codes: G711Bytes) -> G711Bytes:
    """Numbers that rise with the value of a µ-law byte, which falls where the top bit is set."""
    ranks = (codes.view(np.int8) >> 7).view(np.uint8)
    ranks &= 0x7F
    ranks ^= codes
    return ranks


_ALAW_AS_ULAW = np.uint8(0x2A)
"""With these bits turned, A-law bytes have the order of µ-law. Source: ITU-T G.711, tables 1 and 2.
"""
_CODES = np.arange(256, dtype=np.uint8)
_BY_RANK = np.argsort(_ranks(_CODES))
_ULAW_VALUES = ulaw_decode(_CODES)[_BY_RANK]
_ALAW_VALUES = alaw_decode(_CODES ^ _ALAW_AS_ULAW)[_BY_RANK]
"""The value of each rank."""
_STORED: dict[str, Callable[[bytes, int], tuple[Int16s, Int16s]]] = {
    "ulaw": _of_ulaw,
    "alaw": _of_alaw,
    "pcm_s16le": _of_pcm,
}
"""By codec: as ``_extremes``, of stored bytes."""
