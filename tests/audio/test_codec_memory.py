"""What a codec remembers of a masked span, or tells of it ahead, is not heard (threats.md T17).

Two recordings are made that differ only in the packets that tell of the span: whatever was looked
at to encode a masked frame may be anything. What is served of the two must be the same bytes.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.audio.codecs import CODECS
from callreel.audio.probe import probe
from callreel.audio.rendered import RenderCache
from callreel.model import Party, Span
from callreel.spans import Mask
from tests.audio.codec_files import (
    CASES,
    OPUS_CASES,
    Case,
    Stored,
    spoken,
    steady,
    stored,
    voices,
)
from tests.audio.reading import clips
from tests.audio.splicing import spliced
from tests.counts import FULL, Shown, repeated

LOSSY = [case for case in [*CASES, *OPUS_CASES] if not CODECS[case.codec].sample_bytes]
LOSSY = [case for case in LOSSY if case.codec != "flac"]
EXACT = [case for case in CASES if case not in LOSSY]
PREDICTING = [case for case in LOSSY if CODECS[case.codec].memory_s]
JOINT = [case for case in LOSSY if case.channels == 2 and case.codec in {"opus", "vorbis"}]
# At 8 kHz our MP3 has bits enough to keep them apart.
JOINT += [
    case for case in LOSSY if case.channels == 2 and case.codec == "mp3" and case.rate_hz > 8000
]
ROUNDS = 12 if FULL else 1


def sound(kind: str, case: Case, frames: int, seed: int) -> clips.Samples:
    """What a call may hold: speech, made or spoken; a vowel that does not end; silence behind."""
    if case.codec == "vorbis":
        # Silence has packets of a byte, which can tell of nothing else in the same place.
        kind = "voices"
    if kind == "steady":
        pitch = (90, 100, 110, 200, 400)[seed % 5]
        return np.repeat(steady(frames, case.rate_hz, pitch), case.channels, axis=1)
    if kind == "spoken":
        return spoken(frames, case.rate_hz, case.channels, seed)
    made = voices(frames, case.rate_hz, case.channels, seed)
    if kind == "hushed":
        made[frames // 2 :] = 0
    return made


KINDS = ("spoken", "steady", "voices", "hushed")


def memory_s(case: Case) -> float:
    """Roughly, on one side."""
    codec = CODECS[case.codec]
    return codec.memory_s or max(codec.memory_frames, 2041) / case.rate_hz


def twins(
    case: Case, kind: str, seed: int, place: float, frames: int
) -> tuple[Stored, Stored, Span]:
    """Two recordings that differ only in the packets of a span, and that span.

    Args:
        case: The kind of file.
        kind: Of sound outside the span.
        seed: Of both sounds.
        place: Where the span begins, from 0 at the start to 1 at the end.
        frames: Length of the span.
    """
    count = int((2 * memory_s(case) + 0.9) * case.rate_hz) // 2 * 2 + 137
    one = stored(case, sound(kind, case, count, seed))
    other = stored(case, clips.noise(count, case.channels, seed + 77, loud=9000))
    facts = one.facts
    start = min(int(place * facts.frames), facts.frames - 1)
    end = min(start + frames, facts.frames)
    two = spliced(one, other, start, end)
    assert two.facts == probe(clips.Bytes(two.data), case.name)
    return one, two, Span(start / facts.rate_hz, end / facts.rate_hz)


@pytest.mark.parametrize("case", LOSSY, ids=str)
def test_packets_that_tell_of_a_span_reach_no_output(
    case: Case, renders: RenderCache, shown: Shown
) -> None:
    """Not one bit before the span, in it or behind it, in every codec that loses something."""
    random = np.random.default_rng([ord(letter) for letter in str(case)])
    for number in range(ROUNDS):
        kind = KINDS[int(random.integers(4))]
        place = float(random.uniform(0.05, 0.6))
        length = int(random.integers(1, 1 + case.rate_hz // 4))
        one, two, span = twins(case, kind, int(random.integers(1000)), place, length)
        assert not np.array_equal(one.decoded(), two.decoded())
        outputs = [each.served((span,), "wav", renders, "memory") for each in (one, two)]
        assert outputs[0] == outputs[1], (kind, span, number)
        shown.one("pairs of recordings with other packets under a span, in lossy codecs")
    shown.one("kinds of lossy file, by codec, mode, rate and channels")


@repeated(named=1000, usual=25)
@given(
    case=st.sampled_from(LOSSY),
    kind=st.sampled_from(KINDS),
    seed=st.integers(0, 10**6),
    place=st.floats(0, 1),
    length=st.integers(1, 6000),
)
def test_no_place_or_length_of_a_span_lets_packets_through(
    case: Case, kind: str, seed: int, place: float, length: int
) -> None:
    """The same at the edges of the recording, and for spans that nobody thought of."""
    one, two, span = twins(case, kind, seed, place, length)
    mask = one.mask((span,))
    assert np.array_equal(one.masked(mask), two.masked(mask))


@pytest.mark.parametrize("case", EXACT, ids=str)
def test_codecs_without_memory_tell_nothing_outside_the_span(
    case: Case, renders: RenderCache
) -> None:
    """Where every frame stands for itself the span alone is masked, and that is enough."""
    first = voices(case.rate_hz // 2 + 137, case.rate_hz, case.channels, 1)
    second = first.copy()
    start, end = len(first) // 3, len(first) // 2
    second[start:end] = clips.noise(end - start, case.channels, seed=2, loud=9000)
    one, two = (stored(case, samples) for samples in (first, second))
    span = Span(start / case.rate_hz, end / case.rate_hz)
    assert one.facts.memory_frames == 0
    assert not np.array_equal(one.decoded(), two.decoded())
    outputs = [each.served((span,), "wav", renders, "exact") for each in (one, two)]
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("case", JOINT, ids=str)
def test_a_span_of_one_channel_covers_what_the_other_tells_of_it(case: Case) -> None:
    """Channels that are coded together: with the left alone masked, the right would differ."""
    count = int((2 * memory_s(case) + 0.9) * case.rate_hz)
    first = voices(count, case.rate_hz, 2, 1)
    second = first.copy()
    second[:, 0] = clips.noise(count, 1, seed=5, loud=9000)[:, 0]
    one, other = stored(case, first), stored(case, second)
    facts = one.facts
    start, end = facts.frames // 2, facts.frames // 2 + facts.rate_hz // 8
    two = spliced(one, other, start, end)
    mask = one.mask((Span(start / facts.rate_hz, end / facts.rate_hz, Party.LEFT),))
    assert np.array_equal(one.masked(mask), two.masked(mask))
    left_alone = Mask((mask.channels[0], ()))
    heard = [each.masked(left_alone, withheld=False) for each in (one, two)]
    assert not np.array_equal(heard[0][:, 1], heard[1][:, 1])


def nearest(label: str, rate_hz: int) -> Case:
    """One kind of file."""
    return next(case for case in LOSSY if (case.label, case.rate_hz) == (label, rate_hz))


@pytest.mark.parametrize("side", ["before", "behind"])
@pytest.mark.parametrize(
    "case",
    [
        *(nearest("raw-gsm", 8000), nearest("wav-gsm", 8000), nearest("mp3", 8000)),
        *(nearest("mp3", 44100), nearest("vorbis", 8000), nearest("vorbis", 44100)),
        *(nearest("opus", 16000), nearest("opus-60-ms", 48000), nearest("opus-music", 48000)),
    ],
    ids=str,
)
def test_a_mask_that_is_not_lengthened_is_not_enough(case: Case, side: str) -> None:
    """The checks above can fail: without what a side is lengthened by, packets are heard there."""
    for seed in range(6):
        one, two, span = twins(case, "voices", seed, 0.45, 901 + 7 * seed)
        (wide,) = one.mask((span,)).channels[0]
        rate = one.facts.rate_hz
        start, end = round(span.start_s * rate), round(span.end_s * rate)
        narrow = (start, wide[1]) if side == "before" else (wide[0], end)
        mask = Mask(((narrow,),) * case.channels)
        heard = [each.masked(mask, withheld=False) for each in (one, two)]
        if not np.array_equal(*heard):
            return
    pytest.fail("what is masked besides the span itself hides nothing")


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        (nearest("raw-gsm", 8000), "steady"),
        (nearest("wav-gsm", 8000), "steady"),
        (nearest("raw-gsm", 8000), "spoken"),
        (nearest("raw-g722", 16000), "spoken"),
        (nearest("opus", 16000), "spoken"),
        (nearest("opus", 48000), "spoken"),
        (nearest("opus-60-ms", 48000), "spoken"),
    ],
    ids=str,
)
def test_no_length_of_mask_is_enough_for_decoders_that_predict(case: Case, kind: str) -> None:
    """They are not given what is masked; if they were, they would be heard to remember it."""
    for seed in range(8):
        one, two, span = twins(case, kind, seed, 0.3, 2000)
        mask = one.mask((span,))
        assert np.array_equal(one.masked(mask), two.masked(mask))
        heard = [each.masked(mask, withheld=False) for each in (one, two)]
        if not np.array_equal(*heard):
            return
    pytest.fail("nothing that is withheld would have been heard")


@pytest.mark.parametrize("case", PREDICTING, ids=str)
def test_what_is_withheld_is_made_up_for_within_the_mask(case: Case) -> None:
    """Behind it speech sounds as if the decoder had been given everything: 20 dB and more."""
    frames = int((2 * memory_s(case) + 1.5) * case.rate_hz)
    known = stored(case, spoken(frames, case.rate_hz, case.channels, 8))
    facts = known.facts
    mask = known.mask((Span(0.6, 0.8),))
    end = mask.channels[0][0][1]
    plain = known.decoded()[end:].astype(np.float64)
    lost = known.decoded(mask)[end:] - plain
    assert (plain**2).mean() > 1000
    assert (lost**2).sum() <= (plain**2).sum() / 100
    assert end - mask.channels[0][0][0] == round(0.2 * facts.rate_hz) + 2 * facts.memory_frames


@pytest.mark.parametrize(
    ("label", "least"), [("mp3", 1200), ("vorbis", 250), ("wav-ima", 250), ("wav-ima-ffmpeg", 500)]
)
def test_codecs_with_a_bound_stay_within_it(label: str, least: int) -> None:
    """The bound is kept, and is of the size of what is really heard behind a span."""
    furthest = 0
    for case in (case for case in LOSSY if case.label == label):
        for seed in range(2 * ROUNDS):
            one, two, span = twins(case, "voices", seed, 0.4 + seed / 1000, 300 + seed)
            facts = one.facts
            changed = np.flatnonzero((one.decoded() != two.decoded()).any(axis=1))
            behind = int(changed[-1]) + 1 - round(span.end_s * facts.rate_hz)
            before = round(span.start_s * facts.rate_hz) - int(changed[0])
            assert max(before, behind) <= facts.memory_frames
            furthest = max(furthest, behind)
    assert furthest >= least


def test_ima_adpcm_keeps_its_channels_apart() -> None:
    """Other left bytes change nothing on the right; both are masked as the price of one rule."""
    case = next(case for case in LOSSY if case.label == "wav-ima" and case.channels == 2)
    one = stored(case, voices(9137, 8000, 2, 1))
    other = stored(case, clips.noise(9137, 2, 5, loud=9000))
    two = spliced(one, other, 4000, 4100, channel=0)
    first, second = one.decoded(), two.decoded()
    assert np.array_equal(first[:, 1], second[:, 1])
    assert not np.array_equal(first[:, 0], second[:, 0])
