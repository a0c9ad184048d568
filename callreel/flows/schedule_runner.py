"""Runs what is due: makes the file in its owner's name, then mails it or puts it into a folder.

What was missed while no server ran is made up once. Mail that was not taken for now is tried again
after one, five and twenty-five minutes, to those who have not got it. A server that dies between
handing over a letter and noting it sends that letter once more, under the same Message-ID.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from zoneinfo import ZoneInfo

from callreel.db import audit, schedules
from callreel.db.database import Database
from callreel.db.schedules import Outcome, Schedule
from callreel.errors import CallreelError, ConfigurationError, Forbidden, Unavailable
from callreel.flows.folders import claimed_folders, put_into
from callreel.flows.mail import Letter, Mailer, Sent, one_line
from callreel.flows.making import (
    Kind,
    Made,
    Order,
    covers,
    principal_now,
    require_scope,
    why_not_written,
)
from callreel.flows.schedules import when_of
from callreel.flows.timetable import in_words, latest_until, next_after
from callreel.model import Clock, Principal, Scope, UnixMillis
from callreel.periods import local
from callreel.wording import counted, joined, to_translate, worded

BACK_OFF_MS = (60_000, 300_000, 1_500_000)
"""How long until mail that was not taken is tried again."""
_KEEP_EVERY_S = 5.0


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a run."""

    schedule_id: str
    name: str
    state: str
    told: str
    why: str = ""
    """What the log should know and its owner not."""


class _GivenUpError(Exception):
    """The schedule was removed, or another runs it."""


class _StoppingError(Exception):
    """This server shall stop."""


class ScheduleRunner:
    """Runs schedules; safe from many threads and beside other servers.

    Args:
        db: Where they are kept.
        kinds: What can be made, by name.
        work: Where files are written meanwhile.
        allowed: Below which folder schedules may write; empty for nowhere.
        mailer: Sends mail; None where no mail server is set.
        clock: What time it is.
    """

    def __init__(
        self,
        db: Database,
        kinds: Mapping[str, Kind],
        work: Path,
        allowed: str,
        mailer: Mailer | None,
        clock: Clock,
    ) -> None:
        self._db = db
        self._kinds = kinds
        self._work = work
        self._allowed = allowed
        self._mailer = mailer
        self._clock = clock
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Leave what is being made to the next server."""
        self._stopping.set()

    def once(self, only: str | None = None) -> list[Ran]:
        """One background round: everything that is due, or one schedule where it is.

        Raises:
            Unavailable: The database is away; the next round goes on.
        """
        ran = []
        while not self._stopping.is_set() and (taken := self._claim(only)) is not None:
            ran += self._run(taken)
        return ran

    def _claim(self, only: str | None) -> Schedule | None:
        now = self._clock()
        with self._db.read() as conn:
            if schedules.next_due(conn, now, only, lock=False) is None:
                return None
        with self._db.write() as conn:
            due = schedules.next_due(conn, now, only, lock=True)
            if due is None or due.next_run_at is None:
                return None
            instant = due.due_at
            if instant is None:
                instant = latest_until(when_of(due), due.next_run_at, now)
            return schedules.claim(conn, due, instant, now)

    def _run(self, schedule: Schedule) -> list[Ran]:
        folder = self._work / f"{schedule.id}.{schedule.claimed_by}"
        why = ""
        try:
            self._erase_dead()
            outcome = self._outcome(schedule, folder)
        except _GivenUpError:
            return []
        except (_StoppingError, Unavailable) as error:
            with self._db.write() as conn:
                schedules.give_back(conn, schedule)
            if isinstance(error, Unavailable):
                raise
            return []
        except ConfigurationError as error:
            outcome, why = self._ended(schedule, "failed", error.message), error.message
        except CallreelError as error:
            outcome = self._ended(schedule, "failed", error.message)
        except OSError as error:
            outcome, why = self._ended(schedule, "failed", why_not_written(error)), repr(error)
        except Exception as error:  # noqa: BLE001  # a fault in one kind must not end the others
            told = to_translate(
                "It failed for a reason that the server's log tells; nothing was sent."
            )
            outcome, why = self._ended(schedule, "failed", told), repr(error)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self._note(schedule, outcome)
        return [Ran(schedule.id, schedule.name, outcome.state, outcome.told, why)]

    def _outcome(self, schedule: Schedule, folder: Path) -> Outcome:
        if schedule.tries > 1 + len(BACK_OFF_MS):
            ended = to_translate("The server ended each time while it worked on this.")
            return self._ended(schedule, "failed", ended)
        made = self._made(schedule, folder)
        if schedule.only_if_not_empty and not made.rows:
            nothing = to_translate("There was nothing to tell, so nothing was sent.")
            return self._ended(schedule, "empty", nothing)
        told: list[str] = [counted(made.rows, "%(num)s row.", "%(num)s rows.")]
        wanted = schedule.recipients if schedule.pending is None else schedule.pending
        is_put = True
        if schedule.folder is not None:
            name = _file_name(schedule, made)
            try:
                put_into(self._allowed, schedule.folder, name, made.path)
                told.append(
                    worded("Put into %(folder)s as %(name)s.", folder=schedule.folder, name=name)
                )
            except (ConfigurationError, OSError) as error:
                if not wanted:
                    raise
                # Those who get it by mail shall not do without it.
                is_put = False
                why = error.message if isinstance(error, ConfigurationError) else str(error)
                told.append(
                    worded("Not put into %(folder)s: %(why)s", folder=schedule.folder, why=why)
                )
        if not wanted:
            return self._ended(schedule, "sent", joined(told, " "))
        sent = self._mailed(schedule, made, wanted)
        outcome = self._after_mail(schedule, sent, told)
        return outcome if is_put or outcome.state != "sent" else replace(outcome, state="failed")

    def _after_mail(self, schedule: Schedule, sent: Sent, told: list[str]) -> Outcome:
        if sent.accepted:
            told.append(worded("Mailed to %(whom)s.", whom=", ".join(sent.accepted)))
        if sent.told:
            told.append(sent.told)
        if sent.later and schedule.tries <= len(BACK_OFF_MS):
            wait_ms = BACK_OFF_MS[schedule.tries - 1]
            minutes = wait_ms // 60_000
            told.append(
                counted(
                    minutes,
                    "It is tried again in %(num)s minute.",
                    "It is tried again in %(num)s minutes.",
                )
            )
            again_at = UnixMillis(self._clock() + wait_ms)
            return Outcome("trying", joined(told, " "), again_at, sent.later)
        if sent.later:
            told.append(
                worded("It was tried %(times)s times and is given up.", times=schedule.tries)
            )
        nothing = sent.later or sent.refused
        return self._ended(schedule, "failed" if nothing else "sent", joined(told, " "))

    def _ended(self, schedule: Schedule, state: str, told: str) -> Outcome:
        following = next_after(when_of(schedule), self._clock()) if schedule.enabled else None
        return Outcome(state, told, following)

    def _made(self, schedule: Schedule, folder: Path) -> Made:
        kind = self._kinds.get(schedule.kind)
        if kind is None or schedule.due_at is None:
            raise ConfigurationError(
                worded("This server cannot make %(kind)s any more.", kind=repr(schedule.kind))
            )
        keeping = _Keeping(self._db, schedule, kind, self._clock, self._stopping)
        self._work.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
        return kind.make(
            Order(schedule.parameters, folder, schedule.due_at, keeping.principal, keeping.heed)
        )

    def _mailed(self, schedule: Schedule, made: Made, wanted: tuple[str, ...]) -> Sent:
        if self._mailer is None:
            raise ConfigurationError(
                to_translate("mail.host: no mail server is set, so nothing was sent.")
            )
        # The last moment to find that somebody removed it.
        with self._db.write() as conn:
            if not schedules.renew(conn, schedule, self._clock()):
                raise _GivenUpError
        owner = principal_now(self._db, schedule.web_user_id).username
        text = (
            f"{one_line(made.title, 200)}\n\n"
            f"Rows: {made.rows:,}. The file is attached.\n\n"
            f"{one_line(owner, 128)} has this sent {in_words(when_of(schedule))}.\n"
        )
        letter = Letter(
            recipients=wanted,
            subject=f"{schedule.name}: {made.title}",
            text=text,
            attachment=made.path,
            message_id=f"{schedule.id}.{schedule.due_at}",
            at=self._clock(),
        )
        return self._mailer.send(letter)

    def _note(self, schedule: Schedule, outcome: Outcome) -> None:
        now = self._clock()
        detail = {"name": schedule.name, "state": outcome.state, "told": outcome.told}
        entry = audit.AuditEntry(
            now, "schedule", "schedule.sent", schedule.id, outcome.state, detail, None
        )
        with self._db.write() as conn:
            schedules.finish(conn, schedule, outcome, now)
            audit.append(conn, entry)

    def _erase_dead(self) -> None:
        there = claimed_folders(self._work, "s")
        with self._db.read() as conn:
            needed = schedules.claims(conn)
        for each, claim in there:
            if claim not in needed:
                shutil.rmtree(each, ignore_errors=True)


class _Keeping:
    """One run while it is made."""

    def __init__(
        self,
        db: Database,
        schedule: Schedule,
        kind: Kind,
        clock: Clock,
        stopping: threading.Event,
    ) -> None:
        self._db = db
        self._schedule = schedule
        self._kind = kind
        self._clock = clock
        self._stopping = stopping
        self._reach: Scope = require_scope(principal_now(db, schedule.web_user_id), kind.action)
        self._next_look = 0.0

    def principal(self) -> Principal:
        """The owner, as the database knows them now."""
        owner = principal_now(self._db, self._schedule.web_user_id)
        if not covers(require_scope(owner, self._kind.action), self._reach):
            raise Forbidden(to_translate("What its owner may see changed while it was made."))
        return owner

    def heed(self, _done: int, _total: int | None) -> None:
        """See ``Order.heed``."""
        if self._stopping.is_set():
            raise _StoppingError
        if time.monotonic() < self._next_look:
            return
        with self._db.write() as conn:
            if not schedules.renew(conn, self._schedule, self._clock()):
                raise _GivenUpError
        self._next_look = time.monotonic() + _KEEP_EVERY_S


def _file_name(schedule: Schedule, made: Made) -> str:
    """The same for a run however often it is tried, another for each run."""
    name = "".join(c if c.isalnum() else "-" for c in schedule.name).strip("-") or schedule.kind
    at = local(schedule.due_at or schedule.created_at, ZoneInfo(schedule.zone))
    # Two may have one name; and a file system counts bytes.
    short = name.encode()[:120].decode(errors="ignore")
    return f"{short}-{schedule.id[-6:]}-{at:%Y-%m-%d-%H%M}{made.path.suffix}"
