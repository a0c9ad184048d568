"""RIFF/WAVE: where the sound lies in a file, how much there is, and whether it can be believed.

Every library reads broken WAV files differently, so this parser alone decides which bytes are
sound, and the decoders are given those and nothing else. What a dead recorder leaves behind is
mended and said; what contradicts itself is refused.

Source: Microsoft "Multimedia Programming Interface and Data Specifications 1.0" (RIFF, fmt, data);
mmreg.h (format tags); EBU Tech 3306 (RF64); threats.md, "WAV corpus results".
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from callreel.audio.wavformat import WavFormat, parse_fmt
from callreel.errors import Unplayable

ReadAt = Callable[[int, int], bytes]
"""From an offset and a length to up to so many bytes; shorter only at the end."""

_MOST_CHUNKS = 4096
_UNKNOWN_SIZE = 0xFFFFFFFF
_CHUNKS_AFTER_SOUND = frozenset(
    {
        b"LIST",
        b"bext",
        b"id3 ",
        b"ID3 ",
        b"fact",
        b"cue ",
        b"smpl",
        b"inst",
        b"JUNK",
        b"junk",
        b"PAD ",
        b"FLLR",
        b"iXML",
        b"axml",
        b"_PMX",
        b"PEAK",
        b"afsp",
        b"note",
        b"labl",
    }
)


@dataclass(frozen=True, slots=True)
class WavLayout:
    """The sound of a WAV file, in whole blocks."""

    codec: str
    """A name from the table in ``audio/codecs.py``."""
    rate_hz: int
    channels: int
    block_align: int
    """Bytes of one block, which is one frame except in GSM and IMA ADPCM."""
    block_frames: int
    data_offset: int
    data_size: int
    """In bytes, a multiple of ``block_align``, wholly inside the file."""
    repaired: str | None
    """What was mended, for people; None where nothing had to be."""

    @property
    def frames(self) -> int:
        """Decoded length."""
        return self.data_size // self.block_align * self.block_frames


@dataclass(frozen=True, slots=True)
class _Chunk:
    name: bytes
    offset: int
    """Of its content."""
    size: int
    """As its header says; not to be believed."""


def parse_wav(read_at: ReadAt, size: int) -> WavLayout:
    """Find the sound of a WAV file.

    The first ``data`` chunk counts, behind exactly one ``fmt`` chunk; all others are passed over.

    Args:
        read_at: Reads the file.
        size: Size of the file in bytes; no chunk reaches behind it, whatever its header says.

    Raises:
        Unplayable: It is no WAV file, it contradicts itself, it holds no sound, or its format is
            not one of those that can be decoded; the message names what is wrong.

    Cost: a few small reads; no sound is read.
    """
    wide = _is_wide(read_at(0, 12))
    wide_size: int | None = None
    fmt: WavFormat | None = None
    for chunk in _chunks(read_at, size, 12):
        if wide and wide_size is None:
            wide_size = _ds64_data_size(read_at, chunk, size)
        elif chunk.name == b"fmt ":
            if fmt is not None:
                raise Unplayable("The WAV file has two fmt chunks, so nobody can say which counts.")
            fmt = parse_fmt(_content(read_at, chunk, size))
        elif chunk.name == b"data":
            if fmt is None:
                raise Unplayable("The WAV file has its data chunk before its fmt chunk.")
            return _layout(read_at, size, fmt, chunk, wide_size)
    missing = "fmt" if fmt is None else "data"
    raise Unplayable(f"The WAV file holds no sound: it has no {missing} chunk.")


def _is_wide(head: bytes) -> bool:
    """Whether the first 12 bytes are of a WAV file with sizes of 64 bits."""
    magic = head[:4]
    if magic == b"RIFX":
        raise Unplayable("The WAV file is of the big-endian kind (RIFX), which is not supported.")
    if magic not in {b"RIFF", b"RF64", b"BW64"}:
        raise Unplayable("The file is no WAV file: it does not begin with RIFF.")
    if len(head) < 12:
        raise Unplayable("The WAV file ends inside its header.")
    if head[8:] != b"WAVE":
        form = _shown(head[8:])
        raise Unplayable(f"The file is a RIFF file of the form {form}, not a WAV file.")
    return magic != b"RIFF"


def _chunks(read_at: ReadAt, size: int, offset: int) -> Iterator[_Chunk]:
    for _ in range(_MOST_CHUNKS):
        head = read_at(offset, 8) if offset + 8 <= size else b""
        if len(head) < 8:
            return
        name, length = struct.unpack("<4sI", head)
        yield _Chunk(name, offset + 8, length)
        offset += 8 + length + length % 2
    raise Unplayable(f"The WAV file has more than {_MOST_CHUNKS} chunks.")


def _content(read_at: ReadAt, chunk: _Chunk, size: int) -> bytes:
    if chunk.offset + chunk.size > size:
        raise Unplayable(f"The WAV file ends inside its {_shown(chunk.name)} chunk.")
    return read_at(chunk.offset, min(chunk.size, 64))


def _ds64_data_size(read_at: ReadAt, chunk: _Chunk, size: int) -> int:
    """The size of the data chunk of an RF64 file, which must be believable: there is no other."""
    content = _content(read_at, chunk, size) if chunk.name == b"ds64" else b""
    if len(content) < 28:
        raise Unplayable("The WAV file is of the RF64 kind but does not begin with a ds64 chunk.")
    found: int = struct.unpack_from("<Q", content, 8)[0]
    if not 0 < found < size:
        raise Unplayable(
            f"The ds64 chunk of the RF64 file gives {found} bytes of sound; the file has {size}."
        )
    return found


def _layout(
    read_at: ReadAt, size: int, fmt: WavFormat, data: _Chunk, wide_size: int | None
) -> WavLayout:
    repairs = [fmt.repaired] if fmt.repaired else []
    there = size - data.offset
    told = wide_size if wide_size is not None and data.size == _UNKNOWN_SIZE else data.size
    if told == 0 and there > 0 and not _only_chunks_follow(read_at, size, data.offset):
        repairs.append("the header gave 0 bytes of sound; used the file's size")
        told = there
    elif told > there:
        shown = "an unknown size" if told == _UNKNOWN_SIZE else f"{told} bytes"
        repairs.append(f"the header gave {shown} of sound; used the file's size")
        told = there
    if told <= 0:
        raise Unplayable("The WAV file holds no sound: its data chunk is empty.")
    spare = told % fmt.block_align
    if spare == told:
        raise Unplayable("The WAV file holds no sound: not even one block of it is whole.")
    if spare:
        repairs.append("left out an incomplete block at the end")
    return WavLayout(
        codec=fmt.codec,
        rate_hz=fmt.rate_hz,
        channels=fmt.channels,
        block_align=fmt.block_align,
        block_frames=fmt.block_frames,
        data_offset=data.offset,
        data_size=told - spare,
        repaired="; ".join(repairs) or None,
    )


def _only_chunks_follow(read_at: ReadAt, size: int, offset: int) -> bool:
    """Whether an empty data chunk is truly empty: well-formed chunks alone stand behind it."""
    for chunk in _chunks(read_at, size, offset):
        if chunk.name not in _CHUNKS_AFTER_SOUND:
            return False
        end = chunk.offset + chunk.size
        if end <= size <= end + 1:
            return True
    return False


def _shown(name: bytes) -> str:
    text = name.decode("latin-1").strip()
    return text if text.isascii() and text.isprintable() and text else f"0x{name.hex()}"
