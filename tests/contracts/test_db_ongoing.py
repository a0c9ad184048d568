"""Calls in progress are told, shown and forgotten, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace

import pytest

from callreel.db import directory, ongoing
from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.db.ongoing import AGE_MS, LegNews, LegState
from callreel.db.terms import Field, Term
from callreel.errors import CallreelError
from callreel.model import Direction, Disposition, Scope, UnixMillis
from tests.contracts.records import ALL, NOW, CallPlan, at, write_call

RINGS = LegNews(
    datasource="1",
    unique_id="u1",
    state=LegState.RINGING,
    at=at(0),
    from_number="01632960001",
    to_number="01614960100",
    caller_name="Northern Pipes",
    direction=Direction.INBOUND,
    extension="2104",
)


@pytest.fixture
def told(database: Database) -> Database:
    """A database with two sites, and one group with one person."""
    with database.write() as conn:
        for site in ("1", "2"):
            directory.ensure_datasource(conn, site)
        sales = directory.ensure_group(conn, "1", "Sales")
        directory.set_user(conn, "1", "2104", name="Priya Nair", group_id=sales)
    return database


def tell(database: Database, *news: LegNews, now: UnixMillis = NOW) -> None:
    """A switch tells of legs."""
    with database.write() as conn:
        for each in news:
            ongoing.tell(conn, each.datasource, each, now)


def seen(
    database: Database, scope: Scope = ALL, now: UnixMillis = NOW, **wanted: object
) -> list[tuple[str, str]]:
    """Ids and states of what goes on."""
    with database.read() as conn:
        found = ongoing.going_on(conn, scope, CallFilter(**wanted), now)  # type: ignore[arg-type]
    return [(leg.unique_id, leg.state.value) for leg in found]


def test_a_leg_rings_talks_holds_and_ends(told: Database) -> None:
    """Its parties stay known while its state changes."""
    tell(told, RINGS)
    assert seen(told) == [("u1", "ringing")]
    bare = LegNews("1", "u1", LegState.TALKING, at(5))
    tell(told, bare, replace(bare, state=LegState.HELD, at=at(9)))
    with told.read() as conn:
        (leg,) = ongoing.going_on(conn, ALL, CallFilter(), NOW)
    assert (leg.agent_name, leg.group_name, leg.caller_name) == (
        "Priya Nair", "Sales", "Northern Pipes",
    )  # fmt: skip
    assert (leg.state, leg.started_at, leg.answered_at) == (LegState.HELD, at(0), at(5))
    tell(told, replace(bare, state=LegState.ENDED, at=at(20)))
    assert seen(told) == []


def test_news_in_any_order_leave_the_same(told: Database) -> None:
    """Lines overtake one another; what ended does not come back."""
    bare = LegNews("1", "u", LegState.TALKING, at(5))
    news = [
        replace(RINGS, unique_id="u"),
        bare,
        replace(bare, state=LegState.HELD, at=at(8)),
        replace(bare, state=LegState.ENDED, at=at(9)),
    ]
    for number, order in enumerate(itertools.permutations(news)):
        mine = [replace(each, unique_id=f"u{number}") for each in order]
        tell(told, *mine)
        assert seen(told) == []
        unended = [each for each in mine if each.state is not LegState.ENDED]
        tell(told, *(replace(each, unique_id=f"v{number}") for each in unended))
        with told.read() as conn:
            (leg,) = ongoing.going_on(conn, ALL, CallFilter(), NOW)
        assert (leg.state, leg.started_at, leg.answered_at, leg.from_number) == (
            LegState.HELD, at(0), at(5), "01632960001",
        )  # fmt: skip
        tell(told, replace(bare, unique_id=f"v{number}", state=LegState.ENDED, at=at(10)))


def test_the_record_of_a_call_ends_its_legs(told: Database) -> None:
    """The first leg's record all of them, another's its own; another feed's none."""
    legs = [
        replace(RINGS, unique_id="a"),
        replace(RINGS, unique_id="b", linked_id="a"),
        replace(RINGS, unique_id="c", linked_id="a"),
        replace(RINGS, unique_id="a", datasource="2"),
    ]
    tell(told, *legs)
    with told.write() as conn:
        ongoing.end_with_records(conn, [("1", "b", "a")])
        ongoing.end_with_records(conn, [("1", None, None)])
    assert [each for each, _ in seen(told)] == ["a", "a", "c"]
    with told.write() as conn:
        ongoing.end_with_records(conn, [("1", "a", "a")])
    assert [each for each, _ in seen(told)] == ["a"]
    tell(told, legs[0])
    assert [each for each, _ in seen(told)] == ["a"]


@pytest.mark.parametrize(
    ("unique_id", "linked_id"),
    [("a", "b"), (None, "a")],
    ids=["names-its-other-leg", "names-no-leg"],
)
def test_a_record_that_is_linked_otherwise_ends_all_legs(
    told: Database, unique_id: str | None, linked_id: str
) -> None:
    """FreeSWITCH links a first leg to its second; other lists may know the conversation only."""
    tell(told, replace(RINGS, unique_id="a"), replace(RINGS, unique_id="b", linked_id="a"))
    with told.write() as conn:
        ongoing.end_with_records(conn, [("1", unique_id, linked_id)])
    assert seen(told) == []


@pytest.mark.parametrize(
    ("unique_id", "linked_id"),
    [("b", "a"), ("a", "a"), (None, "a")],
    ids=["its-own", "the-first-leg's", "names-no-leg"],
)
def test_news_that_come_after_the_record_bring_nothing_back(
    told: Database, unique_id: str | None, linked_id: str
) -> None:
    """What tells of legs may lie behind what imports calls."""
    with told.write() as conn:
        plan = CallPlan("c", site="1", unique_id=unique_id, linked_id=linked_id)
        write_call(conn, plan)
    tell(told, replace(RINGS, unique_id="b", linked_id="a"))
    tell(told, replace(RINGS, unique_id="d"), replace(RINGS, unique_id="b", datasource="2"))
    assert seen(told) == [("b", "ringing"), ("d", "ringing")]
    with told.read() as conn:
        legs = ongoing.going_on(conn, ALL, CallFilter(datasource="1"), NOW)
    assert [leg.unique_id for leg in legs] == ["d"]


def test_the_end_of_a_conversation_ends_legs_that_it_does_not_name(told: Database) -> None:
    """A switch that tells of it tells it last, when an end of a leg may have been missed."""
    legs = [
        replace(RINGS, unique_id="a"),
        replace(RINGS, unique_id="b", linked_id="a"),
        replace(RINGS, unique_id="c"),
        replace(RINGS, unique_id="a", datasource="2"),
    ]
    over = LegNews("1", "b", LegState.ENDED, at(9), linked_id="a", of_all=True)
    tell(told, *legs, over)
    assert [each for each, _ in seen(told)] == ["a", "c"]


def test_two_that_tell_of_a_leg_at_once_do_not_bring_it_back(told: Database) -> None:
    """As a switch's events and a program do; the leg may be new or known."""
    wrong: list[str] = []

    def say(gate: threading.Barrier, news: LegNews) -> None:
        """Tell together with another."""
        gate.wait()
        try:
            tell(told, news)
        except CallreelError as error:
            wrong.append(str(error))

    for number in range(20):
        talks = LegNews("1", f"u{number}", LegState.TALKING, at(1))
        if number % 2:
            tell(told, replace(talks, state=LegState.RINGING, at=at(0)))
        gate = threading.Barrier(2)
        threads = [
            threading.Thread(target=say, args=(gate, each))
            for each in (talks, replace(talks, state=LegState.ENDED, at=at(2)))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert (wrong, seen(told)) == ([], [])


def test_of_too_many_legs_the_newest_are_kept(
    told: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of a switch that died must not hide the others."""
    monkeypatch.setattr(ongoing, "MOST_LEGS", 2)
    tell(told, *(replace(RINGS, unique_id=f"u{n}", at=at(n)) for n in range(4)))
    assert seen(told) == [("u2", "ringing"), ("u3", "ringing")]


def test_a_filter_finds_whole_conversations(told: Database) -> None:
    """What is shown of one does not change with what was asked; any leg leaves it out."""
    first = replace(RINGS, unique_id="a", extension=None, state=LegState.TALKING)
    agent = replace(RINGS, unique_id="b", linked_id="a", from_number="", to_number="2104", at=at(1))
    tell(told, first, agent)
    both = [("a", "talking"), ("b", "ringing")]
    not_sales = Term(Field.GRP, "sales", wanted=False)
    for wanted, found in (
        ({"party": "01614960100"}, both),
        ({"terms": (Term(Field.AGENT, "priya"),)}, both),
        ({"terms": (not_sales,)}, []),
        ({"terms": (Term(Field.GRP, "support", wanted=False),)}, both),
        ({"terms": (Term(Field.ANY, "northern"), not_sales)}, []),
    ):
        assert seen(told, **wanted) == found, wanted


def test_a_leg_out_of_sight_decides_nothing(told: Database) -> None:
    """Nobody finds out by a filter what another group's leg is."""
    with told.write() as conn:
        support = directory.ensure_group(conn, "1", "Support")
        directory.set_user(conn, "1", "2112", name="Aoife Byrne", group_id=support)
    hidden = replace(RINGS, unique_id="a", extension="2112")
    mine = replace(RINGS, unique_id="b", linked_id="a", caller_name="", from_number="", at=at(1))
    tell(told, hidden, mine)
    sales = Scope(group_ids=frozenset({_group_of(told)}))
    for wanted, found in (
        ({}, [("b", "ringing")]),
        ({"party": "01632960001"}, []),
        ({"terms": (Term(Field.ANY, "northern"),)}, []),
        ({"terms": (Term(Field.AGENT, "aoife"),)}, []),
        ({"terms": (Term(Field.AGENT, "aoife", wanted=False),)}, [("b", "ringing")]),
    ):
        assert seen(told, sales, **wanted) == found, wanted


def test_a_switch_that_died_leaves_no_ghosts(told: Database) -> None:
    """Four hours without news are the end, also before anybody tidies."""
    tell(told, RINGS)
    late = UnixMillis(NOW + AGE_MS)
    assert seen(told, now=UnixMillis(late - 1)) == [("u1", "ringing")]
    assert seen(told, now=late) == []
    with told.write() as conn:
        ongoing.forget_before(conn, late)
    assert seen(told) == []


def test_filters_and_sight_mean_what_they_mean_of_calls(told: Database) -> None:
    """What only a call has that is over finds none; nobody sees beyond their scope."""
    tell(told, RINGS, replace(RINGS, datasource="2", unique_id="u2", extension="2104"))
    both, first = [("u1", "ringing"), ("u2", "ringing")], [("u1", "ringing")]
    group = Scope(group_ids=frozenset({_group_of(told)}))
    for wanted, found in (
        ({}, both),
        ({"site_id": "1"}, first),
        ({"direction": Direction.OUTBOUND}, []),
        ({"party": "0163296*"}, both),
        ({"terms": (Term(Field.AGENT, "priya"),)}, first),
        ({"terms": (Term(Field.GRP, "sales", wanted=False),)}, [("u2", "ringing")]),
        ({"terms": (Term(Field.ANY, "northern"),)}, both),
        ({"terms": (Term(Field.ID, "rec-1"),)}, []),
        ({"rec": False}, []),
        ({"mask": False}, []),
        ({"noted": False}, []),
        ({"disposition": Disposition.ANSWERED}, []),
        ({"at_least_s": 0.0}, []),
        ({"until": at(0)}, []),
    ):
        assert seen(told, **wanted) == found, wanted
    assert seen(told, Scope(site_ids=frozenset({"2"}))) == [("u2", "ringing")]
    assert seen(told, group) == first
    assert seen(told, Scope()) == []


def _group_of(database: Database) -> str:
    with database.read() as conn:
        return directory.find_group(conn, "1/Sales")
