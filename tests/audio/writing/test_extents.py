"""Sound that is wanted in the encoding that it is stored in goes out without being decoded."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from callreel.audio.decoders.linear import LinearSource
from callreel.audio.pipeline import Identity, open_output
from callreel.audio.rendered import RenderCache
from callreel.audio.virtual import VirtualFile
from callreel.model import AudioSpec, OutputChannels, Party, SourceFacts, Span
from tests.audio.reading.clips import Bytes
from tests.audio.writing.sounds import SPANS, spec

CODECS = {"wav": ("pcm_s16le", 2), "wav-ulaw": ("ulaw", 1), "wav-alaw": ("alaw", 1)}
RATE_HZ = 8000


class Decoded:
    """The same source, which does not say that its frames have their own bytes."""

    def __init__(self, source: LinearSource) -> None:
        self.facts, self.read, self.close = source.facts, source.read, source.close


class Watched(LinearSource):
    """Notes which frames were read as they are stored, and how many were decoded."""

    def __init__(self, reader: Bytes, facts: SourceFacts) -> None:
        super().__init__(reader, facts)
        self.decoded = 0

    def read(self, start: int, count: int):  # noqa: ANN201  # as LinearSource
        """As ``LinearSource.read``."""
        self.decoded += count
        return super().read(start, count)


def stored(name: str, channels: int, frames: int) -> tuple[bytes, SourceFacts]:
    """Random bytes in an encoding, behind a few that are not sound."""
    codec, width = CODECS[name]
    data = np.random.default_rng(frames).bytes(frames * channels * width)
    facts = SourceFacts(
        codec=codec,
        container="wav",
        rate_hz=RATE_HZ,
        channels=channels,
        frames=frames,
        data_offset=13,
        data_size=len(data),
        block_align=channels * width,
    )
    return b"not a sound!!" + data, facts


def opened(
    source: object, facts: SourceFacts, spans: tuple[Span, ...], chosen: AudioSpec, folder: Path
) -> VirtualFile:
    """An output."""
    return open_output(
        lambda: source,  # type: ignore[arg-type, return-value]
        facts,
        spans,
        chosen,
        cache=RenderCache(folder / "renders", 10**6),
        identity=Identity("r/1", 0, ""),
    )


def samples_of(file: VirtualFile) -> bytes:
    """The data chunk of a WAV."""
    whole = b"".join(part.data for part in file.parts(0, file.size))
    at = whole.index(b"data") + 8
    return whole[at : at + struct.unpack("<I", whole[at - 4 : at])[0]]


@pytest.mark.parametrize("frames", [0, 1, 7, 8000, 96333])
@pytest.mark.parametrize("spans_name", SPANS)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", CODECS)
def test_it_is_what_decoding_and_encoding_gives(
    tmp_path: Path, name: str, channels: int, spans_name: str, frames: int
) -> None:
    """But for the second zero of µ-law, which encoding loses: here it stays as stored."""
    data, facts = stored(name, channels, frames)
    spans = SPANS[spans_name]
    one = opened(LinearSource(Bytes(data), facts), facts, spans, spec(name), tmp_path)
    other = opened(Decoded(LinearSource(Bytes(data), facts)), facts, spans, spec(name), tmp_path)
    fast, slow = samples_of(one), samples_of(other)
    if name == "wav-ulaw":
        assert fast.replace(b"\x7f", b"\xff") == slow
        fast_clear = np.frombuffer(fast, np.uint8) == np.frombuffer(data[13:], np.uint8)
        assert spans or fast_clear.all()
    else:
        assert fast == slow


@pytest.mark.parametrize("name", CODECS)
def test_only_frames_with_a_masked_channel_are_decoded(tmp_path: Path, name: str) -> None:
    """The rest costs no more than reading."""
    data, facts = stored(name, 2, 80_000)
    source = Watched(Bytes(data), facts)
    spans = (Span(1.0, 1.5, Party.LEFT), Span(1.25, 2.0, Party.RIGHT), Span(9.0, 9.5))
    samples_of(opened(source, facts, spans, spec(name), tmp_path))
    assert source.decoded == round(1.5 * RATE_HZ)


@pytest.mark.parametrize(
    ("chosen", "channels"),
    [
        (AudioSpec("wav-ulaw"), 2),
        (AudioSpec("wav", OutputChannels.LEFT), 2),
        (AudioSpec("wav", OutputChannels.MIX), 2),
    ],
)
def test_another_encoding_or_choice_of_channels_is_decoded(
    tmp_path: Path, chosen: AudioSpec, channels: int
) -> None:
    """What is stored would be the wrong bytes."""
    data, facts = stored("wav", channels, 800)
    source = Watched(Bytes(data), facts)
    samples_of(opened(source, facts, (), chosen, tmp_path))
    assert source.decoded == 800


def test_of_mono_every_choice_of_channels_is_what_is_stored(tmp_path: Path) -> None:
    """Source: contract.md 6.5."""
    data, facts = stored("wav", 1, 801)
    for channels in OutputChannels:
        source = Watched(Bytes(data), facts)
        assert samples_of(opened(source, facts, (), spec("wav", channels), tmp_path)) == data[13:]
        assert source.decoded == 0


def test_a_codec_that_remembers_has_no_frames_of_its_own(tmp_path: Path) -> None:
    """Facts of another codec never meet stored bytes."""
    data, facts = stored("wav", 1, 800)
    wide = replace(facts, codec="pcm_s24le", frames=500, block_align=3)
    source = Watched(Bytes(data), wide)
    samples_of(opened(source, wide, (), spec("wav"), tmp_path))
    assert source.decoded == 500
