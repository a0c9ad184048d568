"""Opus in Ogg at a hard constant rate, in independent segments of ten pages of one second.

Source: audio.md section 4; RFC 6716; RFC 7845 for the headers and the granule position.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import pairwise

from callreel.audio.blocks import SafeBytes
from callreel.audio.encoders.libopus import OpusEncoder
from callreel.audio.encoders.ogg import FIRST, LAST, ogg_page
from callreel.audio.masked import SafeSound
from callreel.audio.virtual import Part

REVISION = "opus1"
"""Grows with any change of the bytes that this module asks for."""
RATES = (8000, 12000, 16000, 24000, 48000)
"""The encoder's own rates; a decoder gives 48 kHz."""

_PACKETS_PER_PAGE = 50
_PAGES_PER_SEGMENT = 10
_WARM_PACKETS = 10
"""200 ms, encoded before each segment and dropped. Source: audio.md section 4."""
_PRE_SKIP = 120
"""Lookahead of CELT alone, 2.5 ms at 48 kHz."""
_TICKS = 960
"""Granules of a packet of 20 ms."""
_PAGE_HEADER = 27
_VENDOR = b"callreel"


def _packet_bytes(rate_hz: int, channels: int) -> int:
    """20 ms. Stereo below 24 kbit/s collapses to mono; below 255 a packet has one lacing value.

    Source: audio.md section 2, encoder settings.
    """
    mono, stereo = (24, 40) if rate_hz <= 8000 else (32, 56) if rate_hz <= 16000 else (64, 96)
    return (mono if channels == 1 else stereo) * 1000 // 8 // 50


def _ticks(rate_hz: int, frames: int) -> int:
    return frames * (48000 // rate_hz)


def _packets(rate_hz: int, frames: int) -> int:
    return -(-(_PRE_SKIP + _ticks(rate_hz, frames)) // _TICKS)


def _head(rate_hz: int, channels: int, serial: int) -> bytes:
    head = struct.pack("<8sBBHIhB", b"OpusHead", 1, channels, _PRE_SKIP, rate_hz, 0, 0)
    tags = struct.pack("<8sI", b"OpusTags", len(_VENDOR)) + _VENDOR + struct.pack("<I", 0)
    return ogg_page([head], granule=0, serial=serial, sequence=0, flags=FIRST) + ogg_page(
        [tags], granule=0, serial=serial, sequence=1
    )


def opus_size(rate_hz: int, frames: int, channels: int) -> int:
    """Bytes of a whole Ogg Opus file.

    Args:
        rate_hz: One of ``RATES``.
        frames: Length at that rate.
        channels: 1 or 2.
    """
    packets = _packets(rate_hz, frames)
    pages = -(-packets // _PACKETS_PER_PAGE)
    sound = packets * (_packet_bytes(rate_hz, channels) + 1) + pages * _PAGE_HEADER
    return len(_head(rate_hz, channels, 0)) + sound


class OpusSegments:
    """An Ogg Opus file in segments of ten seconds.

    Args:
        sound: At one of ``RATES``.
        serial: Of the stream, 32 bits; the same for the same output, for its bytes are compared.
    """

    def __init__(self, sound: SafeSound, serial: int) -> None:
        self._sound = sound
        self._serial = serial
        self._packet_bytes = _packet_bytes(sound.rate_hz, sound.channels)
        self._packets = _packets(sound.rate_hz, sound.frames)
        self.size = opus_size(sound.rate_hz, sound.frames, sound.channels)
        self.header = SafeBytes(_head(sound.rate_hz, sound.channels, serial))
        page = _PAGE_HEADER + _PACKETS_PER_PAGE * (1 + self._packet_bytes)
        self.segment_size = _PAGES_PER_SEGMENT * page

    def segment(self, index: int) -> Iterator[Part]:
        """The pages of one segment, from an encoder of its own."""
        first = index * _PAGES_PER_SEGMENT * _PACKETS_PER_PAGE
        end = min(first + _PAGES_PER_SEGMENT * _PACKETS_PER_PAGE, self._packets)
        edges = [*range(first, end, _PACKETS_PER_PAGE), end]
        with OpusEncoder(self._sound.rate_hz, self._sound.channels, self._packet_bytes) as encoder:
            self._encode(encoder, max(0, first - _WARM_PACKETS), first)
            for begin, stop in pairwise(edges):
                packets = self._encode(encoder, begin, stop)
                yield Part(SafeBytes(self._page(packets, begin, stop)), (stop - begin) / 50)

    def _encode(self, encoder: OpusEncoder, first: int, end: int) -> list[bytes]:
        size = self._sound.rate_hz // 50
        samples = self._sound.read(first * size, (end - first) * size).samples
        return [encoder.encode(samples[at : at + size]) for at in range(0, len(samples), size)]

    def _page(self, packets: list[bytes], begin: int, stop: int) -> bytes:
        is_last = stop == self._packets
        # RFC 7845 section 4: the last page's position cuts the padding off.
        length = _PRE_SKIP + _ticks(self._sound.rate_hz, self._sound.frames)
        return ogg_page(
            packets,
            granule=length if is_last else stop * _TICKS,
            serial=self._serial,
            sequence=2 + begin // _PACKETS_PER_PAGE,
            flags=LAST if is_last else 0,
        )
