"""The feed of changes: every new or changed call, recording and mask, in the order of commits.

Numbers are drawn under a lock that is held until the commit, so that a reader who has seen number n
has seen everything up to n. SQLite has one writer anyway. Source: contract.md 6.4.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, func, insert, or_, select

from callreel.db.bulk import insert_rows
from callreel.db.database import CHANGES_LOCK
from callreel.db.rows import in_scope
from callreel.db.schema import call_records, changes
from callreel.errors import BadRequest
from callreel.model import Scope, UnixMillis

_ORDERED = "callreel-ordered"
"""Where a connection remembers the transaction that holds the lock; asking is a round trip."""
ChangeKind = Literal["call", "recording", "mask"]


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the feed; what changed is fetched by its id."""

    kind: ChangeKind
    at: UnixMillis
    call_id: str | None
    recording_id: str | None


@dataclass(frozen=True, slots=True)
class ChangePage:
    """A stretch of the feed."""

    items: tuple[Change, ...]
    next: str
    """The cursor to go on from; at the end of the feed it gives what comes later."""


def record(
    conn: Connection,
    at: UnixMillis,
    kind: ChangeKind,
    *,
    call_id: str | None = None,
    recording_id: str | None = None,
) -> None:
    """Add an entry, within the transaction that makes the change."""
    hold_order(conn)
    conn.execute(
        insert(changes).values(at=at, kind=kind, call_id=call_id, recording_id=recording_id)
    )


def record_calls(conn: Connection, at: UnixMillis, calls: Sequence[tuple[str, str | None]]) -> None:
    """As ``record``, of calls with their recordings; in their order."""
    hold_order(conn)
    rows = [(at, "call", call_id, recording_id) for call_id, recording_id in calls]
    insert_rows(conn, changes, ("at", "kind", "call_id", "recording_id"), rows)


def masks_since(conn: Connection, place: int) -> tuple[set[str], int]:
    """Recordings whose mask or bytes changed behind a place in the feed, and the place now."""
    rows = conn.execute(
        select(changes.c.seq, changes.c.recording_id).where(
            changes.c.seq > place, changes.c.kind.in_(("mask", "recording"))
        )
    ).all()
    return {row.recording_id for row in rows}, max((row.seq for row in rows), default=place)


def newest(conn: Connection) -> int:
    """The place at the end of the feed."""
    return conn.execute(select(func.max(changes.c.seq))).scalar() or 0


def hold_order(conn: Connection) -> None:
    """Let no other transaction write calls, recordings or masks until this one ends.

    Whoever writes such a row calls this before touching any: with one lock, always taken first,
    nobody can wait in a circle. SQLite has one writer anyway.
    """
    if conn.dialect.name != "postgresql":
        return
    # A transaction begins with its first statement, which may be this one.
    transaction = conn.get_transaction()
    if transaction is None or conn.info.get(_ORDERED) is not transaction:
        conn.execute(select(func.pg_advisory_xact_lock(CHANGES_LOCK)))
        conn.info[_ORDERED] = conn.get_transaction()


def list_changes(conn: Connection, scope: Scope, since: str | None, limit: int) -> ChangePage:
    """Entries behind a cursor, about calls within the scope and their recordings.

    Args:
        conn: A read transaction; all of it must see one moment.
        scope: Whose feed it is.
        since: ``next`` of an earlier page; None for the beginning.
        limit: How many at the most.

    Raises:
        BadRequest: The cursor is not one of ours.
    """
    after = 0
    if since is not None:
        if not (since.isascii() and since.isdigit() and len(since) <= 18):
            raise BadRequest("since: this cursor is not one that this server gave out.")
        after = int(since)
    of_call = select(call_records.c.id).where(
        call_records.c.id == changes.c.call_id, in_scope(scope)
    )
    # A leg that is out of reach must not be told of because another shares its recording.
    of_recording = select(call_records.c.id).where(
        changes.c.call_id.is_(None),
        call_records.c.recording_id == changes.c.recording_id,
        in_scope(scope),
    )
    rows = conn.execute(
        select(changes)
        .where(changes.c.seq > after, or_(of_call.exists(), of_recording.exists()))
        .order_by(changes.c.seq)
        .limit(limit)
    ).all()
    items = tuple(
        Change(row.kind, UnixMillis(row.at), row.call_id, row.recording_id) for row in rows
    )
    if len(rows) == limit:
        return ChangePage(items, str(rows[-1].seq))
    # Behind the whole feed as this transaction sees it, so that whoever may see little of it does
    # not have all the rest looked through again each time.
    return ChangePage(items, str(max(after, newest(conn))))
