"""LAME, bound by ctypes to the library inside the wheel of lameenc.

lameenc itself cannot switch the bit reservoir off, but its extension module exports the whole C
interface of LAME. Source: audio.md section 2; lame.h of LAME 3.100.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Self

import lameenc
import numpy as np

from callreel.audio.blocks import Samples

_QUALITY = 7
"""At telephone rates as good as 5 and 1.5 times as fast. Source: audio.md section 2."""
_MONO, _JOINT_STEREO = 3, 1


@lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(lameenc.__file__)
    library.lame_init.restype = ctypes.c_void_p
    library.get_lame_version.restype = ctypes.c_char_p
    for name in (
        "num_channels",
        "in_samplerate",
        "out_samplerate",
        "brate",
        "mode",
        "quality",
        "disable_reservoir",
        "bWriteVbrTag",
    ):
        getattr(library, f"lame_set_{name}").argtypes = [ctypes.c_void_p, ctypes.c_int]
    library.lame_init_params.argtypes = [ctypes.c_void_p]
    library.lame_close.argtypes = [ctypes.c_void_p]
    library.lame_encode_buffer.argtypes = [
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_int,
    ]
    return library


def version() -> str:
    """As the library names itself."""
    name: bytes = _library().get_lame_version()
    return name.decode("ascii", "replace")


class LameEncoder:
    """One encoder at constant rate without a reservoir: frames do not lean on each other.

    Args:
        rate_hz: A rate that MP3 has.
        channels: 1 or 2.
        kbit_s: Bit rate; one that makes every frame the same size.
    """

    def __init__(self, rate_hz: int, channels: int, kbit_s: int) -> None:
        self._library = _library()
        self._channels = channels
        self._lame: int | None = self._library.lame_init()
        if not self._lame:
            raise MemoryError("LAME does not open")
        settings = {
            "num_channels": channels,
            "in_samplerate": rate_hz,
            "out_samplerate": rate_hz,
            "brate": kbit_s,
            "mode": _MONO if channels == 1 else _JOINT_STEREO,
            "quality": _QUALITY,
            "disable_reservoir": 1,
            "bWriteVbrTag": 0,
        }
        for name, value in settings.items():
            if getattr(self._library, f"lame_set_{name}")(self._lame, value):
                raise RuntimeError(f"LAME refuses {name}")
        if self._library.lame_init_params(self._lame):
            raise RuntimeError("LAME refuses its settings")

    def encode(self, samples: Samples) -> bytes:
        """The bytes that are ready after this sound, int16 of shape (frames, channels)."""
        left = np.ascontiguousarray(samples[:, 0])
        right = np.ascontiguousarray(samples[:, self._channels - 1])
        # lame.h: at worst 1.25 bytes a sample and 7200 more.
        room = len(samples) * 5 // 4 + 7200
        buffer = ctypes.create_string_buffer(room)
        size: int = self._library.lame_encode_buffer(
            self._lame,
            left.ctypes.data_as(ctypes.c_void_p),
            right.ctypes.data_as(ctypes.c_void_p),
            len(samples),
            buffer,
            room,
        )
        if size < 0:
            raise RuntimeError(f"LAME fails: {size}")
        return buffer.raw[:size]

    def close(self) -> None:
        """Free the encoder; may be called twice."""
        if self._lame is not None:
            self._library.lame_close(self._lame)
            self._lame = None

    def __enter__(self) -> Self:
        """Use as a context: closes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Free the encoder."""
        self.close()
