"""A switch's events as they come: calls in progress are shown, and masks are set at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from callreel.access.policy import COMMAND
from callreel.db.ongoing import LegNews
from callreel.errors import BadRequest, Unavailable
from callreel.flows.entry import Result
from callreel.flows.ongoing import Ongoing
from callreel.flows.switch import SwitchEvent, SwitchSignals
from callreel.importers.events import switch_event
from callreel.importers.heard import EventOptions, Heard
from callreel.importers.items import Problem
from callreel.importers.legs import LIVE_KINDS
from callreel.importers.tail import Tail

RETRY_S = 1.0
"""Between two tries where the database is away; the switch's events wait in the pipe."""


@dataclass(slots=True)
class LiveTally:
    """What was done."""

    legs: int = 0
    """News of legs."""
    signals: int = 0
    """Mute on and off."""
    others: int = 0
    """Events of other kinds."""
    old: int = 0
    """News of legs that are over by their age; a file that is read from its beginning has many."""
    problems: int = 0

    def line(self) -> str:
        """For people."""
        return (
            f"news of legs {self.legs}, signals {self.signals}, "
            f"events of other kinds {self.others}, not readable {self.problems}, "
            f"too old {self.old}"
        )


class LiveFeed:
    """Takes what a switch tells while it tells it.

    Args:
        ongoing: Where news of legs go.
        taker: Where mute on and off go.
        stop: Set by somebody else, also from a signal handler, to end it.
    """

    def __init__(self, ongoing: Ongoing, taker: SwitchSignals, stop: threading.Event) -> None:
        self._ongoing = ongoing
        self._taker = taker
        self._stop = stop
        self._gave_up = False
        """It was stopped while the database was away."""

    def run(
        self, kind: str, source: Tail, options: EventOptions, tally: LiveTally, *, actor: str
    ) -> Iterator[Problem]:
        """Read until the end or a stop, each event on the disk before the next is read.

        Args:
            kind: One of ``LIVE_KINDS``.
            source: A file, a pipe or standard input.
            options: What it does not say.
            tally: Counts.
            actor: Who imports, for the audit log.

        Yields:
            What cannot be taken, and once each time that the database is away.

        Raises:
            BadInput: It cannot be read.
        """
        for item in LIVE_KINDS[kind](source, options):
            if isinstance(item, LegNews) and self._ongoing.is_over(item):
                tally.old += 1
            elif isinstance(item, LegNews):
                tally.legs += 1
                act = partial(self._ongoing.tell, COMMAND, item)
                yield from self._patiently(item.unique_id, act)
            elif isinstance(item, Heard) and item.mute is not None:
                tally.signals += 1
                event = switch_event(item, item.mute, options)
                yield from self._patiently(item.origin, partial(self._take, event, actor))
            elif isinstance(item, Problem):
                tally.problems += 1
                yield item
            else:
                tally.others += 1
            if self._gave_up:
                return

    def _take(self, event: SwitchEvent, actor: str) -> None:
        for taken in self._taker.take([event], actor=actor):
            if taken.reason is not None:
                raise BadRequest(taken.reason)

    def _patiently(self, origin: str, act: Callable[[], object]) -> Iterator[Problem]:
        """Do it; where the database is away, say so once and wait for it."""
        waited = False
        while True:
            try:
                act()
            except BadRequest as error:
                yield Problem(origin, error.message)
            except Unavailable as error:
                if not waited:
                    yield Problem(origin, error.message, Result.WAITING)
                waited = True
                if not self._stop.wait(RETRY_S):
                    continue
                self._gave_up = True
            return
