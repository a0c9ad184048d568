"""The tables of G.711 against the recommendation's own numbers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from callreel.audio.g711 import (
    G711Bytes,
    Int16s,
    alaw_decode,
    alaw_encode,
    ulaw_decode,
    ulaw_encode,
)

EVERY_CODE = np.arange(256, dtype=np.uint8)
EVERY_VALUE = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)

Encode = Callable[[Int16s], G711Bytes]
Decode = Callable[[G711Bytes], Int16s]

LAWS = [
    pytest.param(ulaw_encode, ulaw_decode, id="ulaw"),
    pytest.param(alaw_encode, alaw_decode, id="alaw"),
]


@pytest.mark.parametrize(
    ("code", "value"),
    [
        (0xFF, 0),
        (0x7F, 0),
        (0xFE, 8),
        (0x7E, -8),
        (0xF0, 120),
        (0xEF, 132),
        (0x80, 32124),
        (0, -32124),
    ],
)
def test_ulaw_bytes_mean_what_the_recommendation_says(code: int, value: int) -> None:
    """Tables 2a and 2b of G.711: output values 0, 2, 30, 33 and 8031, times four."""
    assert ulaw_decode(np.array([code], np.uint8))[0] == value


@pytest.mark.parametrize(
    ("code", "value"),
    [(0xD5, 8), (0x55, -8), (0xD4, 24), (0xC5, 264), (0xF5, 528), (0xAA, 32256), (0x2A, -32256)],
)
def test_alaw_bytes_mean_what_the_recommendation_says(code: int, value: int) -> None:
    """Tables 1a and 1b of G.711: output values 1, 3, 33, 66 and 4032, times eight."""
    assert alaw_decode(np.array([code], np.uint8))[0] == value


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_what_was_decoded_encodes_to_the_same_value(encode: Encode, decode: Decode) -> None:
    """A recording that goes through int16 and back to its own law loses nothing."""
    values = decode(EVERY_CODE)
    assert (decode(encode(values)) == values).all()


def test_only_the_second_zero_of_ulaw_changes_its_byte() -> None:
    """µ-law has two zeros; every other byte comes back as itself, and A-law has no zero at all."""
    assert np.flatnonzero(ulaw_encode(ulaw_decode(EVERY_CODE)) != EVERY_CODE).tolist() == [0x7F]
    assert (alaw_encode(alaw_decode(EVERY_CODE)) == EVERY_CODE).all()


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_encoding_never_turns_round_and_never_leaves_its_interval(
    encode: Encode, decode: Decode
) -> None:
    """Louder in is never quieter out, and the error is half a step of its segment at most."""
    values = decode(encode(EVERY_VALUE)).astype(np.int32)
    assert (np.diff(values) >= 0).all()
    error = np.abs(values - EVERY_VALUE)
    assert (error <= np.maximum(np.abs(values.astype(np.int32)) // 16 + 8, 8))[500:-500].all()


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (3, 0xFF),
        (4, 0xFE),
        (-3, 0x7F),
        (-4, 0x7E),
        (11, 0xFE),
        (12, 0xFD),
        (123, 0xF0),
        (124, 0xEF),
    ],
)
def test_ulaw_changes_its_byte_at_the_decision_values(value: int, code: int) -> None:
    """Decision values 1, 3 and 31 of table 2a, times four."""
    assert ulaw_encode(np.array([value], np.int16))[0] == code


def test_the_shape_of_a_block_is_kept() -> None:
    """Frames by channels in, frames by channels out."""
    block = EVERY_VALUE.reshape(-1, 2)
    assert (
        ulaw_decode(ulaw_encode(block)).shape
        == alaw_decode(alaw_encode(block)).shape
        == block.shape
    )
