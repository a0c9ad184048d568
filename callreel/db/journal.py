"""The audit log's fast way in: rows that come at the same time share one transaction.

A commit waits for the disk, some milliseconds, however little is in it. While one is under way
those who come wait together, and are written by the next.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

from callreel.db import audit
from callreel.db.database import Database
from callreel.db.later import Later
from callreel.errors import BadRequest, Conflict

_MOST_TOGETHER = 500
_GATHER_S = 0.003
T = TypeVar("T")


@dataclass(eq=False, slots=True)
class _Waiting:
    """A row that is not written yet, and what is told when it is."""

    entry: audit.AuditEntry
    future: Future[object]
    value: object


class Journal:
    """Adds rows to the audit log; safe from many threads.

    Args:
        db: Where the log is.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._lock = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._is_writing = False
        self._writer = Later(db, "journal", 1)

    def add(self, entry: audit.AuditEntry) -> None:
        """Add a row; returns when it is durable.

        Raises:
            Unavailable: It could not be stored.
            BadRequest: A value is one that the database cannot hold.
        """
        self.later(entry, None).result()

    def told(self, entry: audit.AuditEntry, failed: Callable[[Exception], None]) -> Future[None]:
        """Add a row of what has happened already; nobody can be refused for it any more.

        Args:
            entry: The row.
            failed: Told why it could not be stored.

        Returns:
            Done when the row is durable, or ``failed`` was told; raises nothing.
        """
        over: Future[None] = Future()

        def tell(adding: Future[None]) -> None:
            error = adding.exception()
            if isinstance(error, Exception):
                failed(error)
            over.set_result(None)

        self.later(entry, None).add_done_callback(tell)
        return over

    def later(self, entry: audit.AuditEntry, value: T | Exception) -> Future[T]:
        """Add a row; when it is durable the future has ``value``, or raises it if it is an error.

        Where the row could not be added, the future raises as ``add``.
        """
        future: Future[T] = Future()
        # Whoever does not wait any more cannot take back what is on its way to the disk.
        future.set_running_or_notify_cancel()
        waiting = _Waiting(entry, future, value)  # type: ignore[arg-type]  # of one T each
        with self._lock:
            self._waiting.append(waiting)
            begin, self._is_writing = not self._is_writing, True
        if begin:
            self._writer.submit(self._write_on)
        return future

    def _write_on(self) -> None:
        """Write until nobody waits any more."""
        while True:
            # Where several come at once, more are on their way: fewer commits for the same rows.
            time.sleep(_GATHER_S)
            with self._lock:
                together = self._waiting[:_MOST_TOGETHER]
                del self._waiting[:_MOST_TOGETHER]
                if not together:
                    self._is_writing = False
                    return
            self._write(together)

    def _write(self, together: list[_Waiting]) -> None:
        try:
            with self._db.write() as conn:
                audit.append_all(conn, [each.entry for each in together])
        except (BadRequest, Conflict) as error:
            if len(together) == 1:
                together[0].future.set_exception(error)
                return
            # One row that no database holds must not take the others with it.
            for each in together:
                self._write([each])
        except Exception as error:  # noqa: BLE001  # whoever waits is told, whatever it is
            for each in together:
                each.future.set_exception(error)
        else:
            for each in together:
                if isinstance(each.value, Exception):
                    each.future.set_exception(each.value)
                else:
                    each.future.set_result(each.value)
