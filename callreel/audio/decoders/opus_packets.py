"""Ogg Opus in which some packets are replaced by lost ones of the same size and length.

A packet of frames without bytes is one that was lost on its way: the decoder bridges it from what
it has. Size, place and time of every packet stay, so nothing else in the file changes but the
checksums of pages.

Source: RFC 3533 section 6 (pages); RFC 7845 section 4 (positions, pre-skip) and 5.1 (OpusHead);
RFC 6716 section 3 (packets), 3.2.5 (padding), 3.2.1 (frames without bytes).
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

from callreel.audio.encoders.ogg import FIRST, LAST, ogg_crc
from callreel.audio.reader import ByteReader
from callreel.model import SourceFacts
from callreel.spans import Interval

_OPUS_HZ = 48000
_HEAD_BYTES = 27
_CONTINUED = 1
_HEADER_PACKETS = 2
_MOST_SKIPPED = 0xFFFF
"""Samples at the start that are not heard: two bytes in OpusHead."""
_MOST_SAMPLES = 5760
"""Of a packet: 120 ms."""
_READ_BYTES = 1 << 18
_LOST_FRAMES = {120: 16, 240: 17, 480: 18, 960: 19}
"""Samples of a frame and the configuration that has them: CELT, the narrowest."""
_LOST_ALONE = {
    **{samples: config << 3 for samples, config in _LOST_FRAMES.items()},
    1920: 2 << 3,
    2880: 3 << 3,
    3840: 2 << 3 | 1,
    5760: 3 << 3 | 1,
}
"""Samples of a packet of one byte, which has one or two frames, and that byte."""
_STEREO = 4
_FRAME_SAMPLES = (
    *(480, 960, 1920, 2880) * 3,
    *(480, 960) * 2,
    *(120, 240, 480, 960) * 4,
)
"""Of a frame, by the configuration in a packet's first byte."""


@dataclass(slots=True)
class _Page:
    """A page of the stream, as stored."""

    offset: int
    data: bytes
    lost: list[tuple[int, bytes]] = field(default_factory=list)
    """What is written into it: places from its start."""

    @property
    def flags(self) -> int:
        return self.data[5]

    @property
    def granule(self) -> int:
        found: int = struct.unpack_from("<q", self.data, 6)[0]
        return found

    @property
    def stream(self) -> tuple[int, int]:
        """Serial number of the stream and number of the page."""
        serial, number = struct.unpack_from("<II", self.data, 14)
        return int(serial), int(number)

    def rewrite(self) -> None:
        """Write into it what is lost, and a checksum that fits."""
        page = bytearray(self.data)
        for place, part in self.lost:
            page[place : place + len(part)] = part
        page[22:26] = bytes(4)
        page[22:26] = struct.pack("<I", ogg_crc(bytes(page)))
        self.data = bytes(page)
        self.lost.clear()


@dataclass(slots=True)
class _Packet:
    """Where a packet lies: parts of pages, in order."""

    parts: list[tuple[_Page, int, int]] = field(default_factory=list)
    """Page, place from its start, size."""

    @property
    def head(self) -> bytes:
        """Its first two bytes, or what there is of them."""
        found = b""
        for page, place, size in self.parts:
            found += page.data[place : place + min(size, 2)]
        return found[:2]

    @property
    def size(self) -> int:
        return sum(size for _, _, size in self.parts)

    def lose(self, samples: int, channels: int) -> None:
        """Write a lost packet over it."""
        lost, taken = lost_packet(self.size, samples, channels), 0
        for page, place, size in self.parts:
            page.lost.append((place, lost[taken : taken + size]))
            taken += size


class OpusWithheld:
    """An Ogg Opus file of which the packets that begin in some intervals are lost ones.

    What is behind a fault it cannot follow, and decoders are not given: ``whole_bytes`` says how
    far a stream is whole, and a probe cuts it there.

    Args:
        reader: The file.
        facts: What was found at ingest.
        intervals: In frames of the recording, sorted, disjoint.

    Cost: the file is read once more, up to the end of the last interval.
    """

    def __init__(
        self, reader: ByteReader, facts: SourceFacts, intervals: Sequence[Interval]
    ) -> None:
        self._reader = reader
        self._facts = facts
        self._intervals = intervals
        self._pages: list[_Page] | None = None

    @property
    def size(self) -> int:
        """As the file's."""
        return self._reader.size

    def read_at(self, offset: int, length: int) -> bytes:
        """As the file's, with lost packets where something is withheld."""
        if self._pages is None:
            self._pages = self._changed()
        data = bytearray(self._reader.read_at(offset, length))
        reached = bisect_right(self._pages, offset, key=lambda page: page.offset + len(page.data))
        for page in islice(self._pages, reached, None):
            if page.offset >= offset + len(data):
                break
            first = max(page.offset, offset)
            last = min(page.offset + len(page.data), offset + len(data))
            part = page.data[first - page.offset : last - page.offset]
            data[first - offset : last - offset] = part
        return bytes(data)

    def _changed(self) -> list[_Page]:
        changed: dict[int, _Page] = {}
        factor = _OPUS_HZ // self._facts.rate_hz
        # A packet that comes out a part of a frame too early is left; those that come out before
        # the first frame of a recording, and are skipped, are part of what is masked there.
        spans = deque(
            ((start + 1) * factor if start else -_MOST_SKIPPED, end * factor)
            for start, end in self._intervals
        )
        reader = _Ahead(self._reader)
        for packet, place, samples in _packets(reader, self._facts.data_offset):
            while spans and spans[0][1] <= place:
                spans.popleft()
            if not spans:
                break
            if spans[0][0] <= place:
                packet.lose(samples, self._facts.channels)
                changed.update((page.offset, page) for page, _, _ in packet.parts)
        for page in changed.values():
            page.rewrite()
        return list(changed.values())


def whole_bytes(reader: ByteReader, offset: int) -> int:
    """Bytes of a stream in front of the first fault; all of it where there is none.

    A fault is whatever the packets cannot be followed over: a page that is damaged, missing or of
    another stream, bytes between pages, a packet without sound, pages behind the last.

    Args:
        reader: The file.
        offset: Where the stream begins.
    """
    end, number = offset, 0
    for page, packets in _pages_with_packets(_Ahead(reader), offset):
        for packet in packets:
            number += 1
            if number > _HEADER_PACKETS and not packet_samples(packet.head):
                return end - offset
        end = page.offset + len(page.data)
    return end - offset


class _Ahead:
    """Reads far ahead: pages are small, and a store may be far away."""

    def __init__(self, reader: ByteReader) -> None:
        self._reader = reader
        self._data = b""
        self._at = 0

    def read_at(self, offset: int, length: int) -> bytes:
        """As ``ByteReader.read_at``."""
        start = offset - self._at
        if start < 0 or start + length > len(self._data):
            self._data = self._reader.read_at(offset, max(length, _READ_BYTES))
            self._at, start = offset, 0
        return self._data[start : start + length]


def _packets(reader: _Ahead, offset: int) -> Iterator[tuple[_Packet, int, int]]:
    """Each packet of sound, at which sample of 48,000 a second it comes out, and its samples."""
    place: int | None = None
    skipped = number = 0
    for page, packets in _pages_with_packets(reader, offset):
        sound = []
        for packet in packets:
            number += 1
            if number == 1:
                head = page.data[-packet.size :]
                if head[:8] != b"OpusHead" or len(head) < 19 or head[18]:
                    return
                skipped = int.from_bytes(head[10:12], "little")
            elif number > _HEADER_PACKETS:
                sound.append((packet, packet_samples(packet.head)))
        if sound and place is None:
            # A stream that was cut out of a longer one begins later, and has been skipped into.
            begins = page.granule - sum(samples for _, samples in sound)
            place = -max(0, skipped - (0 if page.flags & LAST else max(0, begins)))
        for packet, samples in sound:
            if place is None or not samples:
                return
            yield packet, place, samples
            place += samples


def _pages_with_packets(reader: _Ahead, offset: int) -> Iterator[tuple[_Page, list[_Packet]]]:
    """Each page with the packets that end on it, up to the first that is not whole or in order."""
    stream: tuple[int, int] | None = None
    open_packet = _Packet()
    while True:
        page = _page(reader, offset)
        if page is None:
            return
        serial, number = page.stream
        continues = bool(page.flags & _CONTINUED)
        if stream is None:
            if not page.flags & FIRST:
                return
        elif (serial, number) != stream or continues != bool(open_packet.parts):
            return
        stream = (serial, number + 1)
        finished = []
        place = _HEAD_BYTES + page.data[26]
        for size in page.data[_HEAD_BYTES:place]:
            open_packet.parts.append((page, place, size))
            place += size
            if size < 255:
                finished.append(open_packet)
                open_packet = _Packet()
        yield page, finished
        if page.flags & LAST:
            return
        offset += len(page.data)


def _page(reader: _Ahead, offset: int) -> _Page | None:
    head = reader.read_at(offset, _HEAD_BYTES + 255)
    if len(head) < _HEAD_BYTES or head[:5] != b"OggS\0":
        return None
    lacing = head[_HEAD_BYTES : _HEAD_BYTES + head[26]]
    size = _HEAD_BYTES + head[26] + sum(lacing)
    data = reader.read_at(offset, size)
    if len(lacing) != head[26] or len(data) != size:
        return None
    zeroed = data[:22] + bytes(4) + data[26:]
    return _Page(offset, data) if data[22:26] == struct.pack("<I", ogg_crc(zeroed)) else None


def packet_samples(head: bytes) -> int:
    """Samples of a packet, 48,000 a second; 0 where it is none.

    Args:
        head: Its first two bytes; fewer where it has fewer.
    """
    if not head:
        return 0
    frame, code = _FRAME_SAMPLES[head[0] >> 3], head[0] & 3
    if code < 3:
        return frame * min(code + 1, 2)
    samples = frame * (head[1] & 63) if len(head) > 1 else 0
    return samples if samples <= _MOST_SAMPLES else 0


@lru_cache(maxsize=256)
def lost_packet(size: int, samples: int, channels: int) -> bytes:
    """A packet of frames without bytes.

    It depends on nothing but its size and length, so that it does not tell what was there.

    Args:
        size: In bytes, 1 or more.
        samples: As ``packet_samples`` gives them for a packet of that size.
        channels: Of the recording.
    """
    stereo = _STEREO if channels == 2 else 0
    if size == 1:
        return bytes([_LOST_ALONE[samples] | stereo])
    frame = next(frame for frame in sorted(_LOST_FRAMES, reverse=True) if samples % frame == 0)
    start, count = _LOST_FRAMES[frame] << 3 | stereo | 3, samples // frame
    if size == 2:
        return bytes([start, count])
    # Padding, whose length is told in bytes of which 255 stands for 254 and one more byte.
    more, last = divmod(size - 3, 255)
    return bytes([start, count | 0x40, *[255] * more, last]).ljust(size, b"\0")
