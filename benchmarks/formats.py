"""Time to first byte and speed of each output format and of peaks, inside one process.

Ten minutes of two-channel mu-law, made of the demo's speech, with five masked spans. Rounds are
interleaved, so that a busy moment of the machine falls on everybody; figures are medians.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from callreel.audio.formats import FORMATS
from callreel.audio.pipeline import Identity, open_output, open_peaks
from callreel.audio.probe import probe
from callreel.audio.rendered import RenderCache
from callreel.audio.sources import open_source
from callreel.demo.conversations import RATE_HZ, load_conversations
from callreel.model import DEFAULT_FILL, AudioSpec, SourceFacts, Span

COPY = "copy of the file"
PEAKS = "peaks"
COPY_BYTES = 64 * 1024
Step = tuple[int, bool]
"""Bytes, and whether there is sound in them."""
SPANS = tuple(Span(start_s, start_s + 10) for start_s in (30.0, 140.0, 250.0, 360.0, 470.0))


class FileReader:
    """A file as the audio package reads it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_RDONLY)
        self.size = os.fstat(self._descriptor).st_size

    def read_at(self, offset: int, length: int) -> bytes:
        """Up to so many bytes from a place."""
        return os.pread(self._descriptor, length, offset)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._descriptor)


@dataclass(frozen=True, slots=True)
class Round:
    """One output, once."""

    first_byte_ms: float
    first_sound_ms: float
    """As the header of most formats costs next to nothing."""
    total_ms: float
    size_bytes: int


def make_call(path: Path, minutes: float) -> SourceFacts:
    """Write a long call and find its facts."""
    spoken = [told.sound() for told in load_conversations()]
    frames = round(minutes * 60 * RATE_HZ)
    pieces = list(itertools.islice(itertools.cycle(spoken), frames // min(map(len, spoken)) + 1))
    soundfile.write(path, np.concatenate(pieces)[:frames], RATE_HZ, format="WAV", subtype="ULAW")
    reader = FileReader(path)
    try:
        return probe(reader, path.name)
    finally:
        reader.close()


def timed(parts: Callable[[], Iterator[Step]]) -> Round:
    """Drain something that yields the sizes of its parts."""
    begun = time.perf_counter()
    first_byte = first_sound = 0.0
    size = 0
    for part, is_sound in parts():
        now = time.perf_counter()
        first_byte = first_byte or now
        if is_sound:
            first_sound = first_sound or now
        size += part
    ended = time.perf_counter()
    return Round(
        (first_byte - begun) * 1000, (first_sound - begun) * 1000, (ended - begun) * 1000, size
    )


def copied(path: Path) -> Iterator[Step]:
    """Read the file as it is."""
    with path.open("rb", buffering=0) as file:
        while data := file.read(COPY_BYTES):
            yield len(data), True


def converted(path: Path, facts: SourceFacts, name: str, folder: Path) -> Iterator[Step]:
    """Make one output, masked; a format that is rendered whole is rendered anew."""
    reader = FileReader(path)
    with tempfile.TemporaryDirectory(dir=folder) as cache_dir:
        cache = RenderCache(Path(cache_dir), limit_bytes=1 << 30, wait_s=600)
        try:
            output = open_output(
                lambda: open_source(reader, facts),
                facts,
                SPANS,
                AudioSpec(name),
                cache=cache,
                identity=Identity("bench/1", 0, name),
            )
            for part in output.parts(0, output.size):
                yield len(part.data), part.seconds > 0
            output.close()
        finally:
            cache.close()
            reader.close()


def drawn(path: Path, facts: SourceFacts, folder: Path) -> Iterator[Step]:
    """Make the peaks, of masked sound, as they are kept."""
    reader = FileReader(path)
    with tempfile.TemporaryDirectory(dir=folder) as cache_dir:
        cache = RenderCache(Path(cache_dir), limit_bytes=1 << 30, wait_s=600)
        try:
            peaks = open_peaks(
                lambda: open_source(reader, facts),
                facts,
                SPANS,
                fill=DEFAULT_FILL,
                cache=cache,
                identity=Identity("bench/1", 0, "peaks"),
            )
            for part in peaks.parts(0, peaks.size):
                yield len(part.data), True
            peaks.close()
        finally:
            cache.close()
            reader.close()


def main() -> None:
    """Measure and print a table in Markdown."""
    parser = argparse.ArgumentParser(description="Measure the output formats.")
    parser.add_argument("--minutes", type=float, default=10, help="length of the call (10)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is made (3)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "call.wav"
        facts = make_call(path, chosen.minutes)
        rounds: dict[str, list[Round]] = {COPY: []}
        for _ in range(chosen.rounds):
            rounds[COPY].append(timed(lambda: copied(path)))
            rounds.setdefault(PEAKS, []).append(timed(lambda: drawn(path, facts, folder)))
            for form in FORMATS.values():
                if form.is_installed():
                    rounds.setdefault(form.name, []).append(
                        timed(lambda form=form: converted(path, facts, form.name, folder))  # type: ignore[misc]  # a default binds the loop's value
                    )
    show(rounds, chosen.minutes)


def show(rounds: dict[str, list[Round]], minutes: float) -> None:
    """Print medians, and each total as a multiple of the copy's and of real time."""
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    call = f"{minutes:g} minutes of stereo mu-law, {len(SPANS)} spans"
    lines = [
        f"Python {platform.python_version()}, {machine}; {call}; median of {len(rounds[COPY])}",
        "",
        "| output | first byte ms | first sound ms | total ms | x copy | x real time | bytes |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    copy_ms = statistics.median(one.total_ms for one in rounds[COPY])
    for name, made in rounds.items():
        first = statistics.median(one.first_byte_ms for one in made)
        sound = statistics.median(one.first_sound_ms for one in made)
        total = statistics.median(one.total_ms for one in made)
        lines.append(
            f"| {name} | {first:.2f} | {sound:.2f} | {total:.1f} | {total / copy_ms:.1f} "
            f"| {minutes * 60_000 / total:,.0f} | {made[0].size_bytes:,} |"
        )
    print(*lines, sep="\n")  # noqa: T201  # this is its answer


if __name__ == "__main__":
    main()
