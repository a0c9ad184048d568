"""Samples of ours and of a peer, taken in turns; what they say as a ratio, a median, a spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.bars import BARS, Bar, Judged


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement of one side."""

    value: float
    """In the unit of the row."""
    detail: Mapping[str, float | str] = field(default_factory=dict)
    """What else was seen, for the raw results."""


Measure = Callable[[], Sample]


def in_turns(rounds: int, ours: Measure, peer: Measure) -> tuple[list[Sample], list[Sample]]:
    """Measure A B A B …, so that a busy moment of the machine falls on both."""
    taken: tuple[list[Sample], list[Sample]] = ([], [])
    for _ in range(rounds):
        taken[0].append(ours())
        taken[1].append(peer())
    return taken


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that so many percent do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


@dataclass(frozen=True, slots=True)
class Figure:
    """One row: what was measured on both sides, round by round."""

    name: str
    """Of its bar."""
    ours: Sequence[Sample]
    peer: Sequence[Sample]
    peer_name: str
    notes: tuple[str, ...] = ()

    @property
    def bar(self) -> Bar:
        """What it is held against."""
        return BARS[self.name]

    @property
    def ratios(self) -> list[float]:
        """Ours over the peer's of the same round, turned so that more is better."""
        pairs = zip(self.ours, self.peer, strict=True)
        if self.bar.less:
            return [peer.value / ours.value if ours.value else math.inf for ours, peer in pairs]
        return [ours.value / peer.value if peer.value else math.inf for ours, peer in pairs]

    @property
    def judged(self) -> list[float]:
        """What is held against the bar, of each round."""
        if self.bar.judged is Judged.RATIO:
            return self.ratios
        return [each.value for each in self.ours]

    @property
    def is_met(self) -> bool:
        """Whether the median reaches the bar."""
        return self.bar.is_met(statistics.median(self.judged), self.bar.bar)

    @property
    def is_moonshot(self) -> bool:
        """Whether the median reaches the moonshot too."""
        moonshot = self.bar.moonshot
        return moonshot is not None and self.bar.is_met(statistics.median(self.judged), moonshot)

    def as_json(self) -> dict[str, object]:
        """Everything, raw values too."""
        return {
            "name": self.name,
            "what": self.bar.what,
            "unit": self.bar.unit,
            "peer_name": self.peer_name,
            "bar": self.bar.bar,
            "moonshot": self.bar.moonshot,
            "judged": self.bar.judged.value,
            "median": statistics.median(self.judged),
            "ratio": statistics.median(self.ratios),
            "met": self.is_met,
            "notes": list(self.notes),
            "ours": [asdict(each) for each in self.ours],
            "peer": [asdict(each) for each in self.peer],
        }
