"""What the files say of themselves, and that other people's decoders believe it."""

from __future__ import annotations

import io
import struct

import mutagen.mp3
import mutagen.mp4
import mutagen.oggopus
import numpy as np
import pytest
import soundfile

from callreel.audio.encoders.mp3 import Mp3Shape
from callreel.audio.rendered import RenderCache
from callreel.errors import Unplayable
from callreel.model import OutputChannels
from tests.audio.writing.decoding import decoded, snr_db
from tests.audio.writing.sounds import FORMATS, ArraySource, opened, spec, voice, whole

RATES = (6000, 8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000)
TO = {
    "mp3": dict(zip(RATES, (8, 8, 16, 16, 24, 24, 48, 48, 48), strict=True)),
    "opus": dict(zip(RATES, (8, 8, 12, 16, 24, 24, 48, 48, 48), strict=True)),
    "webm": dict(zip(RATES, (8, 8, 12, 16, 24, 24, 48, 48, 48), strict=True)),
    "m4a": dict(zip(RATES, (8, 8, 11.025, 16, 22.05, 24, 32, 44.1, 48), strict=True)),
}
"""kHz that a lossy format is made at. Source: contract.md 6.5."""


def made(cache: RenderCache, name: str, frames: int, rate_hz: int, channels: int = 1) -> bytes:
    """An unmasked output."""
    source = ArraySource(voice(frames, channels, rate_hz), rate_hz)
    return whole(opened(source, (), spec(name), cache, f"r/{frames}-{rate_hz}-{channels}"))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate_hz", RATES)
@pytest.mark.parametrize("name", FORMATS)
def test_the_decoded_length_is_right_at_every_rate(
    cache: RenderCache, name: str, rate_hz: int, channels: int
) -> None:
    """To the sample where the rate is kept; else the length, raised to a frame of the new rate."""
    frames = rate_hz + 777
    sound, rate = decoded(made(cache, name, frames, rate_hz, channels))
    to_hz = round(TO[name][rate_hz] * 1000) if name in TO else rate_hz
    assert rate == (48000 if name in {"opus", "webm"} else to_hz)
    assert len(sound) == -(-frames * to_hz // rate_hz) * rate // to_hz
    assert sound.shape[1] == channels


@pytest.mark.parametrize("frames", [1, 2, 159, 160, 575, 576, 577, 960, 1105, 4095, 4096, 4097])
@pytest.mark.parametrize("name", ["mp3", "opus", "flac", "wav", "wav-ulaw", "wav-alaw"])
def test_short_lengths_are_right_to_the_frame(cache: RenderCache, name: str, frames: int) -> None:
    """Around the borders of frames and packets; libsndfile and FFmpeg agree."""
    data = made(cache, name, frames, 48000)
    sound, _ = soundfile.read(io.BytesIO(data))
    assert len(sound) == frames
    assert len(decoded(data)[0]) == frames


def test_the_info_frame_tells_players_everything(cache: RenderCache) -> None:
    """Constant rate, count of frames and bytes, delay and padding, as mutagen reads them."""
    for rate_hz in (8000, 16000, 24000, 48000):
        for channels in (1, 2):
            data = made(cache, "mp3", 3 * rate_hz, rate_hz, channels)
            info = mutagen.mp3.MP3(io.BytesIO(data)).info
            shape = Mp3Shape(rate_hz, channels)
            assert info.bitrate_mode == mutagen.mp3.BitrateMode.CBR
            assert (info.sample_rate, info.channels) == (rate_hz, channels)
            assert info.bitrate == shape.kbit_s * 1000
            assert info.length == pytest.approx(3.0, abs=1e-6)
            assert not info.sketchy
            at = data.index(b"Info")
            _, count, size = struct.unpack(">III", data[at + 4 : at + 16])
            assert size == len(data) == (count + 1) * shape.frame_bytes


@pytest.mark.parametrize("rate_hz", [8000, 16000, 24000, 48000])
def test_every_mp3_frame_has_one_size_and_leans_on_no_other(
    cache: RenderCache, rate_hz: int
) -> None:
    """A header where arithmetic says, never padding, no bit reservoir: what ranges rest on."""
    for channels in (1, 2):
        data = made(cache, "mp3", 2 * rate_hz, rate_hz, channels)
        shape = Mp3Shape(rate_hz, channels)
        for at in range(shape.frame_bytes, len(data), shape.frame_bytes):
            assert data[at : at + 2] in {b"\xff\xe3", b"\xff\xf3", b"\xff\xfb"}
            assert data[at + 2] & 2 == 0
            begin = int.from_bytes(data[at + 4 : at + 6], "big")
            assert begin >> (7 if rate_hz == 48000 else 8) == 0
    assert Mp3Shape(8000, 1).frame_bytes == 288


def test_ogg_pages_are_numbered_and_end_with_the_exact_position(cache: RenderCache) -> None:
    """Pre-skip and last position give the length; the serial is the same for the same output."""
    data = made(cache, "opus", 96333, 8000)
    info = mutagen.oggopus.OggOpus(io.BytesIO(data)).info
    assert info.length == pytest.approx(96333 / 8000, abs=1e-4)
    (skip,) = struct.unpack("<H", data[38:40])
    pages = []
    at = 0
    while at < len(data):
        flags, granule, serial, sequence = struct.unpack("<BqII", data[at + 5 : at + 22])
        lacing = data[at + 27 : at + 27 + data[at + 26]]
        pages.append((flags, granule, serial, sequence))
        at += 27 + len(lacing) + sum(lacing)
    assert [page[3] for page in pages] == list(range(15))
    assert {page[2] for page in pages} == {pages[0][2]}
    assert [page[0] for page in pages] == [2, *[0] * 13, 4]
    assert pages[-1][1] == skip + 6 * 96333
    assert [page[1] for page in pages[2:5]] == [48000, 96000, 144000]


def test_opus_keeps_two_channels_apart(cache: RenderCache) -> None:
    """At too low a rate libopus makes stereo into mono; then one party would sound in both."""
    samples = voice(16000, 2)
    samples[:, 1] = 0
    source = ArraySource(samples, 8000)
    sound, _ = decoded(whole(opened(source, (), spec("opus"), cache)))
    left, right = np.abs(sound[4800:]).mean(axis=0)
    assert right < left / 50


def test_an_mp4_begins_with_what_a_player_must_know(cache: RenderCache) -> None:
    """So that it plays before the whole has come; mutagen agrees with its length."""
    data = made(cache, "m4a", 96333, 8000)
    assert data.index(b"moov") < data.index(b"mdat")
    info = mutagen.mp4.MP4(io.BytesIO(data)).info
    assert info.length == pytest.approx(96333 / 8000, abs=0.2)
    assert info.codec.startswith("mp4a")


@pytest.mark.parametrize("name", ["mp3", "opus", "m4a", "webm"])
def test_positions_stay_exact_through_resampling(cache: RenderCache, name: str) -> None:
    """A swell in the middle of a second of 11,025 Hz has its centre at the same time in each."""
    time = np.arange(3 * 11025) / 11025
    swell = np.exp(-(((time - 1.7) / 0.05) ** 2)) * np.sin(2 * np.pi * 300 * (time - 1.7))
    samples = np.rint(swell * 12000).astype(np.int16)[:, np.newaxis]
    sound, rate = decoded(whole(opened(ArraySource(samples, 11025), (), spec(name), cache)))
    wanted = np.interp(np.arange(len(sound)) / rate, time, samples[:, 0])
    shifts = {by: snr_db(wanted, np.roll(sound[:, 0], by)) for by in range(-3, 4)}
    assert max(shifts, key=shifts.__getitem__) == 0


@pytest.mark.parametrize("name", FORMATS)
def test_a_recording_without_sound_is_an_empty_file_or_refused(
    cache: RenderCache, name: str
) -> None:
    """Formats of known size give their headers; the others have none without sound."""
    file = ArraySource(voice(0, 1), 8000)
    if name in {"flac", "m4a", "webm"}:
        with pytest.raises(Unplayable):
            opened(file, (), spec(name), cache)
        return
    data = whole(opened(file, (), spec(name, OutputChannels.MIX), cache))
    sound, _ = soundfile.read(io.BytesIO(data))
    assert len(sound) == 0
