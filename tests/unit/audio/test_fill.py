"""What is written over what is masked: pure, faded at its edges, chosen within bounds."""

from __future__ import annotations

import io
import math
import wave
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.audio.blocks import RawBlock
from callreel.audio.fill import FADE_S, fill_of, identity, stretch
from callreel.audio.fill_file import read_fill
from callreel.audio.obfuscate import obfuscate
from callreel.errors import BadRequest
from callreel.model import DEFAULT_FILL, Fill
from callreel.spans import Mask
from tests.audio.reading.clips import Bytes
from tests.counts import repeated

RATES = (6000, 8000, 8001, 11025, 16000, 44100, 48000)
WHISTLE = np.rint(9000 * np.sin(np.arange(4000) * 2 * np.pi * 440 / 8000)).astype("<i2")
FILLS = (
    DEFAULT_FILL,
    fill_of("tone", 697.3, -12.5),
    fill_of("silence"),
    fill_of("file", samples=WHISTLE.tobytes(), rate_hz=8000),
)
fills = st.sampled_from(FILLS)
rates = st.sampled_from(RATES)


def middle(fill: Fill, start: int, count: int, rate_hz: int) -> np.ndarray:
    """The fill far from the edges of what is masked."""
    return stretch(fill, (start - rate_hz, start + count + rate_hz), start, start + count, rate_hz)


@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize(("hz", "dbfs"), [(1000, -20), (697.3, -12.5), (3400, -6), (100, -60)])
def test_a_tone_has_its_frequency_and_its_level(rate_hz: int, hz: float, dbfs: float) -> None:
    """Heard as a tone, never as speech."""
    if hz * 2 >= rate_hz:
        rate_hz *= 2
    heard = middle(fill_of("tone", hz, dbfs), 0, 10 * rate_hz, rate_hz).astype(float)
    spectrum = np.abs(np.fft.rfft(heard))
    assert int(spectrum.argmax()) == round(10 * hz)
    level = 20 * math.log10(float(np.sqrt((heard**2).mean() * 2)) / 32768)
    assert level == pytest.approx(dbfs, abs=0.5)


@repeated(named=300, usual=60)
@given(start=st.integers(10**6, 10**10), count=st.integers(0, 40000), rate_hz=rates)
def test_the_default_tones_phase_depends_on_the_frame_number_alone(
    start: int, count: int, rate_hz: int
) -> None:
    """Else the tone would tell where somebody cut."""
    frames = np.arange(start, start + count)
    exact = np.rint(3277 * np.sin(2 * np.pi * (frames * 1000 % rate_hz) / rate_hz))
    # Sines of equal phases may round apart by the last bit.
    assert np.abs(middle(DEFAULT_FILL, start, count, rate_hz) - exact).max(initial=0) <= 1


@repeated(named=500, usual=100)
@given(
    fill=fills,
    rate_hz=rates,
    begin=st.integers(0, 10**9),
    length=st.integers(1, 5000),
    cuts=st.lists(st.integers(0, 5000), max_size=5),
)
def test_a_fill_is_the_same_however_it_is_cut(
    fill: Fill, rate_hz: int, begin: int, length: int, cuts: list[int]
) -> None:
    """Only the edges of what is masked fade, not those of blocks."""
    interval = (begin, begin + length)
    whole = stretch(fill, interval, *interval, rate_hz)
    edges = sorted({begin, begin + length, *(begin + min(cut, length) for cut in cuts)})
    pieces = [stretch(fill, interval, a, b, rate_hz) for a, b in pairwise(edges)]
    assert np.array_equal(np.concatenate(pieces), whole)


@pytest.mark.parametrize("fill", FILLS)
def test_edges_swell_and_die_within_the_mask(fill: Fill) -> None:
    """The first and the last sample are silent, and nothing of the source is under the fade."""
    source = np.full((8000, 1), 12345, np.int16)
    mask = Mask((((1000, 7000),),))
    heard = obfuscate(RawBlock(source, 8000), 0, mask, fill).samples[:, 0]
    assert (heard[:1000] == 12345).all()
    assert (heard[7000:] == 12345).all()
    assert heard[1000] == heard[6999] == 0
    fade = round(FADE_S * 8000)
    loudest = np.abs(heard[1000:7000].astype(int)).max()
    ramp = np.minimum(np.arange(6000), np.arange(6000)[::-1]) / fade
    assert (np.abs(heard[1000:7000]) <= np.ceil(loudest * np.minimum(ramp, 1))).all()
    other = np.full((8000, 1), -777, np.int16)
    again = obfuscate(RawBlock(other, 8000), 0, mask, fill).samples[:, 0]
    assert np.array_equal(again[1000:7000], heard[1000:7000])


def test_nobody_can_scribble_on_a_fill() -> None:
    """Its table is shared by everybody."""
    for fill in (DEFAULT_FILL, FILLS[3]):
        with pytest.raises(ValueError, match="read-only"):
            middle(fill, 0, 80, 8000)[0] = 1


def test_a_file_is_repeated_at_any_rate_and_is_never_loud() -> None:
    """Resampled once; its peak is at most -6 dBFS."""
    loud = fill_of("file", samples=(WHISTLE * 3).astype("<i2").tobytes(), rate_hz=8000)
    for rate_hz in RATES:
        heard = middle(loud, 0, 3 * rate_hz, rate_hz)
        assert np.abs(heard).max() <= math.ceil(32768 * 10 ** (-6 / 20))
        period = round(0.5 * rate_hz)
        if 2 * period == rate_hz:
            assert np.array_equal(heard[:period], heard[period : 2 * period])


def test_each_fill_has_a_name_of_its_own() -> None:
    """Else a cached render of another fill would be served."""
    others = (
        *FILLS,
        fill_of("tone", 697.3, -12.4),
        fill_of("tone", 697.4, -12.5),
        fill_of("file", samples=WHISTLE.tobytes(), rate_hz=8001),
        fill_of("file", samples=WHISTLE[:-1].tobytes(), rate_hz=8000),
    )
    assert len({identity(fill) for fill in others}) == len(others)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (("noise",), "fill: must be tone, silence or file"),
        (("tone", 99.0), "100 to 3400 Hz"),
        (("tone", math.nan), "100 to 3400 Hz"),
        (("tone", 1000.0, -5.0), "-60 to -6 dBFS"),
        (("file", 0.0, 0.0, b"\1\0" * 799, 8000), "0.1 to 10 s"),
        (("file", 0.0, 0.0, b"\1\0" * 80_001, 8000), "0.1 to 10 s"),
        (("file", 0.0, 0.0, b"", 0), "0.1 to 10 s"),
        (("file", 0.0, 0.0, b"\1\0" * 8000, 8000), "no sound"),
    ],
)
def test_a_fill_out_of_bounds_is_refused(chosen: tuple[str, float], said: str) -> None:
    """And names what to mend."""
    with pytest.raises(BadRequest, match=said):
        fill_of(*chosen)


def wav(samples: np.ndarray, rate_hz: int = 8000) -> Bytes:
    """A WAV of 16 bits."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(samples.shape[1])
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(samples.astype("<i2").tobytes())
    return Bytes(file.getvalue())


def test_a_file_of_two_channels_becomes_one() -> None:
    """Any WAV that can be a source."""
    both = np.stack([WHISTLE, np.zeros_like(WHISTLE)], axis=1)
    fill = read_fill(wav(both), "beep.wav")
    assert (fill.kind, fill.rate_hz) == ("file", 8000)
    assert np.array_equal(np.frombuffer(fill.samples, "<i2"), WHISTLE // 2)


def test_a_file_that_is_no_sound_is_refused() -> None:
    """With the reason."""
    with pytest.raises(BadRequest, match="cannot be played"):
        read_fill(Bytes(b"not a sound at all"), "beep.wav")
    with pytest.raises(BadRequest, match=r"0\.1 to 10 s"):
        read_fill(wav(np.ones((8000 * 11, 1))), "beep.wav")
