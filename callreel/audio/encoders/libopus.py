"""libopus, bound by ctypes: the system's, else the one inside the wheel of PyAV.

Source: https://opus-codec.org/docs/opus_api-1.5/group__opus__encoder.html
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Self

import numpy as np

from callreel.audio.blocks import Samples
from callreel.errors import FormatNeedsExtra
from callreel.wording import to_translate

_SONAMES = ("libopus.so.0", "libopus.0.dylib", "opus.dll")
_APPLICATION_RESTRICTED_LOWDELAY = 2051
_SET_BITRATE = 4002
_SET_VBR = 4006
_SET_COMPLEXITY = 4010
_COMPLEXITY = 5
"""Source: audio.md section 2, encoder settings."""


@lru_cache(maxsize=1)
def _load() -> ctypes.CDLL | None:
    found = ctypes.util.find_library("opus")
    return first_that_loads([*([found] if found else []), *_SONAMES, *beside_pyav()])


def first_that_loads(names: Sequence[str]) -> ctypes.CDLL | None:
    """The first of some libraries that is there; None where none is.

    Args:
        names: File names that the system's loader searches for, or paths.
    """
    for name in names:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        _declare(library)
        return library
    return None


def beside_pyav() -> list[str]:
    """Paths of the copies of libopus that a wheel of PyAV brings; found without importing it."""
    try:
        spec = importlib.util.find_spec("av")
    except ValueError:
        # What Python says of a module that was declared not to be there.
        return []
    if spec is None or spec.origin is None:
        return []
    beside = Path(spec.origin).parent
    folders = (beside.parent / "av.libs", beside / ".dylibs")
    return [str(found) for folder in folders for found in sorted(folder.glob("libopus*"))]


def _declare(library: ctypes.CDLL) -> None:
    encoder = ctypes.c_void_p
    library.opus_get_version_string.restype = ctypes.c_char_p
    library.opus_encoder_create.restype = encoder
    library.opus_encoder_create.argtypes = [
        ctypes.c_int32,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.POINTER(ctypes.c_int),
    ]
    library.opus_encoder_destroy.argtypes = [encoder]
    library.opus_encoder_destroy.restype = None
    library.opus_encode.restype = ctypes.c_int32
    library.opus_encode.argtypes = [
        encoder,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int32,
    ]


def is_installed() -> bool:
    """Whether a libopus was found."""
    return _load() is not None


def version() -> str:
    """As the library names itself.

    Raises:
        FormatNeedsExtra: There is none.
    """
    name: bytes = _require().opus_get_version_string()
    return name.decode("ascii", "replace")


def _require() -> ctypes.CDLL:
    library = _load()
    if library is None:
        raise FormatNeedsExtra(
            to_translate(
                "The format opus needs callreel[ffmpeg] or the system package "
                "libopus0 to be installed."
            )
        )
    return library


class OpusEncoder:
    """One encoder: CELT alone, hard constant rate, every packet of the same size.

    Args:
        rate_hz: 8000, 12000, 16000, 24000 or 48000.
        channels: 1 or 2.
        packet_bytes: Size of each packet of 20 ms.
    """

    def __init__(self, rate_hz: int, channels: int, packet_bytes: int) -> None:
        self._library = _require()
        self._packet_bytes = packet_bytes
        self._frames = rate_hz // 50
        self._channels = channels
        error = ctypes.c_int(0)
        self._encoder: int | None = self._library.opus_encoder_create(
            rate_hz, channels, _APPLICATION_RESTRICTED_LOWDELAY, ctypes.byref(error)
        )
        if not self._encoder or error.value:
            raise RuntimeError(f"libopus does not open: {error.value}")
        self._set(_SET_BITRATE, packet_bytes * 8 * 50)
        self._set(_SET_VBR, 0)
        self._set(_SET_COMPLEXITY, _COMPLEXITY)

    def _set(self, request: int, value: int) -> None:
        # The value goes as a vararg: an int with its type named, or some machines pass it wrongly.
        result = self._library.opus_encoder_ctl(
            ctypes.c_void_p(self._encoder), ctypes.c_int(request), ctypes.c_int32(value)
        )
        if result:
            raise RuntimeError(f"libopus refuses setting {request}: {result}")

    def encode(self, samples: Samples) -> bytes:
        """One packet from 20 ms of sound, int16, shape (frames, channels)."""
        if samples.shape != (self._frames, self._channels):
            raise ValueError("a packet is made of 20 ms")
        interleaved = np.ascontiguousarray(samples)
        packet = ctypes.create_string_buffer(self._packet_bytes)
        size = self._library.opus_encode(
            self._encoder,
            interleaved.ctypes.data_as(ctypes.c_void_p),
            self._frames,
            packet,
            self._packet_bytes,
        )
        if size != self._packet_bytes:
            raise RuntimeError(f"libopus gave a packet of {size} bytes, not {self._packet_bytes}")
        return packet.raw

    def close(self) -> None:
        """Free the encoder; may be called twice."""
        if self._encoder is not None:
            self._library.opus_encoder_destroy(self._encoder)
            self._encoder = None

    def __enter__(self) -> Self:
        """Use as a context: closes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Free the encoder."""
        self.close()
