"""FLAC, by libsndfile."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import soundfile

from callreel.audio.masked import SafeSound

REVISION = "flac1"
"""Grows with any change of the bytes that this module asks for."""

_BLOCK = 4096
"""Frames in one block of libFLAC at its usual level; fed so, each write puts out one block."""


def version() -> str:
    """Of the library that encodes."""
    return f"libsndfile {soundfile.__libsndfile_version__}"


def write_flac(sound: SafeSound, path: Path, tick: Callable[[], None]) -> list[int]:
    """Encode the whole sound, at its own rate and 16 bits.

    Returns:
        Where the file may be cut, as ``audio/rendered.py`` wants it.

    Raises:
        OSError: The file cannot be written.
    """
    marks: list[int] = []
    marked = 0
    try:
        with soundfile.SoundFile(
            str(path), "w", sound.rate_hz, sound.channels, subtype="PCM_16", format="FLAC"
        ) as file:
            for start in range(0, sound.frames, _BLOCK):
                tick()
                count = min(_BLOCK, sound.frames - start)
                file.write(sound.read(start, count).samples)
                # One block may still be inside the encoder, so it counts for the next stretch.
                if start + count + _BLOCK - marked > sound.rate_hz:
                    marks.append(path.stat().st_size)
                    marked = start + count
    except soundfile.LibsndfileError as error:
        raise OSError(f"libsndfile: {error}") from error
    return marks
