"""A few calls that go on while the demo is served, so that Call View shows what they look like."""

from __future__ import annotations

from callreel.access.policy import COMMAND
from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.db.ongoing import LegNews, LegState
from callreel.demo.town import BRISTOL, MANCHESTER
from callreel.flows.ongoing import Ongoing
from callreel.model import Clock, Direction, UnixMillis

_NAMES = "demo-"
"""How the ids of these calls begin."""
_GOING = (
    (MANCHESTER, 3, 95, LegState.TALKING, Direction.INBOUND, "01632960417", "Northern Pipes"),
    (MANCHESTER, 5, 12, LegState.RINGING, Direction.INBOUND, "01614960233", ""),
    (BRISTOL, 1, 240, LegState.HELD, Direction.OUTBOUND, "01632960588", ""),
)
"""Site, person, seconds since it began, what goes on, and who is outside."""


def tell_of_calls(db: Database, clock: Clock) -> None:
    """Have the demo's calls in progress begin now; those of the time before are over.

    Raises:
        Unavailable: The database is away.
    """
    ongoing = Ongoing(db, clock)
    now = clock()
    for call in ongoing.seen(COMMAND, CallFilter()):
        if call.id.startswith(_NAMES):
            ongoing.tell(COMMAND, LegNews(call.datasource, call.id, LegState.ENDED, now))
    for site, place, began_s, state, direction, number, name in _GOING:
        person = site.people[place]
        outward = direction is Direction.OUTBOUND
        first = LegNews(
            datasource=site.datasource,
            unique_id=f"{_NAMES}{now}-{person.extension}",
            state=LegState.RINGING if state is LegState.RINGING else LegState.TALKING,
            at=UnixMillis(now - began_s * 1000),
            from_number=person.extension if outward else number,
            to_number=number if outward else site.main_number,
            caller_name=name,
            direction=direction,
            extension=person.extension,
        )
        ongoing.tell(COMMAND, first)
        if state is LegState.HELD:
            held = LegNews(first.datasource, first.unique_id, state, now)
            ongoing.tell(COMMAND, held)
