"""Peaks: exact, of masked sound only, in any stretch and at any length."""

from __future__ import annotations

import math
import struct
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from callreel.audio.blocks import RawBlock, Samples
from callreel.audio.decoders.linear import LinearSource
from callreel.audio.fill import stretch
from callreel.audio.masked import MaskedSound
from callreel.audio.obfuscate import clear_extents
from callreel.audio.peaks import WINDOW, Points, read_points, write_peaks
from callreel.audio.pipeline import Identity, open_peaks
from callreel.audio.rendered import RenderCache
from callreel.errors import Unavailable, Unplayable
from callreel.model import DEFAULT_FILL, OutputChannels, Party, SourceFacts, Span
from callreel.spans import mask_on_frames
from tests.audio.reading.clips import Bytes
from tests.audio.writing import sounds
from tests.audio.writing.sounds import ArraySource, voice
from tests.audio.writing.test_extents import Watched, stored

RATE_HZ = 8000
FIRST = Identity("r/1", 0, "peaks")
STEP = WINDOW * 512
"""Frames that are read at once."""
SPANS = sounds.SPANS | {"right": (Span(2.5, 3.25, Party.RIGHT),)}
LENGTHS = [0, 1, 255, 256, 257, 5000, STEP - 1, STEP, STEP + 1, 2 * STEP + 300]


def noise(frames: int, channels: int, seed: int = 1) -> Samples:
    """Every int16 there is, and none more likely."""
    random = np.random.default_rng(seed)
    return random.integers(-32768, 32768, (frames, channels)).astype(np.int16)


def facts_of(samples: Samples) -> SourceFacts:
    """As ingest would find them."""
    return ArraySource(samples, RATE_HZ).facts


def naive(samples: Samples, first: int, end: int, step: int) -> list[list[tuple[int, int]]]:
    """For each channel the pairs of [first, end), one after the other as anybody would do it."""
    found = []
    for channel in samples.T.tolist():
        pairs = []
        for start in range(first, end, step):
            part = channel[start : min(start + step, end)]
            pairs.append((math.trunc(min(part) / 256), math.trunc(max(part) / 256)))
        found.append(pairs)
    return found


def pairs_of(points: Points) -> list[list[tuple[int, int]]]:
    """The same, of what was read."""
    return [
        list(zip(low, high, strict=True))
        for low, high in zip(points.lowest.T.tolist(), points.highest.T.tolist(), strict=True)
    ]


def looked(
    source: object,
    facts: SourceFacts,
    cache: RenderCache,
    spans: tuple[Span, ...] = (),
    wanted: tuple[float, float, int] = (0.0, math.inf, 10**9),
    identity: Identity = FIRST,
) -> Points:
    """Peaks through the pipeline and the cache."""
    file = open_peaks(
        lambda: source,  # type: ignore[arg-type, return-value]
        facts,
        spans,
        fill=DEFAULT_FILL,
        cache=cache,
        identity=identity,
    )
    try:
        return read_points(file, facts, *wanted)
    finally:
        file.close()


@pytest.mark.parametrize("frames", LENGTHS)
@pytest.mark.parametrize("channels", [1, 2])
def test_each_window_has_its_lowest_and_its_highest(
    cache: RenderCache, channels: int, frames: int
) -> None:
    """To the frame, whatever the length; the last window may be short."""
    samples = noise(frames, channels)
    source = ArraySource(samples, RATE_HZ)
    points = looked(source, source.facts, cache)
    assert pairs_of(points) == naive(samples, 0, frames, WINDOW)
    assert (points.start, points.end, points.frames_per_point) == (0, frames, WINDOW)
    assert source.closed == 1


def test_values_are_divided_towards_zero(cache: RenderCache) -> None:
    """As audiowaveform does: what is nearly silent is a flat line."""
    values = [(-32768, -128), (-257, -1), (-256, -1), (-255, 0), (255, 0), (256, 1), (32767, 127)]
    samples = np.repeat(np.array([value for value, _ in values], np.int16), WINDOW)[:, np.newaxis]
    points = looked(ArraySource(samples, RATE_HZ), facts_of(samples), cache)
    wanted = [divided for _, divided in values]
    assert points.lowest[:, 0].tolist() == points.highest[:, 0].tolist() == wanted


@pytest.fixture(scope="module")
def reference(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[RenderCache, ArraySource]]:
    """A cache with one recording of two channels and an odd length."""
    cache = RenderCache(tmp_path_factory.mktemp("peaks"), 10**7)
    yield cache, ArraySource(noise(5003, 2), RATE_HZ)
    cache.close()


@given(
    begin=st.integers(0, 6000),
    length=st.one_of(st.integers(1, 6000), st.just(math.inf)),
    at_most=st.integers(1, 30),
)
def test_any_stretch_has_the_points_of_its_own_frames(
    reference: tuple[RenderCache, ArraySource], begin: int, length: float, at_most: int
) -> None:
    """Whole windows, from the one that holds its beginning to the one that holds its end; never
    more points than wanted, and no fewer than that needs. What is answered can be asked again.
    """
    cache, source = reference
    frames = source.facts.frames
    asked = (begin / RATE_HZ, (begin + length) / RATE_HZ, at_most)
    points = looked(source, source.facts, cache, wanted=asked)
    if begin >= frames:
        assert (points.start, points.end) == (frames, frames)
    else:
        end = min(begin + length, frames)
        assert points.start == begin // WINDOW * WINDOW
        assert points.end == min(-(-end // WINDOW) * WINDOW, frames)
    windows = -(-(points.end - points.start) // WINDOW)
    assert points.frames_per_point == max(1, -(-windows // at_most)) * WINDOW
    assert pairs_of(points) == naive(
        source.samples, points.start, points.end, points.frames_per_point
    )
    assert len(points.lowest) <= at_most
    again = looked(
        source,
        source.facts,
        cache,
        wanted=(points.start / RATE_HZ, points.end / RATE_HZ, at_most),
    )
    assert (again.start, again.end) == (points.start, points.end)
    assert pairs_of(again) == pairs_of(points)


@pytest.mark.parametrize("spans_name", SPANS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", ["wav", "wav-ulaw", "wav-alaw"])
def test_what_need_not_be_decoded_gives_the_same(
    tmp_path: Path, name: str, channels: int, spans_name: str
) -> None:
    """Stored bytes of every value, against the decoded and masked sound."""
    data, facts = stored(name, channels, 2 * STEP + 777)
    mask = mask_on_frames(
        SPANS[spans_name], rate_hz=RATE_HZ, frames=facts.frames, channels=channels
    )
    made = []
    for clear in (True, False):
        source = Watched(Bytes(data), facts)
        sound = MaskedSound(source, mask, OutputChannels.BOTH)
        path = tmp_path / f"{clear}.dat"
        extents = clear_extents(mask, source.stored) if clear else None
        assert write_peaks(sound, path, lambda: None, extents, facts.codec) == []
        made.append(path.read_bytes())
        if clear and spans_name == "unmasked":
            assert source.decoded == 0
    assert made[0] == made[1]


def test_another_codec_is_decoded(cache: RenderCache) -> None:
    """Eight bits and 24 are stored sample by sample too, and have no order of their own here."""
    samples = np.random.default_rng(3).integers(0, 256, 3000)
    facts = SourceFacts("pcm_u8", "wav", RATE_HZ, 1, 3000, 0, 3000, 1)
    source = LinearSource(Bytes(samples.astype(np.uint8).tobytes()), facts)
    decoded = ((samples - 128) << 8).astype(np.int16)[:, np.newaxis]
    assert pairs_of(looked(source, facts, cache)) == naive(decoded, 0, 3000, WINDOW)


def test_under_a_mask_there_is_the_fill_and_beside_it_the_sound(cache: RenderCache) -> None:
    """Of one channel, the other is as it was."""
    samples = noise(20 * WINDOW, 2)
    source = ArraySource(samples, RATE_HZ)
    begin, end = 5 * WINDOW + 100, 9 * WINDOW + 30
    span = Span(begin / RATE_HZ, end / RATE_HZ, Party.LEFT)
    points = looked(source, source.facts, cache, (span,))
    wanted = samples.copy()
    wanted[begin:end, 0] = stretch(DEFAULT_FILL, (begin, end), begin, end, RATE_HZ)
    assert pairs_of(points) == naive(wanted, 0, len(wanted), WINDOW)
    assert points.highest[6:9, 0].max() < 20 < points.highest[6:9, 1].min()


@pytest.mark.parametrize("spans_name", [name for name in SPANS if name != "unmasked"])
@pytest.mark.parametrize("name", ["wav", "wav-ulaw", "wav-alaw"])
@pytest.mark.parametrize("channels", [1, 2])
def test_recordings_that_differ_only_under_masks_have_the_same_peaks(
    tmp_path: Path, channels: int, name: str, spans_name: str
) -> None:
    """Byte for byte in the file that is kept, and what is not masked does show (T16)."""
    data, facts = stored(name, channels, STEP + 777)
    spans = SPANS[spans_name]
    mask = mask_on_frames(spans, rate_hz=RATE_HZ, frames=facts.frames, channels=channels)
    flags = np.zeros((facts.frames, channels), bool)
    for channel, intervals in enumerate(mask.channels):
        for begin, end in intervals:
            flags[begin:end, channel] = True
    random = np.random.default_rng(9)
    sound = np.frombuffer(data[facts.data_offset :], f"S{facts.block_align // channels}")
    other = np.frombuffer(random.bytes(facts.data_size), sound.dtype)
    kept = []
    for mixed in (sound, np.where(flags.reshape(-1), other, sound), other):
        source = LinearSource(Bytes(data[: facts.data_offset] + mixed.tobytes()), facts)
        cache = RenderCache(tmp_path / str(len(kept)), 10**7)
        kept.append(_file(source, facts, spans, cache))
        cache.close()
    assert kept[0] == kept[1] != kept[2]


def _file(
    source: LinearSource, facts: SourceFacts, spans: tuple[Span, ...], cache: RenderCache
) -> bytes:
    file = open_peaks(lambda: source, facts, spans, fill=DEFAULT_FILL, cache=cache, identity=FIRST)
    try:
        return b"".join(part.data for part in file.parts(0, file.size))
    finally:
        file.close()


def test_they_are_kept_in_the_form_of_audiowaveform(cache: RenderCache) -> None:
    """Version 2, eight bits, rate, frames a pair, pairs, channels; lowest and highest by turns.

    Source: github.com/bbc/audiowaveform, doc/DataFormat.md.
    """
    samples = noise(WINDOW + 7, 2)
    source = ArraySource(samples, 11025)
    file = open_peaks(
        lambda: source, source.facts, (), fill=DEFAULT_FILL, cache=cache, identity=FIRST
    )
    data = b"".join(part.data for part in file.parts(0, file.size))
    file.close()
    assert struct.unpack("<iIiiIi", data[:24]) == (2, 1, 11025, 256, 2, 2)
    left, right = naive(samples, 0, len(samples), WINDOW)
    assert data[24:] == struct.pack("<8b", *left[0], *right[0], *left[1], *right[1])


def test_they_are_made_once_however_often_they_are_seen(cache: RenderCache) -> None:
    """Another identity, such as that of the next mask revision, has its own."""
    source = ArraySource(voice(9000, 1), RATE_HZ)
    for from_s in (0.0, 0.5, 1.0):
        looked(source, source.facts, cache, wanted=(from_s, math.inf, 10))
    assert source.closed == 1
    looked(source, source.facts, cache, identity=Identity("r/2", 0, "peaks"))
    assert source.closed == 2


def test_peaks_of_another_length_are_a_fault(cache: RenderCache) -> None:
    """Never drawn beside a sound that they are not of."""
    long, short = ArraySource(voice(9000, 1), RATE_HZ), ArraySource(voice(300, 1), RATE_HZ)
    looked(long, long.facts, cache)
    with pytest.raises(AssertionError, match="another recording"):
        looked(short, short.facts, cache)


class Torn(ArraySource):
    """Ends early."""

    def read(self, start: int, count: int) -> RawBlock:
        """Nothing behind the first step."""
        if start >= STEP:
            raise Unplayable("The stored file is shorter than it was when it was imported.")
        return super().read(start, count)


def test_half_of_them_are_never_kept(cache: RenderCache) -> None:
    """Sound that ends early has none at all, and its source is closed."""
    source = Torn(voice(STEP + 9, 1), RATE_HZ)
    with pytest.raises(Unplayable):
        looked(source, source.facts, cache)
    assert source.closed == 1
    assert cache.size_if_ready("r/1") is None


def test_a_render_that_is_given_up_ends_at_its_next_step(tmp_path: Path) -> None:
    """A new mask does not wait for peaks that nobody may see any more."""
    source = ArraySource(voice(5 * STEP, 1), RATE_HZ)
    sound = MaskedSound(
        source, mask_on_frames((), rate_hz=1, frames=9, channels=1), OutputChannels.BOTH
    )
    ticks = []

    def tick() -> None:
        ticks.append(len(source.starts))
        if len(ticks) == 3:
            raise Unavailable("The render was given up.")

    with pytest.raises(Unavailable):
        write_peaks(sound, tmp_path / "x.dat", tick)
    assert ticks == [0, 1, 2]


class Long:
    """Hours of sound in little memory."""

    def __init__(self, minutes: int) -> None:
        self._block = noise(STEP, 2)
        self.facts = SourceFacts("flac", "flac", RATE_HZ, 2, minutes * 60 * RATE_HZ + 11)
        self.closed = 0

    def read(self, start: int, count: int) -> RawBlock:
        """The same again and again."""
        assert start + count <= self.facts.frames
        return RawBlock(self._block[:count], RATE_HZ)

    def close(self) -> None:
        """Nothing is held."""


def test_memory_is_the_same_however_long_the_recording_is(cache: RenderCache) -> None:
    """A few steps of sound, and no more, while they are made; a stretch of them is as cheap."""
    peaks = []
    for minutes in (1, 60):
        source = Long(minutes)
        tracemalloc.start()
        points = looked(
            source,
            source.facts,
            cache,
            wanted=(3.0, 30.0, 50),
            identity=Identity(f"r/{minutes}", 0, "peaks"),
        )
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert len(points.lowest) <= 50
    assert max(peaks) < 8 << 20
    assert peaks[1] < 1.2 * peaks[0]
