"""MP3: places and lengths, whatever the file says or does not say about itself."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from callreel.audio.mp3 import parse_header
from callreel.audio.probe import probe
from tests.audio.reading import clips

DECODER_DELAY = 529
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_a_tagged_file_has_the_length_and_place_of_what_was_recorded(
    rate: int, channels: int
) -> None:
    """The LAME tag's delay and padding are taken off: a span at a second lies on that second."""
    samples = clips.noise(rate * 2 + 137, channels)
    data = clips.pyav(samples, rate, "mp3", "libmp3lame", b="128000")
    facts = probe(clips.Bytes(data), "a.mp3")
    # FFmpeg writes too little padding now and then; then the tag decides, as it does in players.
    assert (facts.frames, facts.repaired) == (len(clips.oracle(data, "mp3")), None)
    assert 0 <= facts.frames - len(samples) < 50
    found = clips.read_all(data, facts)
    assert [clips.shift(found[:, side], samples[:, side]) for side in range(channels)] == [
        0
    ] * channels


@pytest.mark.parametrize("rate", RATES)
def test_an_untagged_file_is_decoded_without_the_decoders_own_delay(rate: int) -> None:
    """Where the file does not say what the encoder added, only the decoder's 529 are known."""
    data = clips.lame(clips.noise(rate + 137), rate)
    facts = probe(clips.Bytes(data), "a.mp3")
    expected = clips.oracle(data, "mp3")[DECODER_DELAY:]
    assert facts.frames == len(expected)
    assert np.abs(clips.read_all(data, facts) - np.rint(expected)).max() <= 1


@pytest.mark.parametrize("loud_first", [True, False])
@pytest.mark.parametrize("rate", [8000, 44100])
def test_a_varying_bitrate_without_a_tag_is_read_to_its_end(rate: int, *, loud_first: bool) -> None:
    """Libsndfile guesses such a length from the first frames, and would stop in the middle."""
    sound, silence = clips.noise(rate * 5), np.zeros((rate * 5, 1), np.int16)
    both = (sound, silence) if loud_first else (silence, sound)
    data = clips.lame(np.concatenate(both), rate, vbr=True)
    facts = probe(clips.Bytes(data), "a.mp3")
    assert facts.frames == len(clips.oracle(data, "mp3")) - DECODER_DELAY
    assert facts.frames >= rate * 10
    assert len(clips.read_all(data, facts)) == facts.frames


def test_a_tag_that_promises_too_much_is_not_believed() -> None:
    """A copy that was broken off keeps its tag; what is there is read, in its place."""
    samples = clips.noise(8000 * 5)
    data = clips.pyav(samples, 8000, "mp3", "libmp3lame")
    cut = data[: len(data) // 2]
    facts = probe(clips.Bytes(cut), "a.mp3")
    assert 8000 * 2 < facts.frames < 8000 * 3
    found = clips.read_all(cut, facts)
    whole = clips.read_all(data, probe(clips.Bytes(data), "a.mp3"))
    assert np.array_equal(found[:-1000], whole[: len(found) - 1000])


def test_a_tag_that_promises_too_little_is_not_believed() -> None:
    """The frames that are there are counted, not the number in the tag."""
    data = bytearray(clips.pyav(clips.noise(8000 * 5), 8000, "mp3", "libmp3lame"))
    place = data.index(b"Info") + 8
    data[place : place + 4] = struct.pack(">I", 3)
    facts = probe(clips.Bytes(bytes(data)), "a.mp3")
    assert facts.frames >= 8000 * 5


def test_junk_between_frames_is_passed_over_and_said() -> None:
    """A hole in a recording does not end it, but somebody should know."""
    data = clips.lame(clips.noise(8000 * 5), 8000, kbit=32)
    place = 288 * 20
    facts = probe(clips.Bytes(data[:place] + bytes(500) + data[place:]), "a.mp3")
    assert facts.repaired is not None
    assert "passed over 500 bytes" in facts.repaired
    assert facts.frames > 8000 * 4


def test_tags_before_and_behind_the_sound_are_not_sound() -> None:
    """ID3v2 before, ID3v1 behind, and a picture of megabytes change nothing."""
    data = clips.lame(clips.noise(8000), 8000)
    plain = probe(clips.Bytes(data), "a.mp3")
    picture = b"APIC" + bytes(range(256)) * 5000
    size = len(picture)
    syncsafe = bytes((size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127))
    tagged = b"ID3\x04\x00\x00" + syncsafe + picture + data + b"TAG".ljust(128, b" ")
    facts = probe(clips.Bytes(tagged), "a.mp3")
    assert facts.frames == plain.frames
    assert np.array_equal(clips.read_all(tagged, facts), clips.read_all(data, plain))


@pytest.mark.parametrize(
    "four",
    [
        "00000000",
        "fff918c4",  # layer 0: AAC
        "fffd10c4",  # layer II
        "ffff10c4",  # layer I
        "ffeb10c4",  # version 1 is reserved
        "fffb00c4",  # free bitrate
        "fffbf0c4",  # bitrate 15
        "fffb9cc4",  # rate 3
        "fffb",
    ],
)
def test_what_is_no_layer_iii_header_is_refused(four: str) -> None:
    """Eleven bits of sync are common in other data, so all that is reserved counts too."""
    assert parse_header(bytes.fromhex(four)) is None


@pytest.mark.parametrize(
    ("four", "rate", "channels", "size"),
    [
        ("fffb90c4", 44100, 1, 417),
        ("fffb9200", 44100, 2, 418),
        ("ffe344c0", 12000, 1, 192),
        ("ffe348c4", 8000, 1, 288),
    ],
)
def test_a_header_gives_the_length_of_its_frame(
    four: str, rate: int, channels: int, size: int
) -> None:
    """144 times the bitrate over the rate, half of it in MPEG 2 and 2.5, and the padding byte."""
    header = parse_header(bytes.fromhex(four))
    assert header is not None
    assert (header.rate_hz, header.channels, header.size_bytes) == (rate, channels, size)
