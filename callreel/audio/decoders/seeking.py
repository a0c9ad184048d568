"""Random access over decoders whose blocks stand for themselves: FLAC and IMA ADPCM."""

from __future__ import annotations

from callreel.audio.blocks import RawBlock
from callreel.audio.decoders.sndfile import SndfileDecoder
from callreel.audio.reader import ByteReader
from callreel.errors import Unplayable
from callreel.model import SourceFacts
from callreel.wording import to_translate


class SeekingSource:
    """Sound at any place of which a decoder can begin.

    Args:
        reader: Where the bytes are; stays open, and its owner closes it.
        facts: What was found at ingest.
    """

    def __init__(self, reader: ByteReader, facts: SourceFacts) -> None:
        self.facts = facts
        self._reader = reader
        self._decoder: SndfileDecoder | None = None
        self._at = 0

    def read(self, start: int, count: int) -> RawBlock:
        """Frames [start, start + count), which must lie inside the recording.

        Raises:
            Unplayable: The stored bytes are not what they were at ingest.
        """
        if self._decoder is None:
            self._decoder, self._at = SndfileDecoder(self._reader, self.facts), 0
        try:
            if start != self._at:
                self._decoder.seek(start)
            samples = self._decoder.read(count)
        except BaseException:
            self.close()
            raise
        if len(samples) != count:
            self.close()
            raise Unplayable(
                to_translate("The stored sound is shorter than it was when it was imported.")
            )
        self._at = start + count
        return RawBlock(samples, self.facts.rate_hz)

    def close(self) -> None:
        """Close the decoder; a later read opens it again."""
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            decoder.close()
