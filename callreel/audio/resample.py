"""Masked sound at another rate, where a codec does not have the source's.

Made second by second on a fixed grid, each with a margin on both sides, so that a frame has the
same value whichever stretch was asked for, and position n is exactly n / rate seconds.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import numpy as np
import numpy.typing as npt
import soxr

from callreel.audio.blocks import SafeBlock, Samples
from callreel.audio.masked import SafeSound
from callreel.audio.obfuscate import derive, join
from callreel.spans import Interval

VERSION = f"soxr {soxr.__version__}"
_MARGIN_S = 0.1
"""Longer than soxr's filter at the quality that is used."""
_KEPT = 3
"""Seconds that are kept: a reader goes back by its warm-up at most."""


def next_rate(rate_hz: int, rates: tuple[int, ...]) -> int:
    """The lowest rate that is not below the source's; the highest where all are.

    Args:
        rate_hz: Of the source.
        rates: What the codec has, rising.
    """
    return next((rate for rate in rates if rate >= rate_hz), rates[-1])


def resampled_frames(frames: int, from_hz: int, to_hz: int) -> int:
    """Length at another rate: raised to a whole frame, so that nothing is lost."""
    return -(-frames * to_hz // from_hz)


def at_rate(sound: SafeSound, rate_hz: int) -> SafeSound:
    """The same sound at a rate; itself where that is its own."""
    return sound if sound.rate_hz == rate_hz else Resampled(sound, rate_hz)


def made_from(frames: Interval, from_hz: int, to_hz: int) -> Interval:
    """Which frames of a sound decide what some frames are at another rate.

    Args:
        frames: At the other rate; may begin before the first.
        from_hz: Of the sound.
        to_hz: The other rate.
    """
    if from_hz == to_hz:
        return frames
    margin, _ = _margins(from_hz, to_hz)
    first, last = _seconds(frames, to_hz)
    return first * from_hz - margin, last * from_hz + margin


def _margins(from_hz: int, to_hz: int) -> tuple[int, int]:
    """What is read on both sides of a second, in frames of both rates: a whole number of each."""
    common = math.gcd(from_hz, to_hz)
    times = math.ceil(_MARGIN_S * common)
    return from_hz // common * times, to_hz // common * times


def _seconds(frames: Interval, rate_hz: int) -> tuple[int, int]:
    """The seconds of the grid that frames lie in."""
    first = frames[0] // rate_hz
    return first, max(first + 1, -(-frames[1] // rate_hz))


class Resampled:
    """Masked sound at another rate."""

    def __init__(self, sound: SafeSound, rate_hz: int) -> None:
        self._sound = sound
        self.rate_hz = rate_hz
        self.channels = sound.channels
        self.frames = resampled_frames(sound.frames, sound.rate_hz, rate_hz)
        self._margin_in, self._margin_out = _margins(sound.rate_hz, rate_hz)
        self._seconds: OrderedDict[int, SafeBlock] = OrderedDict()

    def read(self, start: int, count: int) -> SafeBlock:
        """As ``SafeSound.read``."""
        end = start + count
        seconds = range(*_seconds((start, end), self.rate_hz))
        return join([self._cut(second, start, end) for second in seconds])

    def _cut(self, second: int, start: int, end: int) -> SafeBlock:
        begin = second * self.rate_hz
        chosen = slice(max(0, start - begin), max(0, end - begin))
        return derive(self._second(second), lambda samples: samples[chosen])

    def _second(self, index: int) -> SafeBlock:
        kept = self._seconds.get(index)
        if kept is not None:
            self._seconds.move_to_end(index)
            return kept
        start = index * self._sound.rate_hz - self._margin_in
        block = self._sound.read(start, self._sound.rate_hz + 2 * self._margin_in)
        made = derive(block, self._change, self.rate_hz)
        self._seconds[index] = made
        if len(self._seconds) > _KEPT:
            self._seconds.popitem(last=False)
        return made

    def _change(self, samples: Samples) -> Samples:
        # In float: soxr dithers what it makes in int16.
        wide: npt.NDArray[np.float32] = soxr.resample(
            samples.astype(np.float32), self._sound.rate_hz, self.rate_hz, quality="HQ"
        )
        cut = wide[self._margin_out : self._margin_out + self.rate_hz]
        whole: Samples = np.clip(np.rint(cut), -32768, 32767).astype(np.int16)
        return whole
