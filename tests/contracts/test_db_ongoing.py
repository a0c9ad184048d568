"""Calls in progress are told, shown and forgotten, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from callreel.db import directory, ongoing
from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.db.ongoing import AGE_MS, LegNews, LegState
from callreel.db.terms import Field, Term
from callreel.model import Direction, Disposition, Scope, UnixMillis
from tests.contracts.records import ALL, NOW, at

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
        ongoing.end_with_record(conn, "1", "b", "a")
        ongoing.end_with_record(conn, "1", None, None)
    assert [each for each, _ in seen(told)] == ["a", "a", "c"]
    with told.write() as conn:
        ongoing.end_with_record(conn, "1", "a", "a")
    assert [each for each, _ in seen(told)] == ["a"]
    tell(told, legs[0])
    assert [each for each, _ in seen(told)] == ["a"]


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
