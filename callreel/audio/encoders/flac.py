"""FLAC, by libsndfile."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile

from callreel.audio.masked import SafeSound

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

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
    with _Kept(path, "w") as kept:
        try:
            marks = _encode(sound, kept, tick)
        except soundfile.LibsndfileError as error:
            raise OSError(f"libsndfile: {error}") from error
        if kept.failure is not None:
            raise kept.failure
    return marks


class _Kept(io.FileIO):
    """A file that keeps its error: libsndfile is silent where only its last bytes found no room.

    To libsndfile every write succeeds; soundfile takes one that does not for a fault of its own.
    """

    failure: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        view = memoryview(data)
        written = 0
        try:
            # The system may take less than it was given before it says that the disk is full.
            while written < len(view):
                written += super().write(view[written:])
        except OSError as error:
            self.failure = error
        return len(view)


def _encode(sound: SafeSound, kept: _Kept, tick: Callable[[], None]) -> list[int]:
    marks: list[int] = []
    marked = 0
    with soundfile.SoundFile(
        kept, "w", sound.rate_hz, sound.channels, subtype="PCM_16", format="FLAC"
    ) as file:
        for start in range(0, sound.frames, _BLOCK):
            tick()
            count = min(_BLOCK, sound.frames - start)
            file.write(sound.read(start, count).samples)
            if kept.failure is not None:
                raise kept.failure
            # One block may still be inside the encoder, so it counts for the next stretch.
            if start + count + _BLOCK - marked > sound.rate_hz:
                marks.append(kept.tell())
                marked = start + count
    return marks
