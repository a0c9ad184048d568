"""MP3 at constant rate in independent segments, so that its size is known and any range is exact.

Source: audio.md section 4; ISO/IEC 11172-3 and 13818-3 for the frame header; the Info tag as LAME
writes it (http://gabriel.mp3-tech.org/mp3infotag.html).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from callreel.audio.blocks import SafeBytes
from callreel.audio.encoders.lame import LameEncoder
from callreel.audio.masked import SafeSound
from callreel.audio.virtual import Part

REVISION = "mp3-1"
"""Grows with any change of the bytes that this module asks for."""
RATES = (8000, 16000, 24000, 48000)
"""Source: contract.md 6.5."""

_SEGMENT_FRAMES = 128
_WARM_FRAMES = 6
"""Encoded before each segment and dropped. Source: audio.md section 4: joins cannot be measured."""
_FEWEST_FRAMES = 2
"""FFmpeg takes fewer for something that is no MP3; what is added is cut off as padding."""
_ENCODER_DELAY = 576
_DECODER_DELAY = 529
"""Frames of sound that any decoder lags behind. Source: the Info tag's description."""


@dataclass(frozen=True, slots=True)
class Mp3Shape:
    """How an MP3 of some rate and channel count is cut into frames."""

    rate_hz: int
    channels: int

    @property
    def samples(self) -> int:
        """Sound in one MP3 frame, in frames of sound."""
        return 1152 if self.rate_hz == 48000 else 576

    @property
    def kbit_s(self) -> int:
        """Chosen so that no frame needs padding and the Info tag fits into one."""
        mono, stereo = {8000: (32, 32), 16000: (48, 64), 24000: (64, 96), 48000: (96, 128)}[
            self.rate_hz
        ]
        return mono if self.channels == 1 else stereo

    @property
    def frame_bytes(self) -> int:
        """Size of every MP3 frame."""
        return self.samples * self.kbit_s * 125 // self.rate_hz

    def count(self, frames: int) -> int:
        """How many MP3 frames hold so much sound and what the decoder lags behind."""
        needed = -(-(frames + _ENCODER_DELAY + _DECODER_DELAY) // self.samples)
        return max(needed, _FEWEST_FRAMES)


def mp3_size(rate_hz: int, frames: int, channels: int) -> int:
    """Bytes of a whole MP3, with its Info frame.

    Args:
        rate_hz: One of ``RATES``.
        frames: Length at that rate.
        channels: 1 or 2.
    """
    shape = Mp3Shape(rate_hz, channels)
    return (1 + shape.count(frames)) * shape.frame_bytes


def _frame_header(shape: Mp3Shape) -> bytes:
    version, rate_index = {8000: (0, 2), 16000: (2, 2), 24000: (2, 1), 48000: (3, 1)}[shape.rate_hz]
    rates = (
        (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
        if version == 3
        else (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
    )
    # The mode is 3 for mono, 1 for joint stereo; layer III is 1; "not protected" is 1.
    mode = 3 if shape.channels == 1 else 1
    bits = 0x7FF << 21 | version << 19 | 1 << 17 | 1 << 16
    bits |= (rates.index(shape.kbit_s) + 1) << 12 | rate_index << 10 | mode << 6
    return struct.pack(">I", bits)


def info_frame(shape: Mp3Shape, frames: int) -> bytes:
    """A frame without sound that tells decoders the exact length.

    Args:
        shape: Of the frames that follow.
        frames: Length of the sound.
    """
    side = {(True, 1): 17, (True, 2): 32, (False, 1): 9, (False, 2): 17}[
        shape.rate_hz == 48000, shape.channels
    ]
    count = shape.count(frames)
    size = (1 + count) * shape.frame_bytes
    padding = count * shape.samples - _ENCODER_DELAY - frames
    tag = struct.pack(">4sIII", b"Info", 0xF, count, size)
    tag += bytes(entry * 256 // 100 for entry in range(100))
    tag += struct.pack(">I", 0)
    # LAME's part: decoders believe delay and padding only of names that they know.
    tag += struct.pack(">9sBB8sBB", b"LAME4.0\0\0", 0x01, 0, bytes(8), 0, shape.kbit_s)
    tag += (_ENCODER_DELAY << 12 | padding).to_bytes(3, "big")
    tag += struct.pack(">BBHIH", 0, 0, 0, size, 0)
    before = _frame_header(shape) + bytes(side) + tag
    return (before + struct.pack(">H", _crc16(before))).ljust(shape.frame_bytes, b"\0")


def _crc16(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc


class Mp3Segments:
    """An MP3 in segments of 128 frames.

    Args:
        sound: At one of ``RATES``.
    """

    def __init__(self, sound: SafeSound) -> None:
        self._sound = sound
        self._shape = Mp3Shape(sound.rate_hz, sound.channels)
        self._count = self._shape.count(sound.frames)
        self.size = mp3_size(sound.rate_hz, sound.frames, sound.channels)
        self.header = SafeBytes(info_frame(self._shape, sound.frames))
        self.segment_size = _SEGMENT_FRAMES * self._shape.frame_bytes
        # Whole MP3 frames of at most one second.
        self._part_frames = sound.rate_hz // self._shape.samples

    def made_from(self, index: int) -> tuple[int, int]:
        """The frames of sound that a segment depends on: [first, behind the last)."""
        first = index * _SEGMENT_FRAMES
        # What the encoder holds back is less than what it is given at once.
        behind = first + _SEGMENT_FRAMES + 2 * self._part_frames
        return (first - _WARM_FRAMES) * self._shape.samples, behind * self._shape.samples

    def segment(self, index: int) -> Iterator[Part]:
        """Parts of one segment, from an encoder of its own."""
        first = index * _SEGMENT_FRAMES
        wanted = min(_SEGMENT_FRAMES, self._count - first)
        warm = min(first, _WARM_FRAMES)
        shape = self._shape
        position = (first - warm) * shape.samples
        skip = warm * shape.frame_bytes
        ready = bytearray()
        with LameEncoder(shape.rate_hz, shape.channels, shape.kbit_s) as encoder:
            while wanted:
                count = self._part_frames * shape.samples
                ready += encoder.encode(self._sound.read(position, count).samples)
                position += count
                dropped = min(skip, len(ready))
                del ready[:dropped]
                skip -= dropped
                while ready and wanted:
                    take = min(len(ready) // shape.frame_bytes, wanted, self._part_frames)
                    if take == 0:
                        break
                    size = take * shape.frame_bytes
                    data = bytes(ready[:size])
                    del ready[:size]
                    wanted -= take
                    yield Part(SafeBytes(data), take * shape.samples / shape.rate_hz)
