"""G.711: telephone bytes to int16 and back, by tables.

Every µ-law and A-law byte stands for one int16 value, so decoding is a lookup and loses nothing.
Encoding looks up the decision values of the recommendation: what was decoded encodes to a byte of
the same value, and everything else to the value of its quantising interval.

Source: ITU-T G.711 (11/88), tables 1a to 2b; the 14-bit and 13-bit values there are scaled to 16.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

G711Bytes = npt.NDArray[np.uint8]
"""uint8, any shape."""
Int16s = npt.NDArray[np.int16]
"""int16, any shape."""

_ULAW_BIAS = 132
_ULAW_CLIP = 32635


def ulaw_decode(codes: G711Bytes) -> Int16s:
    """The int16 values of µ-law bytes, in the same shape."""
    return _ULAW_VALUES.take(codes)


def alaw_decode(codes: G711Bytes) -> Int16s:
    """The int16 values of A-law bytes, in the same shape."""
    return _ALAW_VALUES.take(codes)


def ulaw_encode(samples: Int16s) -> G711Bytes:
    """The µ-law bytes of int16 values, in the same shape; zero is 0xFF, never 0x7F.

    A value exactly on a decision value goes away from zero.
    """
    return _ULAW_CODES.take(samples.view(np.uint16))


def alaw_encode(samples: Int16s) -> G711Bytes:
    """The A-law bytes of int16 values, in the same shape.

    A value exactly on a decision value goes to the interval above it, on both sides of zero.
    """
    return _ALAW_CODES.take(samples.view(np.uint16))


def _ulaw_values() -> Int16s:
    code = ~np.arange(256, dtype=np.uint8)
    exponent = (code >> 4 & 7).astype(np.int32)
    mantissa = (code & 15).astype(np.int32)
    size = ((2 * mantissa + 33) << (exponent + 2)) - _ULAW_BIAS
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _alaw_values() -> Int16s:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = (code >> 4 & 7).astype(np.int32)
    mantissa = (code & 15).astype(np.int32)
    linear = (mantissa << 4) + 8
    size = np.where(exponent > 0, (linear + 256) << np.maximum(exponent - 1, 0), linear)
    return np.where(code & 0x80, size, -size).astype(np.int16)


def _every_int16() -> npt.NDArray[np.int32]:
    return np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)


def _ulaw_codes() -> G711Bytes:
    value = _every_int16()
    size = np.minimum(np.abs(value), _ULAW_CLIP) + _ULAW_BIAS
    exponent = _bit_length(size) - 8
    mantissa = size >> (exponent + 3) & 15
    sign = np.where(value < 0, 0x80, 0)
    codes: G711Bytes = (~(sign | exponent << 4 | mantissa) & 0xFF).astype(np.uint8)
    return codes


def _alaw_codes() -> G711Bytes:
    value = _every_int16()
    size = np.where(value < 0, ~value, value)
    exponent = np.maximum(_bit_length(size) - 8, 0)
    mantissa = size >> np.maximum(exponent + 3, 4) & 15
    sign = np.where(value < 0, 0, 0x80)
    codes: G711Bytes = ((sign | exponent << 4 | mantissa) ^ 0x55).astype(np.uint8)
    return codes


def _bit_length(size: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    return np.frexp(size.astype(np.float64))[1].astype(np.int32)


_ULAW_VALUES = _ulaw_values()
_ALAW_VALUES = _alaw_values()
_ULAW_CODES = _ulaw_codes()
_ALAW_CODES = _alaw_codes()
