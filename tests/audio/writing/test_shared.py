"""Segments are encoded once for all who read them, and are kept only where they stay true."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callreel.audio.blocks import RawBlock, SafeBlock, SafeBytes
from callreel.audio.decoders.linear import LinearSource
from callreel.audio.encoders.mp3 import RATES, Mp3Segments
from callreel.audio.masked import MaskedSound, SafeSound
from callreel.audio.pipeline import Identity, open_output
from callreel.audio.rendered import RenderCache
from callreel.audio.resample import at_rate, made_from, next_rate
from callreel.audio.shared import KeptSegments, Name, Origin, SharedSegments
from callreel.audio.virtual import Part, SegmentedFile, VirtualFile
from callreel.errors import Unavailable
from callreel.model import AudioSpec, OutputChannels, Party, SourceFacts, Span
from callreel.spans import Mask, mask_of
from tests.audio.reading.clips import Bytes
from tests.audio.writing.sounds import ArraySource, opened, spec, voice, whole
from tests.audio.writing.test_extents import Watched

PARTS = [SafeBytes(bytes([number]) * 100) for number in range(9)]
NAME = Name("recording-1/1-x-0", None)
MP3 = AudioSpec("mp3", OutputChannels.BOTH)


class Counted:
    """An encoder of one segment of nine parts, that counts what it made."""

    size = segment_size = 900
    header = SafeBytes(b"")

    def __init__(self, fails_at: int = 99) -> None:
        self.made = 0
        self.begun = 0
        self.is_open = True
        self._fails_at = fails_at

    def segment(self, _index: int) -> Iterator[Part]:
        """The parts; only while its source is open."""
        self.begun += 1
        for number, data in enumerate(PARTS):
            if not self.is_open:
                raise AssertionError("its source is closed")
            if number == self._fails_at:
                raise Unavailable("The store is away.", retry_after_s=1)
            self.made += 1
            yield Part(data, 1.0)


def reader(encoder: Counted, shared: SharedSegments) -> SegmentedFile:
    """A file over an encoder, whose source is closed with it."""
    kept = KeptSegments(encoder, shared, lambda _: NAME)

    def close() -> None:
        kept.leave()
        encoder.is_open = False

    return SegmentedFile(kept, close)


def test_a_crowd_takes_one_encoder(cache: RenderCache) -> None:
    """All get all of it; who comes later gets what is kept."""
    encoders = [Counted() for _ in range(24)]
    files = [reader(each, cache.segments) for each in encoders]
    gate = threading.Barrier(len(files))

    def read(file: SegmentedFile) -> bytes:
        gate.wait()
        return whole(file)

    with ThreadPoolExecutor(len(files)) as pool:
        assert set(pool.map(read, files)) == {b"".join(PARTS)}
    late = Counted()
    assert whole(reader(late, cache.segments)) == b"".join(PARTS)
    assert [sum(each.made for each in encoders), late.made] == [9, 0]


def test_nobody_waits_for_whoever_began(cache: RenderCache) -> None:
    """One who has begun, and whose client takes nothing more, holds up no other."""
    first, second = Counted(), Counted()
    slow = reader(first, cache.segments).parts(0, 900)
    assert next(slow).data == PARTS[0]
    assert whole(reader(second, cache.segments)) == b"".join(PARTS)
    assert [first.made, second.made] == [9, 0]
    assert b"".join(part.data for part in slow) == b"".join(PARTS[1:])
    assert [first.made, second.made] == [9, 0]


@pytest.mark.parametrize("had", [1, 4])
def test_who_leaves_in_the_middle_leaves_nobody_behind(cache: RenderCache, had: int) -> None:
    """Its source is closed; the others go on with their own, from where they were."""
    first, second = Counted(), Counted()
    mine, theirs = reader(first, cache.segments), reader(second, cache.segments)
    taking = mine.parts(0, 900)
    for _ in range(4):
        next(taking)
    following = theirs.parts(0, 900)
    got = [next(following).data for _ in range(had)]
    mine.close()
    got += [part.data for part in following]
    assert got == PARTS
    assert [first.made, second.made] == [4, 9]


def test_a_range_that_ends_early_gives_up_what_it_began(cache: RenderCache) -> None:
    """Nothing is kept of it, and the next begins anew."""
    first, second = Counted(), Counted()
    mine = reader(first, cache.segments)
    assert b"".join(part.data for part in mine.parts(0, 150)) == b"".join(PARTS)[:150]
    assert cache.kept(NAME) is None
    assert whole(reader(second, cache.segments)) == b"".join(PARTS)
    assert second.made == 9


def test_what_fails_for_one_may_go_on_for_others(cache: RenderCache) -> None:
    """Whose source it was gets the error; the others read their own."""
    first, second = Counted(fails_at=5), Counted()
    taking = reader(first, cache.segments).parts(0, 900)
    next(taking)
    assert whole(reader(second, cache.segments)) == b"".join(PARTS)
    assert [first.made, second.made] == [5, 9]
    got = [part.data for part in taking]
    # It is kept by now, so that even the first has it whole.
    assert got == PARTS[1:]


def test_an_error_that_all_have_is_told_to_all(cache: RenderCache) -> None:
    """Nobody tries for ever."""
    files = [reader(Counted(fails_at=3), cache.segments) for _ in range(2)]
    for file in files:
        with pytest.raises(Unavailable, match="away"):
            whole(file)
    assert cache.kept(NAME) is None


def speech(frames: int, rate_hz: int = 8000, channels: int = 2) -> tuple[bytes, SourceFacts]:
    """A recording as it is stored, every frame with its own bytes."""
    samples = voice(frames, channels, rate_hz)
    facts = SourceFacts(
        codec="pcm_s16le",
        container="wav",
        rate_hz=rate_hz,
        channels=channels,
        frames=frames,
        data_size=samples.nbytes,
        block_align=2 * channels,
    )
    return samples.tobytes(), facts


def mp3_of(
    data: bytes, facts: SourceFacts, spans: tuple[Span, ...], cache: RenderCache, revision: int = 0
) -> VirtualFile:
    """The recording as MP3."""
    return open_output(
        lambda: LinearSource(Bytes(data), facts),
        facts,
        spans,
        MP3,
        cache=cache,
        identity=Identity("recording-1/1", revision, "mp3"),
    )


class Spy:
    """Masked sound that notes from where to where it was read."""

    def __init__(self, sound: SafeSound) -> None:
        self._sound = sound
        self.rate_hz, self.channels, self.frames = sound.rate_hz, sound.channels, sound.frames
        self.first, self.last = 1 << 60, -(1 << 60)

    def read(self, start: int, count: int) -> SafeBlock:
        """As ``SafeSound.read``."""
        if count:
            self.first, self.last = min(self.first, start), max(self.last, start + count)
        return self._sound.read(start, count)


@pytest.mark.parametrize("rate_hz", [6000, 8000, 11025, 16000, 22050, 44100, 48000])
def test_a_segment_reads_no_frame_that_its_name_leaves_out(rate_hz: int) -> None:
    """At every rate, resampled or not: else a mask outside might change it."""
    length = 30 * rate_hz
    source = ArraySource(voice(length, 1, rate_hz), rate_hz)
    to_hz = next_rate(rate_hz, RATES)
    spy = Spy(MaskedSound(source, Mask(((),)), OutputChannels.BOTH))
    segments = Mp3Segments(at_rate(spy, to_hz))
    count = -(-(segments.size - len(segments.header)) // segments.segment_size)
    assert count > 1
    for index in range(count):
        spy.first, spy.last = 1 << 60, -(1 << 60)
        # As a reader who begins here does: nothing is kept of what came before.
        fresh = Mp3Segments(at_rate(spy, to_hz))
        list(fresh.segment(index))
        first, stop = made_from(fresh.made_from(index), rate_hz, to_hz)
        assert first <= spy.first < spy.last <= stop
        assert stop - first < 16 * rate_hz, "a name that leaves out as little helps nobody"


moments = st.integers(0, 40).map(float)
few_spans = st.lists(
    st.builds(
        lambda at, long, party: Span(at, at + long, party),
        moments,
        st.floats(0.01, 3),
        st.sampled_from([None, Party.LEFT, Party.RIGHT]),
    ),
    max_size=3,
).map(tuple)


@settings(max_examples=15, deadline=None)
@given(masks=st.lists(few_spans, min_size=2, max_size=4), rate_hz=st.sampled_from([8000, 11025]))
def test_what_is_kept_under_another_mask_is_what_would_be_made(
    tmp_path_factory: pytest.TempPathFactory, masks: list[tuple[Span, ...]], rate_hz: int
) -> None:
    """Mask after mask with one cache, and each with one of its own: the same bytes."""
    folder = tmp_path_factory.mktemp("renders")
    data, facts = speech(40 * rate_hz, rate_hz)
    together = RenderCache(folder / "together", 10**8)
    for revision, spans in enumerate(masks):
        alone = RenderCache(folder / str(revision), 10**8)
        anew = whole(mp3_of(data, facts, spans, alone, revision))
        alone.close()
        assert whole(mp3_of(data, facts, spans, together, revision)) == anew
    together.close()


def names_in(folder: Path) -> set[str]:
    """What is kept."""
    return {path.name for path in folder.iterdir()}


def test_one_more_span_costs_the_segments_that_it_touches(tmp_path: Path) -> None:
    """The others are not read again; those that it touches are erased, and only those."""
    cache = RenderCache(tmp_path, 10**8)
    data, facts = speech(60 * 8000)
    before = whole(mp3_of(data, facts, (Span(50.0, 51.0),), cache))
    assert len(names_in(tmp_path)) == 7
    spans = (Span(22.0, 23.0), Span(50.0, 51.0))

    def forget(source: str) -> None:
        mask = mask_of(spans, facts)
        cache.forget("recording-1", lambda each: each.is_true_of(source, mask))

    forget("recording-1/1")
    assert len(names_in(tmp_path)) == 6
    source = Watched(Bytes(data), facts)
    identity = Identity("recording-1/1", 1, "mp3")
    after = whole(open_output(lambda: source, facts, spans, MP3, cache=cache, identity=identity))
    assert source.decoded < 16 * 8000
    changed = [a != b for a, b in zip(tenths(before), tenths(after), strict=True)]
    assert changed.count(True) in {1, 2}
    assert len(names_in(tmp_path)) == 7
    forget("recording-1/2")
    assert names_in(tmp_path) == set()


def tenths(data: bytes) -> list[bytes]:
    """A file in ten pieces."""
    return [data[at * len(data) // 10 : (at + 1) * len(data) // 10] for at in range(10)]


def test_either_channel_counts() -> None:
    """An output may be a mix of both."""
    none, left = Mask(((), ())), Mask((((0, 8000),), ()))
    for frames in ((0, 80_000), (7999, 80_000)):
        origin = Origin.of("r/1", none, frames)
        assert origin.is_true_of("r/1", none)
        assert not origin.is_true_of("r/2", none)
        assert not origin.is_true_of("r/1", left)
        assert not origin.is_true_of("r/1", Mask(left.channels[::-1]))
    assert Origin.of("r/1", none, (8000, 80_000)).is_true_of("r/1", left)


class Closing(ArraySource):
    """A source that gives nothing once it is closed."""

    def read(self, start: int, count: int) -> RawBlock:
        """As ``Source.read``."""
        if self.closed:
            raise AssertionError("read after it was closed")
        return super().read(start, count)


@pytest.mark.parametrize("name", ["mp3", "opus"])
def test_an_output_that_is_closed_is_read_no_more(cache: RenderCache, name: str) -> None:
    """Also where its reader has not let go of it, and others have followed."""
    sound = voice(30 * 8000, 1)
    first = opened(Closing(sound, 8000), (), spec(name), cache)
    taking = first.parts(0, first.size)
    begun = [next(taking).data for _ in range(3)]
    first.close()
    again = whole(opened(Closing(sound, 8000), (), spec(name), cache))
    assert again.startswith(b"".join(begun))
    assert len(again) == first.size


def test_what_was_made_while_others_were_forgotten_is_not_kept(cache: RenderCache) -> None:
    """It may be out of date itself, and nobody would look again."""
    encoder = Counted()
    taking = reader(encoder, cache.segments).parts(0, 900)
    next(taking)
    cache.forget("another")
    assert b"".join(part.data for part in taking) == b"".join(PARTS[1:])
    assert cache.kept(NAME) is None
    assert whole(reader(Counted(), cache.segments)) == b"".join(PARTS)
    assert cache.kept(NAME) is not None


def test_what_cannot_be_kept_is_sent_all_the_same(tmp_path: Path) -> None:
    """Nobody asked for it to be kept."""
    cache = RenderCache(tmp_path / "renders", 10**8)
    (tmp_path / "renders").rmdir()
    for encoder in (Counted(), Counted()):
        assert whole(reader(encoder, cache.segments)) == b"".join(PARTS)
        assert encoder.made == 9
    cache.close()


def test_a_kept_segment_that_is_damaged_is_made_again(tmp_path: Path) -> None:
    """A file that was cut short is none."""
    cache = RenderCache(tmp_path, 10**8)
    whole(reader(Counted(), cache.segments))
    (name,) = names_in(tmp_path)
    with (tmp_path / name).open("r+b") as file:
        file.truncate(500)
    again = Counted()
    assert whole(reader(again, cache.segments)) == b"".join(PARTS)
    assert again.made == 9
    cache.close()


def test_segments_used_longest_ago_are_dropped_first(tmp_path: Path) -> None:
    """The limit holds for what is kept together."""
    data, facts = speech(60 * 8000)
    cache = RenderCache(tmp_path, 3 * 38_000)
    whole(mp3_of(data, facts, (), cache))
    assert len(names_in(tmp_path)) == 3
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3 * 38_000
    cache.close()


def test_formats_that_name_the_whole_mask_are_shared_too(tmp_path: Path) -> None:
    """Opus, and whatever comes from a source with a memory: encoded once per mask revision."""
    cache = RenderCache(tmp_path, 10**8)
    first, second = (ArraySource(voice(30 * 8000, 1), 8000) for _ in range(2))
    for name in ("opus", "mp3"):
        read = len(second.reads)
        one = whole(opened(first, (), spec(name), cache))
        assert whole(opened(second, (), spec(name), cache)) == one
        assert len(second.reads) == read
    cache.close()
