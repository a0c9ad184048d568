"""Signals that name a call as its switch does, on both databases."""

from __future__ import annotations

import pytest

from callreel.db import signals, unsettled
from callreel.db.database import Database
from callreel.db.signals import Leg, NewSignal, Target
from callreel.db.unsettled import SignalState
from callreel.model import Scope
from tests.contracts.records import ALL, SEAL, CallPlan, at, found_call, write_call


def say(database: Database, leg: Leg, *moments: float, mute: bool = True) -> list[str]:
    """Signals of a switch about one leg; the recordings they are about."""
    found = []
    with database.write() as conn:
        for moment in moments:
            new = NewSignal(at(moment), at(moment), mute, "switch", source_key=f"{leg}{moment}")
            taken = signals.take_signal(conn, [Target(leg=leg)], new, SEAL)
            found += [str(match.recording_id) for match in taken.matches]
    return found


@pytest.mark.parametrize("call_first", [True, False], ids=["call first", "signals first"])
@pytest.mark.parametrize(
    ("of_call", "of_signal"),
    [
        (("7.1", None), ("7.1", None)),
        (("7.1", None), ("7.2", "7.1")),
        (("7.9", "7.1"), ("7.2", "7.1")),
        (("7.9", "7.2"), ("7.2", None)),
    ],
    ids=["the leg itself", "linked to the leg", "linked to the same", "the leg is the linked one"],
)
def test_a_leg_is_found_by_any_of_its_names(
    database: Database,
    of_call: tuple[str | None, str | None],
    of_signal: tuple[str | None, str | None],
    call_first: bool,
) -> None:
    """Whichever side holds which of them, and whichever comes first (contract.md 4.4)."""
    plan = CallPlan("c1", recording="r1", unique_id=of_call[0], linked_id=of_call[1])
    if call_first:
        with database.write() as conn:
            write_call(conn, plan)
    leg = Leg("s1", *of_signal)
    say(database, leg, 5)
    say(database, leg, 7, mute=False)
    if not call_first:
        with database.write() as conn:
            write_call(conn, plan)
    (span,) = found_call(database, "c1").masked_spans
    assert (span.start_s, span.end_s) == (4.5, 7.5)


def test_another_feed_may_give_the_same_ids(database: Database) -> None:
    """A unique id of Asterisk is a time and a count, so two machines make the same."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", unique_id="7.1"))
        write_call(conn, CallPlan("c2", recording="r2", site="s2", unique_id="7.1"))
    assert say(database, Leg("s2", "7.1", None), 5) == ["r2"]
    assert found_call(database, "c1").masked_spans == ()


def test_calls_without_names_are_nobodys_legs(database: Database) -> None:
    """Nothing is equal to nothing."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
    assert say(database, Leg("s1", "7.1", None), 5) == []
    assert say(database, Leg("s1", None, "7.1"), 6) == []


def test_every_leg_of_a_transfer_is_masked(database: Database) -> None:
    """They have one linked id; each has a recording of its own."""
    with database.write() as conn:
        for number in (1, 2):
            names = {"unique_id": f"7.{number}", "linked_id": "7.1"}
            write_call(conn, CallPlan(f"c{number}", recording=f"r{number}", **names))
    assert sorted(say(database, Leg("s1", "7.3", "7.1"), 5)) == ["r1", "r2"]


@pytest.mark.parametrize("late", [31.5, 40], ids=["as a repeat", "much later"])
def test_an_off_of_one_leg_does_not_end_what_another_has_masked(
    database: Database, late: float
) -> None:
    """Two people of one conversation mask at once; the later off ends it."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", unique_id="7.1"))
    one, other = Leg("s1", "7.1", None), Leg("s1", "7.2", "7.1")
    say(database, one, 10)
    say(database, other, 20)
    say(database, one, 30, mute=False)
    say(database, other, late, mute=False)
    (span,) = found_call(database, "c1").masked_spans
    assert (span.start_s, span.end_s) == (9.5, late + 0.5)


def test_a_leg_that_never_says_off_is_masked_to_the_end(database: Database) -> None:
    """Hung up while muted, as the other leg goes on; its on is listed as unpaired."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", unique_id="7.1"))
    one, other = Leg("s1", "7.1", None), Leg("s1", "7.2", "7.1")
    say(database, one, 10)
    say(database, other, 20)
    say(database, one, 30, mute=False)
    (span,) = found_call(database, "c1").masked_spans
    assert (span.start_s, span.end_s) == (9.5, 60.0)
    with database.read() as conn:
        unpaired = unsettled.list_signals(
            conn, ALL, states=frozenset({SignalState.UNPAIRED}), settled=None, limit=9, cursor=None
        )
    assert len(unpaired.items) == 1


def test_an_off_may_come_from_another_leg_than_its_on(database: Database) -> None:
    """Whoever the call was transferred to ends the mask; nothing is unpaired."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", unique_id="7.1"))
    say(database, Leg("s1", "7.2", "7.1"), 10)
    say(database, Leg("s1", "7.3", "7.1"), 30, mute=False)
    (span,) = found_call(database, "c1").masked_spans
    assert (span.start_s, span.end_s) == (9.5, 30.5)


def test_a_held_signal_of_a_switch_is_listed_for_its_site(database: Database) -> None:
    """By the feed it came from until its call is there; then by the call as well."""
    with database.write() as conn:
        write_call(conn, CallPlan("c2", site="s2", extension=None))
    say(database, Leg("s2", "7.1", "7.0"), 5)
    with database.read() as conn:
        (orphan,) = unsettled.list_signals(
            conn,
            Scope(site_ids=frozenset({"s2"})),
            states=frozenset({SignalState.ORPHAN}),
            settled=None,
            limit=9,
            cursor=None,
        ).items
        assert (orphan.objtype, orphan.objid, orphan.source) == ("call", "7.1", "switch")
        elsewhere = Scope(site_ids=frozenset({"s1"}))
        assert unsettled.find_signal(conn, elsewhere, orphan.id) is None
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1", site="s2", unique_id="7.0"))
    with database.read() as conn:
        found = unsettled.find_signal(conn, ALL, orphan.id)
        assert found is not None
        assert (found.state, found.recording_ids) == (SignalState.UNPAIRED, ("r1",))
        assert signals.target_of(conn, orphan.id) == Target(leg=Leg("s2", "7.1", "7.0"))
