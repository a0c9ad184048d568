"""The audit log's fast way in, and look-ups by the driver, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from callreel.db import audit, calls
from callreel.db.database import Database, open_database
from callreel.db.finding import Finder
from callreel.db.journal import Journal
from callreel.errors import BadRequest, Unavailable
from callreel.model import Party, RecordingId, Scope, Span, UnixMillis
from tests.contracts.records import CallPlan, mask, write_call
from tests.web.stage import wait_until

ENTRY = audit.AuditEntry(UnixMillis(1), "ann", "sound.start", "r", "allowed", {"n": 1}, None)


class Counted(Database):
    """A database that counts its transactions, and can be away."""

    def __init__(self, database: Database) -> None:
        self._of = database
        self.dialect = database.dialect
        self.transactions = 0
        self.gate = threading.Event()
        self.gate.set()

    def before_close(self, finish: Callable[[], None]) -> None:
        """As ``Database.before_close``."""
        self._of.before_close(finish)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """As ``Database.write``."""
        self.transactions += 1
        self.gate.wait(20)
        with self._of.write() as conn:
            yield conn


def rows(database: Database) -> list[str]:
    """What the log holds, in its order."""
    with database.read() as conn:
        return [entry.object_id for entry in audit.entries(conn)]


def test_rows_that_come_together_share_a_transaction(database: Database) -> None:
    """One for the first, one for all who came while it was at it; each is there on its return."""
    counted = Counted(database)
    journal = Journal(counted)
    counted.gate.clear()
    names = [f"r{number:03}" for number in range(40)]
    told = [journal.later(replace(ENTRY, object_id=names[0]), names[0])]
    wait_until(lambda: counted.transactions == 1)
    told += [journal.later(replace(ENTRY, object_id=name), name) for name in names[1:]]
    assert not any(each.done() for each in told)
    counted.gate.set()
    assert [each.result(20) for each in told] == names
    assert rows(database) == names
    assert counted.transactions == 2
    journal.add(ENTRY)
    assert rows(database) == [*names, "r"]


def test_a_row_is_there_when_its_writer_is_told(database: Database) -> None:
    """From many threads at once, each looks for its own."""
    journal = Journal(database)

    def add(number: int) -> bool:
        """One row; whether it is there."""
        journal.add(replace(ENTRY, object_id=f"r{number}"))
        return f"r{number}" in rows(database)

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(add, range(100)))
    assert len(rows(database)) == 100


def test_a_database_that_is_closed_waits_for_rows_that_nobody_waits_for(
    database: Database, database_url: str
) -> None:
    """Those that wait together, and one that comes when all is closed: none is lost."""
    closing = open_database(database_url)
    counted = Counted(closing)
    journal = Journal(counted)
    counted.gate.clear()
    names = [f"r{number}" for number in range(5)]
    for name in names:
        journal.later(replace(ENTRY, object_id=name), None)
    wait_until(lambda: counted.transactions == 1)
    with ThreadPoolExecutor(1) as pool:
        closed = pool.submit(closing.close)
        assert not closed.done()
        counted.gate.set()
        closed.result(20)
    assert sorted(rows(database)) == names
    journal.add(replace(ENTRY, object_id="r9"))
    assert sorted(rows(database)) == [*names, "r9"]
    closing.close()


def test_a_database_that_is_closed_waits_for_connections_in_use(database_url: str) -> None:
    """Else one would come back to a pool that nobody closes any more."""
    closing = open_database(database_url)
    reading, read_on = threading.Event(), threading.Event()

    def read() -> bool:
        with closing.read() as conn:
            reading.set()
            read_on.wait(20)
            return conn.execute(text("SELECT 1")).scalar_one() == 1

    with ThreadPoolExecutor(2) as pool:
        answer = pool.submit(read)
        assert reading.wait(20)
        closed = pool.submit(closing.close)
        with pytest.raises(TimeoutError):
            closed.result(0.1)
        read_on.set()
        assert answer.result(20)
        closed.result(20)


def test_a_row_that_cannot_be_stored_takes_no_other_with_it(database: Database) -> None:
    """Whoever gave it is told; all others are written."""
    counted = Counted(database)
    journal = Journal(counted)
    counted.gate.clear()
    first = journal.later(ENTRY, 0)
    wait_until(lambda: counted.transactions == 1)
    bad = replace(ENTRY, actor="\ud800")
    found = [journal.later(entry, 0) for entry in (ENTRY, bad, ENTRY)]
    counted.gate.set()
    assert first.result(20) == 0
    told = [type(each.exception(20)) for each in found]
    assert told == [type(None), BadRequest, type(None)]
    assert len(rows(database)) == 3


def test_a_log_that_is_away_is_told_to_everybody_and_comes_back(tmp_path: Path) -> None:
    """Nobody waits for ever, and nobody is told that a row is there that is not."""
    database = open_database(f"sqlite:///{tmp_path / 'calls.db'}")
    journal = Journal(database)
    with ThreadPoolExecutor(8) as pool:
        told = [pool.submit(journal.add, ENTRY) for _ in range(8)]
        # No table is there yet.
        assert {type(each.exception()) for each in told} == {Unavailable}
    database.migrate()
    journal.add(ENTRY)
    assert rows(database) == ["r"]
    database.close()


def test_those_who_wait_for_a_log_that_is_away_are_told_together(tmp_path: Path) -> None:
    """Each by itself would wait for the lock again, one after the other."""
    database = open_database(f"sqlite:///{tmp_path / 'calls.db'}")
    counted = Counted(database)
    journal = Journal(counted)
    counted.gate.clear()
    told = [journal.later(ENTRY, 0)]
    wait_until(lambda: counted.transactions == 1)
    told += [journal.later(ENTRY, 0) for _ in range(50)]
    counted.gate.set()
    assert {type(each.exception(20)) for each in told} == {Unavailable}
    assert counted.transactions == 2
    database.close()


def test_a_look_up_sees_what_was_committed_last(database: Database) -> None:
    """At once, from every thread; nothing where there is nothing."""
    look = database.prepared(calls.MASK_REVISION)
    assert list(look(recording_id="nothing")) == []
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
        (recording,) = conn.execute(text("SELECT id FROM recordings")).scalars()
    with ThreadPoolExecutor(8) as pool:
        for revision in (2, 3, 4):
            change = text("UPDATE recordings SET mask_revision = :revision")
            with database.write() as conn:
                conn.execute(change, {"revision": revision})
                assert [row["mask_revision"] for row in look(recording_id=recording)] == [
                    revision - 1
                ]
            told = list(pool.map(lambda _: look(recording_id=recording), range(50)))
            assert {row["mask_revision"] for each in told for row in each} == {revision}


def test_a_look_up_in_a_broken_database_is_told(tmp_path: Path) -> None:
    """As everything else that is asked."""
    database = open_database(f"sqlite:///{tmp_path / 'calls.db'}")
    look = database.prepared(calls.MASK_REVISION)
    with pytest.raises(Unavailable):
        look(recording_id="r")
    database.close()


@pytest.mark.parametrize(
    ("scope", "is_found"),
    [
        (Scope(everything=True), True),
        (Scope(site_ids=frozenset({"s1"})), True),
        (Scope(site_ids=frozenset({"s2", "s3"})), False),
        (Scope(site_ids=frozenset({"s2"}), group_ids=frozenset({"g"})), False),
        (Scope(), False),
    ],
)
def test_what_is_found_by_the_driver_is_what_is_found_otherwise(
    database: Database, scope: Scope, *, is_found: bool
) -> None:
    """The same recording with the same spans, and the same nothing."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
    mask(database, "r1", Span(1, 2), Span(4, 5, Party.LEFT))
    finder, wanted = Finder(database), RecordingId("r1")
    names = ("s1", "1", "NCSr1")
    with database.read() as conn:
        known = calls.find_recording(conn, scope, wanted)
        assert calls.find_recording_by_names(conn, scope, *names) == known
    assert finder.recording(scope, wanted) == finder.recording_by_names(scope, *names) == known
    assert (known is not None) == is_found
    if known is not None:
        assert len(known.spans) == 2
