"""The benchmarks by name, each a function from a run to rows of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.bench import Bench
from benchmarks.figures import Figure
from benchmarks.measures import sending

Benchmark = Callable[[Bench], Iterator[Figure]]

BENCHMARKS: dict[str, tuple[Benchmark, tuple[str, ...]]] = {
    "wav": (sending.whole, ("wav-10min", "wav-1min")),
    "ranges": (sending.ranges, ("range-1m", "range-64k")),
    "tls": (sending.over_tls, ("tls-1min", "tls-10min")),
}
"""In the order of the page, with the rows that each gives."""
