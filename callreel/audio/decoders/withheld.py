"""What is masked is kept from decoders that would remember it: they are given nothing instead.

GSM, G.722 and the speech half of Opus predict from what they decoded before, and may never forget
it: behind a steady tone or digital silence two decoders that heard different things stay apart for
as long as it lasts, and in speech a hundredth of the level stays for seconds (measured by
``tests/audio/test_codec_memory.py``). No length of mask covers that. So the bytes of what is masked
are replaced before they are decoded, and what comes out is a function of the others alone.

Replaced is what begins within a masked interval, up to half of what is masked behind the span: that
also holds what an encoder had to say of the span when it was over, and leaves the other half for
the decoder to find its way back. MP3, Vorbis and IMA ADPCM forget within a bound, which is masked.
Source: threats.md T17.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import islice

from callreel.audio.codecs import CODECS
from callreel.audio.decoders.opus_packets import OpusWithheld
from callreel.audio.reader import ByteReader
from callreel.model import SourceFacts
from callreel.spans import Interval, Mask

_GSM_SILENCE = bytes.fromhex("d820a2e15a50004924924924500049249249245000492492492450004924924924")
_GSM_WAV_SILENCE = bytes.fromhex(
    "204817d684028024499224890280244992248902802449922489028024499224"
    "098274614d28004892244992280048922449922800489224499228004892244992"
)
_G722_SILENCE = b"\xff"
_SILENT_BLOCKS = {33: (_GSM_SILENCE, 160), 65: (_GSM_WAV_SILENCE, 320), 1: (_G722_SILENCE, 2)}
"""By the bytes of a block: what libgsm makes of digital silence, and the smallest step of G.722."""


def withheld(reader: ByteReader, facts: SourceFacts, mask: Mask) -> ByteReader:
    """The same file, without what is masked where its decoder would remember that.

    Args:
        reader: The file.
        facts: What was found at ingest.
        mask: As ``spans.mask_on_frames`` makes it, with these facts.

    Raises:
        ValueError: The channels are masked differently although they are coded together.
    """
    if not CODECS[facts.codec].memory_s:
        return reader
    if len(set(mask.channels)) > 1:
        raise ValueError("channels that are coded together cannot be masked one by one")
    intervals = [
        (start, end - facts.memory_frames // 2)
        for start, end in mask.channels[0]
        # What lasts to the end is followed by nothing that could tell of it.
        if end < facts.frames and end - facts.memory_frames // 2 > start
    ]
    if not intervals:
        return reader
    if facts.codec == "opus":
        return OpusWithheld(reader, facts, intervals)
    return _BlocksWithheld(reader, facts, intervals)


class _BlocksWithheld:
    """Blocks of equal size, of which those that begin in an interval are silent ones."""

    def __init__(
        self, reader: ByteReader, facts: SourceFacts, intervals: Sequence[Interval]
    ) -> None:
        self._reader = reader
        self._silence, frames = _SILENT_BLOCKS[facts.block_align]
        size, offset = facts.block_align, facts.data_offset
        self._stretches = [
            (offset + -(-start // frames) * size, offset + -(-end // frames) * size)
            for start, end in intervals
        ]

    @property
    def size(self) -> int:
        """As the file's."""
        return self._reader.size

    def read_at(self, offset: int, length: int) -> bytes:
        """As the file's, with silence where something is withheld."""
        data = bytearray(self._reader.read_at(offset, length))
        reached = bisect_right(self._stretches, offset, key=lambda stretch: stretch[1])
        for start, end in islice(self._stretches, reached, None):
            if start >= offset + len(data):
                break
            first, last = max(start, offset), min(end, offset + len(data))
            phase = (first - start) % len(self._silence)
            blocks = -(-(phase + last - first) // len(self._silence))
            silence = (self._silence * blocks)[phase : phase + last - first]
            data[first - offset : last - offset] = silence
        return bytes(data)
