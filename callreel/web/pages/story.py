"""What happened in a call, in order, on the clock of the wall and of the recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from callreel.db.listing import ViewedCall
from callreel.db.masks import StoredSpan
from callreel.flows.browse import CallInFull
from callreel.model import CallId, Disposition, UnixMillis


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    at: UnixMillis
    kind: str
    """``rang``, ``answered``, ``unanswered``, ``leg``, ``masked`` or ``ended``."""
    at_s: float | None = None
    """Where it is in the recording; None where it is not in it."""
    seconds: float | None = None
    """How long it took."""
    who: str = ""
    source: str = ""
    """Of what is masked: ``signal``, ``hand`` …"""
    reason: str = ""
    call_id: CallId | None = None
    """Of another leg."""
    disposition: Disposition | None = None


def events(full: CallInFull, spans: Sequence[StoredSpan]) -> tuple[Event, ...]:
    """Everything that is known, oldest first.

    Args:
        full: The call and its other legs.
        spans: Of its recording, where whoever looks may see their causes.
    """
    viewed = full.viewed
    found = [*_of_leg(viewed), *_masked(viewed, spans)]
    found += [
        Event(
            leg.call.started_at,
            "leg",
            seconds=leg.talk_s,
            who=_name(leg),
            call_id=leg.call.id,
            disposition=leg.disposition,
        )
        for leg in full.legs
    ]
    order = {"rang": 0, "answered": 1, "masked": 2, "leg": 2, "unanswered": 3, "ended": 4}
    return tuple(sorted(found, key=lambda event: (event.at, order[event.kind])))


def _of_leg(viewed: ViewedCall) -> list[Event]:
    start, who = viewed.call.started_at, _name(viewed)
    end = UnixMillis(start + round(viewed.call_s * 1000))
    found = []
    if viewed.rang_s is not None:
        found.append(Event(start, "rang", seconds=viewed.rang_s, who=who))
    if viewed.talk_s is not None:
        answered = UnixMillis(start + round((viewed.rang_s or 0.0) * 1000))
        found.append(Event(answered, "answered", who=who))
        found.append(Event(end, "ended", seconds=viewed.talk_s))
    else:
        found.append(Event(end, "unanswered", disposition=viewed.disposition))
    return found


def _masked(viewed: ViewedCall, spans: Sequence[StoredSpan]) -> list[Event]:
    duration_s = viewed.call.duration_s
    # A recording ends with its call; what is before it is ringing that was not recorded.
    late_s = max(0.0, viewed.call_s - duration_s)
    causes = [each for each in spans if each.state == "active"]
    found = []
    for span in viewed.call.masked_spans:
        overlapping = [
            each
            for each in causes
            if each.span.start_s < span.end_s and each.span.end_s > span.start_s
        ]
        cause = overlapping[0] if overlapping else None
        found.append(
            Event(
                UnixMillis(viewed.call.started_at + round((late_s + span.start_s) * 1000)),
                "masked",
                at_s=span.start_s,
                seconds=min(span.end_s, duration_s) - span.start_s,
                who=(cause.actor or "") if cause else "",
                source=cause.source if cause else "",
                reason=(cause.reason or "") if cause else "",
            )
        )
    return found


def _name(viewed: ViewedCall) -> str:
    return viewed.agent_name or viewed.call.extension or viewed.call.to_number
