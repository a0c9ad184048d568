"""A full disk is said by each writer itself, even where only its last bytes found no room."""

from __future__ import annotations

import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from callreel.audio.encoders.ffmpeg import write_m4a, write_webm
from callreel.audio.encoders.flac import write_flac
from callreel.audio.masked import MaskedSound, SafeSound
from callreel.model import OutputChannels
from callreel.spans import Mask
from tests.audio.writing.sounds import ArraySource, voice

Writer = Callable[[SafeSound, Path, Callable[[], None]], list[int]]
WRITERS = [write_flac, write_m4a, write_webm]


@contextmanager
def room_for(size_bytes: int) -> Iterator[None]:
    """No file of this process can grow beyond a size."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write(writer: Writer, path: Path) -> None:
    """Seven seconds of mono, not a whole number of blocks."""
    path.touch()
    source = ArraySource(voice(56001, 1), 8000)
    writer(MaskedSound(source, Mask(((),)), OutputChannels.BOTH), path, lambda: None)


@pytest.mark.parametrize("missing", [1, 50, 1000, 5000, 20000, None])
@pytest.mark.parametrize("writer", WRITERS)
def test_a_writer_that_finds_no_room_says_so(
    tmp_path: Path, writer: Writer, missing: int | None
) -> None:
    """Room may be back before the cache writes its footer, which would call a short file whole."""
    whole = tmp_path / "whole"
    write(writer, whole)
    room = 0 if missing is None else whole.stat().st_size - missing
    with room_for(room), pytest.raises(OSError):  # noqa: PT011 - any
        write(writer, tmp_path / "short")
