"""What a file is, by its first bytes; by its extension only where a format has no first bytes.

Only what is recognised here reaches a parser or a decoder. For everything else the reason says what
the file seems to be, because whoever reads it looks at a list of files, not at their bytes.
"""

from __future__ import annotations

from dataclasses import dataclass

from callreel.audio.mp3 import starts_mp3
from callreel.audio.reader import ByteReader
from callreel.errors import Unplayable

_HEAD_BYTES = 4096
_MOST_TAGS = 8

_RAW_LAWS = {
    **dict.fromkeys(("ulaw", "ul", "ulw", "mulaw", "mu"), "ulaw"),
    **dict.fromkeys(("alaw", "al", "alw"), "alaw"),
}
_RAW_RATES_HZ = {
    "sln": 8000,
    "sln8": 8000,
    "sln12": 12000,
    "sln16": 16000,
    "sln24": 24000,
    "sln32": 32000,
    "sln44": 44100,
    "sln48": 48000,
    "sln96": 96000,
    "sln192": 192_000,
}
_ACCEPTED = (
    "WAV, MP3, Ogg (Opus, Vorbis) and FLAC can be played, and by their extensions raw "
    ".ulaw, .alaw, .gsm, .g722 and .sln"
)
_TEXTS = (
    (b"ffconcat", "a list of files for ffmpeg (ffconcat)"),
    (b"#extm3u", "a playlist (M3U)"),
    (b"[playlist]", "a playlist (PLS)"),
    (b";ffmetadata", "a metadata file of ffmpeg"),
    (b"<!doctype html", "a web page (HTML)"),
    (b"<html", "a web page (HTML)"),
    (b"<svg", "a picture (SVG)"),
    (b"<?xml", "an XML document"),
    (b"v=0\r", "a session description (SDP)"),
    (b"v=0\n", "a session description (SDP)"),
)
_MAGICS = (
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"PK\x05\x06", "a ZIP archive"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (0, b"Rar!", "a RAR archive"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x89PNG", "a picture (PNG)"),
    (0, b"GIF8", "a picture (GIF)"),
    (0, b"\xff\xd8\xff\xe0", "a picture (JPEG)"),
    (0, b"\x7fELF", "a program"),
    (0, b"SQLite format 3", "a database (SQLite)"),
    (0, b"\x1aE\xdf\xa3", "Matroska or WebM"),
    (0, b"\x30\x26\xb2\x75", "Windows Media"),
    (0, b"FORM", "AIFF"),
    (0, b".snd", "Sun audio (AU)"),
    (0, b"caff", "Apple CAF"),
    (0, b"#!AMR", "AMR"),
    (0, b"#!SILK", "SILK"),
    (0, b"wvpk", "WavPack"),
    (0, b"NIST_1A", "NIST SPHERE"),
    (0, b"riff\x2e\x91\xcf\x11", "Wave64"),
    (4, b"ftyp", "MP4 or M4A"),
)
_SHORT_MAGICS = (
    (0, b"\x1f\x8b", "a gzip archive"),
    (0, b"BZh", "a bzip2 archive"),
    (0, b"MZ", "a Windows program"),
    (0, b"\xff\xfe", "text in UTF-16"),
    (0, b"\xfe\xff", "text in UTF-16"),
)


@dataclass(frozen=True, slots=True)
class Sniffed:
    """What a file is."""

    container: str
    """``wav``, ``mp3``, ``ogg``, ``flac`` or ``raw``."""
    codec: str
    """Of raw sound, Ogg, MP3 and FLAC; empty for WAV, whose own parser says."""
    offset: int
    """Where it begins, behind ID3 tags."""
    rate_hz: int = 0
    """Of raw sound."""


def sniff(reader: ByteReader, name: str) -> Sniffed:
    """Say what a file is.

    Args:
        reader: The file.
        name: Only its extension counts, and only for raw sound.

    Raises:
        Unplayable: It is empty, or nothing that can be played; the message says what it looks like.
    """
    if reader.size == 0:
        raise Unplayable("The file is empty.")
    offset = _behind_tags(reader)
    head = reader.read_at(offset, _HEAD_BYTES)
    if offset == 0 and head[:4] in {b"RIFF", b"RIFX", b"RF64", b"BW64"}:
        return Sniffed("wav", "", 0)
    if head[:4] == b"fLaC":
        return Sniffed("flac", "flac", offset)
    if head[:4] == b"OggS":
        return Sniffed("ogg", _ogg_codec(head), offset)
    raw = _raw(name)
    looks_like = _known(head, weak=raw is None)
    if looks_like is None and raw is not None:
        return raw
    if looks_like is None and starts_mp3(reader, offset) is not None:
        return Sniffed("mp3", "mp3", offset)
    raise Unplayable(f"The file looks like {looks_like or _unknown(head)}; {_ACCEPTED}.")


def _behind_tags(reader: ByteReader) -> int:
    """Where the file begins behind its ID3v2 tags. Source: ID3v2.4 section 3.1."""
    offset = 0
    for _ in range(_MOST_TAGS):
        head = reader.read_at(offset, 10)
        if len(head) < 10 or head[:3] != b"ID3" or max(head[6:10]) > 127 or 0xFF in head[3:5]:
            break
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        offset += 10 + size + (10 if head[5] & 0x10 else 0)
    if offset >= reader.size:
        raise Unplayable("The file holds no sound: its ID3 tag reaches to the end.")
    if offset:
        head = reader.read_at(offset, _HEAD_BYTES)
        offset += len(head) - len(head.lstrip(b"\0"))
    return offset


def _raw(name: str) -> Sniffed | None:
    extension = name.rpartition(".")[2].lower()
    if extension in _RAW_LAWS:
        return Sniffed("raw", _RAW_LAWS[extension], 0, 8000)
    if extension in _RAW_RATES_HZ:
        return Sniffed("raw", "pcm_s16le", 0, _RAW_RATES_HZ[extension])
    if extension == "gsm":
        return Sniffed("raw", "gsm", 0, 8000)
    if extension == "g722":
        return Sniffed("raw", "g722", 0, 16000)
    return None


def _ogg_codec(head: bytes) -> str:
    """The codec of the first stream. Source: RFC 3533 section 6, RFC 7845 section 5.1."""
    if len(head) < 28 or head[4] != 0 or not head[5] & 2:
        raise Unplayable("The Ogg file does not begin with the first page of a stream.")
    packet = head[27 + head[26] :]
    if packet.startswith(b"OpusHead"):
        return "opus"
    if packet.startswith(b"\x01vorbis"):
        return "vorbis"
    others = {b"Speex": "Speex", b"\x7fFLAC": "FLAC", b"\x80theora": "video (Theora)"}
    inside = next((shown for start, shown in others.items() if packet.startswith(start)), None)
    raise Unplayable(
        f"The Ogg file holds {inside or 'something unknown'}; Opus and Vorbis can be played."
    )


def _known(head: bytes, *, weak: bool) -> str | None:
    """What the first bytes look like, if that is known not to be sound that we read.

    Args:
        head: The first bytes.
        weak: Whether two bytes are proof enough; in raw sound they may be chance.
    """
    for place, magic, shown in _MAGICS + (_SHORT_MAGICS if weak else ()):
        if head.startswith(magic, place):
            return shown
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for start, shown in _TEXTS:
        if text.startswith(start):
            return shown
    return "plain text" if _is_text(head) else None


def _is_text(head: bytes) -> bool:
    """Whether it reads as text; one byte over and over may also be silence in A-law."""
    start = head[:512]
    try:
        text = start.decode("ascii")
    except UnicodeDecodeError:
        return False
    printable = all(letter.isprintable() or letter in "\t\r\n" for letter in text)
    return printable and len(set(text)) >= 4


def _unknown(head: bytes) -> str:
    if not head.strip(b"\0"):
        return "nothing but zero bytes"
    return "no kind of file that is known here"
