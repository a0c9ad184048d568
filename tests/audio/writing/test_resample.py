"""Sound at another rate: the same wherever it is cut, and free of the original."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from callreel.audio.masked import MaskedSound
from callreel.audio.resample import Resampled, at_rate, next_rate, resampled_frames
from callreel.model import OutputChannels
from callreel.spans import Mask
from tests.audio.writing.sounds import ArraySource, voice


def sound(rate_hz: int, frames: int, channels: int = 2) -> MaskedSound:
    """Unmasked sound."""
    source = ArraySource(voice(frames, channels, rate_hz), rate_hz)
    return MaskedSound(source, Mask(((),) * channels), OutputChannels.BOTH)


@pytest.mark.parametrize(("from_hz", "to_hz"), [(6000, 8000), (11025, 16000), (8001, 16000)])
def test_a_frame_has_one_value_however_it_is_reached(from_hz: int, to_hz: int) -> None:
    """Forwards, backwards, in pieces of any size, before the start and behind the end."""
    whole = Resampled(sound(from_hz, 3 * from_hz), to_hz).read(-500, 4 * to_hz).samples
    again = Resampled(sound(from_hz, 3 * from_hz), to_hz)
    draw = np.random.default_rng(3)
    for start in draw.integers(-500, 3 * to_hz, 12):
        count = int(draw.integers(0, 2 * to_hz // 3))
        read = again.read(int(start), count).samples
        assert read.shape == (count, 2)
        assert np.array_equal(read, whole[start + 500 : start + 500 + count])


@pytest.mark.parametrize(("from_hz", "to_hz"), [(6000, 8000), (11025, 16000), (44100, 48000)])
def test_the_grid_cannot_be_heard(from_hz: int, to_hz: int) -> None:
    """Joined second by second it equals what is made in one go, but for rounding."""
    made = Resampled(sound(from_hz, 4 * from_hz, 1), to_hz).read(0, 4 * to_hz).samples[:, 0]
    wide = voice(4 * from_hz, 1, from_hz)[:, 0].astype(np.float64)
    once = soxr.resample(wide, from_hz, to_hz, quality="HQ")
    assert np.abs(made - once)[300:-300].max() < 3


def test_a_rate_that_fits_is_left_alone() -> None:
    """No resampler, no rounding."""
    given = sound(8000, 80)
    assert at_rate(given, 8000) is given


def test_the_next_higher_rate_is_taken() -> None:
    """The highest where the source is above all. Source: contract.md 6.5."""
    rates = (8000, 16000, 24000, 48000)
    asked = (4000, 8000, 8001, 22050, 32000, 48000, 96000)
    assert [next_rate(rate, rates) for rate in asked] == [
        8000, 8000, 16000, 24000, 48000, 48000, 48000,
    ]  # fmt: skip


def test_a_length_is_raised_to_a_whole_frame() -> None:
    """Nothing is lost at the end."""
    assert resampled_frames(1, 11025, 16000) == 2
    assert resampled_frames(11025, 11025, 16000) == 16000
    assert resampled_frames(0, 11025, 16000) == 0
