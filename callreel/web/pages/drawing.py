"""Numbers to shapes: waveforms, the shape of a call, bars over time. Templates only print them.

Everything is drawn in whole units of its own picture; where one stands for time, its width is all
of the recording or all of the period.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from callreel.audio.peaks import Int8s
from callreel.db.listing import ViewedCall
from callreel.db.summary import Bucket, Grain
from callreel.flows.peaks import SeenPeaks
from callreel.model import Direction, Span, UnixMillis
from callreel.periods import offsets

LANE_UNITS = 40
"""Height of one lane of a waveform."""
POINTS = 600
"""Strokes of a waveform; each has two units of its width."""

SHAPE_WIDTH, SHAPE_S = 168, 420
"""Pixels of the shape of a call, and the seconds that they stand for."""

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
QUARTER_MS = 900_000

_QUIET = 3
"""Peaks of at most so much, of 127, are silence: -32 dB of full scale."""
_SILENT_S = 1.5
"""Silence as long as that is worth skipping."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One channel of a waveform."""

    path: str
    """Of an SVG; upright strokes."""
    is_agent: bool | None
    """None where nobody knows whose channel it is."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of the width, in percent."""

    x: float
    width: float
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Waveform:
    """What a player draws."""

    width: int
    lanes: tuple[Lane, ...]
    silences: tuple[tuple[float, float], ...]
    """Seconds in which nobody speaks."""


def waveform(seen: SeenPeaks, agent_channel: str | None) -> Waveform:
    """The strokes of a recording.

    Args:
        seen: Peaks of what may be heard.
        agent_channel: ``left``, ``right``, or None where nobody knows.
    """
    points = seen.points
    count = len(points.lowest)
    lanes = []
    for channel in range(points.lowest.shape[1] if count else 0):
        name = ("left", "right")[channel]
        lanes.append(
            Lane(
                _strokes(points.lowest[:, channel], points.highest[:, channel]),
                None if agent_channel not in {"left", "right"} else agent_channel == name,
            )
        )
    step_s = points.frames_per_point / seen.facts.rate_hz
    return Waveform(max(1, 2 * count), tuple(lanes), _silences(seen, step_s))


def _strokes(lowest: Int8s, highest: Int8s) -> str:
    middle = LANE_UNITS / 2
    up = np.maximum(np.rint(highest.astype(float) * middle / 127), 0).astype(int)
    down = np.maximum(np.rint(-lowest.astype(float) * middle / 127), 0).astype(int)
    # Where all is quiet, one line says so as well as many dots.
    parts = [f"M0 {LANE_UNITS // 2}h{2 * len(up)}"]
    parts += [
        f"M{2 * x + 1} {int(middle) - above}v{above + below}"
        for x, (above, below) in enumerate(zip(up.tolist(), down.tolist(), strict=True))
        if above + below > 1
    ]
    return "".join(parts)


def _silences(seen: SeenPeaks, step_s: float) -> tuple[tuple[float, float], ...]:
    loud = (seen.points.highest > _QUIET) | (seen.points.lowest < -_QUIET)
    quiet = ~loud.any(axis=1)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], quiet, [False]])))
    found = []
    for start, stop in edges.reshape(-1, 2).tolist():
        if (stop - start) * step_s >= _SILENT_S:
            end_s = min(stop * step_s, seen.facts.duration_s)
            found.append((round(start * step_s, 2), round(end_s, 2)))
    return tuple(found)


def stretches(spans: Sequence[Span], duration_s: float) -> tuple[Stretch, ...]:
    """Where masked spans lie; those of one channel as those of both."""
    found = []
    for span in spans:
        end_s = min(span.end_s, duration_s)
        if duration_s > 0 and end_s > span.start_s:
            found.append(
                Stretch(
                    round(100 * span.start_s / duration_s, 3),
                    round(100 * (end_s - span.start_s) / duration_s, 3),
                    span.start_s,
                    end_s,
                )
            )
    return tuple(found)


def hidden_s(spans: Sequence[Span], duration_s: float) -> float:
    """Seconds in which something is masked; where both channels are, counted once."""
    total, reached = 0.0, 0.0
    for span in sorted(spans, key=lambda each: each.start_s):
        end_s = min(span.end_s, duration_s)
        total += max(0.0, end_s - max(span.start_s, reached))
        reached = max(reached, end_s)
    return total


def ticks(duration_s: float) -> tuple[tuple[float, float], ...]:
    """Times under a waveform, as percent and seconds: five to eight, at round moments."""
    for step in (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600):
        if duration_s / step <= 8:
            break
    count = math.floor(duration_s / step)
    return tuple(
        (round(100 * number * step / duration_s, 2), number * step)
        for number in range(1, count + 1)
        if number * step < 0.96 * duration_s
    )


@dataclass(frozen=True, slots=True)
class Bit:
    """A part of the shape of a call, in pixels."""

    x: float
    width: float
    kind: str
    """``ring``, ``talk`` or ``mask``; a class of the style sheet."""


def shape(viewed: ViewedCall) -> tuple[Bit, ...]:
    """A call as a line: ringing, talking, what is masked. Length is time, cut at seven minutes."""
    scale = SHAPE_WIDTH / SHAPE_S
    rang = min(viewed.rang_s or 0.0, SHAPE_S)
    bits = []
    if rang > 0:
        bits.append(Bit(0, max(2.0, round(rang * scale, 1)), "ring"))
    start = bits[0].width + 1 if bits else 0.0
    talk = viewed.talk_s
    if talk:
        width = min(max(2.0, talk * scale), SHAPE_WIDTH - start)
        bits.append(Bit(start, round(width, 1), "talk"))
        for span in viewed.call.masked_spans:
            end_s = min(span.end_s, talk)
            x = start + span.start_s * scale
            if end_s > span.start_s and x < SHAPE_WIDTH:
                wide = min(max(2.0, (end_s - span.start_s) * scale), SHAPE_WIDTH - x)
                bits.append(Bit(round(x, 1), round(wide, 1), "mask"))
    return tuple(bits)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar over the list."""

    starts_at: UnixMillis
    ends_at: UnixMillis
    calls: int
    parts: tuple[tuple[str, float, float], ...]
    """Kind, y and height, in a picture of a hundred units."""


@dataclass(frozen=True, slots=True)
class Bars:
    """Calls over time."""

    bars: tuple[Bar, ...]
    peak: int
    unit: str
    """``hour``, ``day``, ``week`` or ``month``."""


def unit_of(first: UnixMillis, last: UnixMillis) -> str:
    """What a bar stands for, so that there are neither few nor too many."""
    hours = (last - first) / HOUR_MS
    if hours <= 24 * 4:
        return "hour"
    if hours <= 24 * 100:
        return "day"
    return "week" if hours <= 24 * 800 else "month"


def grain_of(zone: ZoneInfo, first: UnixMillis, last: UnixMillis) -> Grain:
    """How finely calls must be counted, so that a bar of a zone is a whole number of buckets."""
    if unit_of(first, last) != "hour":
        return Grain(DAY_MS, tuple(offsets(first, UnixMillis(last + 1), zone)))
    moments = (datetime.fromtimestamp(at / 1000, zone) for at in (first, last))
    whole = all(
        (each.utcoffset() or timedelta()) % timedelta(hours=1) == timedelta() for each in moments
    )
    return Grain(HOUR_MS if whole else QUARTER_MS)


_KINDS = {
    Direction.INBOUND: "in",
    Direction.OUTBOUND: "out",
    Direction.INTERNAL: "internal",
    Direction.UNKNOWN: "internal",
}
KINDS = ("in", "out", "internal", "abandoned")
"""From the foot of a bar upwards."""


def bars(buckets: Sequence[Bucket], first: UnixMillis, last: UnixMillis, zone: ZoneInfo) -> Bars:
    """Calls in bars of local hours, days, weeks or months; those without a call stay as gaps."""
    unit = unit_of(first, last)
    counted: dict[UnixMillis, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for bucket in buckets:
        kind = "abandoned" if bucket.abandoned else _KINDS[bucket.direction]
        counted[_floor(bucket.starts_at, unit, zone)][kind] += bucket.calls
    found = []
    peak = max((sum(each.values()) for each in counted.values()), default=0)
    at = _floor(first, unit, zone)
    while at <= last:
        following = _next(at, unit, zone)
        parts, foot = [], 100.0
        for kind in KINDS:
            height = 100 * counted[at][kind] / peak if peak else 0.0
            if height:
                foot -= height
                parts.append((kind, round(foot, 2), round(height, 2)))
        found.append(Bar(at, following, sum(counted[at].values()), tuple(parts)))
        at = following
    return Bars(tuple(found), peak, unit)


def _floor(at: UnixMillis, unit: str, zone: ZoneInfo) -> UnixMillis:
    if unit == "hour":
        # Hours of the clock that runs on: when it is set back, one of them comes twice.
        offset = datetime.fromtimestamp(at / 1000, zone).utcoffset() or timedelta()
        within = round(offset.total_seconds() * 1000) % HOUR_MS
        return UnixMillis((at + within) // HOUR_MS * HOUR_MS - within)
    day = datetime.fromtimestamp(at / 1000, zone).replace(hour=0, minute=0, second=0, microsecond=0)
    if unit == "week":
        day -= timedelta(days=day.weekday())
    if unit == "month":
        day = day.replace(day=1)
    return UnixMillis(round(day.timestamp() * 1000))


def _next(at: UnixMillis, unit: str, zone: ZoneInfo) -> UnixMillis:
    if unit == "hour":
        return UnixMillis(at + HOUR_MS)
    # Noon of a later day lies in it whatever clocks do.
    days = {"day": 1, "week": 7, "month": 31}[unit]
    later = datetime.fromtimestamp(at / 1000, zone) + timedelta(days=days, hours=12)
    return _floor(UnixMillis(round(later.timestamp() * 1000)), unit, zone)
