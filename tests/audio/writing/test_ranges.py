"""Any bytes of an output can be asked for alone, and are the bytes of the whole."""

from __future__ import annotations

import io
import random
from bisect import bisect_right
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from callreel.audio.pipeline import Identity, open_output, output_size
from callreel.audio.rendered import RenderCache
from callreel.audio.virtual import VirtualFile
from callreel.errors import BadRequest
from callreel.model import OutputChannels
from tests.audio.writing.sounds import (
    ARITHMETIC,
    FORMATS,
    LONG,
    SPANS,
    ArraySource,
    opened,
    spec,
    voice,
    whole,
)


def taken(file: VirtualFile, start: int, stop: int) -> bytes:
    """The bytes of a range."""
    return b"".join(part.data for part in file.parts(start, stop))


@pytest.mark.parametrize("channels", [OutputChannels.BOTH, OutputChannels.MIX])
@pytest.mark.parametrize("rate_hz", [8000, 11025])
@pytest.mark.parametrize("name", FORMATS)
def test_any_range_holds_the_bytes_of_the_whole(
    cache: RenderCache, name: str, rate_hz: int, channels: OutputChannels
) -> None:
    """Asked for in any order, over the joins of segments or within one, on fresh files or not."""
    samples = voice(LONG, 2, rate_hz)
    chosen = spec(name, channels)
    data = whole(opened(ArraySource(samples, rate_hz), SPANS["five"], chosen, cache))
    file = opened(ArraySource(samples, rate_hz), SPANS["five"], chosen, cache)
    draw = random.Random(name + channels)  # noqa: S311 - a fixed seed, on purpose
    edges = [0, 1, 43, 44, 45, 58, 288, 289, len(data) - 1, len(data)]
    ranges = [(a, b) for a in edges for b in edges if a <= b]
    ranges += [tuple(sorted(draw.choices(range(len(data) + 1), k=2))) for _ in range(6)]
    for start, stop in draw.sample(ranges, 20):
        if name in ARITHMETIC:
            # What was kept of the whole would be the whole's, whatever the encoder makes.
            cache.clear()
        assert taken(file, start, stop) == data[start:stop]
    file.close()


@settings(max_examples=25)
@given(
    name=st.sampled_from(ARITHMETIC),
    frames=st.integers(0, 24000),
    cuts=st.lists(st.floats(0, 1), max_size=6),
)
def test_any_set_of_ranges_concatenates_to_the_whole(
    tmp_path_factory: pytest.TempPathFactory, name: str, frames: int, cuts: list[float]
) -> None:
    """Whatever the length, wherever it is cut."""
    cache = RenderCache(tmp_path_factory.mktemp("renders"), 1)
    file = opened(ArraySource(voice(frames, 1), 8000), SPANS["five"], spec(name), cache)
    edges = sorted([0, file.size, *(int(cut * file.size) for cut in cuts)])
    pieces = []
    for a, b in pairwise(edges):
        cache.clear()
        pieces.append(taken(file, a, b))
    cache.clear()
    assert b"".join(pieces) == whole(file)
    cache.close()


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("name", FORMATS)
def test_no_part_holds_more_than_a_second(cache: RenderCache, name: str, rate_hz: int) -> None:
    """A mask that arrives breaks an answer off within a second of sound, even where silence packs
    small.
    """
    samples = voice(4 * rate_hz, 2, rate_hz)
    samples[rate_hz : 3 * rate_hz] = 0
    file = opened(ArraySource(samples, rate_hz), (), spec(name), cache)
    parts = list(file.parts(0, file.size))
    file.close()
    assert max(part.seconds for part in parts) <= 1
    assert all(part.data for part in parts)
    assert sum(part.seconds for part in parts) >= 4


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
@pytest.mark.parametrize("name", ["flac", "m4a", "webm"])
def test_rendered_parts_hold_the_packets_of_a_second(
    cache: RenderCache, name: str, rate_hz: int
) -> None:
    """Counted by somebody else's demuxer: where each packet lies, and how long it lasts."""
    samples = voice(4 * rate_hz, 2, rate_hz)
    samples[rate_hz : 3 * rate_hz] = 0
    file = opened(ArraySource(samples, rate_hz), (), spec(name), cache)
    edges = [0]
    for part in file.parts(0, file.size):
        edges.append(edges[-1] + len(part.data))
    with av.open(io.BytesIO(whole(file))) as container:
        stream = container.streams.audio[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
    lasting = [Fraction(0)] * len(edges)
    for packet in packets:
        lasting[bisect_right(edges, packet.pos)] += packet.duration * packet.time_base
    assert sum(lasting) >= 4
    assert max(lasting) <= 1


@pytest.mark.parametrize("name", ARITHMETIC)
def test_the_size_is_known_before_anything_is_read(cache: RenderCache, name: str) -> None:
    """Arithmetic alone, for every length and rate, agrees with what is made."""
    for rate_hz, frames in ((8000, 0), (8000, 1), (11025, 11025), (16000, 333), (44100, 50001)):
        for channels in (1, 2):
            source = ArraySource(voice(frames, channels, rate_hz), rate_hz)
            size = output_size(source.facts, spec(name))
            identity = f"{rate_hz}/{frames}-{channels}"
            file = opened(source, (), spec(name), cache, identity)
            assert file.size == size
            assert source.reads == []
            assert len(whole(file)) == size


@pytest.mark.parametrize("name", ARITHMETIC)
def test_a_range_reads_no_more_than_its_segment(cache: RenderCache, name: str) -> None:
    """A byte in the middle costs a segment at most, read a second at a time."""
    source = ArraySource(voice(8000 * 60, 1), 8000)
    file = opened(source, (), spec(name), cache)
    list(file.parts(file.size // 2, file.size // 2 + 1))
    file.close()
    assert sum(source.reads) <= 8000 * 12
    assert max(source.reads) <= 8000


@pytest.mark.parametrize("name", FORMATS)
def test_sound_is_read_in_small_blocks(cache: RenderCache, name: str) -> None:
    """Memory does not grow with the length: nothing ever asks for more than a second and a bit."""
    source = ArraySource(voice(11025 * 12, 2, 11025), 11025)
    whole(opened(source, (), spec(name), cache))
    assert max(source.reads) <= 11025 * 1.25


@pytest.mark.parametrize("rate_hz", [8000, 8001, 11025, 16000, 44100])
@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_is_read_once_and_onward(cache: RenderCache, name: str, rate_hz: int) -> None:
    """Most decoders of stored sound cannot go back but by beginning again: an hour of MP3 would be
    decoded anew for every segment.
    """
    source = ArraySource(voice(rate_hz * 24, 1, rate_hz), rate_hz)
    whole(opened(source, (), spec(name), cache))
    assert source.starts == sorted(source.starts)
    assert sum(source.reads) == source.facts.frames


def test_a_range_outside_the_file_is_refused(cache: RenderCache) -> None:
    """What is asked for must be within the file; the web layer has seen to it."""
    for name in ("wav", "flac"):
        file = opened(ArraySource(voice(800, 1), 8000), (), spec(name), cache)
        for start, stop in ((-1, 1), (2, 1), (0, file.size + 1)):
            with pytest.raises(ValueError, match="outside"):
                file.parts(start, stop)
        assert list(file.parts(file.size, file.size)) == []
        file.close()


def test_closing_a_file_closes_its_source(cache: RenderCache) -> None:
    """A source lives as long as its file; where it cannot be opened, it is closed at once."""
    source = ArraySource(voice(800, 1), 8000)
    file = opened(source, (), spec("wav"), cache)
    assert source.closed == 0
    file.close()
    assert source.closed == 1


def test_a_wav_beyond_4_gib_is_refused_and_its_source_closed(cache: RenderCache) -> None:
    """RIFF counts in 32 bits; the message says what to take instead."""
    source = ArraySource(voice(8, 2), 8000)
    longest = (2**32 - 1 + 8 - 44) // 4
    facts = replace(source.facts, frames=longest + 1)
    source.facts = facts
    with pytest.raises(BadRequest, match="flac, opus or mp3"):
        open_output(
            lambda: source, facts, (), spec("wav"), cache=cache, identity=Identity("r/1", 0, "")
        )
    assert source.closed == 1
    assert output_size(replace(facts, frames=longest), spec("wav")) < 2**32 + 8
    assert output_size(facts, spec("wav-ulaw")) < 2**32


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    """Nothing random, no clock: a resumed download may join what two processes made."""
    samples = voice(24000, 2)
    for name in FORMATS:
        made = []
        for run in ("a", "b"):
            cache = RenderCache(tmp_path / name / run, 10**8)
            made.append(whole(opened(ArraySource(samples, 8000), (), spec(name), cache)))
            cache.close()
        assert made[0] == made[1], name
