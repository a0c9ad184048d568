"""Signals to spans, and spans to what is masked on frames. Anything unmatched masks more.

Pure functions, no clock, no database. Source: contract.md section 4, items 1 to 4.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise, takewhile
from typing import NamedTuple

from callreel.model import Party, SourceFacts, Span, UnixMillis

Interval = tuple[int, int]
"""Half-open, in frames."""

REPEAT_WINDOW_S = 2.0
"""A second "mute off" within so many seconds is the first one sent again, not an off whose on was
lost. Longer than a client's retry on a local network, shorter than a card number."""


MAX_POSITION_S = 1e9
"""No recording has a position beyond this; one that is given is a mistake."""
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
    leg: str | None = None
    """Which call, or leg of a call, it is about, where it names one."""


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
    late_s: float = 0.0
    """How much later than told the recording may have begun: masked before each span as well."""
    early_s: float = 0.0
    """How much earlier than told it may have begun: masked behind each span as well."""


@dataclass(frozen=True, slots=True)
class LegTimes:
    """What the record of a call tells of its times."""

    started_at: UnixMillis
    duration_s: float
    answered_at: UnixMillis | None
    clock_s: float
    """How coarse these times are: 1 where they are cut to whole seconds."""


_SAME_LENGTH_S = 2.0
"""A record and a sound whose lengths differ by no more were begun at the same moment: lengths are
rounded, and a recorder starts and stops a moment late."""


class Beginning(NamedTuple):
    """When a recording begins, as far as that is known."""

    at: UnixMillis
    late_s: float
    """It may have begun by so many seconds later."""
    early_s: float
    """It may have begun by so many seconds earlier."""


def first_frame(legs: Sequence[LegTimes], sound_s: float) -> Beginning:
    """When a recording begins, and how far that may be wrong.

    Records tell when calls began, not when their recordings did: with the call, when somebody
    answered, or some time in between. A sound as long as its calls began with the first of them;
    one as long as the time since the answer began there; of a shorter one it is known only that it
    fits into its calls. A longer one has more calls than are known: they may be before these.

    Args:
        legs: The calls that share the recording; at least one.
        sound_s: Length of the recording.
    """
    begin = min(leg.started_at for leg in legs)
    end = max(leg.started_at + leg.duration_s * 1000 for leg in legs)
    clock_s = max(leg.clock_s for leg in legs)
    missing_s = (end - begin) / 1000 - sound_s
    answers = [leg.answered_at for leg in legs if leg.answered_at is not None]
    if answers and missing_s > _SAME_LENGTH_S:
        answered = min(answers)
        difference_s = (end - answered) / 1000 - sound_s
        if abs(difference_s) <= _SAME_LENGTH_S and begin <= answered:
            first = UnixMillis(round(answered - max(0.0, -difference_s) * 1000))
            return Beginning(first, abs(difference_s) + clock_s, 0.0)
    early_s = -missing_s if -missing_s > _SAME_LENGTH_S else 0.0
    return Beginning(begin, max(0.0, missing_s) + clock_s, early_s)


def pair_signals(
    moments: Iterable[SignalMoment],
    recording_started_at: UnixMillis,
    rules: SpanRules,
    given_up: Container[str] = frozenset(),
) -> list[PairedSpan]:
    """Pair the signals of one user or one channel into padded spans of one recording.

    On without off masks to the end (or the site's maximum). Off without on masks from the end of
    the previous span, else from the start. Repeats change nothing.

    Where signals name legs, each leg is paired by itself first. An off that is left over ends the
    oldest mask that another leg has left open, as when the call was transferred in between, unless
    its own leg said on before: that is then a second off, and ends nobody else's mask.

    Args:
        moments: Signals of one object within the calls of this recording, in any order.
        recording_started_at: The instant of the first frame.
        rules: The site's settings.
        given_up: Signals "on" whose open mask a person took away: they do not make a later one a
            repeat.

    Returns:
        Spans in order of time; ``end_s`` is ``math.inf`` where they run to the end.
    """
    by_leg: dict[str | None, _Leg] = defaultdict(_Leg)
    # "Off" sorts behind "on" of the same instant: an empty span is still padded, never lost.
    for moment in sorted(moments, key=lambda m: (m.at, not m.mute, m.signal_id)):
        by_leg[moment.leg].hear((moment.at - recording_started_at) / 1000, moment)
    closed = [pair for leg in by_leg.values() for pair in leg.closed]
    left_open = [leg.opened for leg in by_leg.values() if leg.opened]
    left_over = sorted(
        (off, name is None or not leg.said_on) for name, leg in by_leg.items() for off in leg.offs
    )
    offs_s = sorted(at_s for leg in by_leg.values() for at_s in leg.offs_s)
    pairs = []
    for (at_s, off_id), ends_others in left_over:
        begun = [opened for opened in left_open if ends_others and opened[0][0] <= at_s]
        if begun:
            oldest = min(begun)
            left_open.remove(oldest)
            closed.append((oldest, (at_s, off_id)))
        else:
            before = [each for each in offs_s if each < at_s]
            pairs.append(_padded(before[-1] if before else 0.0, at_s, None, off_id, rules))
    for opened, (at_s, off_id) in closed:
        start_s, on_id = next((on for on in opened if on[1] not in given_up), opened[0])
        pairs.append(_padded(start_s, at_s, on_id, off_id, rules))
    for opened in left_open:
        pairs += _open_pairs(opened, rules, given_up)
    return sorted(pairs, key=lambda pair: (pair.span.start_s, pair.span.end_s))


_At = tuple[float, str]
"""Seconds from the first frame, and the id of a signal."""


class _Leg:
    """The signals of one leg, paired by themselves as they are heard in order of time."""

    def __init__(self) -> None:
        self.closed: list[tuple[list[_At], _At]] = []
        """Every "on" since the off before, and the off that ended them."""
        self.opened: list[_At] = []
        """Those that nothing ended."""
        self.offs: list[_At] = []
        """Those that ended nothing and are no repeat."""
        self.offs_s: list[float] = []
        """When any off was said."""
        self.said_on = False

    def hear(self, at_s: float, moment: SignalMoment) -> None:
        """Take the next signal."""
        if moment.mute:
            self.said_on = True
            self.opened.append((at_s, moment.signal_id))
            return
        if self.opened:
            self.closed.append((self.opened, (at_s, moment.signal_id)))
            self.opened = []
        elif not self.offs_s or at_s - self.offs_s[-1] > REPEAT_WINDOW_S:
            self.offs.append((at_s, moment.signal_id))
        self.offs_s.append(at_s)


def _open_pairs(
    opened: Sequence[_At], rules: SpanRules, given_up: Container[str]
) -> list[PairedSpan]:
    """What "on" masks that no "off" ends: with a maximum each one for itself, else the first."""
    left = [on for on in opened if on[1] not in given_up]
    if rules.max_span_s is None:
        return [_padded(at_s, math.inf, on_id, None, rules) for at_s, on_id in left[:1]]
    return [_padded(at_s, at_s + rules.max_span_s, on_id, None, rules) for at_s, on_id in left]


def _padded(
    start_s: float, end_s: float, on_id: str | None, off_id: str | None, rules: SpanRules
) -> PairedSpan:
    before_s = rules.pad_s + rules.late_s
    behind_s = rules.pad_s + rules.early_s
    span = Span(max(0.0, start_s - before_s), max(0.0, end_s + behind_s))
    return PairedSpan(span, on_id, off_id)


@dataclass(frozen=True, slots=True)
class Mask:
    """What of a recording is masked: per channel sorted, disjoint intervals of frames.

    ``channels`` has as many entries as the recording has channels.
    """

    channels: tuple[tuple[Interval, ...], ...]

    def touching(self, channel: int, start: int, stop: int) -> list[Interval]:
        """The masked intervals of one channel that have a frame in [start, stop), whole."""
        intervals = self.channels[channel]
        first = bisect_right(intervals, start, key=lambda interval: interval[1])
        return list(takewhile(lambda interval: interval[0] < stop, islice(intervals, first, None)))


def mask_of(spans: Iterable[Span], facts: SourceFacts) -> Mask:
    """As ``mask_on_frames``, for a sound of which the facts are known."""
    return _mask_of(tuple(spans), facts)


@lru_cache(maxsize=256)
def _mask_of(spans: tuple[Span, ...], facts: SourceFacts) -> Mask:
    # Asked for again with every range of the same output.
    return mask_on_frames(
        spans,
        rate_hz=facts.rate_hz,
        frames=facts.frames,
        channels=facts.channels,
        memory_frames=facts.memory_frames,
    )


def mask_on_frames(
    spans: Iterable[Span], *, rate_hz: int, frames: int, channels: int, memory_frames: int = 0
) -> Mask:
    """The effective mask: starts floored and ends raised to a frame, clipped, sorted, merged.

    A span that cannot be understood (not a number, end before start) masks the whole recording:
    more, never less. A span of one channel masks all of a mono recording, and both channels of one
    whose codec has a memory: such codecs code one channel with the help of the other, so that each
    tells of both.

    Args:
        spans: As stored, in any order, overlapping or not.
        rate_hz: Frames per second.
        frames: Length of the recording.
        channels: 1 or 2.
        memory_frames: Lengthens each interval on both sides: how far the codec of the recording
            spreads a sound over its neighbours. Before it, since a block or window that holds the
            first masked sample begins earlier; behind it, since decoders remember.
    """
    per_channel: list[list[Interval]] = [[] for _ in range(channels)]
    for span in spans:
        if math.isnan(span.start_s) or math.isnan(span.end_s) or span.end_s < span.start_s:
            start, end, parties = 0, frames, list(range(channels))
        else:
            # Clipped first: no float is too large for an integer then.
            longest_s = frames / rate_hz + 1
            start_s, end_s = (
                max(-1e6, min(longest_s, each)) for each in (span.start_s, span.end_s)
            )
            start = max(0, min(frames, math.floor(start_s * rate_hz + WHOLE_FRAME)))
            end = min(frames, math.ceil(end_s * rate_hz - WHOLE_FRAME) + memory_frames)
            if start < frames:
                start = max(0, start - memory_frames)
            parties = _parties(None if memory_frames else span.channel, channels)
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
    # At each edge of an interval its channel begins or ends to be masked: +1 or -1.
    edges = sorted(
        (frame, channel, change)
        for channel, intervals in enumerate(mask.channels)
        for interval in intervals
        for frame, change in zip(interval, (1, -1), strict=True)
    )
    masked = [0, 0]
    found: list[tuple[int, int, Party | None]] = []
    for (start, channel, change), (end, _, _) in pairwise(edges):
        masked[channel] += change
        if start == end or not any(masked):
            continue
        party = None if all(masked) else Party.LEFT if masked[0] else Party.RIGHT
        if found and found[-1][1] == start and found[-1][2] == party:
            found[-1] = (found[-1][0], end, party)
        else:
            found.append((start, end, party))
    return tuple(Span(a / rate_hz, b / rate_hz, party) for a, b, party in found)


def covers(outer: Mask, inner: Mask) -> bool:
    """Whether everything that ``inner`` masks is masked by ``outer`` too; of the same recording."""
    for wide, narrow in zip(outer.channels, inner.channels, strict=True):
        starts = [start for start, _ in wide]
        for start, end in narrow:
            at = bisect_right(starts, start) - 1
            if at < 0 or end > wide[at][1]:
                return False
    return True
