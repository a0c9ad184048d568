"""What is inside a span does not reach the output by any way: not by a sample, not by a size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callreel.audio.blocks import Samples
from callreel.audio.rendered import RenderCache
from callreel.model import OutputChannels, Party, Span
from callreel.spans import mask_on_frames
from tests.audio.writing.sounds import FORMATS, LONG, SPANS, ArraySource, opened, spec, voice, whole


def altered(samples: Samples, spans: tuple[Span, ...], rate_hz: int, seed: int) -> Samples:
    """The same sound with loud noise wherever it is masked."""
    random = np.random.default_rng(seed)
    other = samples.copy()
    mask = mask_on_frames(spans, rate_hz=rate_hz, frames=len(samples), channels=samples.shape[1])
    for channel, intervals in enumerate(mask.channels):
        for start, end in intervals:
            other[start:end, channel] = random.integers(-32768, 32768, end - start)
    return other


@pytest.mark.parametrize("channels", list(OutputChannels))
@pytest.mark.parametrize("spans_name", ["one", "five", "over the end"])
@pytest.mark.parametrize("name", FORMATS)
def test_sounds_that_differ_only_inside_spans_give_the_same_bytes(
    tmp_path: Path, name: str, spans_name: str, channels: OutputChannels
) -> None:
    """Over the joins and warm-ups of segments too, in every format and choice of channels."""
    spans = SPANS[spans_name]
    first = voice(LONG, 2)
    second = altered(first, spans, 8000, 5)
    assert not np.array_equal(first, second)
    made = []
    for run, samples in enumerate((first, second)):
        cache = RenderCache(tmp_path / str(run), 10**8)
        made.append(whole(opened(ArraySource(samples, 8000), spans, spec(name, channels), cache)))
        cache.close()
    assert made[0] == made[1]


@pytest.mark.parametrize("name", FORMATS)
def test_sound_outside_spans_does_reach_the_output(tmp_path: Path, name: str) -> None:
    """The check above can fail: other spans in the same place let the difference through."""
    first = voice(24000, 2)
    second = altered(first, (Span(1.0, 2.0),), 8000, 5)
    made = []
    for run, samples in enumerate((first, second)):
        cache = RenderCache(tmp_path / str(run), 10**8)
        made.append(whole(opened(ArraySource(samples, 8000), (Span(1.0, 1.9),), spec(name), cache)))
        cache.close()
    assert made[0] != made[1]


moments = st.floats(0, 2.5, allow_nan=False)
some_spans = st.lists(
    st.builds(
        lambda a, b, party: Span(min(a, b), max(a, b), party),
        moments,
        moments,
        st.sampled_from([None, Party.LEFT, Party.RIGHT]),
    ),
    min_size=1,
    max_size=5,
).map(tuple)


@settings(max_examples=60)
@given(
    spans=some_spans,
    name=st.sampled_from(FORMATS),
    channels=st.sampled_from(list(OutputChannels)),
    rate_hz=st.sampled_from([8000, 11025, 16000]),
    source_channels=st.sampled_from([1, 2]),
)
def test_no_spans_formats_or_rates_let_anything_through(
    tmp_path_factory: pytest.TempPathFactory,
    spans: tuple[Span, ...],
    name: str,
    channels: OutputChannels,
    rate_hz: int,
    source_channels: int,
) -> None:
    """The same for spans that nobody thought of, resampled or not."""
    first = voice(2 * rate_hz, source_channels, rate_hz)
    made = []
    for samples in (first, altered(first, spans, rate_hz, 9)):
        cache = RenderCache(tmp_path_factory.mktemp("renders"), 10**8)
        source = ArraySource(samples, rate_hz)
        made.append(whole(opened(source, spans, spec(name, channels), cache)))
        cache.close()
    assert made[0] == made[1]
