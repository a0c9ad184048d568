"""Mute on, mute off as a switch tells of them in its own events: stored once, in any order.

Which keys were typed never comes here: an event says on or off, and nothing else.
Source: contract.md 4.4 and 4.5.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from callreel.access.keys import KeyRing
from callreel.db import audit, directory, signals
from callreel.db.database import Database
from callreel.db.signals import Leg, Match, NewSignal, Target
from callreel.flows.entry import Result
from callreel.model import Clock, UnixMillis

BATCH_EVENTS = 200
"""Events of one transaction; another writer waits for no more than one of these."""
MAX_AHEAD_MS = 86_400_000
"""A clock that is fast is not fast by more than a day."""
MAX_NAME = 200
"""Characters of a name that a switch gives; Asterisk's own tables hold 150."""


class Cause(StrEnum):
    """How the switch came to say it."""

    EVENT = "event"
    """It said so in an event of its own."""
    KEYS = "keys"
    """Somebody typed the sequence that was agreed on."""


@dataclass(frozen=True, slots=True)
class SwitchEvent:
    """One mute on or mute off of a switch."""

    origin: str
    """File and line, for reports; not stored."""
    datasource: str
    """The feed of its calls."""
    at: UnixMillis
    """By the clock of the switch, as are the times of its calls."""
    mute: bool
    """True for on."""
    cause: Cause = Cause.EVENT
    unique_id: str | None = None
    """Of the leg it happened on."""
    linked_id: str | None = None
    """Of another leg of the conversation, or of all of them."""
    extension: str | None = None
    """Used only where neither id is known."""
    channel: str | None = None
    """As ``extension``; as our calls name the line."""


@dataclass(frozen=True, slots=True)
class TakenEvent:
    """What became of one event, told when it is on the disk."""

    event: SwitchEvent
    result: Result
    reason: str | None = None
    matches: tuple[Match, ...] = ()
    """The calls it is about; empty while it is held for one."""


class SwitchSignals:
    """Takes the events of switches.

    Args:
        db: Where signals are kept.
        keys: Seal the masks that they change.
        clock: What time it is.
    """

    def __init__(self, db: Database, keys: KeyRing, clock: Clock) -> None:
        self._db = db
        self._keys = keys
        self._clock = clock

    def take(self, events: Iterable[SwitchEvent], *, actor: str) -> Iterator[TakenEvent]:
        """Take events one after the other, in batches.

        The same event again stores nothing; the order of the events changes nothing.

        Args:
            events: What an importer found; pulled as needed.
            actor: Who imports, for the audit log.

        Yields:
            What became of each event, after it was made durable.

        Raises:
            Unavailable: The database is away. What was yielded is safe; the rest comes in when the
                import runs again.

        Cost: memory for one batch.
        """
        batch: list[SwitchEvent] = []
        for event in events:
            reason = _refusal(event, self._clock())
            if reason is not None:
                yield TakenEvent(event, Result.SKIPPED, reason)
                continue
            batch.append(event)
            if len(batch) >= BATCH_EVENTS:
                yield from self._write(batch, actor)
                batch = []
        yield from self._write(batch, actor)

    def _write(self, batch: Sequence[SwitchEvent], actor: str) -> list[TakenEvent]:
        if not batch:
            return []
        now = self._clock()
        with self._db.write() as conn:
            return [self._write_one(conn, event, actor, now) for event in batch]

    def _write_one(
        self, conn: Connection, event: SwitchEvent, actor: str, now: UnixMillis
    ) -> TakenEvent:
        new = NewSignal(event.at, now, event.mute, "switch", source_key=_source_key(event))
        targets = _targets(conn, event)
        taken = signals.take_signal(conn, targets, new, self._keys.seal_mask)
        if not taken.signal_ids:
            return TakenEvent(event, Result.SAME)
        audit.append(
            conn,
            audit.AuditEntry(
                at=now,
                actor=actor,
                action="signal.on" if event.mute else "signal.off",
                object_id=_about(event),
                decision="allowed",
                detail={
                    "objtype": "call" if targets[0].leg else "switch",
                    "datasource": event.datasource,
                    "cause": event.cause.value,
                    "at": event.at,
                    "signals": list(taken.signal_ids),
                    "recordings": sorted(
                        {each.recording_id for each in taken.matches if each.recording_id}
                    ),
                },
                address=None,
            ),
        )
        return TakenEvent(event, Result.NEW, matches=taken.matches)


def _names(event: SwitchEvent) -> tuple[str | None, ...]:
    return (event.unique_id, event.linked_id, event.extension, event.channel)


def _about(event: SwitchEvent) -> str:
    return next(name for name in _names(event) if name)


def _refusal(event: SwitchEvent, now: UnixMillis) -> str | None:
    """Why an event cannot be taken; None where it can. Tells nothing of what it holds."""
    named = [name for name in _names(event) if name]
    if not named:
        return "it names no call, extension or channel"
    if any(len(name) > MAX_NAME or not name.isprintable() for name in (*named, event.datasource)):
        return "a name in it cannot be one"
    if event.at > now + MAX_AHEAD_MS:
        return "its time is more than a day ahead of this server's clock"
    return None


def _source_key(event: SwitchEvent) -> str:
    """Tells an event from every other: no switch says on twice of one leg at the same instant.

    The linked id is left out where the leg is named: one form of the same event holds it, another
    does not.
    """
    leg = event.unique_id or event.linked_id
    about = [leg] if leg else [event.extension, event.channel]
    return json.dumps([event.datasource, event.at, event.mute, *about])


def _targets(conn: Connection, event: SwitchEvent) -> list[Target]:
    """The leg, where the event names it; else the user and the channel that it names."""
    if event.unique_id or event.linked_id:
        leg = Leg(event.datasource, event.unique_id or None, event.linked_id or None)
        return [Target(leg=leg)]
    site = directory.ensure_datasource(conn, event.datasource)
    user = directory.ensure_user(conn, site.id, event.extension)
    channel = directory.ensure_channel(conn, site.id, event.channel)
    # One each: a signal about both would be about neither's other calls.
    found = [Target(directory_user_id=user)] if user else []
    return [*found, Target(channel_id=channel)] if channel else found
