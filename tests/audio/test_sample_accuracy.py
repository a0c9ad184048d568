"""Masks lie on the frame in every codec, rate and number of channels (threats.md T27).

The frames that a mask must have are worked out here in whole quarters of a frame, by a second
writing of the rule; what the decoder gives without any mask is the other half of what is expected.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from callreel.audio.g711 import alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from callreel.audio.rendered import RenderCache
from callreel.audio.resample import resampled_frames
from callreel.model import Party, Span
from tests.audio.codec_files import CASES, OPUS_CASES, Case, Stored, stored, voices
from tests.audio.reading import clips
from tests.audio.writing.decoding import decoded
from tests.audio.writing.sounds import filled
from tests.counts import Shown, repeated

Flags = npt.NDArray[np.bool_]
EVERY_CASE = [*CASES, *OPUS_CASES]
MOST_MEMORY_S = 0.5
IN_TURN = ("mp3", "opus", "flac", "m4a", "webm")
ENCODED_HZ = {"mp3": (8000, 16000, 24000, 48000), "opus": (8000, 12000, 16000, 24000, 48000)}
ENCODED_HZ["webm"] = ENCODED_HZ["opus"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """What is to be masked, in quarters of a frame."""

    start: int
    end: int | None
    """None for the end of the recording, whenever that is."""
    party: Party | None = None

    def span(self, rate_hz: int) -> Span:
        """As it would be stored."""
        end_s = math.inf if self.end is None else float(Fraction(self.end, 4 * rate_hz))
        return Span(float(Fraction(self.start, 4 * rate_hz)), end_s, self.party)


def awkward(frames: int, channels: int, memory: int) -> list[list[Stretch]]:
    """Sets of stretches at the edges of the recording, of frames and of each other."""
    whole = 4 * frames
    middle = whole // 2 // 4 * 4
    left, right = (Party.LEFT, Party.RIGHT) if channels == 2 else (None, None)
    apart = 4 * (2 * memory + 9)
    return [
        [Stretch(0, 1), Stretch(middle, middle + 4), Stretch(whole - 4, whole)],
        [Stretch(3, 5), Stretch(middle + 1, middle + 3), Stretch(whole - 1, None)],
        [Stretch(whole - 12, None), Stretch(whole, whole + 400), Stretch(whole + 40, None)],
        [
            Stretch(middle, middle + 40, left),
            Stretch(middle + 20, middle + 61, right),
            Stretch(middle + apart + 61, middle + apart + 62, right),
            Stretch(8, 12, left),
        ],
        [Stretch(middle, middle + 8), Stretch(middle + 8, middle + 9), Stretch(middle, middle)],
        [Stretch(0, None)],
    ]


def expected_flags(stretches: list[Stretch], known: Stored) -> Flags:
    """Which frames of which channels are masked: every frame that is touched, and the memory."""
    facts = known.facts
    flags = np.zeros((facts.frames, facts.channels), bool)
    for stretch in stretches:
        first = stretch.start // 4
        last = facts.frames if stretch.end is None else -(-stretch.end // 4)
        if first >= facts.frames:
            continue
        one = stretch.party is not None and not facts.memory_frames
        sides = slice(None)
        if one and facts.channels == 2:
            sides = slice(0, 1) if stretch.party is Party.LEFT else slice(1, 2)
        flags[max(0, first - facts.memory_frames) : last + facts.memory_frames, sides] = True
    return flags


def expected_sound(known: Stored, flags: Flags, spans: tuple[Span, ...]) -> clips.Samples:
    """The fill where a flag is set, else what the decoder gives."""
    plain = known.decoded()
    clear = plain
    if known.facts.codec in {"gsm", "g722", "opus"}:
        # Behind a span these give what they can without it; before it nothing is different.
        clear = known.decoded(known.mask(spans))
        masked = np.flatnonzero(flags.any(axis=1))
        first = int(masked[0]) if len(masked) else len(plain)
        assert np.array_equal(clear[:first], plain[:first])
    return np.where(flags, filled(flags, known.facts.rate_hz), clear).astype(np.int16)


def length(case: Case, *, long: bool = True) -> int:
    """An odd number of frames, long enough that something stays unmasked in most masks."""
    memory_s = 0.0
    if case.codec in {"gsm", "g722", "opus"}:
        memory_s = MOST_MEMORY_S
    elif case.codec == "vorbis":
        memory_s = 8192 / case.rate_hz
    elif case.codec in {"mp3", "ima_adpcm"}:
        memory_s = 4096 / case.rate_hz
    seconds = 0.2 + (4.5 if long else 1.5) * memory_s
    return int(seconds * case.rate_hz) // 2 * 2 + 137


def read_back(data: bytes) -> clips.Samples:
    """What libsndfile reads in a lossless output."""
    samples, _ = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)
    found: clips.Samples = samples
    return found


def output_frames(name: str, known: Stored, rate_hz: int) -> int:
    """How many frames a lossy output must decode to, at the rate at which it decodes."""
    facts = known.facts
    rates = ENCODED_HZ.get(name, (facts.rate_hz,))
    encoded_hz = next((rate for rate in rates if rate >= facts.rate_hz), rates[-1])
    return resampled_frames(facts.frames, facts.rate_hz, encoded_hz) * rate_hz // encoded_hz


def through(name: str, samples: clips.Samples) -> clips.Samples:
    """What a lossless format keeps: G.711 keeps the value that its byte stands for."""
    if name == "wav-ulaw":
        return ulaw_decode(ulaw_encode(samples))
    if name == "wav-alaw":
        return alaw_decode(alaw_encode(samples))
    return samples


def lossless(known: Stored) -> tuple[str, ...]:
    """WAV, and the law in which a recording came: that goes out as it is stored."""
    law = known.facts.codec
    return ("wav", f"wav-{law}") if law in {"ulaw", "alaw"} else ("wav",)


@pytest.mark.parametrize("case", EVERY_CASE, ids=str)
def test_exactly_the_frames_of_a_mask_are_masked(
    case: Case, renders: RenderCache, shown: Shown
) -> None:
    """Inside there is the fill and nothing else; outside every sample is the decoder's."""
    known = stored(case, voices(length(case), case.rate_hz, case.channels, 3))
    facts = known.facts
    assert facts.frames >= 1000
    for stretches in awkward(facts.frames, facts.channels, facts.memory_frames):
        spans = tuple(stretch.span(facts.rate_hz) for stretch in stretches)
        flags = expected_flags(stretches, known)
        wanted = expected_sound(known, flags, spans)
        assert np.array_equal(known.masked(known.mask(spans)), wanted)
        for name in lossless(known):
            sound = read_back(known.served(spans, name, renders, f"{case}-{spans}"))
            assert np.array_equal(sound, through(name, wanted))
            shown.one("lossless outputs compared sample by sample")
    shown.one("kinds of file, by codec, rate and channels")


@pytest.mark.parametrize(
    ("number", "case"), [pytest.param(*each, id=str(each[1])) for each in enumerate(EVERY_CASE)]
)
def test_every_format_has_the_length_of_the_recording(
    number: int, case: Case, renders: RenderCache
) -> None:
    """To the frame, whatever was stored and is masked; two formats for each kind of file."""
    known = stored(case, voices(length(case, long=False), case.rate_hz, case.channels, 4))
    facts = known.facts
    spans = (Span(0.05, 0.1),)
    for name in (IN_TURN[number % 5], IN_TURN[(number + 2) % 5]):
        sound, rate_hz = decoded(known.served(spans, name, renders, f"length-{case}"))
        assert sound.shape == (output_frames(name, known, rate_hz), facts.channels)


@pytest.mark.parametrize("frames", [1, 2, 3, 7, 159, 161, 505, 577, 961])
@pytest.mark.parametrize(
    "case", [case for case in EVERY_CASE if case.rate_hz in {8000, 11025}], ids=str
)
def test_the_shortest_recordings_are_masked_whole(case: Case, frames: int) -> None:
    """One frame more than a block, one less, and no more than one."""
    if case.label == "opus-cd":
        frames += 480
    known = stored(case, clips.noise(frames, case.channels, seed=frames))
    facts = known.facts
    last = 4 * facts.frames
    for stretches in ([Stretch(0, 4)], [Stretch(last - 4, None)], [Stretch(1, last - 1)]):
        spans = tuple(stretch.span(facts.rate_hz) for stretch in stretches)
        flags = expected_flags(stretches, known)
        assert np.array_equal(known.masked(known.mask(spans)), expected_sound(known, flags, spans))


@repeated(named=1000, usual=40)
@given(data=st.data())
def test_no_place_length_or_rate_moves_a_mask(renders: RenderCache, data: st.DataObject) -> None:
    """The same for masks, lengths and kinds of file that nobody thought of."""
    case = data.draw(st.sampled_from(EVERY_CASE))
    extra = data.draw(st.integers(0, 400))
    channels = (None, Party.LEFT, Party.RIGHT)
    frames = length(case, long=False) + extra
    known = stored(case, clips.noise(frames, case.channels, seed=extra))
    facts = known.facts
    places = st.integers(0, 4 * facts.frames + 40)
    drawn = data.draw(
        st.lists(st.tuples(places, places, st.sampled_from(channels)), min_size=1, max_size=4)
    )
    stretches = [Stretch(min(a, b), max(a, b), party) for a, b, party in drawn]
    # From a frame to itself there is nothing to mask, but for what a codec makes of it.
    stretches = [each for each in stretches if each.start != each.end] or [Stretch(0, 4)]
    spans = tuple(stretch.span(facts.rate_hz) for stretch in stretches)
    flags = expected_flags(stretches, known)
    wanted = expected_sound(known, flags, spans)
    assert np.array_equal(known.masked(known.mask(spans)), wanted)
    assert np.array_equal(read_back(known.served(spans, "wav", renders, "any")), wanted)


@pytest.mark.parametrize("slip", [-1, 1])
def test_a_mask_that_slips_by_a_frame_is_noticed(slip: int) -> None:
    """The comparison can fail: one frame too early or too late is not what is expected."""
    case = next(case for case in CASES if case.label == "flac")
    known = stored(case, clips.noise(999))
    stretches = [Stretch(400, 800)]
    spans = tuple(stretch.span(8000) for stretch in stretches)
    wanted = expected_sound(known, expected_flags(stretches, known), spans)
    moved = known.mask((Span((100 + slip) / 8000, (200 + slip) / 8000),))
    assert np.array_equal(known.masked(known.mask(spans)), wanted)
    assert not np.array_equal(known.masked(moved), wanted)
