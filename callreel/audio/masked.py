"""Masked sound at any position: what encoders read, instead of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from callreel.audio.blocks import SafeBlock
from callreel.audio.obfuscate import derive, mask_for_output, obfuscate, select_channels
from callreel.model import OutputChannels, SourceFacts
from callreel.spans import Mask

if TYPE_CHECKING:
    from callreel.audio.sources import Source


class SafeSound(Protocol):
    """Masked sound, readable anywhere: a pure function of source, mask and position."""

    @property
    def rate_hz(self) -> int:
        """Frames per second."""
        ...

    @property
    def channels(self) -> int:
        """1 or 2."""
        ...

    @property
    def frames(self) -> int:
        """Length."""
        ...

    def read(self, start: int, count: int) -> SafeBlock:
        """Exactly ``count`` frames from ``start``; what lies outside the recording is silence.

        Must give the same samples for the same frame however it is cut.
        """
        ...


def output_channels(facts: SourceFacts, chosen: OutputChannels) -> int:
    """How many channels an output has, 1 or 2."""
    return 2 if facts.channels == 2 and chosen is OutputChannels.BOTH else 1


class MaskedSound:
    """The chosen channels of a source, masked first and chosen from after that."""

    def __init__(self, source: Source, mask: Mask, chosen: OutputChannels) -> None:
        self._source = source
        self._mask = mask_for_output(mask, chosen)
        self._chosen = chosen
        self.rate_hz = source.facts.rate_hz
        self.channels = output_channels(source.facts, chosen)
        self.frames = source.facts.frames

    def read(self, start: int, count: int) -> SafeBlock:
        """As ``SafeSound.read``.

        Raises:
            Unavailable, Unplayable: The source cannot give them.
        """
        first = min(max(start, 0), self.frames)
        end = min(max(start + count, first), self.frames)
        raw = self._source.read(first, end - first)
        if raw.samples.shape != (end - first, self._source.facts.channels):
            raise AssertionError("a source gave another number of frames than was asked for")
        safe = select_channels(obfuscate(raw, first, self._mask), self._chosen)
        if end - first == count:
            return safe
        before = min(max(first - start, 0), count)
        after = count - before - (end - first)
        return derive(safe, lambda samples: np.pad(samples, ((before, after), (0, 0))))
