"""Signals to spans and spans to masks: anything unmatched masks more, never less."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.model import Party, Span, UnixMillis
from callreel.spans import (
    Mask,
    PairedSpan,
    SignalMoment,
    SpanRules,
    effective_spans,
    mask_on_frames,
    merge,
    pair_signals,
)

START = UnixMillis(1_790_000_000_000)
EXACT = SpanRules(pad_s=0.0)


def moments(*signals: tuple[str, float]) -> list[SignalMoment]:
    """Signals as ("on" or "off", seconds after the start of the recording)."""
    return [
        SignalMoment(f"s{index}", UnixMillis(START + round(at * 1000)), kind == "on")
        for index, (kind, at) in enumerate(signals)
    ]


def stretches(pairs: list[PairedSpan]) -> list[tuple[float, float]]:
    """Only the times of the spans."""
    return [(pair.span.start_s, pair.span.end_s) for pair in pairs]


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ([("on", 5), ("off", 9)], [(5, 9)]),
        ([("on", 5), ("off", 9), ("on", 20), ("off", 21)], [(5, 9), (20, 21)]),
        # unpaired on: to the end
        ([("on", 5)], [(5, math.inf)]),
        ([("on", 1), ("off", 2), ("on", 5)], [(1, 2), (5, math.inf)]),
        # unpaired off: from the end of the previous span, else from the start
        ([("off", 9)], [(0, 9)]),
        ([("on", 1), ("off", 2), ("off", 30)], [(1, 2), (2, 30)]),
        # repeats change nothing
        ([("on", 5), ("on", 6), ("off", 9)], [(5, 9)]),
        ([("on", 5), ("off", 9), ("off", 9.4)], [(5, 9)]),
        ([], []),
    ],
)
def test_signals_pair_into_spans(
    signals: list[tuple[str, float]], expected: list[tuple[float, float]]
) -> None:
    """The pairing rules of contract.md 4.2."""
    assert stretches(pair_signals(moments(*signals), START, EXACT)) == expected


def test_order_of_arrival_does_not_matter() -> None:
    """Signals are put in order of time, whatever order they came in."""
    signals = moments(("on", 5), ("off", 9), ("on", 20), ("off", 21))
    assert pair_signals(reversed(signals), START, EXACT) == pair_signals(signals, START, EXACT)


def test_spans_from_signals_are_padded_and_clipped_at_the_start() -> None:
    """Half a second on each side by default; nothing before the recording (contract.md 4.3)."""
    pairs = pair_signals(moments(("on", 0.2), ("off", 9)), START, SpanRules())
    assert stretches(pairs) == [(0.0, 9.5)]


def test_a_maximum_ends_an_unpaired_on() -> None:
    """A site may set one; a paired span is not cut by it."""
    rules = SpanRules(pad_s=0.5, max_span_s=60)
    assert stretches(pair_signals(moments(("on", 10)), START, rules)) == [(9.5, 70.5)]
    paired = pair_signals(moments(("on", 10), ("off", 200)), START, rules)
    assert stretches(paired) == [(9.5, 200.5)]


def test_each_span_names_its_signals() -> None:
    """What caused a span, and what is missing, can be listed."""
    pairs = pair_signals(moments(("off", 3), ("on", 5), ("off", 9), ("on", 20)), START, EXACT)
    assert [(p.on_id, p.off_id) for p in pairs] == [(None, "s0"), ("s1", "s2"), ("s3", None)]


def mask(spans: list[Span], *, rate: int = 8_000, frames: int = 80_000, channels: int = 2) -> Mask:
    """A mask with short defaults."""
    return mask_on_frames(spans, rate_hz=rate, frames=frames, channels=channels)


def test_starts_floor_and_ends_ceil_to_a_frame() -> None:
    """A frame touched at all is inside."""
    found = mask([Span(1.00001, 2.00001)], rate=8_000, channels=1)
    assert found.channels == (((8_000, 16_001),),)


def test_a_span_that_cannot_be_understood_masks_everything() -> None:
    """Never less: not a number, or an end before the start."""
    for broken in (Span(math.nan, 2), Span(1, math.nan), Span(5, 4)):
        assert mask([broken]).channels == (((0, 80_000),), ((0, 80_000),))


def test_spans_are_clipped_to_the_recording() -> None:
    """Before the start, over the end and behind it."""
    found = mask([Span(-3, 1), Span(9, 99), Span(50, 60), Span(9.5, math.inf)], channels=1)
    assert found.channels == (((0, 8_000), (72_000, 80_000)),)


def test_one_party_is_masked_alone_and_a_mono_recording_whole() -> None:
    """A channel's span touches that channel only; mono has no other to keep."""
    spans = [Span(1, 2, Party.RIGHT)]
    assert mask(spans).channels == ((), ((8_000, 16_000),))
    assert mask(spans, channels=1).channels == (((8_000, 16_000),),)


def test_the_memory_of_a_decoder_lengthens_each_interval() -> None:
    """What a decoder remembers of a masked stretch is masked too (T17)."""
    found = mask_on_frames(
        [Span(1, 2)], rate_hz=8_000, frames=16_100, channels=1, memory_frames=320
    )
    assert found.channels == (((8_000, 16_100),),)


def test_the_effective_list_names_a_channel_only_where_one_is_masked_alone() -> None:
    """Sorted and disjoint; where both are masked the span names none."""
    spans = [Span(1, 3, Party.LEFT), Span(2, 4, Party.RIGHT), Span(6, 7), Span(7, 8)]
    assert effective_spans(mask(spans), 8_000) == (
        Span(1, 2, Party.LEFT),
        Span(2, 3),
        Span(3, 4, Party.RIGHT),
        Span(6, 8),
    )


PARTIES = st.sampled_from([None, Party.LEFT, Party.RIGHT])
SPANS = st.lists(
    st.builds(
        lambda start, length, party: Span(start, start + length, party),
        st.floats(-2, 12),
        st.floats(0, 5),
        PARTIES,
    ),
    max_size=8,
)


@given(SPANS, st.sampled_from([1, 2]))
def test_a_mask_covers_every_frame_that_a_span_touches(spans: list[Span], channels: int) -> None:
    """Against a plain oracle, frame by frame, at a rate low enough to count."""
    rate, frames = 10, 100
    found = mask_on_frames(spans, rate_hz=rate, frames=frames, channels=channels)
    for channel in range(channels):
        mine = [Party.LEFT, Party.RIGHT][channel]
        for frame in range(frames):
            touched = any(
                math.floor(span.start_s * rate + 1e-6)
                <= frame
                < math.ceil(span.end_s * rate - 1e-6)
                for span in spans
                if span.channel in (None, mine) or channels == 1
            )
            assert touched == any(a <= frame < b for a, b in found.channels[channel])


@given(SPANS)
def test_the_effective_list_masks_the_same_again(spans: list[Span]) -> None:
    """What people are shown is what is masked: a round trip changes nothing."""
    found = mask_on_frames(spans, rate_hz=8_000, frames=80_000, channels=2)
    shown = effective_spans(found, 8_000)
    assert mask_on_frames(shown, rate_hz=8_000, frames=80_000, channels=2) == found
    assert list(shown) == sorted(shown, key=lambda s: s.start_s)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=12))
def test_merged_intervals_are_sorted_apart_and_cover_the_same(raw: list[tuple[int, int]]) -> None:
    """Neighbours that touch become one."""
    intervals = [(min(pair), max(pair) + 1) for pair in raw]
    merged = merge(intervals)
    assert all(a[1] < b[0] for a, b in pairwise(merged))
    covered = {frame for start, end in intervals for frame in range(start, end)}
    assert covered == {frame for start, end in merged for frame in range(start, end)}
