"""A recording whose packets tell of other speech within a span, and of nothing else.

What a packet tells of is what its encoder can have looked at: a block, the window around it, or the
frames ahead. Packets that tell of a frame in the span come from another recording; every other byte
of sound stays.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

from callreel.audio.decoders.opus_packets import packet_samples
from callreel.audio.encoders.ogg import LAST, ogg_crc, ogg_page
from callreel.audio.mp3 import parse_header
from tests.audio.codec_files import Stored

Part = tuple[int, int, int, int]
"""Offset and size in bytes, and the frames [first, last) of which they tell."""

_G722_TAPS = 22
"""Frames that the filter of a G.722 encoder still holds."""
_DECODER_DELAY = 529
_LAYER_III_WINDOW = 1632
"""What one granule of MP3 is made of: two overlapping blocks of 576 behind 480 of a filter bank."""
_PACKETS_OF_A_PAGE = 50


def spliced(
    stored: Stored, other: Stored, start: int, end: int, channel: int | None = None
) -> Stored:
    """A recording with what tells of frames [start, end) taken from another one.

    Args:
        stored: Most of what comes out.
        other: Made in the same way from sound of the same length.
        start: First frame.
        end: Behind the last one.
        channel: Only what tells of this channel; for codecs whose bytes belong to one.
    """
    facts = stored.facts
    if facts.codec == "opus":
        data = _spliced_opus(stored, other, start, end)
        return Stored(data, replace(facts, data_size=len(data)))
    if facts.codec == "vorbis":
        return Stored(_spliced_vorbis(stored, other, start, end), facts)
    mixed = bytearray(stored.data)
    if len(other.data) != len(mixed):
        raise AssertionError("recordings of other sizes")
    for offset, size, first, last in _parts(stored, channel):
        if first < end and last > start:
            mixed[offset : offset + size] = other.data[offset : offset + size]
    return Stored(bytes(mixed), facts)


def _parts(stored: Stored, channel: int | None) -> Iterator[Part]:
    facts = stored.facts
    if facts.codec == "mp3":
        yield from _mp3_parts(stored)
        return
    if facts.codec == "ima_adpcm":
        yield from _ima_parts(stored, channel)
        return
    size = facts.block_align
    frames = facts.frames * size // facts.data_size
    behind = _G722_TAPS if facts.codec == "g722" else 0
    for number in range(facts.data_size // size):
        first = number * frames
        yield facts.data_offset + number * size, size, first - behind, first + frames


def _mp3_parts(stored: Stored) -> Iterator[Part]:
    data, offset = stored.data, stored.facts.data_offset
    head = parse_header(data[offset : offset + 4])
    assert head is not None
    # An Info frame by FFmpeg; its delay stands 141 bytes behind its name.
    info = data.index(b"Info", offset, offset + head.size_bytes)
    delay = int.from_bytes(data[info + 141 : info + 144], "big") >> 12
    first = -_DECODER_DELAY - delay
    offset += head.size_bytes
    while (head := parse_header(data[offset : offset + 4])) is not None:
        window = _LAYER_III_WINDOW + head.frames - 576
        yield offset, head.size_bytes, first, first + window
        offset += head.size_bytes
        first += head.frames


def _ima_parts(stored: Stored, channel: int | None) -> Iterator[Part]:
    """Byte by byte: the head of a block tells of its first frame, each other byte of two."""
    facts = stored.facts
    channels, size = facts.channels, facts.block_align
    block_frames = (size - 4 * channels) * 2 // channels + 1
    for number in range(facts.data_size // size):
        block, frame = facts.data_offset + number * size, number * block_frames
        for side in range(channels):
            if channel in {None, side}:
                yield block + 4 * side, 4, frame, frame + 1
        for place in range(4 * channels, size):
            word, byte = divmod(place - 4 * channels, 4)
            group, side = divmod(word, channels)
            if channel in {None, side}:
                first = frame + 1 + 8 * group + 2 * byte
                yield block + place, 1, first, first + 2


def pages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Offset, offset of the body, and lacing of each page of an Ogg file."""
    offset = 0
    while offset < len(data):
        assert data[offset : offset + 4] == b"OggS"
        body = offset + 27 + data[offset + 26]
        lacing = data[offset + 27 : body]
        yield offset, body, lacing
        offset = body + sum(lacing)


def packets(data: bytes) -> list[bytes]:
    """The packets of an Ogg file."""
    found, begun = [], b""
    for _, place, lacing in pages(data):
        at = place
        for size in lacing:
            begun += data[at : at + size]
            at += size
            if size < 255:
                found.append(begun)
                begun = b""
    return found


def repaged(data: bytes, sound: list[bytes], per_page: int = _PACKETS_OF_A_PAGE) -> bytes:
    """An Ogg Opus file with other packets of sound, in new pages, that ends where the first did."""
    head, tags, *_ = packets(data)
    *_, (last, _, _) = pages(data)
    (end,) = struct.unpack_from("<q", data, last + 6)
    made = [
        ogg_page([head], granule=0, serial=9, sequence=0, flags=2),
        ogg_page([tags], granule=0, serial=9, sequence=1),
    ]
    granule = 0
    for start in range(0, len(sound), per_page):
        group = sound[start : start + per_page]
        granule += sum(packet_samples(packet[:2]) for packet in group)
        ends = start + per_page >= len(sound)
        made.append(
            ogg_page(
                group,
                granule=end if ends else granule,
                serial=9,
                sequence=len(made),
                flags=LAST if ends else 0,
            )
        )
    return b"".join(made)


def _spliced_opus(stored: Stored, other: Stored, start: int, end: int) -> bytes:
    head, _, *sound = packets(stored.data)
    skipped = int.from_bytes(head[10:12], "little")
    factor = 48000 // stored.facts.rate_hz
    place = 0
    mixed = []
    for mine, others in zip(sound, packets(other.data)[2:], strict=True):
        samples = packet_samples(mine[:2])
        # It comes out ``skipped`` later than its encoder had looked at it.
        tells = place - skipped < end * factor and place + samples > start * factor
        mixed.append(others if tells else mine)
        place += samples
    return repaged(stored.data, mixed)


def _spliced_vorbis(stored: Stored, other: Stored, start: int, end: int) -> bytes:
    """In place, since a page says how far its packets reach; cut or filled to the size."""
    mine, others = packets(stored.data), packets(other.data)
    sizes = 1 << (mine[0][28] & 15), 1 << (mine[0][28] >> 4)
    blocks = [sizes[packet[0] >> 1 & 1] for packet in mine[3:]]
    mixed, centre = mine[:3], 0
    for number, (packet, block) in enumerate(zip(mine[3:], blocks, strict=True)):
        if number:
            centre += (blocks[number - 1] + block) // 4
        tells = centre - block // 2 < end and centre + block // 2 > start
        other_packet = others[3 + number] if 3 + number < len(others) else b""
        mixed.append(_vorbis_packet(packet, other_packet) if tells else packet)
    body = b"".join(mixed)
    data, taken = bytearray(stored.data), 0
    for offset, place, lacing in pages(stored.data):
        size = sum(lacing)
        data[place : place + size] = body[taken : taken + size]
        taken += size
        data[offset + 22 : offset + 26] = bytes(4)
        crc = ogg_crc(bytes(data[offset : place + size]))
        data[offset + 22 : offset + 26] = struct.pack("<I", crc)
    return bytes(data)


def _vorbis_packet(packet: bytes, other: bytes) -> bytes:
    """Of other sound, but of the same block and windows; else the whole recording would shift."""
    if len(packet) < 2:
        return packet
    if not other or packet[0] & 15 != other[0] & 15:
        other = bytes(byte ^ 0x5A for byte in packet)
    first = packet[0] & 15 | other[0] & 0xF0
    return (bytes([first]) + other[1:])[: len(packet)].ljust(len(packet), b"\0")
