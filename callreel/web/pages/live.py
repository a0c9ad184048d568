"""Calls as they come in: one look at the database serves everybody who watches the same filter.

Every connection has a seat. A look is made for each filter and person's sight, not for each seat;
twenty windows on one wall cost one query.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from dataclasses import dataclass

import structlog

from callreel.db.call_filter import CallFilter
from callreel.db.listing import ViewedCall
from callreel.errors import CallreelError, Unavailable
from callreel.flows.browse import Browse
from callreel.flows.ongoing import Ongoing, OngoingCall
from callreel.flows.sessions import Sessions, SignedIn
from callreel.model import Principal
from callreel.web.threads import Threads
from callreel.wording import to_translate

log = structlog.get_logger("callreel.live")

LOOK_S = 1.0
"""Between two looks."""
MOST_WAITING = 20
"""Looks that a window may be behind before it is let go; it comes back and catches up."""


@dataclass(frozen=True, slots=True)
class Came:
    """Calls that came in, the place in the feed after them, and calls in progress."""

    items: tuple[ViewedCall, ...]
    place: str
    ongoing: tuple[OngoingCall, ...] | None = None
    """Calls in progress; None where they are what they were."""


class Seat:
    """One window that watches."""

    def __init__(self, live: Live, signed_in: SignedIn, wanted: CallFilter) -> None:
        self.signed_in = signed_in
        self.wanted = wanted
        self.shown: tuple[OngoingCall, ...] | None = None
        """Calls in progress as they were told last; None before the first time."""
        self._live = live
        self._came: asyncio.Queue[Came | CallreelError] = asyncio.Queue(MOST_WAITING)

    def tell(self, came: Came | CallreelError) -> None:
        """Called by ``Live``."""
        try:
            self._came.put_nowait(came)
        except asyncio.QueueFull:
            # What waits will not be taken; the window comes back with the place of the last row
            # that it has, and catches up.
            while not self._came.empty():
                self._came.get_nowait()
            self._came.put_nowait(Unavailable(to_translate("This window fell behind.")))
            self.leave()

    async def next(self, within_s: float) -> Came | None:
        """What came in next; None where nothing did for so long.

        Raises:
            Unauthenticated: The session is over.
            Unavailable: It fell behind too far.
        """
        try:
            async with asyncio.timeout(within_s):
                came = await self._came.get()
        except TimeoutError:
            return None
        if isinstance(came, CallreelError):
            raise came
        return came

    def leave(self) -> None:
        """Give the seat back."""
        self._live.left(self)


class Live:
    """Looks for calls that came in.

    Args:
        browse: Finds them.
        ongoing: Finds those in progress.
        sessions: Says whether somebody may still look.
    """

    def __init__(self, browse: Browse, ongoing: Ongoing, sessions: Sessions) -> None:
        self._browse = browse
        self._ongoing = ongoing
        self._sessions = sessions
        self._seats: set[Seat] = set()
        self._places: dict[tuple[Principal, CallFilter], str] = {}
        self._threads = Threads("live", 2)
        self._looking: asyncio.Task[None] | None = None

    def join(self, signed_in: SignedIn, wanted: CallFilter, since: str) -> Seat:
        """A seat for a window that has seen all up to ``since``."""
        seat = Seat(self, signed_in, wanted)
        key = (signed_in.principal, wanted)
        # Somebody who comes back late brings all others back with them: rows that a window has
        # already are told by their id, and drawn once.
        self._places[key] = since
        self._seats.add(seat)
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look())
        return seat

    def left(self, seat: Seat) -> None:
        """A window is gone."""
        self._seats.discard(seat)

    async def _look(self) -> None:
        while self._seats:
            groups: dict[tuple[Principal, CallFilter], list[Seat]] = defaultdict(list)
            for seat in self._seats:
                groups[seat.signed_in.principal, seat.wanted].append(seat)
            self._places = {key: place for key, place in self._places.items() if key in groups}
            for key, seats in groups.items():
                await self._look_for(key, seats)
            await asyncio.sleep(LOOK_S)

    async def _look_for(self, key: tuple[Principal, CallFilter], seats: list[Seat]) -> None:
        try:
            for seat in seats:
                await self._threads.run(self._sessions.require, seat.signed_in)
            items, place = await self._threads.run(self._browse.came, *key, self._places[key])
            ongoing = await self._threads.run(self._ongoing.seen, *key)
        except Unavailable:
            # The next look finds what this one missed.
            return
        except CallreelError as error:
            for seat in seats:
                seat.tell(error)
            return
        except Exception as error:  # noqa: BLE001  # one filter must not end the looks of all
            log.error("live", why=repr(error)[:200])  # noqa: TRY400  # the repr says it
            return
        self._places[key] = place
        for seat in seats:
            if seat.shown != ongoing:
                seat.shown = ongoing
                seat.tell(Came(items, place, ongoing))
            elif items:
                seat.tell(Came(items, place))
