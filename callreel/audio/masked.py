"""Masked sound at any position: what encoders read, instead of a source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np

from callreel.audio.blocks import SafeBlock
from callreel.audio.obfuscate import derive, join, mask_for_output, obfuscate, select_channels
from callreel.model import DEFAULT_FILL, Fill, OutputChannels, SourceFacts
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


_KEPT_S = 3


def output_channels(facts: SourceFacts, chosen: OutputChannels) -> int:
    """How many channels an output has, 1 or 2."""
    return 2 if facts.channels == 2 and chosen is OutputChannels.BOTH else 1


class MaskedSound:
    """The chosen channels of a source, masked first and chosen from after that."""

    def __init__(
        self, source: Source, mask: Mask, chosen: OutputChannels, fill: Fill = DEFAULT_FILL
    ) -> None:
        self._source = source
        self._mask = mask_for_output(mask, chosen)
        self._chosen = chosen
        self._fill = fill
        self.rate_hz = source.facts.rate_hz
        self.channels = output_channels(source.facts, chosen)
        self.frames = source.facts.frames
        # Encoders go back a little, for the warm-up of a segment and the margins of a resampler.
        # Most decoders cannot: they would begin again at the first frame.
        self._kept = _KEPT_S * self.rate_hz
        self._recent: SafeBlock | None = None
        self._recent_start = 0

    def read(self, start: int, count: int) -> SafeBlock:
        """As ``SafeSound.read``.

        Raises:
            Unavailable, Unplayable: The source cannot give them.
        """
        first = min(max(start, 0), self.frames)
        end = min(max(start + count, first), self.frames)
        safe = self._within(first, end)
        if end - first == count:
            return safe
        before = min(max(first - start, 0), count)
        after = count - before - (end - first)
        return derive(safe, lambda samples: np.pad(samples, ((before, after), (0, 0))))

    def _within(self, first: int, end: int) -> SafeBlock:
        """Frames [first, end) of the recording; what was read just now is not read again."""
        recent, begin = self._recent, self._recent_start
        if recent is None or not begin <= first <= begin + len(recent.samples):
            recent, begin = self._masked(first, end), first
        elif end > begin + len(recent.samples):
            fresh = self._masked(begin + len(recent.samples), end)
            recent = join([recent, fresh])
        dropped = max(0, min(first, begin + len(recent.samples) - self._kept) - begin)
        self._recent = derive(recent, lambda samples: samples[dropped:])
        self._recent_start = begin + dropped
        return derive(recent, lambda samples: samples[first - begin : end - begin])

    def _masked(self, first: int, end: int) -> SafeBlock:
        raw = self._source.read(first, end - first)
        if raw.samples.shape != (end - first, self._source.facts.channels):
            raise AssertionError("a source gave another number of frames than was asked for")
        return select_channels(obfuscate(raw, first, self._mask, self._fill), self._chosen)
