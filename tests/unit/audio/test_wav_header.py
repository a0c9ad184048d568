"""Our own WAV headers, byte by byte."""

from __future__ import annotations

import struct

import pytest

from callreel.audio.encoders.wav import wav_header, wav_size
from callreel.errors import BadRequest


def test_pcm_has_the_classic_44_bytes() -> None:
    """RIFF, fmt of 16 bytes, data."""
    header = wav_header("wav", 8000, 100, 2)
    assert header == (
        b"RIFF" + struct.pack("<I", 436) + b"WAVE"
        b"fmt " + struct.pack("<IHHIIHH", 16, 1, 2, 8000, 32000, 4, 16) + b"data"
    ) + struct.pack("<I", 400)
    assert len(header) == 44


@pytest.mark.parametrize(("name", "tag"), [("wav-ulaw", 7), ("wav-alaw", 6)])
def test_g711_has_58_bytes_with_a_fact_chunk(name: str, tag: int) -> None:
    """Compressed formats must have fmt's extension size and the number of frames."""
    header = wav_header(name, 8000, 101, 1)
    assert len(header) == 58
    assert header[:12] == b"RIFF" + struct.pack("<I", 58 + 102 - 8) + b"WAVE"
    assert header[12:38] == b"fmt " + struct.pack("<IHHIIHHH", 18, tag, 1, 8000, 8000, 1, 8, 0)
    assert header[38:50] == b"fact" + struct.pack("<II", 4, 101)
    assert header[50:] == b"data" + struct.pack("<I", 101)


def test_odd_data_is_padded_in_the_size_but_not_in_the_chunk() -> None:
    """RIFF chunks begin on even bytes; ``data`` tells its length without the pad."""
    assert wav_size("wav-ulaw", 101, 1) == 58 + 101 + 1
    assert wav_size("wav-ulaw", 101, 2) == 58 + 202
    assert wav_size("wav", 101, 1) == 44 + 202


def test_more_than_32_bits_can_count_is_refused() -> None:
    """To the byte, naming other formats."""
    most = (2**32 - 1 + 8 - 44) // 2
    assert wav_size("wav", most, 1) <= 2**32 + 7
    with pytest.raises(BadRequest, match="4 GiB"):
        wav_size("wav", most + 1, 1)
    with pytest.raises(BadRequest, match="4 GiB"):
        wav_header("wav", 8000, 2**40, 2)
