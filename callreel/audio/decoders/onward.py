"""Random access over decoders that only go forward.

What such a decoder gives for a frame depends on all that it decoded before, so it always decodes
from the first frame: a jump forward decodes what lies between and drops it, a jump backward opens
it again. The same frame is therefore the same sample, however the recording was read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from callreel.audio.blocks import RawBlock, Samples
from callreel.errors import Unplayable
from callreel.model import SourceFacts
from callreel.wording import to_translate

_SKIP_FRAMES = 16384


class Decoder(Protocol):
    """One pass over a recording, from its first frame."""

    def read(self, count: int) -> Samples:
        """The next ``count`` frames; fewer only at the end.

        Raises:
            Unplayable: What follows cannot be decoded.
        """

    def close(self) -> None:
        """Give everything back; closing twice is allowed."""


class OnwardSource:
    """Sound behind a decoder with a memory.

    Args:
        facts: What was found at ingest.
        begin: Opens the decoder at the first frame.

    Cost: a jump costs the decoding of everything before its target, in blocks.
    """

    def __init__(self, facts: SourceFacts, begin: Callable[[], Decoder]) -> None:
        self.facts = facts
        self._begin = begin
        self._decoder: Decoder | None = None
        self._at = 0

    def read(self, start: int, count: int) -> RawBlock:
        """Frames [start, start + count), which must lie inside the recording.

        Raises:
            Unplayable: The stored bytes are not what they were at ingest.
        """
        if start < self._at:
            self.close()
        while self._at < start:
            self._next(min(_SKIP_FRAMES, start - self._at))
        return RawBlock(self._next(count), self.facts.rate_hz)

    def close(self) -> None:
        """Close the decoder; a later read opens it again."""
        decoder, self._decoder, self._at = self._decoder, None, 0
        if decoder is not None:
            decoder.close()

    def _next(self, count: int) -> Samples:
        if self._decoder is None:
            self._decoder = self._begin()
        parts = []
        while count > 0:
            part = self._decoder.read(count)
            if not len(part):
                self.close()
                raise Unplayable(
                    to_translate("The stored sound is shorter than it was when it was imported.")
                )
            self._at += len(part)
            count -= len(part)
            parts.append(part)
        if len(parts) == 1:
            return parts[0]
        return np.concatenate(parts) if parts else np.zeros((0, self.facts.channels), np.int16)
