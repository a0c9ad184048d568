"""The RIFF parser: what it takes, what it mends and says, and what it refuses and why."""

from __future__ import annotations

import struct

import pytest

from callreel.audio.riff import WavLayout, parse_wav
from callreel.errors import Unplayable

SOUND = bytes(range(160))
GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")


def fmt(
    tag: int = 1,
    channels: int = 1,
    rate: int = 8000,
    align: int = 2,
    bits: int = 16,
    extra: bytes | None = None,
) -> bytes:
    """A fmt chunk."""
    content = struct.pack("<HHIIHH", tag, channels, rate, rate * align % 2**32, align, bits)
    if extra is not None:
        content += struct.pack("<H", len(extra)) + extra
    return chunk(b"fmt ", content)


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    """A chunk, padded to an even length, whose header may lie."""
    told = len(content) if size is None else size
    return name + struct.pack("<I", told) + content + b"\0" * (len(content) % 2)


def riff(*chunks: bytes, magic: bytes = b"RIFF", form: bytes = b"WAVE") -> bytes:
    """A file."""
    body = form + b"".join(chunks)
    return magic + struct.pack("<I", len(body) % 2**32) + body


def parsed(file: bytes) -> WavLayout:
    """What the parser says, read through a reader that never goes outside the file."""

    def read_at(offset: int, length: int) -> bytes:
        assert 0 <= offset <= len(file)
        assert length <= 4096
        return file[offset : offset + length]

    return parse_wav(read_at, len(file))


def test_a_plain_file_is_understood() -> None:
    """Codec, rate, channels, place and length, and nothing to mend."""
    layout = parsed(riff(fmt(channels=2, align=4, rate=44100), chunk(b"data", SOUND)))
    assert layout == WavLayout("pcm_s16le", 44100, 2, 4, 1, 44, 160, None)
    assert layout.frames == 40


@pytest.mark.parametrize(
    ("tag", "bits", "codec"),
    [
        (1, 8, "pcm_u8"),
        (1, 16, "pcm_s16le"),
        (1, 24, "pcm_s24le"),
        (1, 32, "pcm_s32le"),
        (3, 32, "pcm_f32le"),
        (3, 64, "pcm_f64le"),
        (6, 8, "alaw"),
        (7, 8, "ulaw"),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("extensible", [False, True])
def test_every_flat_codec_is_known_by_both_kinds_of_header(
    tag: int, bits: int, codec: str, channels: int, *, extensible: bool
) -> None:
    """The extensible header means the same as the plain one."""
    align = channels * bits // 8
    extra = struct.pack("<HIH", bits, 0, tag) + GUID_TAIL if extensible else None
    head = fmt(0xFFFE if extensible else tag, channels, 8000, align, bits, extra)
    layout = parsed(riff(head, chunk(b"data", bytes(align * 5))))
    assert (layout.codec, layout.frames, layout.repaired) == (codec, 5, None)


def test_gsm_is_counted_in_blocks() -> None:
    """320 frames for every 65 bytes. Source: GSM610WAVEFORMAT."""
    head = fmt(0x31, 1, 8000, 65, 0, struct.pack("<H", 320))
    layout = parsed(riff(head, chunk(b"data", bytes(65 * 3 + 10))))
    assert (layout.codec, layout.frames, layout.data_size) == ("gsm", 960, 195)
    assert layout.repaired == "left out an incomplete block at the end"


@pytest.mark.parametrize(
    ("channels", "align", "frames"),
    [(1, 256, 505), (2, 512, 505), (1, 1024, 2041), (2, 2048, 2041)],
)
def test_ima_adpcm_is_counted_in_blocks(channels: int, align: int, frames: int) -> None:
    """A header of 4 bytes a channel holds the first frame; every other byte holds two."""
    head = fmt(0x11, channels, 8000, align, 4, struct.pack("<H", frames))
    layout = parsed(riff(head, chunk(b"data", bytes(align * 2))))
    assert (layout.codec, layout.frames) == ("ima_adpcm", 2 * frames)


@pytest.mark.parametrize(
    ("tag", "align", "bits", "frames"), [(0x31, 65, 0, 320), (0x11, 256, 4, 505)]
)
def test_a_short_fmt_chunk_of_a_block_codec_is_mended(
    tag: int, align: int, bits: int, frames: int
) -> None:
    """The length of a block follows from its bytes, so a fmt chunk of 16 bytes is enough."""
    layout = parsed(riff(fmt(tag, 1, 8000, align, bits), chunk(b"data", bytes(align))))
    assert layout.frames == frames
    assert layout.repaired == "the fmt chunk lacked the length of a block"


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (0, "the header gave 0 bytes of sound; used the file's size"),
        (0xFFFFFFFF, "the header gave an unknown size of sound; used the file's size"),
        (0x7FFFF000, "the header gave 2147479552 bytes of sound; used the file's size"),
        (161, "the header gave 161 bytes of sound; used the file's size"),
    ],
)
def test_what_a_dead_recorder_left_is_read_to_the_end_and_said(told: int, words: str) -> None:
    """Size 0, unknown or too large: the file's own size counts (threats.md, WAV corpus)."""
    layout = parsed(riff(fmt(), chunk(b"data", SOUND, told)))
    assert (layout.data_offset, layout.data_size, layout.repaired) == (44, 160, words)


@pytest.mark.parametrize("told", [0, 0xFFFFFFFF, 159])
def test_a_frame_that_was_cut_is_left_out_and_said(told: int) -> None:
    """Half a sample is not sound."""
    file = riff(fmt(), chunk(b"data", SOUND, told))[:-1]
    layout = parsed(file)
    assert layout.data_size == 158
    assert layout.repaired is not None
    assert "left out an incomplete block at the end" in layout.repaired


def test_a_smaller_size_than_the_file_is_believed() -> None:
    """What stands behind the data chunk is not sound."""
    layout = parsed(riff(fmt(), chunk(b"data", SOUND), chunk(b"LIST", b"INFOIART")))
    assert (layout.data_size, layout.repaired) == (160, None)


def test_chunks_around_the_sound_are_passed_over() -> None:
    """Odd lengths are padded; names do not matter."""
    before = chunk(b"bext", b"x" * 603) + chunk(b"JUNK", b"y" * 27) + chunk(b"\0\xff\0\xff", b"")
    layout = parsed(riff(before, fmt(), chunk(b"fact", b"1234"), chunk(b"data", SOUND)))
    assert layout.data_size == 160


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
def test_rf64_is_read_by_its_ds64_chunk(magic: bytes) -> None:
    """The 64-bit size stands in the first chunk. Source: EBU Tech 3306 section 3.5."""
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 300, 100, 50, 0))
    layout = parsed(riff(ds64, fmt(), chunk(b"data", SOUND, 0xFFFFFFFF), magic=magic))
    assert (layout.data_size, layout.repaired) == (100, None)


REFUSED = {
    "not RIFF": (b"OggS" + bytes(40), "does not begin with RIFF"),
    "big-endian": (riff(fmt(), magic=b"RIFX"), "RIFX"),
    "cut in the head": (b"RIFF\x10\x00\x00", "ends inside its header"),
    "another form": (riff(chunk(b"LIST", b"hdrl"), form=b"AVI "), "of the form AVI"),
    "no printable form": (riff(form=b"\0\x01\x02\x03"), "of the form 0x00010203"),
    "nothing in it": (riff(), "it has no fmt chunk"),
    "fmt only": (riff(fmt()), "it has no data chunk"),
    "data only": (riff(chunk(b"data", SOUND)), "data chunk before its fmt chunk"),
    "fmt after data": (riff(chunk(b"data", SOUND), fmt()), "data chunk before its fmt chunk"),
    "fmt twice": (riff(fmt(), fmt(rate=16000), chunk(b"data", SOUND)), "two fmt chunks"),
    "fmt of 14 bytes": (riff(chunk(b"fmt ", bytes(14)), chunk(b"data", SOUND)), "too short"),
    "fmt cut": (riff(fmt())[:-4], "ends inside its fmt chunk"),
    "fmt of 4 GB": (riff(chunk(b"fmt ", bytes(16), 0xFFFFFFF0)), "ends inside its fmt chunk"),
    "LIST of 4 GB": (riff(chunk(b"LIST", b"", 0xFFFFFFF0), fmt()), "no fmt chunk"),
    "rate 0": (riff(fmt(rate=0), chunk(b"data", SOUND)), "sample rate of 0 Hz"),
    "rate 3999": (riff(fmt(rate=3999), chunk(b"data", SOUND)), "3999 Hz; 4000 to 192000"),
    "rate 192001": (riff(fmt(rate=192_001), chunk(b"data", SOUND)), "192001 Hz"),
    "no channels": (riff(fmt(channels=0), chunk(b"data", SOUND)), "0 channels"),
    "3 channels": (riff(fmt(channels=3, align=6), chunk(b"data", SOUND)), "3 channels"),
    "65535 channels": (riff(fmt(channels=65535), chunk(b"data", SOUND)), "65535 channels"),
    "0 bits": (riff(fmt(bits=0, align=0), chunk(b"data", SOUND)), "PCM samples of 0 bits"),
    "12 bits": (riff(fmt(bits=12), chunk(b"data", SOUND)), "12 bits; 8, 16, 24, 32 can be"),
    "float 16": (riff(fmt(3, bits=16), chunk(b"data", SOUND)), "float samples of 16 bits"),
    "ulaw 16": (riff(fmt(7, bits=16), chunk(b"data", SOUND)), "µ-law samples of 16 bits"),
    "align 0": (riff(fmt(align=0), chunk(b"data", SOUND)), "contradicts itself"),
    "align 3": (riff(fmt(align=3), chunk(b"data", SOUND)), "2 bytes, its header gives 3"),
    "MP3 in WAV": (riff(fmt(0x55), chunk(b"data", SOUND)), r"format 85 \(MP3 inside WAV\)"),
    "MS ADPCM": (riff(fmt(2), chunk(b"data", SOUND)), r"format 2 \(Microsoft ADPCM\)"),
    "unknown tag": (riff(fmt(0x1234), chunk(b"data", SOUND)), r"format 4660 \(no name known\)"),
    "extensible cut": (riff(fmt(0xFFFE, extra=b"x" * 10), chunk(b"data", SOUND)), "too short"),
    "other GUID": (
        riff(fmt(0xFFFE, extra=struct.pack("<HIH", 16, 0, 1) + bytes(14)), chunk(b"data", SOUND)),
        "no known kind",
    ),
    "24 of 16 bits": (
        riff(fmt(0xFFFE, extra=struct.pack("<HIH", 24, 0, 1) + GUID_TAIL), chunk(b"data", SOUND)),
        "24 valid bits in samples of 16",
    ),
    "GSM stereo": (riff(fmt(0x31, 2, align=65, bits=0), chunk(b"data", SOUND)), "GSM 6.10 is mono"),
    "GSM of 66": (riff(fmt(0x31, 1, align=66, bits=0), chunk(b"data", SOUND)), "blocks of 65"),
    "GSM of 160": (
        riff(fmt(0x31, 1, 8000, 65, 0, struct.pack("<H", 160)), chunk(b"data", SOUND)),
        "320 frames",
    ),
    "IMA of 4": (riff(fmt(0x11, 1, align=4, bits=4), chunk(b"data", SOUND)), "blocks of 4 bytes"),
    "IMA of 255": (riff(fmt(0x11, 1, align=255, bits=4), chunk(b"data", SOUND)), "blocks of 255"),
    "IMA 3 bits": (riff(fmt(0x11, 1, align=256, bits=3), chunk(b"data", SOUND)), "of 3 bits"),
    "IMA miscounted": (
        riff(fmt(0x11, 1, 8000, 256, 4, struct.pack("<H", 500)), chunk(b"data", SOUND)),
        "holds 505 frames, its header gives 500",
    ),
    "no sound": (riff(fmt(), chunk(b"data", b"")), "data chunk is empty"),
    "no sound, then LIST": (
        riff(fmt(), chunk(b"data", b""), chunk(b"LIST", b"INFO"), chunk(b"id3 ", b"abc")),
        "data chunk is empty",
    ),
    "half a frame": (riff(fmt(align=4, channels=2), chunk(b"data", b"abc")), "not even one block"),
    "half a block": (riff(fmt(0x31, 1, align=65, bits=0), chunk(b"data", b"a" * 64)), "not even"),
    "RF64 without ds64": (riff(fmt(), chunk(b"data", SOUND), magic=b"RF64"), "ds64"),
    "RF64, ds64 short": (riff(chunk(b"ds64", bytes(8)), fmt(), magic=b"RF64"), "ds64"),
    "RF64, ds64 too large": (
        riff(chunk(b"ds64", struct.pack("<QQQI", 9, 2**40, 0, 0)), fmt(), magic=b"RF64"),
        "gives 1099511627776 bytes of sound; the file has",
    ),
    "RF64, ds64 of 0": (riff(chunk(b"ds64", bytes(28)), fmt(), magic=b"RF64"), "gives 0 bytes"),
    "chunks without end": (riff(chunk(b"JUNK", b"") * 5000, fmt()), "more than 4096 chunks"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_believed_is_refused_with_the_reason(case: str) -> None:
    """A contradiction is not guessed away: span positions would be wrong, and nobody would know."""
    file, words = REFUSED[case]
    with pytest.raises(Unplayable, match=words) as caught:
        parsed(file)
    assert caught.value.message.endswith(".")
    assert "\n" not in caught.value.message


def test_an_empty_data_chunk_before_something_else_is_sound() -> None:
    """Size 0 and bytes that are no chain of known chunks: the recorder died, the sound is there."""
    sound = chunk(b"LIST", b"INFO") + b"not a chunk at all"
    layout = parsed(riff(fmt(), chunk(b"data", sound, 0)))
    assert layout.data_size == len(sound)


@pytest.mark.parametrize("length", range(45))
def test_a_file_cut_anywhere_in_its_head_is_refused(length: int) -> None:
    """No cut of the header reads outside the file or crashes."""
    with pytest.raises(Unplayable):
        parsed(riff(fmt(), chunk(b"data", SOUND))[:length])
