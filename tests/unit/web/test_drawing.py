"""Numbers to shapes: nothing lost, and right on the days on which clocks are changed."""

from __future__ import annotations

import random
import re
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from callreel.audio.peaks import WINDOW, Points
from callreel.db.summary import Bucket
from callreel.flows.peaks import SeenPeaks
from callreel.model import Direction, RecordingId, SourceFacts, Span, UnixMillis
from callreel.web.pages import drawing

LONDON = ZoneInfo("Europe/London")
KOLKATA = ZoneInfo("Asia/Kolkata")


def at(text: str, zone: ZoneInfo) -> UnixMillis:
    """An instant of a zone."""
    return UnixMillis(round(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1000))


def seen(lowest: list[list[int]], highest: list[list[int]]) -> SeenPeaks:
    """Peaks with one point for each window."""
    frames = len(lowest) * WINDOW
    facts = SourceFacts("pcm_s16le", "wav", 8000, len(lowest[0]), frames)
    points = Points(0, frames, WINDOW, np.array(lowest, np.int8), np.array(highest, np.int8))
    return SeenPeaks(RecordingId("r"), 1, facts, points, (), '"e"')


def test_a_waveform_has_a_stroke_for_every_loud_point() -> None:
    """Two lanes, whole numbers, as high as the sound was loud."""
    wave = drawing.waveform(
        seen([[0, 0], [-127, 0], [-64, -1]], [[0, 0], [127, 0], [64, 1]]), "right"
    )
    assert wave.width == 6
    left, right = wave.lanes
    assert (left.is_agent, right.is_agent) == (False, True)
    assert left.path == "M0 20h6M3 0v40M5 10v20"
    assert right.path == "M0 20h6"


def test_silence_is_where_nobody_speaks() -> None:
    """Both sides, and long enough to be worth a jump."""
    step_s = WINDOW / 8000
    quiet = round(2.0 / step_s)
    rows = [[-90, 0]] * 10 + [[-1, -1]] * quiet + [[0, -90]] * 10 + [[0, 0]] * 5
    wave = drawing.waveform(seen(rows, [[abs(a), abs(b)] for a, b in rows]), None)
    ((start, end),) = wave.silences
    assert start == pytest.approx(10 * step_s, abs=0.02)
    assert end == pytest.approx((10 + quiet) * step_s, abs=0.02)


def test_hidden_seconds_are_counted_once() -> None:
    """Overlapping spans of the two parties hide the same seconds."""
    spans = (Span(1, 3), Span(2, 4), Span(9, float("inf")), Span(9.5, 9.7))
    assert drawing.hidden_s(spans, 10) == 4.0
    assert [(each.x, each.width) for each in drawing.stretches(spans[2:3], 10)] == [(90.0, 10.0)]
    assert drawing.stretches((Span(11, 12),), 10) == ()


@pytest.mark.parametrize(("zone", "day", "hours"), [
    (LONDON, "2026-03-29", 23), (LONDON, "2026-10-25", 25), (LONDON, "2026-11-23", 24),
    (KOLKATA, "2026-11-23", 24),
])  # fmt: skip
def test_a_day_has_as_many_bars_as_hours(zone: ZoneInfo, day: str, hours: int) -> None:
    """Also when clocks are changed, and where hours begin at half past."""
    first = at(f"{day}T00:00", zone)
    last = UnixMillis(at(f"{day}T23:59", zone))
    assert len(drawing.bars([], first, last, zone).bars) == hours


@pytest.mark.parametrize("zone", [LONDON, KOLKATA, ZoneInfo("Asia/Kathmandu"), ZoneInfo("UTC")])
@pytest.mark.parametrize("days", [2, 30, 300, 2000])
def test_every_call_is_in_one_bar_of_its_own_time(zone: ZoneInfo, days: int) -> None:
    """Whatever the unit; bars follow each other without a gap."""
    draw = random.Random(days)  # noqa: S311  # a test
    first = at("2024-02-28T13:37", zone)
    last = UnixMillis(first + days * 86_400_000)
    quarter_ms = 900_000
    times = [draw.randrange(first, last) for _ in range(200)] + [first, last]
    buckets = [
        Bucket(
            UnixMillis(each // quarter_ms * quarter_ms), Direction.INBOUND, draw.random() < 0.2, 1
        )
        for each in times
    ]
    found = drawing.bars(buckets, first, last, zone)
    assert sum(bar.calls for bar in found.bars) == len(times)
    assert found.peak == max(bar.calls for bar in found.bars)
    for bar, following in zip(found.bars, found.bars[1:], strict=False):
        assert bar.ends_at == following.starts_at
    for bar in found.bars:
        inside = sum(bar.starts_at <= each < bar.ends_at for each in times)
        assert inside == bar.calls
        assert sum(height for _, _, height in bar.parts) == pytest.approx(
            100 * bar.calls / found.peak, abs=0.1
        )
    assert len(found.bars) <= 130


def test_ticks_are_few_and_round() -> None:
    """Whatever the length."""
    for seconds in (0.5, 3, 26, 61, 180, 1234, 7200, 43_200):
        ticks = drawing.ticks(seconds)
        assert len(ticks) <= 12
        assert all(0 < x < 97 for x, _ in ticks)
    assert re.fullmatch(r"[\d, ]*", ", ".join(str(round(at_s)) for _, at_s in drawing.ticks(180)))
