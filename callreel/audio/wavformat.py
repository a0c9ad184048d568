"""The ``fmt`` chunk of a WAV file: which codec, and whether its numbers agree with each other.

Source: mmreg.h (format tags, WAVE_FORMAT_EXTENSIBLE, IMAADPCMWAVEFORMAT, GSM610WAVEFORMAT).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from callreel.errors import Unplayable

LEAST_RATE_HZ = 4000
MOST_RATE_HZ = 192_000

_EXTENSIBLE = 0xFFFE
_SUBFORMAT_TAIL = bytes.fromhex("000000001000800000aa00389b71")
_PCM = {8: "pcm_u8", 16: "pcm_s16le", 24: "pcm_s24le", 32: "pcm_s32le"}
_FLOAT = {32: "pcm_f32le", 64: "pcm_f64le"}
_GSM_BLOCK_BYTES = 65
_GSM_BLOCK_FRAMES = 320
_NAMES = {
    0x0000: "unknown",
    0x0002: "Microsoft ADPCM",
    0x0005: "IBM CVSD",
    0x0010: "OKI ADPCM",
    0x0014: "G.723 ADPCM",
    0x0022: "TrueSpeech",
    0x0028: "G.723.1",
    0x0040: "G.721 ADPCM",
    0x0041: "G.728",
    0x0042: "G.723.1",
    0x0045: "G.726",
    0x0050: "MPEG layer 1 or 2",
    0x0055: "MP3 inside WAV",
    0x0064: "G.726",
    0x0065: "G.722",
    0x0083: "G.729",
    0x00FF: "AAC",
    0x0130: "ACELP",
    0x0160: "Windows Media",
    0x0161: "Windows Media",
    0x028F: "G.722",
    0xA106: "AAC",
    0xA109: "Speex",
    0xF1AC: "FLAC inside WAV",
}


@dataclass(frozen=True, slots=True)
class WavFormat:
    """A fmt chunk that was understood and agrees with itself."""

    codec: str
    rate_hz: int
    channels: int
    block_align: int
    block_frames: int
    repaired: str | None = None


def parse_fmt(content: bytes) -> WavFormat:
    """Understand a fmt chunk.

    Args:
        content: Its first 64 bytes, or all where it is shorter.

    Raises:
        Unplayable: It is too short, contradicts itself, or names a codec that is not decoded here.
    """
    if len(content) < 16:
        raise Unplayable("The fmt chunk of the WAV file is too short.")
    tag, channels, rate_hz, _, block_align, bits = struct.unpack_from("<HHIIHH", content)
    if not 1 <= channels <= 2:
        raise Unplayable(f"The WAV file has {channels} channels; 1 or 2 can be played.")
    if not LEAST_RATE_HZ <= rate_hz <= MOST_RATE_HZ:
        raise Unplayable(
            f"The WAV file has a sample rate of {rate_hz} Hz; "
            f"{LEAST_RATE_HZ} to {MOST_RATE_HZ} Hz can be played."
        )
    if tag == _EXTENSIBLE:
        tag = _extensible_tag(content, bits)
    if tag == 0x31:
        return _gsm(content, rate_hz, channels, block_align)
    if tag == 0x11:
        return _ima(content, rate_hz, channels, block_align, bits)
    codec = _flat_codec(tag, bits)
    expected = channels * bits // 8
    if block_align != expected:
        raise Unplayable(
            f"The WAV file contradicts itself: a frame of {channels} x {bits} bits has "
            f"{expected} bytes, its header gives {block_align}."
        )
    return WavFormat(codec, rate_hz, channels, block_align, 1)


def _extensible_tag(content: bytes, bits: int) -> int:
    if len(content) < 40:
        raise Unplayable("The extensible fmt chunk of the WAV file is too short.")
    valid_bits, _, tag, tail = struct.unpack_from("<HIH14s", content, 18)
    if tail != _SUBFORMAT_TAIL:
        raise Unplayable("The WAV file is in an extensible format of no known kind.")
    if valid_bits > bits:
        raise Unplayable(
            f"The WAV file contradicts itself: {valid_bits} valid bits in samples of {bits}."
        )
    return int(tag)


def _flat_codec(tag: int, bits: int) -> str:
    """The codec of a format in which every frame stands for itself."""
    kinds = {1: ("PCM", _PCM), 3: ("float", _FLOAT), 6: ("A-law", {8: "alaw"})}
    kinds[7] = ("µ-law", {8: "ulaw"})
    if tag not in kinds:
        name = _NAMES.get(tag, "no name known")
        raise Unplayable(
            f"The WAV file is in format {tag} ({name}); PCM, float, µ-law, A-law, GSM 6.10 and "
            "IMA ADPCM can be played."
        )
    name, codecs = kinds[tag]
    if bits not in codecs:
        known = ", ".join(str(known_bits) for known_bits in codecs)
        raise Unplayable(f"The WAV file has {name} samples of {bits} bits; {known} can be played.")
    return codecs[bits]


def _gsm(content: bytes, rate_hz: int, channels: int, block_align: int) -> WavFormat:
    told = _block_frames(content)
    if (channels, block_align) != (1, _GSM_BLOCK_BYTES) or told not in {None, _GSM_BLOCK_FRAMES}:
        raise Unplayable(
            "The WAV file contradicts itself: GSM 6.10 is mono, in blocks of "
            f"{_GSM_BLOCK_BYTES} bytes for {_GSM_BLOCK_FRAMES} frames."
        )
    repaired = "the fmt chunk lacked the length of a block" if told is None else None
    return WavFormat("gsm", rate_hz, 1, _GSM_BLOCK_BYTES, _GSM_BLOCK_FRAMES, repaired)


def _ima(content: bytes, rate_hz: int, channels: int, block_align: int, bits: int) -> WavFormat:
    if bits != 4:
        raise Unplayable(f"The WAV file has IMA ADPCM samples of {bits} bits; 4 can be played.")
    header_bytes = 4 * channels
    # A block is a header for each channel, then words of 4 bytes for each channel in turn.
    if block_align <= header_bytes or block_align % header_bytes:
        raise Unplayable(
            f"The WAV file contradicts itself: IMA ADPCM cannot have blocks of {block_align} bytes."
        )
    block_frames = (block_align - header_bytes) * 2 // channels + 1
    told = _block_frames(content)
    if told not in {None, block_frames}:
        raise Unplayable(
            f"The WAV file contradicts itself: a block of {block_align} bytes holds "
            f"{block_frames} frames, its header gives {told}."
        )
    repaired = "the fmt chunk lacked the length of a block" if told is None else None
    return WavFormat("ima_adpcm", rate_hz, channels, block_align, block_frames, repaired)


def _block_frames(content: bytes) -> int | None:
    """Frames of a block as a fmt chunk of GSM or ADPCM gives them; None where it does not."""
    if len(content) < 20:
        return None
    extra_bytes, frames = struct.unpack_from("<HH", content, 16)
    return int(frames) if extra_bytes >= 2 else None
