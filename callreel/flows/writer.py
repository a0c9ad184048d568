"""The second half of the intake: rows of what is in a store already, all or none of a batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from callreel.db import audit, calls, changes, masks, ongoing, signals
from callreel.db.audit import AuditEntry
from callreel.db.calls import NewCall, NewRecording
from callreel.db.database import Database
from callreel.db.masks import Seal
from callreel.errors import BadRequest, Conflict
from callreel.flows.entry import (
    SOUND_KEY,
    CallEntry,
    Result,
    Taken,
    call_id,
    content_name,
    recording_id,
)
from callreel.model import Clock, SpanSource, UnixMillis

TURN_S = 0.25
"""How long one transaction lasts: while it does, no signal can be stored. A database that is far
away makes every statement slow, so that no number of calls would bound it."""
TOGETHER_CALLS = 500
"""Calls without sound that are written at once; a turn looks at the clock after each so many."""
ERASED = "its sound was erased from the store while it came in; the next run takes it"
GIVE_WAY_S = 0.05
"""A pause between two of them: SQLite asks again only now and then whether it is its turn."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """An entry whose sound is durable; nothing else is."""

    entry: CallEntry
    call: NewCall
    recording: NewRecording | None
    reason: str | None
    """What people should be told although the call comes in."""
    refused: bool
    """The call names sound, and that does not come in."""


class BatchWriter:
    """Writes the rows of one run.

    Args:
        db: Where calls are kept.
        seal: Seals the mask of a recording.
        is_there: Whether the sound of a recording is in its store.
        clock: What time it is.
        actor: Who imports, for the audit log.
    """

    def __init__(
        self,
        db: Database,
        seal: Seal,
        is_there: Callable[[NewRecording], bool],
        clock: Clock,
        actor: str,
    ) -> None:
        self._db = db
        self._seal = seal
        self._is_there = is_there
        self._clock = clock
        self._actor = actor

    def write(self, batch: Sequence[Prepared]) -> list[Taken]:
        """Write prepared entries in short transactions, one that is refused by itself.

        Raises:
            Unavailable: The database is away; the rest of the batch was not written.
        """
        taken: list[Taken] = []
        most = len(batch)
        while len(taken) < len(batch):
            if taken:
                # Whoever waits to write, above all a "mute on", comes in between.
                time.sleep(GIVE_WAY_S)
            rest = batch[len(taken) : len(taken) + most]
            try:
                taken += self._write_turn(rest)
            except (Conflict, BadRequest) as error:
                if len(rest) > 1:
                    # One of them is refused: the half before it is soon in.
                    most = len(rest) // 2
                    continue
                taken.append(Taken(rest[0].entry, Result.SKIPPED, reason=error.message))
            most = max(1, 2 * most)
        return taken

    def _write_turn(self, batch: Sequence[Prepared]) -> list[Taken]:
        """One transaction: as many of a batch as fit into a turn, one at least."""
        now = self._clock()
        end = time.monotonic() + TURN_S
        taken: list[Taken] = []
        with self._db.write() as conn:
            while len(taken) < len(batch):
                taken += self._write_some(conn, _together(batch[len(taken) :]), now)
                if time.monotonic() > end:
                    break
            for entry in _audit_entries(batch[: len(taken)], taken, self._actor, now):
                audit.append(conn, entry)
        return taken

    def _write_some(
        self, conn: Connection, some: Sequence[Prepared], now: UnixMillis
    ) -> list[Taken]:
        """One entry with sound, or several without."""
        stored: calls.Outcome = "same"
        recording = some[0].recording
        if recording is not None:
            # Retention erases under this lock what was found in the store a moment ago.
            changes.hold_order(conn)
            if not self._is_there(recording):
                return [Taken(some[0].entry, Result.WAITING, reason=ERASED)]
            seal = self._seal(recording.id, 1, ())
            stored = calls.put_recording(conn, recording, seal, now)
        told = calls.put_calls(conn, [each.call for each in some], now)
        ongoing.end_with_records(
            conn,
            ((each.call.datasource, each.call.unique_id, each.call.linked_id) for each in some),
        )
        return [
            self._written(conn, prepared, now, stored, written)
            for prepared, written in zip(some, told, strict=True)
        ]

    def _written(
        self,
        conn: Connection,
        prepared: Prepared,
        now: UnixMillis,
        stored: calls.Outcome,
        written: calls.Written,
    ) -> Taken:
        """What goes with the row of a call: its masks, and the signals that were held for it."""
        entry, call, recording = prepared.entry, prepared.call, prepared.recording
        if recording is not None and entry.keyed_by_sound:
            # The sound came before its side-car, as a call of which nothing else was known.
            nameless = call_id(entry.datasource, SOUND_KEY + recording.sha256)
            if nameless != call.id:
                calls.forget_call(conn, nameless)
        masked = recording is not None and self._mask(conn, entry, recording, now)
        if written.recording_id is not None and (
            recording is not None or written.outcome != "same"
        ):
            signals.bind_signals(conn, call.id, self._seal, now)
        result = Result(written.outcome)
        if result is Result.SAME and (masked or stored != "same"):
            result = Result.CHANGED
        return Taken(
            entry,
            result,
            call_id=call.id,
            recording_id=None if recording is None else recording.id,
            reason=prepared.reason,
            sound_refused=prepared.refused,
            repaired=recording.facts.repaired if recording and recording.facts else None,
        )

    def _mask(
        self, conn: Connection, entry: CallEntry, recording: NewRecording, now: UnixMillis
    ) -> bool:
        """Add the entry's spans; True where the mask changed.

        The same sound may have come in before without names: then it is masked there as well.
        """
        if not entry.spans:
            return False
        nameless = recording_id(
            recording.datasource, recording.voicelocation, content_name(recording.sha256)
        )
        changed = False
        for each in dict.fromkeys((recording.id, nameless)):
            if calls.mask_revision(conn, each) is not None:
                changed |= masks.add_spans(
                    conn,
                    each,
                    entry.spans,
                    SpanSource.IMPORT,
                    actor=self._actor,
                    reason=None,
                    seal=self._seal,
                    now=now,
                )
        return changed


def _together(batch: Sequence[Prepared]) -> Sequence[Prepared]:
    """The first of a batch with those after it that can be written by the same statements."""
    ids: set[str] = set()
    for number, prepared in enumerate(batch):
        if prepared.recording is not None or prepared.call.id in ids or number == TOGETHER_CALLS:
            return batch[: max(1, number)]
        ids.add(prepared.call.id)
    return batch


def _audit_entries(
    batch: Sequence[Prepared], taken: Sequence[Taken], actor: str, now: UnixMillis
) -> Iterator[AuditEntry]:
    """One row for each recording that came or changed, and one for all calls without sound."""
    silent = 0
    for prepared, each in zip(batch, taken, strict=True):
        if each.result in {Result.SAME, Result.WAITING}:
            continue
        if prepared.recording is None:
            silent += 1
            continue
        yield AuditEntry(
            at=now,
            actor=actor,
            action="recording.import",
            object_id=prepared.recording.id,
            decision="allowed",
            detail={
                "call": prepared.call.id,
                "result": each.result.value,
                "sha256": prepared.recording.sha256,
                "spans": len(prepared.entry.spans),
            },
            address=None,
        )
    if silent:
        yield AuditEntry(now, actor, "calls.import", "", "allowed", {"calls": silent}, None)
