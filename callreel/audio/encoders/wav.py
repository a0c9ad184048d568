"""WAV: 16-bit PCM, µ-law and A-law. Arithmetic gives every position."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from callreel.audio.blocks import SafeBlock, SafeBytes, SafeExtent, SafeExtents, extent_of
from callreel.audio.g711 import alaw_encode, ulaw_encode
from callreel.audio.masked import SafeSound
from callreel.audio.virtual import Part
from callreel.errors import BadRequest
from callreel.spans import Interval
from callreel.wording import to_translate

REVISION = "wav2"
"""Grows with any change of the bytes that this module makes."""

_TAGS = {"wav": 1, "wav-ulaw": 7, "wav-alaw": 6}
"""Source: RFC 2361, and Microsoft's mmreg.h."""
NAMES = tuple(_TAGS)
"""The formats that this module makes."""
CODECS = {"wav": "pcm_s16le", "wav-ulaw": "ulaw", "wav-alaw": "alaw"}
"""What is in each, by its name in ``SourceFacts.codec``."""
_LARGEST = 0xFFFF_FFFF
"""RIFF keeps sizes in 32 bits."""


MOST_PREPARED = 1 << 20
"""Bytes of a masked stretch that is kept: a minute of the telephone's PCM."""
Keep = Callable[[Interval, Callable[[], SafeBytes]], SafeBytes]
"""From frames, and what makes them, to them."""


def _made(_frames: Interval, make: Callable[[], SafeBytes]) -> SafeBytes:
    return make()


def wav_size(name: str, frames: int, channels: int) -> int:
    """Bytes of a whole WAV.

    Args:
        name: ``wav``, ``wav-ulaw`` or ``wav-alaw``.
        frames: Length.
        channels: 1 or 2.

    Raises:
        BadRequest: More than RIFF can count, 4 GiB.
    """
    data = frames * channels * _sample_bytes(name)
    size = _header_bytes(name) + data + data % 2
    if size - 8 > _LARGEST:
        raise BadRequest(
            to_translate(
                "This recording is too long for a WAV file, which ends at 4 GiB; "
                "take flac, opus or mp3."
            )
        )
    return size


def _sample_bytes(name: str) -> int:
    return 2 if name == "wav" else 1


def _header_bytes(name: str) -> int:
    return 44 if name == "wav" else 58


def wav_header(name: str, rate_hz: int, frames: int, channels: int) -> bytes:
    """Everything before the samples: 44 bytes, or 58 with the ``fact`` that G.711 must have."""
    width = _sample_bytes(name)
    data = frames * channels * width
    size = wav_size(name, frames, channels)
    form = struct.pack(
        "<HHIIHH",
        _TAGS[name],
        channels,
        rate_hz,
        rate_hz * channels * width,
        channels * width,
        8 * width,
    )
    chunks = b""
    if name != "wav":
        form += b"\0\0"
        chunks = struct.pack("<4sII", b"fact", 4, frames)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", size - 8, b"WAVE", b"fmt ", len(form))
        + form
        + chunks
        + struct.pack("<4sI", b"data", data)
    )


class WavSegments:
    """A WAV in segments of one second, or a frame less.

    Args:
        name: One of NAMES.
        sound: What it holds.
        clear: Of the same recording and channels, where that is stored in this very encoding: what
            is not masked is then sent as it is stored. None encodes everything.
        keep: Gives what is masked, made now if it is not kept.
    """

    def __init__(
        self,
        name: str,
        sound: SafeSound,
        clear: SafeExtents | None = None,
        keep: Keep = _made,
    ) -> None:
        self._name = name
        self._sound = sound
        self._clear = clear
        self._keep = keep
        self.size = wav_size(name, sound.frames, sound.channels)
        self.header = SafeBytes(wav_header(name, sound.rate_hz, sound.frames, sound.channels))
        # Even, so that the pad byte never begins a segment of its own.
        self._frames = sound.rate_hz - sound.rate_hz % 2
        self.segment_size = self._frames * sound.channels * _sample_bytes(name)

    def extents(self, start: int, stop: int) -> Iterator[tuple[int, SafeExtent]]:
        """What of the bytes [start, stop) needs no making, and at which byte each begins.

        That is what lies in a file, and what is masked between, which is made once and kept.
        """
        if self._clear is None or not self._clear.has_place:
            return
        width = self._sound.channels * _sample_bytes(self._name)
        head = len(self.header)
        first = max(0, start - head) // width
        last = min(self._sound.frames, -(-(stop - head) // width))
        if first >= last:
            return
        for frame, end, stored in self._clear.extents(first, last):
            extent = stored or self._prepared(frame, end, width)
            if extent is not None:
                begin = head + frame * width
                at = max(start, begin)
                yield at, extent.part(at - begin, stop - at)

    def _prepared(self, start: int, stop: int, width: int) -> SafeExtent | None:
        """A masked stretch; None where it is too long to be kept."""
        if (stop - start) * width > MOST_PREPARED:
            return None

        def make() -> SafeBytes:
            seconds = range(start, stop, self._frames)
            each = ((at, min(self._frames, stop - at)) for at in seconds)
            return SafeBytes(b"".join(self._encode(self._sound.read(*one)) for one in each))

        return extent_of(self._keep((start, stop), make))

    def segment(self, index: int) -> Iterator[Part]:
        """One second, with the pad byte where the last one ends on an odd byte."""
        start = index * self._frames
        count = min(self._frames, self._sound.frames - start)
        data = b"".join(self._pieces(start, start + count))
        if len(data) % 2 and start + count == self._sound.frames:
            data += b"\0"
        yield Part(SafeBytes(data), count / self._sound.rate_hz)

    def _pieces(self, start: int, stop: int) -> Iterator[bytes]:
        if self._clear is None:
            yield self._encode(self._sound.read(start, stop - start))
            return
        for first, end, data in self._clear.pieces(start, stop):
            if data is None:
                yield self._encode(self._sound.read(first, end - first))
            else:
                yield data

    def _encode(self, block: SafeBlock) -> bytes:
        if self._name == "wav":
            return block.samples.astype("<i2").tobytes()
        encode = ulaw_encode if self._name == "wav-ulaw" else alaw_encode
        return encode(block.samples).tobytes()
