"""Debian's ffmpeg on the command line, as one would script it: masked, to a pipe."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.calls import Recorded
from benchmarks.processes import Running, environment, pinned

_ENCODERS = {
    "wav": ("-c:a", "pcm_s16le", "-f", "wav"),
    "mp3": ("-c:a", "libmp3lame", "-b:a", "32k", "-f", "mp3"),
    "opus": ("-c:a", "libopus", "-b:a", "32k", "-f", "ogg"),
    "flac": ("-c:a", "flac", "-f", "flac"),
    "m4a": ("-c:a", "aac", "-b:a", "48k", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4"),
}
"""At the rates of ours."""
_READ = 1 << 18


@dataclass(frozen=True, slots=True)
class Converted:
    """One run of ffmpeg."""

    first_byte_s: float
    whole_s: float
    most_memory: int
    """Anonymous memory in bytes, the most that was seen; 0 where nobody looked."""


def command(recorded: Recorded, form: str, *, from_s: float = 0.0) -> list[str]:
    """The command for a recording with its masks."""
    masks = "+".join(
        f"between(t,{start - from_s:.3f},{stop - from_s:.3f})" for start, stop in recorded.spans
    )
    words = ["ffmpeg", "-nostdin", "-loglevel", "error"]
    if from_s:
        words += ["-ss", f"{from_s:.3f}"]
    words += ["-i", str(recorded.file)]
    if masks:
        words += ["-af", f"volume=0:enable='{masks}'"]
    return [*words, *_ENCODERS[form], "pipe:1"]


def convert(
    recorded: Recorded,
    form: str,
    cores: Sequence[int],
    *,
    from_s: float = 0.0,
    leave: bool = False,
    look: bool = False,
) -> Converted:
    """Convert once, and read what comes.

    Args:
        recorded: What.
        form: To which format.
        cores: Where.
        from_s: From there on.
        leave: End it after the first byte.
        look: At its memory, between reads.

    Raises:
        SystemExit: It failed.
    """
    words = pinned(command(recorded, form, from_s=from_s), cores)
    began = time.perf_counter()
    process = subprocess.Popen(words, stdout=subprocess.PIPE, env=environment(), bufsize=0)  # noqa: S603  # made above
    assert process.stdout is not None  # noqa: S101  # it is a pipe
    most = 0
    try:
        if not process.stdout.read(1):
            raise SystemExit("ffmpeg gave nothing")
        first = time.perf_counter() - began
        while not leave and process.stdout.read(_READ):
            if look:
                most = max(most, Running(process, recorded.file).memory()["anonymous"])
        whole = time.perf_counter() - began
    finally:
        if leave:
            process.kill()
        process.stdout.close()
        failed = process.wait()
    if failed and not leave:
        raise SystemExit(f"ffmpeg failed: {' '.join(words)}")
    return Converted(first, whole, most)
