"""Signals to spans, and spans to what is masked on frames. Anything unmatched masks more.

Pure functions, no clock, no database. Source: contract.md section 4, items 1 to 4.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from callreel.model import Party, Span, UnixMillis

Interval = tuple[int, int]
"""Half-open, in frames."""

REPEAT_WINDOW_S = 2.0
"""A second "mute off" within so many seconds is the first one sent again, not an off whose on was
lost. Longer than a client's retry on a local network, shorter than a card number."""


WHOLE_FRAME = 1e-6
"""In frames: a product so near to a whole number is that number. Seconds are frames divided by the
rate, which a float cannot always hold; without this a mask would grow by a frame at each turn."""


@dataclass(frozen=True, slots=True)
class SignalMoment:
    """One signal, seen from a recording."""

    signal_id: str
    at: UnixMillis
    mute: bool
    """True for "mute on"."""


@dataclass(frozen=True, slots=True)
class PairedSpan:
    """A span found by pairing, with the signals that caused it (None: there was none)."""

    span: Span
    on_id: str | None
    off_id: str | None


@dataclass(frozen=True, slots=True)
class SpanRules:
    """How one site turns signals into spans."""

    pad_s: float = 0.5
    """Added on each side. Source: contract.md 4.3."""
    max_span_s: float | None = None
    """Where set, an "on" without "off" masks so long; off by default (contract.md 4.2)."""


def pair_signals(
    moments: Iterable[SignalMoment], recording_started_at: UnixMillis, rules: SpanRules
) -> list[PairedSpan]:
    """Pair the signals of one user or one channel into padded spans of one recording.

    On without off masks to the end (or the site's maximum). Off without on masks from the end of
    the previous span, else from the start. Repeats change nothing.

    Args:
        moments: Signals of one object within the calls of this recording, in any order.
        recording_started_at: The instant of the first frame.
        rules: The site's settings.

    Returns:
        Spans in order of time; ``end_s`` is ``math.inf`` where they run to the end.
    """
    pairs: list[PairedSpan] = []
    open_on: tuple[float, str] | None = None
    last_off_s: float | None = None
    # "Off" sorts behind "on" of the same instant: an empty span is still padded, never lost.
    for moment in sorted(moments, key=lambda m: (m.at, not m.mute, m.signal_id)):
        at_s = (moment.at - recording_started_at) / 1000
        if moment.mute:
            if open_on is None:
                open_on = (at_s, moment.signal_id)
            continue
        if open_on is not None:
            pairs.append(_padded(open_on[0], at_s, open_on[1], moment.signal_id, rules))
        elif last_off_s is None or at_s - last_off_s > REPEAT_WINDOW_S:
            start_s = last_off_s if last_off_s is not None else 0.0
            pairs.append(_padded(start_s, at_s, None, moment.signal_id, rules))
        open_on, last_off_s = None, at_s
    if open_on is not None:
        end_s = math.inf if rules.max_span_s is None else open_on[0] + rules.max_span_s
        pairs.append(_padded(open_on[0], end_s, open_on[1], None, rules))
    return pairs


def _padded(
    start_s: float, end_s: float, on_id: str | None, off_id: str | None, rules: SpanRules
) -> PairedSpan:
    span = Span(max(0.0, start_s - rules.pad_s), max(0.0, end_s + rules.pad_s))
    return PairedSpan(span, on_id, off_id)


@dataclass(frozen=True, slots=True)
class Mask:
    """What of a recording is masked: per channel sorted, disjoint intervals of frames.

    ``channels`` has as many entries as the recording has channels.
    """

    channels: tuple[tuple[Interval, ...], ...]

    def touching(self, channel: int, start: int, stop: int) -> list[Interval]:
        """The masked intervals of one channel that have a frame in [start, stop), whole."""
        return [(a, b) for a, b in self.channels[channel] if a < stop and b > start]


def mask_on_frames(
    spans: Iterable[Span], *, rate_hz: int, frames: int, channels: int, memory_frames: int = 0
) -> Mask:
    """The effective mask: starts floored and ends raised to a frame, clipped, sorted, merged.

    A span that cannot be understood (not a number, end before start) masks the whole recording:
    more, never less. A span of one channel masks all of a mono recording.

    Args:
        spans: As stored, in any order, overlapping or not.
        rate_hz: Frames per second.
        frames: Length of the recording.
        channels: 1 or 2.
        memory_frames: Lengthens each interval: how far the decoder remembers what it masked.
    """
    per_channel: list[list[Interval]] = [[] for _ in range(channels)]
    for span in spans:
        if math.isnan(span.start_s) or math.isnan(span.end_s) or span.end_s < span.start_s:
            start, end, parties = 0, frames, list(range(channels))
        else:
            start = max(0, min(frames, math.floor(span.start_s * rate_hz + WHOLE_FRAME)))
            raw_end = (
                frames if math.isinf(span.end_s) else math.ceil(span.end_s * rate_hz - WHOLE_FRAME)
            )
            end = min(frames, raw_end + memory_frames)
            parties = _parties(span.channel, channels)
        if end > start:
            for index in parties:
                per_channel[index].append((start, end))
    return Mask(tuple(tuple(merge(intervals)) for intervals in per_channel))


def _parties(channel: Party | None, channels: int) -> list[int]:
    if channel is None or channels == 1:
        return list(range(channels))
    return [0 if channel is Party.LEFT else 1]


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """Sort half-open intervals and join those that touch or overlap."""
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return merged


def effective_spans(mask: Mask, rate_hz: int) -> tuple[Span, ...]:
    """A mask as people and programs see it: sorted, disjoint, in seconds.

    Where both channels are masked the span names none; a stretch of one channel names it.
    """
    if len(mask.channels) == 1:
        return tuple(Span(a / rate_hz, b / rate_hz) for a, b in mask.channels[0])
    left, right = mask.channels
    edges = sorted({edge for interval in (*left, *right) for edge in interval})
    found: list[tuple[int, int, Party | None]] = []
    for start, end in pairwise(edges):
        in_left, in_right = _covers(left, start), _covers(right, start)
        if not (in_left or in_right):
            continue
        party = None if in_left and in_right else Party.LEFT if in_left else Party.RIGHT
        if found and found[-1][1] == start and found[-1][2] == party:
            found[-1] = (found[-1][0], end, party)
        else:
            found.append((start, end, party))
    return tuple(Span(a / rate_hz, b / rate_hz, party) for a, b, party in found)


def _covers(intervals: Sequence[Interval], frame: int) -> bool:
    return any(start <= frame < end for start, end in intervals)


def covers(outer: Mask, inner: Mask) -> bool:
    """Whether everything that ``inner`` masks is masked by ``outer`` too; of the same recording."""
    return all(
        any(a <= start and end <= b for a, b in wide)
        for wide, narrow in zip(outer.channels, inner.channels, strict=True)
        for start, end in narrow
    )
