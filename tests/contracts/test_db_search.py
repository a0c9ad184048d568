"""Calls are looked for and paged through, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import math
import random
import string

import pytest
from sqlalchemy import Engine, event, text

from callreel.db import calls, search
from callreel.db.call_filter import CallFilter
from callreel.db.database import Database
from callreel.errors import BadRequest
from callreel.model import CallId, Direction, Party, Span
from tests.contracts.records import ALL, CallPlan, at, found_call, mask, write_call

_CHOICE = CallFilter


def everything(database: Database, limit: int = 3, **wanted: object) -> list[str]:
    """All ids that a filter finds, page by page."""
    found: list[str] = []
    cursor = None
    while True:
        with database.read() as conn:
            page = search.search_calls(conn, ALL, CallFilter(**wanted), limit, cursor)  # type: ignore[arg-type]  # fields by name
        assert len(page.items) == limit or page.next is None
        found += [call.id for call in page.items]
        cursor = page.next
        if cursor is None:
            return found


@pytest.mark.parametrize("seed", range(4))
def test_pages_neither_miss_nor_repeat(database: Database, seed: int) -> None:
    """Many calls of one instant, ids of every kind, pages of every size, newest first."""
    generator = random.Random(seed)  # noqa: S311  # a test, no secret
    letters = string.ascii_letters + string.digits + "-_.|é漢 "
    plans = {
        call_id: CallPlan(call_id, at_s=generator.randrange(-2, 3) / 1000)
        for call_id in ("".join(generator.choices(letters, k=3)) for _ in range(60))
    }
    with database.write() as conn:
        for plan in plans.values():
            write_call(conn, plan)
    for limit in (1, generator.randrange(2, 20), 1000):
        found = everything(database, limit)
        assert sorted(found) == sorted(plans)
        times = [plans[call_id].at_s for call_id in found]
        assert times == sorted(times, reverse=True)


def test_calls_that_come_in_between_pages_disturb_nothing(database: Database) -> None:
    """Who pages on sees every call that was there at first, once."""
    with database.write() as conn:
        for number in range(9):
            write_call(conn, CallPlan(f"c{number}", at_s=number // 3))
    found: list[str] = []
    cursor = None
    for page_number in range(5):
        with database.read() as conn:
            page = search.search_calls(conn, ALL, CallFilter(), 2, cursor)
        found += [call.id for call in page.items]
        cursor = page.next
        with database.write() as conn:
            write_call(conn, CallPlan(f"d{page_number}", at_s=100 + page_number))
    assert found == ["c8", "c7", "c6", "c5", "c4", "c3", "c2", "c1", "c0"]
    assert cursor is None


def test_filters_find_what_they_say(database: Database) -> None:
    """Each filter alone; the signs of LIKE and GLOB are plain characters, case counts."""
    plans = [
        CallPlan("c1", recording="r1", from_number="01614960192", at_s=0),
        CallPlan("c2", to_number="01614960000", extension="2105", at_s=10),
        CallPlan("c3", from_number="0161%", direction=Direction.OUTBOUND, site="s2", at_s=20),
        CallPlan("c4", recording="r4", from_number="0_61", at_s=30),
        CallPlan("c5", from_number="sip:Ann", to_number="", at_s=40),
    ]
    with database.write() as conn:
        for plan in plans:
            write_call(conn, plan)
    mask(database, "r1", Span(1, 2))
    table: list[tuple[dict[str, object], list[str]]] = [
        ({"party": "0161*"}, ["c3", "c2", "c1"]),
        ({"party": "01614960192"}, ["c1"]),
        ({"party": "*0192"}, ["c1"]),
        ({"party": "0161%"}, ["c3"]),
        ({"party": "0161%*"}, ["c3"]),
        ({"party": "*%"}, ["c3"]),
        ({"party": "0_61*"}, ["c4"]),
        ({"party": "*_61"}, ["c4"]),
        ({"party": "[0]*"}, []),
        ({"party": "0?6*"}, []),
        ({"party": "sip:ann*"}, []),
        ({"party": "*ann"}, []),
        ({"party": "*:Ann"}, ["c5"]),
        ({"party": "*"}, []),
        ({"party": "**"}, []),
        ({"party": "*1614*"}, []),
        ({"party": "*" + "0" * 30}, []),
        ({"party": ""}, ["c5"]),
        ({"ext": "2105"}, ["c2"]),
        ({"ext": "210"}, []),
        ({"direction": Direction.OUTBOUND}, ["c3"]),
        ({"datasource": "s2"}, ["c3"]),
        ({"rec": True}, ["c4", "c1"]),
        ({"rec": False}, ["c5", "c3", "c2"]),
        ({"mask": True}, ["c1"]),
        ({"mask": False}, ["c5", "c4", "c3", "c2"]),
        ({"since": at(10), "until": at(30)}, ["c3", "c2"]),
        ({"either": ((_CHOICE(ext="2105"), _CHOICE(party="*Ann")),)}, ["c5", "c2"]),
        (
            {
                "either": (
                    (_CHOICE(datasource="s1"), _CHOICE(datasource="s2")),
                    (_CHOICE(party="0161*"), _CHOICE(rec=True)),
                ),
                "since": at(20),
            },
            ["c4", "c3"],
        ),
        ({"rec": True, "party": "0161*"}, ["c1"]),
    ]
    for wanted, expected in table:
        assert everything(database, **wanted) == expected, wanted


@pytest.mark.parametrize(
    "span",
    [
        Span(1, 2),
        Span(1, 2, Party.RIGHT),
        Span(59.9999, math.inf),
        Span(60, 61),
        Span(60, math.inf),
        Span(61, 62),
        Span(5, 5),
        Span(7, 6),
        Span(70, 65),
        Span(-5, -2),
        Span(-5, 1),
    ],
)
def test_masked_calls_are_those_that_show_a_span(database: Database, span: Span) -> None:
    """The filter agrees with ``masked_spans``, also at and behind the end of the sound."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
    mask(database, "r1", span)
    shows = bool(found_call(database, "c1").masked_spans)
    assert everything(database, mask=True) == (["c1"] if shows else [])
    assert everything(database, mask=False) == ([] if shows else ["c1"])


@pytest.mark.parametrize("wanted", [True, False])
def test_a_count_of_masked_calls_is_that_of_its_rows(database: Database, *, wanted: bool) -> None:
    """A span lies within its own recording, and not within any other that there is."""
    with database.write() as conn:
        for number in (1, 2):
            write_call(conn, CallPlan(f"c{number}", recording=f"r{number}"))
        conn.execute(text("UPDATE recordings SET frames = frames * 10 WHERE id = 'r2'"))
    mask(database, "r1", Span(61, 62))
    found = sorted(everything(database, mask=wanted))
    assert found == ([] if wanted else ["c1", "c2"])
    with database.read() as conn:
        assert search.count_calls(conn, ALL, CallFilter(mask=wanted)) == len(found)


def test_masked_calls_without_a_known_length_show_what_is_stored(database: Database) -> None:
    """Nothing is clipped where nobody knows to what; the filter counts them as masked."""
    with database.write() as conn:
        write_call(conn, CallPlan("c1", recording="r1"))
        conn.execute(text("UPDATE recordings SET frames = NULL, state = 'unplayable'"))
    mask(database, "r1", Span(100, math.inf, Party.LEFT))
    assert found_call(database, "c1").masked_spans == (Span(100, math.inf, Party.LEFT),)
    assert everything(database, mask=True) == ["c1"]


def test_spans_are_shown_on_frames_and_merged(database: Database) -> None:
    """The effective list, the same in a page and for a single call (contract.md 4.3)."""
    with database.write() as conn:
        for number in (1, 2):
            write_call(conn, CallPlan(f"c{number}", recording=f"r{number}", at_s=number))
    mask(database, "r1", Span(5.00001, 6), Span(5.5, 7.00001), Span(50, math.inf, Party.LEFT))
    expected = (Span(5.0, 7.000125), Span(50, 60, Party.LEFT))
    with database.read() as conn:
        page = search.search_calls(conn, ALL, CallFilter(), 10, None)
        single = calls.find_call(conn, ALL, CallId("c1"))
    assert [call.masked_spans for call in page.items] == [(), expected]
    assert single is not None
    assert single.masked_spans == expected


def test_a_page_costs_two_queries_whatever_its_length(database: Database) -> None:
    """One for the rows, one for their spans."""
    with database.write() as conn:
        for number in range(30):
            write_call(conn, CallPlan(f"c{number}", recording=f"r{number}"))
    statements: list[str] = []

    def note(*arguments: object) -> None:
        statements.append(str(arguments[2]))

    with database.read() as conn:
        event.listen(Engine, "before_cursor_execute", note)
        try:
            page = search.search_calls(conn, ALL, CallFilter(), 30, None)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
    assert len(page.items) == 30
    assert len(statements) == 2


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "x",
        "MTIz",
        "!!!!",
        "MTIzfGMx\n",
        "9" * 400,
        "MXwA",
        "fGMx",
        "MXw",
        "é",
        "MV8wfGMx",
        "_w",
    ],
)
def test_a_cursor_that_is_not_ours_is_named(database: Database, cursor: str) -> None:
    """A clear error, no surprise; also a NUL, half a letter and a number of another spelling."""
    with database.read() as conn, pytest.raises(BadRequest, match="cursor"):
        search.search_calls(conn, ALL, CallFilter(), 10, cursor)
