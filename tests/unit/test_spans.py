"""Signals to spans and spans to masks: anything unmatched masks more, never less."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.model import Party, Span, UnixMillis
from callreel.spans import (
    LegTimes,
    Mask,
    PairedSpan,
    SignalMoment,
    SpanRules,
    covers,
    effective_spans,
    first_frame,
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


def test_with_a_maximum_each_unpaired_on_masks() -> None:
    """The second one comes when the mask of the first is over: it is no repeat of it."""
    rules = SpanRules(pad_s=0, max_span_s=60)
    pairs = pair_signals(moments(("on", 0), ("on", 100)), START, rules)
    assert stretches(pairs) == [(0, 60), (100, 160)]


def on_legs(*said: tuple[str | None, str, float]) -> list[SignalMoment]:
    """Signals of legs: which leg, ``on`` or ``off``, when."""
    return [
        SignalMoment(f"s{number}", UnixMillis(START + round(at_s * 1000)), how == "on", leg)
        for number, (leg, how, at_s) in enumerate(said)
    ]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        # Two mask at once; each ends what it began itself.
        ([("a", "on", 1), ("b", "on", 2), ("a", "off", 3), ("b", "off", 5)], [(1, 3), (2, 5)]),
        # The off of the second never comes.
        ([("a", "on", 1), ("b", "on", 2), ("a", "off", 3)], [(1, 3), (2, math.inf)]),
        # Whoever it was transferred to ends it.
        ([("a", "on", 1), ("b", "off", 4)], [(1, 4)]),
        ([("a", "on", 1), ("b", "on", 2), ("c", "off", 4)], [(1, 4), (2, math.inf)]),
        # A leg that said on before says off again: that is not the end of what another has open.
        (
            [("a", "on", 1), ("b", "on", 2), ("a", "off", 3), ("a", "off", 9)],
            [(1, 3), (2, math.inf), (3, 9)],
        ),
        # A signal that names no leg is about all that its user has open, one after the other.
        ([("a", "on", 1), (None, "off", 4)], [(1, 4)]),
        ([(None, "on", 1), ("a", "off", 4)], [(1, 4)]),
        # Sent again within two seconds by the same leg, and by another.
        ([("a", "on", 1), ("a", "off", 3), ("a", "off", 4)], [(1, 3)]),
        ([("a", "on", 1), ("a", "off", 3), ("b", "off", 4)], [(1, 3), (3, 4)]),
    ],
)
def test_legs_that_mask_at_once_do_not_end_each_others_mask(
    said: list[tuple[str | None, str, float]], expected: list[tuple[float, float]]
) -> None:
    """An off ends what its own leg has open, else what a leg that is gone left open."""
    assert stretches(pair_signals(on_legs(*said), START, EXACT)) == expected


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["on", "off"]),
            st.integers(0, 40).map(float),
        ),
        max_size=12,
        unique=True,
    )
)
def test_no_leg_is_masked_less_because_of_the_others(
    said: list[tuple[str | None, str, float]],
) -> None:
    """What each leg began and ended itself is masked whole, whatever the others say."""
    together = pair_signals(on_legs(*said), START, EXACT)
    for name in "abc":
        alone = pair_signals(on_legs(*(each for each in said if each[0] == name)), START, EXACT)
        for pair in alone:
            if pair.on_id is None or pair.off_id is None:
                continue
            begin, end = pair.span.start_s, pair.span.end_s
            assert _all_masked(begin, end, [each.span for each in together])


def _all_masked(begin: float, end: float, spans: list[Span]) -> bool:
    for span in sorted(spans, key=lambda each: each.start_s):
        if span.start_s <= begin < span.end_s:
            begin = span.end_s
    return begin >= end


def test_an_on_that_a_person_gave_up_makes_no_later_one_a_repeat() -> None:
    """Its own open mask stays away, but what comes after it masks."""
    opened = pair_signals(moments(("on", 1), ("on", 4)), START, EXACT, {"s0"})
    assert [(p.on_id, p.off_id, p.span.start_s) for p in opened] == [("s1", None, 4)]
    closed = pair_signals(moments(("on", 1), ("on", 4), ("off", 9)), START, EXACT, {"s0"})
    assert [(p.on_id, p.off_id, p.span.start_s) for p in closed] == [("s1", "s2", 4)]
    alone = pair_signals(moments(("on", 1), ("off", 9)), START, EXACT, {"s0"})
    assert stretches(alone) == [(1, 9)], "its off says that it was meant"


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


@pytest.mark.parametrize("memory_frames", [0, 320])
def test_no_position_is_too_large(memory_frames: int) -> None:
    """A float that no integer holds masks as far as the recording goes."""
    for span, expected in (
        (Span(1, 1e308), ((8_000 - memory_frames, 80_000),)),
        (Span(-1e308, 1), ((0, 8_000 + memory_frames),)),
        (Span(1e308, 1.1e308), ()),
        (Span(-1e308, -1e307), ()),
    ):
        found = mask_on_frames(
            [span], rate_hz=8_000, frames=80_000, channels=1, memory_frames=memory_frames
        )
        assert found.channels == (expected,)


def test_one_party_is_masked_alone_and_a_mono_recording_whole() -> None:
    """A channel's span touches that channel only; mono has no other to keep."""
    spans = [Span(1, 2, Party.RIGHT)]
    assert mask(spans).channels == ((), ((8_000, 16_000),))
    assert mask(spans, channels=1).channels == (((8_000, 16_000),),)


def test_the_memory_of_a_decoder_lengthens_each_interval() -> None:
    """What is told of a stretch before it, and remembered behind it, is masked too (T17)."""

    def found(span: Span, channels: int = 1) -> tuple[tuple[tuple[int, int], ...], ...]:
        return mask_on_frames(
            [span], rate_hz=8_000, frames=16_100, channels=channels, memory_frames=320
        ).channels

    assert found(Span(1, 1.5)) == (((7_680, 12_320),),)
    assert found(Span(0.01, 2)) == (((0, 16_100),),)
    # Behind the end there is nothing that could tell of it.
    assert found(Span(16_100 / 8_000, 9)) == ((),)
    # A codec with a memory codes one channel with the help of the other.
    assert found(Span(1, 1.5, Party.RIGHT), 2) == (((7_680, 12_320),),) * 2


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


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 20), st.sampled_from([None, *Party])),
        max_size=8,
    ),
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=3),
)
def test_the_effective_list_is_what_is_masked_frame_by_frame(
    given_spans: list[tuple[int, int, Party | None]], others: list[tuple[int, int]]
) -> None:
    """Against an oracle that looks at every frame; so are coverage and what touches a stretch."""
    found = mask([Span(a, a + n, party) for a, n, party in given_spans], rate=1, frames=80)
    frames = [[any(a <= f < b for a, b in each) for f in range(80)] for each in found.channels]
    shown = effective_spans(found, 1)
    for frame in range(80):
        covering = [each.channel for each in shown if each.start_s <= frame < each.end_s]
        both = frames[0][frame] and frames[1][frame]
        neither = not (frames[0][frame] or frames[1][frame])
        alone = Party.LEFT if frames[0][frame] else Party.RIGHT
        assert covering == ([] if neither else [None] if both else [alone])
    for one, other in pairwise(shown):
        assert one.end_s < other.start_s or one.channel != other.channel
    smaller = mask([Span(a, a + n) for a, n in others], rate=1, frames=80)
    inside = [
        not any(a <= f < b for a, b in smaller.channels[c]) or frames[c][f]
        for c in range(2)
        for f in range(80)
    ]
    assert covers(found, smaller) == all(inside)
    for start, count in others:
        touching = [(a, b) for a, b in found.channels[0] if a < start + count and b > start]
        assert found.touching(0, start, start + count) == touching


def legs(*told: tuple[float, float, float | None]) -> list[LegTimes]:
    """Records: start and length in seconds, and when somebody answered."""
    return [
        LegTimes(
            UnixMillis(round(START + start * 1000)),
            length,
            None if answered is None else UnixMillis(round(START + answered * 1000)),
            0.0,
        )
        for start, length, answered in told
    ]


@pytest.mark.parametrize(
    ("told", "sound_s", "begins_s", "late_s"),
    [
        # As long as its call: begun with it.
        ([(0, 60, None)], 60.0, 0, 0),
        ([(0, 60, 12)], 60.0, 0, 0),
        ([(0, 60, None)], 61.9, 0, 0),
        # As long as the talk: begun when somebody answered, give or take what is missing.
        ([(0, 72, 12)], 60.0, 12, 0),
        ([(0, 72, 12)], 59.0, 12, 1.0),
        ([(0, 72, 12)], 61.0, 11, 1.0),
        # Neither: some time within its call.
        ([(0, 72, 12)], 40.0, 0, 32),
        ([(0, 72, None)], 60.0, 0, 12),
        # The second leg's, of a transfer.
        ([(0, 30, 5), (30, 60, 33)], 57.0, 0, 33),
        ([(0, 10, None), (10, 60, 15)], 55.0, 15, 0),
    ],
)
def test_a_recording_begins_where_its_length_fits(
    told: list[tuple[float, float, float | None]], sound_s: float, begins_s: float, late_s: float
) -> None:
    """Records tell when calls began, not when their recordings did."""
    first, late, early = first_frame(legs(*told), sound_s)
    assert (first - START) / 1000 == pytest.approx(begins_s)
    assert late == pytest.approx(late_s)
    assert early == 0


@given(
    st.floats(0, 30),
    st.floats(5, 60),
    st.floats(0, 1),
    st.booleans(),
)
def test_wherever_a_recording_began_it_is_within_what_is_known(
    ringing: float, talk: float, share: float, tells_answer: bool
) -> None:
    """A recorder that starts anywhere in the call, and goes on to its end."""
    begins = share * (ringing + talk)
    told = [(0.0, ringing + talk, ringing if tells_answer else None)]
    first, late, _ = first_frame(legs(*told), ringing + talk - begins)
    earliest = (first - START) / 1000
    assert earliest <= begins + 0.002
    assert begins <= earliest + late + 0.002


@given(st.floats(0, 60), st.floats(5, 60), st.floats(0, 60))
def test_a_sound_longer_than_its_calls_may_have_begun_before_them(
    before: float, known: float, behind: float
) -> None:
    """The leg that is not imported yet may be the first as well as the last."""
    first, late, early = first_frame(legs((before, known, None)), before + known + behind)
    told_s = (first - START) / 1000
    assert told_s - early - 2.001 <= 0.0 <= told_s + late


def test_a_recording_that_may_begin_earlier_is_masked_later() -> None:
    """A signal then lies anywhere between."""
    rules = SpanRules(pad_s=0.5, early_s=5.0)
    pairs = pair_signals(moments(("on", 1.5), ("off", 2.5)), START, rules)
    assert stretches(pairs) == [(1.0, 8.0)]
    assert stretches(pair_signals(moments(("on", 5)), START, rules)) == [(4.5, math.inf)]


def test_a_recording_that_may_begin_later_is_masked_earlier() -> None:
    """A signal then lies anywhere between."""
    rules = SpanRules(pad_s=0.5, late_s=12.0)
    pairs = pair_signals(moments(("on", 32), ("off", 40)), START, rules)
    assert stretches(pairs) == [(19.5, 40.5)]
    assert stretches(pair_signals(moments(("on", 5)), START, rules)) == [(0.0, math.inf)]
