"""Retention: what is older than its site keeps it is deleted, and nothing of its sound stays.

First the row says that it is deleted, durably; from then on it is not served. Then its object is
erased, unless another recording has the very same bytes, then its renders. A process killed at any
instant leaves a row that says what is left to do, and a later round does it (threats.md F2).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sqlalchemy import Connection

from callreel.db import audit, burns, calls, changes, retention
from callreel.db.database import Database
from callreel.db.retention import Deleted, Expired, Keeping
from callreel.errors import Unavailable
from callreel.flows.burn import RENDERS_GONE_MS
from callreel.model import Clock, RecordingId, UnixMillis
from callreel.store.base import ObjectUnreadable, Store

BATCH = 100
"""Recordings that are marked in one transaction: no signal can be stored while it lasts."""
ROUND = 1000
"""Recordings that one round deletes at the most."""


@dataclass(slots=True)
class Round:
    """What a round did."""

    deleted: int = 0
    """Marked as deleted; not served any more."""
    erased: int = 0
    """Nothing of them is left, or what is left is not ours to erase."""
    waiting: int = 0
    """Their object is gone; renders that another process may be making go in a minute."""
    away: dict[str, str] = field(default_factory=dict)
    """Stores that could not erase, and why; a later round tries again."""


class Retention:
    """Deletes what is too old.

    Args:
        db: Where recordings are kept.
        store_of: Finds a store by its id.
        clock: What time it is.
        forget_renders: Erases the renders of a recording that this process can reach.
    """

    def __init__(
        self,
        db: Database,
        store_of: Callable[[str], Store],
        clock: Clock,
        forget_renders: Callable[[RecordingId], None],
    ) -> None:
        self._db = db
        self._store_of = store_of
        self._clock = clock
        self._forget_renders = forget_renders

    def keeping(self) -> tuple[Keeping, ...]:
        """Every site with how long it keeps recordings, and what would be deleted now.

        Raises:
            Unavailable: The database is away.
        """
        with self._db.read() as conn:
            return tuple(retention.keeping(conn, self._clock()))

    def left(self) -> int:
        """How many deleted recordings are not erased yet.

        Raises:
            Unavailable: The database is away.
        """
        with self._db.read() as conn:
            return retention.to_be_erased(conn)

    def once(self, actor: str = "policy") -> Round:
        """One round: what was begun is finished, then what is too old is deleted.

        Args:
            actor: Who asks, for the audit log.

        Raises:
            Unavailable: The database is away; the next round goes on.
        """
        done = Round()
        self._finish(done, actor)
        while done.deleted < ROUND:
            marked = self._mark(actor)
            done.deleted += len(marked)
            for each in marked:
                self._erase(each, done, actor)
            if len(marked) < BATCH:
                break
        return done

    def _finish(self, done: Round, actor: str) -> None:
        place = (0, "")
        while True:
            with self._db.read() as conn:
                found = retention.unerased(conn, BATCH, done.away, place)
            for each in found:
                self._erase(each, done, actor)
            if len(found) < BATCH:
                return
            place = (found[-1].deleted_at, found[-1].id)

    def _mark(self, actor: str) -> list[Deleted]:
        now = self._clock()
        day = datetime.fromtimestamp(now / 1000, UTC).date()
        reason = f"Deleted by retention on {day.isoformat()}."
        with self._db.write() as conn:
            # Holds, burn-ins and new calls wait for this lock: none comes in between.
            changes.hold_order(conn)
            found = retention.expired(conn, now, BATCH)
            for each in found:
                calls.delete_recording(conn, each.id, now, reason)
                audit.append(conn, _told(each, actor, now))
        return [Deleted(each.id, each.store_id, each.object_key, now) for each in found]

    def _erase(self, deleted: Deleted, done: Round, actor: str) -> None:
        """Erase the object and the renders; done for good when no render can be being made."""
        if deleted.store_id in done.away:
            return
        try:
            detail = self._erase_object(deleted)
        except (ObjectUnreadable, Unavailable) as error:
            done.away[deleted.store_id] = str(error)
            return
        if detail is None:
            return
        self._forget_renders(deleted.id)
        now = self._clock()
        if now < deleted.deleted_at + RENDERS_GONE_MS:
            done.waiting += 1
            return
        with self._db.write() as conn:
            if retention.erased(conn, deleted.id, now):
                entry = audit.AuditEntry(
                    now, actor, "recording.erase", deleted.id, "allowed", detail, None
                )
                audit.append(conn, entry)
                done.erased += 1

    def _erase_object(self, deleted: Deleted) -> dict[str, object] | None:
        """Erase what is nobody else's; gives what the audit log should tell, None for nothing."""
        store = self._store_of(deleted.store_id)
        with self._db.write() as conn:
            # Whoever takes in the very same bytes looks under this lock whether they are there.
            changes.hold_order(conn)
            if not retention.may_erase(conn, deleted.id):
                return None
            others = retention.sharers(conn, deleted)
            if not others and not store.read_only:
                store.delete(deleted.object_key)
            self._clear_burn(conn, deleted)
        return {"shared_with": list(others), "kept_in_place": store.read_only}

    def _clear_burn(self, conn: Connection, deleted: Deleted) -> None:
        """Take away what a burn-in that died wrote and never showed."""
        burn = burns.find(conn, deleted.id)
        if burn is None or burn.state != "writing":
            return
        store_id = burn.old_store_id
        if burn.new_key is not None and not calls.is_stored(conn, store_id, burn.new_key):
            self._store_of(store_id).delete(burn.new_key)
        burns.finish(conn, deleted.id, self._clock())


def _told(expired: Expired, actor: str, now: UnixMillis) -> audit.AuditEntry:
    detail = {
        "cause": "retention",
        "started_at": expired.started_at,
        "size_bytes": expired.size_bytes,
        "sha256": expired.sha256,
        "store": expired.store_id,
    }
    return audit.AuditEntry(now, actor, "recording.delete", expired.id, "allowed", detail, None)
