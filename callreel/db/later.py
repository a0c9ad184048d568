"""Threads that write what nobody waits for; a database that is closed waits for them."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec

from callreel.db.database import Database

P = ParamSpec("P")


class Later:
    """Writes to a database, apart from whoever has something to write.

    Args:
        db: Where it is written.
        name: Of the threads.
        count: How many there are at the most.
    """

    def __init__(self, db: Database, name: str, count: int) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)
        db.before_close(self._threads.shutdown)

    def submit(self, write: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> Future[None]:
        """Begin to write; the future raises what ``write`` raises."""
        try:
            return self._threads.submit(write, *args, **kwargs)
        except RuntimeError:
            # The database is being closed. What comes so late is not lost: it is written here.
            written: Future[None] = Future()
            try:
                write(*args, **kwargs)
            except Exception as error:  # noqa: BLE001  # whoever asks is told, whatever it is
                written.set_exception(error)
            else:
                written.set_result(None)
            return written
