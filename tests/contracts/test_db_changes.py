"""The feed of changes misses nothing, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import threading

import pytest

from callreel.db import changes, directory
from callreel.db.database import Database
from callreel.errors import BadRequest
from callreel.model import Scope, Span
from tests.contracts.records import ALL, CallPlan, mask, send, write_call


def news(
    database: Database, since: str | None, limit: int = 100, scope: Scope = ALL
) -> changes.ChangePage:
    """A page of the feed."""
    with database.read() as conn:
        return changes.list_changes(conn, scope, since, limit)


def test_the_order_is_held_from_the_first_statement(database: Database) -> None:
    """Also where taking the lock is what begins the transaction, and on a used connection."""
    reached = threading.Event()

    def write() -> None:
        with database.write() as conn:
            changes.hold_order(conn)
            reached.set()

    for _ in range(3):
        reached.clear()
        with database.write() as conn:
            changes.hold_order(conn)
            other = threading.Thread(target=write)
            other.start()
            assert not reached.wait(0.3)
        other.join()
        assert reached.is_set()


def test_a_slow_writer_is_not_overtaken(database: Database) -> None:
    """One that commits late must not be behind a cursor that somebody has already passed."""
    with database.write() as conn:
        write_call(conn, CallPlan("c0"))

    def write() -> None:
        with database.write() as conn:
            write_call(conn, CallPlan("c-fast"))

    fast = threading.Thread(target=write)
    with database.write() as conn:
        write_call(conn, CallPlan("c-slow"))
        fast.start()
        fast.join(timeout=0.5)
        seen = news(database, None)
    fast.join()
    rest = news(database, seen.next)
    found = [change.call_id for change in (*seen.items, *rest.items)]
    assert found == ["c0", "c-slow", "c-fast"]


def test_the_feed_misses_nothing_while_many_write(database: Database) -> None:
    """A reader that follows the cursor sees every change once, in order, whoever is slow."""
    with database.write() as conn:
        write_call(conn, CallPlan("c-first"))

    def write(part: int) -> None:
        for number in range(8):
            with database.write() as conn:
                write_call(conn, CallPlan(f"c{part}-{number}", extension=f"{part}"))

    threads = [threading.Thread(target=write, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    seen: list[str | None] = []
    cursor: str | None = None
    while True:
        done = not any(thread.is_alive() for thread in threads)
        page = news(database, cursor, limit=5)
        seen += [change.call_id for change in page.items]
        cursor = page.next
        if done and not page.items:
            break
    assert len(seen) == len(set(seen)) == 33
    for part in range(4):
        own = [call_id for call_id in seen if str(call_id).startswith(f"c{part}-")]
        assert own == [f"c{part}-{number}" for number in range(8)]


def test_every_kind_of_change_is_told(database: Database) -> None:
    """Calls, recordings and masks; what changed nothing is not told."""
    plan = CallPlan("c1", recording="r1")
    with database.write() as conn:
        write_call(conn, plan)
        write_call(conn, plan)
    mask(database, "r1", Span(1, 2))
    mask(database, "r1", Span(1, 2))
    send(database, "on", 5)
    found = [(each.kind, each.call_id, each.recording_id) for each in news(database, None).items]
    assert found == [
        ("recording", None, "r1"),
        ("call", "c1", "r1"),
        ("mask", None, "r1"),
        ("mask", None, "r1"),
    ]


def test_a_transaction_that_was_undone_told_nothing(database: Database) -> None:
    """The number it drew is a gap that nobody waits for."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1"))
    cursor = news(database, None).next
    with pytest.raises(RuntimeError), database.write() as conn:
        _write_and_fail(conn)
    with database.write() as conn:
        write_call(conn, CallPlan("c3"))
    assert [change.call_id for change in news(database, cursor).items] == ["c3"]


def _write_and_fail(conn: object) -> None:
    write_call(conn, CallPlan("c2"))  # type: ignore[arg-type]  # a Connection
    raise RuntimeError


def test_a_cursor_passes_what_one_may_not_see(database: Database) -> None:
    """Whoever may see little does not have everything searched again at each question."""
    with database.write() as conn:
        for number in range(5):
            write_call(conn, CallPlan(f"c{number}"))
        directory.ensure_site(conn, "s2")
    mine = Scope(site_ids=frozenset({"s2"}))
    page = news(database, None, scope=mine)
    assert page.items == ()
    assert page.next == news(database, None).next
    with database.write() as conn:
        write_call(conn, CallPlan("c-mine", site="s2"))
    later = news(database, page.next, scope=mine)
    assert [change.call_id for change in later.items] == ["c-mine"]
    assert news(database, later.next, scope=mine) == changes.ChangePage((), later.next)


def test_an_empty_feed_starts_at_nought(database: Database) -> None:
    """Asking before anything happened gives a place to go on from."""
    page = news(database, None)
    assert page == changes.ChangePage((), "0")
    with database.write() as conn:
        write_call(conn, CallPlan("c1"))
    assert len(news(database, page.next).items) == 1


@pytest.mark.parametrize("since", ["-1", "x", "1.5", "٣", "9" * 40, "", " 1", "1_0"])
def test_a_place_in_the_feed_that_is_not_ours_is_named(database: Database, since: str) -> None:
    """A clear error."""
    with database.read() as conn, pytest.raises(BadRequest, match="since"):
        changes.list_changes(conn, ALL, since, 10)
