"""The audit log's fast way in: rows that come at the same time share one transaction.

A commit waits for the disk, some milliseconds, however little is in it. Whoever comes first writes
for all who came while the one before was at it; everybody returns when their own row is durable.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from callreel.db import audit
from callreel.db.database import Database
from callreel.errors import CallreelError, Unavailable
from callreel.wording import to_translate

_MOST_TOGETHER = 500


@dataclass(eq=False, slots=True)
class _Waiting:
    """A row that is not written yet."""

    entry: audit.AuditEntry
    turn: threading.Event = field(default_factory=threading.Event)
    """Set when it is written, when it cannot be, or when it is its writer's turn to lead."""
    leads: bool = False
    written: bool = False
    error: CallreelError | None = None


class Journal:
    """Adds rows to the audit log; safe from many threads.

    Args:
        db: Where the log is.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lock = threading.Lock()
        self.waiting: list[_Waiting] = []
        """Rows that are not written yet, or just now."""
        self._led = False

    def add(self, entry: audit.AuditEntry) -> None:
        """Add a row; returns when it is durable.

        Raises:
            Unavailable: It could not be stored.
            BadRequest: A value is one that the database cannot hold.
        """
        mine = _Waiting(entry)
        with self._lock:
            self.waiting.append(mine)
            mine.leads, self._led = not self._led, True
        if not mine.leads:
            mine.turn.wait()
        if mine.leads:
            self._lead()
        if not mine.written:
            raise mine.error or Unavailable(
                to_translate("This could not be written down."), retry_after_s=5
            )

    def _lead(self) -> None:
        with self._lock:
            together = self.waiting[:_MOST_TOGETHER]
        try:
            self._write(together)
        finally:
            with self._lock:
                del self.waiting[: len(together)]
                # The next in line is awake already or waits; somebody always leads.
                self._led = bool(self.waiting)
                if self.waiting:
                    self.waiting[0].leads = True
                    self.waiting[0].turn.set()
            for each in together:
                each.turn.set()

    def _write(self, together: list[_Waiting]) -> None:
        try:
            with self._db.write() as conn:
                audit.append_all(conn, [each.entry for each in together])
        except CallreelError as error:
            if len(together) > 1:
                # One row that no database holds must not take the others with it.
                for each in together:
                    self._write([each])
            else:
                together[0].error = error
        else:
            for each in together:
                each.written = True
