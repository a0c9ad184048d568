"""Segments are encoded apart; nobody can hear, or measure, where they meet."""

from __future__ import annotations

import numpy as np
import pytest

from callreel.audio.rendered import RenderCache
from tests.audio.writing.decoding import decoded, snr_db, thinned
from tests.audio.writing.sounds import ArraySource, opened, spec, voice, whole

JOINS = {"mp3": 128 * 576 - 529, "opus": 80000 - 20}
"""Frames at 8 kHz at which the first join is worst, found with the warm-up switched off: the start
of a segment, less what a decoder lags behind."""


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", JOINS)
def test_a_join_sounds_like_any_other_place(cache: RenderCache, name: str, channels: int) -> None:
    """The 60 ms around it are as near to the source as the same stretch of other sound is."""
    samples = voice(8000 * 24, channels)
    source = ArraySource(samples, 8000)
    sound, rate = decoded(whole(opened(source, (), spec(name), cache)))
    got = thinned(sound, rate, 8000)

    def quality(middle: int) -> float:
        chosen = slice(middle - 240, middle + 240)
        return snr_db(samples[chosen], got[chosen])

    # The swell repeats every second (two channels: every one), so whole seconds away is alike.
    others = [quality(JOINS[name] + by * 8000) for by in range(-7, 13) if by not in {0, 9, 10}]
    assert quality(JOINS[name]) > np.median(others) - 3
