"""Every codec that is read, against FFmpeg's decoder and against itself read in other orders."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from callreel.audio.blocks import RawBlock
from callreel.audio.probe import probe
from callreel.audio.sources import open_source
from callreel.errors import Unplayable
from tests.audio.reading import clips

RATES = (8000, 11025, 16000, 44100, 48000)
OPUS_RATES = (8000, 16000, 48000)

Maker = Callable[[clips.Samples, int], bytes]


def wav(codec: str) -> Maker:
    """A WAV file by FFmpeg."""
    return lambda samples, rate: clips.pyav(samples, rate, "wav", codec)


def snd(container: str, subtype: str) -> Maker:
    """A file by libsndfile."""
    return lambda samples, rate: clips.sndfile(samples, rate, container, subtype)


def raw(codec: str, container: str) -> Maker:
    """A file without a header, by FFmpeg."""
    return lambda samples, rate: clips.pyav(samples, rate, container, codec)


# name, codec, maker, FFmpeg's demuxer, rates, channels, how far the two decoders may differ
CASES = [
    ("a.wav", "pcm_u8", wav("pcm_u8"), "wav", RATES, (1, 2), 0),
    ("a.wav", "pcm_s16le", wav("pcm_s16le"), "wav", RATES, (1, 2), 0),
    ("a.wav", "pcm_s24le", wav("pcm_s24le"), "wav", RATES, (1, 2), 0),
    ("a.wav", "pcm_s32le", wav("pcm_s32le"), "wav", RATES, (1, 2), 0),
    ("a.wav", "pcm_f32le", wav("pcm_f32le"), "wav", RATES, (1, 2), 0),
    ("a.wav", "pcm_f64le", wav("pcm_f64le"), "wav", RATES, (1, 2), 0),
    ("a.wav", "pcm_s16le", snd("WAVEX", "PCM_16"), "wav", RATES, (1, 2), 0),
    ("a.wav", "pcm_s24le", snd("WAVEX", "PCM_24"), "wav", RATES, (1, 2), 0),
    ("a.wav", "pcm_f32le", snd("WAVEX", "FLOAT"), "wav", RATES, (1, 2), 0),
    ("a.wav", "ulaw", snd("WAVEX", "ULAW"), "wav", RATES, (1, 2), 0),
    ("a.wav", "ulaw", wav("pcm_mulaw"), "wav", RATES, (1, 2), 0),
    ("a.wav", "alaw", wav("pcm_alaw"), "wav", RATES, (1, 2), 0),
    ("a.wav", "gsm", snd("WAV", "GSM610"), "wav", (8000, 16000, 44100), (1,), 0),
    ("a.wav", "ima_adpcm", snd("WAV", "IMA_ADPCM"), "wav", RATES, (1, 2), 0),
    ("a.wav", "ima_adpcm", wav("adpcm_ima_wav"), "wav", RATES, (1, 2), 0),
    ("a.ulaw", "ulaw", raw("pcm_mulaw", "mulaw"), "mulaw", (8000,), (1,), 0),
    ("a.al", "alaw", raw("pcm_alaw", "alaw"), "alaw", (8000,), (1,), 0),
    ("a.sln", "pcm_s16le", raw("pcm_s16le", "s16le"), "s16le", (8000,), (1,), 0),
    ("a.sln16", "pcm_s16le", raw("pcm_s16le", "s16le"), "s16le", (16000,), (1,), 0),
    ("a.sln48", "pcm_s16le", raw("pcm_s16le", "s16le"), "s16le", (48000,), (1,), 0),
    ("a.gsm", "gsm", snd("RAW", "GSM610"), "gsm", (8000,), (1,), 0),
    ("a.g722", "g722", raw("g722", "g722"), "g722", (16000,), (1,), 0),
    ("a.mp3", "mp3", raw("libmp3lame", "mp3"), "mp3", RATES, (1, 2), 1),
    ("a.ogg", "opus", raw("libopus", "ogg"), "ogg", (48000,), (1, 2), 16),
    ("a.ogg", "vorbis", snd("OGG", "VORBIS"), "ogg", RATES, (1, 2), 1),
    ("a.flac", "flac", raw("flac", "flac"), "flac", RATES, (1, 2), 0),
    ("a.flac", "flac", snd("FLAC", "PCM_24"), "flac", RATES, (1, 2), 0),
    ("a.flac", "flac", snd("FLAC", "PCM_S8"), "flac", RATES, (1, 2), 0),
]
EACH = [
    pytest.param(
        name, codec, make, demuxer, rate, channels, slack, id=f"{number}-{codec}-{rate}-{channels}"
    )
    for number, (name, codec, make, demuxer, rates, counts, slack) in enumerate(CASES)
    for rate in rates
    for channels in counts
]
ONE_OF_EACH = [
    pytest.param(name, make, rates[0], counts[-1], id=f"{number}-{codec}")
    for number, (name, codec, make, _, rates, counts, _) in enumerate(CASES)
] + [pytest.param("a.opus", raw("libopus", "ogg"), 8000, 2, id="opus-8000")]


@pytest.mark.parametrize(("name", "codec", "make", "demuxer", "rate", "channels", "slack"), EACH)
def test_decoding_agrees_with_ffmpeg(
    name: str, codec: str, make: Maker, demuxer: str, rate: int, channels: int, slack: int
) -> None:
    """Same length and same samples as another decoder; rounded to the nearest where it has more."""
    data = make(clips.noise(rate // 2 + 77, channels), rate)
    facts = probe(clips.Bytes(data), name)
    assert (facts.codec, facts.rate_hz, facts.channels) == (codec, rate, channels)
    assert facts.repaired is None
    source = open_source(clips.Bytes(data), facts)
    found = source.read(0, facts.frames)
    source.close()
    expected = np.rint(clips.oracle(data, demuxer)).clip(-32768, 32767)
    if codec == "vorbis":
        # FFmpeg does not cut the end of a Vorbis stream that is shorter than its last page says.
        expected = expected[: facts.frames]
    assert found.rate_hz == rate
    assert found.samples.shape == expected.shape
    assert found.samples.dtype == np.int16
    assert np.abs(found.samples - expected).max() <= slack


@pytest.mark.parametrize("rate", OPUS_RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_opus_keeps_its_length_and_place(rate: int, channels: int) -> None:
    """The lead-in is dropped and the end is cut, at the rate that the recorder was given."""
    samples = clips.noise(rate * 2 + 1, channels, loud=3000)
    data = clips.pyav(samples, rate, "ogg", "libopus", b="96000")
    facts = probe(clips.Bytes(data), "a.opus")
    assert (facts.rate_hz, facts.channels, facts.frames) == (rate, channels, len(samples))
    found = clips.read_all(data, facts)
    for channel in range(channels):
        assert clips.shift(found[:, channel], samples[:, channel]) == 0


@pytest.mark.parametrize(("name", "make", "rate", "channels"), ONE_OF_EACH)
def test_any_order_of_reading_gives_the_same_samples(
    name: str, make: Maker, rate: int, channels: int
) -> None:
    """The same frame is the same sample: forward, backward, in crumbs, from a reopened source."""
    data = make(clips.noise(rate * 2 + 311, channels), rate)
    facts = probe(clips.Bytes(data), name)
    whole = clips.read_all(data, facts)
    random = np.random.default_rng(20)
    reader = clips.Bytes(data)
    source = open_source(reader, facts)
    for number in range(40):
        start = int(random.integers(0, facts.frames + 1))
        count = int(random.integers(0, facts.frames - start + 1) >> random.integers(0, 8))
        block = source.read(start, count)
        assert isinstance(block, RawBlock)
        assert block.samples.shape == (count, channels)
        assert np.array_equal(block.samples, whole[start : start + count]), (start, count)
        if number == 20:
            source.close()
            source = open_source(reader, facts)
    source.close()
    source.close()


@pytest.mark.parametrize(("name", "make", "rate", "channels"), ONE_OF_EACH)
def test_a_file_that_became_shorter_is_noticed(
    name: str, make: Maker, rate: int, channels: int
) -> None:
    """Nobody is sent half a recording as if it were whole."""
    data = make(clips.noise(rate, channels), rate)
    facts = probe(clips.Bytes(data), name)
    source = open_source(clips.Bytes(data[: len(data) // 2]), facts)
    with pytest.raises(Unplayable, match=r"shorter|cannot be decoded"):
        source.read(0, facts.frames)
    source.close()


def test_narrowing_rounds_to_the_nearest_and_clips() -> None:
    """24 bits: halves go to the even value, and what is too loud stays at the end of the scale."""
    values = [0x7FFFFF, -0x800000, 0x80, 0x180, 0x81, -0x80, -0x180, 0x7F]
    data = b"".join((value & 0xFFFFFF).to_bytes(3, "little") for value in values)
    file = clips.wav(data, align=3, bits=24)
    facts = probe(clips.Bytes(file), "a.wav")
    assert clips.read_all(file, facts)[:, 0].tolist() == [32767, -32768, 0, 2, 1, 0, -2, 0]


def test_floats_that_are_no_sound_become_silence_or_the_loudest() -> None:
    """Not a number is silence; infinity and everything over the scale are clipped."""
    values = [float("nan"), float("inf"), -float("inf"), 1.0, -1.0, 1e30, 0.5, 1e-40]
    file = clips.wav(np.array(values, "<f4").tobytes(), tag=3, align=4, bits=32)
    facts = probe(clips.Bytes(file), "a.wav")
    expected = [0, 32767, -32768, 32767, -32768, 32767, 16384, 0]
    assert clips.read_all(file, facts)[:, 0].tolist() == expected


@pytest.mark.parametrize("container", ["mp3", "ogg"])
def test_what_a_lossy_decoder_makes_too_loud_is_clipped(container: str) -> None:
    """Wrapped around instead, it would be a crack at full volume."""
    tone = np.sign(np.sin(np.arange(16000) * 0.02)) * 32767
    samples = tone.astype(np.int16).reshape(-1, 1)
    if container == "mp3":
        data = clips.pyav(samples, 8000, "mp3", "libmp3lame", b="32000")
    else:
        data = clips.sndfile(samples, 8000, "OGG", "VORBIS")
    facts = probe(clips.Bytes(data), "a")
    expected = clips.oracle(data, container)[: facts.frames]
    assert expected.max() > 33000
    found = clips.read_all(data, facts)
    assert np.abs(found - np.rint(expected).clip(-32768, 32767)).max() <= 1


def test_reading_needs_no_more_than_a_block_of_pcm() -> None:
    """A second in the middle of PCM costs one read of its own bytes."""
    data = clips.wav(clips.noise(80000).tobytes())
    facts = probe(clips.Bytes(data), "a.wav")
    reader = clips.Bytes(data)
    open_source(reader, facts).read(40000, 8000)
    assert reader.reads == 1


def test_a_failing_store_comes_out_as_its_own_error() -> None:
    """An error of the reader passes through the library as it is, not as broken sound."""

    class Failing(clips.Bytes):
        """A store that is away."""

        def read_at(self, offset: int, length: int) -> bytes:
            """Fails."""
            raise ConnectionError("the store is away")

    data = clips.sndfile(clips.noise(8000), 8000, "FLAC", "PCM_16")
    facts = probe(clips.Bytes(data), "a.flac")
    source = open_source(Failing(data), facts)
    with pytest.raises(ConnectionError, match="away"):
        source.read(0, 100)
    source.close()
