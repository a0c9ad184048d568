"""Which calls the demo has: a pure function of a seed and an instant, without sound or database.

A build that was killed is planned again from the same two numbers, so it ends as the same calls.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from callreel.demo.conversations import Conversation
from callreel.demo.names import caller_name, customer_number, voicefilename
from callreel.demo.sound import Form, Lead, PlannedSound
from callreel.demo.town import SITES, DemoSite, Person
from callreel.model import Direction, Disposition, Span, UnixMillis

DAYS = 30
QUIET = timedelta(minutes=15)
"""No call is younger: each is over, and has settled (threats.md T24), when the server starts."""

ABANDONED = 36
BUSY = 6
TRANSFERS = 8
CARD_CALLS = 32
OTHER_CALLS = 150
"""Rows in all: 36 + 6 + 2 * 8 + 32 + 150 = 240."""

SPAN_MARGIN_S = 0.3
"""A card is masked from a little before its digits are heard to a little after."""
ONE_PARTY_EVERY = 5
"""Of the masked calls in which the agent need not be masked, so many are marked for one party."""

_HOUR_WEIGHTS = {8: 4, 9: 9, 10: 11, 11: 11, 12: 7, 13: 6, 14: 10, 15: 10, 16: 9, 17: 6, 18: 2}
_WEEKEND_CHANCE = 0.12


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """One call to come."""

    key: str
    """Tells it from every other call of the demo."""
    site: DemoSite
    started_at: UnixMillis
    duration_s: float
    direction: Direction
    from_number: str
    to_number: str
    extension: str | None
    channel: str | None
    disposition: Disposition
    linked_id: str | None = None
    voicefilename: str | None = None
    """None where nothing was recorded."""
    recording_name: str | None = None
    """The voicefilename of the call that this one shares a recording with."""
    spans: tuple[Span, ...] = ()
    sound: PlannedSound | None = None
    caller_name: str = ""
    rang_s: float | None = None
    """Until it was answered; None where it was not."""


def plan_calls(
    seed: int, now: UnixMillis, conversations: Sequence[Conversation]
) -> tuple[PlannedCall, ...]:
    """Every call of the demo, in no order that means anything.

    Args:
        seed: The same seed and instant give the same calls.
        now: The calls lie in the thirty days before it.
        conversations: What can be heard.
    """
    planner = _Planner(random.Random(seed), now)  # noqa: S311  # a demo, not a secret
    with_card = [told for told in conversations if told.card_spans]
    transferred = [told for told in conversations if told.handed_over_s is not None]
    others = [told for told in conversations if told not in with_card + transferred]
    calls = [planner.abandoned() for _ in range(ABANDONED)]
    calls += [planner.busy() for _ in range(BUSY)]
    for number in range(TRANSFERS):
        calls += planner.transfer(transferred[number % len(transferred)], own_name=number % 2 == 0)
    for number in range(CARD_CALLS):
        one_party = number % ONE_PARTY_EVERY == 0
        calls.append(planner.masked(with_card[number % len(with_card)], one_party=one_party))
    calls += [planner.talked(others[number % len(others)]) for number in range(OTHER_CALLS)]
    return tuple(calls)


class _Planner:
    """Draws calls one after the other."""

    def __init__(self, draw: random.Random, now: UnixMillis) -> None:
        self._draw = draw
        self._latest = datetime.fromtimestamp(now / 1000, UTC) - QUIET
        self._count = 0

    def abandoned(self) -> PlannedCall:
        """Somebody rang and gave up."""
        call = self._call(Direction.INBOUND)
        return replace(
            call,
            duration_s=float(self._draw.randint(5, 70)),
            extension=None,
            disposition=Disposition.ABANDONED,
        )

    def busy(self) -> PlannedCall:
        """We rang, and the line was engaged."""
        call = self._call(Direction.OUTBOUND)
        return replace(call, duration_s=0.0, disposition=Disposition.BUSY)

    def talked(self, told: Conversation) -> PlannedCall:
        """A call that was recorded from end to end."""
        return self._recorded(told, self._sound(told))

    def masked(self, told: Conversation, *, one_party: bool) -> PlannedCall:
        """A call in which a card is read out, marked where it is."""
        sound = self._sound(told)
        lead_s = sound.lead.duration_s
        spans = tuple(
            Span(
                max(0.0, round(span.start_s + lead_s - SPAN_MARGIN_S, 3)),
                round(span.end_s + lead_s + SPAN_MARGIN_S, 3),
                span.channel if one_party and not sound.form.mono else None,
            )
            for span in told.card_spans
        )
        return replace(self._recorded(told, sound), spans=spans)

    def transfer(self, told: Conversation, *, own_name: bool) -> list[PlannedCall]:
        """Two legs that share one recording; the second may call it by a name of its own."""
        sound = self._sound(told)
        whole = self._recorded(told, sound)
        handed_over_s = round(sound.lead.duration_s + (told.handed_over_s or 0.0), 3)
        first = replace(whole, duration_s=handed_over_s, linked_id=f"transfer-{whole.key}")
        second = replace(
            first,
            key=f"{first.key}-second",
            started_at=UnixMillis(first.started_at + round(handed_over_s * 1000)),
            duration_s=round(sound.duration_s - handed_over_s, 3),
            extension=self._other(first.site, first.extension).extension,
            voicefilename=self._name(first) if own_name else first.voicefilename,
            recording_name=first.voicefilename,
            rang_s=0.0,
        )
        return [first, second]

    def _recorded(self, told: Conversation, sound: PlannedSound) -> PlannedCall:
        call = self._call(told.direction)
        return replace(
            call,
            duration_s=sound.duration_s,
            voicefilename=self._name(call),
            sound=sound,
            rang_s=sound.lead.ring_s,
        )

    def _call(self, direction: Direction) -> PlannedCall:
        self._count += 1
        site = SITES[0] if self._draw.random() < 0.55 else SITES[1]
        person = self._draw.choice(site.people)
        customer = customer_number(self._draw)
        channel: str | None = f"Trunk {self._draw.randint(1, 4)}"
        if direction is Direction.INBOUND:
            numbers = (customer, site.main_number)
        elif direction is Direction.OUTBOUND:
            numbers = (person.extension, customer)
        else:
            numbers = (self._other(site, person.extension).extension, person.extension)
            channel = None
        return PlannedCall(
            key=f"demo-{self._count}",
            site=site,
            started_at=self._office_time(),
            duration_s=0.0,
            direction=direction,
            from_number=numbers[0],
            to_number=numbers[1],
            extension=person.extension,
            channel=channel,
            disposition=Disposition.ANSWERED,
            caller_name=caller_name(customer) if direction is Direction.INBOUND else "",
        )

    def _other(self, site: DemoSite, extension: str | None) -> Person:
        return self._draw.choice([one for one in site.people if one.extension != extension])

    def _name(self, call: PlannedCall) -> str:
        return voicefilename(self._draw, call.site, call.direction, call.started_at, call.to_number)

    def _sound(self, told: Conversation) -> PlannedSound:
        # One ring is 3 s; few callers are put on hold.
        hold_s = round(self._draw.uniform(4, 18), 2) if self._draw.random() < 0.15 else 0.0
        lead = Lead(ring_s=round(self._draw.uniform(0.2, 5.8), 2), hold_s=hold_s)
        form = Form.drawn(self._draw.random())
        return PlannedSound(told, lead, form, f"{self._count:04d}{form.extension}")

    def _office_time(self) -> UnixMillis:
        while True:
            day = self._latest - timedelta(days=self._draw.uniform(0, DAYS - 1))
            if day.weekday() >= 5 and self._draw.random() > _WEEKEND_CHANCE:
                continue
            hour = self._draw.choices(list(_HOUR_WEIGHTS), list(_HOUR_WEIGHTS.values()))[0]
            at = day.replace(
                hour=hour,
                minute=self._draw.randrange(60),
                second=self._draw.randrange(60),
                microsecond=self._draw.randrange(1000) * 1000,
            )
            if at < self._latest:
                return UnixMillis(round(at.timestamp() * 1000))
