"""Does the jobs that people asked for, one at a time for each worker.

A worker that dies leaves its lease to run out; the job then begins again in a folder of its own, so
that what is fetched is whole. One that is told to stop gives its job back at once.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from callreel.db import jobs
from callreel.db.database import Database
from callreel.db.jobs import Job, JobState
from callreel.errors import BadRequest, CallreelError, Forbidden, Unavailable
from callreel.flows.folders import claimed_folders
from callreel.flows.jobs import folder_of
from callreel.flows.making import (
    Kind,
    Made,
    Order,
    covers,
    principal_now,
    require_scope,
    sync,
    why_not_written,
)
from callreel.model import Clock, Principal, Scope
from callreel.wording import counted, to_translate, worded

HEED_EVERY_S = 0.5
"""How often a worker looks whether its job is still wanted, and tells how far it is."""
ERASE_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Worked:
    """What became of a job."""

    job_id: str
    kind: str
    state: JobState
    told: str
    why: str = ""
    """What the log should know and its owner not."""


class _NotWantedError(Exception):
    """The job was cancelled, or another worker has it."""


class _StoppingError(Exception):
    """This worker shall stop."""


class JobWorker:
    """Does jobs; safe from many threads, each of which is a worker.

    Args:
        db: Where jobs are kept.
        kinds: What can be made, by name.
        folder: Where files are written; made so that only its owner can read it.
        clock: What time it is.
    """

    def __init__(self, db: Database, kinds: Mapping[str, Kind], folder: Path, clock: Clock) -> None:
        self._db = db
        self._kinds = kinds
        self._folder = folder
        self._clock = clock
        self._stopping = threading.Event()
        self._erased_at = float("-inf")

    def stop(self) -> None:
        """Have every worker give its job back, within a second."""
        self._stopping.set()

    def once(self) -> list[Worked]:
        """One background round: the jobs that wait, until none does.

        Raises:
            Unavailable: The database is away; the next round goes on.
        """
        self._erase_old()
        worked = []
        while not self._stopping.is_set() and (job := self._claim()) is not None:
            worked += self._work(job)
        return worked

    def _claim(self) -> Job | None:
        with self._db.read() as conn:
            if not jobs.is_any_open(conn):
                return None
        with self._db.write() as conn:
            return jobs.claim(conn, self._clock())

    def _work(self, job: Job) -> list[Worked]:
        folder = folder_of(self._folder, job)
        kept = False
        try:
            if job.tries > jobs.MAX_TRIES:
                raise CallreelError(
                    to_translate(
                        "The server ended each time while it worked on this. Ask for less "
                        "at once, or have the log looked at."
                    )
                )
            doing = _Doing(self._db, job, self._clock, self._stopping)
            made = self._make(job, folder, doing)
            kept = doing.finish(made)
            return [_worked(job, JobState.DONE, _rows(made.rows))] if kept else []
        except _NotWantedError:
            return [_worked(job, JobState.CANCELLED, to_translate("not wanted any more"))]
        except (_StoppingError, Unavailable) as error:
            self._erase(folder)
            with self._db.write() as conn:
                jobs.give_back(conn, job)
            if isinstance(error, Unavailable):
                raise
            return []
        except CallreelError as error:
            return self._failed(job, folder, error.message)
        except OSError as error:
            return self._failed(job, folder, why_not_written(error), repr(error))
        except Exception as error:  # noqa: BLE001  # a fault in one kind must not end the worker
            told = to_translate(
                "It failed for a reason that the server's log tells; nothing was written."
            )
            return self._failed(job, folder, told, repr(error))
        finally:
            if not kept:
                self._erase(folder)

    def _make(self, job: Job, folder: Path, doing: _Doing) -> Made:
        kind = self._kinds.get(job.kind)
        if kind is None:
            raise BadRequest(
                worded("This server cannot make %(kind)s any more.", kind=repr(job.kind))
            )
        doing.begin(kind)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        # What is relative counts from when it was asked for, not from when a worker was free.
        order = Order(job.parameters, folder, job.created_at, doing.principal, doing.heed)
        made = kind.make(order)
        made.path.chmod(0o600)
        sync(made.path)
        return made

    def _failed(self, job: Job, folder: Path, told: str, why: str = "") -> list[Worked]:
        # First, since the database may be on the same full disk.
        self._erase(folder)
        with self._db.write() as conn:
            jobs.fail(conn, job, told, self._clock())
        return [_worked(job, JobState.FAILED, told, why)]

    @staticmethod
    def _erase(folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)

    def _erase_old(self) -> None:
        """Erase jobs that are too old, and folders that no job has."""
        if time.monotonic() - self._erased_at < ERASE_EVERY_S:
            return
        self._erased_at = time.monotonic()
        with self._db.write() as conn:
            jobs.forget_expired(conn, self._clock())
        # Folders first: one that is made meanwhile belongs to a claim that is not read yet.
        there = claimed_folders(self._folder, "j")
        with self._db.read() as conn:
            needed = jobs.claims_with_files(conn)
        for each, claim in there:
            if claim not in needed:
                self._erase(each)


class _Doing:
    """One job while a worker has it."""

    def __init__(self, db: Database, job: Job, clock: Clock, stopping: threading.Event) -> None:
        self._db = db
        self._job = job
        self._clock = clock
        self._stopping = stopping
        self._reach = Scope()
        self._kind: Kind | None = None
        self._next_look = 0.0
        self._done = 0
        self._total: int | None = None

    def begin(self, kind: Kind) -> None:
        """Remember what its owner reaches now: that is what the file will hold."""
        owner = principal_now(self._db, self._job.web_user_id)
        self._reach = require_scope(owner, kind.action)
        self._kind = kind
        self._look()

    def principal(self) -> Principal:
        """The owner, as the database knows them now."""
        owner = principal_now(self._db, self._job.web_user_id)
        if self._kind is None or not covers(require_scope(owner, self._kind.action), self._reach):
            raise Forbidden(
                to_translate("What you may see changed while this was written; ask for it again.")
            )
        return owner

    def heed(self, done: int, total: int | None) -> None:
        """See ``Order.heed``."""
        self._done, self._total = done, total
        if self._stopping.is_set():
            raise _StoppingError
        if time.monotonic() >= self._next_look:
            self._look()

    def _look(self) -> None:
        total = None if self._total is None else max(self._total, self._done)
        with self._db.write() as conn:
            if not jobs.renew(conn, self._job, self._done, total, self._reach, self._clock()):
                raise _NotWantedError
        self._next_look = time.monotonic() + HEED_EVERY_S

    def finish(self, made: Made) -> bool:
        """Give the file to its owner; False where nobody wants it any more."""
        file = made.path.name, made.path.stat().st_size
        with self._db.write() as conn:
            return jobs.finish(conn, self._job, made.rows, _rows(made.rows), file, self._clock())


def _rows(count: int) -> str:
    return counted(count, "%(num)s row.", "%(num)s rows.")


def _worked(job: Job, state: JobState, told: str, why: str = "") -> Worked:
    return Worked(job.id, job.kind, state, told, why)
