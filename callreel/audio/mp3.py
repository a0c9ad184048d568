"""MP3: which bytes are frames, how many there are, and how much of the ends is padding.

libsndfile believes the Info frame of a file, and where there is none it guesses the length from the
first frames and stops there, which can be in the middle. So the frames are counted here, and the
decoder is always given an Info frame of ours that promises more than there is.

Source: ISO/IEC 11172-3 and 13818-3 (headers); ID3v2.4 section 3.1; the Xing and Info tags as LAME
writes them (delay and padding: 12 bits each, 21 bytes behind the encoder's name).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from callreel.audio.reader import ByteReader, Window
from callreel.errors import Unplayable

_KBIT_MPEG1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBIT_MPEG2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES_HZ = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}
_MPEG1 = 3
_ROOMY_BITRATE = 8
_ENDLESS_FRAMES = 1 << 28
_MOST_JUNK_BYTES = 65536
_READ_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class FrameHeader:
    """The four bytes at the head of a frame, understood."""

    version: int
    rate_hz: int
    channels: int
    size_bytes: int
    """Of the whole frame."""
    frames: int
    """Of sound: 1152, or 576 in MPEG 2 and 2.5."""

    @property
    def tag_offset(self) -> int:
        """Where a Xing or Info tag begins: behind the side information."""
        if self.version == _MPEG1:
            return 21 if self.channels == 1 else 36
        return 13 if self.channels == 1 else 21

    def joins(self, other: FrameHeader) -> bool:
        """Whether both can be frames of one recording."""
        return (self.version, self.rate_hz, self.channels) == (
            other.version,
            other.rate_hz,
            other.channels,
        )


@dataclass(frozen=True, slots=True)
class Mp3Layout:
    """The frames of an MP3 file."""

    first: FrameHeader
    blocks: int
    """MPEG frames that hold sound."""
    spare_frames: int | None
    """Frames of sound at both ends that the encoder added; None where the file does not say."""
    junk_bytes: int
    """Between frames, passed over."""


@dataclass(frozen=True, slots=True)
class _Tag:
    size_bytes: int
    blocks: int | None
    delay: int | None
    padding: int


@lru_cache(maxsize=4096)
def parse_header(four: bytes) -> FrameHeader | None:
    """Understand the head of a layer III frame; None where it is none, or of no fixed bitrate."""
    if len(four) < 4 or four[0] != 0xFF or four[1] & 0xE6 != 0xE2:
        return None
    version, rate_index = four[1] >> 3 & 3, four[2] >> 2 & 3
    bitrate_index = four[2] >> 4
    if version == 1 or rate_index == 3 or not 0 < bitrate_index < 15:
        return None
    rate_hz = _RATES_HZ[version][rate_index]
    kbit = (_KBIT_MPEG1 if version == _MPEG1 else _KBIT_MPEG2)[bitrate_index]
    frames = 1152 if version == _MPEG1 else 576
    size_bytes = frames * kbit * 125 // rate_hz + (four[2] >> 1 & 1)
    return FrameHeader(version, rate_hz, 1 if four[3] >> 6 == 3 else 2, size_bytes, frames)


def starts_mp3(reader: ByteReader, offset: int) -> FrameHeader | None:
    """The first frame, where an MP3 stream begins here: a second one, or the end, must follow."""
    first = parse_header(reader.read_at(offset, 4))
    if first is None:
        return None
    follows = offset + first.size_bytes
    if follows >= reader.size:
        return first if follows == reader.size else None
    second = parse_header(reader.read_at(follows, 4))
    last = reader.read_at(follows, 3) == b"TAG"
    return first if last or (second is not None and second.joins(first)) else None


def parse_mp3(reader: ByteReader, offset: int) -> Mp3Layout:
    """Count the frames of an MP3 stream.

    Raises:
        Unplayable: No stream begins at ``offset``, or it holds no sound.

    Cost: one pass over the file.
    """
    first = starts_mp3(reader, offset)
    if first is None:
        raise Unplayable("The file does not begin with a whole MP3 frame.")
    tag = _tag(reader, offset, first)
    start = offset + (tag.size_bytes if tag else 0)
    walker = _Walker(reader, first)
    blocks = sum(1 for _ in walker.walk(start))
    if not blocks:
        raise Unplayable("The MP3 file holds no sound: it has no whole frame of it.")
    spare = None
    if tag is not None and tag.delay is not None and tag.blocks == blocks:
        spare = tag.delay + tag.padding
    return Mp3Layout(first, blocks, spare, walker.junk_bytes)


def mp3_window(reader: ByteReader, offset: int, size: int) -> Window:
    """The frames behind an Info frame of ours, as libsndfile is given them.

    Args:
        reader: Where the bytes are.
        offset: Of the first frame, which may be an Info frame of the file's own.
        size: From there to the end of the frames.

    Raises:
        Unplayable: There is no frame at ``offset``.
    """
    first = parse_header(reader.read_at(offset, 4))
    if first is None:
        raise Unplayable("The file does not begin with an MP3 frame.")
    tag = _tag(reader, offset, first)
    passed = tag.size_bytes if tag else 0
    delay = tag.delay or 0 if tag else 0
    prefix = _info_frame(reader.read_at(offset, 4), delay)
    return Window(reader, offset + passed, size - passed, prefix)


def _tag(reader: ByteReader, offset: int, first: FrameHeader) -> _Tag | None:
    """What the first frame says, where it is a Xing, Info or VBRI frame and holds no sound."""
    frame = reader.read_at(offset, first.size_bytes)
    if frame[36:40] == b"VBRI":
        return _Tag(first.size_bytes, None, None, 0)
    at = first.tag_offset
    if frame[at : at + 4] not in {b"Xing", b"Info"} or len(frame) < at + 8:
        return None
    flags = int.from_bytes(frame[at + 4 : at + 8], "big")
    place = at + 8
    blocks = None
    if flags & 1:
        blocks = int.from_bytes(frame[place : place + 4], "big")
        place += 4
    place += 4 * (flags >> 1 & 1) + 100 * (flags >> 2 & 1) + 4 * (flags >> 3 & 1)
    extra = frame[place : place + 24]
    if len(extra) < 24 or extra[0] == 0:
        return _Tag(first.size_bytes, blocks, None, 0)
    ends = int.from_bytes(extra[21:24], "big")
    return _Tag(first.size_bytes, blocks, ends >> 12, ends & 0xFFF)


def _info_frame(header: bytes, delay: int) -> bytes:
    """An Info frame that promises endless sound, after ``delay`` frames that are to be dropped."""
    head = bytes((header[0], header[1] | 1, _ROOMY_BITRATE << 4 | header[2] & 0x0C, header[3]))
    parsed = parse_header(head)
    if parsed is None:
        raise ValueError("not the header of a frame")
    tag = b"Info" + struct.pack(">II", 1, _ENDLESS_FRAMES // parsed.frames)
    encoder = b"LAME3.100".ljust(21, b"\0") + (delay << 12).to_bytes(3, "big")
    return (head.ljust(parsed.tag_offset, b"\0") + tag + encoder).ljust(parsed.size_bytes, b"\0")


class _Walker:
    """Goes from frame to frame and counts what lies between."""

    def __init__(self, reader: ByteReader, first: FrameHeader) -> None:
        self.junk_bytes = 0
        self._reader = reader
        self._first = first
        self._data = b""
        self._data_at = 0

    def walk(self, place: int) -> Iterator[FrameHeader]:
        """Every whole frame from here on; ends at the first long stretch that holds none."""
        end = self._reader.size
        while place + 4 <= end:
            header = self._header(place)
            if header is None:
                found = self._next(place)
                if found is None:
                    return
                self.junk_bytes += found - place
                place = found
            elif place + header.size_bytes > end:
                return
            else:
                yield header
                place += header.size_bytes

    def _header(self, place: int) -> FrameHeader | None:
        header = parse_header(self._bytes(place, 4))
        return header if header is not None and header.joins(self._first) else None

    def _next(self, place: int) -> int | None:
        """Where frames go on: two that follow each other, within reach."""
        stretch = self._reader.read_at(place, _MOST_JUNK_BYTES)
        at = stretch.find(b"\xff", 1)
        while at >= 0:
            header = self._header(place + at)
            if header is not None and self._header(place + at + header.size_bytes) is not None:
                return place + at
            at = stretch.find(b"\xff", at + 1)
        return None

    def _bytes(self, place: int, count: int) -> bytes:
        start = place - self._data_at
        if start < 0 or start + count > len(self._data):
            self._data = self._reader.read_at(place, _READ_BYTES)
            self._data_at, start = place, 0
        return self._data[start : start + count]
