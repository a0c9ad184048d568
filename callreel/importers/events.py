"""Files of a switch's events, as mute on and mute off."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from callreel.flows.entry import Result
from callreel.flows.switch import Cause, SwitchEvent, SwitchSignals
from callreel.importers.ami_events import read_ami
from callreel.importers.cel_events import read_cel
from callreel.importers.freeswitch_events import read_freeswitch_events
from callreel.importers.heard import EventOptions, Heard, HeardItems
from callreel.importers.items import Problem
from callreel.importers.key_presses import KeyLog, Typed
from callreel.importers.run import Outcome, drained

KINDS: dict[str, Callable[[Path, EventOptions], HeardItems]] = {
    "asterisk-ami": read_ami,
    "asterisk-cel": read_cel,
    "freeswitch": read_freeswitch_events,
}
"""What reads a file, by the kind of its events."""


@dataclass(slots=True)
class Tally:
    """What is told besides what became of each signal."""

    others: int = 0
    """Events of other kinds, and keys outside of sequences: together, as the number of keys that
    were typed is nobody's business."""
    held: int = 0
    """New signals whose call is not here yet."""

    def line(self) -> str:
        """For people."""
        return f"held until their call comes {self.held}, events of other kinds {self.others}"


def read_events(
    kind: str, paths: Sequence[Path], options: EventOptions, tally: Tally
) -> Iterator[SwitchEvent | Problem]:
    """Signals of files of events.

    Sequences of keys are found when all files are read, so that those which are cut in two by the
    rotation of a log are found, whatever the order of the files.

    Args:
        kind: One of ``KINDS``.
        paths: The files.
        options: What they do not say.
        tally: Counts what yields nothing.

    Raises:
        BadInput: A file cannot be read at all.

    Cost: memory for every key.
    """
    log = None if options.keys is None else KeyLog(options.keys)
    for path in paths:
        if log is not None:
            log.begin_file()
        for item in KINDS[kind](path, options):
            if isinstance(item, Problem):
                yield item
            elif item is not None and item.mute is not None:
                yield switch_event(item, item.mute, options)
            else:
                tally.others += 1
                if log is not None and item is not None:
                    log.add(item)
    for typed in log.sequences(options.clock()) if log is not None else ():
        yield _of_keys(typed, options)


def switch_event(heard: Heard, mute: bool, options: EventOptions) -> SwitchEvent:
    """Mute on or off as the flow takes it."""
    return SwitchEvent(
        origin=heard.origin,
        datasource=options.datasource,
        at=heard.at,
        mute=mute,
        unique_id=heard.leg.unique_id,
        linked_id=heard.leg.linked_id,
        extension=heard.leg.extension,
        channel=heard.leg.channel,
    )


def _of_keys(typed: Typed, options: EventOptions) -> SwitchEvent | Problem:
    if typed.is_open:
        reason = "the stop sequence may still go on; it waits until no key can follow"
        return Problem(typed.heard.origin, reason, Result.WAITING)
    return replace(switch_event(typed.heard, typed.mute, options), at=typed.at, cause=Cause.KEYS)


def run_events(
    items: Iterator[SwitchEvent | Problem], taker: SwitchSignals, tally: Tally, *, actor: str
) -> Iterator[Outcome]:
    """Bring in the signals that an importer finds.

    Args:
        items: What it finds.
        taker: Where they go.
        tally: Counts those that are held.
        actor: Who imports, for the audit log.

    Yields:
        One outcome per signal, after it was made durable, and one per problem.

    Raises:
        BadInput: A file cannot be read at all.
        Unavailable: The database is away; the next run brings in the rest.
    """
    problems: list[Problem] = []
    for taken in taker.take(_events(items, problems), actor=actor):
        yield from drained(problems)
        if taken.result is Result.NEW and not taken.matches:
            tally.held += 1
        first = taken.matches[0] if taken.matches else None
        yield Outcome(
            taken.event.origin,
            taken.result,
            taken.reason,
            call_id=first.call_id if first else None,
            recording_id=first.recording_id if first else None,
        )
    yield from drained(problems)


def _events(
    items: Iterator[SwitchEvent | Problem], problems: list[Problem]
) -> Iterator[SwitchEvent]:
    for item in items:
        if isinstance(item, Problem):
            problems.append(item)
        else:
            yield item
