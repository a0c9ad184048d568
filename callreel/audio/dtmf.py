"""Keys that were pressed during a call, heard in its sound: where, never which.

A key is two tones at once, one of four low and one of four high frequencies. Every window of sound
is projected on the eight; where nearly all of its energy is one of each, for long enough, somebody
pressed a key. ``docs/dtmf.md`` tells how well that works and against what it was measured.
Source: ITU-T Q.23 (frequencies), Q.24 (what a receiver must accept: 40 ms, a twist of several dB,
frequencies off by 1.8 %).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from callreel.audio.masked import SafeSound
from callreel.model import Span

LOW_HZ = (697.0, 770.0, 852.0, 941.0)
HIGH_HZ = (1209.0, 1336.0, 1477.0, 1633.0)
LEAST_PAD_S = 0.25
"""Masked before and after a key at least: its tone swells and rings, and a codec smears it."""
JOIN_S = 4.0
"""Keys with no more than this between them are one number that somebody types."""

_WINDOW_S = 0.0256
_HOP_S = 0.0064
_WINDOWS = 4
"""So many in a row must hold the same key: a tone of 40 ms fills four, though not the outer two."""
_SHARE = 0.5
"""Of the window's energy, in the two tones. Lower finds more keys under speech, and more speech."""
_OVER_NEXT = 10**0.8
"""How far each tone stands above the next of its group: 8 dB."""
_TWIST = 10.0
"""Between the two tones, as a ratio of power: 10 dB either way."""
_QUIETEST = 10**-5.0
"""Of full scale, as power: below -50 dBFS nobody typed into a telephone."""
_LOWEST_RATE_HZ = 4000
_STEP_S = 10.0


def key_spans(sound: SafeSound, pad_s: float) -> tuple[Span, ...]:
    """Stretches in which keys were pressed, of both channels together, padded and joined.

    Args:
        sound: Masked sound: what is masked already must not be told of again, not even by the
            place of a key (threats.md T16).
        pad_s: Added on each side, as the site pads spans from signals (contract.md 4.3); never
            less than LEAST_PAD_S.

    Raises:
        Unavailable, Unplayable: The sound cannot be read.

    Cost: onward reading; memory for ten seconds. About 5,000 times as fast as the call at 8 kHz.
    """
    pad_s = max(pad_s, LEAST_PAD_S)
    found: list[Span] = []
    for start, end in sorted(_presses(sound)):
        if found and start - found[-1].end_s <= max(0.0, JOIN_S - pad_s):
            found[-1] = Span(found[-1].start_s, max(found[-1].end_s, end + pad_s))
        else:
            found.append(Span(max(0.0, start - pad_s), end + pad_s))
    length_s = sound.frames / sound.rate_hz
    return tuple(Span(span.start_s, min(span.end_s, length_s)) for span in found)


def _presses(sound: SafeSound) -> Iterator[tuple[float, float]]:
    """Start and end of each key in seconds, channel by channel within ten seconds."""
    rate = sound.rate_hz
    if rate < _LOWEST_RATE_HZ:
        return
    bank = _Bank(rate)
    held = [_Held() for _ in range(sound.channels)]
    step = bank.hop * round(_STEP_S / _HOP_S)
    for start in range(0, max(0, sound.frames - bank.window + 1), step):
        # Windows that begin in this step may end in the next: those frames are read twice.
        count = min(step + bank.window - bank.hop, sound.frames - start)
        samples = sound.read(start, count).samples.astype(np.float32)
        for channel, hold in enumerate(held):
            for first, last in hold.runs(bank.keys(samples[:, channel])):
                yield bank.begin_s(first), bank.end_s(last)
    for hold in held:
        for first, last in hold.runs(np.array([-1])):
            yield bank.begin_s(first), bank.end_s(last)


class _Bank:
    """Eight tones at one rate, as one matrix."""

    def __init__(self, rate_hz: int) -> None:
        self.window = round(_WINDOW_S * rate_hz)
        self.hop = round(_HOP_S * rate_hz)
        self._rate_hz = rate_hz
        shape = np.hanning(self.window + 1)[:-1]
        angles = 2 * np.pi * np.outer(np.arange(self.window) / rate_hz, LOW_HZ + HIGH_HZ)
        # A tone alone then has a power that is the energy of the whole window.
        scale = np.sqrt(2 * np.sum(shape**2)) / np.sum(shape)
        tones = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
        self._tones = (tones * shape[:, None] * scale).astype(np.float32)
        self._shape = (shape**2).astype(np.float32)
        self._floor = np.sum(shape**2) * 32768.0**2 * _QUIETEST

    def keys(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.int_]:
        """For each window that begins in the samples: 0 to 15, or -1 where it holds no key."""
        windows = np.lib.stride_tricks.sliding_window_view(samples, self.window)[:: self.hop]
        energy = np.square(windows) @ self._shape
        parts = np.square(windows @ self._tones)
        power = parts[:, :8] + parts[:, 8:]
        low, low_next, row = _strongest(power[:, :4])
        high, high_next, column = _strongest(power[:, 4:])
        is_key = (
            (energy > self._floor)
            & (low + high > _SHARE * energy)
            & (low > _OVER_NEXT * low_next)
            & (high > _OVER_NEXT * high_next)
            & (low < _TWIST * high)
            & (high < _TWIST * low)
        )
        return np.where(is_key, row * 4 + column, -1)

    def begin_s(self, window: int) -> float:
        """When a key began that a window was the first to hold."""
        return (window * self.hop + self.window // 2 - self.hop) / self._rate_hz

    def end_s(self, window: int) -> float:
        """When a key ended that a window was the last to hold."""
        return (window * self.hop + self.window // 2 + self.hop) / self._rate_hz


def _strongest(
    power: npt.NDArray[np.float32],
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.int_]]:
    """The largest of each row, the next after it, and the place of the largest."""
    ordered = np.sort(power, axis=1)
    return ordered[:, -1], ordered[:, -2], power.argmax(axis=1)


class _Held:
    """Which key a channel holds, across steps; only until the key is released."""

    def __init__(self) -> None:
        self._window = 0
        self._key = -1
        self._since = 0

    def runs(self, keys: npt.NDArray[np.int_]) -> Iterator[tuple[int, int]]:
        """First and last window of each key that ended within these windows and was long enough."""
        changes = np.flatnonzero(np.diff(keys, prepend=self._key))
        for at in changes.tolist():
            window = self._window + at
            if self._key >= 0 and window - self._since >= _WINDOWS:
                yield self._since, window - 1
            self._key, self._since = int(keys[at]), window
        self._window += len(keys)
