"""Pressed keys are found where they are, and speech is not taken for them (must-show 7 of masking).

``docs/dtmf.md`` has the numbers of a longer set and of another detector on the same sound.
"""

from __future__ import annotations

import numpy as np
import pytest

from callreel.audio.dtmf import JOIN_S, LEAST_PAD_S, key_spans
from tests.audio.labelled_keys import KINDS, Heard, Kind, key, pressed, speech
from tests.counts import FULL, Shown

COUNT = 2000 if FULL else 120
LEAST = {
    "noise 10 dB below": 0.80,
    "speech 10 dB below": 0.85,
    "speech 3 dB below": 0.65,
    "clipped by 18 dB": 0.90,
}
"""The share of keys that must be found, each by itself; all others 0.97."""


def covered(sound: np.ndarray, places: list[tuple[float, float]], rate_hz: int = 8000) -> float:
    """The share of keys that would be masked whole."""
    spans = key_spans(Heard(sound, rate_hz), 0.0)
    whole = [
        any(span.start_s <= start and end <= span.end_s for span in spans) for start, end in places
    ]
    return float(np.mean(whole))


@pytest.mark.parametrize("name", KINDS)
def test_keys_are_found(name: str, shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each by itself, as though no neighbour were there to be joined with."""
    sound, places = pressed(KINDS[name], COUNT, seed=len(name))
    assert covered(sound, places) >= 0.94
    monkeypatch.setattr("callreel.audio.dtmf.JOIN_S", 0.0)
    monkeypatch.setattr("callreel.audio.dtmf.LEAST_PAD_S", 0.0)
    found = key_spans(Heard(sound), 0.0)
    hits = [any(s.start_s < end and s.end_s > start for s in found) for start, end in places]
    false = [s for s in found if not any(s.start_s < b and s.end_s > a for a, b in places)]
    for hit in hits:
        shown.one(f"keys found, {name}" if hit else f"keys not found, {name}")
    assert np.mean(hits) >= LEAST.get(name, 0.97)
    assert len(false) <= COUNT / 100


def test_speech_and_noise_are_not_keys(shown: Shown) -> None:
    """Eleven minutes of talk, noise, ringing and a busy tone."""
    draw = np.random.default_rng(2)
    at = np.arange(8000 * 20) / 8000
    ringing = 4000 * (np.sin(2 * np.pi * 400 * at) + np.sin(2 * np.pi * 450 * at))
    busy = 4000 * (np.sin(2 * np.pi * 480 * at) + np.sin(2 * np.pi * 620 * at))
    one_tone = 9000 * np.sin(2 * np.pi * 1000 * at)
    noise = draw.normal(0, 3000, 8000 * 120)
    others = [speech(), ringing, busy, one_tone, noise]
    found = 0
    for other in others:
        found += len(key_spans(Heard(np.clip(other, -32768, 32767).astype(np.int16)), 0.0))
    for _ in range(found):
        shown.one("stretches of speech or noise taken for keys")
    assert found <= 1


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 44100, 48000])
@pytest.mark.parametrize("channel", [0, 1])
def test_either_channel_is_searched_at_any_rate(rate_hz: int, channel: int) -> None:
    """And the length may be odd; the span is that of both channels."""
    sound, places = pressed(Kind(), 3, seed=rate_hz, rate_hz=rate_hz)
    both = np.zeros((len(sound) + 1, 2), np.int16)
    both[1:, channel] = sound[:, 0]
    (span,) = key_spans(Heard(both, rate_hz), 0.0)
    assert span.channel is None
    assert span.start_s == pytest.approx(places[0][0] - LEAST_PAD_S, abs=0.03)
    assert span.end_s == pytest.approx(places[-1][1] + LEAST_PAD_S, abs=0.03)


@pytest.mark.parametrize("after_s", np.linspace(9.7, 10.1, 9).tolist())
def test_a_key_is_found_wherever_the_sound_is_cut_for_reading(after_s: float) -> None:
    """It is read ten seconds at a time."""
    draw = np.random.default_rng(3)
    lead = np.zeros(round(after_s * 8000))
    tone = key(draw, Kind(held_s=(0.05, 0.05)))
    sound = np.concatenate([lead, tone, np.zeros(4000)]).astype(np.int16)
    (span,) = key_spans(Heard(sound), 0.0)
    assert span.start_s + LEAST_PAD_S == pytest.approx(after_s, abs=0.015)
    assert span.end_s - LEAST_PAD_S == pytest.approx(after_s + 0.05, abs=0.015)


def test_keys_close_together_are_one_stretch() -> None:
    """A number that somebody types slowly, and the next one after a while."""
    draw = np.random.default_rng(4)
    parts: list[np.ndarray] = []
    for pause_s in (1.0, JOIN_S - 0.2, JOIN_S + 0.8, 0.1):
        parts += [np.zeros(round(pause_s * 8000)), key(draw, Kind(held_s=(0.1, 0.1)))]
    spans = key_spans(Heard(np.concatenate(parts).astype(np.int16)), 0.0)
    assert len(spans) == 2
    # The last key is held to the last frame: nothing is masked beyond it.
    assert spans[1].end_s == pytest.approx(sum(map(len, parts)) / 8000)


@pytest.mark.parametrize("frames", [0, 1, 204, 205, 206])
def test_a_recording_that_is_hardly_there_holds_no_keys(frames: int) -> None:
    """Shorter than a window, or just as long."""
    assert key_spans(Heard(np.full((frames, 1), 900, np.int16)), 0.0) == ()


def test_a_rate_that_cannot_hold_a_key_is_not_searched() -> None:
    """Its high tones would lie beyond half the rate."""
    sound, _ = pressed(Kind(), 2, seed=1)
    assert key_spans(Heard(sound, 3000), 0.0) == ()
