"""Ogg pages. Source: RFC 3533 section 6."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

FIRST, LAST = 2, 4
"""Flags of a page."""

_MIRROR = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ogg_crc(data: bytes) -> int:
    """The checksum of Ogg, polynomial 0x04C11DB7 from the highest bit.

    zlib has the same polynomial from the lowest bit, with both ends inverted, so mirrored bytes go
    in, and its result is inverted and mirrored: at the speed of C.
    """
    mirrored = zlib.crc32(data.translate(_MIRROR), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(_MIRROR), "big")


def ogg_page(
    packets: Sequence[bytes], *, granule: int, serial: int, sequence: int, flags: int = 0
) -> bytes:
    """One page of whole packets.

    Args:
        packets: Together at most 255 lacing values.
        granule: Position at the end of the page.
        serial: Of the stream.
        sequence: Number of the page.
        flags: ``FIRST``, ``LAST``, both or none.
    """
    lacing = b"".join(b"\xff" * (len(p) // 255) + bytes([len(p) % 255]) for p in packets)
    head = struct.pack("<4sBBqII", b"OggS", 0, flags, granule, serial, sequence)
    tail = bytes([len(lacing)]) + lacing + b"".join(packets)
    crc = ogg_crc(head + bytes(4) + tail)
    return head + struct.pack("<I", crc) + tail
