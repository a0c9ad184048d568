"""What must be reached, as data: each row of the page, its bar and its moonshot.

Source: issue 5, "Must show".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Judged(StrEnum):
    """Which number of a row is held against the bar."""

    RATIO = "ratio"
    """Ours over the peer's, turned so that more is better."""
    OURS = "ours"
    """Our own number, in the unit of the row."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of the page."""

    name: str
    what: str
    unit: str
    """Of what is measured on both sides."""
    bar: float
    moonshot: float | None
    judged: Judged = Judged.RATIO
    less: bool = False
    """Whether less of the unit is better: times, memory."""

    def is_met(self, value: float, bound: float) -> bool:
        """Whether a judged value reaches a bound."""
        if self.judged is Judged.OURS and self.less:
            return value <= bound
        return value >= bound


def _ours(  # one row of the table, read from left to right
    name: str, what: str, unit: str, bar: float, moonshot: float | None, *, less: bool = True
) -> Bar:
    return Bar(name, what, unit, bar, moonshot, Judged.OURS, less)


def _faster(name: str, what: str, bar: float, moonshot: float, unit: str = "ms") -> Bar:
    return Bar(name, what, unit, bar, moonshot, Judged.RATIO, less=True)


BARS = {
    each.name: each
    for each in (
        Bar("wav-10min", "masked 10-minute WAV over nginx, plain file", "requests/s", 0.85, 1.0),
        Bar("wav-1min", "masked 1-minute G.711 over nginx, secure_link", "requests/s", 0.50, 0.75),
        Bar("range-1m", "1 MiB ranges of a masked file over nginx, plain", "requests/s", 0.5, 0.7),
        Bar("range-64k", "64 KiB ranges of the same", "requests/s", 0.27, 0.45),
        Bar("tls-1min", "TLS in the process, 1-minute G.711, over nginx", "requests/s", 1.0, 1.3),
        Bar("tls-10min", "TLS in the process, 10-minute WAV, over nginx", "requests/s", 1.0, 1.3),
        _ours("seek-mp3", "random range of an hour as MP3, first byte, p50", "ms", 20, 5),
        _ours("seek-opus", "random range of an hour as Opus, first byte, p50", "ms", 40, 12),
        _faster("one-more-span", "one more span in an hour whose MP3 is cached", 4, 20),
        *(
            _faster(f"masked-{name}", f"masked over unmasked, {name}", 0.95, 0.99)
            for name in ("wav", "mp3", "opus", "flac", "m4a", "webm")
        ),
        *(
            _faster(f"first-{name}", f"first byte of an hour as {name} over ffmpeg", 10, 25)
            for name in ("wav", "mp3", "opus")
        ),
        _faster("whole-mp3", "an hour to MP3, whole, over ffmpeg", 2.0, 3.5),
        _faster("whole-opus", "an hour to Opus, whole, over ffmpeg", 1.2, 2.5),
        _faster("whole-flac", "an hour to FLAC, whole, over ffmpeg", 1.3, 1.6),
        _faster("whole-m4a", "an hour to AAC, whole, over ffmpeg", 3.0, 4.5),
        Bar("two-cores", "two conversions on two cores over one on one", "files/s", 1.6, 1.9),
        _ours("conversion-memory", "memory of a running conversion of an hour", "MiB", 16, 6),
        _ours("slow-readers", "memory of a slow reader of a masked WAV, 500 of them", "KB", 64, 12),
        _ours("tokens", "tokens, audit durable, 64 clients", "tokens/s", 4000, 10_000, less=False),
        _ours("tokens-p99", "the same, p99", "ms", 50, None),
        _ours("tokens-cpu", "the same, CPU each", "µs", 120, 50),
        _ours("equal-requests", "1,000 equal requests for an uncached MP3", "encodes", 1.5, None),
        _ours("search-sqlite", "first page of every filter and pair, p95, SQLite", "ms", 50, 15),
        _ours("search-postgresql", "the same, PostgreSQL", "ms", 50, 15),
        _ours("text-sqlite", "first page of a text term, p95, SQLite", "ms", 50, 15),
        _ours("text-postgresql", "the same, PostgreSQL", "ms", 50, 15),
        _ours("count-sqlite", "count and histogram of every filter, p95, SQLite", "ms", 500, 150),
        _ours("count-postgresql", "the same, PostgreSQL", "ms", 500, 150),
        _ours("import-csv", "import of CSV rows, durable", "rows/s", 20_000, 60_000, less=False),
        _ours("peaks", "peaks of an hour, stereo", "ms", 250, 80),
        Bar("straightforward", "masked MP3 of 10 minutes over 60 lines", "files/s", 3.0, 6.0),
        _ours("ready", "callreel serve, ready after its start", "s", 1.5, 0.8),
        _ours("idle-memory", "callreel serve, memory idle", "MiB", 90, 60),
    )
}
"""By name, in the order of the page."""
