"""The benchmarks by name, each a function from a run to rows of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.measures import converting, searching, sending, serving, taking

Benchmark = Callable[[Bench], Iterator[Figure]]

BENCHMARKS: dict[str, tuple[Benchmark, tuple[str, ...]]] = {
    "wav": (sending.whole, ("wav-10min", "wav-1min")),
    "ranges": (sending.ranges, ("range-1m", "range-64k")),
    "tls": (sending.over_tls, ("tls-1min", "tls-10min")),
    "seek": (converting.seek, ("seek-mp3", "seek-opus")),
    "one-more-span": (converting.one_more_span, ("one-more-span",)),
    "masked": (
        converting.masked,
        tuple(f"masked-{form}" for form in ("wav", "mp3", "opus", "flac", "m4a", "webm")),
    ),
    "convert": (
        converting.whole,
        (
            *("first-wav", "first-mp3", "first-opus"),
            *("whole-mp3", "whole-opus", "whole-flac", "whole-m4a"),
        ),
    ),
    "two-cores": (converting.two_cores, ("two-cores",)),
    "memory": (converting.memory, ("conversion-memory",)),
    "slow-readers": (serving.slow_readers, ("slow-readers",)),
    "tokens": (serving.tokens, ("tokens", "tokens-p99", "tokens-cpu")),
    "equal-requests": (converting.equal_requests, ("equal-requests",)),
    "search": (
        searching.search,
        tuple(
            f"{what}-{kind}"
            for kind in ("sqlite", "postgresql")
            for what in ("search", "text", "count")
        ),
    ),
    "import": (taking.import_csv, ("import-csv",)),
    "peaks": (taking.peaks, ("peaks",)),
    "straightforward": (serving.straightforward, ("straightforward",)),
    "start": (serving.start, ("ready", "idle-memory")),
}
"""In the order of the page, with the rows that each gives."""
