"""Signals as they are listed for people, and those that a switch sends twice, on both databases."""

from __future__ import annotations

import pytest

from callreel.db import signals, unsettled
from callreel.db.database import Database
from callreel.db.unsettled import SignalState
from callreel.errors import BadRequest
from callreel.model import Scope, UnixMillis
from tests.contracts.records import ALL, NOW, SEAL, CallPlan, at, found_call, send, write_call


def page(
    database: Database,
    scope: Scope = ALL,
    *states: SignalState,
    limit: int = 100,
    cursor: str | None = None,
    settled: bool | None = None,
) -> unsettled.SignalPage:
    """A page of signals."""
    with database.read() as conn:
        return unsettled.list_signals(
            conn, scope, states=frozenset(states), settled=settled, limit=limit, cursor=cursor
        )


@pytest.fixture
def busy(database: Database) -> Database:
    """Two sites; a pair, a repeat, one that is alone, one about nobody's call."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
        write_call(conn, CallPlan("c2", recording="r2", site="s2", extension=None, channel="T1"))
        write_call(conn, CallPlan("c3", at_s=100, extension="2105"))
    send(database, "on", 10)
    send(database, "on", 11)
    send(database, "off", 12)
    send(database, "on", 20, objid="T1", objtype="channel")
    send(database, "on", 90)
    send(database, "on", 101, objid="2105")
    return database


def test_every_signal_says_what_it_is_to_the_masks(busy: Database) -> None:
    """Newest first; one about a call without a recording belongs to it, and masks nothing."""
    told = [(each.at, each.state, each.recording_ids) for each in page(busy).items]
    assert told == [
        (at(101), SignalState.REPEATED, ()),
        (at(90), SignalState.ORPHAN, ()),
        (at(20), SignalState.UNPAIRED, ("r2",)),
        (at(12), SignalState.PAIRED, ("r1",)),
        (at(11), SignalState.REPEATED, ()),
        (at(10), SignalState.PAIRED, ("r1",)),
    ]


def test_signals_are_listed_within_a_scope(busy: Database) -> None:
    """By the site of the user or channel; an empty scope sees none."""
    told = page(busy, Scope(site_ids=frozenset({"s2"}))).items
    assert [(each.objtype, each.objid) for each in told] == [("channel", "T1")]
    assert page(busy, Scope()).items == ()
    with busy.read() as conn:
        elsewhere = Scope(site_ids=frozenset({"s1"}))
        assert unsettled.find_signal(conn, elsewhere, told[0].id) is None


def test_a_signal_about_a_call_is_in_the_scope_of_that_call(busy: Database) -> None:
    """It has neither user nor channel."""
    with busy.write() as conn:
        new = signals.NewSignal(at(5), at(5), True, "switch", source_key="k")
        taken = signals.take_signal(conn, [signals.Target(call_id="c2")], new, SEAL)
    (signal_id,) = taken.signal_ids
    assert [match.recording_id for match in taken.matches] == ["r2"]
    mine = page(busy, Scope(site_ids=frozenset({"s2"}))).items
    assert signal_id in {each.id for each in mine}
    theirs = page(busy, Scope(site_ids=frozenset({"s1"}))).items
    assert signal_id not in {each.id for each in theirs}


def test_pages_of_signals_neither_miss_nor_repeat_one(busy: Database) -> None:
    """Each page goes on behind the last; filters hold across pages."""
    seen, cursor = [], None
    while True:
        part = page(busy, limit=2, cursor=cursor)
        seen += [each.id for each in part.items]
        cursor = part.next
        if cursor is None:
            break
    assert seen == [each.id for each in page(busy).items]
    wanted = (SignalState.UNPAIRED, SignalState.ORPHAN)
    assert [each.at for each in page(busy, ALL, *wanted).items] == [at(90), at(20)]
    with pytest.raises(BadRequest, match="cursor"):
        page(busy, cursor="elsewhere")


def test_settled_signals_are_listed_apart(busy: Database) -> None:
    """What a person decided leaves the list of what is open."""
    (orphan,) = page(busy, ALL, SignalState.ORPHAN).items
    with busy.write() as conn:
        unsettled.settle(conn, orphan.id, "accepted", by="ann", reason="rang", now=NOW)
    assert page(busy, ALL, SignalState.ORPHAN, settled=False).items == ()
    (settled,) = page(busy, settled=True).items
    assert (settled.settled, settled.settled_by, settled.settled_reason) == (
        *("accepted", "ann"),
        "rang",
    )


def test_an_event_of_a_switch_is_stored_once(database: Database) -> None:
    """Reading the same file again; the same key about another object is another signal."""
    new = signals.NewSignal(at(1), NOW, True, "switch", source_key="file:1")
    for targets, stored in (
        ([signals.Target(call_id="c1")], 1),
        ([signals.Target(call_id="c1")], 0),
        ([signals.Target(call_id="c1"), signals.Target(call_id="c2")], 1),
    ):
        with database.write() as conn:
            assert len(signals.add_signal(conn, targets, new)) == stored


def test_a_signal_that_names_its_call_waits_for_it(database: Database) -> None:
    """Held until the call comes, whatever the times say (contract.md 4.4)."""
    with database.write() as conn:
        for moment, mute in ((5_000, True), (5_002, False)):
            when = UnixMillis(NOW + moment * 1000)
            new = signals.NewSignal(when, when, mute, "switch")
            taken = signals.take_signal(conn, [signals.Target(call_id="c1")], new, SEAL)
            assert taken.matches == ()
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", at_s=4_999))
    (span,) = found_call(database, "c1").masked_spans
    assert (span.start_s, span.end_s) == (0.5, 3.5)
