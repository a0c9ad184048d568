"""Signals and spans: what is sent is stored, bound and sealed, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import itertools
import math
import threading
from dataclasses import replace

import pytest
from sqlalchemy import text

from callreel.db import calls, directory, signals, users
from callreel.db.database import Database
from callreel.errors import BadRequest
from callreel.model import Party, RecordingId, Role, Scope, Span, UnixMillis
from tests.contracts.records import (
    ALL,
    FACTS,
    NOW,
    SEAL,
    CallPlan,
    found_call,
    found_recording,
    mask,
    new_recording,
    send,
    write_call,
    write_recording,
)


def shown(database: Database, call_id: str) -> tuple[Span, ...]:
    """What a call shows as masked."""
    return found_call(database, call_id).masked_spans


def test_signals_mask_the_recording_that_both_legs_share(database: Database) -> None:
    """A signal on either leg of a transferred call masks it for both (contract.md 4.1)."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", duration_s=30, extension="2104"))
        write_call(conn, CallPlan("c2", recording="r1", at_s=30, duration_s=30, extension="2105"))
    assert send(database, "on", 5) == {"r1"}
    send(database, "off", 8)
    send(database, "on", 40, objid="2105")
    send(database, "off", 42, objid="2105")
    expected = (Span(4.5, 8.5), Span(39.5, 42.5))
    assert shown(database, "c1") == shown(database, "c2") == expected


def test_users_are_paired_each_by_themselves(database: Database) -> None:
    """An "off" of one user does not end what another began."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", extension="2104"))
        write_call(conn, CallPlan("c2", recording="r1", extension="2105"))
    send(database, "on", 5)
    send(database, "on", 10, objid="2105")
    send(database, "off", 12, objid="2105")
    assert shown(database, "c1") == (Span(4.5, 60),)
    send(database, "off", 7)
    assert shown(database, "c1") == (Span(4.5, 7.5), Span(9.5, 12.5))


def test_held_signals_mask_whatever_the_order_of_the_legs(database: Database) -> None:
    """Call records come after the call; every order gives the same mask (contract.md 4.4)."""
    signals = [
        ("on", 5.0, "2104"),
        ("off", 8.0, "2104"),
        ("on", 33.0, "2105"),
        ("off", 35.0, "2105"),
    ]
    legs = [
        CallPlan("c1", recording="r1", duration_s=30),
        CallPlan("c2", recording="r1", at_s=30, duration_s=30, extension="2105"),
    ]
    with database.write() as conn:
        for extension in ("2104", "2105"):
            write_call(conn, CallPlan(f"c-{extension}", at_s=-9000, extension=extension))
    for order in itertools.permutations([*legs, "signals"]):
        for step in order:
            if isinstance(step, CallPlan):
                with database.write() as conn:
                    write_call(conn, step)
                continue
            for mute, at_s, extension in signals:
                send(database, mute, at_s, objid=extension)
        assert shown(database, "c1") == shown(database, "c2") == (Span(4.5, 8.5), Span(32.5, 35.5))
        found_recording(database, "r1")
        with database.write() as conn:
            for table in ("changes", "spans", "call_records", "recordings", "signals"):
                names = "('c1', 'c2')"
                where = f" WHERE id IN {names}" if table == "call_records" else ""
                conn.execute(text(f"DELETE FROM {table}{where}"))  # noqa: S608  # names from above


def test_a_signal_belongs_to_the_calls_that_are_on_at_its_time(database: Database) -> None:
    """From the start to the end of the call or of its sound, to the millisecond; nothing else."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", duration_s=10))
        write_recording(conn, replace(new_recording("r1"), facts=replace(FACTS, frames=80_001)))
        write_call(conn, CallPlan("c2", recording="r2", at_s=100, duration_s=200.0005))
        write_call(conn, CallPlan("c3", at_s=100, duration_s=200))
        write_call(conn, CallPlan("c4", recording="r4", at_s=150, duration_s=10))
        write_call(conn, CallPlan("c5", recording="r5", at_s=150, extension="2105"))
    table: list[tuple[float, set[str]]] = [
        (-0.001, set()),
        (0, {"r1"}),
        (10, {"r1"}),
        (10.001, {"r1"}),
        (10.002, set()),
        (99.999, set()),
        (100, {"r2"}),
        (149.999, {"r2"}),
        (155, {"r2", "r4"}),
        (210, {"r2", "r4"}),
        (210.001, {"r2"}),
        (300.001, {"r2"}),
        (300.002, set()),
    ]
    for at_s, expected in table:
        assert send(database, "on", at_s) == expected, at_s
        send(database, "off", at_s)


def test_the_next_call_of_a_user_leaves_the_recording_that_was_handed_on(
    database: Database,
) -> None:
    """A leg ends with the shared sound at the latest, not a whole recording after its start."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", duration_s=30, extension="2104"))
        write_call(conn, CallPlan("c2", recording="r1", at_s=30, duration_s=30, extension="2105"))
        write_call(conn, CallPlan("c3", recording="r3", at_s=70, extension="2105"))
    assert send(database, "off", 75, objid="2105") == {"r3"}
    assert shown(database, "c1") == ()


def test_a_user_in_two_calls_masks_both(database: Database) -> None:
    """Several at once: all of them (contract.md 4.1); the same extension elsewhere stays clear."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
        write_call(conn, CallPlan("c2", recording="r2", at_s=2))
        write_call(conn, CallPlan("c3", recording="r3", site="s2"))
    with database.write() as conn:
        targets = signals.object_ids(conn, ALL, "user", "2104", "s1")
        at = UnixMillis(NOW + 5000)
        taken = signals.take_signal(conn, targets, signals.NewSignal(at, at, True, "web"), SEAL)
    assert {each.recording_id for each in taken.matches} == {"r1", "r2"}
    assert shown(database, "c1") == (Span(4.5, 60),)
    assert shown(database, "c2") == (Span(2.5, 60),)


def test_a_channel_signal_masks_the_calls_of_that_channel(database: Database) -> None:
    """By the name of the channel; other channels stay clear."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", channel="T1"))
        write_call(conn, CallPlan("c2", recording="r2", channel="T2", extension=None))
    send(database, "on", 50, objid="T1", objtype="channel")
    assert shown(database, "c1") == (Span(49.5, 60),)
    assert shown(database, "c2") == ()


def test_a_site_has_its_own_rules(database: Database) -> None:
    """Padding and the longest mask are the site's (contract.md 4.2 and 4.3)."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
        site = directory.find_site(conn, "s1")
        directory.set_site(conn, replace(site, pad_s=1, max_span_s=10))
    send(database, "on", 5)
    assert shown(database, "c1") == (Span(4, 16),)


def test_a_call_whose_time_is_put_right_takes_its_mask_along(database: Database) -> None:
    """Spans of signals are counted from the first frame, wherever that turns out to be."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", at_s=0))
    send(database, "on", 30)
    send(database, "off", 35)
    assert shown(database, "c1") == (Span(29.5, 35.5),)
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", at_s=20))
    assert shown(database, "c1") == (Span(9.5, 15.5),)


def test_what_signals_no_longer_mask_is_kept_as_removed(database: Database) -> None:
    """Nothing is silently dropped (contract.md 4.6): "on" alone, then a pair, stays on record."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
    for mute, at_s in (("on", 5), ("off", 8), ("on", 20)):
        send(database, mute, at_s)
    with database.read() as conn:
        rows = conn.execute(
            text("SELECT state, start_s, end_s FROM spans ORDER BY created_at, start_s")
        )
        found = [tuple(row) for row in rows]
    assert found == [("removed", 4.5, None), ("active", 4.5, 8.5), ("active", 19.5, None)]


def test_each_change_of_the_mask_has_a_new_revision_and_seal(database: Database) -> None:
    """And what changes nothing has none: repeated signals, the same span again."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))

    def revision() -> int:
        found = found_recording(database, "r1")
        with database.read() as conn:
            assert calls.mask_revision(conn, RecordingId("r1")) == found.mask_revision
        return found.mask_revision

    assert revision() == 1
    assert mask(database, "r1", Span(1, 2, Party.LEFT))
    assert revision() == 2
    assert not mask(database, "r1", Span(1, 2, Party.LEFT))
    assert not mask(database, "r1")
    assert revision() == 2
    assert mask(database, "r1", Span(1, 2, Party.LEFT), Span(1, math.inf), Span(1, math.inf))
    assert revision() == 3
    assert len(found_recording(database, "r1").spans) == 2
    send(database, "on", 5)
    assert revision() == 4
    send(database, "on", 6)
    assert revision() == 4
    send(database, "off", 7)
    assert revision() == 5


def test_spans_as_stored_come_back_to_the_last_bit(database: Database) -> None:
    """A seal is over exact numbers: no database may round one."""
    spans = (
        Span(0.1 + 0.2, 1e-300),
        Span(1 / 3, 2 / 3, Party.LEFT),
        Span(5e-324, math.inf, Party.RIGHT),
        Span(0.0, 1.7976931348623157e308),
    )
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
    mask(database, "r1", *spans)
    assert set(found_recording(database, "r1").spans) == set(spans)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM spans",
        "UPDATE spans SET end_s = 1.5",
        "UPDATE spans SET end_s = NULL",
        "UPDATE spans SET state = 'removed'",
        "UPDATE spans SET channel = 'left'",
        "UPDATE spans SET recording_id = 'r2'",
        "UPDATE recordings SET mask_revision = 9 WHERE id = 'r1'",
    ],
)
def test_a_span_changed_by_hand_does_not_fit_its_seal(database: Database, damage: str) -> None:
    """Removed, moved or taken elsewhere behind the program's back: noticed."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
        write_call(conn, CallPlan("c2", recording="r2"))
    mask(database, "r1", Span(1, 2))
    found_recording(database, "r1")
    with database.write() as conn:
        conn.execute(text(damage))
    with database.read() as conn:
        found = calls.find_recording(conn, ALL, RecordingId("r1"))
    assert found is not None
    assert found.mask_seal != SEAL(found.id, found.mask_revision, found.spans)


def test_masks_that_come_at_the_same_time_all_count(database: Database) -> None:
    """Signals, spans and legs written by many at once: nobody waits in a circle, none is lost."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
        write_call(conn, CallPlan("c2", recording="r2"))
    send(database, "off", -500)  # so that everybody knows the user who sends
    failures: list[BaseException] = []

    def work(part: int) -> None:
        try:
            for step in range(4):
                start = part * 10 + step * 2 + 1.0
                for recording in ("r1", "r2") if part % 2 else ("r2", "r1"):
                    mask(database, recording, Span(start, start + 1))
                with database.write() as conn:
                    write_call(conn, CallPlan(f"c-{part}-{step}", recording="r1"))
        except BaseException as error:  # noqa: BLE001  # told by the test below, whatever it is
            failures.append(error)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for recording in ("r1", "r2"):
        found = found_recording(database, recording)
        assert (len(found.spans), found.mask_revision) == (16, 17)


def test_a_signal_and_its_call_that_cross_do_not_miss_each_other(database: Database) -> None:
    """Written at the same moment, in whichever order they commit, the mask is there."""
    with database.write() as conn:
        write_call(conn, CallPlan("c0", at_s=-9000))
    send(database, "off", -500)
    for number in range(6):
        at_s = number * 1000.0
        plan = CallPlan(f"c{number + 1}", recording=f"r{number + 1}", at_s=at_s)

        def arrive(plan: CallPlan = plan) -> None:
            with database.write() as conn:
                write_call(conn, plan)

        thread = threading.Thread(target=arrive)
        thread.start()
        send(database, "on", at_s + 5)
        thread.join()
        assert shown(database, plan.id) == (Span(4.5, 60),)


def test_objects_are_found_within_reach_and_container(database: Database) -> None:
    """Two sites may have the same extension; key narrows; what is out of reach is not there."""
    with database.write() as conn:
        for site in ("s1", "s2"):
            write_call(conn, CallPlan(f"c-{site}", site=site, channel="T1"))
        group = directory.ensure_group(conn, "s2", "Sales")
        directory.set_user(conn, "s2", "2104", name="Ann Example", group_id=group)
    of_s1, of_group = Scope(site_ids=frozenset({"s1"})), Scope(group_ids=frozenset({group}))
    table: list[tuple[Scope, str | None, str, str, int]] = [
        (ALL, None, "user", "2104", 2),
        (ALL, "", "user", "2104", 2),
        (ALL, "s1", "user", "2104", 1),
        (ALL, "Sales", "user", "2104", 1),
        (ALL, group, "user", "2104", 1),
        (ALL, "nowhere", "user", "2104", 0),
        (ALL, None, "user", "2105", 0),
        (ALL, None, "user", "T1", 0),
        (ALL, None, "channel", "T1", 2),
        (ALL, "s2", "channel", "T1", 1),
        (ALL, "Sales", "channel", "T1", 0),
        (of_s1, None, "user", "2104", 1),
        (of_s1, "s2", "user", "2104", 0),
        (of_s1, None, "channel", "T1", 1),
        (of_group, None, "user", "2104", 1),
        (of_group, "s1", "user", "2104", 0),
        (of_group, None, "channel", "T1", 0),
        (Scope(), None, "user", "2104", 0),
        (Scope(), None, "channel", "T1", 0),
    ]
    with database.read() as conn:
        for scope, container, objtype, objid, count in table:
            found = signals.object_ids(conn, scope, objtype, objid, container)
            assert len(found) == count, (scope, container, objtype, objid)
        with pytest.raises(BadRequest, match="objtype"):
            signals.object_ids(conn, ALL, "queue", "1", None)


def test_a_signal_and_its_call_that_are_written_at_once_do_not_miss_each_other(
    database: Database,
) -> None:
    """Neither transaction sees the other's rows before it commits; the second must wait."""
    with database.write() as conn:
        write_call(conn, CallPlan("c0", at_s=-9000))  # the directory knows 2104 from here
        user = users.add_user(conn, "switch", Role.INTEGRATOR, "no hash", ALL, NOW)
    at = UnixMillis(NOW + 5000)

    def call_arrives() -> None:
        with database.write() as conn:
            write_call(conn, CallPlan("c1", recording="r1"))

    other = threading.Thread(target=call_arrives)
    with database.write() as conn:
        targets = signals.object_ids(conn, ALL, "user", "2104", None)
        taken = signals.take_signal(
            conn, targets, signals.NewSignal(at, at, True, "web", user), SEAL
        )
        assert taken.matches == ()
        other.start()
        other.join(timeout=0.5)
    other.join()
    assert shown(database, "c1") == (Span(4.5, 60),)
