"""Damaged FLAC and Opus: one position is one sound, and nothing of what is masked comes round.

A decoder that goes on behind a fault may place what follows at other positions than a mask was set
on, or remember packets that were to be withheld; so nothing behind a fault is decoded.
"""

from __future__ import annotations

import io
import itertools
import random
import struct
from collections.abc import Callable

import numpy as np
import pytest
import soundfile

from callreel.audio import flac
from callreel.audio.decoders.opus_packets import whole_bytes
from callreel.audio.encoders.ogg import ogg_crc, ogg_page
from callreel.audio.probe import probe
from callreel.audio.sources import open_source
from callreel.errors import Unplayable
from callreel.spans import Mask
from tests.audio.codec_files import CASES, Stored, spoken, stored
from tests.audio.reading import clips
from tests.audio.splicing import pages

RATE_HZ = 8000
CLEAR = Mask(((),))


def flac_of(seconds: float, level: float = 0.5, channels: int = 1, seed: int = 1) -> bytes:
    """Noise that changes its loudness, so that frames differ in size."""
    draw = np.random.default_rng(seed)
    frames = round(seconds * RATE_HZ)
    loud = 0.05 + np.abs(np.sin(np.arange(frames) / 9000))
    sound = draw.normal(0, 3000, (frames, channels)) * loud[:, None]
    file = io.BytesIO()
    soundfile.write(
        file, sound.astype(np.int16), RATE_HZ, format="FLAC", subtype="PCM_16",
        compression_level=level,
    )  # fmt: skip
    return file.getvalue()


def borders(data: bytes) -> list[int]:
    """Where the frames of a whole FLAC begin, and its end."""
    reader = clips.Bytes(data)
    found = flac._stream(reader, 0)
    assert found is not None
    stream, place = found
    places = [place]
    while True:
        part = data[place : place + stream.most_frame_bytes]
        header = flac._header(part, 0)
        assert header is not None
        following = flac._following(part, header, len(part))
        if following is None:
            return [*places, len(data)]
        assert following[1] is not None
        place += following[0]
        places.append(place)


def dropped(data: bytes, at: list[int]) -> bytes:
    """Frames that were lost."""
    cut = len(at) // 3
    return data[: at[cut]] + data[at[cut + 2] :]


def repeated(data: bytes, at: list[int]) -> bytes:
    """A piece that comes twice, as in a file that was put together badly."""
    cut = len(at) // 3
    return data[: at[cut]] + data[at[2] : at[5]] + data[at[cut] :]


def junk(data: bytes, at: list[int]) -> bytes:
    """Bytes of something else between two frames."""
    cut = len(at) // 3
    return data[: at[cut]] + b"\xff\xf8junk" * 5 + data[at[cut] :]


def flipped(data: bytes, at: list[int]) -> bytes:
    """One byte in the middle of a frame."""
    place = (at[len(at) // 3] + at[len(at) // 3 + 1]) // 2
    return data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]


def no_header(data: bytes, at: list[int]) -> bytes:
    """A header that was overwritten."""
    place = at[len(at) // 3]
    return data[:place] + bytes(6) + data[place + 6 :]


def two(data: bytes, at: list[int]) -> bytes:
    """A second stream behind the first."""
    return data + data[at[0] :]


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_whole_flac_is_whole(level: float, channels: int) -> None:
    """Every frame of it is served, whatever made it."""
    data = flac_of(6, level, channels)
    assert flac.whole_bytes(clips.Bytes(data), 0) == len(data)
    facts = probe(clips.Bytes(data), "a.flac")
    assert (facts.frames, facts.repaired) == (6 * RATE_HZ, None)
    assert len(borders(data)) > 8


@pytest.mark.parametrize("damage", [dropped, repeated, junk, flipped, no_header, two])
def test_one_position_of_a_flac_is_one_sound(
    damage: Callable[[bytes, list[int]], bytes],
) -> None:
    """However it is reached: onward in any step, or by a seek; up to the first fault."""
    data = flac_of(8)
    at = borders(data)
    reader = clips.Bytes(damage(data, at))
    facts = probe(reader, "a.flac")
    assert facts.repaired is not None or damage is two
    assert facts.frames <= 8 * RATE_HZ

    def read(start: int, step: int) -> np.ndarray:
        source = open_source(reader, facts, CLEAR)
        try:
            parts = [
                source.read(place, min(step, facts.frames - place)).samples
                for place in range(start, facts.frames, step)
            ]
        finally:
            source.close()
        return np.concatenate(parts)

    onward = read(0, 16384)
    whole = soundfile.read(io.BytesIO(data), dtype="int16", always_2d=True)[0]
    assert np.array_equal(onward, whole[: len(onward)])
    draw = random.Random(5)  # noqa: S311  # places of a test
    for _ in range(12):
        start, step = draw.randrange(facts.frames), draw.choice([64, 1000, 4096, 8000])
        assert np.array_equal(read(start, step), onward[start:])


def test_a_piece_of_a_longer_flac_is_refused() -> None:
    """Its numbers are not positions in it."""
    data = flac_of(8)
    at = borders(data)
    with pytest.raises(Unplayable):
        probe(clips.Bytes(data[: at[0]] + data[at[3] :]), "a.flac")


def with_checksum(page: bytes) -> bytes:
    """A page whose checksum fits."""
    zeroed = page[:22] + bytes(4) + page[26:]
    return zeroed[:22] + struct.pack("<I", ogg_crc(zeroed)) + zeroed[26:]


def pieces(data: bytes) -> list[bytes]:
    """The pages of an Ogg file."""
    places = [*(offset for offset, _, _ in pages(data)), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(places)]


def bad_checksum(all_: list[bytes]) -> list[bytes]:
    """A page that was damaged."""
    page = all_[3]
    return [*all_[:3], page[:22] + bytes([page[22] ^ 1]) + page[23:], *all_[4:]]


def lost_page(all_: list[bytes]) -> list[bytes]:
    """A page that is missing."""
    return all_[:3] + all_[4:]


def bytes_between(all_: list[bytes]) -> list[bytes]:
    """Bytes of something else."""
    return [*all_[:3], b"junkjunk", *all_[3:]]


def foreign(all_: list[bytes]) -> list[bytes]:
    """Another stream between."""
    extra = ogg_page([b"fishead\0" + bytes(60)], granule=0, serial=77, sequence=0, flags=2)
    return [*all_[:3], extra, *all_[3:]]


def early_last(all_: list[bytes]) -> list[bytes]:
    """A page that says that it is the last, and is not."""
    page = bytearray(all_[2])
    page[5] |= 4
    return [*all_[:2], with_checksum(bytes(page)), *all_[3:]]


@pytest.mark.parametrize("damage", [bad_checksum, lost_page, bytes_between, foreign, early_last])
def test_an_opus_is_decoded_up_to_its_first_fault(
    damage: Callable[[list[bytes]], list[bytes]],
) -> None:
    """Behind it nobody could say which packets lie under a mask, and a decoder would go on."""
    case = next(each for each in CASES if (each.label, each.channels) == ("opus", 1))
    one = stored(case, spoken(case.rate_hz * 6, case.rate_hz, 1, 3))
    parts = pieces(one.data)
    data = b"".join(damage(parts))
    assert whole_bytes(clips.Bytes(one.data), 0) == len(one.data)
    whole = whole_bytes(clips.Bytes(data), 0)
    assert sum(map(len, parts[:2])) < whole <= sum(map(len, parts[:3]))
    facts = probe(clips.Bytes(data), "a.opus")
    assert facts.data_size == whole
    assert facts.repaired is not None
    assert facts.frames < one.facts.frames / 2
    heard = Stored(data, facts).decoded()
    behind = Stored(data[:whole], facts).decoded()
    assert np.array_equal(heard, behind)
