"""A folder that keeps growing: looked through again and again, each file taken once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from callreel.errors import BadInput, Unavailable
from callreel.flows.entry import CallEntry, Result
from callreel.flows.intake import Intake
from callreel.importers.folder import FolderOptions, read_folder
from callreel.importers.items import Item, Problem
from callreel.importers.run import Outcome, run_import
from callreel.importers.stability import Patience, Seen, look
from callreel.store.base import ObjectMissing, ObjectUnreadable

LONGEST_PAUSE_S = 60.0
"""How long a watch waits at most before it tries a database or store again that was away."""


PATIENCE = Patience(stable_for_s=5.0, open_for_s=60.0, quiet_for_s=60.0, trust_header=False)
"""A recorder may be at work here, so even a header that agrees is not believed at once."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How a folder is watched."""

    interval_s: float = 5.0
    """From the end of one look to the next."""
    patience: Patience = PATIENCE
    once: bool = False
    """Stop after one look."""


class FolderWatch:
    """Watches one folder.

    Args:
        root: The folder.
        folder: What its side-cars need not say.
        options: How it is watched.
        intake: Where calls go.
        actor: Who imports, for the audit log.
        stop: Set by somebody else, also from a signal handler, to end the watch.
    """

    def __init__(
        self,
        root: Path,
        folder: FolderOptions,
        options: WatchOptions,
        intake: Intake,
        *,
        actor: str,
        stop: threading.Event,
    ) -> None:
        self._root = root
        self._folder = folder
        self._options = options
        self._intake = intake
        self._actor = actor
        self._stop = stop
        self._taken: dict[CallEntry, Seen] = {}
        self._told: set[Problem] = set()

    def run(self) -> Iterator[Outcome]:
        """Watch until told to stop.

        Yields:
            What came in, and every reason once as long as it lasts.

        Raises:
            BadInput: The folder cannot be read at the first look.
            Unavailable: Only with ``once``; otherwise the watch says so and tries again.
        """
        pause_s = self._options.interval_s
        looked = False
        while not self._stop.is_set():
            try:
                yield from self._look()
            except (Unavailable, BadInput) as error:
                # A folder that was there may be unmounted for a while; one that never was is wrong.
                if self._options.once or (isinstance(error, BadInput) and not looked):
                    raise
                yield Outcome(str(self._root), Result.WAITING, error.message)
                pause_s = min(LONGEST_PAUSE_S, max(pause_s, 0.1) * 2)
            else:
                pause_s, looked = self._options.interval_s, True
            if self._options.once:
                return
            self._stop.wait(pause_s)

    def _look(self) -> Iterator[Outcome]:
        told: set[Problem] = set()
        offered: dict[str, tuple[CallEntry, Seen]] = {}
        for outcome in run_import(
            self._unseen(offered),
            self._intake,
            patience=self._options.patience,
            actor=self._actor,
            wait=self._stop.wait,
        ):
            if outcome.result is not Result.WAITING and outcome.origin in offered:
                entry, seen = offered[outcome.origin]
                self._taken[entry] = seen
            if outcome.call_id is None:
                problem = Problem(outcome.origin, outcome.reason or "", outcome.result)
                told.add(problem)
                if problem in self._told:
                    continue
            yield outcome
        self._told = told

    def _unseen(self, offered: dict[str, tuple[CallEntry, Seen]]) -> Iterator[Item]:
        """Leave out what was taken and has not changed since."""
        there: dict[CallEntry, Seen] = {}
        for item in read_folder(self._root, self._folder):
            if self._stop.is_set():
                return
            seen = None if isinstance(item, Problem) else _look_or_none(item)
            if isinstance(item, Problem) or seen is None:
                yield item
            elif self._taken.get(item) == seen:
                there[item] = seen
            else:
                offered[item.origin] = (item, seen)
                yield item
        # What is gone from the folder is forgotten, or a watch of years would grow for ever.
        self._taken = {**there, **{e: s for e, s in self._taken.items() if e.origin in offered}}


def _look_or_none(entry: CallEntry) -> Seen | None:
    try:
        return None if entry.audio is None else look(entry.audio)
    except (ObjectMissing, ObjectUnreadable):
        return None
