"""Every format, every choice of channels, every kind of mask: what is heard, and what is not."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from callreel.audio.blocks import Samples
from callreel.audio.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from callreel.audio.rendered import RenderCache
from callreel.model import OutputChannels, Span
from callreel.spans import mask_on_frames
from tests.audio.writing.decoding import Floats, decoded, expected, snr_db, thinned
from tests.audio.writing.sounds import (
    FORMATS,
    LONG,
    SPANS,
    ArraySource,
    filled,
    opened,
    spec,
    voice,
    whole,
)

LOSSLESS = ("wav", "wav-ulaw", "wav-alaw", "flac")
Flags = npt.NDArray[np.bool_]
EDGE = 400
"""Frames next to a span's edge that are not compared in lossy formats: 50 ms."""


def masked_frames(spans_name: str, channels: str, source_channels: int) -> Flags:
    """As bool of shape (frames, channels): what an output must not hold, by a second writing."""
    mask = mask_on_frames(SPANS[spans_name], rate_hz=8000, frames=LONG, channels=source_channels)
    flags = np.zeros((LONG, source_channels), bool)
    for channel, intervals in enumerate(mask.channels):
        for start, end in intervals:
            flags[start:end, channel] = True
    if channels == "mix":
        return flags.any(axis=1, keepdims=True)
    if source_channels == 1 or channels == "both":
        return flags
    return flags[:, [0 if channels == "left" else 1]]


def through(name: str, samples: Samples) -> Samples:
    """What a lossless format keeps: G.711 keeps the value that its byte stands for."""
    if name == "wav-ulaw":
        return ulaw_decode(ulaw_encode(samples))
    if name == "wav-alaw":
        return alaw_decode(alaw_encode(samples))
    return samples


def away_from_edges(flags: Flags) -> Flags:
    """The frames that are not within EDGE of a change."""
    near = np.zeros(len(flags), bool)
    for at in np.flatnonzero(np.diff(flags.astype(int), axis=0).any(axis=1)):
        near[max(0, at - EDGE) : at + EDGE] = True
    near[-EDGE:] = True
    return ~near


@pytest.mark.parametrize("source_channels", [1, 2])
@pytest.mark.parametrize("spans_name", SPANS)
@pytest.mark.parametrize("channels", list(OutputChannels))
@pytest.mark.parametrize("name", FORMATS)
def test_outside_is_the_source_and_inside_is_only_the_tone(
    cache: RenderCache, name: str, channels: OutputChannels, spans_name: str, source_channels: int
) -> None:
    """Length is right; sound outside spans equals the source, bit for bit where nothing is lost;
    inside there is the tone alone.
    """
    samples = voice(LONG, source_channels)
    source = ArraySource(samples, 8000)
    data = whole(opened(source, SPANS[spans_name], spec(name, channels), cache))
    sound, rate = decoded(data)
    flags = masked_frames(spans_name, channels, source_channels)
    clear = expected(samples, channels)
    wanted = np.where(flags, filled(flags), clear)
    wanted = wanted.astype(np.int16)
    assert len(sound) == LONG * rate // 8000
    if name in LOSSLESS:
        assert rate == 8000
        assert np.array_equal(sound, through(name, wanted))
    else:
        require_close(wanted, thinned(sound, rate, 8000), flags)


def require_close(wanted: Samples, got: Floats, flags: Flags) -> None:
    """Inside and outside are each near to what they should be, channel by channel."""
    settled = away_from_edges(flags)
    for channel in range(wanted.shape[1]):
        for inside in (False, True):
            chosen = settled & (flags[:, channel] == inside)
            if chosen.any():
                assert snr_db(wanted[chosen, channel], got[chosen, channel]) > 12


def test_a_mask_is_lengthened_by_what_the_codec_spreads(cache: RenderCache) -> None:
    """Sound around a span that the span's own sound has coloured is masked with it."""
    samples = voice(16000, 1)
    source = ArraySource(samples, 8000, memory_frames=77)
    sound, _ = decoded(whole(opened(source, [Span(0.5, 1.0)], spec("wav"), cache)))
    flags = np.zeros((16000, 1), bool)
    flags[4000 - 77 : 8000 + 77] = True
    assert np.array_equal(sound, np.where(flags, filled(flags), samples))
