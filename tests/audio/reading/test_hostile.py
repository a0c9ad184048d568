"""Hostile and broken files: each refused with a clear reason, or mended and said (T40 to T42)."""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest

from callreel.audio.decoders.sndfile import SndfileDecoder
from callreel.audio.prober import Prober
from callreel.audio.sources import open_source
from callreel.errors import Unplayable
from callreel.model import SourceFacts
from tests.audio.reading import clips

NOISE = clips.noise(8000)
PCM = NOISE.tobytes()
ACCEPTED = "can be played"


def flac() -> bytes:
    """A sound FLAC file."""
    return clips.sndfile(NOISE, 8000, "FLAC", "PCM_16")


def opus() -> bytes:
    """A sound Ogg Opus file."""
    return clips.pyav(NOISE, 8000, "ogg", "libopus")


def vorbis() -> bytes:
    """A sound Ogg Vorbis file."""
    return clips.sndfile(NOISE, 8000, "OGG", "VORBIS")


def gsm() -> bytes:
    """A sound raw GSM file."""
    return clips.sndfile(NOISE, 8000, "RAW", "GSM610")


def gsm_wav() -> bytes:
    """A sound GSM WAV file."""
    return clips.sndfile(NOISE, 8000, "WAV", "GSM610")


def ima_wav() -> bytes:
    """A sound IMA ADPCM WAV file."""
    return clips.sndfile(NOISE, 8000, "WAV", "IMA_ADPCM")


def mp3() -> bytes:
    """A sound MP3 stream."""
    return clips.lame(NOISE, 8000)


def patched(data: bytes, place: int, value: bytes) -> bytes:
    """The same with some bytes replaced."""
    return data[:place] + value + data[place + len(value) :]


def streaminfo(data: bytes, rate: int, channels: int, total: int) -> bytes:
    """The same FLAC file with another header. Source: RFC 9639 section 8.2."""
    packed = rate << 44 | channels - 1 << 41 | 15 << 36 | total
    return patched(data, 18, packed.to_bytes(8, "big"))


@dataclass(frozen=True, slots=True)
class Case:
    """A file that is not as it should be."""

    name: str
    make: Callable[[], bytes]
    refused: str | None = None
    """Words of the reason; None where it is played."""
    mended: str | None = None
    """Words of what is said about it; None where there is nothing to say."""


FFCONCAT = b"ffconcat version 1.0\nfile victim.wav\n"
SDP = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n"
LISTS = [
    Case(f"a.{extension}", lambda text=text: text, refused=words)
    for extension in ("wav", "mp3", "ogg", "flac", "gsm", "ulaw", "sln", "g722")
    for text, words in (
        (FFCONCAT, "a list of files for ffmpeg"),
        (b"#EXTM3U\n#EXTINF:1,x\nvictim.wav\n", "a playlist"),
        (SDP, "a session description"),
        (b";FFMETADATA1\ntitle=x\n", "a metadata file of ffmpeg"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"><image href="victim.wav"/></svg>', "SVG"),
        (b"[playlist]\nFile1=victim.wav\n", "a playlist"),
    )
]
CASES = [
    Case("empty.wav", lambda: b"", "is empty"),
    Case("empty.ulaw", lambda: b"", "is empty"),
    Case("one byte.wav", lambda: b"R", "no kind of file"),
    Case("zeros.wav", lambda: bytes(5000), "nothing but zero bytes"),
    Case("random.wav", lambda: np.random.default_rng(4).bytes(5000), "no kind of file"),
    Case("text.wav", lambda: b"Dear caller, please hold the line.\n" * 9, "plain text"),
    Case("text.mp3", lambda: b"Dear caller, please hold the line.\n" * 9, "plain text"),
    Case("text.gsm", lambda: b"Dear caller, please hold the line.\n" * 9, "plain text"),
    Case("text.ulaw", lambda: b"Dear caller, please hold the line.\n" * 9, "plain text"),
    Case("page.wav", lambda: b"\xef\xbb\xbf <!DOCTYPE html><title>404</title>", "a web page"),
    Case("page.mp3", lambda: b"<HTML><body>not found</body>", "a web page"),
    Case("doc.wav", lambda: b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]>', "XML"),
    Case("utf16.wav", lambda: "ffconcat".encode("utf-16"), "UTF-16"),
    Case("zip.wav", lambda: b"PK\x03\x04" + bytes(200), "a ZIP archive"),
    Case("zip.gsm", lambda: b"PK\x03\x04" + bytes(200), "a ZIP archive"),
    Case("gzip.wav", lambda: b"\x1f\x8b\x08" + bytes(200), "a gzip archive"),
    Case("program.wav", lambda: b"\x7fELF\x02\x01" + bytes(200), "a program"),
    Case("m4a.mp3", lambda: b"\0\0\0\x20ftypM4A " + bytes(200), "MP4 or M4A"),
    Case("webm.ogg", lambda: b"\x1aE\xdf\xa3" + bytes(200), "Matroska or WebM"),
    Case("aiff.wav", lambda: b"FORM\0\0\0\x20AIFF" + bytes(200), "AIFF"),
    Case("amr.wav", lambda: b"#!AMR\n" + bytes(200), "AMR"),
    Case("avi.wav", lambda: b"RIFF\x10\0\0\0AVI " + bytes(200), "of the form AVI"),
    Case("rifx.wav", lambda: clips.wav(PCM, magic=b"RIFX"), "big-endian"),
    Case("header only.wav", lambda: clips.wav(b""), "data chunk is empty"),
    Case("head cut.wav", lambda: clips.wav(PCM)[:30], "ends inside its fmt chunk"),
    Case("rate 0.wav", lambda: clips.wav(PCM, rate=0), "sample rate of 0 Hz"),
    Case("65535 channels.wav", lambda: clips.wav(PCM, channels=65535), "65535 channels"),
    Case("bits 0.wav", lambda: clips.wav(PCM, bits=0, align=0), "0 bits"),
    Case("align 7.wav", lambda: clips.wav(PCM, align=7), "contradicts itself"),
    Case("tag 85.wav", lambda: clips.wav(mp3(), tag=0x55), "MP3 inside WAV"),
    Case("tag 2.wav", lambda: clips.sndfile(NOISE, 8000, "WAV", "MS_ADPCM"), "Microsoft ADPCM"),
    Case("gsm stereo.wav", lambda: clips.wav(PCM, tag=49, channels=2, align=65), "mono"),
    Case("ima align 1.wav", lambda: clips.wav(PCM, tag=17, align=1, bits=4), "blocks of 1 byte"),
    Case("rf64.wav", lambda: clips.wav(PCM, magic=b"RF64"), "ds64"),
    Case("size 0.wav", lambda: clips.wav(PCM, size=0), mended="gave 0 bytes"),
    Case("size unknown.wav", lambda: clips.wav(PCM, size=2**32 - 1), mended="unknown size"),
    Case("size large.wav", lambda: clips.wav(PCM, size=10**9), mended="gave 1000000000 bytes"),
    Case("torn.wav", lambda: clips.wav(PCM)[:-1], mended="incomplete block"),
    Case("gsm size 0.wav", lambda: patched(gsm_wav(), 56, bytes(4)), mended="gave 0 bytes"),
    Case("gsm torn.wav", lambda: gsm_wav()[:-20], mended="incomplete block"),
    Case("ima torn.wav", lambda: ima_wav()[:-20], mended="incomplete block"),
    Case("junk around.wav", lambda: clips.wav(PCM, before=b"JUNK\4\0\0\0abcd", after=b"id3 zz")),
    Case("wave in disguise.mp3", lambda: clips.wav(PCM)),
    Case("mp3 in disguise.wav", mp3),
    Case("short.gsm", lambda: gsm()[:20], "too short"),
    Case("torn.gsm", lambda: gsm()[:-10], mended="incomplete block"),
    Case("noise.gsm", lambda: np.random.default_rng(6).bytes(3300), "does not begin with a frame"),
    Case("turns bad.gsm", lambda: gsm()[:990] + bytes(500), mended="follows the last frame"),
    Case("odd.sln", lambda: PCM + b"x", mended="incomplete block"),
    Case("one byte.sln", lambda: b"x", "too short"),
    Case(
        "id3 only.mp3", lambda: b"ID3\4\0\0\0\0\x7f\x7f" + bytes(50), "ID3 tag reaches to the end"
    ),
    Case(
        "id3, text.mp3", lambda: b"ID3\4\0\0\0\0\0\4" + b"abcd" + b"hello you\n" * 9, "plain text"
    ),
    Case("one header.mp3", lambda: mp3()[:4], "no kind of file"),
    Case("aac.mp3", lambda: b"\xff\xf1\x6c\x40\x20\x1f\xfc" + bytes(300), "no kind of file"),
    Case("layer 2.mp3", lambda: b"\xff\xfd\x44\xc4" + bytes(900), "no kind of file"),
    Case("cut.mp3", lambda: mp3()[:-100]),
    Case("ogg cut.ogg", lambda: opus()[:20], "does not begin with the first page"),
    Case("ogg text.ogg", lambda: b"OggS" + b"hello you " * 9, "does not begin with the first page"),
    Case("speex.ogg", lambda: patched(opus(), 28, b"Speex   "), "holds Speex"),
    Case("theora.ogg", lambda: patched(opus(), 28, b"\x80theora"), "holds video"),
    Case("unknown.ogg", lambda: patched(opus(), 28, b"unknown!"), "holds something unknown"),
    Case("header page only.ogg", lambda: opus()[:47], "cannot be decoded"),
    Case("opus crc.ogg", lambda: patched(opus(), 22, b"\0\0\0\0"), "cannot be decoded"),
    Case("opus 9 channels.ogg", lambda: patched(opus(), 37, b"\x09"), "cannot be decoded"),
    Case("vorbis cut.ogg", lambda: vorbis()[:200], "cannot be decoded"),
    Case("flac cut.flac", lambda: flac()[:20], "cannot be decoded"),
    Case("flac magic only.flac", lambda: b"fLaC", "cannot be decoded"),
    Case("flac head only.flac", lambda: flac()[:42], "there is nothing in it"),
    Case("flac rate.flac", lambda: streaminfo(flac(), 655350, 1, 8000), "sample rate of 655350"),
    Case("flac 8 channels.flac", lambda: streaminfo(flac(), 8000, 8, 8000), "8 channels"),
    Case("flac no length.flac", lambda: streaminfo(flac(), 8000, 1, 0)),
    Case("flac long.flac", lambda: streaminfo(flac(), 8000, 1, 9000), mended="promised 9000"),
    Case("flac torn.flac", lambda: flac()[:-3000], mended="the last frame that can be"),
    Case("flac 12 h.flac", lambda: streaminfo(flac(), 8000, 1, 2**36 - 1), "more than 12 hours"),
]


@pytest.mark.parametrize("case", [*CASES, *LISTS], ids=lambda case: case.name)
def test_a_broken_file_is_refused_with_a_reason_or_mended_and_said(
    case: Case, prober: Prober
) -> None:
    """One sentence for the person who looks at the list; what is played is played exactly."""
    data = case.make()
    if case.refused is not None:
        with pytest.raises(Unplayable, match=case.refused) as caught:
            prober.probe(clips.Bytes(data), case.name)
        assert caught.value.message.endswith(".")
        assert "\n" not in caught.value.message
        return
    facts = prober.probe(clips.Bytes(data), case.name)
    assert (facts.repaired is None) == (case.mended is None), facts.repaired
    assert case.mended is None or case.mended in str(facts.repaired)
    assert len(clips.read_all(data, facts)) == facts.frames > 0


def test_there_are_enough_of_them() -> None:
    """At least forty that differ, the lists under false names not counted."""
    assert len({case.make() for case in CASES}) >= 40
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("name", ["a.wav", "a.mp3", "a.ogg", "a.flac", "a.xyz", "a", ""])
def test_what_is_not_known_names_what_can_be_played(name: str, prober: Prober) -> None:
    """The reason tells how to mend it."""
    with pytest.raises(Unplayable, match=ACCEPTED) as caught:
        prober.probe(clips.Bytes(b"\x01\x02\x03\x04" * 99), name)
    assert "WAV, MP3, Ogg (Opus, Vorbis) and FLAC" in caught.value.message


def test_silence_in_raw_a_law_is_not_taken_for_text(prober: Prober) -> None:
    """0x55 is the letter U, and the quietest byte of A-law."""
    facts = prober.probe(clips.Bytes(b"U" * 4000), "a.alaw")
    assert (facts.codec, facts.frames) == ("alaw", 4000)


def test_twelve_hours_are_the_most(prober: Prober) -> None:
    """PCM is not decoded when it is probed, but its length is bounded all the same."""

    class Long(clips.Bytes):
        """Says that it is longer than it is."""

        size = 44 + 12 * 3600 * 16000 + 2

        def read_at(self, offset: int, length: int) -> bytes:
            """Silence behind the end."""
            return super().read_at(offset, length).ljust(length, b"\0")

    head = clips.wav(b"", size=0)[:44]
    with pytest.raises(Unplayable, match="more than 12 hours"):
        prober.probe(Long(head), "a.wav")
    Long.size -= 2
    assert prober.probe(Long(head), "a.wav").frames == 12 * 3600 * 8000


SOUND_FILES: dict[str, Callable[[], bytes]] = {
    "pcm.wav": lambda: clips.wav(PCM),
    "ulaw.wav": lambda: clips.pyav(NOISE, 8000, "wav", "pcm_mulaw"),
    "gsm.wav": gsm_wav,
    "ima.wav": ima_wav,
    "a.gsm": gsm,
    "a.mp3": mp3,
    "tagged.mp3": lambda: clips.pyav(NOISE, 8000, "mp3", "libmp3lame"),
    "opus.ogg": opus,
    "vorbis.ogg": vorbis,
    "a.flac": flac,
}


@pytest.mark.parametrize("name", SOUND_FILES)
def test_no_mutation_crashes_or_is_served_otherwise_than_it_was_found(
    name: str, prober: Prober
) -> None:
    """Bytes flipped, cut out, put in and cut off: refused, or read to exactly the length found."""
    data = SOUND_FILES[name]()
    random = np.random.default_rng(len(name) * 1000 + len(data))
    played, reasons = 0, []
    for _ in range(40):
        broken = bytearray(data)
        for _ in range(int(random.integers(1, 12))):
            # Headers are where parsers are.
            reach = len(broken) if random.random() < 0.5 else min(len(broken), 200)
            place = int(random.integers(0, max(1, reach)))
            match int(random.integers(0, 5)):
                case 0:
                    del broken[place : place + int(random.integers(1, 500))]
                case 1:
                    broken[place:place] = random.bytes(int(random.integers(1, 50)))
                case 2 if random.random() < 0.2:
                    del broken[place:]
                case 3:
                    broken[place : place + 4] = struct.pack("<I", 2 ** int(random.integers(0, 32)))
                case _:
                    broken[place : place + 1] = random.bytes(1)
        try:
            facts = prober.probe(clips.Bytes(bytes(broken)), name)
        except Unplayable as error:
            reasons.append(error.message)
            continue
        played += 1
        source = open_source(clips.Bytes(bytes(broken)), facts)
        whole = [source.read(at, min(777, facts.frames - at)) for at in range(0, facts.frames, 777)]
        again = source.read(facts.frames // 2, facts.frames - facts.frames // 2)
        source.close()
        samples = np.concatenate([block.samples for block in whole])
        assert samples.shape == (facts.frames, facts.channels)
        assert np.array_equal(again.samples, samples[facts.frames // 2 :])
    assert played + len(reasons) == 40
    assert reasons or name == "a.gsm"
    assert not [reason for reason in reasons if "broke down" in reason or "stopped" in reason]


@pytest.mark.parametrize(
    ("data", "facts"),
    [
        (clips.wav(PCM), SourceFacts("flac", "flac", 0, 0, 0)),
        (flac(), SourceFacts("opus", "ogg", 0, 0, 0)),
        (vorbis(), SourceFacts("opus", "ogg", 0, 0, 0)),
        (flac(), SourceFacts("flac", "flac", 16000, 1, 8000)),
        (flac(), SourceFacts("flac", "flac", 8000, 2, 8000)),
    ],
)
def test_a_file_that_the_library_takes_for_something_else_is_refused(
    data: bytes, facts: SourceFacts
) -> None:
    """The library guesses by itself; if it guesses otherwise than we did, nothing is decoded."""
    whole = replace(facts, data_size=len(data))
    with pytest.raises(Unplayable, match="is something else inside"):
        SndfileDecoder(clips.Bytes(data), whole)


def test_g722_without_its_library_names_the_extra(
    prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At ingest and at serving, the way to mend it is in the message."""
    facts = prober.probe(clips.Bytes(PCM), "a.g722")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(Unplayable, match=r"callreel\[ffmpeg\]"):
        prober.probe(clips.Bytes(PCM), "a.g722")
    with pytest.raises(Unplayable, match=r"callreel\[ffmpeg\]"):
        open_source(clips.Bytes(PCM), facts)
