"""How far a decoder remembers: what the mask is lengthened by, measured again (threats.md T17)."""

from __future__ import annotations

import io

import av
import numpy as np
import numpy.typing as npt
import pytest

from callreel.audio.codecs import CODECS, memory_frames
from callreel.audio.probe import probe
from callreel.audio.sources import open_source
from tests.audio.reading import clips

FADES_TO = 8


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("name", "container", "codec", "rate", "block_bytes", "block_frames"),
    [
        ("a.gsm", "RAW", "GSM610", 8000, 33, 160),
        ("a.wav", "WAV", "GSM610", 8000, 65, 320),
        ("a.wav", "WAV", "IMA_ADPCM", 8000, 256, 505),
        ("a.g722", "g722", "g722", 16000, 1, 2),
        ("a.mp3", "mp3", "libmp3lame", 8000, 288, 576),
    ],
)
def test_other_blocks_in_a_stretch_are_forgotten_within_the_memory(
    name: str, container: str, codec: str, rate: int, block_bytes: int, block_frames: int, seed: int
) -> None:
    """Two recordings that differ only in a stretch decode alike from the end of the memory on."""
    calm = clips.speech(4, rate, seed)
    loud = (clips.speech(4, rate, seed + 50).astype(np.int32) * 3).clip(-32000, 32000)
    files = []
    for samples in (calm, loud.astype(np.int16)):
        if codec.isupper():
            files.append(clips.sndfile(samples, rate, container, codec))
        else:
            options = {"b": "32000", "reservoir": "0"} if codec == "libmp3lame" else {}
            files.append(clips.pyav(samples, rate, container, codec, **options))
    facts = probe(clips.Bytes(files[0]), name)
    first, last = rate // block_frames, 2 * rate // block_frames
    start, end = (facts.data_offset + number * block_bytes for number in (first, last))
    mixed = files[0][:start] + files[1][start:end] + files[0][end:]
    decoded = []
    for data in (files[0], mixed):
        source = open_source(clips.Bytes(data), facts)
        decoded.append(source.read(0, facts.frames).samples.astype(np.int32))
        source.close()
    difference = np.abs(decoded[0] - decoded[1])
    # An MP3 frame begins one frame of sound before the place where it is decoded.
    assert difference[(first + 1) * block_frames : last * block_frames].any()
    assert difference[last * block_frames + facts.memory_frames :].max() <= FADES_TO
    assert 0 < facts.memory_frames <= rate // 2


@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize("application", ["voip", "audio", "lowdelay"])
def test_opus_forgets_within_its_memory(rate: int, application: str) -> None:
    """Packet by packet; the 80 ms of RFC 7845 are not enough: speech was heard after 200."""
    remembered = 0
    for seed in range(4):
        packets = []
        for samples in (clips.speech(3, rate, seed), clips.speech(3, rate, seed + 50)):
            data = clips.pyav(samples, rate, "ogg", "libopus", b="24000", application=application)
            with av.open(io.BytesIO(data), format="ogg") as file:
                packets.append([bytes(packet) for packet in file.demux(audio=0) if packet.size])
        calm, other = packets
        one = _decode(calm)
        two = _decode(calm[:50] + other[50:100] + calm[100:])
        difference = np.abs(one - two)[100 * 960 :]
        remembered = max(remembered, *np.flatnonzero(difference > FADES_TO))
    assert 0 < remembered <= memory_frames("opus", 48000)


def _decode(packets: list[bytes]) -> npt.NDArray[np.int32]:
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate = 48000
    decoder.layout = "mono"
    decoder.format = "s16"
    parts = [
        frame.to_ndarray().reshape(-1).astype(np.int32)
        for packet in packets
        for frame in decoder.decode(av.Packet(packet))
    ]
    return np.concatenate(parts)


def test_only_codecs_that_stand_for_themselves_have_no_memory() -> None:
    """PCM, G.711 and FLAC give a frame from its own bytes, or from a block without a past."""
    without = {name for name in CODECS if not memory_frames(name, 8000, 505)}
    flat = {name for name, codec in CODECS.items() if codec.sample_bytes}
    assert without == flat | {"flac"}
