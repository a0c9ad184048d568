"""How far a FLAC is whole: frames that follow each other without a gap, a repeat or damage.

libFLAC seeks by the number in a frame's header, and reads onward by counting what it decoded. In a
stream whose numbers are not gapless the same position is one sound or another, depending on how it
was reached, and a mask would lie on the wrong one. So it is given nothing behind the first fault.

Source: RFC 9639 section 8 (metadata), 9.1 (frame header), 9.3 (footer).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from callreel.audio.reader import ByteReader

_MAGIC = b"fLaC"
_STREAM_INFO_BYTES = 34
_LAST_BLOCK = 0x80
_LEAST_FRAME_BYTES = 8
_MOST_HEADER_BYTES = 16


@dataclass(frozen=True, slots=True)
class _Stream:
    """What STREAMINFO tells of every frame."""

    most_block: int
    channels: int
    bits: int

    @property
    def most_frame_bytes(self) -> int:
        """Longer than a frame whose samples are all stored as they are."""
        # A side channel has a bit more; each subframe has a header.
        return _MOST_HEADER_BYTES + self.channels * (8 + self.most_block * (self.bits + 1) // 8 + 8)


@dataclass(frozen=True, slots=True)
class _Header:
    """The header of a frame."""

    by_sample: bool
    """It is numbered by its first sample, as blocks of changing size are; else by frame."""
    number: int
    block: int


def whole_bytes(reader: ByteReader, offset: int) -> int:
    """Bytes of the stream in front of the first fault; all of it where there is none.

    Args:
        reader: The file.
        offset: Where the stream begins.

    Cost: reads the file about twice, a frame at a time.
    """
    found = _stream(reader, offset)
    if found is None:
        # Without a frame there is nothing that could be at two places.
        return reader.size - offset
    stream, place = found
    reach = stream.most_frame_bytes
    data = reader.read_at(place, reach + _MOST_HEADER_BYTES)
    if not data:
        return place - offset
    header = _header(data, 0)
    if header is None or header.number:
        # A piece of a longer stream: its numbers are not positions in it.
        return 0
    while True:
        following = _following(data, header, reach)
        if following is None:
            at_end = place + len(data) >= reader.size
            others = any(True for _ in _headers(data, header, reach))
            return (reader.size if at_end and not others else place) - offset
        step, header_there = following
        if header_there is None:
            return place + step - offset
        place, header = place + step, header_there
        data = reader.read_at(place, reach + _MOST_HEADER_BYTES)


def _following(data: bytes, header: _Header, reach: int) -> tuple[int, _Header | None] | None:
    """Where the frame at the start of ``data`` ends, and the next one's header.

    None for the header: another frame begins there than the one that should. None at all: there is
    no border that can be vouched for.
    """
    expected = header.number + (header.block if header.by_sample else 1)
    for place, other in _headers(data, header, reach):
        if _crc16(data[:place]) == 0:
            return place, other if other.number == expected else None
    return None


def _headers(data: bytes, header: _Header, reach: int) -> Iterator[tuple[int, _Header]]:
    """Everything behind the first frame that looks like a header of its stream."""
    sync = b"\xff\xf9" if header.by_sample else b"\xff\xf8"
    place = data.find(sync, _LEAST_FRAME_BYTES)
    while 0 <= place <= reach:
        other = _header(data, place)
        if other is not None:
            yield place, other
        place = data.find(sync, place + 1)


def _stream(reader: ByteReader, offset: int) -> tuple[_Stream, int] | None:
    """What STREAMINFO tells, and where the first frame begins."""
    head = reader.read_at(offset, len(_MAGIC) + 4 + _STREAM_INFO_BYTES)
    if len(head) < len(_MAGIC) + 4 + _STREAM_INFO_BYTES:
        return None
    info = head[8:]
    packed = int.from_bytes(info[10:18], "big")
    stream = _Stream(
        most_block=int.from_bytes(info[2:4], "big"),
        channels=(packed >> 41 & 7) + 1,
        bits=(packed >> 36 & 31) + 1,
    )
    place = offset + len(_MAGIC)
    while True:
        block = reader.read_at(place, 4)
        if len(block) < 4:
            return None
        place += 4 + int.from_bytes(block[1:], "big")
        if block[0] & _LAST_BLOCK:
            return stream, place


def _header(data: bytes, place: int) -> _Header | None:
    """The header at a place; None where there is none whose checksum is right."""
    head = data[place : place + _MOST_HEADER_BYTES]
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8 or head[3] & 1:
        return None
    block_code, rate_code = head[2] >> 4, head[2] & 15
    if not block_code or rate_code == 15 or head[3] >> 4 > 10:
        return None
    number, at = _number(head, 4)
    if number is None:
        return None
    block = _BLOCKS.get(block_code, 0)
    if block_code in {6, 7}:
        size = block_code - 5
        block = int.from_bytes(head[at : at + size], "big") + 1
        at += size
    at += {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    if at >= len(head) or _crc8(head[:at]) != head[at]:
        return None
    return _Header(bool(head[1] & 1), number, block)


_BLOCKS = {
    1: 192,
    **{code: 576 << code - 2 for code in range(2, 6)},
    **{code: 256 << code - 8 for code in range(8, 16)},
}
"""Samples of a block by its code; 6 and 7 stand for a number that follows."""


def _number(head: bytes, at: int) -> tuple[int | None, int]:
    """A number that is written as UTF-8 writes letters, and where it ends."""
    first = head[at]
    if first < 0x80:
        return first, at + 1
    size = next((size for size in range(2, 8) if first >> (7 - size) & 1 == 0), 8)
    if first & 0xC0 == 0x80 or size > 7 or at + size > len(head):
        return None, at
    value = first & (0x7F >> size)
    for byte in head[at + 1 : at + size]:
        if byte & 0xC0 != 0x80:
            return None, at
        value = value << 6 | byte & 0x3F
    return value, at + size


def _table(polynomial: int, bits: int) -> tuple[int, ...]:
    top, mask = 1 << bits - 1, (1 << bits) - 1
    found = []
    for byte in range(256):
        value = byte << bits - 8
        for _ in range(8):
            value = (value << 1 ^ polynomial if value & top else value << 1) & mask
        found.append(value)
    return tuple(found)


_TABLE_8, _TABLE_16 = _table(0x07, 8), _table(0x8005, 16)


def _crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value = _TABLE_8[value ^ byte]
    return value


def _crc16(data: bytes) -> int:
    """Of a whole frame with its footer it is 0."""
    value, table = 0, _TABLE_16
    for byte in data:
        value = (value << 8 & 0xFF00) ^ table[value >> 8 ^ byte]
    return value
